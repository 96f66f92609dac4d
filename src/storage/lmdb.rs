//! A safe layer over LMDB's C interface: one environment with its one unnamed database.
//!
//! All `unsafe` of the room that calls C is here. The rules that the types keep: an environment
//! outlives its transactions, a cursor is used under its transaction's lock and only while that
//! transaction is live, a write transaction stays on its thread, slices read from a transaction live
//! no longer than it does. Safe mode only: no WRITEMAP, no NOSYNC (DESIGN §6).
//! Source: the comments of `lmdb.h`, LMDB 0.9.70.

use super::disk;
use super::error::StorageError;
use super::room::RESERVE_BYTES;
use lmdb_master_sys as ffi;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_int};
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Readable and writable by the owner only.
const FILE_MODE: ffi::mdb_mode_t = 0o600;

/// The map's size is a multiple of the system's pages, which are no larger than this.
const MAP_UNIT_BYTES: usize = 64 << 10;

/// LMDB's own database of free pages: by the transaction that freed them.
const FREE_PAGES: ffi::MDB_dbi = 0;

/// The environments open in this process: LMDB must not open one twice, because closing either
/// would drop the file locks of both.
static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Turns a return code into a result.
fn check(code: c_int, operation: &'static str) -> Result<(), StorageError> {
    match code {
        ffi::MDB_SUCCESS => Ok(()),
        ffi::MDB_MAP_FULL => Err(StorageError::MapFull),
        ffi::MDB_READERS_FULL => Err(StorageError::ReadersFull),
        ffi::MDB_PANIC => Err(StorageError::InDoubt),
        libc::ENOSPC | libc::EDQUOT => Err(StorageError::DiskFull),
        ffi::MDB_CORRUPTED | ffi::MDB_PAGE_NOTFOUND | ffi::MDB_INVALID => {
            Err(StorageError::Damaged(text(code).into()))
        }
        system if system > 0 => Err(StorageError::Io {
            operation,
            error: Arc::new(std::io::Error::from_raw_os_error(system)),
        }),
        other => Err(StorageError::Lmdb {
            operation,
            reason: text(other).into(),
        }),
    }
}

/// LMDB's own text for a code.
fn text(code: c_int) -> String {
    // SAFETY: for LMDB's own codes mdb_strerror returns a static, NUL-terminated string.
    let message = unsafe { CStr::from_ptr(ffi::mdb_strerror(code)) };
    message.to_string_lossy().into_owned()
}

/// The bytes as LMDB takes them; LMDB reads them only.
fn value_of(bytes: &[u8]) -> ffi::MDB_val {
    ffi::MDB_val {
        mv_size: bytes.len(),
        mv_data: bytes.as_ptr().cast_mut().cast(),
    }
}

/// What an unset output value looks like.
fn no_value() -> ffi::MDB_val {
    ffi::MDB_val {
        mv_size: 0,
        mv_data: ptr::null_mut(),
    }
}

/// # Safety
/// The value came from a successful LMDB call of a transaction that lives for `'t`.
unsafe fn bytes_of<'t>(value: &ffi::MDB_val) -> &'t [u8] {
    if value.mv_size == 0 {
        return &[];
    }
    // SAFETY: the caller promises it; LMDB's pages do not change under a live read transaction.
    unsafe { std::slice::from_raw_parts(value.mv_data.cast(), value.mv_size) }
}

/// The open data file.
pub(super) struct Environment {
    raw: NonNull<ffi::MDB_env>,
    database: ffi::MDB_dbi,
    path: PathBuf,
    /// The longest key that this page size allows.
    pub(super) key_bytes_max: usize,
    /// Held open; see [`disk::reserve_lock_file`].
    lock_file: Option<File>,
}

// SAFETY: LMDB environments may be used from all threads of the process.
unsafe impl Send for Environment {}
// SAFETY: as above; the functions called on a shared environment are thread-safe.
unsafe impl Sync for Environment {}

