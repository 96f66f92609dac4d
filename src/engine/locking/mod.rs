//! SELECT … FOR UPDATE and its like, of any query that PostgreSQL takes them on.
//!
//! `tables` says which tables a query's locking clauses lock, and refuses what PostgreSQL refuses;
//! `select` reads the rows by a query of ours that carries their storage keys, locks each and looks
//! at its newest version; `stages` runs such queries inside other statements. Rows by full key are
//! locked by `engine::point` in microseconds.

mod select;
mod stages;
mod tables;

use super::dml::Run;
use super::entry::Engine;
use super::outcome::{Outcome, ResultField};
use super::query::QueryEngine;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use select::Select;
use sqlparser::ast;
use stages::Staged;
use std::sync::Arc;

/// A statement that locks rows it reads, planned.
pub struct Statement {
    /// The types of $1, $2, ….
    pub parameters: Vec<SqlType>,
    /// The result's columns; None where it returns no rows.
    pub fields: Option<Arc<[ResultField]>>,
    body: Body,
}

enum Body {
    Select(Box<Select>),
    Staged(Box<Staged>),
}

impl Statement {
    /// Whether the statement has locking clauses, in itself or in a subquery.
    pub fn answers(statement: &ast::Statement) -> bool {
        stages::locks_inside(statement) || of_query(statement).is_some()
    }

    /// Plans it. Awaits the query pool.
    ///
    /// # Errors
    /// What the statement has wrong, in PostgreSQL's words; 0A000 for what is not there.
    pub async fn plan(
        statement: &ast::Statement,
        declared: &[Option<SqlType>],
        engine: &QueryEngine,
        context: &StatementContext,
    ) -> Result<Statement, Diagnostic> {
        if stages::locks_inside(statement) {
            let staged = Staged::plan(statement, declared, engine, context).await?;
            return Ok(Statement {
                parameters: staged.parameters.clone(),
                fields: staged.fields.clone(),
                body: Body::Staged(Box::new(staged)),
            });
        }
        let query = of_query(statement)
            .ok_or_else(|| Diagnostic::unsupported("a locking clause in this statement"))?;
        let select = Select::plan(query, declared, engine, context).await?;
        Ok(Statement {
            parameters: select.parameters().to_vec(),
            fields: Some(select.fields.clone()),
            body: Body::Select(Box::new(select)),
        })
    }

    /// Executes it.
    ///
    /// # Errors
    /// 42501, 25006, 55P03, 40001, 40P01, whatever the expressions raise.
    pub async fn execute(&self, run: Run<'_>, engine: &Engine) -> Result<Outcome, Diagnostic> {
        match &self.body {
            Body::Select(select) => select.execute(run).await,
            Body::Staged(staged) => Box::pin(staged.execute(run, engine)).await,
        }
    }
}

/// The query itself, where it has locking clauses.
fn of_query(statement: &ast::Statement) -> Option<&ast::Query> {
    match statement {
        ast::Statement::Query(query) if !query.locks.is_empty() => Some(query),
        _ => None,
    }
}
