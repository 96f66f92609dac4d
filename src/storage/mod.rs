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

mod advisory;
mod bulk;
mod commit;
mod commit_gate;
mod commit_thread;
mod copy;
mod deadlock;
mod disk;
mod error;
mod format;
mod group;
mod holdings;
mod housekeeping;
mod keyspace;
mod lmdb;
mod lock_mode;
mod lock_table;
mod made_relations;
mod new_rows;
mod newest;
mod numbers;
mod options;
mod overlay;
mod owners;
mod reader;
mod record;
mod room;
mod scan;
mod sequences;
mod spill;
mod store;
mod transaction;
mod view;
mod write_set;

pub use advisory::{
    ADVISORY_LOCKS_MAX, AdvisoryKey, AdvisoryLocks, AdvisoryMode, AdvisoryScope, ListedAdvisory,
};
pub use copy::StoreCopy;
pub use error::StorageError;
pub use keyspace::{
    ALL_KEYS, CommitNumber, DEFINITIONS_RELATION, FIRST_RELATION, KeyRange, RELATION_BYTES,
};
pub use lock_mode::{LockMode, Use};
pub use new_rows::NewRow;
pub use newest::{Newest, NewestEntry};
pub use options::{Isolation, Options};
pub use scan::{Direction, Entry, Part, Scan};
pub use sequences::{SequenceState, SequenceSteps};
pub use store::{Storage, StorageMetrics};
pub use transaction::{LockWait, Locked, Savepoint, Transaction, TransactionId, Used};
pub use view::View;

#[cfg(test)]
mod tests;
