//! Requests carried out on the session.
//!
//! The statements of one text are one transaction unless they say otherwise, as in a simple query
//! of PostgreSQL's; the last one answers. A statement with parameters stands alone.

use super::binding;
use super::connection::Connection;
use super::operation::Operation;
use super::request::Fields;
use super::response::{Outcome, Status};
use super::send::{self, Done, Wanted};
use super::value::Value;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::session::Answer;
use crate::session::command::{Chain, Command};
use crate::session::extended::Executed;
use crate::session::format::ResultFormats;
use crate::session::login;
use crate::session::message::{Piece, Step, Tail};
use crate::session::settings::Scope;
use crate::session::transaction::{self, ModesGiven};
use crate::wire::attended::within;
use std::pin::pin;

impl Connection {
    /// Does what a request asks for and answers it.
    ///
    /// # Errors
    /// What it fails with, to be told to the client.
    pub(super) async fn carry_out(
        &mut self,
        operation: Operation,
        fields: Fields,
    ) -> Result<(), Diagnostic> {
        if !matches!(operation, Operation::Ping | Operation::Status) {
            self.admit_by_rate()?;
            self.session.remind();
        }
        match operation {
            Operation::Sql | Operation::Ddl => {
                let text = wanted(fields.sql, "sql")?;
                match fields.parameters.is_empty() {
                    true => self.statements(&text).await,
                    false => Box::pin(self.with_parameters(&text, &fields.parameters)).await,
                }
            }
            Operation::Explain => {
                let text = format!("EXPLAIN {}", wanted(fields.sql, "sql")?);
                Box::pin(self.with_parameters(&text, &fields.parameters)).await
            }
            Operation::Set => {
                let name = wanted(fields.key, "key")?;
                let value = Some(wanted(fields.value, "value")?);
                self.command(set(name, value, "SET")).await
            }
            Operation::Reset => {
                let reset = fields.key.map(|name| set(name, None, "RESET"));
                self.command(reset.unwrap_or(Command::ResetAll)).await
            }
            Operation::Show => {
                let show = fields.key.map(Command::Show);
                self.command(show.unwrap_or(Command::ShowAll)).await
            }
            Operation::Begin => {
                let begin = Command::Begin(ModesGiven::default(), "BEGIN");
                self.command(begin).await
            }
            Operation::Commit => self.commit().await,
            Operation::Rollback => self.command(Command::Rollback(Chain::No)).await,
            Operation::Ping => {
                let reply = self.begun().finish(Status::Ok, &Outcome::default());
                send::whole(&self.stream, reply);
                Ok(())
            }
            Operation::Status => {
                send::status(&self.stream, self.session.services(), self.begun());
                Ok(())
            }
            Operation::Auth => Err(Diagnostic::error(
                SqlState::PROTOCOL_VIOLATION,
                "this connection has logged in already",
            )),
            Operation::Other(code) => Err(Diagnostic::unsupported(format_args!(
                "operation {code:02x}"
            ))),
        }
    }

    /// A session that goes on by an API key is bound by the key's rate at each request.
    fn admit_by_rate(&self) -> Result<(), Diagnostic> {
        match self.session.handle().identity().key {
            Some(key) => login::admit_by_rate(self.session.services(), key.id),
            None => Ok(()),
        }
    }

    async fn statements(&mut self, text: &str) -> Result<(), Diagnostic> {
        self.session.adopt()?;
        if self.session.notes_statements() {
            Box::pin(self.session.note_statement(text)).await?;
        }
        if let Some(done) = self.point(text).await? {
            self.session.end_implicit().await?;
            self.complete(done);
            return Ok(());
        }
        // What the fast way does not need is not carried by every request's future.
        Box::pin(self.parsed(text)).await
    }

    /// Runs a point statement, if the text is one; without parsing it, if it is known.
    async fn point(&mut self, text: &str) -> Result<Option<Done>, Diagnostic> {
        let limit = self.session.settings().statement_timeout();
        let handle = self.session.handle().clone();
        let running = async {
            match self.session.run_point(text).await? {
                Some(answer) => self.deliver(answer, Wanted::Rows).await.map(Some),
                None => Ok(None),
            }
        };
        within(&handle, limit, pin!(running)).await
    }

    async fn parsed(&mut self, text: &str) -> Result<(), Diagnostic> {
        let steps = self.session.parse_message(text).await?.into_steps();
        let mut last = Done::nothing();
        let count = steps.len();
        for (index, step) in steps.into_iter().enumerate() {
            let tail = step.tail;
            let answers = match index + 1 == count {
                true => Wanted::Rows,
                false => Wanted::Nothing,
            };
            last = self.step(step, answers).await?;
            if tail == Tail::Last {
                self.session.end_implicit().await?;
            }
        }
        self.session.end_implicit().await?;
        self.complete(last);
        Ok(())
    }

    async fn step(&mut self, step: Step, answers: Wanted) -> Result<Done, Diagnostic> {
        let limit = self.session.settings().statement_timeout();
        let handle = self.session.handle().clone();
        let running = Box::pin(async {
            let answer = match step.piece {
                Piece::Statement(text, statement) => self.session.run(statement.ast, &text).await?,
                Piece::Credential(statement) => self.session.run_credential(statement).await?,
            };
            self.deliver(answer, answers).await
        });
        within(&handle, limit, running).await
    }

