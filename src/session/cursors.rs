//! SQL's cursors: DECLARE, FETCH and MOVE, forwards. A cursor is a portal whose query has begun.
//!
//! What would go back is refused: results are not kept.

use super::cursor::Cursor;
use super::format::ResultFormats;
use super::prepared::{Body, Portal, Prepared, Progress};
use super::transaction::{Block, only_in_a_block};
use super::{Answer, Session, command};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::{CommandTag, ResultField, Rows};
use crate::sql::fetch::Verb;
use sqlparser::ast::{self, DeclareType, FetchDirection, Statement, ValueWithSpan};
use std::cell::OnceCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes of the rows that one FETCH of a number gives, at most.
const FETCH_BYTES_MAX: usize = 64 << 20;

/// DECLARE … CURSOR, told apart.
#[derive(Debug)]
pub struct Declaration {
    /// The cursor.
    pub name: String,
    /// What it reads.
    pub query: Box<ast::Query>,
}

/// How far FETCH and MOVE go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// So many rows.
    Count(usize),
    /// To the end.
    All,
}

/// Tells DECLARE apart.
///
/// # Errors
/// 0A000 for cursors that outlive their transaction, go back, or give binary.
pub fn declaration(declared: Vec<ast::Declare>) -> Result<Declaration, Diagnostic> {
    let mut declared = declared.into_iter();
    let (Some(declare), None) = (declared.next(), declared.next()) else {
        return Err(Diagnostic::unsupported("DECLARE of several"));
    };
    if declare.declare_type != Some(DeclareType::Cursor) {
        return Err(Diagnostic::unsupported("DECLARE of this kind"));
    }
    for (given, feature) in [
        (declare.hold, "DECLARE CURSOR … WITH HOLD"),
        (declare.scroll, "DECLARE SCROLL CURSOR"),
        (declare.binary, "DECLARE BINARY CURSOR"),
    ] {
        if given == Some(true) {
            return Err(Diagnostic::unsupported(feature));
        }
    }
    match (declare.names.first(), declare.for_query) {
        (Some(name), Some(query)) => Ok(Declaration {
            name: command::folded(name),
            query,
        }),
        _ => Err(Diagnostic::unsupported("DECLARE without a query")),
    }
}

/// Tells how far a FETCH goes.
///
/// # Errors
/// 0A000 for what goes back or stays.
pub fn steps(direction: &FetchDirection) -> Result<Steps, Diagnostic> {
    let count = |limit: &ValueWithSpan| {
        let count: Option<usize> = limit.value.to_string().parse().ok();
        match count {
            Some(count) if count > 0 => Ok(Steps::Count(count)),
            _ => Err(Diagnostic::unsupported("FETCH that does not go forward")),
        }
    };
    match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Ok(Steps::Count(1)),
        FetchDirection::Count { limit }
        | FetchDirection::Forward { limit: Some(limit) }
        | FetchDirection::Relative { limit } => count(limit),
        FetchDirection::All | FetchDirection::ForwardAll => Ok(Steps::All),
        other => Err(Diagnostic::unsupported(format!("FETCH {other}"))),
    }
}

