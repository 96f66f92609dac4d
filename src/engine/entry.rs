//! The narrow door of the engine: analyse a statement, execute it.
//!
//! One `Engine` serves all cores; it holds the store and the query pool. What a core keeps for
//! itself (its compiled point templates) is `point::Templates`, owned by the session's core.

use super::context::StatementContext;
use super::dml::explained::Explained;
use super::dml::parts::Parted;
use super::dml::returning_queries;
use super::outcome::{Outcome, ResultField};
use super::plan::{Body, Plan};
use super::query::{self, QueryEngine};
use super::transaction::Transaction;
use super::uses::Uses;
use super::{definitions, dml, locking, point};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::sql::locate::{self, Search};
use crate::sql::{literal_rows, parse};
use crate::storage::{Storage, Used};
use datafusion::scalar::ScalarValue;
use sqlparser::ast;
use std::path::PathBuf;
use std::sync::Arc;

/// What the engine may take.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads of the query pool.
    pub pool_threads: usize,
    /// Memory of all queries together, in bytes.
    pub memory_bytes_max: usize,
    /// Memory of one statement, in bytes; past it operators that can spill do.
    pub statement_memory_bytes_max: usize,
    /// Where operators spill.
    pub spill_directory: PathBuf,
}

/// How statements are answered.
pub struct Engine {
    storage: Storage,
    query: QueryEngine,
}

impl Engine {
    /// Starts the query pool.
    ///
    /// # Errors
    /// When its threads or the spill directory cannot be made.
    pub fn start(storage: Storage, options: Options) -> Result<Engine, Diagnostic> {
        let options = query::Options {
            memory_bytes_max: options.memory_bytes_max,
            statement_memory_bytes_max: options.statement_memory_bytes_max,
            ..query::Options::new(options.pool_threads, options.spill_directory)
        };
        Ok(Engine {
            query: QueryEngine::start(options, storage.clone())?,
            storage,
        })
    }

    /// The store, for whoever begins transactions.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The query pool and what it plans with.
    pub fn query(&self) -> &QueryEngine {
        &self.query
    }

    /// Works out what a statement's parameters and result are, and who answers it.
    ///
    /// `declared` are the types the client gave for $1, $2, … (None: work it out). `text` is what
    /// the statement's spans point into. Awaits the query pool: it does not block the core.
    ///
    /// # Errors
    /// What PostgreSQL's parse analysis gives (42P01, 42703, 42883, 42804, 42P18, …), 54001 for a
    /// tree too deep, 0A000 for what is not there.
    pub async fn analyze(
        &self,
        statement: ast::Statement,
        text: Arc<str>,
        declared: &[Option<SqlType>],
        context: &StatementContext,
    ) -> Result<Arc<Plan>, Diagnostic> {
        let definitions = context.snapshot.definitions.clone();
        let statement = Arc::new(statement);
        let analyzed = self.body(&statement, &text, declared, context).await;
        let (parameters, fields, body) = match analyzed {
            Ok(analyzed) => analyzed,
            Err(error) => {
                let located = self.located(error, statement, text, declared, context);
                return Err(Box::pin(located).await);
            }
        };
        Ok(Arc::new(Plan {
            parameters,
            fields,
            definitions,
            body,
        }))
    }

    /// The error with its position in the text, where it is of a kind that has one.
    ///
    /// Where several places may be meant, the statement is analysed without each: a mistake is
    /// seldom, and then worth it.
    async fn located(
        &self,
        error: Diagnostic,
        statement: Arc<ast::Statement>,
        text: Arc<str>,
        declared: &[Option<SqlType>],
        context: &StatementContext,
    ) -> Diagnostic {
        // Long texts take long to walk, which is the pool's work.
        let work = async move {
            let statement = match whole(&statement, &text)? {
                Some(whole) => Arc::new(whole),
                None => statement,
            };
            Ok(Search::new(error, statement, text))
        };
        let mut search = match self.query.pool().run(work).await {
            Ok(Ok(search)) => search,
            Ok(Err(error)) | Err(error) => return error,
        };
        while let Some(attempt) = search.attempt() {
            let again = self.body(&attempt, search.text(), declared, context).await;
            search.note(again.err().as_ref());
        }
        search.finish()
    }

    async fn body(
        &self,
        statement: &Arc<ast::Statement>,
        text: &Arc<str>,
        declared: &[Option<SqlType>],
        context: &StatementContext,
    ) -> Result<(Vec<SqlType>, Option<Arc<[ResultField]>>, Body), Diagnostic> {
        if definitions::is_definition(statement) {
            let body = Body::Definition(statement.clone(), text.clone());
            return Ok((Vec::new(), None, body));
        }
        let (query, context) = (self.query.clone(), context.clone());
        let (statement, declared) = (statement.clone(), declared.to_vec());
        let text = text.clone();
        // Compiling expressions alone takes more than a slice is worth (DESIGN §2).
        let planned = async move {
            if let Some(insert) = dml::Statement::plan_literals(&statement, &declared, &context) {
                return Ok((insert.parameters.clone(), None, Body::Dml(Box::new(insert))));
            }
            let whole = whole(&statement, &text)?;
            let statement = whole.as_ref().unwrap_or(&statement);
            plan_body(statement, &declared, &query, &context).await
        };
        self.query.pool().run(planned).await?
    }

