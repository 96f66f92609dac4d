//! A full disk, where LMDB does not say that it is one.

use super::error::StorageError;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// With less than this left a write that was cut short was cut short for want of room.
const FREE_BYTES_MIN: u64 = 1 << 20;

/// Has the file system set room aside for the whole lock file in this directory: LMDB makes it sparse
/// and maps it, and on a full disk a reader's slot never touched before would end the process with
/// SIGBUS. Keep the handle as long as the environment is open: closing any descriptor of the file
/// drops LMDB's locks on it.
///
/// # Errors
/// 53100; 58030 for anything else but a file system that cannot reserve.
pub(super) fn reserve_lock_file(directory: &Path) -> Result<File, StorageError> {
    let refused = |error: std::io::Error| match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => StorageError::DiskFull,
        _ => StorageError::Io {
            operation: "reserve room for the lock file",
            error: Arc::new(error),
        },
    };
    let mut options = File::options();
    let file = options.read(true).write(true);
    let file = file.open(directory.join("lock.mdb")).map_err(refused)?;
    let length = file.metadata().map_err(refused)?.len();
    match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, length) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => Ok(file),
        Err(error) => Err(refused(error.into())),
    }
}

/// What a failed commit is called. LMDB answers a write that was cut short, which is how a disk that
/// fills up shows first, with EIO.
pub(super) fn commit_error(error: StorageError, directory: &Path) -> StorageError {
    let short = matches!(&error, StorageError::Io { error, .. }
        if error.raw_os_error() == Some(libc::EIO));
    match rustix::fs::statvfs(directory) {
        Ok(disk) if short && disk.f_bavail.saturating_mul(disk.f_frsize) < FREE_BYTES_MIN => {
            StorageError::DiskFull
        }
        _ => error,
    }
}
