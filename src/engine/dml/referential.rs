//! The end of a statement: foreign keys that had to wait for it, and ON DELETE and ON UPDATE.
//!
//! Actions write rows of other tables, whose own checks join the same queue, so that a chain of
//! cascades, however long, recurses nowhere.

use super::filler::Filler;
use super::foreign::{Gone, Pending};
use super::target::{Referencing, Target};
use super::violation;
use super::write::{Found, Writer, project};
use crate::catalog::Oid;
use crate::catalog::definition::ReferentialAction;
use crate::diagnostic::Diagnostic;
use crate::engine::policy::Purpose;
use crate::storage::LockMode;
use datafusion::common::ScalarValue;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// No row policy is asked where a foreign key is kept whole.
const KEEPING: Purpose = Purpose::KeepReferences;

/// Checks that wait, in the order they came up, and the tables that actions write.
#[derive(Default)]
struct Queue {
    /// The table whose check it is; None: the statement's own.
    waiting: VecDeque<(Option<Oid>, Pending)>,
    tables: HashMap<Oid, Arc<Target>>,
}

impl Writer<'_> {
    /// Ends the statement: checks what had to wait for its end, and acts where a foreign key says so.
    ///
    /// # Errors
    /// 23503, and whatever the rows that actions write violate.
    pub async fn finish(mut self) -> Result<(), Diagnostic> {
        if self.in_bulk {
            let finished = self.transaction.bulk_finish().await;
            self.loaded(finished)?;
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut queue = Queue::default();
        queue.take(None, &mut self.pending);
        while let Some((table, check)) = queue.waiting.pop_front() {
            self.step().await?;
            match table {
                None => self.carry_out(check, &mut queue).await?,
                Some(oid) => {
                    let target = queue.table(oid)?;
                    let (transaction, storage) = (&mut *self.transaction, self.storage);
                    let mut writer =
                        Writer::new(&target, transaction, storage, self.context, KEEPING);
                    writer.carry_out(check, &mut queue).await?;
                }
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, check: Pending, queue: &mut Queue) -> Result<(), Diagnostic> {
        let (place, values, how) = match check {
            Pending::Parent { place, values } => return self.check_parent(place, &values).await,
            Pending::Children { place, values, how } => (place, values, how),
        };
        let target = self.target;
        let referencing = &target.referencing[place];
        let action = match how {
            Gone::Updated(_) => referencing.on_update,
            Gone::Deleted => referencing.on_delete,
        };
        let acts = match action {
            ReferentialAction::NoAction => {
                if self.key_is_there_again(target, referencing, &values)? {
                    return Ok(());
                }
                false
            }
            ReferentialAction::Restrict => false,
            ReferentialAction::Cascade
            | ReferentialAction::SetNull
            | ReferentialAction::SetDefault => true,
        };
        let limit = if acts { usize::MAX } else { 1 };
        let children = self.children(referencing, &values, limit).await?;
        if children.is_empty() {
            return Ok(());
        }
        if !acts {
            return Err(violation::still_referenced(
                target,
                referencing,
                &values,
                &self.context.settings,
            ));
        }
        let expected = self.child_values(referencing, &values)?;
        let new = match &how {
            Gone::Updated(new) => Some(self.child_values(referencing, new)?),
            Gone::Deleted => None,
        };
        let act = Act {
            referencing,
            action,
            expected,
            new,
        };
        let oid = referencing.relation.oid;
        let child = queue.open(referencing, self)?;
        let (transaction, storage) = (&mut *self.transaction, self.storage);
        // Waiting here leaves the rows of older definitions to storage, which refuses their layout.
        child.uses().take(transaction, self.context).await?;
        let mut writer = Writer::new(&child, transaction, storage, self.context, KEEPING);
        for key in children {
            writer.step().await?;
            act.on(&mut writer, &key).await?;
            queue.take(Some(oid), &mut writer.pending);
        }
        // A default may be the key that is gone (PostgreSQL's RI_FKey_setdefault looks again, too).
        if action == ReferentialAction::SetDefault
            && !self.key_is_there_again(target, referencing, &values)?
            && !self.children(referencing, &values, 1).await?.is_empty()
        {
            return Err(violation::still_referenced(
                target,
                referencing,
                &values,
                &self.context.settings,
            ));
        }
        Ok(())
    }
}

/// What to do with the rows that point at a key that is gone.
struct Act<'r> {
    referencing: &'r Referencing,
    action: ReferentialAction,
    /// What their referencing columns hold.
    expected: Vec<ScalarValue>,
    /// What ON UPDATE CASCADE makes of them.
    new: Option<Vec<ScalarValue>>,
}

impl Act<'_> {
    async fn on(&self, writer: &mut Writer<'_>, key: &[u8]) -> Result<(), Diagnostic> {
        let bytes = match writer.lock_row(key, LockMode::Update).await? {
            Found::Gone => return Ok(()),
            Found::Unchanged(bytes) | Found::Changed(bytes) => bytes,
        };
        let old = writer.target.layout.decode_row(&bytes)?;
        if project(&old, &self.referencing.columns) != self.expected {
            return Ok(());
        }
        if self.action == ReferentialAction::Cascade && self.new.is_none() {
            return writer.delete(key, &old).await;
        }
        let mut row = old.clone();
        for (place, column) in self.referencing.columns.iter().enumerate() {
            let position = usize::from(*column);
            row[position] = match (self.action, &self.new) {
                (ReferentialAction::Cascade, Some(new)) => new[place].clone(),
                (ReferentialAction::SetDefault, _) => {
                    let filler = Filler::of(writer.target, position, writer.context)?;
                    filler.next(writer.storage, writer.context).await?
                }
                _ => crate::engine::types::null_scalar(writer.target.columns()[position].sql_type),
            };
        }
        writer.target.generate(&mut row, writer.input())?;
        writer.update(key, &old, &row).await
    }
}

impl Queue {
    fn take(&mut self, table: Option<Oid>, pending: &mut Vec<Pending>) {
        self.waiting
            .extend(pending.drain(..).map(|check| (table, check)));
    }

    fn table(&self, oid: Oid) -> Result<Arc<Target>, Diagnostic> {
        let found = self.tables.get(&oid).cloned();
        found.ok_or_else(|| Diagnostic::internal("an action on a table that was not opened"))
    }

    fn open(
        &mut self,
        referencing: &Referencing,
        writer: &Writer<'_>,
    ) -> Result<Arc<Target>, Diagnostic> {
        let oid = referencing.relation.oid;
        if let Some(target) = self.tables.get(&oid) {
            return Ok(target.clone());
        }
        let definitions = &writer.context.snapshot.definitions;
        let target = Target::new(&referencing.relation, definitions, writer.input())?;
        let target = Arc::new(target);
        self.tables.insert(oid, target.clone());
        Ok(target)
    }
}
