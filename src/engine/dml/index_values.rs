//! What an index has of a row: the values of its columns and expressions, or no entry at all.

use super::target::scope_of;
use super::value::{self, Row, Value};
use crate::catalog::definition::{Index, Relation, Table};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::query::expression::Scope;
use crate::engine::types::Input;
use datafusion::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// How an index's values come of a row of its table; compiled once a statement.
#[derive(Clone, Debug)]
pub struct IndexValues {
    columns: Vec<u16>,
    expressions: Vec<Value>,
    predicate: Option<Value>,
    /// What each column is called in DETAIL, and its type.
    parts: Vec<(Arc<str>, SqlType)>,
}

impl IndexValues {
    /// Those of the index on the table.
    ///
    /// # Errors
    /// What compiling an expression of it gives.
    pub fn new(
        relation: &Relation,
        table: &Table,
        index: &Index,
        input: Input<'_>,
    ) -> Result<IndexValues, Diagnostic> {
        let scope = || scope_of(table, &relation.name, Scope::empty());
        let compile = |text: &str| value::compile_text(text, &scope(), input)?.without_parameters();
        let expressions = index.details.expressions.iter();
        let expressions = expressions
            .map(|expression| compile(&expression.text))
            .collect::<Result<_, _>>()?;
        let predicate = index
            .details
            .predicate
            .as_deref()
            .map(compile)
            .transpose()?;
        let parts = index.columns.iter().map(|position| {
            let column = || &table.columns[usize::from(*position)];
            match index.expression(*position) {
                Some(expression) => (expression.text.clone(), expression.sql_type),
                None => (column().name.clone(), column().sql_type),
            }
        });
        Ok(IndexValues {
            columns: index.columns.clone(),
            expressions,
            predicate,
            parts: parts.collect(),
        })
    }

    /// Whether every row has an entry, of columns alone.
    pub fn is_plain(&self) -> bool {
        self.expressions.is_empty() && self.predicate.is_none()
    }

    /// Whether only some rows have an entry.
    pub fn is_partial(&self) -> bool {
        self.predicate.is_some()
    }

    /// The indexed columns of a batch in index order, where it [is plain](IndexValues::is_plain).
    pub fn arrays(&self, columns: &[ArrayRef]) -> Option<Vec<ArrayRef>> {
        let of = |position: &u16| columns[usize::from(*position)].clone();
        self.is_plain()
            .then(|| self.columns.iter().map(of).collect())
    }

    /// Names and types, in index order.
    pub fn parts(&self) -> &[(Arc<str>, SqlType)] {
        &self.parts
    }

    /// The row's values in index order; None where it has no entry.
    ///
    /// # Errors
    /// What the expressions raise.
    pub fn of(
        &self,
        row: &[ScalarValue],
        input: Input<'_>,
    ) -> Result<Option<Vec<ScalarValue>>, Diagnostic> {
        let over = Row {
            columns: row,
            parameters: &[],
            input,
        };
        if let Some(predicate) = &self.predicate
            && !predicate.holds(over)?
        {
            return Ok(None);
        }
        let value = |position: &u16| match position.checked_sub(Index::EXPRESSIONS) {
            Some(place) => self.expressions[usize::from(place)].evaluate(over),
            None => Ok(row[usize::from(*position)].clone()),
        };
        self.columns
            .iter()
            .map(value)
            .collect::<Result<_, _>>()
            .map(Some)
    }
}
