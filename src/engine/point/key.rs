//! Which row a WHERE means: its full primary key, or that of a unique index, by equality.

use crate::catalog::RelationId;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::dml::names::fold;
use crate::engine::dml::target::Target;
use crate::engine::dml::value::{self, Row, Value};
use crate::engine::query::expression::Scope;
use crate::engine::row::{IndexEntry, KeyLayout};
use crate::engine::types::Input;
use crate::storage::{StorageError, Transaction};
use datafusion::common::ScalarValue;
use sqlparser::ast::{BinaryOperator, Expr};

/// The key of one row.
#[derive(Debug)]
pub struct PointKey {
    layout: KeyLayout,
    /// The unique index to look in; None: the primary key.
    index: Option<RelationId>,
    values: Vec<KeyValue>,
    /// What else the WHERE demands of the row. For a unique index all of it, because the row found
    /// may have changed its values meanwhile.
    pub rest: Option<Expr>,
}

/// The value of a key column, as it is looked up.
#[derive(Debug)]
pub(super) struct KeyValue {
    pub(super) value: Value,
    pub(super) to: TypeKind,
}

impl PointKey {
    /// Of a WHERE over one table; None where it is not the equality of a full key.
    pub fn of(
        selection: &Expr,
        target: &Target,
        qualifier: &str,
        parameters: &mut Vec<Option<SqlType>>,
        input: Input<'_>,
    ) -> Option<PointKey> {
        let mut terms = Vec::new();
        conjunction(selection, &mut terms);
        let equalities: Vec<Option<(usize, &Expr)>> = terms
            .iter()
            .map(|term| equality(term, target, qualifier))
            .collect();
        let primary = target.key.iter().map(|key| (key, None));
        let unique = target
            .indexes
            .iter()
            .filter(|index| index.is_key())
            .map(|index| (&index.key, Some(index.store)));
        for (layout, index) in primary.chain(unique) {
            let mut attempt = parameters.clone();
            let Some((values, used)) = key_values(layout, target, &equalities, &mut attempt, input)
            else {
                continue;
            };
            *parameters = attempt;
            let rest = match index {
                Some(_) => Some(selection.clone()),
                None => rest_of(&terms, &used),
            };
            return Some(PointKey {
                layout: layout.clone(),
                index,
                values,
                rest,
            });
        }
        None
    }

    /// The key's bytes; None where a value is NULL or not one that the column can hold: no row has it.
    ///
    /// # Errors
    /// What the expressions raise.
    pub fn bytes(
        &self,
        parameters: &[ScalarValue],
        input: Input<'_>,
    ) -> Result<Option<Vec<u8>>, Diagnostic> {
        let row = Row {
            columns: &[],
            parameters,
            input,
        };
        let mut values = Vec::with_capacity(self.values.len());
        for key in &self.values {
            match fitted(key.value.evaluate(row)?, key.to) {
                Some(value) => values.push(value),
                None => return Ok(None),
            }
        }
        let mut bytes = Vec::with_capacity(16);
        self.layout.encode(&values, &mut bytes)?;
        Ok(Some(bytes))
    }

    /// The storage key of the row that the statement's snapshot has under these bytes; for a primary
    /// key those bytes themselves.
    ///
    /// # Errors
    /// Storage's.
    pub fn row_key(
        &self,
        bytes: Vec<u8>,
        transaction: &Transaction,
    ) -> Result<Option<Vec<u8>>, Diagnostic> {
        let Some(index) = self.index else {
            return Ok(Some(bytes));
        };
        let entry = transaction
            .get(index, &bytes)
            .map_err(|error: StorageError| Diagnostic::from(error))?;
        match entry {
            None => Ok(None),
            Some(value) => Ok(Some(
                IndexEntry::row_key(&self.layout, &bytes, &value)?.to_vec(),
            )),
        }
    }
}

/// The parts of a WHERE that must all hold.
pub(super) fn conjunction<'e>(expression: &'e Expr, terms: &mut Vec<&'e Expr>) {
    match expression {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            conjunction(left, terms);
            conjunction(right, terms);
        }
        Expr::Nested(inner) => conjunction(inner, terms),
        other => terms.push(other),
    }
}

/// `column = expression`, either way round.
fn equality<'e>(term: &'e Expr, target: &Target, qualifier: &str) -> Option<(usize, &'e Expr)> {
    let Expr::BinaryOp {
        left,
        op: BinaryOperator::Eq,
        right,
    } = term
    else {
        return None;
    };
    if let Some(column) = column_of(left, target, qualifier) {
        return Some((column, right));
    }
    column_of(right, target, qualifier).map(|column| (column, &**left))
}

/// The column that an expression is.
pub(super) fn column_of(expression: &Expr, target: &Target, qualifier: &str) -> Option<usize> {
    let name = match expression {
        Expr::Identifier(name) => fold(name),
        Expr::CompoundIdentifier(parts) => match &parts[..] {
            [table, name] if fold(table) == qualifier => fold(name),
            _ => return None,
        },
        _ => return None,
    };
    target.column(&name).ok()
}

