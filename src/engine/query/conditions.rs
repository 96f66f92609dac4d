//! What filters say of single columns, for the choice of a path: that a column compares so with a constant, is among some, or is NULL.
//!
//! Each is true of every row that the filter lets through, and may be true of others.

use crate::engine::query::functions::quantified::EQUALS_ANY;
use crate::engine::query::functions::{float, numeric};
use crate::engine::types::number::array::Numbers;
use datafusion::arrow::array::{Array, ArrayRef, ListArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::utils::{split_binary, split_conjunction};
use datafusion::logical_expr::{Expr, Operator};
use std::cmp::Ordering;
use std::sync::Arc;

/// Values of one list at most; of a longer one nothing is said.
pub const VALUES_MAX: usize = 16 * 1024;

/// Columns at most that alternatives are asked about; of further ones they say nothing.
const COLUMNS_MAX: usize = 32;

/// One condition.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The column, or behind [`EXPRESSION`] an expression in its place.
    pub column: String,
    /// What is said of it.
    pub said: Said,
}

/// What is said of a column.
#[derive(Clone, Debug)]
pub enum Said {
    /// It has one of these values; NULLs among them are none.
    Among(Vec<ScalarValue>),
    /// It compares so with a value: `<`, `<=`, `>` or `>=`.
    Compares(Operator, ScalarValue),
    /// It is NULL.
    IsNull,
}

/// What begins the name of an expression among conditions; no column has a name with it.
pub const EXPRESSION: char = '\0';

/// What the filters say, one for the other.
pub fn of_filters(filters: &[Expr]) -> Vec<Condition> {
    filters.iter().flat_map(of_conjunction).collect()
}

fn of_conjunction(filter: &Expr) -> Vec<Condition> {
    split_conjunction(filter).into_iter().flat_map(of).collect()
}

fn of(expr: &Expr) -> Vec<Condition> {
    let (column, said) = match expr {
        Expr::BinaryExpr(binary) if binary.op == Operator::Or => return either(expr),
        Expr::BinaryExpr(binary) => {
            let (column, op, value) = match (constant(&binary.left), constant(&binary.right)) {
                (None, Some(value)) => (&binary.left, Some(binary.op), value),
                (Some(value), None) => (&binary.right, binary.op.swap(), value),
                _ => return Vec::new(),
            };
            let said = match op {
                Some(Operator::Eq) => Said::Among(vec![value]),
                Some(op @ (Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)) => {
                    Said::Compares(op, value)
                }
                _ => return Vec::new(),
            };
            (side(column), said)
        }
        Expr::InList(list) if !list.negated && list.list.len() <= VALUES_MAX => {
            let values = list.list.iter().map(constant);
            let Some(values) = values.collect::<Option<Vec<_>>>() else {
                return Vec::new();
            };
            (side(&list.expr), Said::Among(values))
        }
        Expr::ScalarFunction(function) if function.name() == EQUALS_ANY => {
            let [value, Expr::Literal(ScalarValue::List(array), _)] = function.args.as_slice()
            else {
                return Vec::new();
            };
            let Some(values) = members(array) else {
                return Vec::new();
            };
            (side(value), Said::Among(values))
        }
        Expr::Like(like) => return begins_with(like),
        Expr::IsNull(column) => (side(column), Said::IsNull),
        _ => return Vec::new(),
    };
    vec![Condition { column, said }]
}

/// `column LIKE 'text%'` lies between that text and the next one that begins otherwise: texts are in the order of their bytes.
fn begins_with(like: &Like) -> Vec<Condition> {
    let (Expr::Column(_), Expr::Literal(ScalarValue::Utf8(Some(pattern)), _)) =
        (&*like.expr, &*like.pattern)
    else {
        return Vec::new();
    };
    if like.negated || like.case_insensitive || !matches!(like.escape_char, None | Some('\\')) {
        return Vec::new();
    }
    let mut prefix = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' | '_' => break,
            '\\' => prefix.extend(characters.next()),
            other => prefix.push(other),
        }
    }
    let text = |text: String| ScalarValue::Utf8(Some(text));
    let mut said = Vec::new();
    if !prefix.is_empty() {
        said.push(Said::Compares(Operator::GtEq, text(prefix.clone())));
    }
    if let Some(last) = prefix.pop()
        && let Some(next) = (last..=char::MAX).nth(1)
    {
        prefix.push(next);
        said.push(Said::Compares(Operator::Lt, text(prefix)));
    }
    let column = side(&like.expr);
    let said = said.into_iter();
    said.map(|said| Condition {
        column: column.clone(),
        said,
    })
    .collect()
}

