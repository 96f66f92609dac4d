//! How a scan reaches its rows: all of them, ranges of keys, or through an index.
//!
//! Looks at conditions of the form `column op constant`, and at lists of constants that a column is among
//! (`IN`, `= ANY`, `=` on both sides of OR). What it chooses reads a superset of the rows wanted; the
//! conditions themselves are checked on the rows.

use crate::catalog::RelationId;
use crate::catalog::definition::{Index, Relation, Table};
use crate::engine::query::expression::{self, Scope};
use crate::engine::query::functions::quantified::EQUALS_ANY;
use crate::engine::query::functions::{float, numeric};
use crate::engine::row::{KeyLayout, KeyRange, RowError};
use crate::engine::types::UserTypes;
use crate::engine::types::number::array::Numbers;
use datafusion::arrow::array::{Array, ArrayRef, ListArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::utils::{split_binary, split_conjunction};
use datafusion::logical_expr::{Expr, Operator};
use std::ops::Bound;
use std::sync::Arc;

/// Where to read.
#[derive(Clone, Debug)]
pub enum AccessPath {
    /// The table's own keys.
    Table(Keys),
    /// An index's entries, then the rows they name.
    Index {
        /// The index's name, for EXPLAIN.
        name: Arc<str>,
        /// Where its entries are.
        store: RelationId,
        /// Its columns.
        layout: KeyLayout,
        /// Which entries.
        keys: Keys,
    },
    /// Nothing: a condition cannot be true.
    Nothing,
}

/// Which keys are read.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Ranges that do not meet, in the order of keys.
    pub ranges: Vec<KeyRange>,
    /// How many of the first columns have one value in all of them.
    pub fixed: usize,
}

impl Keys {
    /// All of a table or an index.
    pub fn all() -> Keys {
        Keys::of((Bound::Unbounded, Bound::Unbounded))
    }

    /// Those of one range.
    pub fn of(range: KeyRange) -> Keys {
        Keys {
            ranges: vec![range],
            fixed: 0,
        }
    }

    /// Whether these are all.
    pub fn are_all(&self) -> bool {
        matches!(
            self.ranges.as_slice(),
            [(Bound::Unbounded, Bound::Unbounded)]
        )
    }
}

/// Ranges of one path at most; a list that comes to more is not looked up.
pub const RANGES_MAX: usize = 16 * 1024;

/// One condition. Several values are those of a list, of which the column has one.
struct Condition {
    column: String,
    op: Operator,
    values: Vec<ScalarValue>,
}

/// Chooses the path with the longest run of equal columns, the table's own key before an index.
/// `demanded` are values that columns must have besides (a row policy's), by their positions; `types` are
/// those that expressions of indexes may name.
///
/// # Errors
/// As [`KeyLayout`]'s.
pub fn choose(
    table: &Table,
    indexes: &[Arc<Relation>],
    filters: &[Expr],
    demanded: &[(usize, ScalarValue)],
    types: Option<UserTypes<'_>>,
) -> Result<AccessPath, RowError> {
    let whole = AccessPath::Table(Keys::all());
    let mut conditions: Vec<_> = filters
        .iter()
        .flat_map(|filter| split_conjunction(filter))
        .filter_map(condition)
        .chain(demanded.iter().map(|(position, value)| Condition {
            column: table.columns[*position].name.to_string(),
            op: Operator::Eq,
            values: vec![value.clone()],
        }))
        .collect();
    if conditions.is_empty() {
        return Ok(whole);
    }
    for condition in &mut conditions {
        condition.values.retain(|value| !value.is_null());
        if condition.values.is_empty() {
            return Ok(AccessPath::Nothing);
        }
    }
    let shown: Vec<String> = filters
        .iter()
        .flat_map(|filter| split_conjunction(filter))
        .map(normal)
        .collect();
    let mut best: (u32, AccessPath) = (0, whole);
    if let Some(layout) = KeyLayout::of_table(table)?
        && let Some((score, keys)) = keys((table, None, types), &layout, &conditions)?
    {
        best = (score * 2 + 1, AccessPath::Table(keys));
    }
    for relation in indexes {
        let Some(index) = relation.index() else {
            continue;
        };
        // The primary key's index is the table itself.
        if index.store == table.store {
            continue;
        }
        let layout = KeyLayout::of_index(table, index)?;
        if !has_all((relation, index), (table, types), &shown, &conditions) {
            continue;
        }
        let Some((score, keys)) = keys((table, Some(index), types), &layout, &conditions)? else {
            continue;
        };
        if score * 2 > best.0 {
            best = (
                score * 2,
                AccessPath::Index {
                    name: relation.name.clone(),
                    store: index.store,
                    layout,
                    keys,
                },
            );
        }
    }
    Ok(best.1)
}