/// The values of the first columns of a key that equal something, and which terms they are. An equality
/// is a column, what it equals, and its term. None where one cannot be looked up.
pub(super) fn key_values_of(
    layout: &KeyLayout,
    target: &Target,
    equalities: &[(usize, &Expr, usize)],
    parameters: &mut Vec<Option<SqlType>>,
    input: Input<'_>,
) -> Option<(Vec<KeyValue>, Vec<usize>)> {
    let mut values = Vec::new();
    let mut used = Vec::new();
    for position in layout.columns() {
        let position = usize::from(*position);
        let mut found = equalities.iter();
        let Some((_, expression, term)) = found.find(|(column, ..)| *column == position) else {
            break;
        };
        let column = target.columns()[position].sql_type;
        values.push(key_value(expression, column, parameters, input)?);
        used.push(*term);
    }
    Some((values, used))
}

/// The value of each key column, and which terms they are.
fn key_values(
    layout: &KeyLayout,
    target: &Target,
    equalities: &[Option<(usize, &Expr)>],
    parameters: &mut Vec<Option<SqlType>>,
    input: Input<'_>,
) -> Option<(Vec<KeyValue>, Vec<usize>)> {
    let mut values = Vec::new();
    let mut used = Vec::new();
    for position in layout.columns() {
        let position = usize::from(*position);
        let term = equalities
            .iter()
            .position(|found| found.is_some_and(|(column, _)| column == position))?;
        let (_, expression) = equalities[term]?;
        let column = target.columns()[position].sql_type;
        values.push(key_value(expression, column, parameters, input)?);
        used.push(term);
    }
    Some((values, used))
}

/// A value that is compared with a key column as PostgreSQL would: only where looking the key up
/// means the same as comparing.
pub(super) fn key_value(
    expression: &Expr,
    column: SqlType,
    parameters: &mut Vec<Option<SqlType>>,
    input: Input<'_>,
) -> Option<KeyValue> {
    // A literal or parameter without a type takes the column's, without its length.
    let plain = match column.kind {
        TypeKind::Numeric => column,
        _ => SqlType {
            typmod: -1,
            ..column
        },
    };
    let value =
        value::compile_compared(expression, plain, &Scope::empty(), parameters, input).ok()?;
    if column.array || value.sql_type.array || !value.is_free_of_columns() {
        return None;
    }
    let (own, other) = (column.kind, value.sql_type.kind);
    let same = match own {
        TypeKind::Numeric => value.sql_type == column,
        _ => compares_as_it_is(own, other),
    };
    same.then_some(KeyValue { value, to: own })
}

/// An array whose elements are compared with a key column, likewise. Of numerics each has a scale of its own.
pub(super) fn key_elements(
    expression: &Expr,
    column: SqlType,
    parameters: &mut Vec<Option<SqlType>>,
    input: Input<'_>,
) -> Option<KeyValue> {
    if column.array || column.kind == TypeKind::Numeric {
        return None;
    }
    let array = SqlType::array_of(column.kind);
    let value =
        value::compile_compared(expression, array, &Scope::empty(), parameters, input).ok()?;
    let same = compares_as_it_is(column.kind, value.sql_type.kind);
    let plain = value.sql_type.array && value.is_free_of_columns();
    (plain && same).then_some(KeyValue {
        value,
        to: column.kind,
    })
}

/// Whether a value of the other type is one of the column's, or none, as the column's own values are compared.
fn compares_as_it_is(column: TypeKind, other: TypeKind) -> bool {
    let integer = |kind| matches!(kind, TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8);
    let text = |kind| matches!(kind, TypeKind::Text | TypeKind::Varchar);
    column == other || (integer(column) && integer(other)) || (text(column) && text(other))
}

/// The value in the column's own type; None where the column cannot hold it.
pub(super) fn fitted(value: ScalarValue, to: TypeKind) -> Option<ScalarValue> {
    if value.is_null() {
        return None;
    }
    let integer = match &value {
        ScalarValue::Int16(Some(value)) => i64::from(*value),
        ScalarValue::Int32(Some(value)) => i64::from(*value),
        ScalarValue::Int64(Some(value)) => *value,
        _ => return Some(value),
    };
    match to {
        TypeKind::Int2 => i16::try_from(integer)
            .ok()
            .map(|v| ScalarValue::Int16(Some(v))),
        TypeKind::Int4 => i32::try_from(integer)
            .ok()
            .map(|v| ScalarValue::Int32(Some(v))),
        TypeKind::Int8 => Some(ScalarValue::Int64(Some(integer))),
        _ => Some(value),
    }
}

/// The parts of a WHERE that are not among those used.
pub(super) fn rest_of(terms: &[&Expr], used: &[usize]) -> Option<Expr> {
    let rest = terms
        .iter()
        .enumerate()
        .filter(|(at, _)| !used.contains(at));
    rest.map(|(_, term)| (*term).clone())
        .reduce(|left, right| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::And,
            right: Box::new(right),
        })
}
