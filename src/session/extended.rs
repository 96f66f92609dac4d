//! Portals of prepared statements: Bind, Describe, Execute, Close.

use super::command::Command;
use super::cursor::Cursor;
use super::format::{Format, ResultFormats};
use super::message::{self, Message};
use super::prepared::{Body, Portal, Prepared, Progress};
use super::run::{PLANS_MAX, definitions_keep_changing, interruptible};
use super::services::now_microseconds;
use super::transaction::Status;
use super::{Answer, Session};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::outcome::{CommandTag, ResultField};
use crate::engine::query::functions::names::to_oid;
use crate::engine::types;
use datafusion::common::ScalarValue;
use sqlparser::ast::Statement;
use std::rc::Rc;
use std::sync::Arc;

/// What an execution of a portal gave.
pub enum Executed {
    /// The text was empty.
    Empty,
    /// The statement's answer, run to its end.
    Answer(Answer),
    /// Rows to send, at most as many as were asked for; the portal's progress is then the
    /// caller's to set.
    Rows(Box<Cursor>),
    /// It has run before and gives nothing more.
    Finished(CommandTag),
}

impl Session {
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
        let names = values_of_names(&prepared.parameters)
            .then(|| self.lookup_context())
            .transpose()?;
        let transaction_time = match self.block.open() {
            Some(open) => open.started_at,
            None => now_microseconds(),
        };
        let input = types::decode::Input {
            settings: self.settings.current(),
            transaction_time,
            variables: None,
            types: names.as_ref().map(StatementContext::user_types),
        };
        let parameters = values
            .zip(&prepared.parameters)
            .enumerate()
            .map(|(index, ((format, bytes), sql_type))| {
                decode(format, bytes, *sql_type, input, names.as_ref())
                    .map_err(|error| in_parameter(error, index + 1))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let portals_max = self.services.parts.limits.portals_max;
        let bound = Portal {
            prepared,
            parameters,
            formats,
            progress: Progress::Bound,
            level: self.block.savepoints(),
            declared: None,
        };
        self.named.add_portal(portal, bound, portals_max)
    }

    /// What names in parameters are looked up in.
    pub(super) fn lookup_context(&mut self) -> Result<StatementContext, Diagnostic> {
        let adopted = self.adopt()?;
        let snapshot = match self.block.open() {
            Some(open) => open.transaction.snapshot(adopted.snapshot()),
            None => adopted.snapshot().clone(),
        };
        Ok(self.context(snapshot))
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
            // FETCH or MOVE has gone forward in what Bind had made: the rest is left.
            Progress::Scrolling(scroll) if portal.declared.is_none() => match scroll.into_rest() {
                Some(rest) => Ok(Executed::Rows(rest)),
                None => Ok(Executed::Finished(CommandTag::Select(0))),
            },
            // FETCH is told its columns by the cursor; Execute's formats are Bind's.
            scrolling @ Progress::Scrolling(_) => {
                portal.progress = scrolling;
                Err(
                    Diagnostic::unsupported("Execute of a cursor that DECLARE has made")
                        .with_hint("Send FETCH."),
                )
            }
            Progress::Finished(None) | Progress::Failed => Err(Diagnostic::error(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "portal cannot be run",
            )),
            Progress::Bound => self.execute_bound(portal).await,
        }
    }

