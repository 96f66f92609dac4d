//! A result on its way to the client: batches as they come, and how far the current one is sent.

use crate::diagnostic::Diagnostic;
use crate::engine::outcome::{CommandTag, ResultField, Rows};
use datafusion::arrow::array::RecordBatch;
use std::ops::Range;
use std::sync::Arc;

/// A result that is being sent.
pub struct Cursor {
    rows: Rows,
    batch: Option<(RecordBatch, usize)>,
    sent: u64,
}

impl Cursor {
    /// Before its first row.
    pub fn new(rows: Rows) -> Cursor {
        Cursor {
            rows,
            batch: None,
            sent: 0,
        }
    }

    /// The result itself, before its first row is taken.
    pub fn into_rows(self) -> Rows {
        self.rows
    }

    /// Describes its columns.
    pub fn fields(&self) -> &Arc<[ResultField]> {
        &self.rows.fields
    }

    /// The next rows, at most `rows_max` of them and all of one batch; None at the end.
    ///
    /// # Errors
    /// What the query failed with.
    pub async fn next(
        &mut self,
        rows_max: usize,
    ) -> Option<Result<(RecordBatch, Range<usize>), Diagnostic>> {
        loop {
            if let Some((batch, from)) = &mut self.batch {
                let start = *from;
                if start < batch.num_rows() {
                    let end = batch.num_rows().min(start.saturating_add(rows_max));
                    *from = end;
                    self.sent += (end - start) as u64;
                    return Some(Ok((batch.clone(), start..end)));
                }
                self.batch = None;
            }
            match self.rows.next().await? {
                Ok(batch) => self.batch = Some((batch, 0)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Whether there is nothing more; looks ahead into the next batch where it must.
    ///
    /// # Errors
    /// What the query failed with.
    pub async fn is_at_end(&mut self) -> Result<bool, Diagnostic> {
        loop {
            if let Some((batch, from)) = &self.batch
                && *from < batch.num_rows()
            {
                return Ok(false);
            }
            match self.rows.next().await {
                None => return Ok(true),
                Some(batch) => self.batch = Some((batch?, 0)),
            }
        }
    }

    /// The tag of an execution that has sent so many rows: SELECT counts them, the others count
    /// what they changed.
    pub fn tag(&self, sent: u64) -> CommandTag {
        match self.rows.tag {
            CommandTag::Select(_) => CommandTag::Select(sent),
            CommandTag::Fetch(_) => CommandTag::Fetch(sent),
            other => other,
        }
    }

    /// Rows sent so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }
}