/// How full the data file is, and how far behind its oldest reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EnvironmentInfo {
    /// The reserve not counted.
    pub(super) map_bytes: usize,
    pub(super) used_bytes: usize,
    pub(super) page_bytes: usize,
    pub(super) last_transaction: usize,
    pub(super) readers_max: u32,
    pub(super) reader_slots_used: u32,
}

impl Environment {
    /// Opens the data file in a directory that exists.
    pub(super) fn open(
        directory: &Path,
        map_size_bytes: usize,
        readers_max: u32,
    ) -> Result<Environment, StorageError> {
        let path = directory.canonicalize().map_err(|error| StorageError::Io {
            operation: "open the storage directory",
            error: Arc::new(error),
        })?;
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| StorageError::Misuse("the storage path holds a NUL byte"))?;
        if !OPEN.lock().insert(path.clone()) {
            return Err(StorageError::Misuse("this storage is open already"));
        }
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is a place for the handle.
        let created = check(
            unsafe { ffi::mdb_env_create(&mut raw) },
            "create an LMDB handle",
        );
        let Some(raw) = NonNull::new(raw) else {
            OPEN.lock().remove(&path);
            created?;
            return Err(StorageError::Misuse("LMDB made no handle"));
        };
        // From here on dropping `environment` closes the handle, also when opening fails.
        let mut environment = Environment {
            raw,
            database: 0,
            path,
            key_bytes_max: 0,
            lock_file: None,
        };
        created?;
        environment.configure(&name, map_size_bytes, readers_max)?;
        environment.lock_file = Some(disk::reserve_lock_file(&environment.path)?);
        Ok(environment)
    }

    fn configure(
        &mut self,
        name: &CStr,
        map_size_bytes: usize,
        readers_max: u32,
    ) -> Result<(), StorageError> {
        let raw = self.raw.as_ptr();
        // SAFETY: the handle is new and not open yet, when these three may be set.
        unsafe {
            check(
                ffi::mdb_env_set_mapsize(
                    raw,
                    map_size_bytes.saturating_add(RESERVE_BYTES) & !(MAP_UNIT_BYTES - 1),
                ),
                "set the map size",
            )?;
            check(
                ffi::mdb_env_set_maxreaders(raw, readers_max),
                "set the number of readers",
            )?;
            check(
                ffi::mdb_env_open(raw, name.as_ptr(), ffi::MDB_NOTLS, FILE_MODE),
                "open the storage",
            )?;
        }
        // SAFETY: the environment is open.
        let key_bytes_max = unsafe { ffi::mdb_env_get_maxkeysize(raw) };
        self.key_bytes_max = usize::try_from(key_bytes_max).expect("a key size is not negative");
        let transaction = self.write()?;
        let mut database = 0;
        // SAFETY: the transaction is live and the only one that opens a database handle.
        let code = unsafe { ffi::mdb_dbi_open(transaction.live(), ptr::null(), 0, &mut database) };
        check(code, "open the unnamed database")?;
        transaction.commit()?;
        self.database = database;
        Ok(())
    }

    /// Begins a write transaction; waits while another one lives.
    pub(super) fn write(&self) -> Result<WriteTransaction<'_>, StorageError> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is open; `raw` is a place for the handle.
        let code = unsafe { ffi::mdb_txn_begin(self.raw.as_ptr(), ptr::null_mut(), 0, &mut raw) };
        check(code, "begin a write transaction")?;
        Ok(WriteTransaction {
            raw: NonNull::new(raw),
            writing: None,
            environment: self,
        })
    }

    /// What the metrics show.
    pub(super) fn info(&self) -> EnvironmentInfo {
        // SAFETY: MDB_envinfo and MDB_stat are plain numbers and pointers, for which zero is a value.
        let (mut info, mut stat): (ffi::MDB_envinfo, ffi::MDB_stat) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        // SAFETY: the environment is open, the structures are ours.
        unsafe {
            ffi::mdb_env_info(self.raw.as_ptr(), &mut info);
            ffi::mdb_env_stat(self.raw.as_ptr(), &mut stat);
        }
        EnvironmentInfo {
            map_bytes: info.me_mapsize - RESERVE_BYTES,
            used_bytes: (info.me_last_pgno + 1) * stat.ms_psize as usize,
            page_bytes: stat.ms_psize as usize,
            last_transaction: info.me_last_txnid,
            readers_max: info.me_maxreaders,
            reader_slots_used: info.me_numreaders,
        }
    }

    /// Pages freed by this LMDB transaction and later ones: those that a snapshot of it keeps from
    /// being used again. Walks the list of free pages from there on.
    pub(super) fn pages_freed_since(self: &Arc<Self>, id: u64) -> Result<u64, StorageError> {
        let transaction = ReadTransaction::open(self)?;
        let mut cursor = transaction.cursor_of(FREE_PAGES)?;
        let id = usize::try_from(id)
            .expect("LMDB's numbers are of this size")
            .to_ne_bytes();
        let (mut pages, mut step) = (0, Step::Seek(&id));
        // SAFETY: the cursor was opened by this live transaction.
        while let Some((_, list)) = unsafe { transaction.step(&mut cursor, step)? } {
            // A list of page numbers begins with its length.
            if let Some(length) = list.first_chunk::<{ size_of::<usize>() }>() {
                pages += usize::from_ne_bytes(*length) as u64;
            }
            step = Step::Next;
        }
        Ok(pages)
    }

    /// Writes a snapshot of the whole data file, as it lies there, free pages too: sequential on both
    /// ends, and of a length that is known beforehand, where MDB_CP_COMPACT would walk the tree. Waits
    /// while a write transaction lives. Blocks for as long as whoever reads at the other end takes, and
    /// fails when it has gone.
    pub(super) fn copy_to(&self, destination: BorrowedFd<'_>) -> Result<(), StorageError> {
        // SAFETY: the environment is open, and so is the descriptor for as long as it is borrowed.
        let code = unsafe { ffi::mdb_env_copyfd2(self.raw.as_ptr(), destination.as_raw_fd(), 0) };
        check(code, "copy the data file")
    }

    /// The data file.
    pub(super) fn data_file(&self) -> BorrowedFd<'_> {
        let mut descriptor = -1;
        // SAFETY: the environment is open; it keeps the descriptor as long as it is.
        unsafe {
            ffi::mdb_env_get_fd(self.raw.as_ptr(), &mut descriptor);
            BorrowedFd::borrow_raw(descriptor)
        }
    }

    /// The directory it was opened in.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        // SAFETY: every transaction holds (or borrows) the environment, so none is left.
        unsafe { ffi::mdb_env_close(self.raw.as_ptr()) };
        OPEN.lock().remove(&self.path);
    }
}

