//! Which rows in a row a WHERE means: those of a primary key or an index whose first columns equal
//! something and whose next column lies between bounds, or is one of a list; and whether their order is the one asked for.

use super::key::{
    KeyValue, column_of, conjunction, fitted, key_elements, key_value, key_values_of, rest_of,
};
use crate::catalog::RelationId;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::dml::target::Target;
use crate::engine::dml::value::Row;
use crate::engine::query::QueryEngine;
use crate::engine::row::{KeyLayout, KeyRange, in_order};
use crate::engine::types::Input;
use crate::storage::Direction;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::common::ScalarValue;
use sqlparser::ast::{BinaryOperator, Expr, OrderByExpr};
use std::ops::Bound;

/// A range of a key.
#[derive(Debug)]
pub struct PointRange {
    /// Its columns.
    pub layout: KeyLayout,
    /// The index that has it; None: the primary key.
    pub index: Option<RelationId>,
    /// Which way it is gone through.
    pub direction: Direction,
    /// What else the WHERE demands of a row.
    pub rest: Option<Expr>,
    equal: Vec<KeyValue>,
    lower: Option<Edge>,
    upper: Option<Edge>,
    /// What the next column is one of, instead of lying between the ends.
    among: Option<Among>,
}

/// What a column is one of.
#[derive(Debug)]
enum Among {
    /// `IN (…)`
    List(Vec<KeyValue>),
    /// `= ANY (array)`
    Array(KeyValue),
}

/// An end of a range.
#[derive(Debug)]
struct Edge {
    value: KeyValue,
    /// Whether the value itself lies within.
    within: bool,
}

/// A part of a WHERE that compares a column.
struct Comparison<'e> {
    column: usize,
    op: BinaryOperator,
    value: &'e Expr,
    /// Which part it is.
    term: usize,
}

/// A part of a WHERE that says what a column is one of.
struct Membership<'e> {
    column: usize,
    members: Members<'e>,
    /// Which part it is.
    term: usize,
}

/// As they are written.
enum Members<'e> {
    List(&'e [Expr]),
    Array(&'e Expr),
}

/// Values of a list at most; a longer one is the query pool's.
const MEMBERS_MAX: usize = 64;
/// Elements of an array whose ranges are made on the session core; those of a longer one are on the pool.
const ELEMENTS_ON_CORE: usize = 256;

/// What is asked for: a WHERE, an order, and whether few rows are enough.
pub struct Asked<'q> {
    /// WHERE
    pub selection: Option<&'q Expr>,
    /// ORDER BY
    pub order: &'q [OrderByExpr],
    /// Whether there is a LIMIT: then the order alone is a reason to go by a key.
    pub limited: bool,
}

/// The best range so far.
struct Best {
    score: usize,
    range: PointRange,
    /// The parts of the WHERE that it takes the place of.
    used: Vec<usize>,
    parameters: Vec<Option<SqlType>>,
}

impl PointRange {
    /// Of one table; None where no key leads to the rows, or not in their order.
    pub fn of(
        asked: &Asked<'_>,
        target: &Target,
        qualifier: &str,
        parameters: &mut Vec<Option<SqlType>>,
        input: Input<'_>,
    ) -> Option<PointRange> {
        let mut terms = Vec::new();
        if let Some(selection) = asked.selection {
            conjunction(selection, &mut terms);
        }
        let mut comparisons = Vec::new();
        let mut memberships = Vec::new();
        for (term, expression) in terms.iter().enumerate() {
            compared(expression, term, target, qualifier, &mut comparisons);
            memberships.extend(membership(expression, term, target, qualifier));
        }
        let parts = (comparisons.as_slice(), memberships.as_slice());
        let primary = target.key.iter().map(|key| (key, None));
        let others = target
            .indexes
            .iter()
            .filter(|index| index.values.is_plain())
            .map(|index| (&index.key, Some(index.store)));
        let mut best: Option<Best> = None;
        let mut leading: Vec<Vec<usize>> = Vec::new();
        for (layout, index) in primary.chain(others) {
            let mut attempt = parameters.clone();
            let Some((range, used)) = between((layout, index), target, parts, &mut attempt, input)
            else {
                continue;
            };
            if !used.is_empty() {
                leading.push(used.clone());
            }
            let Some(direction) = range.direction_of(asked.order, target, qualifier) else {
                continue;
            };
            let bounds = usize::from(range.lower.is_some()) + usize::from(range.upper.is_some());
            let among = if range.among.is_some() { 2 } else { 0 };
            let score = range.equal.len() * 3 + bounds + among;
            let rest = rest_of(&terms, &used);
            // In the order alone, nobody knows how many rows lie before the first that the WHERE lets through.
            let by_order = asked.limited && !asked.order.is_empty() && rest.is_none();
            let reason = score > 0 || by_order;
            if !reason || best.as_ref().is_some_and(|known| known.score >= score) {
                continue;
            }
            let range = PointRange {
                direction,
                rest,
                ..range
            };
            best = Some(Best {
                score,
                range,
                used,
                parameters: attempt,
            });
        }
        let best = best?;
        // Where another key leads to the rows by other parts of the WHERE, it may be to fewer: the query pool looks.
        let by_others = |used: &Vec<usize>| used.iter().any(|term| !best.used.contains(term));
        if !best.range.is_of_whole_keys() && leading.iter().any(by_others) {
            return None;
        }
        *parameters = best.parameters;
        Some(best.range)
    }

