//! A point statement, planned and executed on the session core.

use super::key::PointKey;
use super::range_count::RangeCount;
use super::range_select::RangeSelect;
use super::select::Select;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::dml::assignments::{Assignments, compile_filter};
use crate::engine::dml::delete::{self, Deletion};
use crate::engine::dml::filler::input_of;
use crate::engine::dml::insert::{Insert, POINT_ROWS_MAX};
use crate::engine::dml::returning::{self, Collector, Returning};
use crate::engine::dml::selection::Named;
use crate::engine::dml::update::Change;
use crate::engine::dml::value::Value;
use crate::engine::dml::values::rows_written;
use crate::engine::dml::write::{Found, Writer, demand_writable};
use crate::engine::dml::{Run, settled};
use crate::engine::outcome::{CommandTag, Outcome, ResultField};
use crate::engine::policy::Purpose;
use crate::engine::query::QueryEngine;
use crate::engine::transaction::Transaction;
use crate::engine::uses::Uses;
use crate::storage::{LockMode, Storage, Used};
use datafusion::common::ScalarValue;
use sqlparser::ast;
use std::sync::Arc;

/// A point statement, planned.
#[derive(Debug)]
pub struct Statement {
    /// The types of $1, $2, ….
    pub parameters: Vec<SqlType>,
    uses: Uses,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Select(Select),
    Range(Box<RangeSelect>),
    Count(Box<RangeCount>),
    Insert(Insert),
    Update(Update),
    Delete(Delete),
}

/// UPDATE of one row.
#[derive(Debug)]
struct Update {
    row: PointRow,
    assignments: Assignments,
}

/// DELETE of one row.
#[derive(Debug)]
struct Delete {
    row: PointRow,
}

/// The row that an UPDATE or DELETE means.
#[derive(Debug)]
struct PointRow {
    named: Named,
    key: PointKey,
    filter: Option<Value>,
    returning: Option<Returning>,
}

impl Statement {
    /// Plans a statement; None where it is no point statement, or has something wrong that the
    /// general way says better. Takes about 100 µs; blocks nothing.
    pub fn plan(
        statement: &ast::Statement,
        declared: &[Option<SqlType>],
        context: &StatementContext,
    ) -> Option<Statement> {
        let mut parameters = declared.to_vec();
        let body = match statement {
            ast::Statement::Query(query) => {
                let (body, found) = of_query(query, &parameters, context)?;
                parameters = found;
                body
            }
            ast::Statement::Insert(insert) => {
                let few = rows_written(insert).is_some_and(|rows| rows <= POINT_ROWS_MAX);
                if !few {
                    return None;
                }
                let insert = Insert::plan_values(insert, &mut parameters, context).ok()?;
                if !insert.stands_alone() {
                    return None;
                }
                Body::Insert(insert)
            }
            ast::Statement::Update(update) => {
                Body::Update(Update::plan(update, &mut parameters, context)?)
            }
            ast::Statement::Delete(delete) => {
                Body::Delete(Delete::plan(delete, &mut parameters, context)?)
            }
            _ => return None,
        };
        // A parameter that nothing has determined: the general way says so.
        if parameters.iter().any(Option::is_none) {
            return None;
        }
        let uses = match &body {
            Body::Select(select) => select.uses(),
            Body::Range(range) => range.uses(),
            Body::Count(count) => count.uses(),
            Body::Insert(insert) => insert.uses(),
            Body::Update(Update { row, .. }) | Body::Delete(Delete { row }) => {
                row.named.target.uses()
            }
        };
        Some(Statement {
            parameters: settled(&parameters),
            uses,
            body,
        })
    }

    /// The result's columns; None where it returns no rows.
    pub fn fields(&self) -> Option<&Arc<[ResultField]>> {
        let output = match &self.body {
            Body::Select(select) => Some(select.output()),
            Body::Range(range) => return Some(range.fields()),
            Body::Count(count) => return Some(count.fields()),
            Body::Insert(insert) => insert.returning(),
            Body::Update(update) => update.row.returning.as_ref(),
            Body::Delete(delete) => delete.row.returning.as_ref(),
        };
        output.map(|output| &output.fields)
    }

    /// Whether executing it may write or lock rows.
    pub fn writes(&self) -> bool {
        match &self.body {
            Body::Select(select) => select.locks(),
            Body::Range(_) | Body::Count(_) => false,
            Body::Insert(_) | Body::Update(_) | Body::Delete(_) => true,
        }
    }

