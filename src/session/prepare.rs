//! Parse: a text becomes a prepared statement, shared with whoever has prepared the same.

use super::command::Command;
use super::credential::API_KEY_COLUMN;
use super::message::Message;
use super::prepared::{Body, MadeBy, Prepared, Source};
use super::services::now_microseconds;
use super::{Answer, Session, audit_log, explain, show};
use crate::catalog::Oid;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::ResultField;
use crate::engine::query::explain_options::ExplainOptions;
use crate::engine::{self, types};
use crate::sql::credential::CredentialStatement;
use crate::sql::fetch::Verb;
use sqlparser::ast::{Expr, Statement, Value, visit_expressions};
use std::cell::{OnceCell, RefCell};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use zeroize::Zeroizing;

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
        let statements_max = self.services.parts.limits.prepared_statements_max;
        if name.is_empty() {
            self.named.remove_statement(name);
        }
        if let Some(shared) = self.shared(text, declared)? {
            self.named.admit_statement(name, statements_max)?;
            let now = now_microseconds();
            self.named
                .add_statement(name, shared, MadeBy::Protocol, now);
            return Ok(());
        }
        // Large, and seldom needed.
        Box::pin(self.prepare_anew(name, text, declared)).await
    }

    async fn prepare_anew(
        &mut self,
        name: &str,
        text: &str,
        declared: &[u32],
    ) -> Result<(), Diagnostic> {
        let statements_max = self.services.parts.limits.prepared_statements_max;
        let message = self.parse_message(text).await?;
        let oids = declared;
        let declared = self.declared_types(oids)?;
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
                let fields = credential_fields(credential, self).await?;
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
        let now = now_microseconds();
        self.named
            .add_statement(name, prepared, MadeBy::Protocol, now);
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

    /// Prepares one statement, of whichever kind.
    ///
    /// # Errors
    /// What its analysis gives; 25P02.
    pub(super) async fn prepare_statement(
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
            Command::Declare(declaration) => {
                let query = Box::new(Statement::Query(declaration.query));
                let source = Source {
                    statement: query,
                    text,
                };
                let prepared = Box::pin(self.prepare_engine(source, declared)).await?;
                Ok(Prepared {
                    parameters: prepared.parameters.clone(),
                    fields: None,
                    described: OnceCell::new(),
                    body: Body::Declare(statement, Box::new(prepared)),
                })
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
            Command::Fetch {
                name,
                verb: Verb::Fetch,
                ..
            } => {
                let fields = Some(self.cursor_fields(&name)?);
                Ok(self.prepare_body(Body::Session(statement), fields))
            }
            Command::Execute { name, .. } => {
                let fields = self.named.statement(&name)?.fields.clone();
                Ok(self.prepare_body(Body::Session(statement), fields))
            }
            Command::ExplainExecute { explain, name, .. } => {
                // As PostgreSQL, which plans nothing before it is told to.
                self.named.statement(&name)?;
                let options = ExplainOptions::of_statement(&explain)?;
                let fields = options.map(engine::query::explain::fields);
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
        check_parameters(&source.statement, &declared, planned.plan.parameters.len())?;
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
}

/// 42P18 for a parameter that is neither declared nor used: nothing tells its type.
fn check_parameters(
    statement: &Statement,
    declared: &[Option<SqlType>],
    count: usize,
) -> Result<(), Diagnostic> {
    let mut used = vec![false; count];
    let _: ControlFlow<()> = visit_expressions(statement, |expression: &Expr| {
        if let Expr::Value(literal) = expression
            && let Value::Placeholder(name) = &literal.value
            && let Some(number) = name
                .strip_prefix('$')
                .and_then(|it| it.parse::<usize>().ok())
            && let Some(used) = number.checked_sub(1).and_then(|at| used.get_mut(at))
        {
            *used = true;
        }
        ControlFlow::Continue(())
    });
    let unknown = (0..count).find(|at| !used[*at] && declared.get(*at).is_none_or(Option::is_none));
    match unknown {
        None => Ok(()),
        Some(at) => Err(Diagnostic::error(
            SqlState::INDETERMINATE_DATATYPE,
            format!("could not determine data type of parameter ${}", at + 1),
        )),
    }
}

impl Session {
    /// The types that a client declares by their OIDs; None where it leaves one to the server.
    fn declared_types(&mut self, oids: &[u32]) -> Result<Box<[Option<SqlType>]>, Diagnostic> {
        let mut declared = Vec::with_capacity(oids.len());
        for oid in oids.iter().map(|oid| Oid(*oid)) {
            // unknown: the client leaves it to the server as well.
            if matches!(oid, Oid(0 | 705)) {
                declared.push(None);
                continue;
            }
            let found = match types::from_oid(oid) {
                Some(found) => Some(found),
                None => self.lookup_context()?.user_types().of_oid(oid),
            };
            let found = found.ok_or_else(|| {
                Diagnostic::error(
                    SqlState::UNDEFINED_OBJECT,
                    format!("type with OID {oid} does not exist"),
                )
            })?;
            declared.push(Some(found));
        }
        Ok(declared.into())
    }
}

/// The columns that a credential statement gives, for Describe.
async fn credential_fields(
    statement: &CredentialStatement,
    session: &mut Session,
) -> Result<Option<Arc<[ResultField]>>, Diagnostic> {
    match statement {
        CredentialStatement::Show(show) => match session.show_credentials(show.clone()).await? {
            Answer::Rows(cursor) => Ok(Some(cursor.fields().clone())),
            _ => Ok(None),
        },
        CredentialStatement::ExplainAuthentication(_) => Ok(Some(explain::fields())),
        CredentialStatement::ShowAuditLog { .. } => Ok(Some(audit_log::shown_fields())),
        CredentialStatement::VerifyAuditChain => Ok(Some(audit_log::verified_fields())),
        CredentialStatement::CreateApiKey(_) | CredentialStatement::RotateApiKey(_) => {
            Ok(Some(show::one_text_fields(API_KEY_COLUMN)))
        }
        _ => Ok(None),
    }
}

fn one_statement_only() -> Diagnostic {
    Diagnostic::error(
        SqlState::SYNTAX_ERROR,
        "cannot insert multiple commands into a prepared statement",
    )
}
