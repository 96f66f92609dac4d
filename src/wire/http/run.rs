//! The statements of a request, run in the session that it is.

use super::asked::{Access, Query};
use super::json::{BatchRows, RowMode, RowShape};
use super::output::Output;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::CommandTag;
use crate::session::cursor::Cursor;
use crate::session::extended::Executed;
use crate::session::format::{Format, ResultFormats};
use crate::session::message::{Piece, Step, Tail};
use crate::session::run::interruptible;
use crate::session::transaction::Status;
use crate::session::{Answer, Session};
use crate::wire::attended::within;
use std::pin::pin;

/// Rows written before the core's other sessions have their turn.
const ROWS_A_SLICE: usize = 256;

/// Whether the rows of a statement are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Of the last one they are.
    Rows,
    /// The others run to their end all the same.
    Effects,
}

/// Runs the statements, the rows of the last one into `output`; gives its tag, None if there was
/// no statement. What it has changed is committed then.
///
/// # Errors
/// What a statement fails with; everything is rolled back.
pub async fn run(
    session: &mut Session,
    query: &Query,
    output: &mut Output<'_>,
) -> Result<Option<CommandTag>, Diagnostic> {
    let ran = run_query(session, query, output).await;
    if let Err(error) = &ran {
        Box::pin(session.note_refusal(error)).await;
        session.fail();
    }
    ran
}

async fn run_query(
    session: &mut Session,
    query: &Query,
    output: &mut Output<'_>,
) -> Result<Option<CommandTag>, Diagnostic> {
    session.adopt()?;
    // One with parameters is recorded when it is executed.
    if session.notes_statements() && query.parameters.is_empty() {
        Box::pin(session.note_statement(&query.sql)).await?;
    }
    if query.access == Access::ReadOnly {
        return Box::pin(run_read_only(session, query, output)).await;
    }
    let tag = if query.parameters.is_empty() {
        match run_point(session, query, output).await? {
            Some(tag) => Some(tag),
            None => Box::pin(run_text(session, query, output)).await?,
        }
    } else {
        Box::pin(run_bound(session, query, output)).await?
    };
    if session.status() != Status::Idle {
        return Err(
            Diagnostic::unsupported("a transaction that outlives its request")
                .with_hint("End it in the same request: it has been rolled back."),
        );
    }
    Ok(tag)
}

/// A point statement, without parsing it if it is known.
async fn run_point(
    session: &mut Session,
    query: &Query,
    output: &mut Output<'_>,
) -> Result<Option<CommandTag>, Diagnostic> {
    let limit = session.settings().statement_timeout();
    let handle = session.handle().clone();
    let running = async {
        match session.run_point(&query.sql).await? {
            Some(answer) => take(session, answer, query.row_mode, output)
                .await
                .map(Some),
            None => Ok(None),
        }
    };
    let tag = within(&handle, limit, Box::pin(running)).await?;
    if tag.is_some() {
        session.end_implicit().await?;
    }
    Ok(tag)
}

async fn run_text(
    session: &mut Session,
    query: &Query,
    output: &mut Output<'_>,
) -> Result<Option<CommandTag>, Diagnostic> {
    let steps = session.parse_message(&query.sql).await?.into_steps();
    run_steps(session, steps, query.row_mode, output).await
}

/// The statement of a GET runs in a READ ONLY transaction, which ends with the session.
async fn run_read_only(
    session: &mut Session,
    query: &Query,
    output: &mut Output<'_>,
) -> Result<Option<CommandTag>, Diagnostic> {
    let mut steps = session.parse_message(&query.sql).await?.into_steps();
    if steps.len() > 1 {
        return Err(Diagnostic::unsupported(
            "several statements in a GET request",
        ));
    }
    let text = "BEGIN READ ONLY";
    for begin in session.parse_message(text).await?.into_steps() {
        if let Piece::Statement(text, statement) = begin.piece {
            session.run(statement.ast, &text).await?;
        }
    }
    for step in &mut steps {
        step.tail = Tail::More;
    }
    run_steps(session, steps, query.row_mode, output).await
}

async fn run_steps(
    session: &mut Session,
    steps: Vec<Step>,
    row_mode: RowMode,
    output: &mut Output<'_>,
) -> Result<Option<CommandTag>, Diagnostic> {
    let last = steps.len().saturating_sub(1);
    let mut tag = None;
    for (index, step) in steps.into_iter().enumerate() {
        let limit = session.settings().statement_timeout();
        let handle = session.handle().clone();
        let tail = step.tail;
        let wanted = match index == last {
            true => Wanted::Rows,
            false => Wanted::Effects,
        };
        let running = Box::pin(run_step(session, step, wanted, row_mode, output));
        tag = Some(within(&handle, limit, running).await?);
        if tail == Tail::Last {
            session.end_implicit().await?;
        }
    }
    Ok(tag)
}

