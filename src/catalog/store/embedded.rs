//! The embedded store: an append-only log, compacted into a snapshot file now and then.
//!
//! Files, both in one directory: `catalog.snapshot` is the state at some epoch, `catalog.log` the
//! records after it. A change is written as one record and synced before anybody hears of it.
//! Compaction writes a new snapshot beside the old one, syncs and renames it, then does the same
//! with an empty log that continues it; a crash between the two leaves records in the log that
//! the snapshot has already, and they are skipped.
//!
//! A record that cannot be read is the torn tail of a crash if no intact record follows it: it
//! was never acknowledged and is cut. Anything else is damage, and the store does not open.

use super::directory::{AppendFile, Directory, DiskDirectory};
use super::image::{IMAGE_FORMAT, Image, decode_image, encode_image};
use super::record::{
    Header, LOG_FORMAT, LOG_HEADER_BYTES, RECORD_PAYLOAD_BYTES_MAX, RecordFault,
    contains_intact_record, decode_header, decode_record_of, encode_header, encode_record,
};
use super::{Store, StoreError};
use crate::catalog::snapshot::Principals;
use crate::catalog::{Change, Epoch};
use std::io;
use std::path::Path;

/// The log is compacted when it is larger than this and than twice the snapshot, so that the
/// work of compaction stays in proportion to the changes.
pub const COMPACTION_LOG_BYTES_MIN: u64 = 1024 * 1024;

const LOG: &str = "catalog.log";
const LOG_NEW: &str = "catalog.log.new";
const SNAPSHOT: &str = "catalog.snapshot";
const SNAPSHOT_NEW: &str = "catalog.snapshot.new";

/// The embedded store.
pub struct Embedded {
    directory: Box<dyn Directory>,
    log: Box<dyn AppendFile>,
    log_bytes: u64,
    last_epoch: Epoch,
    compact_at_bytes: u64,
    poisoned: Option<String>,
}

/// What was found when the store was opened.
#[derive(Debug)]
pub struct Recovered {
    /// The epoch of the last record; 0 for a new store.
    pub epoch: Epoch,
    /// The state.
    pub principals: Principals,
    /// The torn tail that was cut, if there was one.
    pub torn: Option<TornTail>,
}

/// An unacknowledged record that a crash left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Where it began; the log ends here now.
    pub offset: u64,
    /// How many bytes were cut.
    pub bytes: u64,
}

impl Embedded {
    /// Opens the store in a directory of the file system, making both as needed.
    ///
    /// # Errors
    /// Damage (with file and offset), a newer format (with both numbers), or the operating system.
    pub fn open(path: &Path) -> Result<(Embedded, Recovered), StoreError> {
        let directory = DiskDirectory::open(path).map_err(|source| StoreError::Io {
            action: "cannot open the catalog in",
            path: path.to_owned(),
            source,
        })?;
        Embedded::open_in(Box::new(directory))
    }

