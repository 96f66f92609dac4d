//! Room kept free for what makes room: deleting copies pages before it frees any, so that a store
//! that writes until the last page could never be emptied again.
//!
//! Whatever grows the store is refused with 53100 while less than [`RESERVE_BYTES`] would be left,
//! of the map as well as of the disk; deletions and relations given up may use the rest. The map is
//! opened that much larger than it is said to be; on the disk the file system sets the bytes behind
//! the end of the data file aside.

use super::commit_gate::Job;
use super::error::StorageError;
use super::lmdb::Environment;
use std::sync::Arc;

/// What deleting a few thousand rows copies at once, generously.
pub(super) const RESERVE_BYTES: usize = 4 << 20;

/// The file system is asked for so much at a time.
const STEP_BYTES: usize = 8 << 20;

/// Pages that a group copies besides what it writes.
const COPIED_BYTES: usize = 64 << 10;

/// What is known of the room of one store; the commit thread's own.
pub(super) struct Room {
    environment: Arc<Environment>,
    /// The data file has room on the disk up to here.
    set_aside: usize,
}

impl Room {
    /// Asks the file system for the reserve; a disk that is full already refuses it, and then only
    /// what is deleted makes room.
    pub(super) fn new(environment: Arc<Environment>) -> Room {
        let used = environment.info().used_bytes;
        let mut room = Room {
            environment,
            set_aside: used,
        };
        room.set_aside_to(used + RESERVE_BYTES);
        room
    }

    /// Whether there is room for these jobs and the reserve.
    ///
    /// # Errors
    /// 53100: [`StorageError::MapFull`] or [`StorageError::DiskFull`].
    pub(super) fn admit(&mut self, jobs: &[Job]) -> Result<(), StorageError> {
        let growth: usize = jobs.iter().map(growth).sum();
        if growth == 0 {
            return Ok(());
        }
        let info = self.environment.info();
        // Keys and rows as they are, and half-filled pages.
        let end = info.used_bytes + 2 * growth + COPIED_BYTES;
        if end > info.map_bytes && end - self.free_bytes()? > info.map_bytes {
            return Err(StorageError::MapFull);
        }
        let needed = end + RESERVE_BYTES;
        if needed > self.set_aside
            && !self.set_aside_to(needed + STEP_BYTES)
            && !self.set_aside_to(needed)
            && needed - self.free_bytes()? > self.set_aside
        {
            return Err(StorageError::DiskFull);
        }
        Ok(())
    }

    fn set_aside_to(&mut self, end: usize) -> bool {
        use rustix::fs::{FallocateFlags, fallocate};
        let (from, bytes) = (self.set_aside, end.saturating_sub(self.set_aside));
        let file = self.environment.data_file();
        match fallocate(file, FallocateFlags::KEEP_SIZE, from as u64, bytes as u64) {
            Ok(()) => self.set_aside = end,
            // Nothing can be known beforehand here: a full disk is found out by writing.
            Err(rustix::io::Errno::OPNOTSUPP) => self.set_aside = usize::MAX,
            Err(_) => return false,
        }
        true
    }

    /// In pages that were freed; those that an open snapshot still needs are among them.
    fn free_bytes(&self) -> Result<usize, StorageError> {
        let pages = self.environment.pages_freed_since(0)?;
        Ok(usize::try_from(pages).unwrap_or(usize::MAX) * self.environment.info().page_bytes)
    }
}

/// About the bytes that a job adds; 0 for one that only takes away.
fn growth(job: &Job) -> usize {
    match job {
        // Dropping and truncating write a definition, and give much more back.
        Job::Commit(commit) if !commit.request.dropped.is_empty() => 0,
        Job::Commit(commit) => {
            let entries = commit.request.entries.iter();
            entries
                .filter_map(|(key, row)| Some(key.len() + row.as_ref()?.len()))
                .sum()
        }
        Job::Bulk { batch, .. } => batch.bytes(),
        Job::Record { value, .. } => value.len(),
        Job::Clear(_) | Job::Between(_) | Job::Discard(_) => 0,
    }
}
