//! Read transactions: pooled for each core, renewed rather than opened, watched for their age.
//!
//! A [`Reader`] is one LMDB read transaction. While it is live it may be shared (a transaction and
//! the query pool's scans); each LMDB call takes its lock, so one thread uses it at a time, and what
//! was read stays valid for as long as the reader is held: only a reader held by nobody else is reset.

use super::error::StorageError;
use super::keyspace::{CommitNumber, StoreKey};
use super::lmdb::{Cursor, Environment, Pair, ReadTransaction, Step};
use super::record;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Reset readers that a core keeps; more are closed when they come back.
const IDLE_READERS_MAX: usize = 256;

/// When a snapshot was begun: milliseconds of the coarse monotonic clock, then a use count, so that
/// two uses of a reader differ. 0 stands for idle.
type Stamp = u64;

/// Bits of a [`Stamp`] that count uses.
const STAMP_USE_BITS: u32 = 20;

/// What the watch sees of a reader.
#[derive(Default)]
struct ReaderAge {
    began: AtomicU64,
    expired: AtomicU64,
    snapshot: AtomicU64,
    /// Whether it may be as old as it likes: a copy of the store takes its time, and moves on.
    of_copy: bool,
}

/// What the watch sees of a copy of the whole store, for as long as this lives.
pub(super) struct CopyAge(Arc<ReaderAge>);

impl CopyAge {
    /// 72000 once the watch has given the snapshot up for want of disk.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        match self.0.expired.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(StorageError::SnapshotTooOld),
        }
    }
}

impl Drop for CopyAge {
    fn drop(&mut self) {
        self.0.began.store(0, Ordering::Relaxed);
    }
}

/// One read transaction.
pub(super) struct Reader {
    transaction: Mutex<ReadTransaction>,
    age: Arc<ReaderAge>,
    stamp: Stamp,
    uses: u64,
    id: usize,
    /// The snapshot's last commit, once it was asked for.
    last_commit: AtomicU64,
}

/// Stands for a last commit that was not asked for.
const UNKNOWN_COMMIT: u64 = u64::MAX;

/// Milliseconds since some moment before the process began; a few nanoseconds' cost, 4 ms coarse.
fn coarse_milliseconds() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    let seconds = u64::try_from(now.tv_sec).expect("the monotonic clock is not negative");
    let nanoseconds = u64::try_from(now.tv_nsec).expect("the monotonic clock is not negative");
    seconds * 1_000 + nanoseconds / 1_000_000 + 1
}

impl Reader {
    fn begin(&mut self) -> Result<(), StorageError> {
        let transaction = self.transaction.get_mut();
        transaction.renew()?;
        self.id = transaction.id();
        self.mark_begun();
        Ok(())
    }

    fn mark_begun(&mut self) {
        *self.last_commit.get_mut() = UNKNOWN_COMMIT;
        self.uses = (self.uses + 1) & ((1 << STAMP_USE_BITS) - 1);
        self.stamp = (coarse_milliseconds() << STAMP_USE_BITS) | self.uses;
        self.age.snapshot.store(self.id as u64, Ordering::Relaxed);
        self.age.began.store(self.stamp, Ordering::Relaxed);
    }

    fn end(&mut self) {
        self.age.began.store(0, Ordering::Relaxed);
        self.transaction.get_mut().reset();
    }

    /// LMDB's number of the snapshot.
    pub(super) fn id(&self) -> usize {
        self.id
    }

    /// 72000 once the watch has given the snapshot up.
    pub(super) fn check_age(&self) -> Result<(), StorageError> {
        if self.age.expired.load(Ordering::Relaxed) == self.stamp {
            return Err(StorageError::SnapshotTooOld);
        }
        Ok(())
    }

