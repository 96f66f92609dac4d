//! INSERT, UPDATE and DELETE, planned from the syntax tree (DESIGN §6 "DML").
//!
//! The rows to change are found by a query of ours, `SELECT key … FROM target … WHERE …`, on the
//! query pool; each is then locked, read in its newest version, checked again where somebody has
//! changed it, and written by the one core all writes share ([`write`]). Point statements use the
//! same core without the query.

pub mod assignments;
pub mod batch;
mod beside;
pub mod conflict;
pub mod copy;
pub mod deferred;
pub mod delete;
pub mod explained;
pub mod filler;
pub mod foreign;
pub mod index_values;
mod inference;
pub mod insert;
mod insert_sink;
mod literals;
pub mod names;
pub mod pace;
pub mod parts;
mod referential;
pub mod restart;
pub mod returning;
pub mod returning_queries;
pub mod selection;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod update;
pub mod value;
pub mod values;
pub mod violation;
pub mod write;
mod xmax;

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::outcome::{Outcome, ResultField};
use crate::engine::query::QueryEngine;
use crate::engine::transaction::Transaction;
use crate::engine::types;
use crate::engine::uses::Uses;
use crate::sql::{literal_rows, parse};
use crate::storage::{Storage, Used};
use datafusion::common::ScalarValue;
use delete::Delete;
use insert::Insert;
use returning::Returning;
use sqlparser::ast::{self, Expr, SetExpr};
use std::sync::Arc;
use update::Update;

/// A statement that writes, planned.
#[derive(Debug)]
pub struct Statement {
    /// The types of $1, $2, ….
    pub parameters: Vec<SqlType>,
    uses: Uses,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Insert(Insert),
    Update(Update),
    Delete(Delete),
}

/// What executing a statement may use.
pub struct Run<'a> {
    /// For finding rows; point statements do without.
    pub query: Option<&'a QueryEngine>,
    /// For sequences and row numbers.
    pub storage: &'a Storage,
    /// One value for each parameter.
    pub parameters: &'a [ScalarValue],
    /// Where to write; its statement has begun.
    pub transaction: &'a mut Transaction,
    /// Who asks, and how.
    pub context: &'a StatementContext,
}

impl Statement {
    /// Whether this room answers the statement.
    pub fn answers(statement: &ast::Statement) -> bool {
        match statement {
            ast::Statement::Insert(_) | ast::Statement::Update(_) | ast::Statement::Delete(_) => {
                true
            }
            ast::Statement::Query(query) => matches!(
                *query.body,
                SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_)
            ),
            _ => false,
        }
    }

    /// Plans INSERT, UPDATE or DELETE, with a WITH before it or not. Awaits the query pool.
    ///
    /// # Errors
    /// What the statement has wrong, in PostgreSQL's words; 0A000 for what is not there.
    pub async fn plan(
        statement: &ast::Statement,
        declared: &[Option<SqlType>],
        query: &QueryEngine,
        context: &StatementContext,
    ) -> Result<Statement, Diagnostic> {
        let mut parameters = declared.to_vec();
        Statement::plan_part(statement, &mut parameters, query, context).await
    }

    /// Plans an INSERT whose rows the parser has left as text. None where it takes the whole tree.
    pub fn plan_literals(
        statement: &ast::Statement,
        declared: &[Option<SqlType>],
        context: &StatementContext,
    ) -> Option<Statement> {
        let rows = literal_rows::of(statement)?;
        let mut parameters = declared.to_vec();
        let insert = Insert::plan_literals(rows, &mut parameters, context)?;
        Some(Statement {
            parameters: settled(&parameters),
            uses: insert.uses(),
            body: Body::Insert(insert),
        })
    }

    /// As [`Statement::plan`]; `parameters` are the types known so far, and then those it determined.
    async fn plan_part(
        statement: &ast::Statement,
        parameters: &mut Vec<Option<SqlType>>,
        query: &QueryEngine,
        context: &StatementContext,
    ) -> Result<Statement, Diagnostic> {
        let (statement, with) = take_apart(statement);
        let body = match statement {
            ast::Statement::Insert(insert) => {
                let insert = with_common_tables(insert, with)?;
                Body::Insert(Insert::plan(&insert, parameters, query, context).await?)
            }
            ast::Statement::Update(update) => {
                Body::Update(Update::plan(update, with, parameters, query, context).await?)
            }
            ast::Statement::Delete(delete) => {
                Body::Delete(Delete::plan(delete, with, parameters, query, context).await?)
            }
            _ => return Err(Diagnostic::unsupported("this statement in WITH")),
        };
        let uses = match &body {
            Body::Insert(insert) => insert.uses(),
            Body::Update(update) => update.uses(),
            Body::Delete(delete) => delete.uses(),
        };
        Ok(Statement {
            parameters: settled(parameters),
            uses,
            body,
        })
    }

    /// What RETURNING gives; None where the statement returns no rows.
    pub fn fields(&self) -> Option<&Arc<[ResultField]>> {
        let returning: Option<&Returning> = match &self.body {
            Body::Insert(insert) => insert.returning(),
            Body::Update(update) => update.returning(),
            Body::Delete(delete) => delete.returning(),
        };
        returning.map(|returning| &returning.fields)
    }

    /// Executes it.
    ///
    /// # Errors
    /// 42501, 25006, constraint violations, lock failures, whatever the expressions raise.
    pub async fn execute(&self, run: Run<'_>) -> Result<Outcome, Diagnostic> {
        let storage = &mut run.transaction.storage;
        if self.uses.take(storage, run.context).await? == Used::AfterWaiting {
            return Ok(Outcome::Stale);
        }
        match &self.body {
            Body::Insert(insert) => insert.execute(run).await,
            Body::Update(update) => update.execute(run).await,
            Body::Delete(delete) => delete.execute(run).await,
        }
    }

    /// Executes it as a part of a statement that has taken what it uses; None where that is to
    /// start over.
    async fn execute_part(&self, run: Run<'_>) -> Result<Option<Outcome>, Diagnostic> {
        match &self.body {
            Body::Insert(insert) => insert.execute(run).await.map(Some),
            Body::Update(update) => update.execute_part(run).await,
            Body::Delete(delete) => delete.execute_part(run).await,
        }
    }
}

