//! DO: the statements of a block, one after the other in the transaction that it stands in.

use super::command::Command;
use super::message::{Message, TEXT_BYTES_ON_CORE_MAX};
use super::{Answer, Session};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::CommandTag;
use crate::sql::code_block::{self, Given, Step};
use datafusion::arrow::array::{Array, AsArray};
use std::pin::pin;

/// Rows of a PERFORM that are taken at a time.
const ROWS: usize = 1_024;

impl Session {
    /// Runs a DO.
    ///
    /// # Errors
    /// 42601 and 0A000 of the block itself, before anything of it is done; then what its statements fail
    /// with.
    pub(super) async fn run_do(&mut self, given: Given) -> Result<Answer, Diagnostic> {
        let steps = if given.code.len() <= TEXT_BYTES_ON_CORE_MAX {
            code_block::steps(&given)?
        } else {
            let off_core = self.services.parts.off_core.clone();
            let reading = off_core.run(move || code_block::steps(&given));
            self.interruptible(pin!(reading)).await??
        };
        self.run_code(&steps).await?;
        Ok(Answer::Done(CommandTag::Plain("DO")))
    }

    async fn run_code(&mut self, steps: &[Step]) -> Result<(), Diagnostic> {
        for step in steps {
            match step {
                Step::Statement(text) => {
                    if let Answer::Rows(_) = self.run_in_code(text).await? {
                        return Err(Diagnostic::error(
                            SqlState::SYNTAX_ERROR,
                            "query has no destination for result data",
                        )
                        .with_hint(
                            "If you want to discard the results of a SELECT, use PERFORM instead.",
                        ));
                    }
                }
                Step::Perform(text) => {
                    if let Answer::Rows(mut cursor) = self.run_in_code(text).await? {
                        let all = async {
                            while cursor.next(ROWS).await.transpose()?.is_some() {}
                            Ok(())
                        };
                        self.interruptible(pin!(all)).await?;
                    }
                }
                Step::If {
                    branches,
                    otherwise,
                } => {
                    let mut taken = otherwise;
                    for (condition, steps) in branches {
                        if self.holds(condition).await? {
                            taken = steps;
                            break;
                        }
                    }
                    Box::pin(self.run_code(taken)).await?;
                }
            }
        }
        Ok(())
    }

    /// One statement of a block.
    async fn run_in_code(&mut self, text: &str) -> Result<Answer, Diagnostic> {
        let parsed = self.parse_message(text).await;
        let (text, mut statements) = match parsed.map_err(Diagnostic::without_position)? {
            Message::Statements(text, statements) => (text, statements),
            Message::Empty | Message::Credentials(_) | Message::Mixed(_) => {
                return Err(Diagnostic::unsupported("this statement in a block of code"));
            }
        };
        let Some(statement) = statements.pop().filter(|_| statements.is_empty()) else {
            return Err(Diagnostic::internal("a statement of a block is several"));
        };
        let command = Command::of(statement.ast)?;
        match command {
            Command::Engine(_) | Command::Set { .. } | Command::Notify { .. } => {}
            _ => {
                return Err(Diagnostic::unsupported("this statement in a block of code"));
            }
        }
        let ran = Box::pin(self.run_command(command, &text)).await;
        // A place in a text that the client has not sent as such would only mislead.
        ran.map_err(Diagnostic::without_position)
    }

    /// Whether a condition is true: neither false nor NULL.
    async fn holds(&mut self, condition: &str) -> Result<bool, Diagnostic> {
        let text = format!("SELECT CAST(({condition}) AS boolean)");
        let Answer::Rows(mut cursor) = self.run_in_code(&text).await? else {
            return Err(Diagnostic::internal("a condition gave no row"));
        };
        let bool = SqlType::scalar(TypeKind::Bool);
        if cursor.fields().first().map(|field| field.sql_type) != Some(bool) {
            return Err(Diagnostic::internal("a condition is no condition"));
        }
        let first = async { cursor.next(1).await.transpose() };
        let Some((batch, rows)) = self.interruptible(pin!(first)).await? else {
            return Err(Diagnostic::internal("a condition gave no row"));
        };
        let values = batch.column(0).as_boolean();
        Ok(!values.is_null(rows.start) && values.value(rows.start))
    }
}