/// A read transaction: live, or reset and waiting to be renewed.
pub(super) struct ReadTransaction {
    raw: NonNull<ffi::MDB_txn>,
    environment: Arc<Environment>,
    /// Only a live one may be read.
    live: bool,
}

// SAFETY: the environment is opened with MDB_NOTLS, so a read transaction may move between threads;
// it is not Sync, so one thread uses it at a time.
unsafe impl Send for ReadTransaction {}

impl ReadTransaction {
    /// Opens a live one: takes a lock shared by the process and a reader slot.
    pub(super) fn open(environment: &Arc<Environment>) -> Result<ReadTransaction, StorageError> {
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is open; `raw` is a place for the handle.
        let code = unsafe {
            ffi::mdb_txn_begin(
                environment.raw.as_ptr(),
                ptr::null_mut(),
                ffi::MDB_RDONLY,
                &mut raw,
            )
        };
        check(code, "begin a read transaction")?;
        Ok(ReadTransaction {
            raw: NonNull::new(raw).expect("mdb_txn_begin sets the handle when it succeeds"),
            environment: environment.clone(),
            live: true,
        })
    }

    /// Lets the snapshot go and keeps the reader slot. Needs `&mut`, so nothing read is borrowed.
    pub(super) fn reset(&mut self) {
        if std::mem::take(&mut self.live) {
            // SAFETY: a live read transaction; its cursors are gone, because they hold the reader.
            unsafe { ffi::mdb_txn_reset(self.raw.as_ptr()) };
        }
    }

