//! The file that is being written, behind a small trait: tests make it full, slow and unreliable.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where entries go.
pub trait Medium: Send {
    /// From now on to the end of this file, which is made if it is not there; its name is durable on return.
    ///
    /// # Errors
    /// What the system says.
    fn open(&mut self, name: &str) -> io::Result<()>;
    /// Writes at the end. After an error any part of it may be there.
    ///
    /// # Errors
    /// What the system says.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes all that was written durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// A directory of the file system.
pub struct Disk {
    directory: PathBuf,
    file: Option<File>,
}

impl Disk {
    /// This one.
    pub fn new(directory: &Path) -> Disk {
        Disk {
            directory: directory.to_owned(),
            file: None,
        }
    }

    fn file(&mut self) -> &mut File {
        self.file.as_mut().expect("a file is opened first")
    }
}

impl Medium for Disk {
    fn open(&mut self, name: &str) -> io::Result<()> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.directory.join(name))?;
        File::open(&self.directory)?.sync_all()?;
        self.file = Some(file);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file().write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file().sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file().set_len(length)
    }
}
