//! `SELECT count(*)` of a key's range: few rows are counted on the session core, and where there turn out to be
//! more, the rest on the query pool.

use super::range::{Asked, PointRange};
use super::range_rows::{CORE_ROWS, CORE_ROWS_AT_ONCE, POOL_ROWS, RangeRows, Reading};
use super::select::{plain_body, query_is_plain};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::dml::Run;
use crate::engine::dml::assignments::compile_filter;
use crate::engine::dml::filler::input_of;
use crate::engine::dml::names::fold;
use crate::engine::dml::pace::Pace;
use crate::engine::dml::selection::Named;
use crate::engine::outcome::{CommandTag, Outcome, ResultField, Rows, Source};
use crate::engine::types;
use crate::engine::uses::Uses;
use crate::storage::Use;
use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use sqlparser::ast;
use std::sync::Arc;

/// A count of a range, planned.
#[derive(Debug)]
pub struct RangeCount {
    named: Named,
    range: PointRange,
    reading: Arc<Reading>,
}

impl RangeCount {
    /// Of a query; None where it is none.
    pub fn plan(
        query: &ast::Query,
        parameters: &mut Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Option<RangeCount> {
        let select = plain_body(query)?;
        let alone = query_is_plain(query)
            && query.locks.is_empty()
            && query.order_by.is_none()
            && query.limit_clause.is_none();
        let ([from], [item], true) = (&select.from[..], &select.projection[..], alone) else {
            return None;
        };
        let name = counted(item)?;
        let named = Named::new(from, context).ok()?;
        let (target, qualifier) = (&named.target, &named.qualifier);
        let asked = Asked {
            selection: select.selection.as_ref(),
            order: &[],
            limited: false,
        };
        let input = input_of(context);
        let range = PointRange::of(&asked, target, qualifier, parameters, input)?;
        let scope = target.scope(qualifier);
        let filter = compile_filter(range.rest.as_ref(), &scope, parameters, input).ok()?;
        let looked_at = filter.as_ref().map(|filter| filter.columns());
        let wanted = looked_at.into_iter().flatten();
        let field = ResultField {
            name,
            sql_type: SqlType::scalar(TypeKind::Int8),
            table: None,
            column: 0,
        };
        let reading = Reading {
            wanted: wanted.map(|column| column as u16).collect(),
            filter,
            given: 0,
            schema: Arc::new(Schema::new(vec![types::arrow_field(
                field.name.as_str(),
                field.sql_type,
                true,
            )])),
            fields: Arc::new([field]),
            width: target.columns().len(),
        };
        Some(RangeCount {
            range,
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

    /// The result's only column.
    pub fn fields(&self) -> &Arc<[ResultField]> {
        &self.reading.fields
    }

    /// Counts the rows.
    ///
    /// # Errors
    /// 42501, 72000, what the expressions raise.
    pub async fn execute(&self, run: Run<'_>) -> Result<Outcome, Diagnostic> {
        let (parameters, context) = (run.parameters, run.context);
        context.rights.may_select(&self.named.target.relation)?;
        let keys = self
            .range
            .keys(parameters, input_of(context), run.query)
            .await?;
        if keys.is_empty() {
            return self.answer(0);
        }
        let view = run.transaction.storage.view(1)?;
        let of = (&self.named, &self.range, keys);
        let mut rows = RangeRows::begin(&self.reading, of, view, (parameters, context))?;
        let mut pace = Pace::new(context.cancel.clone());
        let mut count = 0;
        while !rows.is_over() && rows.looked() < CORE_ROWS {
            count += rows.count(CORE_ROWS_AT_ONCE)?;
            pace.look().await?;
        }
        if rows.is_over() {
            return self.answer(count);
        }
        let query = run
            .query
            .ok_or_else(|| Diagnostic::internal("a range of many rows without the query engine"))?;
        let (view, schema) = (rows.view.clone(), self.reading.schema.clone());
        let mut done = false;
        let rest = move || {
            if done {
                return Ok(None);
            }
            while !rows.is_over() {
                count += rows.count(POOL_ROWS)?;
                rows.context.cancel.check()?;
            }
            done = true;
            batch(&schema, count).map(Some)
        };
        let rest = query.pour(rest, view, context.cancel.clone());
        Ok(self.rows(Source::Pool(rest.into())))
    }

    fn answer(&self, count: usize) -> Result<Outcome, Diagnostic> {
        let counted = batch(&self.reading.schema, count)?;
        Ok(self.rows(Source::Ready(vec![counted].into_iter())))
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

fn batch(schema: &SchemaRef, count: usize) -> Result<RecordBatch, Diagnostic> {
    let count = Int64Array::from(vec![count as i64]);
    RecordBatch::try_new(schema.clone(), vec![Arc::new(count)])
        .map_err(|error| Diagnostic::internal(error.to_string()))
}

/// What `count(*)` is called, where that and nothing else is asked for.
fn counted(item: &ast::SelectItem) -> Option<String> {
    let (expression, name) = match item {
        ast::SelectItem::UnnamedExpr(expression) => (expression, "count".to_owned()),
        ast::SelectItem::ExprWithAlias { expr, alias } => (expr, fold(alias)),
        _ => return None,
    };
    let ast::Expr::Function(function) = expression else {
        return None;
    };
    let ast::FunctionArguments::List(arguments) = &function.args else {
        return None;
    };
    let all = matches!(
        &arguments.args[..],
        [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard)]
    );
    let [part] = &function.name.0[..] else {
        return None;
    };
    let plain = all
        && fold(part.as_ident()?) == "count"
        && arguments.duplicate_treatment.is_none()
        && arguments.clauses.is_empty()
        && function.filter.is_none()
        && function.over.is_none()
        && function.within_group.is_empty()
        && function.null_treatment.is_none();
    plain.then_some(name)
}
