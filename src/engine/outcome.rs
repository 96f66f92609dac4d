//! What a statement gives back: rows with their description, or a command tag.

use crate::catalog::Oid;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use datafusion::arrow::array::RecordBatch;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::StreamExt;
use futures::channel::mpsc;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One column of a result, as RowDescription tells it (PostgreSQL §55.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultField {
    /// The output name.
    pub name: String,
    /// Its type with typmod.
    pub sql_type: SqlType,
    /// The table the column comes from unchanged, if any.
    pub table: Option<Oid>,
    /// Its attnum there; 0 where `table` is none.
    pub column: i16,
}

/// What a finished command was and how many rows it concerned; `Display` is PostgreSQL's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandTag {
    /// SELECT n, VALUES and TABLE too.
    Select(u64),
    /// INSERT 0 n
    Insert(u64),
    /// UPDATE n
    Update(u64),
    /// DELETE n
    Delete(u64),
    /// COPY n
    Copy(u64),
    /// FETCH n
    Fetch(u64),
    /// MOVE n
    Move(u64),
    /// Anything whose tag is fixed, such as CREATE TABLE.
    Plain(&'static str),
}

impl CommandTag {
    /// The same command with another count.
    #[must_use]
    pub fn with_count(self, rows: u64) -> CommandTag {
        match self {
            CommandTag::Select(_) => CommandTag::Select(rows),
            CommandTag::Insert(_) => CommandTag::Insert(rows),
            CommandTag::Update(_) => CommandTag::Update(rows),
            CommandTag::Delete(_) => CommandTag::Delete(rows),
            CommandTag::Copy(_) => CommandTag::Copy(rows),
            CommandTag::Fetch(_) => CommandTag::Fetch(rows),
            CommandTag::Move(_) => CommandTag::Move(rows),
            CommandTag::Plain(tag) => CommandTag::Plain(tag),
        }
    }

    /// Its words, without the count.
    pub fn command(self) -> &'static str {
        match self {
            CommandTag::Select(_) => "SELECT",
            CommandTag::Insert(_) => "INSERT",
            CommandTag::Update(_) => "UPDATE",
            CommandTag::Delete(_) => "DELETE",
            CommandTag::Copy(_) => "COPY",
            CommandTag::Fetch(_) => "FETCH",
            CommandTag::Move(_) => "MOVE",
            CommandTag::Plain(tag) => tag,
        }
    }

    /// How many rows it concerned, where it counts them.
    pub fn count(self) -> Option<u64> {
        match self {
            CommandTag::Select(rows)
            | CommandTag::Insert(rows)
            | CommandTag::Update(rows)
            | CommandTag::Delete(rows)
            | CommandTag::Copy(rows)
            | CommandTag::Fetch(rows)
            | CommandTag::Move(rows) => Some(rows),
            CommandTag::Plain(_) => None,
        }
    }
}

impl fmt::Display for CommandTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.command())?;
        match (self, self.count()) {
            // The 0 was an OID once.
            (CommandTag::Insert(_), Some(rows)) => write!(f, " 0 {rows}"),
            (_, Some(rows)) => write!(f, " {rows}"),
            (_, None) => Ok(()),
        }
    }
}

/// Where the batches of a result come from.
pub enum Source {
    /// All there already: point statements and what answers from the catalog.
    Ready(std::vec::IntoIter<RecordBatch>),
    /// From the query pool, through a bounded channel; dropping it stops the query.
    Pool(Coming),
}

/// Batches that the query pool makes.
pub struct Coming {
    batches: mpsc::Receiver<Result<RecordBatch, Diagnostic>>,
    given_up: Arc<AtomicBool>,
}

impl Coming {
    /// Dropping it sets `given_up` at once: an operator that is busy looks at that, long before it tries
    /// to send.
    pub fn new(
        batches: mpsc::Receiver<Result<RecordBatch, Diagnostic>>,
        given_up: Arc<AtomicBool>,
    ) -> Coming {
        Coming { batches, given_up }
    }
}

impl From<mpsc::Receiver<Result<RecordBatch, Diagnostic>>> for Coming {
    /// Of what never works long without sending.
    fn from(batches: mpsc::Receiver<Result<RecordBatch, Diagnostic>>) -> Coming {
        Coming::new(batches, Arc::default())
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

/// A result that is still coming.
pub struct Rows {
    /// Describes each column of every batch.
    pub fields: Arc<[ResultField]>,
    /// The command; the count is the number of rows sent for SELECT, and what the statement
    /// changed for RETURNING.
    pub tag: CommandTag,
    /// The batches.
    pub source: Source,
    /// Given back when the rows are.
    pub memory: Option<MemoryReservation>,
}

impl Rows {
    /// A result that is all there.
    pub fn ready(fields: Arc<[ResultField]>, tag: CommandTag, batches: Vec<RecordBatch>) -> Rows {
        Rows {
            fields,
            tag,
            source: Source::Ready(batches.into_iter()),
            memory: None,
        }
    }

    /// The next batch; None at the end. Never blocks a core: it awaits the pool.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, Diagnostic>> {
        match &mut self.source {
            Source::Ready(batches) => batches.next().map(Ok),
            Source::Pool(coming) => coming.batches.next().await,
        }
    }
}

/// What executing a statement gave.
pub enum Outcome {
    /// Rows to send, then the tag.
    Rows(Rows),
    /// Just the tag.
    Done(CommandTag),
    /// Nothing was done: a relation that the plan uses was being changed, and may not be what it
    /// was planned for any more. The relations are in use now; plan again on the definitions in
    /// force, or execute again where they are the same.
    Stale,
}
