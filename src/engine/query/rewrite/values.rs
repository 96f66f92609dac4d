//! VALUES whose rows write one column as a number here and as a quoted literal there: the quoted
//! ones take the number's type, as PostgreSQL resolves them.

use super::casts;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types;
use sqlparser::ast::{Expr, SetExpr, Value, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// Rewrites the VALUES lists of a tree.
pub fn rewrite(tree: &mut impl VisitMut) {
    let _ = tree.visit(&mut Lists);
}

struct Lists;

impl VisitorMut for Lists {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut sqlparser::ast::Query) -> ControlFlow<()> {
        body(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn body(set: &mut SetExpr) {
    match set {
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.len());
            for column in 0..width {
                let cells = values.rows.iter_mut().filter_map(|row| row.get_mut(column));
                unify(cells.collect());
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            body(left);
            body(right);
        }
        _ => {}
    }
}

fn unify(cells: Vec<&mut Expr>) {
    if !cells.iter().any(|cell| is_quoted(cell)) {
        return;
    }
    let Some(sql_type) = cells.iter().find_map(|cell| written_type(cell)) else {
        return;
    };
    for cell in cells {
        if is_quoted(cell) {
            let literal = std::mem::replace(cell, Expr::value(Value::Null));
            *cell = casts::call(literal, sql_type);
        }
    }
}

fn is_quoted(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

/// The type that a cell's own text says.
fn written_type(expr: &Expr) -> Option<SqlType> {
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
        Expr::Cast { data_type, .. } => types::from_ast(data_type).ok(),
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => written_type(expr),
        _ => None,
    }
}
