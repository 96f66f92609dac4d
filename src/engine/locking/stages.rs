//! Locking queries inside other statements, `UPDATE … WHERE id = (SELECT … FOR UPDATE SKIP LOCKED
//! LIMIT 1)` and `WITH job AS (SELECT … FOR UPDATE) …`: run first, each once, their rows then
//! standing in the statement as VALUES. So a subquery that looks at the statement around it is
//! refused.

use super::select::Select;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::dml::Run;
use crate::engine::entry::{Engine, plan_body};
use crate::engine::outcome::{Outcome, ResultField, Rows};
use crate::engine::query::QueryEngine;
use crate::engine::settings::Settings;
use crate::engine::types;
use crate::sql::parse;
use crate::storage::Isolation;
use bytes::BytesMut;
use datafusion::arrow::array::{Array, RecordBatch};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlparser::ast::{self, Query, Visit, VisitMut, Visitor, VisitorMut};
use std::fmt::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Rows of a locking subquery at most: they become part of the statement.
const ROWS_MAX: usize = 10_000;

/// Their text at most, for the same reason.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// A statement with locking queries inside.
pub struct Staged {
    /// The types of $1, $2, ….
    pub parameters: Vec<SqlType>,
    /// The result's columns; None where it returns no rows.
    pub fields: Option<Arc<[ResultField]>>,
    statement: ast::Statement,
    inner: Vec<Select>,
}