    /// The stored value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<&[u8]>, StorageError> {
        let transaction = self.transaction.lock();
        let value = transaction.get(key)?;
        // SAFETY: the bytes lie in the map and do not change until the snapshot is reset, which needs
        // `&mut Reader`; so they live as long as this borrow of the reader, not only as the lock.
        Ok(value.map(|bytes| unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) }))
    }

    /// Whether no key lies from the first to the last of these.
    pub(super) fn is_free_between(&self, first: &[u8], last: &[u8]) -> Result<bool, StorageError> {
        let transaction = self.transaction.lock();
        let mut cursor = transaction.cursor()?;
        // SAFETY: the cursor was opened by this transaction, whose lock is held.
        let next = unsafe { transaction.step(&mut cursor, Step::Seek(first))? };
        Ok(next.is_none_or(|(key, _)| key > last))
    }

    /// The number of the last commit in this snapshot.
    pub(super) fn last_commit(&self) -> Result<CommitNumber, StorageError> {
        let known = self.last_commit.load(Ordering::Relaxed);
        if known != UNKNOWN_COMMIT {
            return Ok(CommitNumber(known));
        }
        let last_commit = match self.get(&record::counters_key())? {
            Some(value) => record::Counters::decode(value)?.last_commit,
            None => CommitNumber(0),
        };
        self.last_commit.store(last_commit.0, Ordering::Relaxed);
        Ok(last_commit)
    }

    /// The last key that begins with the prefix.
    pub(super) fn last_with_prefix(&self, prefix: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let transaction = self.transaction.lock();
        let mut cursor = transaction.cursor()?;
        let mut end = StoreKey::from_slice(prefix);
        end.extend_from_slice(&[0xff; 9]);
        // SAFETY: the cursor was opened by this transaction, whose lock is held.
        let past = unsafe { transaction.step(&mut cursor, Step::Seek(&end))? };
        let back = match past {
            Some(_) => Step::Previous,
            None => Step::Last,
        };
        // SAFETY: as above.
        let last = unsafe { transaction.step(&mut cursor, back)? };
        Ok(last
            .map(|(key, _)| key)
            .filter(|key| key.starts_with(prefix))
            .map(<[u8]>::to_vec))
    }
}

/// A cursor that holds its reader, so that the snapshot is not reset under it.
pub(super) struct ReaderCursor {
    // Before `reader`: a cursor is closed while its transaction is live.
    cursor: Cursor,
    reader: Arc<Reader>,
}

/// A stored key and value in the map.
pub(super) type Stored = Pair<'static>;

impl ReaderCursor {
    pub(super) fn open(reader: &Arc<Reader>) -> Result<ReaderCursor, StorageError> {
        let cursor = reader.transaction.lock().cursor()?;
        Ok(ReaderCursor {
            cursor,
            reader: reader.clone(),
        })
    }

    /// The reader it belongs to.
    pub(super) fn reader(&self) -> &Arc<Reader> {
        &self.reader
    }

    /// Moves once for each step that `next` asks for, under one lock, handing on what was found until
    /// `next` answers none.
    ///
    /// The slices are `'static` for want of a lifetime that names the reader: whoever keeps them must
    /// keep this cursor (and so the reader) as long.
    pub(super) fn walk<'k>(
        &mut self,
        first: Step<'k>,
        mut next: impl FnMut(Option<Stored>) -> Option<Step<'k>>,
    ) -> Result<(), StorageError> {
        let transaction = self.reader.transaction.lock();
        let mut step = first;
        loop {
            // SAFETY: the cursor was opened by this reader's transaction, which is not reset while
            // `self.reader` is held.
            let found = unsafe { transaction.step(&mut self.cursor, step)? };
            // SAFETY: the bytes stay in the map until the snapshot is reset, see above.
            let found = found.map(|(key, value)| unsafe { (lengthen(key), lengthen(value)) });
            match next(found) {
                Some(further) => step = further,
                None => return Ok(()),
            }
        }
    }
}

/// # Safety
/// The bytes outlive every use of the result.
unsafe fn lengthen(bytes: &[u8]) -> &'static [u8] {
    // SAFETY: the caller promises it.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) }
}

/// The readers of one core: taken for a statement, given back after it.
pub(super) struct ReaderPool {
    environment: Arc<Environment>,
    watch: Arc<ReaderWatch>,
    idle: Mutex<Vec<Arc<Reader>>>,
}

