//! Answers on their way out: rows encoded in small portions, large results in parts, held back by
//! a client that reads slowly.

use super::connection::{Connection, Results};
use super::frame::FRAME_BYTES_MAX;
use super::response::{Frame, Outcome, Status};
use super::row::Columns;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::{CommandTag, ResultField};
use crate::engine::settings::Settings;
use crate::session::cursor::Cursor;
use crate::session::run::interruptible;
use crate::session::services::Draining;
use crate::session::{Answer, CoreServices};
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use shards::Stream;
use std::pin::pin;
use std::sync::Arc;

/// Rows encoded before the core's other sessions have their turn.
const ROWS_A_SLICE: usize = 256;

/// A part of a result is sent when it has grown past this; so too other sessions have their turn.
const PART_BYTES: usize = 64 << 10;

/// What the rows of a frame may take when it is looked at.
const ROWS_BYTES_MAX: usize = FRAME_BYTES_MAX - (128 << 10);

/// What all the warnings of one reply may take.
const WARNINGS_BYTES_MAX: usize = 32 << 10;

// Until the next look a frame grows by a part at most, and at its end by its warnings.
const _: () = assert!(ROWS_BYTES_MAX + PART_BYTES + 2 * WARNINGS_BYTES_MAX <= FRAME_BYTES_MAX);

/// Whether anybody waits for a statement's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// They are sent.
    Rows,
    /// It runs to its end for its effect.
    Nothing,
}

/// A statement that has run, and the frame that its last rows stand in.
pub(super) struct Done {
    tag: Option<CommandTag>,
    frame: Option<Frame>,
}

impl Done {
    /// An empty text.
    pub(super) fn nothing() -> Done {
        Done {
            tag: None,
            frame: None,
        }
    }
}

/// Appends a frame to what is to be sent.
pub(super) fn whole(stream: &Stream, frame: Vec<u8>) {
    stream.outbox().extend_from_slice(&frame);
}

/// A reply that says what went wrong. The error's fields that the protocol has no key for are told
/// as warnings.
pub(super) fn failed(frame: Frame, error: &Diagnostic, notices: Vec<Diagnostic>) -> Vec<u8> {
    let mut warnings = Warnings::default();
    warnings.further(error);
    notices.iter().for_each(|notice| warnings.notice(notice));
    let outcome = Outcome {
        error: Some(error),
        warnings: warnings.texts,
        ..Outcome::default()
    };
    frame.finish(Status::Error, &outcome)
}

/// A reply to nothing, which tells these.
pub(super) fn notices(frame: Frame, notices: &[Diagnostic]) -> Vec<u8> {
    let mut warnings = Warnings::default();
    notices.iter().for_each(|notice| warnings.notice(notice));
    let outcome = Outcome {
        warnings: warnings.texts,
        ..Outcome::default()
    };
    frame.finish(Status::Ok, &outcome)
}

/// The reply to Status: one row, `ok` or `draining`.
pub(super) fn status(stream: &Stream, services: &CoreServices, mut frame: Frame) {
    let word = match services.draining() {
        Draining::No => "ok",
        Draining::Yes => "draining",
    };
    let field = ResultField {
        name: "status".to_owned(),
        sql_type: SqlType::scalar(TypeKind::Text),
        table: None,
        column: 0,
    };
    let column: ArrayRef = Arc::new(StringArray::from(vec![word]));
    let batch = RecordBatch::try_from_iter([("status", column)]).expect("one column");
    let settings = Settings::default();
    let fields = [field];
    frame.columns(Some(&fields));
    let written =
        Columns::new(&batch, &fields, &settings).and_then(|mut columns| frame.row(&mut columns, 0));
    written.expect("a text is written as one");
    whole(stream, frame.finish(Status::Ok, &Outcome::default()));
}

impl Connection {
    /// Sends what a statement gave, all but its last frame, which waits for the commit.
    pub(super) async fn deliver(
        &mut self,
        answer: Answer,
        wanted: Wanted,
    ) -> Result<Done, Diagnostic> {
        match (answer, wanted) {
            (Answer::Done(tag), _) => Ok(Done {
                tag: Some(tag),
                frame: None,
            }),
            (Answer::Rows(mut cursor), Wanted::Rows) => {
                let handle = self.session.handle().clone();
                let encoding = self.rows(&mut cursor);
                let (sent, frame) = interruptible(&handle, pin!(encoding)).await?;
                Ok(Done {
                    tag: Some(cursor.tag(sent)),
                    frame: Some(frame),
                })
            }
            (Answer::Rows(mut cursor), Wanted::Nothing) => {
                let handle = self.session.handle().clone();
                let running = async {
                    while let Some(rows) = cursor.next(usize::MAX).await {
                        rows?;
                        shards::yield_now().await;
                    }
                    Ok(())
                };
                interruptible(&handle, pin!(running)).await?;
                Ok(Done::nothing())
            }
            (Answer::CopyIn(_) | Answer::CopyOut(_), _) => {
                Err(Diagnostic::unsupported("COPY over the native protocol"))
            }
        }
    }