/// Whether a query inside the statement, not the statement itself, has locking clauses.
pub fn locks_inside(statement: &ast::Statement) -> bool {
    struct Inner {
        depth: usize,
        top: usize,
    }
    impl Visitor for Inner {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.depth += 1;
            if self.depth > self.top && !query.locks.is_empty() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let top = usize::from(matches!(statement, ast::Statement::Query(_)));
    statement.visit(&mut Inner { depth: 0, top }).is_break()
}

/// Gives each outermost locking query inside the statement to `with`.
fn each_inner(
    statement: &mut ast::Statement,
    with: impl FnMut(&mut Query) -> Result<(), Diagnostic>,
) -> Result<(), Diagnostic> {
    struct Inner<F> {
        depth: usize,
        top: usize,
        with: F,
    }
    impl<F: FnMut(&mut Query) -> Result<(), Diagnostic>> VisitorMut for Inner<F> {
        type Break = Diagnostic;

        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Diagnostic> {
            self.depth += 1;
            if self.depth > self.top && !query.locks.is_empty() {
                return match (self.with)(query) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => ControlFlow::Break(error),
                };
            }
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Diagnostic> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let top = usize::from(matches!(statement, ast::Statement::Query(_)));
    let visited = statement.visit(&mut Inner {
        depth: 0,
        top,
        with,
    });
    match visited {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

impl Staged {
    /// Plans the statement as if nothing were locked, and each locking query by itself.
    ///
    /// # Errors
    /// What is wrong with either; 0A000 for a locking subquery that cannot stand by itself.
    pub fn plan<'a>(
        statement: &'a ast::Statement,
        declared: &'a [Option<SqlType>],
        engine: &'a QueryEngine,
        context: &'a StatementContext,
    ) -> BoxFuture<'a, Result<Staged, Diagnostic>> {
        // It plans a statement, as what calls it does.
        Staged::planned(statement, declared, engine, context).boxed()
    }

    async fn planned(
        statement: &ast::Statement,
        declared: &[Option<SqlType>],
        engine: &QueryEngine,
        context: &StatementContext,
    ) -> Result<Staged, Diagnostic> {
        let mut free = statement.clone();
        let mut inner = Vec::new();
        each_inner(&mut free, |query| {
            inner.push(query.clone());
            query.locks.clear();
            Ok(())
        })?;
        let (parameters, fields, _) = plan_body(&free, declared, engine, context).await?;
        let known: Vec<_> = parameters.iter().copied().map(Some).collect();
        let mut selects = Vec::with_capacity(inner.len());
        for query in &inner {
            let select = Select::plan(query, &known, engine, context).await;
            selects.push(select.map_err(by_itself)?);
        }
        Ok(Staged {
            parameters,
            fields,
            statement: statement.clone(),
            inner: selects,
        })
    }

    /// Locks, then runs the statement over the rows.
    ///
    /// # Errors
    /// As a locking query, and as the statement.
    pub async fn execute(&self, run: Run<'_>, engine: &Engine) -> Result<Outcome, Diagnostic> {
        let Run {
            parameters,
            transaction,
            context,
            ..
        } = run;
        let mut found = Vec::with_capacity(self.inner.len());
        for select in &self.inner {
            let run = Run {
                query: Some(engine.query()),
                storage: engine.storage(),
                parameters,
                transaction: &mut *transaction,
                context,
            };
            match select.execute(run).await? {
                Outcome::Rows(rows) => found.push(values(rows, select, context).await?),
                Outcome::Stale => return Ok(Outcome::Stale),
                Outcome::Done(_) => {
                    return Err(Diagnostic::internal("a query answered without rows"));
                }
            }
        }
        if transaction.storage.isolation() == Isolation::ReadCommitted {
            // What was locked is seen in the version that was locked.
            transaction.storage.durable().await?;
            transaction.storage.end_statement();
            transaction.storage.begin_statement()?;
        }
        let mut statement = self.statement.clone();
        let mut found = found.into_iter();
        each_inner(&mut statement, |query| {
            *query = found
                .next()
                .ok_or_else(|| Diagnostic::internal("a locking query that was not run"))?;
            Ok(())
        })?;
        let declared: Vec<_> = self.parameters.iter().copied().map(Some).collect();
        let plan = engine
            .analyze(statement, "".into(), &declared, context)
            .await?;
        let parameters = &parameters[..plan.parameters.len()];
        engine
            .execute(&plan, parameters, transaction, context)
            .await
    }
}

/// Names that only the statement around it has are not a mistake.
fn by_itself(error: Diagnostic) -> Diagnostic {
    let code = error.sqlstate();
    if code == SqlState::UNDEFINED_COLUMN || code == SqlState::UNDEFINED_TABLE {
        return Diagnostic::unsupported("a locking clause in a subquery of this form");
    }
    error
}

/// The rows as a query of constants, named and typed as they were.
async fn values(
    mut rows: Rows,
    select: &Select,
    context: &StatementContext,
) -> Result<Query, Diagnostic> {
    let fields = &select.fields;
    // Whatever the session prints with, nothing may be lost between the row and the statement.
    let exact = Settings {
        extra_float_digits: 1,
        bytea_escape: false,
        ..context.settings.as_ref().clone()
    };
    let mut text = String::new();
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows();
        if count > ROWS_MAX {
            return Err(Diagnostic::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a locking subquery may give {ROWS_MAX} rows at most"),
            ));
        }
        for row in 0..batch.num_rows() {
            text.push_str(if text.is_empty() { "VALUES (" } else { ", (" });
            write_row(&mut text, &batch, row, fields, &exact)?;
            text.push(')');
            if text.len() > TEXT_BYTES_MAX {
                return Err(Diagnostic::error(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    format!("a locking subquery may give {TEXT_BYTES_MAX} bytes at most"),
                ));
            }
        }
    }
    let names: Vec<String> = fields.iter().map(|field| quoted(&field.name)).collect();
    let text = if count == 0 {
        let columns = fields.iter().zip(&names).map(|(field, name)| {
            let sql_type = types::format_type(written(field.sql_type));
            format!("CAST(NULL AS {sql_type}) AS {name}")
        });
        let columns: Vec<String> = columns.collect();
        format!("SELECT {} WHERE false", columns.join(", "))
    } else {
        format!("SELECT * FROM ({text}) AS locked ({})", names.join(", "))
    };
    match parse::parse_one(&text)? {
        ast::Statement::Query(query) => Ok(*query),
        _ => Err(Diagnostic::internal("locked rows are no query")),
    }
}

fn write_row(
    text: &mut String,
    batch: &RecordBatch,
    row: usize,
    fields: &[ResultField],
    settings: &Settings,
) -> Result<(), Diagnostic> {
    for (place, (column, field)) in batch.columns().iter().zip(fields).enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        let sql_type = types::format_type(written(field.sql_type));
        if column.is_null(row) {
            let _ = write!(text, "CAST(NULL AS {sql_type})");
            continue;
        }
        let mut value = BytesMut::new();
        types::encode_text(column, row, field.sql_type, settings, &mut value)?;
        let value = String::from_utf8_lossy(&value).replace('\'', "''");
        let _ = write!(text, "CAST('{value}' AS {sql_type})");
    }
    Ok(())
}

/// The type that a value of this one is written as.
fn written(sql_type: SqlType) -> SqlType {
    match sql_type.kind {
        TypeKind::Unknown => SqlType::scalar(TypeKind::Text),
        _ => sql_type,
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