/// What each alternative says of a column: that it has one of their values, or lies between the widest of their bounds.
fn either(expr: &Expr) -> Vec<Condition> {
    let alternatives = split_binary(expr, Operator::Or).into_iter();
    let mut alternatives = alternatives.map(of_conjunction);
    let first = alternatives.next().unwrap_or_default();
    let others: Vec<_> = alternatives.collect();
    let mut columns: Vec<&String> = first.iter().map(|condition| &condition.column).collect();
    columns.sort_unstable();
    columns.dedup();
    // Each is looked for in every alternative.
    columns.truncate(COLUMNS_MAX);
    let of_column = |column: &String| {
        let spans = std::iter::once(&first).chain(&others);
        let mut spans = spans.map(|alternative| Span::of(alternative, column));
        let first = spans.next()??;
        let span = spans.try_fold(first, |all, other| all.with(other?))?;
        Some(span.conditions(column))
    };
    columns
        .into_iter()
        .filter_map(of_column)
        .flatten()
        .collect()
}

/// Where a column's values are.
struct Span {
    among: Option<Vec<ScalarValue>>,
    least: Option<ScalarValue>,
    greatest: Option<ScalarValue>,
}

impl Span {
    /// By what one alternative says; None where it says nothing.
    fn of(conditions: &[Condition], column: &str) -> Option<Span> {
        let mut span = Span {
            among: None,
            least: None,
            greatest: None,
        };
        for condition in conditions.iter().filter(|it| it.column == column) {
            match &condition.said {
                Said::Among(values) => {
                    span.least = extreme(values, Ordering::Less);
                    span.greatest = extreme(values, Ordering::Greater);
                    span.among = Some(values.clone());
                    break;
                }
                Said::Compares(Operator::Gt | Operator::GtEq, value) => {
                    span.least = Some(value.clone());
                }
                Said::Compares(_, value) => span.greatest = Some(value.clone()),
                Said::IsNull => return None,
            }
        }
        let says = span.among.is_some() || span.least.is_some() || span.greatest.is_some();
        says.then_some(span)
    }

    /// With the values that are in the other one; None where nothing is left to say.
    fn with(self, other: Span) -> Option<Span> {
        let among = match (self.among, other.among) {
            (Some(mut values), Some(others)) if values.len() + others.len() <= VALUES_MAX => {
                values.extend(others);
                Some(values)
            }
            _ => None,
        };
        let both = |one: Option<ScalarValue>, other: Option<ScalarValue>, wanted| {
            extreme(&[one?, other?], wanted)
        };
        let span = Span {
            least: both(self.least, other.least, Ordering::Less),
            greatest: both(self.greatest, other.greatest, Ordering::Greater),
            among,
        };
        let says = span.among.is_some() || span.least.is_some() || span.greatest.is_some();
        says.then_some(span)
    }

    fn conditions(self, column: &str) -> Vec<Condition> {
        let said = match self.among {
            Some(values) => vec![Said::Among(values)],
            None => {
                let least = self.least.map(|value| (Operator::GtEq, value));
                let greatest = self.greatest.map(|value| (Operator::LtEq, value));
                let bounds = least.into_iter().chain(greatest);
                bounds
                    .map(|(op, value)| Said::Compares(op, value))
                    .collect()
            }
        };
        let said = said.into_iter();
        said.map(|said| Condition {
            column: column.to_owned(),
            said,
        })
        .collect()
    }
}

/// The least or the greatest value; None where they cannot all be compared.
fn extreme(values: &[ScalarValue], wanted: Ordering) -> Option<ScalarValue> {
    let mut values = values.iter();
    let mut found = values.next().filter(|value| !value.is_null())?;
    for value in values {
        if value.partial_cmp(found).filter(|_| !value.is_null())? == wanted {
            found = value;
        }
    }
    Some(found.clone())
}

/// A constant array's elements, numbers as their keys; None where they are too many, or arrays themselves.
fn members(array: &ListArray) -> Option<Vec<ScalarValue>> {
    if array.is_null(0) {
        return Some(vec![ScalarValue::Null]);
    }
    let elements = array.value(0);
    if elements.len() > VALUES_MAX {
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

/// The column of a condition, or the expression in its place.
fn side(expr: &Expr) -> String {
    match column_name(expr) {
        Some(column) => column.to_owned(),
        None => format!("{EXPRESSION}{}", normal(expr)),
    }
}

/// An expression's text, whatever its columns are qualified by.
pub fn normal(expr: &Expr) -> String {
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