/// The statement itself and the WITH before it.
fn take_apart(statement: &ast::Statement) -> (&ast::Statement, Option<&ast::With>) {
    match statement {
        ast::Statement::Query(query) => match &*query.body {
            SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) => {
                (inner, query.with.as_ref())
            }
            _ => (statement, None),
        },
        _ => (statement, None),
    }
}

fn with_common_tables(
    insert: &ast::Insert,
    with: Option<&ast::With>,
) -> Result<ast::Insert, Diagnostic> {
    let mut insert = insert.clone();
    let Some(with) = with else {
        return Ok(insert);
    };
    match insert.source.as_mut() {
        Some(source) if source.with.is_none() => source.with = Some(with.clone()),
        _ => return Err(Diagnostic::unsupported("WITH before this INSERT")),
    }
    Ok(insert)
}

/// Parameters that nothing has determined are text.
pub fn settled(parameters: &[Option<SqlType>]) -> Vec<SqlType> {
    parameters
        .iter()
        .map(|known| known.unwrap_or(SqlType::scalar(TypeKind::Text)))
        .collect()
}

/// Takes over the types that a query has found for the parameters it uses.
pub fn adopt_parameters(parameters: &mut Vec<Option<SqlType>>, found: &[SqlType]) {
    if parameters.len() < found.len() {
        parameters.resize(found.len(), None);
    }
    for (known, found) in parameters.iter_mut().zip(found) {
        known.get_or_insert(*found);
    }
}

/// `CAST(expression AS type)` in the syntax tree.
///
/// # Errors
/// XX000 for a type whose name does not parse.
pub fn cast_to(expression: Expr, to: SqlType) -> Result<Expr, Diagnostic> {
    if let Some(data_type) = types::name::to_ast(to) {
        return Ok(Expr::Cast {
            kind: ast::CastKind::Cast,
            expr: Box::new(expression),
            data_type,
            array: false,
            format: None,
        });
    }
    let mut cast = parse::parse_expression(&format!("CAST(NULL AS {})", types::format_type(to)))?;
    match &mut cast {
        Expr::Cast { expr, .. } => **expr = expression,
        _ => return Err(Diagnostic::internal("a cast is no cast")),
    }
    Ok(cast)
}