    /// Whether each of the keys is a row's own, so that the rows are few.
    fn is_of_whole_keys(&self) -> bool {
        let known = self.equal.len() + usize::from(self.among.is_some());
        self.index.is_none() && known == self.layout.columns().len()
    }

    /// Which way to go for this order; None where neither way has it.
    fn direction_of(
        &self,
        order: &[OrderByExpr],
        target: &Target,
        qualifier: &str,
    ) -> Option<Direction> {
        let columns = self.layout.columns();
        let (equal, following) = columns.split_at(self.equal.len());
        let mut following = following.iter().enumerate();
        let mut direction = None;
        for item in order {
            let column = column_of(&item.expr, target, qualifier)?;
            let descending = item.options.asc == Some(false);
            // NULLs are the largest values, here as in PostgreSQL's own order.
            let usual = item
                .options
                .nulls_first
                .is_none_or(|first| first == descending);
            if item.with_fill.is_some() || !(usual || target.columns()[column].not_null) {
                return None;
            }
            if equal
                .iter()
                .any(|position| usize::from(*position) == column)
            {
                continue;
            }
            let Some((place, position)) = following.next() else {
                // The primary key is behind; no two rows are equal in it.
                if self.index.is_none() {
                    break;
                }
                return None;
            };
            if usize::from(*position) != column {
                return None;
            }
            let turned = descending != self.layout.is_descending(equal.len() + place);
            let wanted = match turned {
                true => Direction::Backward,
                false => Direction::Forward,
            };
            if *direction.get_or_insert(wanted) != wanted {
                return None;
            }
        }
        Some(direction.unwrap_or(Direction::Forward))
    }

    /// The keys: ranges that do not meet, as they are gone through; none where no row can have one of them. Those of a long
    /// array are made on the query pool.
    ///
    /// # Errors
    /// What the expressions raise.
    pub async fn keys(
        &self,
        parameters: &[ScalarValue],
        input: Input<'_>,
        query: Option<&QueryEngine>,
    ) -> Result<Vec<KeyRange>, Diagnostic> {
        let row = Row {
            columns: &[],
            parameters,
            input,
        };
        let mut equal = Vec::with_capacity(self.equal.len() + 1);
        for key in &self.equal {
            match fitted(key.value.evaluate(row)?, key.to) {
                Some(value) => equal.push(value),
                None => return Ok(Vec::new()),
            }
        }
        match &self.among {
            Some(Among::List(list)) => {
                let mut members = Vec::with_capacity(list.len());
                for member in list {
                    // What is NULL, or none of the column's values, no row has.
                    members.extend(fitted(member.value.evaluate(row)?, member.to));
                }
                return among(&self.layout, self.direction, equal, members);
            }
            Some(Among::Array(array)) => {
                let elements = elements(array.value.evaluate(row)?)?;
                let (to, layout, direction) = (array.to, self.layout.clone(), self.direction);
                let is_long = elements
                    .as_ref()
                    .is_some_and(|elements| elements.len() > ELEMENTS_ON_CORE);
                let ranges = move || among_elements(&layout, direction, equal, (elements, to));
                return match query {
                    Some(query) if is_long => query.pool().run(async { ranges() }).await?,
                    _ => ranges(),
                };
            }
            None => {}
        }
        let mut edges = [Bound::Unbounded, Bound::Unbounded];
        for (side, edge) in [(Side::Lower, &self.lower), (Side::Upper, &self.upper)] {
            let Some(edge) = edge else {
                continue;
            };
            let value = edge.value.value.evaluate(row)?;
            let Some(bound) = bound(value, edge, side) else {
                return Ok(Vec::new());
            };
            edges[side as usize] = bound;
        }
        let [lower, upper] = &edges;
        let range = self.layout.range(&equal, lower.as_ref(), upper.as_ref())?;
        Ok(vec![range])
    }
}

