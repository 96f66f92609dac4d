//! What is kept: LMDB, snapshots, write sets, overlay, locks, the commit thread (DESIGN §6).
//!
//! Storage knows relations as numbers, keys and rows as bytes, and no SQL. The life of a write:
//! `Transaction::lock` the row, `newest` reads it, `put` keeps the change in the write set,
//! `commit` orders the write set (its newest versions go to the overlay and the row locks are
//! released at once), the commit thread applies a whole group in one LMDB transaction and fsyncs
//! once, then everybody of the group is acknowledged in order.
//!
//! Everything here is called from session cores: nothing waits but the `async` functions, and those
//! are plain futures, woken from whichever thread lets them go on.

mod error;
mod keyspace;
mod options;
mod scan;
mod store;
mod transaction;
mod view;

pub use error::StorageError;
pub use keyspace::{
    ALL_KEYS, CommitNumber, DEFINITIONS_RELATION, FIRST_RELATION, KeyRange, RELATION_BYTES,
};
pub use options::{Isolation, Options};
pub use scan::{Direction, Scan};
pub use store::{SequenceState, SequenceSteps, Storage};
pub use transaction::{
    LockMode, LockWait, Locked, Newest, Savepoint, Transaction, TransactionId, Use,
};
pub use view::{View, ViewScan};
