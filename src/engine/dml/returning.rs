//! RETURNING: what a statement that writes gives back.

use super::names::fold;
use super::target::Target;
use super::value::{self, Row, Value};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::outcome::{CommandTag, Outcome, ResultField, Rows};
use crate::engine::query::QueryEngine;
use crate::engine::query::expression::Scope;
use crate::engine::query::failure;
use crate::engine::query::rewrite::labels::label;
use crate::engine::query::statement::Statement;
use crate::engine::types::Input;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::execution::memory_pool::MemoryReservation;
use sqlparser::ast::{self, SelectItem};
use std::borrow::Cow;
use std::sync::Arc;

/// The columns of a RETURNING list.
#[derive(Debug)]
pub struct Returning {
    /// As RowDescription tells them.
    pub fields: Arc<[ResultField]>,
    values: Vec<Value>,
}

impl Returning {
    /// Of a list, over a scope that begins with the target's columns, known by `qualifier`.
    ///
    /// # Errors
    /// What the expressions have wrong.
    pub fn new(
        items: &[SelectItem],
        (target, qualifier): (&Target, &str),
        scope: &Scope,
        parameters: &mut Vec<Option<SqlType>>,
        input: Input<'_>,
    ) -> Result<Returning, Diagnostic> {
        let mut fields = Vec::new();
        let mut values = Vec::new();
        for item in items {
            let (expression, name) = match item {
                SelectItem::UnnamedExpr(expression) => (expression, label(expression)),
                SelectItem::ExprWithAlias { expr, alias } => (expr, fold(alias)),
                SelectItem::Wildcard(_) => {
                    all_columns(target, &mut fields, &mut values);
                    continue;
                }
                SelectItem::QualifiedWildcard(
                    ast::SelectItemQualifiedWildcardKind::ObjectName(name),
                    _,
                ) if super::names::column(name).is_ok_and(|name| name == qualifier) => {
                    all_columns(target, &mut fields, &mut values);
                    continue;
                }
                SelectItem::QualifiedWildcard(_, _) | SelectItem::ExprWithAliases { .. } => {
                    return Err(Diagnostic::unsupported("this form of RETURNING"));
                }
            };
            let value = value::compile_asking(expression, scope, parameters, input)?;
            let own = value
                .as_column()
                .filter(|position| *position < target.columns().len());
            let mut field = match own {
                Some(position) => column_field(target, position),
                None => ResultField {
                    name: String::new(),
                    sql_type: visible(value.sql_type),
                    table: None,
                    column: 0,
                },
            };
            field.name = name;
            fields.push(field);
            values.push(value);
        }
        Ok(Returning {
            fields: fields.into(),
            values,
        })
    }

    /// Whether it must be made ready by [`Collector::within`].
    pub fn asks(&self) -> bool {
        self.values.iter().any(Value::asks)
    }

    /// The columns' positions, where every output is one as it is.
    pub fn plain_columns(&self) -> Option<Vec<u16>> {
        let position = |value: &Value| value.as_column().and_then(|at| u16::try_from(at).ok());
        self.values.iter().map(position).collect()
    }

    /// Starts collecting within a statement's memory; none where the rows are few by themselves.
    pub fn collector(&self, memory: Option<MemoryReservation>) -> Collector<'_> {
        Collector {
            fields: &self.fields,
            values: Cow::Borrowed(&self.values),
            columns: self.values.iter().map(|_| Vec::new()).collect(),
            rows: 0,
            bytes: 0,
            batches: Vec::new(),
            memory,
        }
    }
}

/// An untyped literal is text in a result.
fn visible(sql_type: SqlType) -> SqlType {
    match sql_type.kind {
        TypeKind::Unknown => SqlType::scalar(TypeKind::Text),
        _ => sql_type,
    }
}

fn all_columns(target: &Target, fields: &mut Vec<ResultField>, values: &mut Vec<Value>) {
    for (position, column) in target.columns().iter().enumerate() {
        if !column.dropped {
            fields.push(column_field(target, position));
            values.push(Value::column(position, column.sql_type));
        }
    }
}

fn column_field(target: &Target, position: usize) -> ResultField {
    let column = &target.columns()[position];
    ResultField {
        name: column.name.to_string(),
        sql_type: column.sql_type,
        table: Some(target.relation.oid),
        column: i16::try_from(position + 1).unwrap_or(0),
    }
}