    /// Takes the newest snapshot; no lock, no allocation.
    pub(super) fn renew(&mut self) -> Result<(), StorageError> {
        self.reset();
        // SAFETY: the transaction has been reset.
        let code = unsafe { ffi::mdb_txn_renew(self.raw.as_ptr()) };
        check(code, "renew a read transaction")?;
        self.live = true;
        Ok(())
    }

    /// LMDB's number of the snapshot.
    pub(super) fn id(&self) -> usize {
        // SAFETY: the handle is valid whether live or reset.
        unsafe { ffi::mdb_txn_id(self.raw.as_ptr()) }
    }

    /// The value of a key; a key longer than LMDB takes is not there.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<&[u8]>, StorageError> {
        assert!(self.live, "a reset read transaction is not read");
        get(self.raw, &self.environment, key)
    }

    /// Opens a cursor.
    pub(super) fn cursor(&self) -> Result<Cursor, StorageError> {
        self.cursor_of(self.environment.database)
    }

    fn cursor_of(&self, database: ffi::MDB_dbi) -> Result<Cursor, StorageError> {
        assert!(self.live, "a reset read transaction has no cursors");
        let mut raw = ptr::null_mut();
        // SAFETY: the transaction is live; `raw` is a place for the handle.
        let code = unsafe { ffi::mdb_cursor_open(self.raw.as_ptr(), database, &mut raw) };
        check(code, "open a cursor")?;
        Ok(Cursor {
            raw: NonNull::new(raw).expect("mdb_cursor_open sets the handle when it succeeds"),
        })
    }

    /// Moves a cursor of this transaction.
    ///
    /// # Safety
    /// The cursor was opened by this transaction, which was not reset since.
    pub(super) unsafe fn step(
        &self,
        cursor: &mut Cursor,
        step: Step<'_>,
    ) -> Result<Option<Pair<'_>>, StorageError> {
        assert!(self.live, "a reset read transaction has no cursors");
        // SAFETY: the caller promises that the cursor belongs to this live transaction.
        unsafe { move_cursor(cursor.raw, step) }
    }
}

impl Drop for ReadTransaction {
    fn drop(&mut self) {
        // SAFETY: the handle is valid; cursors of read transactions are freed by themselves.
        unsafe { ffi::mdb_txn_abort(self.raw.as_ptr()) };
    }
}

fn get<'t>(
    transaction: NonNull<ffi::MDB_txn>,
    environment: &Environment,
    key: &[u8],
) -> Result<Option<&'t [u8]>, StorageError> {
    if key.len() > environment.key_bytes_max {
        return Ok(None);
    }
    let (mut key, mut value) = (value_of(key), no_value());
    // SAFETY: both callers hold a live transaction; the values are ours.
    let code = unsafe {
        ffi::mdb_get(
            transaction.as_ptr(),
            environment.database,
            &mut key,
            &mut value,
        )
    };
    if code == ffi::MDB_NOTFOUND {
        return Ok(None);
    }
    check(code, "read a row")?;
    // SAFETY: the callers tie the lifetime to the transaction they hold.
    Ok(Some(unsafe { bytes_of(&value) }))
}

/// A stored key and value.
pub(super) type Pair<'t> = (&'t [u8], &'t [u8]);

/// A place in the key space; belongs to the transaction that opened it.
pub(super) struct Cursor {
    raw: NonNull<ffi::MDB_cursor>,
}

// SAFETY: a cursor of a MDB_NOTLS read transaction may move between threads with it.
unsafe impl Send for Cursor {}

