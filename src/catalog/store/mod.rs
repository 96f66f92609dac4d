//! Where the principals' half of the catalog is kept (DESIGN §3, §6 "Two kinds of truth").
//!
//! A [`Store`] takes the changes of one epoch at a time and has them durable when it returns. The
//! embedded one is an append-only log with checksums, compacted into a snapshot file; a
//! distributed one would use its revision as the epoch.

pub mod directory;
pub mod embedded;
#[doc(hidden)]
pub mod image;
mod loading;
#[cfg(test)]
pub(crate) mod memory;
mod older;
#[doc(hidden)]
pub mod record;
#[cfg(test)]
mod tests;
pub mod usage;

pub use embedded::{Embedded, Recovered, TornTail, files_of};

use super::change::Change;
use super::ids::Epoch;
use super::snapshot::Principals;
use crate::diagnostic::{Diagnostic, SqlState};
use std::io;
use std::path::PathBuf;

/// Keeps changes.
pub trait Store: Send {
    /// Makes one epoch's changes durable; they are on the disk when this returns. Blocks.
    ///
    /// # Errors
    /// After an error the changes are not part of the store and may not be published.
    fn append(&mut self, epoch: Epoch, changes: &[Change]) -> Result<(), StoreError>;

    /// Called between two groups, with the state they led to: the time to compact. Blocks.
    ///
    /// # Errors
    /// The store stays usable after an error here unless the error says otherwise.
    fn settle(&mut self, epoch: Epoch, principals: &Principals) -> Result<(), StoreError>;
}

/// Why the store could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A record or a file that is not what was written.
    #[error("{path} is damaged at offset {offset}: {what}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// Written by a newer server.
    #[error(
        "{path} has format {found}, newer than format {supported}, the newest this server reads"
    )]
    NewerFormat {
        /// Which file.
        path: PathBuf,
        /// Its number.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// One group of changes past the limit of a record.
    #[error("a change of {bytes} bytes exceeds the {max} bytes of one record of the catalog log")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// An earlier write or sync failed in a way that leaves the file's state unknown.
    #[error("the catalog log takes no more changes since an earlier failure: {0}")]
    Poisoned(String),
}

impl StoreError {
    /// The code a client is told.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            StoreError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                SqlState::DISK_FULL
            }
            StoreError::Io { .. } | StoreError::Poisoned(_) => SqlState::IO_ERROR,
            StoreError::Damaged { .. } | StoreError::NewerFormat { .. } => SqlState::DATA_CORRUPTED,
            StoreError::TooLarge { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
        }
    }
}

impl From<&StoreError> for Diagnostic {
    fn from(error: &StoreError) -> Diagnostic {
        Diagnostic::error(error.sqlstate(), error.to_string())
    }
}
