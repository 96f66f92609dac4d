//! The simple query protocol: the statements of one text, in one transaction unless they say
//! otherwise (PostgreSQL §55.2.2).

use super::connection::Connection;
use super::reply;
use super::send::Description;
use crate::diagnostic::Diagnostic;
use crate::engine::outcome::CommandTag;
use crate::session::format::ResultFormats;
use crate::session::message::{Piece, Tail};
use crate::session::{Answer, EndReason};
use crate::wire::attended::within;
use sqlparser::ast::Statement;
use std::pin::pin;
use std::sync::Arc;

impl Connection {
    pub(super) async fn simple_query(&mut self, text: &str) -> Result<(), EndReason> {
        if let Err(error) = self.run_text(text).await {
            Box::pin(self.session.note_refusal(&error)).await;
            self.fail(error)?;
        }
        self.ready();
        Ok(())
    }

    async fn run_text(&mut self, text: &str) -> Result<(), Diagnostic> {
        self.session.adopt()?;
        if self.session.notes_statements() {
            Box::pin(self.session.note_statement(text)).await?;
        }
        if let Some(tag) = self.run_point(text).await? {
            return self.complete(tag, Tail::Last).await;
        }
        // What the fast way does not need is not carried by every message's future.
        Box::pin(self.run_parsed(text)).await
    }

    async fn run_parsed(&mut self, text: &str) -> Result<(), Diagnostic> {
        let steps = self.session.parse_message(text).await?.into_steps();
        if steps.is_empty() {
            self.session.end_implicit().await?;
            reply::empty_query(&mut self.stream.outbox());
        }
        for step in steps {
            let tag = match step.piece {
                Piece::Statement(text, statement) => {
                    self.run_statement(statement.ast, &text).await?
                }
                Piece::Credential(statement) => {
                    let answer = self.session.run_credential(statement).await?;
                    self.send_body(answer).await?
                }
            };
            self.complete(tag, step.tail).await?;
        }
        Ok(())
    }

    /// Runs a point statement, if the text is one; without parsing it, if it is known.
    async fn run_point(&mut self, text: &str) -> Result<Option<CommandTag>, Diagnostic> {
        let limit = self.session.settings().statement_timeout();
        let handle = self.session.handle().clone();
        let running = async {
            match self.session.run_point(text).await? {
                Some(answer) => self.send_body(answer).await.map(Some),
                None => Ok(None),
            }
        };
        within(&handle, limit, pin!(running)).await
    }

    /// Runs a statement and sends its rows, all under statement_timeout.
    async fn run_statement(
        &mut self,
        statement: Statement,
        text: &Arc<str>,
    ) -> Result<CommandTag, Diagnostic> {
        let limit = self.session.settings().statement_timeout();
        let handle = self.session.handle().clone();
        let running = async {
            let answer = self.session.run(statement, text).await?;
            self.send_body(answer).await
        };
        within(&handle, limit, pin!(running)).await
    }

    /// CommandComplete; after the last statement of a message once its transaction is committed.
    async fn complete(&mut self, tag: CommandTag, tail: Tail) -> Result<(), Diagnostic> {
        if tail == Tail::Last {
            self.session.end_implicit().await?;
        }
        self.send_notices();
        reply::command_complete(&mut self.stream.outbox(), tag);
        Ok(())
    }

    async fn send_body(&mut self, answer: Answer) -> Result<CommandTag, Diagnostic> {
        match answer {
            Answer::Done(tag) => Ok(tag),
            Answer::Rows(mut cursor) => {
                let formats = ResultFormats::Text;
                let described = Description::First;
                let sent = self
                    .send_rows(&mut cursor, &formats, None, described)
                    .await?;
                Ok(cursor.tag(sent))
            }
            Answer::CopyIn(copy) => Box::pin(self.copy_in(*copy)).await,
            Answer::CopyOut(copy) => Box::pin(self.copy_out(*copy)).await,
        }
    }
}
