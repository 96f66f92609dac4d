//! Why `nodedb backup` made none. Whatever it is, nothing of it is left but what the text names.

use super::progress::size;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why there is no backup.
#[derive(Debug, Error)]
pub enum BackupError {
    /// Nobody answers at the socket.
    #[error(
        "no server is running on the data directory {}: start it, or, while none runs, copy the \
         directory itself ({source})",
        data_dir.display()
    )]
    NoServer {
        /// Whose server was looked for.
        data_dir: PathBuf,
        /// What connecting said.
        source: io::Error,
    },
    /// The server has said why not.
    #[error("the server made no backup: {0}")]
    Refused(String),
    /// The server has gone, or sends what is no backup.
    #[error("the server did not send the backup to its end ({0}); nothing of it was kept")]
    BrokenOff(io::Error),
    /// DIR holds something.
    #[error("{} is not empty: a backup is made in a new or an empty directory", .0.display())]
    NotEmpty(PathBuf),
    /// DIR is something else, or has no name.
    #[error("{} is no directory that a backup could be made in", .0.display())]
    NoDirectory(PathBuf),
    /// DIR is where another file system is mounted.
    #[error("{} is a mount point: name a new directory in it", .0.display())]
    MountPoint(PathBuf),
    /// Known before anything was written.
    #[error(
        "the backup needs {} and the disk of {} has {} left",
        size(*needed), path.display(), size(*free)
    )]
    NoRoom {
        /// Where it was to be.
        path: PathBuf,
        /// Bytes of the backup.
        needed: u64,
        /// Bytes that are left.
        free: u64,
    },
    /// Found out by writing.
    #[error(
        "the disk of {} is full after {}; nothing of the backup was kept",
        path.display(), size(*written)
    )]
    DiskFull {
        /// Where it was to be.
        path: PathBuf,
        /// Bytes written until then.
        written: u64,
    },
    /// SIGINT or SIGTERM.
    #[error("stopped; nothing of the backup was kept")]
    Stopped,
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl BackupError {
    pub(super) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> BackupError + use<> {
        let path = path.to_owned();
        move |source| BackupError::Io {
            action,
            path,
            source,
        }
    }

    /// Whether the disk, or the user's share of it, is full.
    pub(super) fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, BackupError::Io { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}
