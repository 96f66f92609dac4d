//! EXPLAIN of INSERT, UPDATE and DELETE: what becomes of the rows, over the plan that finds them. Nothing is
//! done, so ANALYZE, which would do it, is 0A000.

use super::Statement;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::outcome::{Outcome, ResultField};
use crate::engine::query::explain::{Above, Explanation};
use crate::engine::query::explain_options::{ExplainOptions, Run};
use crate::engine::query::{QueryEngine, QueryPlan};
use crate::engine::transaction::Transaction;
use crate::engine::uses::Uses;
use crate::sql::parse;
use crate::storage::Used;
use datafusion::common::ScalarValue;
use sqlparser::ast;
use std::sync::Arc;
use std::time::Instant;

/// An EXPLAIN of a statement that changes rows, planned.
pub struct Explained {
    statement: Statement,
    plan: Arc<QueryPlan>,
}

/// The statement that is explained, if it changes rows.
fn explained(statement: &ast::Statement) -> Option<&ast::Statement> {
    match statement {
        ast::Statement::Explain { statement, .. } => {
            Statement::answers(statement).then_some(&**statement)
        }
        _ => None,
    }
}

impl Explained {
    /// Whether the statement is such an EXPLAIN.
    pub fn answers(statement: &ast::Statement) -> bool {
        explained(statement).is_some()
    }

    /// Plans it. Awaits the query pool.
    ///
    /// # Errors
    /// 0A000 with ANALYZE; what the statement has wrong, in PostgreSQL's words.
    pub async fn plan(
        statement: &ast::Statement,
        declared: &[Option<SqlType>],
        query: &QueryEngine,
        context: &StatementContext,
    ) -> Result<Explained, Diagnostic> {
        let (Some(options), Some(inner)) = (
            ExplainOptions::of_statement(statement)?,
            explained(statement),
        ) else {
            return Err(Diagnostic::internal(
                "no EXPLAIN of a statement that changes rows",
            ));
        };
        if options.run == Run::Analyze {
            return Err(Diagnostic::unsupported(
                "EXPLAIN ANALYZE of a statement that changes rows",
            ));
        }
        let began = Instant::now();
        let statement = Statement::plan(inner, declared, query, context).await?;
        let source = match statement.source() {
            Some(source) => source.clone(),
            None => {
                let rows = parse::parse_one(statement.stand_in())?;
                Arc::new(query.analyze_on_pool(rows, Vec::new(), context).await?)
            }
        };
        let explanation = Explanation {
            options,
            planning: began.elapsed(),
            above: Some(statement.above()),
        };
        let mut plan = source.explained(explanation);
        plan.parameters.clone_from(&statement.parameters);
        Ok(Explained {
            plan: Arc::new(plan),
            statement,
        })
    }

    /// The types of $1, $2, ….
    pub fn parameters(&self) -> &[SqlType] {
        &self.plan.parameters
    }

    /// The result's column.
    pub fn fields(&self) -> &Arc<[ResultField]> {
        &self.plan.fields
    }

    /// Tells the plan.
    ///
    /// # Errors
    /// 42501 where the rights do not suffice for the statement itself.
    pub async fn execute(
        &self,
        query: &QueryEngine,
        parameters: &[ScalarValue],
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<Outcome, Diagnostic> {
        self.statement.demand_privileges(context)?;
        let uses = Uses::default().reading(&self.plan.relations);
        if uses.take(&mut transaction.storage, context).await? == Used::AfterWaiting {
            return Ok(Outcome::Stale);
        }
        query.execute(&self.plan, parameters, transaction, context)
    }
}

impl Statement {
    /// The query that finds its rows; None for VALUES.
    fn source(&self) -> Option<&Arc<QueryPlan>> {
        match &self.body {
            super::Body::Insert(insert) => insert.query(),
            super::Body::Update(update) => Some(update.query()),
            super::Body::Delete(delete) => Some(delete.query()),
        }
    }

    /// What has the plan of its VALUES: they are not planned, but worked out as they are written.
    fn stand_in(&self) -> &'static str {
        match &self.body {
            super::Body::Insert(insert) if insert.is_of_many_rows() => "VALUES (NULL), (NULL)",
            _ => "SELECT NULL",
        }
    }

    fn above(&self) -> Above {
        let (operation, target) = match &self.body {
            super::Body::Insert(insert) => ("Insert", insert.target()),
            super::Body::Update(update) => ("Update", update.target()),
            super::Body::Delete(delete) => ("Delete", delete.target()),
        };
        let fields = self.fields().map(|fields| &**fields).unwrap_or_default();
        Above {
            operation,
            table: target.relation.name.to_string(),
            outputs: fields.iter().map(|field| field.name.clone()).collect(),
        }
    }

    fn demand_privileges(&self, context: &StatementContext) -> Result<(), Diagnostic> {
        match &self.body {
            super::Body::Insert(insert) => insert.demand_privileges(context),
            super::Body::Update(update) => update.demand_privileges(context),
            super::Body::Delete(delete) => delete.demand_privileges(context),
        }
    }
}