    async fn execute_bound(&mut self, portal: &mut Portal) -> Result<Executed, Diagnostic> {
        let prepared = portal.prepared.clone();
        if self.notes_statements()
            && let Some(text) = prepared.body.text()
        {
            Box::pin(self.note_statement(&text)).await?;
        }
        let answer = match &prepared.body {
            Body::Empty => return Ok(Executed::Empty),
            Body::Engine { .. } => self.execute_engine(&prepared, &portal.parameters).await?,
            Body::Session(statement) | Body::Copy(statement) => {
                // What is listed with its text was not sent as a simple query's.
                let text = match &**statement {
                    Statement::Prepare { .. } => Arc::from(statement.to_string()),
                    _ => Arc::from(""),
                };
                Box::pin(self.run(Statement::clone(statement), &text)).await?
            }
            Body::Declare(statement, prepared) => match Command::of(Statement::clone(statement))? {
                Command::Declare(declaration) => {
                    let parameters = &portal.parameters;
                    Box::pin(self.run_prepared_declare(declaration, prepared, parameters)).await?
                }
                _ => unreachable!("the same statement is told apart alike"),
            },
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

    /// Executes a prepared statement of the engine's, planned again where it no longer holds.
    ///
    /// # Errors
    /// What it fails with; 0A000 where its result has become another.
    pub(super) async fn execute_engine(
        &mut self,
        prepared: &Prepared,
        parameters: &[ScalarValue],
    ) -> Result<Answer, Diagnostic> {
        let Body::Engine {
            source,
            declared,
            planned,
        } = &prepared.body
        else {
            return Err(Diagnostic::internal("not a statement of the engine's"));
        };
        self.check_in_block(&source.statement)?;
        if crate::sql::advisory::of(&source.statement).is_some() {
            Box::pin(self.wait_for_advisory_lock(&source.statement, parameters)).await?;
        }
        for _ in 0..PLANS_MAX {
            let mut context = self.begin_engine_statement()?;
            let mut current = planned.borrow().clone();
            if !current.holds(&context) {
                (current, context) = Box::pin(self.plan(source, declared)).await?;
                let same_result = same_columns(&current.plan.fields, &prepared.fields)
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
            Body::Copy(_) | Body::Credential(_) | Body::Declare(..) | Body::Engine { .. } => false,
        }
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

fn decode(
    format: Format,
    bytes: Option<&[u8]>,
    sql_type: SqlType,
    input: types::decode::Input<'_>,
    names: Option<&StatementContext>,
) -> Result<ScalarValue, Diagnostic> {
    let Some(bytes) = bytes else {
        return Ok(types::null_scalar(sql_type));
    };
    if let (Some(context), Format::Text, true) = (names, format, is_name(sql_type)) {
        let text = crate::sql::parse::text(bytes)?;
        let oid = to_oid(text, sql_type.kind, context)?;
        return Ok(ScalarValue::UInt32(Some(oid.0)));
    }
    match format {
        Format::Binary => types::decode_binary(bytes, sql_type, input),
        Format::Text => types::decode_text(crate::sql::parse::text(bytes)?, sql_type, input),
    }
}

/// Whether a parameter may be given as the name of something in the catalog.
fn is_name(sql_type: SqlType) -> bool {
    let reg = matches!(
        sql_type.kind,
        TypeKind::Regclass | TypeKind::Regtype | TypeKind::Regproc
    );
    reg && !sql_type.array
}

/// Whether the catalog is asked for the value of a parameter.
fn values_of_names(parameters: &[SqlType]) -> bool {
    let asks = |sql_type: &SqlType| is_name(*sql_type) || is_enum(*sql_type);
    parameters.iter().any(asks)
}

fn is_enum(sql_type: SqlType) -> bool {
    matches!(sql_type.kind, TypeKind::Enum(_))
}

fn in_parameter(error: Diagnostic, number: usize) -> Diagnostic {
    match error.fields().context {
        Some(_) => error,
        None => error.with_context(format!("unnamed portal parameter ${number}")),
    }
}

/// Whether two results have the same columns, of whichever tables.
fn same_columns(one: &Option<Arc<[ResultField]>>, other: &Option<Arc<[ResultField]>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            let of = |fields: &[ResultField]| {
                let columns = fields.iter();
                columns
                    .map(|field| (field.name.clone(), field.sql_type))
                    .collect::<Vec<_>>()
            };
            Arc::ptr_eq(one, other) || of(one) == of(other)
        }
        (None, None) => true,
        _ => false,
    }
}
