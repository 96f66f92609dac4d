//! What COPY FROM needs of DML: batches of rows into one table.

use super::batch::{ColumnValues, ErrorOrder};
use super::filler::{Filler, input_of};
use super::foreign::Pending;
use super::pace::Pace;
use super::target::Target;
use super::write::{Writer, demand_writable};
use crate::catalog::definition::Relation;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::policy::{Guard, Purpose};
use crate::engine::transaction::Transaction;
use crate::storage::{Storage, Used};
use datafusion::arrow::array::ArrayRef;
use std::sync::Arc;

/// What a writer leaves behind between two pieces of the input.
pub struct Suspended {
    pending: Vec<Pending>,
    parents_seen: Vec<Vec<u8>>,
    in_bulk: bool,
    /// One for the whole input: a client may send each line in a message of its own.
    pace: Pace,
}

impl Suspended {
    /// To be awaited once a line: lets the core go when the slice is used up.
    ///
    /// # Errors
    /// 57014 and 57P01 once the statement is to stop.
    pub async fn step(&mut self) -> Result<(), Diagnostic> {
        self.pace.step().await
    }
}

/// The table of one COPY FROM and how its columns are filled.
#[derive(Debug)]
pub struct CopyTarget {
    target: Target,
    places: Vec<Option<usize>>,
    fillers: Vec<Option<Filler>>,
}

impl CopyTarget {
    /// For a COPY that gives the columns at these positions, in this order.
    ///
    /// # Errors
    /// 42809; 0A000 for a default that cannot be worked out.
    pub fn new(
        relation: &Arc<Relation>,
        columns: &[u16],
        context: &StatementContext,
    ) -> Result<CopyTarget, Diagnostic> {
        let target = Target::new(relation, &context.snapshot.definitions, input_of(context))?;
        let mut places = vec![None; target.columns().len()];
        for (place, position) in columns.iter().enumerate() {
            places[usize::from(*position)] = Some(place);
        }
        let fillers = places
            .iter()
            .enumerate()
            .map(|(position, place)| match place {
                Some(_) => Ok(None),
                None => Filler::of(&target, position, context).map(Some),
            })
            .collect::<Result<_, _>>()?;
        Ok(CopyTarget {
            target,
            places,
            fillers,
        })
    }

    /// Begins writing; give it batches with [`CopyTarget::write`], then `finish` the writer. None:
    /// the table was being changed, and is to be looked up again.
    ///
    /// # Errors
    /// 42501, 25006, 55P03.
    pub async fn begin<'a>(
        &'a self,
        transaction: &'a mut Transaction,
        storage: &'a Storage,
        context: &'a StatementContext,
    ) -> Result<Option<Writer<'a>>, Diagnostic> {
        context.rights.may_insert(&self.target.relation)?;
        demand_writable(context, "COPY FROM")?;
        let transaction = &mut transaction.storage;
        Ok(match self.target.uses().take(transaction, context).await? {
            Used::AfterWaiting => None,
            Used::AtOnce => {
                let purpose = Purpose::Insert;
                Some(Writer::new(
                    &self.target,
                    transaction,
                    storage,
                    context,
                    purpose,
                ))
            }
        })
    }

    /// Leaves off until there is more input; nothing is checked or waited for yet.
    pub fn suspend(writer: Writer<'_>) -> Suspended {
        Suspended {
            pending: writer.pending,
            parents_seen: writer.parents_seen,
            in_bulk: writer.in_bulk,
            pace: writer.pace,
        }
    }

    /// Goes on with what [`CopyTarget::suspend`] left; the relation is in use still.
    pub fn resume<'a>(
        &'a self,
        transaction: &'a mut Transaction,
        storage: &'a Storage,
        context: &'a StatementContext,
        suspended: Suspended,
    ) -> Writer<'a> {
        Writer {
            target: &self.target,
            transaction: &mut transaction.storage,
            storage,
            context,
            guard: Guard::new(&self.target.relation, Purpose::Insert, context),
            pending: suspended.pending,
            parents_seen: suspended.parents_seen,
            pace: suspended.pace,
            in_bulk: suspended.in_bulk,
            row: None,
        }
    }

    /// Writes a batch: one array for each column given, of these types. Lets the core go when its
    /// slice is used up.
    ///
    /// # Errors
    /// 23502, 23514, 23505, 23503; 22001 and the like on assignment.
    pub async fn write(
        &self,
        writer: &mut Writer<'_>,
        given: &[(ArrayRef, SqlType)],
        rows: usize,
    ) -> Result<(), Diagnostic> {
        let given: Vec<_> = self
            .places
            .iter()
            .map(|place| {
                place.map(|place| {
                    let (values, from) = &given[place];
                    ColumnValues {
                        values,
                        from: *from,
                        defaults: None,
                    }
                })
            })
            .collect();
        let columns = writer.fill_columns(&given, &self.fillers, rows).await?;
        writer
            .insert_batch(&columns, rows, ErrorOrder::ByKind)
            .await
    }
}
