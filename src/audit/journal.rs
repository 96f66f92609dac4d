//! The files, as their one writer has them: groups of entries at the end, a new file when one is full.

use super::chain::{ChainKey, Link, SEAL_BYTES, seal};
use super::entry::{Entry, Source};
use super::event::Event;
use super::head::{Head, HeadFile};
use super::line::LINE_BYTES_MAX;
use super::medium::{Disk, Medium};
use super::names;
use super::recovery::{self, Recovered};
use std::borrow::Borrow;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The longest file.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

/// What an operator can set of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Files that are kept; the oldest goes when there is one more. 0: all of them.
    pub files_max: u32,
    /// The longest file.
    pub file_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            files_max: 0,
            file_bytes_max: FILE_BYTES_MAX,
        }
    }
}

/// Why the log cannot be opened.
#[derive(Debug, Error)]
#[error("cannot {action} the audit log in {}: {source}", path.display())]
pub struct AuditError {
    /// What was tried.
    pub action: &'static str,
    /// Where.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// The files and where they end.
pub struct Journal {
    directory: PathBuf,
    medium: Box<dyn Medium>,
    key: ChainKey,
    options: Options,
    head: Head,
    head_file: HeadFile,
    /// The file that is being written, and how much of it is durable; None before the first entry.
    file: Option<(String, u64)>,
    /// The next entry does not fit into it.
    is_full: bool,
    /// A file has begun since old ones were looked for.
    has_begun: bool,
}

impl Journal {
    /// Opens the log of a directory, made as needed; gives what is to be recorded of how it was found.
    /// Reads what was written since the anchor was, which is one group after a crash. Blocks.
    ///
    /// # Errors
    /// What the system says. Files that are not as they were left are no error: they are left as they are,
    /// and a new one begins, which says so.
    pub fn open(
        directory: &Path,
        key: ChainKey,
        options: Options,
    ) -> Result<(Journal, Vec<Entry>), AuditError> {
        let medium = Box::new(Disk::new(directory));
        Journal::open_on(directory, key, options, medium)
    }

    /// [`Journal::open`] with another way to write.
    ///
    /// # Errors
    /// As there.
    pub(super) fn open_on(
        directory: &Path,
        key: ChainKey,
        options: Options,
        mut medium: Box<dyn Medium>,
    ) -> Result<(Journal, Vec<Entry>), AuditError> {
        let failed = |action: &'static str| {
            let path = directory.to_owned();
            move |source| AuditError {
                action,
                path,
                source,
            }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed("make"))?;
        let Recovered { head, file, notes } =
            recovery::recover(directory, &key).map_err(failed("read"))?;
        let mut head_file = HeadFile::open(directory).map_err(failed("open"))?;
        head_file
            .write(&head, &key)
            .and_then(|()| head_file.sync())
            .map_err(failed("write"))?;
        if let Some((name, length)) = &file {
            medium
                .open(name)
                .and_then(|()| medium.truncate(*length))
                .and_then(|()| medium.sync())
                .map_err(failed("repair"))?;
        }
        let journal = Journal {
            directory: directory.to_owned(),
            medium,
            key,
            options,
            head,
            head_file,
            file,
            is_full: false,
            has_begun: true,
        };
        Ok((journal, notes))
    }

    /// Where the chain ends, durably.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Writes entries and makes them durable; says how many of them are, with what kept the others from it.
    /// What was written of those is taken back. Blocks: one fsync, or two where a file is full.
    pub fn append<E: Borrow<Entry>>(&mut self, entries: &[E]) -> (usize, io::Result<()>) {
        let mut durable = 0;
        while durable < entries.len() {
            match self.append_some(&entries[durable..]) {
                Ok(count) => durable += count,
                Err(error) => return (durable, Err(error)),
            }
        }
        (durable, Ok(()))
    }