impl Drop for Cursor {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once; LMDB looks at the cursor only, not at a read transaction.
        unsafe { ffi::mdb_cursor_close(self.raw.as_ptr()) };
    }
}

/// Where a cursor goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'k> {
    /// To the first key at or after this one.
    Seek(&'k [u8]),
    /// To the last key.
    Last,
    /// To the next key.
    Next,
    /// To the previous key.
    Previous,
    /// Nowhere: what it stands on.
    Current,
}

/// # Safety
/// The cursor belongs to a transaction that lives for `'t`.
unsafe fn move_cursor<'t>(
    cursor: NonNull<ffi::MDB_cursor>,
    step: Step<'_>,
) -> Result<Option<Pair<'t>>, StorageError> {
    let (mut key, mut value) = (no_value(), no_value());
    let operation = match step {
        Step::Seek(from) => {
            key = value_of(from);
            ffi::MDB_SET_RANGE
        }
        Step::Last => ffi::MDB_LAST,
        Step::Next => ffi::MDB_NEXT,
        Step::Previous => ffi::MDB_PREV,
        Step::Current => ffi::MDB_GET_CURRENT,
    };
    // SAFETY: the caller promises a live cursor; the values are ours.
    let code = unsafe { ffi::mdb_cursor_get(cursor.as_ptr(), &mut key, &mut value, operation) };
    if code == ffi::MDB_NOTFOUND {
        return Ok(None);
    }
    check(code, "read a range")?;
    // SAFETY: the call succeeded, and the caller vouches for the lifetime.
    Ok(Some(unsafe { (bytes_of(&key), bytes_of(&value)) }))
}

/// How a put treats what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// Replaces it.
    Replace,
    /// Leaves it, and says so.
    Insert,
    /// The key is past every key of the whole store; fills pages to the brim.
    Append,
}

/// What came of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PutOutcome {
    /// The value is in.
    Written,
    /// The key was there (or, appending, was not past the last one).
    Exists,
}

/// The one write transaction. Not `Send`: LMDB's writer lock belongs to the thread.
pub(super) struct WriteTransaction<'e> {
    /// None once committed.
    raw: Option<NonNull<ffi::MDB_txn>>,
    /// Stands on the key put last, so that the next one is looked for on the same page first.
    writing: Option<Cursor>,
    environment: &'e Environment,
}

