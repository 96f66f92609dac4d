//! VALUES whose rows write one column as a number here and as a quoted literal there: the quoted
//! ones take the number's type, as PostgreSQL resolves them, and moments the latest's. Numbers of different
//! scales keep them, and of lengths that differ the column has none. Where a type is known only when the expression is planned, the
//! rows are branches of a UNION ALL.

use super::casts;
use super::subqueries::nothing;
use super::syntax::{call_of, last_name};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::query::functions::numeric::OF as NUMERIC_OF;
use crate::engine::types::{self, Input};
use sqlparser::ast::{
    BinaryOperator, Expr, Ident, Parens, Query, SelectItem, SetExpr, SetOperator, SetQuantifier,
    UnaryOperator, Value, Visit, VisitMut, Visitor, VisitorMut, visit_expressions,
};
use std::ops::ControlFlow;

/// Rewrites the VALUES lists of a tree.
pub fn rewrite(tree: &mut impl VisitMut, input: Input<'_>) {
    let _ = tree.visit(&mut Lists(input));
}

struct Lists<'a>(Input<'a>);

impl VisitorMut for Lists<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut sqlparser::ast::Query) -> ControlFlow<()> {
        body(&mut query.body, self.0);
        ControlFlow::Continue(())
    }
}

fn body(set: &mut SetExpr, input: Input<'_>) {
    if let SetExpr::Values(values) = set
        && (values.rows.iter().flat_map(|row| row.iter()).any(asks) || mixed(&values.rows, input))
    {
        *set = selects(std::mem::take(&mut values.rows));
        return;
    }
    match set {
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.len());
            for column in 0..width {
                let cells = values.rows.iter_mut().filter_map(|row| row.get_mut(column));
                unify(cells.collect(), input);
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            body(left, input);
            body(right, input);
        }
        _ => {}
    }
}

/// Whether a subquery is in it: the planner runs none in a list of values.
fn asks(cell: &Expr) -> bool {
    struct Queries;
    impl Visitor for Queries {
        type Break = ();
        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    cell.visit(&mut Queries).is_break()
}

/// Rows of which each may be a branch of a UNION: planning one takes some tens of microseconds.
const UNITED_ROWS_MAX: usize = 100;

/// Whether a column's cells may have different types, of which one is not to be read from its text.
fn mixed(rows: &[Parens<Vec<Expr>>], input: Input<'_>) -> bool {
    let width = rows.first().map_or(0, |row| row.len());
    let mixed = |column| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let mut cells = cells.filter(|cell| !is_untyped(cell));
        let Some(first) = cells.next() else {
            return false;
        };
        // One function throughout, say.
        let alike = |cell: &Expr| {
            std::mem::discriminant(cell) == std::mem::discriminant(first)
                && named(cell) == named(first)
        };
        let mut computed = is_computed(first, input);
        let mut differ = false;
        for cell in cells {
            computed |= is_computed(cell, input);
            differ |= !alike(cell);
        }
        computed && differ
    };
    // A lateral list names columns of other tables, which branches of a union cannot.
    let refers = |row: &Parens<Vec<Expr>>| row.content.iter().any(refers);
    (2..=UNITED_ROWS_MAX).contains(&rows.len()) && (0..width).any(mixed) && !rows.iter().any(refers)
}

