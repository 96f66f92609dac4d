//! Rows of a write set that has grown past its share of memory, in a file of their own.
//!
//! The file lies in the store's directory without a name, so that it goes with its last holder
//! whatever happens. It is only appended to: a savepoint, a scan and a view keep reading the rows
//! they know, and what was replaced or rolled back stays in it until the transaction ends. Writing
//! goes to the page cache, a row at a time and at least [`PIECE_BYTES`] at once: a memory copy and
//! a system call, unless the kernel has no room for dirty pages, when it is held back by the disk.

use super::error::StorageError;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows are gathered to pieces of so many bytes before they are written.
const PIECE_BYTES: usize = 256 << 10;

/// How much longer than `transaction_bytes_max` a file may become by rows replaced or undone.
const FILE_FACTOR_MAX: u64 = 4;

/// What the files' names begin with, for the moment that they have one.
const NAME_PREFIX: &str = "spill-";

/// Where write sets spill, and when.
#[derive(Debug)]
pub(super) struct SpillPlace {
    directory: PathBuf,
    /// Bytes of rows that a write set keeps in memory.
    memory_bytes_max: usize,
    transaction_bytes_max: usize,
    files: AtomicU64,
}

impl SpillPlace {
    /// In a directory that exists; files that a crash left with a name are removed.
    pub(super) fn new(
        directory: &Path,
        memory_bytes_max: usize,
        transaction_bytes_max: usize,
    ) -> Result<SpillPlace, StorageError> {
        remove_left(directory).map_err(failure("remove what was spilled"))?;
        Ok(SpillPlace {
            directory: directory.to_owned(),
            memory_bytes_max,
            transaction_bytes_max,
            files: AtomicU64::new(0),
        })
    }

    /// Bytes of rows that a write set keeps in memory.
    pub(super) fn memory_bytes_max(&self) -> usize {
        self.memory_bytes_max
    }

    /// A fresh file, whose name is gone already.
    pub(super) fn open(&self) -> Result<Spill, StorageError> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("{NAME_PREFIX}{number}"));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .and_then(|file| std::fs::remove_file(&path).map(|()| file));
        let file = file.map_err(failure("make a file for a large transaction"))?;
        Ok(Spill::over(file, self.transaction_bytes_max))
    }
}

fn remove_left(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(NAME_PREFIX) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// One write set's file.
#[derive(Debug)]
pub(super) struct Spill {
    file: File,
    transaction_bytes_max: usize,
    tail: Mutex<Tail>,
}

/// Rows not written yet.
#[derive(Debug, Default)]
struct Tail {
    start: u64,
    bytes: Vec<u8>,
}

impl Spill {
    fn over(file: File, transaction_bytes_max: usize) -> Spill {
        Spill {
            file,
            transaction_bytes_max,
            tail: Mutex::default(),
        }
    }

    /// Appends a row.
    ///
    /// 53100 when the disk is full, 54000 when replaced and undone rows have made it too long; the
    /// rows before stay readable.
    fn push(self: &Arc<Spill>, row: &[u8]) -> Result<WrittenRow, StorageError> {
        let mut tail = self.tail.lock();
        let before = tail.bytes.len();
        let offset = tail.start + before as u64;
        let bytes_max = self.transaction_bytes_max;
        let file_bytes_max = (bytes_max as u64).saturating_mul(FILE_FACTOR_MAX);
        if offset + row.len() as u64 > file_bytes_max {
            return Err(StorageError::TransactionTooLarge { bytes_max });
        }
        tail.bytes.extend_from_slice(row);
        if tail.bytes.len() >= PIECE_BYTES {
            let written = self.file.write_all_at(&tail.bytes, tail.start);
            if let Err(error) = written {
                tail.bytes.truncate(before);
                return Err(failure("write to the file of a large transaction")(error));
            }
            tail.start += tail.bytes.len() as u64;
            tail.bytes = Vec::with_capacity(PIECE_BYTES);
        }
        Ok(WrittenRow::Spilled {
            spill: self.clone(),
            offset,
            bytes: row.len(),
        })
    }

    fn read(&self, offset: u64, row: &mut [u8]) -> Result<(), StorageError> {
        let tail = self.tail.lock();
        if let Some(ahead) = offset.checked_sub(tail.start) {
            let ahead = usize::try_from(ahead).expect("the tail is in memory");
            row.copy_from_slice(&tail.bytes[ahead..ahead + row.len()]);
            return Ok(());
        }
        drop(tail);
        let read = self.file.read_exact_at(row, offset);
        read.map_err(failure("read the file of a large transaction"))
    }
}

/// A row of a write set.
#[derive(Clone, Debug)]
pub(super) enum WrittenRow {
    /// In memory.
    Memory(Arc<[u8]>),
    /// In the write set's file.
    Spilled {
        /// The file.
        spill: Arc<Spill>,
        /// Where it begins.
        offset: u64,
        /// How long it is.
        bytes: usize,
    },
}

impl WrittenRow {
    /// Keeps a row in `spill`.
    pub(super) fn spilled(spill: &Arc<Spill>, row: &[u8]) -> Result<WrittenRow, StorageError> {
        spill.push(row)
    }

    /// How long it is.
    pub(super) fn len(&self) -> usize {
        match self {
            WrittenRow::Memory(row) => row.len(),
            WrittenRow::Spilled { bytes, .. } => *bytes,
        }
    }

    /// The row, where it is in memory.
    pub(super) fn in_memory(&self) -> Option<&Arc<[u8]>> {
        match self {
            WrittenRow::Memory(row) => Some(row),
            WrittenRow::Spilled { .. } => None,
        }
    }

    /// Its bytes. Of a spilled row they are read, from the page cache as a rule.
    pub(super) fn bytes(&self) -> Result<Cow<'_, [u8]>, StorageError> {
        match self {
            WrittenRow::Memory(row) => Ok(Cow::Borrowed(row)),
            WrittenRow::Spilled {
                spill,
                offset,
                bytes,
            } => {
                let mut row = vec![0; *bytes];
                spill.read(*offset, &mut row)?;
                Ok(Cow::Owned(row))
            }
        }
    }

    /// As [`WrittenRow::bytes`], to be kept.
    pub(super) fn shared(&self) -> Result<Arc<[u8]>, StorageError> {
        match self {
            WrittenRow::Memory(row) => Ok(row.clone()),
            WrittenRow::Spilled { .. } => Ok(Arc::from(&*self.bytes()?)),
        }
    }
}

