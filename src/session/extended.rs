//! Prepared statements and portals: Parse, Bind, Describe, Execute, and SQL's PREPARE and EXECUTE.

use super::command::Command;
use super::cursor::Cursor;
use super::format::{Format, ResultFormats};
use super::message::{self, Message};
use super::prepared::{Body, Planned, Portal, Prepared, Progress, Source};
use super::run::{PLANS_MAX, definitions_keep_changing, interruptible};
use super::services::now_microseconds;
use super::transaction::Status;
use super::{Answer, Session, show};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::{CommandTag, ResultField};
use crate::engine::types;
use crate::sql::credential::CredentialStatement;
use datafusion::common::ScalarValue;
use sqlparser::ast::{self, Statement};
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What an execution of a portal gave.
pub enum Executed {
    /// The text was empty.
    Empty,
    /// The statement's answer, run to its end.
    Answer(Answer),
    /// Rows to send, at most as many as were asked for; then [`Session::suspend`] or
    /// [`Session::finish`].
    Rows(Box<Cursor>),
    /// It has run before and gives nothing more.
    Finished(CommandTag),
}

impl Session {
    /// Parse: makes a prepared statement of one statement.
    ///
    /// # Errors
    /// Syntax and analysis errors, 42P05, 54000, 42601 for more than one statement.
    pub async fn prepare(
        &mut self,
        name: &str,
        text: &str,
        declared: &[u32],
    ) -> Result<(), Diagnostic> {
        let statements_max = self.services.parts.limits.statements_max;
        if name.is_empty() {
            self.named.remove_statement(name);
        }
        if let Some(shared) = self.shared(text, declared)? {
            self.named.admit_statement(name, statements_max)?;
            self.named.add_statement(name, shared);
            return Ok(());
        }
        let message = self.parse_message(text).await?;
        let oids = declared;
        let declared = declared_types(oids)?;
        let prepared = match message {
            Message::Empty => self.prepare_body(Body::Empty, None),
            Message::Statements(text, mut statements) => {
                let statement = statements.pop();
                match statement {
                    Some(statement) if statements.is_empty() => {
                        self.prepare_statement(statement.ast, text, declared)
                            .await?
                    }
                    _ => return Err(one_statement_only()),
                }
            }
            Message::Credentials(credentials) => {
                let [credential] = credentials.as_slice() else {
                    return Err(one_statement_only());
                };
                self.block.check_usable()?;
                let fields = credential_fields(credential, self)?;
                self.prepare_body(Body::Credential(Zeroizing::new(text.to_owned())), fields)
            }
            Message::Mixed(_) => return Err(one_statement_only()),
        };
        self.named.admit_statement(name, statements_max)?;
        let prepared = Rc::new(prepared);
        // A plan over definitions that may yet be rolled back is nobody else's.
        if !self.has_own_definitions() {
            let database = self.identity.database;
            let plans = &self.services.plans;
            plans.keep(text, oids, database, &prepared);
        }
        self.named.add_statement(name, prepared);
        Ok(())
    }

    /// What another session of this core has prepared of the same text, if it still holds.
    fn shared(&mut self, text: &str, declared: &[u32]) -> Result<Option<Rc<Prepared>>, Diagnostic> {
        if !self.services.plans.knows(text) || self.has_own_definitions() {
            return Ok(None);
        }
        self.block.check_usable()?;
        let context = self.begin_engine_statement()?;
        Ok(self.services.plans.find(text, declared, &context))
    }

    fn has_own_definitions(&mut self) -> bool {
        self.block
            .open()
            .is_some_and(|open| open.transaction.has_definitions())
    }

    fn prepare_body(&self, body: Body, fields: Option<Arc<[ResultField]>>) -> Prepared {
        Prepared {
            body,
            parameters: Box::default(),
            fields,
            described: OnceCell::new(),
        }
    }