/// How good it is for a path that a column has one value.
const EQUAL: u32 = 4;
/// That it has one of several.
const AMONG: u32 = 3;
/// That it lies between bounds.
const BOUNDED: u32 = 2;

/// The keys and how good they are, column for column.
fn keys(
    (table, index, types): (&Table, Option<&Index>, Option<UserTypes<'_>>),
    layout: &KeyLayout,
    conditions: &[Condition],
) -> Result<Option<(u32, Keys)>, RowError> {
    let mut begun = vec![Vec::new()];
    let (mut score, mut fixed) = (0, 0);
    let mut lower = Bound::Unbounded;
    let mut upper = Bound::Unbounded;
    for position in layout.columns() {
        let expression = index.and_then(|index| index.expression(*position));
        let (name, sql_type) = match expression {
            Some(expression) => {
                let Some(shown) = planned(&expression.text, table, types) else {
                    break;
                };
                (format!("{EXPRESSION}{shown}"), expression.sql_type)
            }
            None => {
                let column = &table.columns[usize::from(*position)];
                (column.name.to_string(), column.sql_type)
            }
        };
        let data_type = crate::engine::types::data_type(sql_type);
        let of_column = || {
            conditions
                .iter()
                .filter(|condition| condition.column == name)
        };
        let exact = of_column()
            .filter(|condition| condition.op == Operator::Eq)
            .filter_map(|condition| {
                let values = condition.values.iter();
                let values = values.map(|value| exactly(value, &data_type));
                values.collect::<Option<Vec<_>>>()
            })
            .min_by_key(Vec::len)
            .filter(|values| begun.len().saturating_mul(values.len()) <= RANGES_MAX);
        if let Some(values) = exact {
            if values.len() == 1 && begun.len() == 1 {
                fixed += 1;
            }
            score += if values.len() == 1 { EQUAL } else { AMONG };
            begun = continued(begun, &values);
            continue;
        }
        for condition in of_column() {
            let [value] = condition.values.as_slice() else {
                continue;
            };
            let Some(value) = exactly(value, &data_type) else {
                continue;
            };
            match condition.op {
                Operator::Gt => lower = Bound::Excluded(value),
                Operator::GtEq => lower = Bound::Included(value),
                Operator::Lt => upper = Bound::Excluded(value),
                Operator::LtEq => upper = Bound::Included(value),
                _ => {}
            }
        }
        break;
    }
    if !matches!((&lower, &upper), (Bound::Unbounded, Bound::Unbounded)) {
        score += BOUNDED;
    }
    if score == 0 {
        return Ok(None);
    }
    let ranges = begun
        .iter()
        .map(|equal| layout.range(equal, lower.as_ref(), upper.as_ref()));
    let ranges = in_order(ranges.collect::<Result<_, _>>()?);
    Ok(Some((score, Keys { ranges, fixed })))
}

/// Each of the beginnings of keys with each of the next column's values.
fn continued(begun: Vec<Vec<ScalarValue>>, values: &[ScalarValue]) -> Vec<Vec<ScalarValue>> {
    let with = |equal: &Vec<ScalarValue>, value: &ScalarValue| {
        let mut equal = equal.clone();
        equal.push(value.clone());
        equal
    };
    let each = begun
        .iter()
        .flat_map(|equal| values.iter().map(move |value| with(equal, value)));
    each.collect()
}

/// Ranges of keys of which one begins with none of the others' beginnings, in order, each once.
pub fn in_order(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    fn start(range: &KeyRange) -> &[u8] {
        match &range.0 {
            Bound::Included(key) | Bound::Excluded(key) => key,
            Bound::Unbounded => &[],
        }
    }
    ranges.sort_by(|one, other| start(one).cmp(start(other)));
    ranges.dedup();
    ranges
}

/// The constant as a value of the column's type, where that is the same value.
pub fn exactly(value: &ScalarValue, data_type: &DataType) -> Option<ScalarValue> {
    if let ScalarValue::Binary(Some(key)) = value
        && !matches!(data_type, DataType::Binary)
    {
        return of_key(key, data_type);
    }
    if value.data_type() == *data_type {
        return Some(value.clone());
    }
    if !value.data_type().is_integer() || !data_type.is_integer() {
        return None;
    }
    let converted = value.cast_to(data_type).ok()?;
    let back = converted.cast_to(&value.data_type()).ok()?;
    (back == *value).then_some(converted)
}

/// A number's key as a value of a numeric column, where it has that very value.
fn of_key(key: &[u8], data_type: &DataType) -> Option<ScalarValue> {
    let number = numeric::number_of_key(key)?;
    match data_type {
        DataType::LargeBinary => Some(number.to_scalar()),
        DataType::Decimal128(precision, scale) => {
            let exact = number.to_decimal()?;
            let scaled = exact.rescale(scale.unsigned_abs())?;
            let digits = scaled.unscaled.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
            let same = exact.scale <= scale.unsigned_abs() && digits <= u32::from(*precision);
            same.then_some(ScalarValue::Decimal128(
                Some(scaled.unscaled),
                *precision,
                *scale,
            ))
        }
        _ => None,
    }
}

fn condition(expr: &Expr) -> Option<Condition> {
    match expr {
        Expr::BinaryExpr(binary) if binary.op == Operator::Or => either(expr),
        Expr::BinaryExpr(binary) => {
            let (column, op, value) = match (constant(&binary.left), constant(&binary.right)) {
                (None, Some(value)) => (side(&binary.left), binary.op, value),
                (Some(value), None) => (side(&binary.right), binary.op.swap()?, value),
                _ => return None,
            };
            let compares = matches!(
                op,
                Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
            );
            compares.then(|| Condition {
                column,
                op,
                values: vec![value],
            })
        }
        Expr::InList(list) if !list.negated && list.list.len() <= RANGES_MAX => {
            let values = list.list.iter().map(constant);
            Some(Condition {
                column: side(&list.expr),
                op: Operator::Eq,
                values: values.collect::<Option<_>>()?,
            })
        }
        Expr::ScalarFunction(function) if function.name() == EQUALS_ANY => {
            let [value, Expr::Literal(ScalarValue::List(array), _)] = function.args.as_slice()
            else {
                return None;
            };
            Some(Condition {
                column: side(value),
                op: Operator::Eq,
                values: members(array)?,
            })
        }
        _ => None,
    }
}

/// Equalities of one column, of which one is to be true.
fn either(expr: &Expr) -> Option<Condition> {
    let mut alternatives = split_binary(expr, Operator::Or).into_iter().map(condition);
    let mut first = alternatives.next()??;
    for other in alternatives {
        let other = other?;
        let alike = other.op == Operator::Eq && other.column == first.column;
        if !alike || first.values.len() + other.values.len() > RANGES_MAX {
            return None;
        }
        first.values.extend(other.values);
    }
    (first.op == Operator::Eq).then_some(first)
}

/// A constant array's elements, numbers as their keys; None where they are too many, or arrays themselves.
fn members(array: &ListArray) -> Option<Vec<ScalarValue>> {
    if array.is_null(0) {
        return Some(vec![ScalarValue::Null]);
    }
    let elements = array.value(0);
    if elements.len() > RANGES_MAX {
        return None;
    }
    let elements: ArrayRef = match elements.data_type() {
        DataType::List(_) => return None,
        DataType::LargeBinary | DataType::Decimal128(..) => {
            Arc::new(Numbers::new(&elements).keys())
        }
        DataType::Float32 | DataType::Float64 => float::keys(&elements),
        _ => elements,
    };
    let values = (0..elements.len()).map(|place| ScalarValue::try_from_array(&elements, place));
    values.collect::<Result<_, _>>().ok()
}

/// What begins the name of an expression among conditions; no column has a name with it.
const EXPRESSION: char = '\0';

/// The column of a condition, or the expression in its place.
fn side(expr: &Expr) -> String {
    match column_name(expr) {
        Some(column) => column.to_owned(),
        None => format!("{EXPRESSION}{}", normal(expr)),
    }
}

/// An expression's text, whatever its columns are qualified by.
fn normal(expr: &Expr) -> String {
    let bare = expr.clone().transform_up(|node| {
        Ok(match node {
            Expr::Column(column) => {
                Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))
            }
            other => Transformed::no(other),
        })
    });
    bare.data()
        .map_or_else(|_| String::new(), |bare| bare.to_string())
}