async fn run_step(
    session: &mut Session,
    step: Step,
    wanted: Wanted,
    row_mode: RowMode,
    output: &mut Output<'_>,
) -> Result<CommandTag, Diagnostic> {
    let answer = match step.piece {
        Piece::Statement(text, statement) => session.run(statement.ast, &text).await?,
        Piece::Credential(statement) => session.run_credential(statement).await?,
    };
    match (answer, wanted) {
        (Answer::Rows(mut cursor), Wanted::Effects) => {
            let handle = session.handle().clone();
            let passing = pass_over(&mut cursor);
            let rows = interruptible(&handle, pin!(passing)).await?;
            Ok(cursor.tag(rows))
        }
        (answer, _) => take(session, answer, row_mode, output).await,
    }
}

/// One statement with parameters, as a driver sends it: prepared, bound by text, executed.
async fn run_bound(
    session: &mut Session,
    query: &Query,
    output: &mut Output<'_>,
) -> Result<Option<CommandTag>, Diagnostic> {
    let limit = session.settings().statement_timeout();
    let handle = session.handle().clone();
    let running = Box::pin(execute_bound(session, query, output));
    let tag = within(&handle, limit, running).await?;
    session.end_implicit().await?;
    Ok(tag)
}

async fn execute_bound(
    session: &mut Session,
    query: &Query,
    output: &mut Output<'_>,
) -> Result<Option<CommandTag>, Diagnostic> {
    let unnamed = "";
    session.prepare(unnamed, &query.sql, &[]).await?;
    let prepared = session.prepared(unnamed)?;
    let (given, taken) = (query.parameters.len(), prepared.parameters.len());
    if given != taken {
        return Err(Diagnostic::error(
            SqlState::PROTOCOL_VIOLATION,
            format!("{given} parameters are given, but the statement takes {taken}"),
        ));
    }
    let values = query
        .parameters
        .iter()
        .map(|value| (Format::Text, value.as_deref().map(str::as_bytes)));
    session.bind(unnamed, prepared, given, values, ResultFormats::Text)?;
    let mut portal = session.take_portal(unnamed)?;
    let answer = match session.execute(&mut portal).await? {
        Executed::Empty => return Ok(None),
        Executed::Finished(tag) => Answer::Done(tag),
        Executed::Answer(answer) => answer,
        Executed::Rows(cursor) => Answer::Rows(cursor),
    };
    take(session, answer, query.row_mode, output)
        .await
        .map(Some)
}

/// The rows of an answer into the output.
async fn take(
    session: &mut Session,
    answer: Answer,
    row_mode: RowMode,
    output: &mut Output<'_>,
) -> Result<CommandTag, Diagnostic> {
    match answer {
        Answer::Done(tag) => Ok(tag),
        Answer::Rows(mut cursor) => {
            let handle = session.handle().clone();
            let writing = write_rows(session, &mut cursor, row_mode, output);
            let rows = interruptible(&handle, pin!(writing)).await?;
            Ok(cursor.tag(rows))
        }
        Answer::CopyIn(_) | Answer::CopyOut(_) => Err(Diagnostic::unsupported("COPY over HTTP")),
    }
}

async fn write_rows(
    session: &Session,
    cursor: &mut Cursor,
    row_mode: RowMode,
    output: &mut Output<'_>,
) -> Result<u64, Diagnostic> {
    let fields = cursor.fields().clone();
    let settings = session.current_settings().clone();
    let shape = RowShape::new(&fields, row_mode);
    output.begin(&fields);
    let mut written = 0;
    while let Some(next) = cursor.next(ROWS_A_SLICE).await {
        let (batch, range) = next?;
        let full = range.len() == ROWS_A_SLICE;
        let mut rows = BatchRows::new(&batch, &fields, &shape, &settings)?;
        for row in range {
            rows.write(row, output.next_row())?;
            output.end_row();
            written += 1;
            if output.is_piece_full() {
                output.end_piece().await?;
            }
        }
        if full {
            shards::yield_now().await;
        }
    }
    Ok(written)
}

/// Runs a query to its end without its rows.
async fn pass_over(cursor: &mut Cursor) -> Result<u64, Diagnostic> {
    let mut rows = 0;
    while let Some(next) = cursor.next(usize::MAX).await {
        rows += next?.1.len() as u64;
        shards::yield_now().await;
    }
    Ok(rows)
}
