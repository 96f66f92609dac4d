//! The end of a transaction by COMMIT.
//!
//! Order (a number, the overlay) → release row locks → the group's LMDB transaction → fsync →
//! acknowledge. Once ordered, a commit stands whether or not its session waits for the answer.

use super::commit_gate::CommitRequest;
use super::error::StorageError;
use super::keyspace::CommitNumber;
use super::transaction::{Phase, Transaction};
use crate::catalog::RelationId;
use futures::channel::oneshot;
use std::sync::Arc;

type Acknowledgement = oneshot::Receiver<Result<CommitNumber, StorageError>>;

impl Transaction {
    /// Commits. Row locks go as soon as the write set is ordered (a large one's: when it is durable);
    /// the future is ready after the fsync. Relation uses stay until this transaction is dropped or
    /// rolled back, so that a new definition is published first.
    ///
    /// After an error the transaction is rolled back.
    pub async fn commit(&mut self) -> Result<CommitNumber, StorageError> {
        self.check_open()?;
        if let Err(error) = self.bulk_finish().await {
            self.rollback();
            return Err(error);
        }
        if self.writes.is_empty() && self.made.is_empty() {
            return self.commit_reads().await;
        }
        let (acknowledgement, dropped) = match self.order() {
            Ok(ordered) => ordered,
            Err(error) => {
                self.rollback();
                return Err(error);
            }
        };
        let number = acknowledgement
            .await
            .unwrap_or(Err(StorageError::ShuttingDown))?;
        for relation in dropped {
            self.core.shared.forget(relation);
        }
        Ok(number)
    }

    /// Nothing was written: what was read from the overlay must still become durable.
    async fn commit_reads(&mut self) -> Result<CommitNumber, StorageError> {
        let outcome = self.durable().await;
        if outcome.is_ok()
            && let Some(call) = self.when_durable.take()
        {
            call();
        }
        self.end();
        self.row_locks.release_since(0);
        outcome.map(|()| CommitNumber(0))
    }

    fn order(&mut self) -> Result<(Acknowledgement, Vec<RelationId>), StorageError> {
        let uses = Arc::new(self.uses.take());
        self.committed_uses = Some(uses.clone());
        let (loaded, dropped, expected_layouts, new_layouts) = self.made.take_for_commit();
        let request = CommitRequest {
            bytes: self.writes.bytes(),
            spilled: self.writes.is_spilled(),
            entries: std::mem::take(&mut self.writes).into_entries(),
            loaded: loaded.clone(),
            dropped: dropped.clone(),
            expected_layouts,
            new_layouts,
            taken: self.taken,
            when_durable: self.when_durable.take(),
            uses,
        };
        self.end();
        let ordered = self.core.shared.gate.order(request, self.row_locks.take());
        if ordered.is_err() {
            self.clear_loaded(&loaded);
        }
        debug_assert_eq!(self.phase, Phase::Ended);
        Ok((ordered?, dropped))
    }
}
