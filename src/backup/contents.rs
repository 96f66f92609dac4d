//! What a backup holds: taken at one moment, sent file by file.

use super::frame::{FRAME_BYTES_MAX, Frame};
use super::{LABEL_FILE, SOCKET_FILE};
use crate::audit::Audit;
use crate::catalog::key_usage::KeyUsage;
use crate::catalog::store::{files_of, usage};
use crate::catalog::{Epoch, Snapshot, port};
use crate::data_dir::{CATALOG_DIRECTORY, MOCK_KEY_FILE, ROWS_DIRECTORY};
use crate::storage::{Storage, StorageError, StoreCopy};
use chrono::{DateTime, SecondsFormat, Utc};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::SystemTime;
use thiserror::Error;

/// What is read of a kept key set; the fetcher takes less.
const KEY_SET_BYTES_MAX: u64 = 4 << 20;

/// Kept key sets in a backup: there are fewer providers.
const KEY_SETS_MAX: usize = 10_000;

/// Where everything is that a backup holds.
pub struct Source {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The row store.
    pub storage: Storage,
    /// The way to the principals.
    pub control: port::Handle,
    /// When API keys were last presented.
    pub key_usage: KeyUsage,
    /// Where backups are recorded.
    pub audit: Audit,
    /// `[auth.jwks] cache_dir`: in a backup where it is relative, and so in the data directory.
    pub key_sets: PathBuf,
}

/// Why sending ended early.
#[derive(Debug, Error)]
pub enum SendError {
    /// The command has gone, or takes nothing more.
    #[error("the command went away: {0}")]
    Gone(io::Error),
    /// The server is ending.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The row store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The principals do not fit into a snapshot file.
    #[error("the users, keys and databases are more than a snapshot of them can hold")]
    PrincipalsTooLarge,
    /// A small file of the data directory.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The two kinds of truth, at one moment.
struct Moment {
    catalog: Arc<Snapshot>,
    rows: StoreCopy,
    at: SystemTime,
}

/// A file that is in memory: its path in the data directory, and its bytes.
type SmallFile = (String, Vec<u8>);

impl Source {
    /// Sends a backup: all of its frames, but for a refusal. Blocks as long as it takes; gives the
    /// number of bytes of its files.
    ///
    /// # Errors
    /// [`SendError`]; the command then has frames without an end.
    pub fn send(&self, to: &mut impl Write) -> Result<u64, SendError> {
        let mut moment = self.moment()?;
        let files = self.small_files(&moment)?;
        let small: u64 = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let begin = Frame::Begin(small + moment.rows.bytes());
        begin.write(to).map_err(SendError::Gone)?;
        for (name, bytes) in &files {
            send_file(to, name, bytes).map_err(SendError::Gone)?;
        }
        let rows = send_rows(to, &mut moment.rows)?;
        Frame::End.write(to).map_err(SendError::Gone)?;
        Ok(small + rows)
    }

    /// On the control thread: no principal comes or goes between the two halves.
    fn moment(&self) -> Result<Moment, SendError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let storage = self.storage.clone();
        let asked = self.control.at_rest(move |catalog| {
            let taken = storage.copy().map(|rows| Moment {
                catalog: catalog.clone(),
                rows,
                at: SystemTime::now(),
            });
            // When nobody takes it the copy ends.
            let _ = sender.send(taken);
        });
        match receiver.recv() {
            Ok(taken) if asked => Ok(taken?),
            _ => Err(SendError::ShuttingDown),
        }
    }

    fn small_files(&self, moment: &Moment) -> Result<Vec<SmallFile>, SendError> {
        let Snapshot {
            epoch, principals, ..
        } = &*moment.catalog;
        let label = label(*epoch, moment.at).into_bytes();
        let mut files = vec![(LABEL_FILE.to_owned(), label)];
        files.push((MOCK_KEY_FILE.to_owned(), self.read(MOCK_KEY_FILE)?));
        let catalog = files_of(*epoch, principals).ok_or(SendError::PrincipalsTooLarge)?;
        let used = usage::file_of(&self.key_usage.current()).map_err(SendError::Gone)?;
        for (name, bytes) in catalog.into_iter().chain([used]) {
            files.push((format!("{CATALOG_DIRECTORY}/{name}"), bytes));
        }
        files.extend(self.kept_key_sets()?);
        let (name, text) = moment.rows.format_file();
        files.push((format!("{ROWS_DIRECTORY}/{name}"), text.into_bytes()));
        Ok(files)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, SendError> {
        let path = self.data_dir.join(name);
        fs::read(&path).map_err(|source| SendError::Unreadable { path, source })
    }

    /// The last good keys of identity providers, for a start while one is down. Whatever of them cannot
    /// be read is fetched anew then.
    fn kept_key_sets(&self) -> Result<Vec<SmallFile>, SendError> {
        let relative = self
            .key_sets
            .to_str()
            .filter(|_| self.key_sets.is_relative());
        let Some(relative) = relative else {
            return Ok(Vec::new());
        };
        let Ok(entries) = fs::read_dir(self.data_dir.join(relative)) else {
            return Ok(Vec::new());
        };
        let mut files = Vec::new();
        for entry in entries.flatten().take(KEY_SETS_MAX) {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| name.ends_with(".jwks")) else {
                continue;
            };
            if let Ok(bytes) = read_bounded(&entry.path()) {
                files.push((format!("{relative}/{name}"), bytes));
            }
        }
        Ok(files)
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(KEY_SET_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn send_file(to: &mut impl Write, name: &str, bytes: &[u8]) -> io::Result<()> {
    Frame::File(name).write(to)?;
    for part in bytes.chunks(FRAME_BYTES_MAX) {
        Frame::Data(part).write(to)?;
    }
    Frame::Close(bytes.len() as u64).write(to)
}

fn send_rows(to: &mut impl Write, rows: &mut StoreCopy) -> Result<u64, SendError> {
    let name = format!("{ROWS_DIRECTORY}/{}", rows.file_name());
    Frame::File(&name).write(to).map_err(SendError::Gone)?;
    let mut buffer = vec![0; FRAME_BYTES_MAX];
    let mut sent = 0;
    loop {
        let read = rows.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        let part = Frame::Data(&buffer[..read]);
        part.write(to).map_err(SendError::Gone)?;
        sent += read as u64;
    }
    Frame::Close(sent).write(to).map_err(SendError::Gone)?;
    Ok(sent)
}

/// What a backup says of itself.
fn label(epoch: Epoch, at: SystemTime) -> String {
    let at = DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Secs, true);
    format!(
        "NodeDB backup\n\
         of: {at}\n\
         epoch: {epoch}\n\
         made by: nodedb {}\n\
         holds: all databases with their rows, users, roles, tenants, service accounts, API keys \
         (verifiers, no secrets), identity providers and their last keys\n\
         holds not: nodedb.toml and the files that it names, the audit log, superuser_password, {SOCKET_FILE}\n\
         restore: start a server with data_dir = this directory, or a copy of it\n",
        env!("CARGO_PKG_VERSION"),
    )
}
