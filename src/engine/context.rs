//! What a statement may know besides its text and parameters.
//!
//! Everything here can travel to the query pool; nothing here is the session itself.

use crate::access::{Rights, Variables};
use crate::auth::identity::Identity;
use crate::catalog::{Oid, PrincipalId, Snapshot};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::deferred::{self, Deferred};
use crate::engine::notification::Told;
use crate::engine::objects::SharedObjects;
use crate::engine::outcome::ResultField;
use crate::engine::peers::Peers;
use crate::engine::query::QueryEngine;
pub use crate::engine::settings::Settings;
use crate::engine::types::{Input, UserTypes};
use crate::storage::{AdvisoryLocks, Storage, TransactionId, View};
use datafusion::arrow::array::RecordBatch;
use datafusion::execution::memory_pool::MemoryReservation;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Why a running statement is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CancelReason {
    /// CancelRequest, or the client went away.
    User = 1,
    /// statement_timeout
    StatementTimeout = 2,
    /// The session ends: its credential is gone, or the server stops.
    SessionEnd = 3,
    /// A change of the catalog took from the session's user what the statement may be using.
    RightsNarrowed = 4,
}

/// A flag that long work looks at; shared by the session and whatever runs for it.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicU8>);

impl CancelFlag {
    /// Asks the statement to stop. The first reason given stays.
    pub fn set(&self, reason: CancelReason) {
        let _ = self
            .0
            .compare_exchange(0, reason as u8, Ordering::Release, Ordering::Relaxed);
    }

    /// Ready for the next statement.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Why, if it was asked.
    pub fn reason(&self) -> Option<CancelReason> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            1 => Some(CancelReason::User),
            2 => Some(CancelReason::StatementTimeout),
            4 => Some(CancelReason::RightsNarrowed),
            _ => Some(CancelReason::SessionEnd),
        }
    }

    /// 57014 (or 57P01 at the session's end) once the flag is set: for loops of long work.
    pub fn check(&self) -> Result<(), Diagnostic> {
        match self.reason() {
            None => Ok(()),
            Some(reason) => Err(reason.diagnostic()),
        }
    }
}

impl CancelReason {
    /// What the client is told, in PostgreSQL's words.
    pub fn diagnostic(self) -> Diagnostic {
        match self {
            CancelReason::User => Diagnostic::error(
                SqlState::QUERY_CANCELED,
                "canceling statement due to user request",
            ),
            CancelReason::StatementTimeout => Diagnostic::error(
                SqlState::QUERY_CANCELED,
                "canceling statement due to statement timeout",
            ),
            CancelReason::RightsNarrowed => Diagnostic::error(
                SqlState::QUERY_CANCELED,
                "canceling statement due to a change of its user's rights",
            ),
            CancelReason::SessionEnd => Diagnostic::fatal(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection due to administrator command",
            ),
        }
    }
}

/// What functions with an effect on the session ask of it (nextval's memory, set_config).
#[derive(Default)]
pub struct SessionEffects {
    /// The last value each sequence gave this session (currval), and which was last (lastval).
    pub sequences: Mutex<SequenceMemory>,
    /// set_config(name, value, is_local) calls, applied by the session when the statement ends.
    pub settings: Mutex<Vec<SettingChange>>,
    /// What the open transaction tells by NOTIFY and pg_notify.
    pub told: Mutex<Told>,
    /// What of the open transaction is checked when it ends.
    pub deferred: Mutex<Deferred>,
    /// The session's advisory locks, once it has asked for one.
    pub advisory: OnceLock<AdvisoryLocks>,
}

/// How far the effects of a transaction have come: a place to come back to. The default is its
/// beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EffectsMark {
    told: usize,
    locked: usize,
    deferred: deferred::Mark,
}

impl SessionEffects {
    /// Where the transaction is.
    pub fn mark(&self) -> EffectsMark {
        EffectsMark {
            told: self.told.lock().len(),
            locked: self.advisory.get().map_or(0, AdvisoryLocks::mark),
            deferred: self.deferred.lock().mark(),
        }
    }

    /// What the transaction has done since is undone.
    pub fn roll_back(&self, mark: EffectsMark) {
        // Those before have been applied by now.
        self.settings.lock().clear();
        self.told.lock().roll_back(mark.told);
        self.deferred.lock().roll_back(mark.deferred);
        if let Some(advisory) = self.advisory.get() {
            // What was waited for and then not taken.
            advisory.settle();
            advisory.release_since(mark.locked);
        }
    }

