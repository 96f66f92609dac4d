//! Where an INSERT's rows go one by one: into the table, past a row in the way, to RETURNING.

use super::conflict::{Conflict, Resolution, Resolved};
use super::returning::Collector;
use super::value::Row;
use super::write::{Arbiters, Insertion, Writer};
use super::xmax;
use crate::diagnostic::Diagnostic;
use datafusion::common::ScalarValue;

/// What the rows are written by.
pub struct Sink<'a, 'r> {
    /// ON CONFLICT.
    pub conflict: Option<&'a Conflict>,
    /// The rows that have been written by then.
    pub resolved: Resolved,
    /// The statement's.
    pub parameters: &'a [ScalarValue],
    /// What RETURNING gives.
    pub collector: &'a mut Option<Collector<'r>>,
    /// Whether it asks for [`xmax`].
    pub shows_xmax: bool,
}

impl Sink<'_, '_> {
    /// Whether each row is looked at by itself.
    pub fn by_rows(&self) -> bool {
        self.conflict.is_some() || self.collector.is_some()
    }

    /// Writes one row, or resolves its conflict; gives how many rows that concerned.
    ///
    /// # Errors
    /// Constraint violations, whatever the expressions raise.
    pub async fn write(
        &mut self,
        writer: &mut Writer<'_>,
        row: Vec<ScalarValue>,
    ) -> Result<u64, Diagnostic> {
        let (parameters, resolved) = (self.parameters, &mut self.resolved);
        let arbiters = self.conflict.map_or(&Arbiters::None, Conflict::arbiters);
        loop {
            let mut updated_by = None;
            let written = match writer.insert(&row, arbiters).await? {
                Insertion::Done(key) => {
                    if let Some(conflict) = self.conflict {
                        conflict.remember_inserted(key, resolved);
                    }
                    Some(row)
                }
                Insertion::Conflict(key) => {
                    let Some(conflict) = self.conflict else {
                        return Err(Diagnostic::internal("a conflict that nobody asked for"));
                    };
                    // Seldom on the way of a statement of one row, whose future stays small.
                    let resolving = conflict.resolve(writer, &key, &row, parameters, resolved);
                    match Box::pin(resolving).await? {
                        Resolution::Skipped => None,
                        Resolution::Updated(new) => {
                            updated_by = Some(writer.transaction.id());
                            Some(new)
                        }
                        // The row in the way has gone meanwhile.
                        Resolution::Retry => continue,
                    }
                }
            };
            let Some(mut row) = written else {
                return Ok(0);
            };
            if self.shows_xmax {
                row.push(xmax::value(updated_by));
            }
            if let Some(collector) = self.collector {
                collector.add(Row {
                    columns: &row,
                    parameters,
                    input: writer.input(),
                })?;
            }
            return Ok(1);
        }
    }
}