    async fn rows(&mut self, cursor: &mut Cursor) -> Result<(u64, Frame), Diagnostic> {
        let settings = self.session.current_settings().clone();
        let fields = cursor.fields().clone();
        let mut frame = self.begun();
        frame.columns(Some(&fields));
        let (mut sent, mut turn_at) = (0_u64, PART_BYTES);
        while let Some(next) = cursor.next(ROWS_A_SLICE).await {
            let (batch, range) = next?;
            let full = range.len() == ROWS_A_SLICE;
            let mut columns = Columns::new(&batch, &fields, &settings)?;
            for row in range {
                frame.row(&mut columns, row)?;
                sent += 1;
                if frame.len() > turn_at {
                    frame = self.part(frame).await?;
                    turn_at = frame.len() + PART_BYTES;
                }
            }
            if full {
                shards::yield_now().await;
            }
        }
        Ok((sent, frame))
    }

    /// Sends what there is of a result, if the client takes results in parts, and gives the frame
    /// to go on with.
    async fn part(&mut self, frame: Frame) -> Result<Frame, Diagnostic> {
        if frame.len() > ROWS_BYTES_MAX {
            let (message, hint) = match self.results {
                Results::InParts => ("a row is longer than a frame can be", None),
                Results::Whole => (
                    "the result is longer than a frame can be",
                    Some("Announce streaming in the hello, or ask for fewer rows, with LIMIT."),
                ),
            };
            let error = Diagnostic::error(SqlState::PROGRAM_LIMIT_EXCEEDED, message);
            return Err(match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
        }
        if self.results == Results::Whole {
            shards::yield_now().await;
            return Ok(frame);
        }
        whole(
            &self.stream,
            frame.finish(Status::Partial, &Outcome::default()),
        );
        let outbox_bytes_max = self.session.services().parts.limits.outbox_bytes_max;
        if self.stream.unsent() > outbox_bytes_max {
            self.drained(outbox_bytes_max / 2).await?;
        } else {
            self.stream.flush();
        }
        shards::yield_now().await;
        let mut next = self.begun();
        next.columns(None);
        Ok(next)
    }

    /// Waits until the client has read all but so many bytes of what is to be sent.
    async fn drained(&self, bytes: usize) -> Result<(), Diagnostic> {
        self.stream.drained(bytes).await.map_err(|_| {
            // Nobody reads it; the next wait for bytes ends the session.
            Diagnostic::error(SqlState::CONNECTION_FAILURE, "connection to client lost")
        })
    }

    /// The last frame of an answer.
    pub(super) fn complete(&mut self, done: Done) {
        let mut warnings = Warnings::default();
        let notices = self.session.take_notices();
        notices.iter().for_each(|notice| warnings.notice(notice));
        let outcome = Outcome {
            command: done.tag.map(CommandTag::command),
            rows_affected: done.tag.and_then(rows_written),
            warnings: warnings.texts,
            ..Outcome::default()
        };
        let frame = done.frame.unwrap_or_else(|| self.begun());
        whole(&self.stream, frame.finish(Status::Ok, &outcome));
    }
}

/// How many rows a command has written, if it writes.
fn rows_written(tag: CommandTag) -> Option<u64> {
    match tag {
        CommandTag::Select(_) | CommandTag::Fetch(_) | CommandTag::Move(_) => None,
        tag => tag.count(),
    }
}

/// Texts beside an answer, bounded together: a statement may raise any number of notices.
#[derive(Default)]
struct Warnings {
    texts: Vec<String>,
    bytes: usize,
}

impl Warnings {
    fn notice(&mut self, notice: &Diagnostic) {
        self.push(notice.fields().severity.as_str(), notice.message());
        self.further(notice);
    }

    fn further(&mut self, diagnostic: &Diagnostic) {
        let fields = diagnostic.fields();
        for (word, text) in [("DETAIL", &fields.detail), ("HINT", &fields.hint)] {
            if let Some(text) = text {
                self.push(word, text);
            }
        }
    }

    fn push(&mut self, word: &str, text: &str) {
        let text = format!("{word}: {text}");
        self.bytes += text.len();
        if self.bytes <= WARNINGS_BYTES_MAX {
            self.texts.push(text);
        }
    }
}