    async fn prepare_statement(
        &mut self,
        statement: Statement,
        text: Arc<str>,
        declared: Box<[Option<SqlType>]>,
    ) -> Result<Prepared, Diagnostic> {
        let command = Command::of(statement.clone());
        if !matches!(&command, Ok(command) if command.ends_failed_block()) {
            self.block.check_usable()?;
        }
        let statement = Box::new(statement);
        match command? {
            Command::Engine(_) => {
                let source = Source { statement, text };
                self.prepare_engine(source, declared).await
            }
            Command::Copy(_) => Ok(self.prepare_body(Body::Copy(statement), None)),
            Command::Show(name) => {
                let fields = Some(show::show_fields(&name));
                Ok(self.prepare_body(Body::Session(statement), fields))
            }
            Command::ShowAll => {
                let fields = Some(show::show_all_fields());
                Ok(self.prepare_body(Body::Session(statement), fields))
            }
            Command::Execute { name, .. } => {
                let fields = self.named.statement(&name)?.fields.clone();
                Ok(self.prepare_body(Body::Session(statement), fields))
            }
            _ => Ok(self.prepare_body(Body::Session(statement), None)),
        }
    }

    async fn prepare_engine(
        &mut self,
        source: Source,
        declared: Box<[Option<SqlType>]>,
    ) -> Result<Prepared, Diagnostic> {
        let (planned, _) = self.plan(&source, &declared).await?;
        Ok(Prepared {
            parameters: planned.plan.parameters.clone().into_boxed_slice(),
            fields: planned.plan.fields.clone(),
            described: OnceCell::new(),
            body: Body::Engine {
                source,
                declared,
                planned: RefCell::new(planned),
            },
        })
    }

    /// The prepared statement of this name, for Describe and Bind.
    ///
    /// # Errors
    /// 26000; 25P02 where describing would need the catalog in a failed block.
    pub fn prepared(&self, name: &str) -> Result<Rc<Prepared>, Diagnostic> {
        self.named.statement(name).cloned()
    }