    /// As many as fit into the file; none where it is full, and the next one begins.
    fn append_some<E: Borrow<Entry>>(&mut self, entries: &[E]) -> io::Result<usize> {
        let (name, length) = self.file_with_room()?;
        let mut pending = Pending {
            bytes: Vec::new(),
            seq: self.head.seq,
            link: self.head.link,
        };
        if length == 0 {
            pending.push(&self.first_entry(), &self.key);
        }
        let mut count = 0;
        for entry in entries {
            let before = pending.push(entry.borrow(), &self.key);
            let end = length + pending.bytes.len() as u64;
            // A new file takes one entry whatever its length.
            if end > self.options.file_bytes_max && (count > 0 || length > 0) {
                pending.take_back(before);
                self.is_full = true;
                break;
            }
            count += 1;
        }
        if count == 0 {
            return Ok(0);
        }
        let written = self
            .medium
            .append(&pending.bytes)
            .and_then(|()| self.medium.sync());
        if let Err(error) = written {
            // If this fails as well it is done before the next attempt: nothing is appended at another place.
            let _ = self.medium.truncate(length);
            return Err(error);
        }
        self.head = Head {
            seq: pending.seq,
            link: pending.link,
            length: length + pending.bytes.len() as u64,
            file: name.clone(),
        };
        self.file = Some((name, self.head.length));
        if let Err(error) = self.head_file.write(&self.head, &self.key) {
            tracing::error!(%error, "the anchor of the audit log cannot be written: it is behind its files");
        }
        Ok(count)
    }

    /// The file to go on with, cut to what is durable of it.
    fn file_with_room(&mut self) -> io::Result<(String, u64)> {
        if let Some((name, length)) = &self.file
            && !self.is_full
        {
            let (name, length) = (name.clone(), *length);
            self.medium.truncate(length)?;
            return Ok((name, length));
        }
        self.log_head();
        self.head_file.sync()?;
        let name = names::of(self.head.seq + 1);
        self.set_aside(&name)?;
        self.medium.open(&name)?;
        self.file = Some((name.clone(), 0));
        self.is_full = false;
        self.has_begun = true;
        Ok((name, 0))
    }

    /// Somebody has put a file where the next one is to be: it is kept under another name.
    fn set_aside(&self, name: &str) -> io::Result<()> {
        let there = self.directory.join(name);
        if std::fs::metadata(&there).map_or(0, |found| found.len()) == 0 {
            return Ok(());
        }
        let aside = self.directory.join(format!("{name}.foreign"));
        tracing::error!(file = %aside.display(), "a file stood in the place of the audit log's next one: it is set aside");
        std::fs::rename(there, aside)
    }

    /// The first line of a file says what it follows.
    fn first_entry(&self) -> Entry {
        Entry::new(Event::File, Source::Server)
            .with("previous_hash", self.head.link.to_string())
            .with("previous_file", self.head.file.clone())
    }

    /// Where the chain ends, in the server's own log: whoever keeps that elsewhere can tell from it whether
    /// all of the directory was put back to an earlier day.
    pub fn log_head(&self) {
        let Head {
            seq, link, file, ..
        } = &self.head;
        tracing::info!(seq, hash = %link, file, "the head of the audit log");
    }

    /// Removes the oldest files past `files_max`; what is to be recorded of it. Blocks.
    pub fn remove_old_files(&mut self) -> Option<Entry> {
        let files_max = self.options.files_max as usize;
        if files_max == 0 || !std::mem::take(&mut self.has_begun) {
            return None;
        }
        let names = names::files(&self.directory).ok()?;
        let excess = names.len().checked_sub(files_max).filter(|it| *it > 0)?;
        let (gone, kept) = names.split_at(excess);
        let through = names::first_of(kept.first()?)? - 1;
        for name in gone {
            if let Err(error) = std::fs::remove_file(self.directory.join(name)) {
                tracing::warn!(%error, name, "an old file of the audit log cannot be removed");
                return None;
            }
        }
        let entry = Entry::new(Event::FilesRemoved, Source::Server)
            .with("files", gone.join(", "))
            .with("through", through.to_string());
        Some(entry)
    }

    /// At the end: the anchor is durable as well.
    ///
    /// # Errors
    /// What the system says.
    pub fn close(&self) -> io::Result<()> {
        self.log_head();
        self.head_file.sync()
    }
}

/// Lines that are to be written.
struct Pending {
    bytes: Vec<u8>,
    seq: u64,
    link: Link,
}

/// Where lines ended before one was added.
struct Before {
    bytes: usize,
    seq: u64,
    link: Link,
}

impl Pending {
    fn push(&mut self, entry: &Entry, key: &ChainKey) -> Before {
        let before = Before {
            bytes: self.bytes.len(),
            seq: self.seq,
            link: self.link,
        };
        self.seq += 1;
        let mut line = entry.body(self.seq);
        debug_assert!(line.len() + SEAL_BYTES <= LINE_BYTES_MAX);
        self.link = seal(key, &self.link, &mut line);
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.push(b'\n');
        before
    }

    fn take_back(&mut self, before: Before) {
        self.bytes.truncate(before.bytes);
        (self.seq, self.link) = (before.seq, before.link);
    }
}
