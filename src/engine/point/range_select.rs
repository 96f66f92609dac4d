//! SELECT of some rows in a row, by a key's range: few of them on the session core, and where there turn out
//! to be more, the rest on the query pool.

use super::range::{Asked, PointRange};
use super::range_rows::{CORE_ROWS, CORE_ROWS_AT_ONCE, POOL_ROWS, RangeRows, Reading};
use super::select::{plain_body, query_is_plain};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::dml::Run;
use crate::engine::dml::assignments::compile_filter;
use crate::engine::dml::filler::input_of;
use crate::engine::dml::names::fold;
use crate::engine::dml::pace::Pace;
use crate::engine::dml::returning::Returning;
use crate::engine::dml::selection::Named;
use crate::engine::dml::value::{self, Row, Value};
use crate::engine::outcome::{CommandTag, Outcome, ResultField, Rows, Source};
use crate::engine::query::QueryEngine;
use crate::engine::query::expression::Scope;
use crate::engine::types::{self, Input};
use crate::engine::uses::Uses;
use crate::storage::Use;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use sqlparser::ast;
use std::sync::Arc;

/// A SELECT of a range, planned.
#[derive(Debug)]
pub struct RangeSelect {
    named: Named,
    range: PointRange,
    limit: Option<Value>,
    offset: Option<Value>,
    reading: Arc<Reading>,
}

impl RangeSelect {
    /// Of a query; None where it is none.
    pub fn plan(
        query: &ast::Query,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Option<RangeSelect> {
        let select = plain_body(query)?;
        if !query_is_plain(query) || !query.locks.is_empty() {
            return None;
        }
        let [from] = &select.from[..] else {
            return None;
        };
        let named = Named::new(from, context).ok()?;
        let (target, qualifier) = (&named.target, &named.qualifier);
        let order = match &query.order_by {
            None => &[][..],
            Some(ast::OrderBy {
                kind: ast::OrderByKind::Expressions(order),
                interpolate: None,
            }) => &order[..],
            Some(_) => return None,
        };
        let asked = Asked {
            selection: select.selection.as_ref(),
            order,
            limited: query.limit_clause.is_some(),
        };
        let input = input_of(context);
        let range = PointRange::of(&asked, target, qualifier, parameters, input)?;
        let scope = target.scope(qualifier);
        let filter = compile_filter(range.rest.as_ref(), &scope, parameters, input).ok()?;
        let output = Returning::new(
            &select.projection,
            (target, qualifier),
            &scope,
            parameters,
            input,
        )
        .ok()
        .filter(|output| !output.asks())?;
        let given = output.plain_columns().filter(|given| !given.is_empty())?;
        if !order
            .iter()
            .all(|item| orders_by_column(item, &output, &given, target))
        {
            return None;
        }
        let (limit, offset) = limits(query.limit_clause.as_ref(), parameters, input)?;
        let mut wanted = given.clone();
        let mut looked_at = Vec::new();
        if let Some(filter) = &filter {
            looked_at.extend(filter.columns());
        }
        wanted.extend(looked_at.into_iter().map(|column| column as u16));
        let fields = output.fields.iter();
        let fields =
            fields.map(|field| types::arrow_field(field.name.as_str(), field.sql_type, true));
        let reading = Reading {
            filter,
            given: given.len(),
            wanted,
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            fields: output.fields.clone(),
            width: target.columns().len(),
        };
        Some(RangeSelect {
            range,
            limit,
            offset,
            reading: Arc::new(reading),
            named,
        })
    }

    /// The table, read.
    pub fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        uses.add(self.named.target.relation.oid, Use::Shared);
        uses
    }

    /// The result's columns.
    pub fn fields(&self) -> &Arc<[ResultField]> {
        &self.reading.fields
    }