    /// The advisory locks of the session, made where it has none.
    pub fn advisory(&self, storage: &Storage, pid: i32) -> &AdvisoryLocks {
        self.advisory.get_or_init(|| storage.advisory_locks(pid))
    }
}

/// currval and lastval.
#[derive(Debug, Default)]
pub struct SequenceMemory {
    /// By sequence.
    pub values: std::collections::BTreeMap<Oid, i64>,
    /// The one used last.
    pub last: Option<Oid>,
}

/// One set_config call.
#[derive(Clone, Debug)]
pub struct SettingChange {
    /// The setting.
    pub name: String,
    /// Its new text.
    pub value: String,
    /// Until the end of the transaction only.
    pub local: bool,
}

/// What the parts of a statement share whose WITH writes.
#[derive(Clone)]
pub struct Parts {
    /// The rows as they were before the first part; None while it is planned.
    pub view: Option<View>,
    /// What each part returns, in their order.
    pub returned: Vec<Returned>,
}

/// What one part returns.
#[derive(Clone)]
pub struct Returned {
    /// Its columns.
    pub fields: Arc<[ResultField]>,
    /// Its rows, once it has run.
    pub batches: Vec<RecordBatch>,
    /// Given back when nobody reads them any more.
    pub memory: Option<Arc<MemoryReservation>>,
}

/// Everything a statement may know. One for each statement; cheap to clone.
#[derive(Clone)]
pub struct StatementContext {
    /// Who asks.
    pub identity: Arc<Identity>,
    /// What they may, at the snapshot's epoch.
    pub rights: Arc<Rights>,
    /// The catalog, with the transaction's own definitions in it.
    pub snapshot: Arc<Snapshot>,
    /// SET's effect.
    pub settings: Arc<Settings>,
    /// now(), in Unix microseconds: the start of the transaction.
    pub transaction_time: i64,
    /// statement_timestamp(), in Unix microseconds.
    pub statement_time: i64,
    /// Whether the transaction is READ ONLY (25006 on writes).
    pub read_only: bool,
    /// lock_timeout; None waits for ever.
    pub lock_timeout: Option<Duration>,
    /// pg_backend_pid().
    pub backend_pid: i32,
    /// Looked at by long work.
    pub cancel: CancelFlag,
    /// Functions with an effect on the session.
    pub effects: Arc<SessionEffects>,
    /// Notices to send before the statement's end.
    pub notices: Notices,
    /// For a part of a statement whose WITH writes.
    pub parts: Option<Arc<Parts>>,
    /// Whose turn it is to tell others.
    pub turn: u64,
    /// The transaction that it runs in.
    pub transaction: TransactionId,
    /// The other sessions; None where there are none.
    pub peers: Option<Arc<dyn Peers>>,
    /// What the session keeps by name; None where it keeps nothing.
    pub objects: Option<SharedObjects>,
    /// What queries run in, for expressions that ask the statement outside of one; None where none does.
    pub query: Option<QueryEngine>,
}

impl StatementContext {
    /// What input functions and expressions of the statement look at.
    pub fn input(&self) -> Input<'_> {
        Input {
            settings: &self.settings,
            transaction_time: self.transaction_time,
            variables: Some(self.variables()),
            types: Some(self.user_types()),
        }
    }

    /// The types that somebody has defined in the session's database.
    pub fn user_types(&self) -> UserTypes<'_> {
        UserTypes {
            definitions: &self.snapshot.definitions,
            database: self.identity.database,
        }
    }

    /// `$auth.*`
    pub fn variables(&self) -> Variables<'_> {
        Variables::new(&self.identity, &self.rights, &self.snapshot)
    }

    /// Who owns the relations that the statement makes.
    pub fn owner_of_new(&self) -> PrincipalId {
        let identity = &self.identity;
        self.snapshot
            .principals
            .owner_of_new(identity.principal, identity.database)
    }
}

/// Notices collected while a statement runs.
#[derive(Clone, Debug, Default)]
pub struct Notices(Arc<Mutex<Vec<Diagnostic>>>);

impl Notices {
    /// Adds one.
    pub fn push(&self, notice: Diagnostic) {
        self.0.lock().push(notice);
    }

    /// Takes those collected so far, in order.
    pub fn take(&self) -> Vec<Diagnostic> {
        std::mem::take(&mut *self.0.lock())
    }
}
