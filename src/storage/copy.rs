//! A copy of the data file as of one moment, taken while the store goes on being written.
//!
//! LMDB copies itself (`mdb_env_copyfd2`): the data file is never opened a second time, which would
//! drop LMDB's locks on it. It writes into a pipe on a thread of its own, so that whoever reads sets
//! the pace, sees how far it is, and ends it by letting go. The snapshot is begun on the commit thread,
//! between two groups: LMDB takes its writers' lock for that, which is unfair, and a thread that has
//! the lock nearly all the time would keep a copy waiting.
//!
//! For as long as the copy takes, pages that are freed cannot be used again, and the file grows by
//! them: the metrics of the oldest snapshot count it, and on a disk that is nearly full it is given up.

use super::commit_gate::Job;
use super::error::StorageError;
use super::format;
use super::reader::CopyAge;
use super::store::{Shared, Storage};
use rustix::io::Errno;
use rustix::thread::{Pid, gettid};
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

/// Session cores come first.
const NICE: i32 = 10;

/// What is read while the commit thread waits: LMDB's two meta pages are in it, which it writes while
/// it keeps writers out.
const FIRST_BYTES_MAX: usize = 64 << 10;

/// LMDB's name of the data file.
const DATA_FILE: &str = "data.mdb";

/// The bytes of a data file, to be read. `Send`. Dropping it ends the copy.
pub struct StoreCopy {
    first: io::Cursor<Vec<u8>>,
    pipe: Option<PipeReader>,
    thread: Option<JoinHandle<Result<(), StorageError>>>,
    age: CopyAge,
    bytes: u64,
}

impl Storage {
    /// Begins a copy of what is durable now. Waits for the group of commits under way, and blocks.
    ///
    /// # Errors
    /// 53300 when no reader slot is left; 57P01 when the store closes; what the system refuses.
    pub fn copy(&self) -> Result<StoreCopy, StorageError> {
        let shared = self.shared().clone();
        let (sender, receiver) = mpsc::sync_channel(1);
        let gate = shared.gate.clone();
        gate.submit(Job::Between(Box::new(move || {
            // Whoever asked has gone when nobody takes it: then the copy ends here.
            let _ = sender.send(begin(&shared));
        })))?;
        receiver.recv().unwrap_or(Err(StorageError::ShuttingDown))
    }
}

/// On the commit thread: nobody else writes.
fn begin(shared: &Shared) -> Result<StoreCopy, StorageError> {
    let (mut reader, writer) = io::pipe().map_err(refused("make a pipe"))?;
    let (sender, thread_id) = mpsc::sync_channel(1);
    let environment = shared.environment.clone();
    let thread = thread::Builder::new()
        .name("store-copy".to_owned())
        .spawn(move || {
            let _ = sender.send(gettid());
            environment.copy_to(writer.as_fd())
        })
        .map_err(refused("start a thread"))?;
    let mut first = vec![0; FIRST_BYTES_MAX];
    let read = reader.read(&mut first).map_err(refused("read a copy"))?;
    first.truncate(read);
    if read == 0 {
        return Err(outcome(thread).err().unwrap_or(StorageError::ShuttingDown));
    }
    thread_id.recv().into_iter().for_each(stand_back);
    let info = shared.environment.info();
    Ok(StoreCopy {
        first: io::Cursor::new(first),
        pipe: Some(reader),
        thread: Some(thread),
        age: shared.watch.register_copy(info.last_transaction as u64),
        bytes: info.used_bytes as u64,
    })
}

/// Only now: with a lower priority from the start the commit thread would have waited for it.
fn stand_back(thread: Pid) {
    match rustix::process::setpriority_process(Some(thread), NICE) {
        // A small copy is through already.
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => tracing::warn!(%error, "the copy keeps the ordinary priority"),
    }
}

impl StoreCopy {
    /// What the file is called in the store's directory.
    pub fn file_name(&self) -> &'static str {
        DATA_FILE
    }

    /// What lies beside it in the store's directory: name and contents.
    pub fn format_file(&self) -> (&'static str, String) {
        format::file()
    }

    /// How many bytes there are.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next bytes; 0 at the end. Blocks on the disk.
    ///
    /// # Errors
    /// 72000 when the copy was given up because the disk is nearly full; what LMDB or the system says.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.age.check()?;
        let first = self.first.read(buffer).map_err(refused("read a copy"))?;
        let Some(pipe) = self.pipe.as_mut().filter(|_| first == 0) else {
            return Ok(first);
        };
        let read = pipe.read(buffer).map_err(refused("read a copy"))?;
        if read == 0
            && let Some(thread) = self.thread.take()
        {
            outcome(thread)?;
        }
        Ok(read)
    }
}

impl Drop for StoreCopy {
    fn drop(&mut self) {
        // Its next write fails.
        drop(self.pipe.take());
        if let Some(thread) = self.thread.take() {
            let _ = outcome(thread);
        }
    }
}

fn outcome(thread: JoinHandle<Result<(), StorageError>>) -> Result<(), StorageError> {
    thread.join().unwrap_or(Err(StorageError::Misuse(
        "the thread that copies the data file has panicked",
    )))
}

fn refused(operation: &'static str) -> impl FnOnce(io::Error) -> StorageError {
    move |error| StorageError::Io {
        operation,
        error: Arc::new(error),
    }
}
