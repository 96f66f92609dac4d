//! How UPDATE and DELETE find the rows to change: a query of ours that gives storage keys.

use super::names;
use super::target::Target;
use crate::catalog::Oid;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::outcome::{Outcome, Rows};
use crate::engine::policy::Purpose;
use crate::engine::query::{KEY_COLUMN, KEYED_SCHEMA, QueryEngine, QueryPlan, keyed_name};
use crate::engine::transaction::Transaction;
use crate::sql::parse;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::common::ScalarValue;
use sqlparser::ast::{self, Expr, Ident, SelectItem, SetExpr, TableFactor, TableWithJoins};
use std::sync::Arc;

/// The target of an UPDATE or DELETE as it is written.
#[derive(Debug)]
pub struct Named {
    /// The table.
    pub target: Target,
    /// What the statement calls it.
    pub qualifier: String,
}

/// A query for the keys of the rows to change, and for values beside them.
#[derive(Debug)]
pub struct Selection {
    plan: Arc<QueryPlan>,
    /// The types of the values beside the key.
    pub types: Vec<SqlType>,
}

/// The parts of the query.
pub struct Parts<'a> {
    /// WITH
    pub with: Option<&'a ast::With>,
    /// Values beside the key.
    pub values: Vec<Expr>,
    /// UPDATE … FROM, DELETE … USING.
    pub from: &'a [TableWithJoins],
    /// WHERE
    pub selection: Option<&'a Expr>,
}

impl Named {
    /// The table of an UPDATE or DELETE.
    ///
    /// # Errors
    /// 42P01, 42809; 0A000 for what is no plain table.
    pub fn new(table: &TableWithJoins, context: &StatementContext) -> Result<Named, Diagnostic> {
        let unsupported = || Diagnostic::unsupported("this target of UPDATE or DELETE");
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = &table.relation
        else {
            return Err(unsupported());
        };
        if !table.joins.is_empty() {
            return Err(unsupported());
        }
        let relation = names::relation(name, context)?;
        let qualifier = match alias {
            Some(alias) => names::fold(&alias.name),
            None => relation.name.to_string(),
        };
        let target = Target::new(
            &relation,
            &context.snapshot.definitions,
            super::filler::input_of(context),
        )?;
        Ok(Named { target, qualifier })
    }
}

impl Selection {
    /// Plans the query on the pool.
    ///
    /// # Errors
    /// What the statement has wrong.
    pub async fn plan(
        named: &Named,
        purpose: Purpose,
        parts: Parts<'_>,
        parameters: &mut Vec<Option<SqlType>>,
        query: &QueryEngine,
        context: &StatementContext,
    ) -> Result<Selection, Diagnostic> {
        let statement = statement(named, purpose, parts)?;
        let plan = query
            .analyze_on_pool(statement, parameters.clone(), context)
            .await?;
        super::adopt_parameters(parameters, &plan.parameters);
        let types = plan.fields.iter().skip(1);
        Ok(Selection {
            types: types.map(|field| field.sql_type).collect(),
            plan: Arc::new(plan),
        })
    }

    /// The query.
    pub fn query(&self) -> &Arc<QueryPlan> {
        &self.plan
    }

    /// The relations it reads.
    pub fn relations(&self) -> &[Oid] {
        &self.plan.relations
    }

    /// Starts it; the relations are in use.
    ///
    /// # Errors
    /// Storage's, when no view can be opened.
    pub fn start(
        &self,
        query: Option<&QueryEngine>,
        parameters: &[ScalarValue],
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<Rows, Diagnostic> {
        let query =
            query.ok_or_else(|| Diagnostic::internal("a selection without the query engine"))?;
        let used = &parameters[..self.plan.parameters.len()];
        match query.execute(&self.plan, used, transaction, context)? {
            Outcome::Rows(rows) => Ok(rows),
            Outcome::Done(_) | Outcome::Stale => {
                Err(Diagnostic::internal("a query answered without rows"))
            }
        }
    }
}

/// The key of a row that the query gave.
///
/// # Errors
/// XX000 where the first column is no key.
pub fn key_of(batch: &RecordBatch, row: usize) -> Result<&[u8], Diagnostic> {
    let keys = batch
        .column(0)
        .as_binary_opt::<i32>()
        .ok_or_else(|| Diagnostic::internal("the key column holds no keys"))?;
    if keys.is_null(row) {
        return Err(Diagnostic::internal("a row without a key"));
    }
    Ok(keys.value(row))
}

/// `SELECT qualifier.key, values… FROM target AS qualifier, from… WHERE selection`
///
/// # Errors
/// XX000 where a text of ours does not parse.
pub fn statement(
    named: &Named,
    purpose: Purpose,
    parts: Parts<'_>,
) -> Result<ast::Statement, Diagnostic> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let qualifier = quoted(&named.qualifier);
    let text = format!(
        "SELECT {qualifier}.{key} FROM {schema}.\"{target}\" AS {qualifier}",
        key = quoted(KEY_COLUMN),
        schema = quoted(KEYED_SCHEMA),
        target = keyed_name(named.target.relation.oid, purpose),
    );
    let mut statement = parse::parse_one(&text)?;
    let ast::Statement::Query(query) = &mut statement else {
        return Err(Diagnostic::internal("a selection is no query"));
    };
    query.with = parts.with.cloned();
    let SetExpr::Select(select) = &mut *query.body else {
        return Err(Diagnostic::internal("a selection is no SELECT"));
    };
    let values = parts.values.into_iter().enumerate();
    select
        .projection
        .extend(values.map(|(place, expr)| SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', format!("\u{1}value{place}")),
        }));
    select.from.extend(parts.from.iter().cloned());
    select.selection = parts.selection.cloned();
    Ok(statement)
}
