//! A directory in memory that crashes, fills up and fails syncs on request, for tests.

use super::directory::{AppendFile, Contents, Directory};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The directory. Cloning shares, so that a test keeps it while the store has it.
#[derive(Clone, Default)]
pub struct MemoryDirectory(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<String, Arc<Mutex<File>>>,
    faults: Faults,
}

/// What is to go wrong, and when: the number of calls that still succeed.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    /// Calls of append, sync and rename that succeed; None: all of them.
    pub calls_left: Option<u32>,
    /// Bytes that the disk still takes; None: any number.
    pub bytes_left: Option<usize>,
    /// Whether syncs fail.
    pub syncs_fail: bool,
}

#[derive(Clone, Default)]
struct File {
    written: Vec<u8>,
    synced: usize,
}

impl MemoryDirectory {
    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    /// The bytes of a file.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.0.lock();
        state.files[name].lock().written.clone()
    }

    /// Puts bytes in the place of a file.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let file = File {
            synced: bytes.len(),
            written: bytes,
        };
        let file = Arc::new(Mutex::new(file));
        self.0.lock().files.insert(name.to_owned(), file);
    }

    /// What is left after a crash that keeps this many of the bytes that were not synced: a
    /// directory of its own, without faults.
    pub fn after_crash(&self, unsynced_bytes_kept: usize) -> MemoryDirectory {
        let crashed = MemoryDirectory::default();
        for (name, file) in &self.0.lock().files {
            let file = file.lock();
            let kept = file.written.len().min(file.synced + unsynced_bytes_kept);
            crashed.put(name, file.written[..kept].to_vec());
        }
        crashed
    }
}

impl State {
    fn call(&mut self) -> io::Result<()> {
        match &mut self.faults.calls_left {
            Some(0) => Err(io::Error::other("an injected fault")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Directory for MemoryDirectory {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("memory").join(name)
    }

    fn read(&self, name: &str) -> io::Result<Option<Contents>> {
        let state = self.0.lock();
        let file = state.files.get(name);
        Ok(file.map(|file| Contents::Owned(file.lock().written.clone())))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        self.put(name, Vec::new());
        self.append(name)
    }

    fn append(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        let file = self.0.lock().files.get(name).cloned();
        let file = file.ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(MemoryFile {
            directory: self.clone(),
            file,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        state.call()?;
        let file = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), file);
        Ok(())
    }
}

struct MemoryFile {
    directory: MemoryDirectory,
    file: Arc<Mutex<File>>,
}

impl AppendFile for MemoryFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.directory.0.lock();
        state.call()?;
        let fits = match &mut state.faults.bytes_left {
            None => bytes.len(),
            Some(left) => {
                let fits = bytes.len().min(*left);
                *left -= fits;
                fits
            }
        };
        self.file.lock().written.extend_from_slice(&bytes[..fits]);
        match fits == bytes.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.directory.0.lock();
        state.call()?;
        if state.faults.syncs_fail {
            return Err(io::Error::other("an injected sync failure"));
        }
        let mut file = self.file.lock();
        file.synced = file.written.len();
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let mut file = self.file.lock();
        let length = usize::try_from(bytes).expect("test files are small");
        file.written.truncate(length);
        file.synced = file.synced.min(length);
        Ok(())
    }
}