/// A range for each value that the column behind those that are equal may have.
fn among(
    layout: &KeyLayout,
    direction: Direction,
    mut equal: Vec<ScalarValue>,
    members: Vec<ScalarValue>,
) -> Result<Vec<KeyRange>, Diagnostic> {
    let mut ranges = Vec::with_capacity(members.len());
    for member in members {
        equal.push(member);
        let unbounded = Bound::Unbounded;
        ranges.push(layout.range(&equal, unbounded, unbounded)?);
        equal.pop();
    }
    let mut ranges = in_order(ranges);
    if direction == Direction::Backward {
        ranges.reverse();
    }
    Ok(ranges)
}

/// As [`among`], of those elements of an array that a column of the type can have.
fn among_elements(
    layout: &KeyLayout,
    direction: Direction,
    equal: Vec<ScalarValue>,
    (elements, to): (Option<ArrayRef>, TypeKind),
) -> Result<Vec<KeyRange>, Diagnostic> {
    let Some(elements) = elements else {
        return Ok(Vec::new());
    };
    let values = (0..elements.len()).map(|place| ScalarValue::try_from_array(&elements, place));
    let values = values.filter_map(|value| value.map(|value| fitted(value, to)).transpose());
    let members = values.collect::<Result<_, _>>();
    let members = members.map_err(|error| Diagnostic::internal(error.to_string()))?;
    among(layout, direction, equal, members)
}

/// The elements of an array of any number of dimensions; None of NULL.
fn elements(array: ScalarValue) -> Result<Option<ArrayRef>, Diagnostic> {
    if array.is_null() {
        return Ok(None);
    }
    let array = array.to_array();
    let mut elements = array.map_err(|error| Diagnostic::internal(error.to_string()))?;
    while let Some(list) = elements.as_list_opt::<i32>() {
        let ends = list.offsets();
        let (first, last) = (ends[0] as usize, ends[list.len()] as usize);
        elements = list.values().slice(first, last - first);
    }
    Ok(Some(elements))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Lower = 0,
    Upper = 1,
}

/// The end of a range at a value; None where nothing lies on this side of it. An integer that the column
/// cannot hold is past its smallest or largest.
fn bound(value: ScalarValue, edge: &Edge, side: Side) -> Option<Bound<ScalarValue>> {
    if value.is_null() {
        return None;
    }
    let to = edge.value.to;
    if let Some(value) = fitted(value.clone(), to) {
        return Some(match edge.within {
            true => Bound::Included(value),
            false => Bound::Excluded(value),
        });
    }
    let (smallest, largest) = match to {
        TypeKind::Int2 => (ScalarValue::from(i16::MIN), ScalarValue::from(i16::MAX)),
        _ => (ScalarValue::from(i32::MIN), ScalarValue::from(i32::MAX)),
    };
    let is_small = match value {
        ScalarValue::Int64(Some(value)) => value < 0,
        ScalarValue::Int32(Some(value)) => value < 0,
        _ => return None,
    };
    match (side, is_small) {
        (Side::Lower, true) => Some(Bound::Included(smallest)),
        (Side::Upper, false) => Some(Bound::Included(largest)),
        (Side::Lower, false) | (Side::Upper, true) => None,
    }
}