    /// Opens the store in any directory.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub fn open_in(directory: Box<dyn Directory>) -> Result<(Embedded, Recovered), StoreError> {
        let (image_epoch, mut principals, image_bytes) = read_image(&*directory)?;
        let mut scan = read_log(&*directory, image_epoch, &mut principals)?;
        let log = match &mut scan {
            Some(scan) if scan.format == LOG_FORMAT => open_log(&*directory)?,
            Some(scan) => migrated_log(&*directory, scan)?,
            None => new_log(&*directory, image_epoch)?,
        };
        let scan = scan.unwrap_or(Scan {
            intact_bytes: LOG_HEADER_BYTES as u64,
            last_epoch: image_epoch,
            base: image_epoch,
            format: LOG_FORMAT,
            torn: None,
        });
        let mut store = Embedded {
            directory,
            log,
            log_bytes: scan.intact_bytes,
            last_epoch: scan.last_epoch,
            compact_at_bytes: compaction_threshold(image_bytes),
            poisoned: None,
        };
        if let Some(torn) = scan.torn {
            store.cut(torn)?;
        }
        let recovered = Recovered {
            epoch: store.last_epoch,
            principals,
            torn: scan.torn,
        };
        Ok((store, recovered))
    }

    /// Moves the size at which the log is compacted, for tests.
    #[cfg(test)]
    pub(super) fn compact_at(&mut self, bytes: u64) {
        self.compact_at_bytes = bytes;
    }

    /// Cuts the log's torn tail, with a log line.
    fn cut(&mut self, torn: TornTail) -> Result<(), StoreError> {
        tracing::warn!(
            file = %self.directory.path(LOG).display(),
            offset = torn.offset,
            bytes = torn.bytes,
            "the catalog log ends in a record that a crash left incomplete; it was never acknowledged and is cut"
        );
        self.log
            .truncate(torn.offset)
            .and_then(|()| self.log.sync())
            .map_err(io_error(
                &*self.directory,
                "cannot cut the torn tail of",
                LOG,
            ))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if let Err(source) = self.log.append(bytes) {
            // A full disk is no reason to stop: the part that was written is taken back.
            if let Err(error) = self
                .log
                .truncate(self.log_bytes)
                .and_then(|()| self.log.sync())
            {
                self.poison(format!(
                    "a write failed ({source}) and could not be undone ({error})"
                ));
            }
            return Err(io_error(&*self.directory, "cannot write to", LOG)(source));
        }
        if let Err(source) = self.log.sync() {
            // After a failed sync nobody can say what is on the disk, not even a second sync.
            self.poison(format!("a sync failed ({source})"));
            return Err(io_error(&*self.directory, "cannot sync", LOG)(source));
        }
        self.log_bytes += bytes.len() as u64;
        Ok(())
    }

    fn poison(&mut self, why: String) {
        tracing::error!(
            file = %self.directory.path(LOG).display(),
            why,
            "the catalog log takes no more changes until the server is restarted"
        );
        self.poisoned = Some(why);
    }

    /// Writes the snapshot, then the empty log that continues it.
    fn compact(&mut self, epoch: Epoch, principals: &Principals) -> Result<(), StoreError> {
        let Some(image) = encode_image(epoch, principals) else {
            tracing::warn!("the catalog is too large for a snapshot file; its log goes on growing");
            self.compact_at_bytes = u64::MAX;
            return Ok(());
        };
        write_aside(&*self.directory, SNAPSHOT_NEW, &image)?;
        put_in_place(&*self.directory, SNAPSHOT_NEW, SNAPSHOT)?;
        write_aside(&*self.directory, LOG_NEW, &encode_header(epoch))?;
        let replaced = put_in_place(&*self.directory, LOG_NEW, LOG);
        match replaced.and_then(|()| open_log(&*self.directory)) {
            Ok(log) => {
                self.log = log;
                self.log_bytes = LOG_HEADER_BYTES as u64;
                self.last_epoch = self.last_epoch.max(epoch);
                self.compact_at_bytes = compaction_threshold(image.len() as u64);
                Ok(())
            }
            Err(error) => {
                // The new log may have its name already: our handle may be on a file that is gone.
                self.poison(format!("the log could not be replaced ({error})"));
                Err(error)
            }
        }
    }
}

impl Store for Embedded {
    fn append(&mut self, epoch: Epoch, changes: &[Change]) -> Result<(), StoreError> {
        if let Some(why) = &self.poisoned {
            return Err(StoreError::Poisoned(why.clone()));
        }
        assert!(epoch > self.last_epoch, "the log's epochs only grow");
        let bytes = encode_record(epoch, changes).map_err(|bytes| StoreError::TooLarge {
            bytes,
            max: RECORD_PAYLOAD_BYTES_MAX,
        })?;
        self.write(&bytes)?;
        self.last_epoch = epoch;
        Ok(())
    }