/// Whether a column is named in it.
fn refers(cell: &Expr) -> bool {
    let named = visit_expressions(cell, |part| match part {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    named.is_break()
}

fn is_computed(cell: &Expr, input: Input<'_>) -> bool {
    let written = is_untyped(cell) || written_type(cell, input).is_some();
    !written && decimals(cell).is_none() && !matches!(cell, Expr::Array(_))
}

/// The name of the function that a cell calls.
fn named(cell: &Expr) -> Option<String> {
    match cell {
        Expr::Function(function) => last_name(&function.name),
        _ => None,
    }
}

/// `SELECT … UNION ALL SELECT …` of the rows.
fn selects(rows: Vec<Parens<Vec<Expr>>>) -> SetExpr {
    let select = |row: Parens<Vec<Expr>>| {
        let mut query = nothing();
        if let SetExpr::Select(select) = &mut *query.body {
            let named = row.content.into_iter().zip(1..).map(|(expr, number)| {
                let alias = Ident::with_quote('"', format!("column{number}"));
                SelectItem::ExprWithAlias { expr, alias }
            });
            select.projection = named.collect();
        }
        *query.body
    };
    let united = rows
        .into_iter()
        .map(select)
        .reduce(|left, right| SetExpr::SetOperation {
            op: SetOperator::Union,
            set_quantifier: SetQuantifier::All,
            left: Box::new(left),
            right: Box::new(right),
        });
    united.unwrap_or_else(|| *nothing().body)
}

fn unify(mut cells: Vec<&mut Expr>, input: Input<'_>) {
    let of_all = array_of_all(&cells, input)
        .or_else(|| moment_of_all(&cells, input))
        .or_else(|| without_length(&cells, input));
    if let Some(one) = of_all {
        for cell in cells {
            let written = std::mem::replace(cell, Expr::value(Value::Null));
            *cell = casts::call(written, one);
        }
        return;
    }
    if differ_in_scale(&cells) {
        for cell in &mut cells {
            let number = std::mem::replace(*cell, Expr::value(Value::Null));
            **cell = call_of(NUMERIC_OF, vec![number_cell(number)]);
        }
        return;
    }
    if !cells
        .iter()
        .any(|cell| is_untyped(cell) || decimals(cell).is_some())
    {
        return;
    }
    let types = || cells.iter().filter_map(|cell| written_type(cell, input));
    let is_float = |one: &SqlType| matches!(one.kind, TypeKind::Float4 | TypeKind::Float8);
    let found = types().find(is_float).or_else(|| types().next());
    let has_parameter = cells.len() > 1 && cells.iter().any(|cell| is_parameter(cell));
    let text = has_parameter.then_some(SqlType::scalar(TypeKind::Text));
    let text = text.filter(|_| cells.iter().all(|cell| is_untyped(cell)));
    let Some(sql_type) = found.or(text) else {
        return;
    };
    let float = matches!(sql_type.kind, TypeKind::Float4 | TypeKind::Float8) && !sql_type.array;
    for cell in cells {
        if is_untyped(cell) || float && decimals(cell).is_some() {
            let literal = std::mem::replace(cell, Expr::value(Value::Null));
            *cell = casts::call(literal, sql_type);
        }
    }
}

/// The type of all cells, where one is an array of literals and the others are, too, or have no type.
fn array_of_all(cells: &[&mut Expr], input: Input<'_>) -> Option<SqlType> {
    use TypeKind::{Int4, Int8, Numeric, Text};
    let written = |cell: &Expr| matches!(cell, Expr::Array(_));
    if cells.len() < 2 || !cells.iter().any(|cell| written(cell)) {
        return None;
    }
    let mut kinds = Vec::new();
    for cell in cells {
        match &**cell {
            Expr::Array(array) => {
                for element in &array.elem {
                    match written_type(element, input) {
                        Some(found) if !found.array => kinds.push(found.kind),
                        None if is_quoted(element) => kinds.push(Text),
                        None if is_null(element) => {}
                        _ => return None,
                    }
                }
            }
            cell if is_untyped(cell) => {}
            cell => kinds.push(written_type(cell, input).filter(|found| found.array)?.kind),
        }
    }
    let numbers = [Numeric, Int8, Int4];
    let kind = match kinds.iter().all(|kind| numbers.contains(kind)) {
        true => *numbers.iter().find(|kind| kinds.contains(kind))?,
        false => *kinds.first()?,
    };
    let alike = numbers.contains(&kind) || kinds.iter().all(|other| *other == kind);
    alike.then_some(SqlType::array_of(kind))
}

/// Whether all are exact numbers or have no type, and they do not all have the same decimals.
fn differ_in_scale(cells: &[&mut Expr]) -> bool {
    let mut scales = Vec::with_capacity(cells.len());
    for cell in cells {
        match decimals(cell) {
            Some(scale) => scales.push(scale),
            None if is_null(cell) || is_quoted(cell) => {}
            None => return false,
        }
    }
    let numeric = scales.iter().any(|scale| *scale != Some(0));
    numeric && (scales.windows(2).any(|pair| pair[0] != pair[1]) || scales[0].is_none())
}

fn is_untyped(expr: &Expr) -> bool {
    is_null(expr) || is_quoted(expr) || is_parameter(expr)
}

fn is_parameter(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Placeholder(_)))
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Null))
}