fn failure(operation: &'static str) -> impl Fn(std::io::Error) -> StorageError {
    move |error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StorageError::DiskFull,
        _ => StorageError::Io {
            operation,
            error: Arc::new(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(directory: &Path) -> SpillPlace {
        SpillPlace::new(directory, 0, 1 << 20).unwrap()
    }

    #[test]
    fn rows_are_read_back_from_the_tail_and_from_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let spill = Arc::new(place(directory.path()).open().unwrap());
        let rows: Vec<Vec<u8>> = (0..=255u8)
            .map(|row| vec![row; 4 * usize::from(row)])
            .collect();
        let mut kept = Vec::new();
        for _ in 0..4 {
            kept.extend(rows.iter().map(|row| spill.push(row).unwrap()));
        }
        assert!(spill.tail.lock().start > 0, "some are in the file");
        for (written, row) in kept.iter().zip(rows.iter().cycle()) {
            assert_eq!(written.len(), row.len());
            assert_eq!(&*written.bytes().unwrap(), row.as_slice());
            assert_eq!(&*written.shared().unwrap(), row.as_slice());
        }
    }

    #[test]
    fn a_file_has_no_name_and_one_that_a_crash_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("spill-7"), "left").unwrap();
        std::fs::write(directory.path().join("data.mdb"), "kept").unwrap();
        let _spill = place(directory.path()).open().unwrap();
        let names = std::fs::read_dir(directory.path()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["data.mdb"]);
    }

    #[test]
    fn a_full_disk_is_53100_and_the_rows_before_stay_readable() {
        let full = File::options().read(true).write(true).open("/dev/full");
        let spill = Arc::new(Spill::over(full.unwrap(), 1 << 20));
        let kept = spill.push(b"before").unwrap();
        let refused = spill.push(&[0; PIECE_BYTES]).unwrap_err();
        assert_eq!(refused.sqlstate().as_str(), "53100");
        assert_eq!(&*kept.bytes().unwrap(), b"before");
        assert_eq!(&*spill.push(b"after").unwrap().bytes().unwrap(), b"after");
    }

    #[test]
    fn replaced_rows_cannot_make_the_file_grow_without_end() {
        let directory = tempfile::tempdir().unwrap();
        let spill = Arc::new(place(directory.path()).open().unwrap());
        let row = vec![0; 1 << 19];
        for _ in 0..8 {
            spill.push(&row).unwrap();
        }
        let refused = spill.push(&row).unwrap_err();
        assert_eq!(refused.sqlstate().as_str(), "54000");
    }
}