    /// Runs one statement, prepared for as long as it runs; others that prepare the same text share
    /// its plan.
    async fn with_parameters(&mut self, text: &str, values: &[Value]) -> Result<(), Diagnostic> {
        self.session.adopt()?;
        let limit = self.session.settings().statement_timeout();
        let handle = self.session.handle().clone();
        let running = Box::pin(async {
            self.prepare(text, values).await?;
            let answer = self.execute(values).await?;
            self.deliver(answer, Wanted::Rows).await
        });
        let done = within(&handle, limit, running).await;
        self.session.close_portal(UNNAMED);
        self.session.close_statement(UNNAMED);
        let done = done?;
        self.session.end_implicit().await?;
        self.complete(done);
        Ok(())
    }

    /// Prepares the statement under no name. A parameter has the type that the statement gives it,
    /// as in PostgreSQL; where it gives none but text, a value that has a type keeps its own, so
    /// that a number stays one.
    async fn prepare(&mut self, text: &str, values: &[Value]) -> Result<(), Diagnostic> {
        let undeclared = self.session.prepare(UNNAMED, text, &[]).await;
        let declared: Vec<u32> = match &undeclared {
            Ok(()) => {
                let prepared = self.session.prepared(UNNAMED)?;
                let inferred = prepared.parameters.iter();
                let typed = inferred.zip(values).map(|(inferred, value)| {
                    let undecided = *inferred == SqlType::scalar(TypeKind::Text);
                    if undecided {
                        binding::own_type(value)
                    } else {
                        0
                    }
                });
                typed.collect()
            }
            Err(error) if is_about_types(error) => values.iter().map(binding::own_type).collect(),
            Err(_) => return undeclared,
        };
        if declared.iter().all(|oid| *oid == 0) {
            return undeclared;
        }
        match self.session.prepare(UNNAMED, text, &declared).await {
            Ok(()) => Ok(()),
            // A text is what the statement wants, after all.
            Err(error) if is_about_types(&error) && undeclared.is_ok() => {
                self.session.prepare(UNNAMED, text, &[]).await
            }
            Err(error) => undeclared.and(Err(error)),
        }
    }

    async fn execute(&mut self, values: &[Value]) -> Result<Answer, Diagnostic> {
        let prepared = self.session.prepared(UNNAMED)?;
        let types = prepared.parameters.iter();
        let bound: Vec<_> = values
            .iter()
            .zip(types)
            .map(|(value, wanted)| binding::bound(value, *wanted))
            .collect();
        if prepared.parameters.len() != values.len() {
            return Err(Diagnostic::error(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "{} parameters are given, but the statement has {}",
                    values.len(),
                    prepared.parameters.len()
                ),
            ));
        }
        let given = bound
            .iter()
            .map(|(format, bytes)| (*format, bytes.as_deref()));
        self.session
            .bind(UNNAMED, prepared, bound.len(), given, ResultFormats::Text)?;
        let mut portal = self.session.take_portal(UNNAMED)?;
        match self.session.execute(&mut portal).await? {
            Executed::Answer(answer) => Ok(answer),
            Executed::Rows(cursor) => Ok(Answer::Rows(cursor)),
            Executed::Empty | Executed::Finished(_) => Err(Diagnostic::error(
                SqlState::SYNTAX_ERROR,
                "an empty text takes no parameters",
            )),
        }
    }

    /// COMMIT by its own operation. A client that looks at the status alone must not take a
    /// transaction for committed that had failed and is now rolled back; in a text of statements it
    /// is PostgreSQL's ROLLBACK without an error.
    async fn commit(&mut self) -> Result<(), Diagnostic> {
        if self.session.status() == transaction::Status::Failed {
            self.session.abandon();
            return Err(Diagnostic::error(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "the transaction had failed and has been rolled back",
            ));
        }
        self.command(Command::Commit(Chain::No)).await
    }

    /// Something of the session's own.
    async fn command(&mut self, command: Command) -> Result<(), Diagnostic> {
        let limit = self.session.settings().statement_timeout();
        let handle = self.session.handle().clone();
        let running = Box::pin(async {
            let answer = self.session.run_own(command).await?;
            self.deliver(answer, Wanted::Rows).await
        });
        let done = within(&handle, limit, running).await?;
        self.session.end_implicit().await?;
        self.complete(done);
        Ok(())
    }
}

/// The name of what is prepared for one request.
const UNNAMED: &str = "";

fn set(name: String, value: Option<String>, tag: &'static str) -> Command {
    Command::Set {
        name,
        value,
        scope: Scope::Session,
        tag,
    }
}

/// Whether other types of the parameters may make the statement a good one.
fn is_about_types(error: &Diagnostic) -> bool {
    [
        SqlState::INDETERMINATE_DATATYPE,
        SqlState::DATATYPE_MISMATCH,
        SqlState::UNDEFINED_FUNCTION,
    ]
    .contains(&error.sqlstate())
}

fn wanted(field: Option<String>, name: &str) -> Result<String, Diagnostic> {
    field.ok_or_else(|| {
        Diagnostic::error(
            SqlState::PROTOCOL_VIOLATION,
            format!("this operation needs the field {name}"),
        )
    })
}