    /// Executes it on this core; of a range with many rows the rest comes from the pool. The caller has begun
    /// the statement, and tells what it gives only once the values it took are durable. Waits only for locks.
    ///
    /// # Errors
    /// 42501, 25006, constraint violations, lock failures, what the expressions raise.
    pub async fn execute(
        &self,
        (storage, query): (&Storage, Option<&QueryEngine>),
        parameters: &[ScalarValue],
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<Outcome, Diagnostic> {
        let used = self.uses.take(&mut transaction.storage, context);
        if used.await? == Used::AfterWaiting {
            return Ok(Outcome::Stale);
        }
        let run = Run {
            query,
            storage,
            parameters,
            transaction,
            context,
        };
        match &self.body {
            Body::Select(select) => select.execute(run).await,
            // The futures of statements of one row stay small.
            Body::Range(range) => Box::pin(range.execute(run)).await,
            Body::Count(count) => Box::pin(count.execute(run)).await,
            Body::Insert(insert) => insert.execute(run).await,
            Body::Update(update) => update.execute(run).await,
            Body::Delete(delete) => delete.execute(run).await,
        }
    }
}

/// A SELECT of one row, of a range or of its count, and the types of $1, $2, … that it found.
fn of_query(
    query: &ast::Query,
    declared: &[Option<SqlType>],
    context: &StatementContext,
) -> Option<(Body, Vec<Option<SqlType>>)> {
    let mut parameters = declared.to_vec();
    if let Some(select) = Select::plan(query, &mut parameters, context) {
        return Some((Body::Select(select), parameters));
    }
    let mut parameters = declared.to_vec();
    if let Some(range) = RangeSelect::plan(query, &mut parameters, context) {
        return Some((Body::Range(Box::new(range)), parameters));
    }
    let mut parameters = declared.to_vec();
    let count = RangeCount::plan(query, &mut parameters, context)?;
    Some((Body::Count(Box::new(count)), parameters))
}

impl PointRow {
    fn plan(
        table: &ast::TableWithJoins,
        selection: Option<&ast::Expr>,
        returning: Option<&Vec<ast::SelectItem>>,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Option<PointRow> {
        let named = Named::new(table, context).ok()?;
        let (target, qualifier) = (&named.target, &named.qualifier);
        let key = PointKey::of(selection?, target, qualifier, parameters, input_of(context))?;
        let scope = target.scope(qualifier);
        let filter =
            compile_filter(key.rest.as_ref(), &scope, parameters, input_of(context)).ok()?;
        let returning = match returning {
            Some(items) => {
                let named = (target, qualifier.as_str());
                let returning =
                    Returning::new(items, named, &scope, parameters, input_of(context)).ok()?;
                if returning.asks() {
                    return None;
                }
                Some(returning)
            }
            None => None,
        };
        Some(PointRow {
            named,
            key,
            filter,
            returning,
        })
    }

    /// What RETURNING collects: one row at most.
    fn collector(&self) -> Option<Collector<'_>> {
        let returning = self.returning.as_ref();
        returning.map(|returning| returning.collector(None))
    }

    /// The storage key, where there may be such a row.
    fn row_key(&self, run: &Run<'_>) -> Result<Option<Vec<u8>>, Diagnostic> {
        let transaction = &run.transaction.storage;
        let input = input_of(run.context);
        let Some(bytes) = self.key.bytes(run.parameters, input)? else {
            return Ok(None);
        };
        self.key.row_key(bytes, transaction)
    }

    /// Locks the row; what the WHERE demands besides the key is asked of every version.
    async fn lock(
        &self,
        writer: &mut Writer<'_>,
        key: &[u8],
        mode: LockMode,
    ) -> Result<Found, Diagnostic> {
        if !writer.may_lock(key)? {
            return Ok(Found::Gone);
        }
        Ok(match writer.lock_row(key, mode).await? {
            Found::Unchanged(row) if self.filter.is_some() => Found::Changed(row),
            found => found,
        })
    }
}

impl Update {
    fn plan(
        update: &ast::Update,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Option<Update> {
        let plain = update.from.is_none()
            && update.or.is_none()
            && update.order_by.is_empty()
            && update.limit.is_none();
        if !plain {
            return None;
        }
        // Assignments first: their parameters take the types of their columns.
        let named = Named::new(&update.table, context).ok()?;
        let scope = named.target.scope(&named.qualifier);
        let assignments = Assignments::new(
            &update.assignments,
            &named.target,
            &scope,
            parameters,
            context,
        )
        .ok()?;
        let row = PointRow::plan(
            &update.table,
            update.selection.as_ref(),
            update.returning.as_ref(),
            parameters,
            context,
        )?;
        Some(Update { row, assignments })
    }

    async fn execute(&self, run: Run<'_>) -> Result<Outcome, Diagnostic> {
        let row = &self.row;
        let target = &row.named.target;
        run.context.rights.may_update(&target.relation)?;
        run.context.rights.may_select(&target.relation)?;
        demand_writable(run.context, "UPDATE")?;
        let mut collector = row.collector();
        let mut count = 0;
        if let Some(key) = row.row_key(&run)? {
            let storage = &mut run.transaction.storage;
            let mut writer =
                Writer::new(target, storage, run.storage, run.context, Purpose::Update);
            let found = row.lock(&mut writer, &key, self.assignments.lock).await?;
            let change = Change {
                assignments: &self.assignments,
                filter: row.filter.as_ref(),
                parameters: run.parameters,
            };
            count = change.one(&mut writer, &key, found, &mut collector).await?;
            writer.finish().await?;
        }
        returning::outcome(CommandTag::Update(count), collector)
    }
}

impl Delete {
    fn plan(
        delete: &ast::Delete,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Option<Delete> {
        if delete.using.is_some() {
            return None;
        }
        let row = PointRow::plan(
            delete::table_of(delete).ok()?,
            delete.selection.as_ref(),
            delete.returning.as_ref(),
            parameters,
            context,
        )?;
        Some(Delete { row })
    }

    async fn execute(&self, run: Run<'_>) -> Result<Outcome, Diagnostic> {
        let row = &self.row;
        let target = &row.named.target;
        run.context.rights.may_delete(&target.relation)?;
        run.context.rights.may_select(&target.relation)?;
        demand_writable(run.context, "DELETE")?;
        let mut collector = row.collector();
        let mut count = 0;
        if let Some(key) = row.row_key(&run)? {
            let storage = &mut run.transaction.storage;
            let mut writer =
                Writer::new(target, storage, run.storage, run.context, Purpose::Delete);
            let found = row.lock(&mut writer, &key, LockMode::Update).await?;
            let deletion = Deletion {
                filter: row.filter.as_ref(),
                parameters: run.parameters,
                beside: Vec::new(),
            };
            count = deletion
                .of(&mut writer, &key, found, &mut collector)
                .await?;
            writer.finish().await?;
        }
        returning::outcome(CommandTag::Delete(count), collector)
    }
}