/// How many decimals an exact number is written with, None within where only its value says it;
/// None of anything else.
fn decimals(expr: &Expr) -> Option<Option<usize>> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.contains(['e', 'E']) => Some(None),
            Value::Number(digits, _) => Some(Some(
                digits
                    .split_once('.')
                    .map_or(0, |(_, decimals)| decimals.len()),
            )),
            _ => None,
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus | UnaryOperator::Plus,
            expr,
        }
        | Expr::Nested(expr) => decimals(expr),
        Expr::BinaryOp {
            left,
            op:
                BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo,
            right,
        } => match (decimals(left)?, decimals(right)?) {
            (Some(0), Some(0)) => Some(Some(0)),
            _ => Some(None),
        },
        Expr::Cast { data_type, .. } => match types::built_in(data_type).ok()? {
            found if found.array => None,
            SqlType {
                kind: TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8,
                ..
            } => Some(Some(0)),
            SqlType {
                kind: TypeKind::Numeric,
                ..
            } => Some(None),
            _ => None,
        },
        _ => None,
    }
}

/// What has no type by itself is read as a number.
fn number_cell(expr: Expr) -> Expr {
    if is_null(&expr) || is_quoted(&expr) {
        return casts::call(expr, types::name::ANY_NUMERIC);
    }
    expr
}

fn is_quoted(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

/// The type that a cell's own text says.
fn written_type(expr: &Expr, input: Input<'_>) -> Option<SqlType> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.parse::<i32>().is_ok() => {
                Some(SqlType::scalar(TypeKind::Int4))
            }
            Value::Number(digits, _) if digits.parse::<i64>().is_ok() => {
                Some(SqlType::scalar(TypeKind::Int8))
            }
            Value::Number(..) => Some(SqlType::scalar(TypeKind::Numeric)),
            Value::Boolean(_) => Some(SqlType::scalar(TypeKind::Bool)),
            _ => None,
        },
        Expr::Cast { data_type, .. } => types::from_ast(data_type, input).ok(),
        Expr::TypedString(typed) => types::from_ast(&typed.data_type, input).ok(),
        Expr::Interval(_) => Some(SqlType::scalar(TypeKind::Interval)),
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => written_type(expr, input),
        Expr::Function(function) => moment_now(&last_name(&function.name)?),
        _ if is_condition(expr) => Some(SqlType::scalar(TypeKind::Bool)),
        _ => None,
    }
}

fn moment_now(function: &str) -> Option<SqlType> {
    let kind = match function {
        "current_date" => TypeKind::Date,
        "now" | "current_timestamp" => TypeKind::Timestamptz,
        "localtimestamp" => TypeKind::Timestamp,
        _ => return None,
    };
    Some(SqlType::scalar(kind))
}

fn is_condition(expr: &Expr) -> bool {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    match expr {
        Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::Between { .. }
        | Expr::InList { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. } => true,
        Expr::BinaryOp { op, .. } => {
            matches!(op, And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq)
        }
        _ => false,
    }
}

/// The type of all cells without a length, where they are of one type and not of one length; a quoted one has none
/// (select_common_typmod of PostgreSQL).
fn without_length(cells: &[&mut Expr], input: Input<'_>) -> Option<SqlType> {
    let free = |one: SqlType| SqlType { typmod: -1, ..one };
    let mut found: Vec<SqlType> = Vec::new();
    let mut lengths = Vec::with_capacity(cells.len());
    for cell in cells {
        match written_type(cell, input) {
            Some(one) => {
                found.push(free(one));
                lengths.push(one.typmod);
            }
            None if is_untyped(cell) => lengths.push(-1),
            None => return None,
        }
    }
    // Numbers have seen to their scales.
    let first = *found.first().filter(|one| one.kind != TypeKind::Numeric)?;
    let alike = found.iter().all(|one| *one == first);
    let differ = lengths.windows(2).any(|pair| pair[0] != pair[1]);
    (alike && differ).then_some(first)
}

/// The latest kind of moment, where the cells are moments of several kinds.
fn moment_of_all(cells: &[&mut Expr], input: Input<'_>) -> Option<SqlType> {
    let mut found: Vec<SqlType> = Vec::new();
    for cell in cells {
        match written_type(cell, input) {
            Some(moment) if !found.contains(&moment) => found.push(moment),
            Some(_) => {}
            None if is_untyped(cell) => {}
            None => return None,
        }
    }
    let several = found.len() > 1;
    let moments = [TypeKind::Date, TypeKind::Timestamp, TypeKind::Timestamptz];
    let all = found
        .iter()
        .all(|one| !one.array && moments.contains(&one.kind));
    let latest = moments
        .into_iter()
        .rev()
        .find(|kind| found.iter().any(|one| one.kind == *kind));
    (several && all).then_some(SqlType::scalar(latest?))
}