/// Rows of a batch at most.
const BATCH_ROWS_MAX: usize = 1_024;

/// Bytes of values of a batch at most, but for a single row that has more.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Collects the rows that a statement returns. None can be told before the statement's end, which
/// may find that its constraints do not hold; so they are kept, within the statement's memory.
pub struct Collector<'r> {
    fields: &'r Arc<[ResultField]>,
    values: Cow<'r, [Value]>,
    columns: Vec<Vec<ScalarValue>>,
    /// Rows of `columns`, and about what they take.
    rows: usize,
    bytes: usize,
    batches: Vec<RecordBatch>,
    memory: Option<MemoryReservation>,
}

impl Collector<'_> {
    /// The same, its functions asking this statement.
    ///
    /// # Errors
    /// 0A000 for functions that do something besides giving a value.
    pub fn within(mut self, statement: &Arc<Statement>) -> Result<Self, Diagnostic> {
        if self.values.iter().any(Value::asks) {
            let ready = self.values.iter().map(|value| value.within(statement));
            self.values = Cow::Owned(ready.collect::<Result<_, _>>()?);
        }
        Ok(self)
    }

    /// Adds what the written row gives.
    ///
    /// # Errors
    /// What the expressions raise; 53200 past the statement's memory.
    pub fn add(&mut self, row: Row<'_>) -> Result<(), Diagnostic> {
        for (value, column) in self.values.iter().zip(&mut self.columns) {
            let value = value.evaluate(row)?;
            self.bytes += value.size();
            column.push(value);
        }
        self.rows += 1;
        if self.rows >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Diagnostic> {
        if self.rows == 0 {
            return Ok(());
        }
        let columns = self.columns.iter_mut().map(std::mem::take).collect();
        let batch = batch(self.fields, columns, self.rows)?;
        if let Some(memory) = &mut self.memory {
            let grown = memory.try_grow(batch.get_array_memory_size());
            grown.map_err(failure::diagnostic)?;
        }
        self.batches.push(batch);
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// The result.
    ///
    /// # Errors
    /// 53200 past the statement's memory.
    pub fn finish(mut self, tag: CommandTag) -> Result<Rows, Diagnostic> {
        self.flush()?;
        let fields = self.fields.clone();
        let memory = self.memory.take();
        Ok(Rows {
            memory,
            ..Rows::ready(fields, tag, self.batches)
        })
    }
}

/// Starts collecting what a statement returns, if it returns something.
///
/// # Errors
/// 0A000 for functions in RETURNING that do something besides giving a value.
pub fn collector<'r>(
    returning: Option<&'r Returning>,
    query: Option<&QueryEngine>,
    context: &StatementContext,
) -> Result<Option<Collector<'r>>, Diagnostic> {
    let Some(returning) = returning else {
        return Ok(None);
    };
    let collector = returning.collector(query.map(QueryEngine::reservation));
    match query {
        Some(query) if returning.asks() => collector.within(&query.statement(context)).map(Some),
        _ => Ok(Some(collector)),
    }
}

/// What a statement gave: the rows it collected, or its tag alone.
///
/// # Errors
/// As [`Collector::finish`].
pub fn outcome(tag: CommandTag, collector: Option<Collector<'_>>) -> Result<Outcome, Diagnostic> {
    match collector {
        None => Ok(Outcome::Done(tag)),
        Some(collector) => Ok(Outcome::Rows(collector.finish(tag)?)),
    }
}

/// One batch of these columns.
///
/// # Errors
/// XX000 where a value is not of its column's type.
pub fn batch(
    fields: &[ResultField],
    columns: Vec<Vec<ScalarValue>>,
    rows: usize,
) -> Result<RecordBatch, Diagnostic> {
    let arrays = columns
        .into_iter()
        .map(ScalarValue::iter_to_array)
        .collect::<Result<Vec<ArrayRef>, _>>()
        .map_err(failure::diagnostic)?;
    batch_of_arrays(fields, arrays, rows)
}

/// One batch of these arrays.
///
/// # Errors
/// XX000 where they differ in length.
pub fn batch_of_arrays(
    fields: &[ResultField],
    arrays: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, Diagnostic> {
    let schema: Vec<Field> = fields
        .iter()
        .zip(&arrays)
        .map(|(field, array)| Field::new(field.name.as_str(), array.data_type().clone(), true))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(schema)), arrays, &options)
        .map_err(|error| failure::diagnostic(error.into()))
}
