//! A transaction as the engine sees it: storage's, and the definitions it has changed.
//!
//! Until COMMIT a transaction sees its own definitions through a private snapshot derived from the
//! current one (DESIGN §6 "Two kinds of truth"). At COMMIT they are written in the same storage
//! transaction as the rows, and the session publishes them afterwards through the control core.

use crate::catalog::Snapshot;
use crate::catalog::definition::DefinitionChange;
use crate::catalog::request::Named;
use crate::catalog::schema::is_temporary;
use crate::diagnostic::Diagnostic;
use crate::storage;
use std::sync::Arc;

/// One transaction of one session.
pub struct Transaction {
    /// The rows' half.
    pub storage: storage::Transaction,
    changes: Vec<DefinitionChange>,
    derived: Option<(Arc<Snapshot>, Arc<Snapshot>)>,
}

/// A place to come back to.
pub struct Savepoint {
    storage: storage::Savepoint,
    changes: usize,
}

impl Transaction {
    /// Around a fresh storage transaction.
    pub fn new(storage: storage::Transaction) -> Transaction {
        Transaction {
            storage,
            changes: Vec::new(),
            derived: None,
        }
    }

    /// The catalog as this transaction sees it: `current` with its own definitions applied.
    ///
    /// Costs nothing for a transaction that has defined nothing.
    pub fn snapshot(&mut self, current: &Arc<Snapshot>) -> Arc<Snapshot> {
        if self.changes.is_empty() {
            return current.clone();
        }
        if let Some((base, derived)) = &self.derived
            && Arc::ptr_eq(base, current)
        {
            return derived.clone();
        }
        let mut own = Snapshot::clone(current);
        for change in &self.changes {
            own.definitions = own.definitions.with(change);
        }
        let own = Arc::new(own);
        self.derived = Some((current.clone(), own.clone()));
        own
    }

    /// Adds a definition change; the caller has written it to storage's relation 1 too.
    pub fn define(&mut self, change: DefinitionChange) {
        self.changes.push(change);
        self.derived = None;
    }

    /// Whether this transaction has changed definitions (and must be published after COMMIT).
    pub fn has_definitions(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether it has made the schema of a session's temporary tables.
    pub fn makes_temporary(&self) -> bool {
        self.changes.iter().any(|change| match change {
            DefinitionChange::PutSchema(schema) => is_temporary(&schema.name),
            _ => false,
        })
    }

    /// Whom its definitions name.
    pub fn named_principals(&self) -> Named {
        Named::by(&self.changes)
    }

    /// Sets a savepoint.
    pub fn savepoint(&mut self) -> Savepoint {
        Savepoint {
            storage: self.storage.savepoint(),
            changes: self.changes.len(),
        }
    }

    /// Undoes everything after the savepoint, which stays usable.
    pub fn rollback_to(&mut self, savepoint: &Savepoint) {
        self.storage.rollback_to(savepoint.storage);
        self.changes.truncate(savepoint.changes);
        self.derived = None;
    }

    /// Makes it durable; gives the definitions to publish. Returns after the fsync.
    ///
    /// # Errors
    /// What storage's commit gives (40001, 53100, 58030, …); nothing of the transaction remains.
    pub async fn commit(&mut self) -> Result<Vec<DefinitionChange>, Diagnostic> {
        self.storage.commit().await?;
        Ok(std::mem::take(&mut self.changes))
    }
}