/// The range that the comparisons give of a key, and which terms it takes the place of.
fn between(
    (layout, index): (&KeyLayout, Option<RelationId>),
    target: &Target,
    (comparisons, memberships): (&[Comparison<'_>], &[Membership<'_>]),
    parameters: &mut Vec<Option<SqlType>>,
    input: Input<'_>,
) -> Option<(PointRange, Vec<usize>)> {
    let equalities: Vec<(usize, &Expr, usize)> = comparisons
        .iter()
        .filter(|comparison| comparison.op == BinaryOperator::Eq)
        .map(|comparison| (comparison.column, comparison.value, comparison.term))
        .collect();
    let (equal, mut used) = key_values_of(layout, target, &equalities, parameters, input)?;
    let mut range = PointRange {
        layout: layout.clone(),
        index,
        direction: Direction::Forward,
        rest: None,
        equal,
        lower: None,
        upper: None,
        among: None,
    };
    let Some(next) = layout.columns().get(range.equal.len()) else {
        return Some((range, used));
    };
    let next = usize::from(*next);
    let sql_type = target.columns()[next].sql_type;
    if let Some(membership) = memberships.iter().find(|it| it.column == next) {
        range.among = Some(match membership.members {
            Members::List(list) => {
                let values = list.iter();
                let values = values.map(|value| key_value(value, sql_type, parameters, input));
                Among::List(values.collect::<Option<_>>()?)
            }
            Members::Array(array) => {
                Among::Array(key_elements(array, sql_type, parameters, input)?)
            }
        });
        used.push(membership.term);
        return Some((range, used));
    }
    for comparison in comparisons {
        let (place, within) = match comparison.op {
            BinaryOperator::Gt => (&mut range.lower, false),
            BinaryOperator::GtEq => (&mut range.lower, true),
            BinaryOperator::Lt => (&mut range.upper, false),
            BinaryOperator::LtEq => (&mut range.upper, true),
            _ => continue,
        };
        if comparison.column != next || place.is_some() {
            continue;
        }
        let value = key_value(comparison.value, sql_type, parameters, input)?;
        *place = Some(Edge { value, within });
        used.push(comparison.term);
    }
    // Of `BETWEEN` both sides are needed to take its place.
    let whole = used.iter().all(|term| {
        let parts = comparisons.iter().filter(|it| it.term == *term).count();
        parts == used.iter().filter(|it| *it == term).count()
    });
    whole.then_some((range, used))
}

/// The membership that a term is, of a list that is short enough or of an array.
fn membership<'e>(
    term: &'e Expr,
    place: usize,
    target: &Target,
    qualifier: &str,
) -> Option<Membership<'e>> {
    let (expr, members) = match term {
        Expr::InList {
            expr,
            list,
            negated: false,
        } if (1..=MEMBERS_MAX).contains(&list.len()) => (expr, Members::List(list)),
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            ..
        } if !matches!(**right, Expr::Subquery(_)) => (left, Members::Array(right)),
        _ => return None,
    };
    Some(Membership {
        column: column_of(expr, target, qualifier)?,
        members,
        term: place,
    })
}

/// The comparisons that a term is: one, or two of BETWEEN.
fn compared<'e>(
    term: &'e Expr,
    place: usize,
    target: &Target,
    qualifier: &str,
    into: &mut Vec<Comparison<'e>>,
) {
    let mut add = |column, op, value| {
        into.push(Comparison {
            column,
            op,
            value,
            term: place,
        });
    };
    match term {
        Expr::BinaryOp { left, op, right } => {
            let turned = match op {
                BinaryOperator::Eq => BinaryOperator::Eq,
                BinaryOperator::Lt => BinaryOperator::Gt,
                BinaryOperator::LtEq => BinaryOperator::GtEq,
                BinaryOperator::Gt => BinaryOperator::Lt,
                BinaryOperator::GtEq => BinaryOperator::LtEq,
                _ => return,
            };
            if let Some(column) = column_of(left, target, qualifier) {
                add(column, op.clone(), right);
            } else if let Some(column) = column_of(right, target, qualifier) {
                add(column, turned, left);
            }
        }
        Expr::Between {
            expr,
            negated: false,
            low,
            high,
        } => {
            if let Some(column) = column_of(expr, target, qualifier) {
                add(column, BinaryOperator::GtEq, low);
                add(column, BinaryOperator::LtEq, high);
            }
        }
        _ => {}
    }
}