    /// Executes an analysed statement with its parameters, one value for each.
    ///
    /// The caller has begun the statement (`Transaction::storage.begin_statement`), ends it when
    /// the rows are through, and has asked [`Plan::is_current`] in the same slice. What takes the
    /// plan's relations may wait, and then it is asked again ([`Outcome::Stale`]).
    ///
    /// # Errors
    /// 42501 where the rights do not suffice, and whatever the statement runs into; the transaction
    /// is then as it stands, for the caller to roll back.
    pub async fn execute(
        &self,
        plan: &Arc<Plan>,
        parameters: &[ScalarValue],
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<Outcome, Diagnostic> {
        match &plan.body {
            Body::Point(point) => {
                point
                    .execute(
                        (&self.storage, Some(&self.query)),
                        parameters,
                        transaction,
                        context,
                    )
                    .await
            }
            Body::Dml(statement) => {
                let run = dml::Run {
                    query: Some(&self.query),
                    storage: &self.storage,
                    parameters,
                    transaction,
                    context,
                };
                // Seldom on the way of a point statement, whose futures stay small.
                Box::pin(statement.execute(run)).await
            }
            Body::Parted(statement) => {
                let run = dml::Run {
                    query: Some(&self.query),
                    storage: &self.storage,
                    parameters,
                    transaction,
                    context,
                };
                Box::pin(statement.execute(run)).await
            }
            Body::Locking(statement) => {
                let run = dml::Run {
                    query: Some(&self.query),
                    storage: &self.storage,
                    parameters,
                    transaction,
                    context,
                };
                Box::pin(statement.execute(run, self)).await
            }
            Body::Explained(explained) => {
                let told = explained.execute(&self.query, parameters, transaction, context);
                Box::pin(told).await
            }
            Body::Query(query) => {
                let uses = Uses::default().reading(&query.relations);
                let used = uses.take(&mut transaction.storage, context);
                if used.await? == Used::AfterWaiting {
                    return Ok(Outcome::Stale);
                }
                self.query.execute(query, parameters, transaction, context)
            }
            Body::Definition(statement, text) => {
                let carried_out = definitions::execute(statement, self, transaction, context);
                let carried_out = Box::pin(carried_out).await;
                carried_out.map(Outcome::Done).map_err(|error| {
                    if locate::has_place(statement, &error) {
                        Search::new(error, statement.clone(), text.clone()).finish()
                    } else {
                        error
                    }
                })
            }
        }
    }
}

/// The whole tree of a statement whose rows the parser has left as text; None where it is whole.
fn whole(statement: &ast::Statement, text: &str) -> Result<Option<ast::Statement>, Diagnostic> {
    match literal_rows::of(statement) {
        Some(_) => parse::parse_one(text).map(Some),
        None => Ok(None),
    }
}

/// Parameters, result, and who answers; on the pool.
pub(super) async fn plan_body(
    statement: &ast::Statement,
    declared: &[Option<SqlType>],
    query: &QueryEngine,
    context: &StatementContext,
) -> Result<(Vec<SqlType>, Option<Arc<[ResultField]>>, Body), Diagnostic> {
    if let Some(point) = point::Statement::plan(statement, declared, context) {
        let parameters = point.parameters.clone();
        let fields = point.fields().cloned();
        return Ok((parameters, fields, Body::Point(Box::new(point))));
    }
    if locking::Statement::answers(statement) {
        let locking = locking::Statement::plan(statement, declared, query, context).await?;
        let (parameters, fields) = (locking.parameters.clone(), locking.fields.clone());
        return Ok((parameters, fields, Body::Locking(Box::new(locking))));
    }
    let apart = returning_queries::apart(statement)?;
    if apart.is_some() || Parted::answers(statement) {
        let written = apart.as_ref().unwrap_or(statement);
        let mut parted = Parted::plan(written, declared, query, context).await?;
        if apart.is_some() && dml::Statement::answers(statement) {
            parted.told_as_its_last_part();
        }
        let (parameters, fields) = (parted.parameters.clone(), parted.fields.clone());
        return Ok((parameters, fields, Body::Parted(Box::new(parted))));
    }
    if dml::Statement::answers(statement) {
        let dml = dml::Statement::plan(statement, declared, query, context).await?;
        let parameters = dml.parameters.clone();
        let fields = dml.fields().cloned();
        return Ok((parameters, fields, Body::Dml(Box::new(dml))));
    }
    if Explained::answers(statement) {
        let explained = Explained::plan(statement, declared, query, context).await?;
        let parameters = explained.parameters().to_vec();
        let fields = Some(explained.fields().clone());
        return Ok((parameters, fields, Body::Explained(Box::new(explained))));
    }
    match statement {
        ast::Statement::Query(_) | ast::Statement::Explain { .. } => {
            let plan = query.analyze(statement, declared, context)?;
            let parameters = plan.parameters.clone();
            let fields = Some(plan.fields.clone());
            Ok((parameters, fields, Body::Query(Arc::new(plan))))
        }
        other => Err(Diagnostic::unsupported(first_words(other))),
    }
}

/// What a statement that nobody answers begins with, to name it.
fn first_words(statement: &ast::Statement) -> String {
    let text = statement.to_string();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    words.join(" ")
}
