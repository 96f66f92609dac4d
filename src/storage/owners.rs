//! Sessions that hold advisory locks: by which number, and which transaction is theirs now.
//!
//! Whoever waits for a session waits for its transaction, and the other way round; the deadlock
//! search goes from one to the other.

use super::transaction::TransactionId;
use std::collections::HashMap;

/// The sessions that hold advisory locks, or have.
#[derive(Default)]
pub(super) struct Owners {
    sessions: HashMap<TransactionId, Session>,
    by_transaction: HashMap<TransactionId, TransactionId>,
}

struct Session {
    pid: i32,
    transaction: Option<TransactionId>,
}

impl Owners {
    pub(super) fn add(&mut self, owner: TransactionId, pid: i32) {
        let session = Session {
            pid,
            transaction: None,
        };
        self.sessions.insert(owner, session);
    }

    pub(super) fn remove(&mut self, owner: TransactionId) {
        let session = self.sessions.remove(&owner);
        if let Some(transaction) = session.and_then(|it| it.transaction) {
            self.by_transaction.remove(&transaction);
        }
    }

    /// The transaction that the session runs now.
    pub(super) fn set_transaction(&mut self, owner: TransactionId, transaction: TransactionId) {
        let Some(session) = self.sessions.get_mut(&owner) else {
            return;
        };
        if let Some(before) = session.transaction.replace(transaction) {
            self.by_transaction.remove(&before);
        }
        self.by_transaction.insert(transaction, owner);
    }

    /// The session's number of a transaction, the transaction of a session's number.
    pub(super) fn other(&self, one: TransactionId) -> Option<TransactionId> {
        let owner = self.by_transaction.get(&one).copied();
        owner.or_else(|| self.sessions.get(&one)?.transaction)
    }

    /// pg_backend_pid() of the session.
    pub(super) fn pid(&self, owner: TransactionId) -> Option<i32> {
        self.sessions.get(&owner).map(|session| session.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_by_its_newest_transaction_alone() {
        let mut owners = Owners::default();
        let [session, first, second] = [1, 2, 3].map(TransactionId);
        owners.add(session, 7);
        owners.set_transaction(session, first);
        owners.set_transaction(session, second);
        assert_eq!(owners.other(session), Some(second));
        assert_eq!(owners.other(second), Some(session));
        assert_eq!(owners.other(first), None);
        assert_eq!(owners.pid(session), Some(7));
        owners.remove(session);
        assert_eq!(owners.other(second), None);
    }
}