    fn settle(&mut self, epoch: Epoch, principals: &Principals) -> Result<(), StoreError> {
        if self.poisoned.is_some() || self.log_bytes < self.compact_at_bytes {
            return Ok(());
        }
        assert!(epoch >= self.last_epoch, "a snapshot has every record");
        let compacted = self.compact(epoch, principals);
        if compacted.is_err() {
            // Not again with every group while the disk is full.
            self.compact_at_bytes = self.log_bytes.saturating_mul(2);
        }
        compacted
    }
}

/// The files of a store that begins with this state, by name: what a backup keeps of it. None: it is too
/// large for a snapshot file, and lives in its log alone.
pub fn files_of(epoch: Epoch, principals: &Principals) -> Option<[(&'static str, Vec<u8>); 2]> {
    let image = encode_image(epoch, principals)?;
    Some([(SNAPSHOT, image), (LOG, encode_header(epoch).to_vec())])
}

fn compaction_threshold(image_bytes: u64) -> u64 {
    COMPACTION_LOG_BYTES_MIN.max(image_bytes.saturating_mul(2))
}

/// What reading the log found.
struct Scan {
    intact_bytes: u64,
    last_epoch: Epoch,
    base: Epoch,
    format: u32,
    torn: Option<TornTail>,
}

fn read_image(directory: &dyn Directory) -> Result<(Epoch, Principals, u64), StoreError> {
    let contents =
        directory
            .read(SNAPSHOT)
            .map_err(io_error(directory, "cannot read", SNAPSHOT))?;
    let Some(contents) = contents else {
        return Ok((Epoch(0), Principals::default(), 0));
    };
    match decode_image(&contents) {
        Image::State(epoch, principals) => Ok((epoch, *principals, contents.len() as u64)),
        Image::Newer(found) => Err(StoreError::NewerFormat {
            path: directory.path(SNAPSHOT),
            found,
            supported: IMAGE_FORMAT,
        }),
        Image::Damaged(offset, what) => Err(damaged(directory, SNAPSHOT, offset, what)),
    }
}

/// Applies the log's records to the snapshot's state. None: there is no log yet.
fn read_log(
    directory: &dyn Directory,
    image_epoch: Epoch,
    principals: &mut Principals,
) -> Result<Option<Scan>, StoreError> {
    let contents = directory
        .read(LOG)
        .map_err(io_error(directory, "cannot read", LOG))?;
    let Some(contents) = contents else {
        // The log is the first file made and never absent afterwards.
        return match image_epoch {
            Epoch(0) => Ok(None),
            _ => Err(damaged(directory, LOG, 0, "the file is missing")),
        };
    };
    match decode_header(&contents) {
        Header::Base(base, _) if base > image_epoch => {
            let what = "the log continues a snapshot that is not there";
            Err(damaged(directory, LOG, 0, what))
        }
        Header::Base(base, format) => {
            let start = Scan {
                intact_bytes: LOG_HEADER_BYTES as u64,
                last_epoch: base,
                base,
                format,
                torn: None,
            };
            scan_records(directory, &contents, start, image_epoch, principals).map(Some)
        }
        Header::Newer(found) => Err(StoreError::NewerFormat {
            path: directory.path(LOG),
            found,
            supported: LOG_FORMAT,
        }),
        Header::Damaged(what) => Err(damaged(directory, LOG, 0, what)),
    }
}

fn scan_records(
    directory: &dyn Directory,
    contents: &[u8],
    start: Scan,
    image_epoch: Epoch,
    principals: &mut Principals,
) -> Result<Scan, StoreError> {
    let mut at = LOG_HEADER_BYTES;
    let mut last_epoch = start.last_epoch;
    let mut torn = None;
    while at < contents.len() {
        match decode_record_of(start.format, &contents[at..]) {
            Ok(record) if record.epoch <= last_epoch => {
                let what = "the record's epoch is not after the one before";
                return Err(damaged(directory, LOG, at as u64, what));
            }
            Ok(record) => {
                last_epoch = record.epoch;
                if record.epoch > image_epoch {
                    record.changes.iter().for_each(|it| principals.apply(it));
                }
                at += record.bytes;
            }
            Err(fault) if is_torn(fault, &contents[at..]) => {
                torn = Some(TornTail {
                    offset: at as u64,
                    bytes: (contents.len() - at) as u64,
                });
                break;
            }
            Err(fault) => return Err(damaged(directory, LOG, at as u64, fault.as_str())),
        }
    }
    Ok(Scan {
        intact_bytes: at as u64,
        last_epoch: last_epoch.max(image_epoch),
        torn,
        ..start
    })
}

/// A crash leaves the last record incomplete or with blocks that were never written; whatever
/// has an intact record after it was acknowledged once, and is damage.
fn is_torn(fault: RecordFault, rest: &[u8]) -> bool {
    match fault {
        RecordFault::Undecodable => false,
        RecordFault::Incomplete | RecordFault::Head | RecordFault::Payload => {
            !contains_intact_record(&rest[1..])
        }
    }
}

/// An empty log that continues a snapshot.
fn new_log(directory: &dyn Directory, base: Epoch) -> Result<Box<dyn AppendFile>, StoreError> {
    write_aside(directory, LOG_NEW, &encode_header(base))?;
    put_in_place(directory, LOG_NEW, LOG)?;
    open_log(directory)
}

/// The log of an older format written anew in ours: an older server must not take up a log that may
/// get records it does not know. The torn tail comes along, to be cut next; the scan says where it is now.
fn migrated_log(
    directory: &dyn Directory,
    scan: &mut Scan,
) -> Result<Box<dyn AppendFile>, StoreError> {
    let contents = directory
        .read(LOG)
        .map_err(io_error(directory, "cannot read", LOG))?;
    let contents: &[u8] = contents.as_deref().unwrap_or_default();
    let mut bytes = encode_header(scan.base).to_vec();
    let mut at = LOG_HEADER_BYTES;
    let intact = usize::try_from(scan.intact_bytes).expect("the file was read into memory");
    while at < intact {
        let record = decode_record_of(scan.format, &contents[at..]);
        let record = record.expect("it was read a moment ago");
        let encoded = encode_record(record.epoch, &record.changes);
        bytes.extend(encoded.map_err(|bytes| StoreError::TooLarge {
            bytes,
            max: RECORD_PAYLOAD_BYTES_MAX,
        })?);
        at += record.bytes;
    }
    scan.intact_bytes = bytes.len() as u64;
    scan.torn = scan.torn.map(|torn| TornTail {
        offset: scan.intact_bytes,
        ..torn
    });
    bytes.extend_from_slice(&contents[at..]);
    write_aside(directory, LOG_NEW, &bytes)?;
    put_in_place(directory, LOG_NEW, LOG)?;
    tracing::info!(
        file = %directory.path(LOG).display(),
        from = scan.format,
        to = LOG_FORMAT,
        "the catalog log was of an older format and has been migrated"
    );
    open_log(directory)
}

fn open_log(directory: &dyn Directory) -> Result<Box<dyn AppendFile>, StoreError> {
    directory
        .append(LOG)
        .map_err(io_error(directory, "cannot open", LOG))
}

/// Writes a whole file under a passing name and syncs it.
fn write_aside(directory: &dyn Directory, passing: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file =
        directory
            .create(passing)
            .map_err(io_error(directory, "cannot create", passing))?;
    file.append(bytes)
        .and_then(|()| file.sync())
        .map_err(io_error(directory, "cannot write to", passing))
}

/// Gives a synced file its own name.
fn put_in_place(directory: &dyn Directory, passing: &str, name: &str) -> Result<(), StoreError> {
    directory
        .rename(passing, name)
        .map_err(io_error(directory, "cannot put in place", name))
}

fn damaged(directory: &dyn Directory, name: &str, offset: u64, what: &str) -> StoreError {
    StoreError::Damaged {
        path: directory.path(name),
        offset,
        what: what.to_owned(),
    }
}

fn io_error(
    directory: &dyn Directory,
    action: &'static str,
    name: &str,
) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path = directory.path(name);
    move |source| StoreError::Io {
        action,
        path,
        source,
    }
}