/// An index's expression as the planner shows it; None where it does not compile any more.
fn planned(text: &str, table: &Table, types: Option<UserTypes<'_>>) -> Option<String> {
    planned_parts(text, table, types)?.pop()
}

/// As [`planned`], a conjunction's parts.
fn planned_parts(text: &str, table: &Table, types: Option<UserTypes<'_>>) -> Option<Vec<String>> {
    let tree = crate::sql::parse::parse_expression(text).ok()?;
    let scope = crate::engine::dml::target::scope_of(table, "", Scope::empty());
    let planned = expression::planned(&tree, &scope, types).ok()?;
    Some(
        split_conjunction(&planned)
            .into_iter()
            .map(normal)
            .collect(),
    )
}

/// Whether every row that the filters let through has an entry: each part of a partial index's predicate
/// is one of them, or says of a column that they compare that it is not NULL.
fn has_all(
    (relation, index): (&Relation, &Index),
    (table, types): (&Table, Option<UserTypes<'_>>),
    shown: &[String],
    conditions: &[Condition],
) -> bool {
    let Some(predicate) = &index.details.predicate else {
        return true;
    };
    let Some(parts) = planned_parts(predicate, table, types) else {
        tracing::debug!(
            index = &*relation.name,
            "a predicate does not compile any more"
        );
        return false;
    };
    parts.iter().all(|part| {
        shown.contains(part)
            || part
                .strip_suffix(" = Boolean(true)")
                .is_some_and(|column| shown.iter().any(|it| it == column))
            || part
                .strip_suffix(" IS NOT NULL")
                .is_some_and(|column| conditions.iter().any(|it| it.column == column))
    })
}

fn column_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        // A numeric column beside a number, or a float.
        Expr::ScalarFunction(_) => match numeric::keyed(expr).or_else(|| float::keyed(expr))? {
            Expr::Column(column) => Some(&column.name),
            _ => None,
        },
        // An integer column beside a wider constant.
        Expr::Cast(cast) if cast.field.data_type().is_integer() => match &*cast.expr {
            Expr::Column(column) => Some(&column.name),
            _ => None,
        },
        _ => None,
    }
}

/// A constant, or the key of one, which a parameter has become.
fn constant(expr: &Expr) -> Option<ScalarValue> {
    let literal = |expr: &Expr| match expr {
        Expr::Literal(value, _) => Some(value.clone()),
        _ => None,
    };
    if let Some(number) = numeric::keyed(expr) {
        return literal(&numeric::key_of(number.clone()));
    }
    literal(float::keyed(expr).unwrap_or(expr))
}