impl WriteTransaction<'_> {
    fn live(&self) -> *mut ffi::MDB_txn {
        self.raw
            .expect("a committed transaction is consumed")
            .as_ptr()
    }

    /// The value of a key, own changes included.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<&[u8]>, StorageError> {
        let raw = self.raw.expect("a committed transaction is consumed");
        get(raw, self.environment, key)
    }

    /// Writes a value given in two parts (commit number, row), without joining them first.
    pub(super) fn put(
        &mut self,
        key: &[u8],
        parts: [&[u8]; 2],
        how: Put,
    ) -> Result<PutOutcome, StorageError> {
        let length = parts[0].len() + parts[1].len();
        let mut key = value_of(key);
        let mut value = no_value();
        value.mv_size = length;
        let flags = ffi::MDB_RESERVE
            | match how {
                Put::Replace => 0,
                Put::Insert => ffi::MDB_NOOVERWRITE,
                Put::Append => ffi::MDB_APPEND,
            };
        if self.writing.is_none() {
            self.writing = Some(self.cursor()?);
        }
        let cursor = self.writing.as_ref().expect("it was just opened").raw;
        // SAFETY: the cursor is this live transaction's; MDB_RESERVE makes LMDB point `value` at the new
        // bytes.
        let code = unsafe { ffi::mdb_cursor_put(cursor.as_ptr(), &mut key, &mut value, flags) };
        if code == ffi::MDB_KEYEXIST {
            return Ok(PutOutcome::Exists);
        }
        check(code, "write a row")?;
        // SAFETY: the call succeeded, so `value` points at `length` bytes of a dirty page of ours,
        // which nobody else sees and which stay in place until the next call on this transaction.
        let reserved =
            unsafe { std::slice::from_raw_parts_mut(value.mv_data.cast::<u8>(), length) };
        let (first, second) = reserved.split_at_mut(parts[0].len());
        first.copy_from_slice(parts[0]);
        second.copy_from_slice(parts[1]);
        Ok(PutOutcome::Written)
    }

    /// Deletes a key; one that is not there is fine.
    pub(super) fn delete(&mut self, key: &[u8]) -> Result<(), StorageError> {
        let mut key = value_of(key);
        // SAFETY: the transaction is live; no value is given, so the key goes whatever its value.
        let code = unsafe {
            ffi::mdb_del(
                self.live(),
                self.environment.database,
                &mut key,
                ptr::null_mut(),
            )
        };
        if code == ffi::MDB_NOTFOUND {
            return Ok(());
        }
        check(code, "delete a row")
    }

    /// The last key of the whole store.
    pub(super) fn last_key(&self) -> Result<Option<Vec<u8>>, StorageError> {
        let cursor = self.cursor()?;
        // SAFETY: the cursor is this live transaction's; the key is copied before anything changes.
        let last = unsafe { move_cursor(cursor.raw, Step::Last)? };
        Ok(last.map(|(key, _)| key.to_vec()))
    }

    /// Deletes up to `limit` keys from `from` on that begin with `prefix`; says how many went.
    pub(super) fn clear_prefix(
        &mut self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<usize, StorageError> {
        let cursor = self.cursor()?;
        for cleared in 0..limit {
            // SAFETY: the cursor is this live transaction's; the key is compared before the delete.
            let found = unsafe { move_cursor(cursor.raw, Step::Seek(prefix))? };
            match found {
                Some((key, _)) if key.starts_with(prefix) => {}
                _ => return Ok(cleared),
            }
            // SAFETY: the cursor stands on a key.
            let code = unsafe { ffi::mdb_cursor_del(cursor.raw.as_ptr(), 0) };
            check(code, "clear a dropped relation")?;
        }
        Ok(limit)
    }

    /// Keys that begin with `prefix`, at most `limit`.
    pub(super) fn keys_with_prefix(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StorageError> {
        let cursor = self.cursor()?;
        let mut keys = Vec::new();
        let mut step = Step::Seek(prefix);
        while keys.len() < limit {
            // SAFETY: the cursor is this live transaction's; the key is copied at once.
            match unsafe { move_cursor(cursor.raw, step)? } {
                Some((key, _)) if key.starts_with(prefix) => keys.push(key.to_vec()),
                _ => break,
            }
            step = Step::Next;
        }
        Ok(keys)
    }

    fn cursor(&self) -> Result<Cursor, StorageError> {
        let mut raw = ptr::null_mut();
        // SAFETY: the transaction is live; `raw` is a place for the handle. Every caller drops the
        // cursor before the transaction ends, as lmdb.h demands of write transactions.
        let code =
            unsafe { ffi::mdb_cursor_open(self.live(), self.environment.database, &mut raw) };
        check(code, "open a cursor")?;
        Ok(Cursor {
            raw: NonNull::new(raw).expect("mdb_cursor_open sets the handle when it succeeds"),
        })
    }

    /// Writes, fsyncs, and makes the changes visible.
    pub(super) fn commit(mut self) -> Result<(), StorageError> {
        self.writing = None;
        let raw = self.raw.take().expect("committed once");
        // SAFETY: the transaction is live; LMDB frees it whether or not this succeeds.
        check(unsafe { ffi::mdb_txn_commit(raw.as_ptr()) }, "commit")
            .map_err(|error| disk::commit_error(error, &self.environment.path))
    }
}

impl Drop for WriteTransaction<'_> {
    fn drop(&mut self) {
        self.writing = None;
        if let Some(raw) = self.raw.take() {
            // SAFETY: live and not committed.
            unsafe { ffi::mdb_txn_abort(raw.as_ptr()) };
        }
    }
}
