//! The files under the store, behind a small trait, so that tests can tear writes and fail syncs.

use memmap2::Mmap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A directory that holds the store's files.
pub trait Directory: Send {
    /// The path of a file, for messages.
    fn path(&self, name: &str) -> PathBuf;
    /// The contents of a file as they are now; None when there is none.
    fn read(&self, name: &str) -> io::Result<Option<Contents>>;
    /// A new, empty file, in the place of one of that name.
    fn create(&self, name: &str) -> io::Result<Box<dyn AppendFile>>;
    /// An existing file, to append to.
    fn append(&self, name: &str) -> io::Result<Box<dyn AppendFile>>;
    /// Gives a synced file its final name, in the place of one of that name; durable on return.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
}

/// A file that grows at its end.
pub trait AppendFile: Send {
    /// Writes at the end. After an error any part of it may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything written so far durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// A file's contents: mapped, or in memory.
pub enum Contents {
    /// A map of the file.
    Mapped(Mmap),
    /// Bytes; an empty file cannot be mapped.
    Owned(Vec<u8>),
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Contents::Mapped(map) => map,
            Contents::Owned(bytes) => bytes,
        }
    }
}

/// A directory of the file system. Its owner keeps a second server out (the lock on data_dir).
pub struct DiskDirectory(PathBuf);

impl DiskDirectory {
    /// The directory, made if it is not there; its name is on the disk when this returns.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path) -> io::Result<DiskDirectory> {
        std::fs::create_dir_all(path)?;
        // The names of the files in it are synced by `rename`; that of the directory stands in its
        // parent, also when an earlier start made it and ended before this.
        if let Some(parent) = path.canonicalize()?.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(DiskDirectory(path.to_owned()))
    }
}

impl Directory for DiskDirectory {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn read(&self, name: &str) -> io::Result<Option<Contents>> {
        let file = match File::open(self.path(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() == 0 {
            return Ok(Some(Contents::Owned(Vec::new())));
        }
        // SAFETY: the map is read only while the store is being opened, before this process
        // appends; data_dir is locked, so that no other server writes or truncates the file.
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Some(Contents::Mapped(map)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        let file = File::create(self.path(name))?;
        Ok(Box::new(DiskFile(file)))
    }

    fn append(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().append(true).open(self.path(name))?;
        Ok(Box::new(DiskFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))?;
        File::open(&self.0)?.sync_all()
    }
}

struct DiskFile(File);

impl AppendFile for DiskFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }
}