impl Session {
    /// DECLARE: the query begins, and its rows wait.
    ///
    /// # Errors
    /// 25P01 outside a transaction block, 42P03 for a name that is taken, what the query fails with.
    pub(super) async fn run_declare(
        &mut self,
        declaration: Declaration,
        text: &Arc<str>,
    ) -> Result<Answer, Diagnostic> {
        if !matches!(self.block, Block::Explicit(_)) {
            return Err(only_in_a_block("DECLARE CURSOR"));
        }
        let Declaration { name, query } = declaration;
        if self.named.portal(&name).is_ok() {
            return Err(Diagnostic::error(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{name}\" already exists"),
            ));
        }
        let answer = Box::pin(self.run_engine(Statement::Query(query), text)).await?;
        let Answer::Rows(cursor) = answer else {
            return Err(Diagnostic::internal(
                "a cursor's query answered without rows",
            ));
        };
        let portal = Portal {
            prepared: Rc::new(Prepared {
                body: Body::Empty,
                parameters: Box::default(),
                fields: Some(cursor.fields().clone()),
                described: OnceCell::new(),
            }),
            parameters: Vec::new(),
            formats: ResultFormats::Text,
            progress: Progress::Suspended(*cursor),
        };
        let portals_max = self.services.parts.limits.portals_max;
        self.named.add_portal(&name, portal, portals_max)?;
        Ok(Answer::Done(CommandTag::Plain("DECLARE CURSOR")))
    }

    /// What FETCH of a cursor gives.
    ///
    /// # Errors
    /// 34000
    pub(super) fn cursor_fields(&mut self, name: &str) -> Result<Arc<[ResultField]>, Diagnostic> {
        let portal = self.named.portal(name).map_err(|_| no_cursor(name))?;
        let fields = portal.prepared.fields.clone();
        Ok(fields.unwrap_or_else(|| Arc::from([])))
    }

    /// FETCH and MOVE.
    ///
    /// # Errors
    /// 34000, what the query fails with; 54000 for more rows than may be held.
    pub(super) async fn run_fetch(
        &mut self,
        name: &str,
        steps: Steps,
        verb: Verb,
    ) -> Result<Answer, Diagnostic> {
        let fields = self.cursor_fields(name)?;
        let mut portal = self.named.take_portal(name)?;
        let progress = std::mem::replace(&mut portal.progress, Progress::Finished(None));
        let answer = match (progress, steps, verb) {
            (Progress::Suspended(cursor), Steps::All, Verb::Fetch) => {
                // The rest goes out as it comes.
                Answer::Rows(Box::new(cursor.into_fetch()))
            }
            (Progress::Suspended(mut cursor), steps, verb) => {
                let taken = Box::pin(self.take_rows(&mut cursor, steps, verb)).await?;
                portal.progress = Progress::Suspended(cursor);
                match verb {
                    Verb::Fetch => Answer::rows(Rows::ready(fields, taken.0, taken.1)),
                    Verb::Move => Answer::Done(taken.0),
                }
            }
            (_, _, Verb::Fetch) => {
                Answer::rows(Rows::ready(fields, CommandTag::Fetch(0), Vec::new()))
            }
            (_, _, Verb::Move) => Answer::Done(CommandTag::Move(0)),
        };
        self.named.put_portal_back(name, portal);
        Ok(answer)
    }

    async fn take_rows(
        &mut self,
        cursor: &mut Cursor,
        steps: Steps,
        verb: Verb,
    ) -> Result<(CommandTag, Vec<datafusion::arrow::array::RecordBatch>), Diagnostic> {
        let wanted = match steps {
            Steps::Count(count) => count,
            Steps::All => usize::MAX,
        };
        let (mut left, mut bytes, mut batches) = (wanted, 0, Vec::new());
        while left > 0 {
            let next = self
                .interruptible(pin!(async { cursor.next(left).await.transpose() }))
                .await?;
            let Some((batch, rows)) = next else { break };
            left -= rows.len();
            if verb == Verb::Fetch {
                bytes += batch.get_array_memory_size() / batch.num_rows().max(1) * rows.len();
                if bytes > FETCH_BYTES_MAX {
                    return Err(Diagnostic::error(
                        SqlState::PROGRAM_LIMIT_EXCEEDED,
                        format!("the rows of one FETCH exceed {FETCH_BYTES_MAX} bytes"),
                    )
                    .with_hint("FETCH fewer rows at a time, or FETCH ALL."));
                }
                batches.push(batch.slice(rows.start, rows.len()));
            }
        }
        let count = (wanted - left) as u64;
        let tag = match verb {
            Verb::Fetch => CommandTag::Fetch(count),
            Verb::Move => CommandTag::Move(count),
        };
        Ok((tag, batches))
    }
}

fn no_cursor(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_CURSOR_NAME,
        format!("cursor \"{name}\" does not exist"),
    )
}