    /// Reads the rows, or the first of them.
    ///
    /// # Errors
    /// 42501, 2201W, 2201X, 72000, what the expressions raise.
    pub async fn execute(&self, run: Run<'_>) -> Result<Outcome, Diagnostic> {
        let (parameters, context) = (run.parameters, run.context);
        let target = &self.named.target;
        context.rights.may_select(&target.relation)?;
        let input = input_of(context);
        let row = Row {
            columns: &[],
            parameters,
            input,
        };
        let skip = count(self.offset.as_ref(), row, "2201X", "OFFSET")?.unwrap_or(0);
        let left = count(self.limit.as_ref(), row, "2201W", "LIMIT")?.unwrap_or(usize::MAX);
        let keys = self.range.keys(parameters, input, run.query).await?;
        if keys.is_empty() || left == 0 {
            return Ok(self.rows(Source::Ready(Vec::new().into_iter())));
        }
        let view = run.transaction.storage.view(1)?;
        let of = (&self.named, &self.range, keys);
        let mut rows = RangeRows::begin(&self.reading, of, view, (parameters, context))?;
        (rows.skip, rows.left) = (skip, left);
        let mut pace = Pace::new(context.cancel.clone());
        while !rows.is_over() && rows.looked() < CORE_ROWS {
            rows.read(CORE_ROWS_AT_ONCE)?;
            pace.look().await?;
        }
        let first = rows.take()?;
        if rows.is_over() {
            let batches: Vec<_> = first.into_iter().collect();
            return Ok(self.rows(Source::Ready(batches.into_iter())));
        }
        let query = run
            .query
            .ok_or_else(|| Diagnostic::internal("a range of many rows without the query engine"))?;
        Ok(self.rows(Source::Pool(pour(query, first, rows, context).into())))
    }

    fn rows(&self, source: Source) -> Outcome {
        Outcome::Rows(Rows {
            fields: self.reading.fields.clone(),
            tag: CommandTag::Select(0),
            source,
            memory: None,
        })
    }
}

/// The rest of the rows from the pool, behind those that are there.
fn pour(
    query: &QueryEngine,
    mut first: Option<RecordBatch>,
    mut rows: RangeRows,
    context: &StatementContext,
) -> futures::channel::mpsc::Receiver<Result<RecordBatch, Diagnostic>> {
    let view = rows.view.clone();
    let next = move || -> Result<Option<RecordBatch>, Diagnostic> {
        if let Some(batch) = first.take() {
            return Ok(Some(batch));
        }
        while !rows.is_over() {
            rows.read(POOL_ROWS)?;
            if let Some(batch) = rows.take()? {
                return Ok(Some(batch));
            }
            rows.context.cancel.check()?;
        }
        Ok(None)
    };
    query.pour(next, view, context.cancel.clone())
}

/// Whether an item of ORDER BY means the table's column of its name: an output of that name comes first.
fn orders_by_column(
    item: &ast::OrderByExpr,
    output: &Returning,
    given: &[u16],
    target: &crate::engine::dml::target::Target,
) -> bool {
    let ast::Expr::Identifier(name) = &item.expr else {
        return true;
    };
    let name = fold(name);
    let column = target.column(&name).ok();
    let mut named = output
        .fields
        .iter()
        .zip(given)
        .filter(|(field, _)| field.name == name);
    named.all(|(_, position)| Some(usize::from(*position)) == column)
}

/// LIMIT and OFFSET; the outer None where they are in another form.
type Limits = (Option<Value>, Option<Value>);

fn limits(
    clause: Option<&ast::LimitClause>,
    parameters: &mut Vec<Option<SqlType>>,
    input: Input<'_>,
) -> Option<Limits> {
    let (limit, offset) = match clause {
        None => (None, None),
        Some(ast::LimitClause::LimitOffset {
            limit,
            offset,
            limit_by,
        }) if limit_by.is_empty() => (limit.as_ref(), offset.as_ref().map(|offset| &offset.value)),
        Some(_) => return None,
    };
    let mut compile = |expression: Option<&ast::Expr>| match expression {
        None => Some(None),
        Some(expression) => {
            let int8 = SqlType::scalar(TypeKind::Int8);
            let scope = Scope::empty();
            let value =
                value::compile_compared(expression, int8, &scope, parameters, input).ok()?;
            let integer = matches!(
                value.sql_type.kind,
                TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8
            );
            let plain = integer && !value.sql_type.array && value.is_free_of_columns();
            plain.then_some(Some(value))
        }
    };
    Some((compile(limit)?, compile(offset)?))
}

/// How many rows a LIMIT or OFFSET means; None: NULL, or there is none.
fn count(
    value: Option<&Value>,
    row: Row<'_>,
    code: &'static str,
    what: &str,
) -> Result<Option<usize>, Diagnostic> {
    let Some(value) = value else {
        return Ok(None);
    };
    let count = match value.evaluate(row)? {
        ScalarValue::Int16(count) => count.map(i64::from),
        ScalarValue::Int32(count) => count.map(i64::from),
        ScalarValue::Int64(count) => count,
        other => {
            let what = format!("{what} of type {}", other.data_type());
            return Err(Diagnostic::internal(what));
        }
    };
    let negative =
        || Diagnostic::error(SqlState::new(code), format!("{what} must not be negative"));
    count
        .map(|count| usize::try_from(count).map_err(|_| negative()))
        .transpose()
}
