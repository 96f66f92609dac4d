//! How a scan reaches its rows: all of them, ranges of keys, or through an index.
//!
//! Goes by what filters say of single columns (`conditions`). What it chooses reads a superset of the rows wanted; the filters
//! themselves are checked on the rows.

use crate::catalog::RelationId;
use crate::catalog::definition::{Index, Relation, Table};
use crate::engine::query::conditions::{self, Condition, EXPRESSION, Said, VALUES_MAX, normal};
use crate::engine::query::expression::{self, Scope};
use crate::engine::query::functions::numeric;
use crate::engine::row::{KeyLayout, KeyRange, RowError, in_order};
use crate::engine::types::UserTypes;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
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
    /// What one of these leads to.
    Either(Vec<AccessPath>),
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
const RANGES_MAX: usize = VALUES_MAX;
/// Alternatives of one filter at most that are looked into for paths of their own.
const ALTERNATIVES_MAX: usize = 64;

/// Paths of one scan at most that are compared by the rows they lead to.
const PATHS_MAX: usize = 8;

/// The paths that conditions lead to, the one with the longest run of equal columns first, the table's own key before an
/// index; a path that leads to one row is the only one. The whole table where there is none.
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
) -> Result<Vec<AccessPath>, RowError> {
    let mut conditions = conditions::of_filters(filters);
    conditions.extend(demanded.iter().map(|(position, value)| Condition {
        column: table.columns[*position].name.to_string(),
        said: Said::Among(vec![value.clone()]),
    }));
    for condition in &mut conditions {
        let impossible = match &mut condition.said {
            Said::Among(values) => {
                values.retain(|value| !value.is_null());
                values.is_empty()
            }
            Said::Compares(_, value) => value.is_null(),
            Said::IsNull => false,
        };
        if impossible {
            return Ok(vec![AccessPath::Nothing]);
        }
    }
    let mut found: Vec<(Reached, AccessPath)> = Vec::new();
    let mut add = |reached: Reached, path: AccessPath| found.push((reached, path));
    if !conditions.is_empty() {
        let shown: Vec<String> = filters
            .iter()
            .flat_map(|filter| split_conjunction(filter))
            .map(normal)
            .collect();
        if let Some(layout) = KeyLayout::of_table(table)?
            && let Some((reached, keys)) = keys((table, None, types), &layout, &conditions)?
        {
            add(reached, AccessPath::Table(keys));
        }
        for relation in indexes {
            // The primary key's index is the table itself.
            let Some(index) = relation.index().filter(|index| index.store != table.store) else {
                continue;
            };
            let layout = KeyLayout::of_index(table, index)?;
            if !has_all((relation, index), (table, types), &shown, &conditions) {
                continue;
            }
            if let Some((reached, keys)) = keys((table, Some(index), types), &layout, &conditions)?
            {
                let path = AccessPath::Index {
                    name: relation.name.clone(),
                    store: index.store,
                    layout,
                    keys,
                };
                add(reached, path);
            }
        }
    }
    // Those found first stay before others that are as good.
    found.sort_by_key(|(reached, _)| std::cmp::Reverse(*reached));
    let one_row = matches!(found.first(), Some((reached, _)) if reached.one_row);
    found.truncate(if one_row { 1 } else { PATHS_MAX });
    let mut paths: Vec<_> = found.into_iter().map(|(_, path)| path).collect();
    if !one_row && let Some(either) = alternatives(table, indexes, filters, types)? {
        paths.push(either);
    }
    if paths.is_empty() {
        paths.push(AccessPath::Table(Keys::all()));
    }
    Ok(paths)
}

/// The paths of alternatives that each have one of their own (`email = $1 OR name = $1`).
fn alternatives(
    table: &Table,
    indexes: &[Arc<Relation>],
    filters: &[Expr],
    types: Option<UserTypes<'_>>,
) -> Result<Option<AccessPath>, RowError> {
    for filter in filters.iter().flat_map(|filter| split_conjunction(filter)) {
        let alternatives = split_binary(filter, Operator::Or);
        if !(2..=ALTERNATIVES_MAX).contains(&alternatives.len()) {
            continue;
        }
        let mut paths = Vec::with_capacity(alternatives.len());
        let mut all = true;
        for alternative in alternatives {
            let alternative = std::slice::from_ref(alternative);
            let path = choose(table, indexes, alternative, &[], types)?;
            match path.into_iter().next() {
                Some(AccessPath::Nothing) => {}
                Some(AccessPath::Either(within)) => paths.extend(within),
                Some(AccessPath::Table(keys)) if keys.are_all() => all = false,
                other => paths.extend(other),
            }
        }
        if all {
            return Ok(Some(AccessPath::Either(paths)));
        }
    }
    Ok(None)
}

/// How good a path is by the form of conditions alone, the best the greatest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Reached {
    /// Whether it leads to one row at most.
    one_row: bool,
    /// What its columns' conditions come to.
    score: u32,
    /// Whether it is the table's own key, where no other row need be looked for.
    own: bool,
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
) -> Result<Option<(Reached, Keys)>, RowError> {
    let mut begun = vec![Vec::new()];
    let (mut score, mut fixed, mut equal) = (0, 0, 0);
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
            .filter_map(|condition| match &condition.said {
                Said::Among(values) => among(values, &data_type),
                Said::IsNull if index.is_some() => ScalarValue::try_new_null(&data_type)
                    .ok()
                    .map(|null| vec![null]),
                _ => None,
            })
            .min_by_key(Vec::len)
            .filter(|values| begun.len().saturating_mul(values.len()) <= RANGES_MAX);
        if let Some(values) = exact {
            if values.len() == 1 && begun.len() == 1 {
                fixed += 1;
                equal += usize::from(!values[0].is_null());
            }
            score += if values.len() == 1 { EQUAL } else { AMONG };
            begun = continued(begun, &values);
            continue;
        }
        for condition in of_column() {
            let Said::Compares(op, value) = &condition.said else {
                continue;
            };
            let Some(value) = exactly(value, &data_type) else {
                continue;
            };
            match op {
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
    let reached = Reached {
        one_row: equal == layout.columns().len() && index.is_none_or(|index| index.unique),
        score,
        own: index.is_none(),
    };
    Ok(Some((reached, Keys { ranges, fixed })))
}

/// The values that a column of the type can have; None where that is not known of one.
fn among(values: &[ScalarValue], data_type: &DataType) -> Option<Vec<ScalarValue>> {
    let possible = values.iter().filter(|value| !is_none_of(value, data_type));
    possible.map(|value| exactly(value, data_type)).collect()
}

/// Whether a number is none that a column of the type can have.
pub fn is_none_of(value: &ScalarValue, data_type: &DataType) -> bool {
    let integers = value.data_type().is_integer() && data_type.is_integer();
    integers && exactly(value, data_type).is_none()
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
            || part.strip_suffix(" IS NOT NULL").is_some_and(|column| {
                let compares = |it: &Condition| !matches!(it.said, Said::IsNull);
                conditions
                    .iter()
                    .any(|it| it.column == column && compares(it))
            })
    })
}