impl ReaderPool {
    pub(super) fn new(environment: Arc<Environment>, watch: Arc<ReaderWatch>) -> ReaderPool {
        ReaderPool {
            environment,
            watch,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// A live reader of the newest snapshot.
    pub(super) fn take(&self) -> Result<Arc<Reader>, StorageError> {
        let idle = self.idle.lock().pop();
        let Some(mut reader) = idle else {
            return self.open();
        };
        Arc::get_mut(&mut reader)
            .expect("an idle reader is held by the pool alone")
            .begin()?;
        Ok(reader)
    }

    fn open(&self) -> Result<Arc<Reader>, StorageError> {
        let transaction = ReadTransaction::open(&self.environment)?;
        let id = transaction.id();
        let mut reader = Reader {
            transaction: Mutex::new(transaction),
            age: self.watch.register(),
            stamp: 0,
            uses: 0,
            id,
            last_commit: AtomicU64::new(UNKNOWN_COMMIT),
        };
        reader.mark_begun();
        Ok(Arc::new(reader))
    }

    /// Moves a reader on to the newest snapshot, or another one in its place while scans hold it.
    pub(super) fn renew(&self, mut reader: Arc<Reader>) -> Result<Arc<Reader>, StorageError> {
        match Arc::get_mut(&mut reader) {
            Some(own) => {
                own.begin()?;
                Ok(reader)
            }
            None => self.take(),
        }
    }

    /// Takes a reader back. While somebody else holds it, the last one to let go closes it.
    pub(super) fn give_back(&self, mut reader: Arc<Reader>) {
        let Some(own) = Arc::get_mut(&mut reader) else {
            return;
        };
        own.end();
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_READERS_MAX {
            idle.push(reader);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.age.began.store(0, Ordering::Relaxed);
    }
}

/// Where a REPEATABLE READ transaction leaves its reader between statements, so that the watch can
/// take one that is too old.
#[derive(Default)]
pub(super) struct Parked(Mutex<Option<Arc<Reader>>>);

impl Parked {
    pub(super) fn park(&self, reader: Arc<Reader>) {
        *self.0.lock() = Some(reader);
    }

    /// None: the watch took it.
    pub(super) fn unpark(&self) -> Option<Arc<Reader>> {
        self.0.lock().take()
    }
}

/// Watches the age of all readers.
#[derive(Default)]
pub(super) struct ReaderWatch {
    ages: Mutex<Vec<Arc<ReaderAge>>>,
    parked: Mutex<Vec<Weak<Parked>>>,
}

/// The oldest snapshot open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OldestReader {
    pub(super) age: Duration,
    pub(super) lmdb_id: Option<u64>,
}

impl ReaderWatch {
    fn register(&self) -> Arc<ReaderAge> {
        self.watch(ReaderAge::default())
    }

    /// The snapshot of a copy that begins now, by LMDB's number.
    pub(super) fn register_copy(&self, id: u64) -> CopyAge {
        CopyAge(self.watch(ReaderAge {
            began: AtomicU64::new(coarse_milliseconds() << STAMP_USE_BITS),
            expired: AtomicU64::new(0),
            snapshot: AtomicU64::new(id),
            of_copy: true,
        }))
    }

    fn watch(&self, age: ReaderAge) -> Arc<ReaderAge> {
        let age = Arc::new(age);
        let mut ages = self.ages.lock();
        ages.retain(|age| Arc::strong_count(age) > 1);
        ages.push(age.clone());
        age
    }

    /// A parking place for a REPEATABLE READ transaction.
    pub(super) fn parking(&self) -> Arc<Parked> {
        let place = Arc::new(Parked::default());
        let mut parked = self.parked.lock();
        if parked.len() == parked.capacity() {
            parked.retain(|place| place.strong_count() > 0);
        }
        parked.push(Arc::downgrade(&place));
        place
    }

    /// The oldest snapshot open.
    pub(super) fn oldest(&self) -> OldestReader {
        let oldest = self.began().into_iter().min();
        oldest.map_or_else(OldestReader::default, |(began, lmdb_id)| OldestReader {
            age: Duration::from_millis(coarse_milliseconds() - (began >> STAMP_USE_BITS)),
            lmdb_id: Some(lmdb_id),
        })
    }

    fn began(&self) -> Vec<(Stamp, u64)> {
        let ages = self.ages.lock();
        ages.iter()
            .map(|age| {
                (
                    age.began.load(Ordering::Relaxed),
                    age.snapshot.load(Ordering::Relaxed),
                )
            })
            .filter(|(began, _)| *began != 0)
            .collect()
    }

    /// Gives up the snapshots older than `age_max`, but that of a copy; says how many.
    pub(super) fn expire_older(&self, age_max: Duration) -> usize {
        let age_max = u64::try_from(age_max.as_millis()).unwrap_or(u64::MAX);
        let limit = coarse_milliseconds().saturating_sub(age_max);
        self.expire(|began, of_copy| !of_copy && (began >> STAMP_USE_BITS) < limit)
    }

    /// Gives up the oldest snapshot, for want of disk; says how many.
    pub(super) fn expire_oldest(&self) -> usize {
        match self.began().into_iter().min() {
            Some((oldest, _)) => self.expire(|began, _| began == oldest),
            None => 0,
        }
    }

    fn expire(&self, too_old: impl Fn(Stamp, bool) -> bool) -> usize {
        let mut expired = 0;
        for age in self.ages.lock().iter() {
            let began = age.began.load(Ordering::Relaxed);
            let known = age.expired.load(Ordering::Relaxed) == began;
            if began != 0 && !known && too_old(began, age.of_copy) {
                age.expired.store(began, Ordering::Relaxed);
                expired += 1;
            }
        }
        self.parked.lock().retain(|place| {
            let Some(place) = place.upgrade() else {
                return false;
            };
            let mut reader = place.0.lock();
            if (reader.as_ref()).is_some_and(|reader| too_old(reader.stamp, false)) {
                // Closing it is what frees the pages; its transaction finds the place empty.
                *reader = None;
            }
            true
        });
        expired
    }
}