    /// Bind: makes a portal of `count` values in the order of the parameters.
    ///
    /// # Errors
    /// 08P01 for another number of values, what a value's type says of it, 42P03, 54000.
    pub fn bind<'v>(
        &mut self,
        portal: &str,
        prepared: Rc<Prepared>,
        count: usize,
        values: impl Iterator<Item = (Format, Option<&'v [u8]>)>,
        formats: ResultFormats,
    ) -> Result<(), Diagnostic> {
        if !self.runs_in_failed_block(&prepared) {
            self.block.check_usable()?;
        }
        let expected = prepared.parameters.len();
        if count != expected {
            return Err(Diagnostic::error(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "bind message supplies {count} parameters, but prepared statement requires {expected}"
                ),
            ));
        }
        let transaction_time = match self.block.open() {
            Some(open) => open.started_at,
            None => now_microseconds(),
        };
        let input = types::decode::Input {
            settings: self.settings.current(),
            transaction_time,
        };
        let parameters = values
            .zip(&prepared.parameters)
            .enumerate()
            .map(|(index, ((format, bytes), sql_type))| {
                decode(format, bytes, *sql_type, input)
                    .map_err(|error| in_parameter(error, index + 1))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let portals_max = self.services.parts.limits.statements_max;
        let bound = Portal {
            prepared,
            parameters,
            formats,
            progress: Progress::Bound,
        };
        self.named.add_portal(portal, bound, portals_max)
    }

    /// The portal of this name, for Describe.
    ///
    /// # Errors
    /// 34000
    pub fn portal(&mut self, name: &str) -> Result<&mut Portal, Diagnostic> {
        self.named.portal(name)
    }

    /// Takes a portal out to execute it; [`Session::put_back`] returns it.
    ///
    /// # Errors
    /// 34000
    pub fn take_portal(&mut self, name: &str) -> Result<Portal, Diagnostic> {
        self.named.take_portal(name)
    }

    /// Returns a portal that was taken out, unless its transaction has ended meanwhile.
    pub fn put_back(&mut self, name: &str, portal: Portal) {
        let ended = self.block.open().is_none() && self.status() == Status::Idle;
        if !ended {
            self.named.put_portal_back(name, portal);
        }
    }

    /// Execute: runs the portal, or goes on with it.
    ///
    /// # Errors
    /// What the statement fails with; 55000 for a portal that cannot run again.
    pub async fn execute(&mut self, portal: &mut Portal) -> Result<Executed, Diagnostic> {
        if !self.runs_in_failed_block(&portal.prepared) {
            self.block.check_usable()?;
        }
        let progress = std::mem::replace(&mut portal.progress, Progress::Finished(None));
        match progress {
            Progress::Suspended(cursor) => Ok(Executed::Rows(Box::new(cursor))),
            Progress::Finished(Some(tag)) => {
                portal.progress = Progress::Finished(Some(tag));
                Ok(Executed::Finished(tag))
            }
            Progress::Finished(None) => Err(Diagnostic::error(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "portal cannot be run",
            )),
            Progress::Bound => self.execute_bound(portal).await,
        }
    }

    async fn execute_bound(&mut self, portal: &mut Portal) -> Result<Executed, Diagnostic> {
        let prepared = portal.prepared.clone();
        let answer = match &prepared.body {
            Body::Empty => return Ok(Executed::Empty),
            Body::Engine {
                source,
                declared,
                planned,
            } => {
                self.execute_engine(&prepared, source, declared, planned, &portal.parameters)
                    .await?
            }
            Body::Session(statement) | Body::Copy(statement) => {
                let text = Arc::from("");
                Box::pin(self.run(Statement::clone(statement), &text)).await?
            }
            Body::Credential(text) => match message::message(text)? {
                Message::Credentials(mut all) => {
                    let statement = all.pop().expect("one was prepared");
                    Box::pin(self.run_credential(statement)).await?
                }
                _ => unreachable!("the same text parses the same"),
            },
        };
        Ok(match answer {
            Answer::Rows(cursor) => Executed::Rows(cursor),
            other => Executed::Answer(other),
        })
    }

    async fn execute_engine(
        &mut self,
        prepared: &Prepared,
        source: &Source,
        declared: &[Option<SqlType>],
        planned: &RefCell<Planned>,
        parameters: &[ScalarValue],
    ) -> Result<Answer, Diagnostic> {
        for _ in 0..PLANS_MAX {
            let mut context = self.begin_engine_statement()?;
            let mut current = planned.borrow().clone();
            if !current.holds(&context) {
                (current, context) = Box::pin(self.plan(source, declared)).await?;
                let same_result = current.plan.fields == prepared.fields
                    && *current.plan.parameters == *prepared.parameters;
                if !same_result {
                    return Err(Diagnostic::error(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "cached plan must not change result type",
                    ));
                }
                *planned.borrow_mut() = current.clone();
            }
            let plan = &current.plan;
            if let Some(answer) = self.execute_plan(plan, parameters, &context).await? {
                return Ok(answer);
            }
        }
        Err(definitions_keep_changing())
    }

    fn runs_in_failed_block(&self, prepared: &Prepared) -> bool {
        match &prepared.body {
            Body::Empty => true,
            Body::Session(statement) => Command::of(Statement::clone(statement))
                .is_ok_and(|command| command.ends_failed_block()),
            Body::Copy(_) | Body::Credential(_) | Body::Engine { .. } => false,
        }
    }

    /// SQL's PREPARE.
    pub(super) async fn run_prepare(
        &mut self,
        name: &str,
        data_types: &[ast::DataType],
        statement: Statement,
        text: &Arc<str>,
    ) -> Result<Answer, Diagnostic> {
        let statements_max = self.services.parts.limits.statements_max;
        self.named.admit_statement(name, statements_max)?;
        let declared = data_types
            .iter()
            .map(|data_type| types::from_ast(data_type).map(Some))
            .collect::<Result<Box<[_]>, _>>()?;
        let prepared = self
            .prepare_statement(statement, text.clone(), declared)
            .await?;
        if !matches!(prepared.body, Body::Engine { .. }) {
            return Err(Diagnostic::error(
                SqlState::SYNTAX_ERROR,
                "only SELECT, INSERT, UPDATE, DELETE and VALUES can be prepared",
            ));
        }
        self.named.add_statement(name, Rc::new(prepared));
        Ok(Answer::Done(CommandTag::Plain("PREPARE")))
    }

    /// SQL's EXECUTE.
    pub(super) async fn run_execute(
        &mut self,
        name: &str,
        arguments: &[ast::Expr],
    ) -> Result<Answer, Diagnostic> {
        let prepared = self.named.statement(name)?.clone();
        let expected = prepared.parameters.len();
        if arguments.len() != expected {
            return Err(Diagnostic::error(
                SqlState::SYNTAX_ERROR,
                format!("wrong number of parameters for prepared statement \"{name}\""),
            )
            .with_detail(format!(
                "Expected {expected} parameters but got {}.",
                arguments.len()
            )));
        }
        let Body::Engine {
            source,
            declared,
            planned,
        } = &prepared.body
        else {
            return Err(Diagnostic::unsupported("EXECUTE of such a statement"));
        };
        let transaction_time = self.open()?.started_at;
        let input = types::decode::Input {
            settings: self.settings.current(),
            transaction_time,
        };
        let parameters = arguments
            .iter()
            .zip(&prepared.parameters)
            .map(|(argument, sql_type)| match constant(argument)? {
                Some(text) => types::decode_text(&text, *sql_type, input),
                None => Ok(types::null_scalar(*sql_type)),
            })
            .collect::<Result<Vec<_>, Diagnostic>>()?;
        self.execute_engine(&prepared, source, declared, planned, &parameters)
            .await
    }

    /// Runs work that the session's flag can stop.
    ///
    /// # Errors
    /// What the work fails with, 57014, 57P01.
    pub async fn interruptible<T>(
        &self,
        work: impl Future<Output = Result<T, Diagnostic>> + Unpin,
    ) -> Result<T, Diagnostic> {
        interruptible(&self.entry, work).await
    }

    /// Close, and DEALLOCATE of what may not be there.
    pub fn close_statement(&mut self, name: &str) {
        self.named.remove_statement(name);
    }

    /// Close of a portal that may not be there.
    pub fn close_portal(&mut self, name: &str) {
        self.named.remove_portal(name);
    }
}

fn declared_types(oids: &[u32]) -> Result<Box<[Option<SqlType>]>, Diagnostic> {
    oids.iter()
        .map(|oid| match oid {
            0 => Ok(None),
            // unknown: the client leaves it to the server as well.
            705 => Ok(None),
            oid => types::from_oid(crate::catalog::Oid(*oid))
                .map(Some)
                .ok_or_else(|| {
                    Diagnostic::error(
                        SqlState::UNDEFINED_OBJECT,
                        format!("type with OID {oid} does not exist"),
                    )
                }),
        })
        .collect()
}

/// The columns that a credential statement gives, for Describe.
fn credential_fields(
    statement: &CredentialStatement,
    session: &mut Session,
) -> Result<Option<Arc<[ResultField]>>, Diagnostic> {
    match statement {
        CredentialStatement::Show(show) => match session.show_credentials(show)? {
            Answer::Rows(cursor) => Ok(Some(cursor.fields().clone())),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

fn decode(
    format: Format,
    bytes: Option<&[u8]>,
    sql_type: SqlType,
    input: types::decode::Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    let Some(bytes) = bytes else {
        return Ok(types::null_scalar(sql_type));
    };
    match format {
        Format::Binary => types::decode_binary(bytes, sql_type),
        Format::Text => types::decode_text(crate::sql::parse::text(bytes)?, sql_type, input),
    }
}

fn in_parameter(error: Diagnostic, number: usize) -> Diagnostic {
    match error.fields().context {
        Some(_) => error,
        None => error.with_context(format!("unnamed portal parameter ${number}")),
    }
}

/// An argument of EXECUTE as text; None is NULL. Only constants are taken.
fn constant(argument: &ast::Expr) -> Result<Option<String>, Diagnostic> {
    match argument {
        ast::Expr::Value(literal) => match &literal.value {
            ast::Value::Null => Ok(None),
            ast::Value::Number(number, _) => Ok(Some(number.clone())),
            ast::Value::Boolean(true) => Ok(Some("true".to_owned())),
            ast::Value::Boolean(false) => Ok(Some("false".to_owned())),
            other => other
                .clone()
                .into_string()
                .map(Some)
                .ok_or_else(not_constant),
        },
        ast::Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } => Ok(constant(expr)?.map(|number| format!("-{number}"))),
        ast::Expr::Nested(inner) => constant(inner),
        ast::Expr::Cast { expr, .. } => constant(expr),
        ast::Expr::TypedString(typed) => typed
            .value
            .value
            .clone()
            .into_string()
            .map(Some)
            .ok_or_else(not_constant),
        _ => Err(not_constant()),
    }
}

fn not_constant() -> Diagnostic {
    Diagnostic::unsupported("EXECUTE with an expression that is not a constant")
}

fn one_statement_only() -> Diagnostic {
    Diagnostic::error(
        SqlState::SYNTAX_ERROR,
        "cannot insert multiple commands into a prepared statement",
    )
}
