//! Stored expressions as PostgreSQL prints them: types by its names, keywords in capitals, every operator inside
//! another expression in parentheses. Tools compare such texts with their own (Rails asks for
//! CURRENT_TIMESTAMP, Alembic for `'{}'::jsonb`).
//!
//! Source: PostgreSQL 15, `ruleutils.c`. What it makes of IN, LIKE and literals without a type is not done.

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types;
use crate::sql::parse;
use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, ObjectName, ObjectNamePart, UnaryOperator, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Functions that are called by a word alone.
const WORDS: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "user",
];

/// The expression's text without parentheses around the whole of it, and whether it is an operator's; one that does
/// not parse as it is.
pub fn expression(text: &str) -> (String, bool) {
    match parse::parse_expression(text) {
        Ok(mut tree) => {
            let _ = tree.visit(&mut Printed);
            while let Expr::Nested(inner) = tree {
                tree = *inner;
            }
            (tree.to_string(), is_operator(&tree))
        }
        Err(_) => (text.to_owned(), false),
    }
}

struct Printed;

impl VisitorMut for Printed {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            // Around anything else parentheses may be needed: `(a OR b) IS NOT TRUE`, `(x + y) AT TIME ZONE z`.
            Expr::Nested(inner)
                if matches!(
                    **inner,
                    Expr::Nested(_)
                        | Expr::Identifier(_)
                        | Expr::CompoundIdentifier(_)
                        | Expr::Value(_)
                ) =>
            {
                *expr = taken(inner);
            }
            Expr::Identifier(name) => lowered(name),
            Expr::CompoundIdentifier(names) => names.iter_mut().for_each(lowered),
            Expr::Between {
                expr: value,
                negated,
                low,
                high,
            } => {
                let (value, low, high) = (taken(value), taken(low), taken(high));
                *expr = between(value, *negated, low, high);
            }
            Expr::BinaryOp { left, right, .. } => {
                enclose(left);
                enclose(right);
            }
            Expr::UnaryOp { expr: inner, .. }
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::InList { expr: inner, .. } => enclose(inner),
            Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } => {
                enclose(expr);
                enclose(pattern);
            }
            Expr::Cast {
                kind: kind @ (CastKind::Cast | CastKind::DoubleColon),
                expr: inner,
                data_type,
                ..
            } => {
                *kind = CastKind::DoubleColon;
                if !matches!(&**inner, Expr::Value(_) | Expr::Nested(_)) {
                    **inner = Expr::Nested(Box::new(taken(inner)));
                }
                *data_type = named(data_type);
            }
            Expr::TypedString(typed) => {
                *expr = Expr::Cast {
                    kind: CastKind::DoubleColon,
                    expr: Box::new(Expr::Value(typed.value.clone())),
                    data_type: named(&typed.data_type),
                    array: false,
                    format: None,
                };
            }
            Expr::Interval(interval) if interval.leading_field.is_none() => {
                *expr = Expr::Cast {
                    kind: CastKind::DoubleColon,
                    expr: Box::new(taken(&mut interval.value)),
                    data_type: DataType::Custom(
                        ObjectName::from(vec![Ident::new("interval")]),
                        Vec::new(),
                    ),
                    array: false,
                    format: None,
                };
            }
            Expr::Case {
                conditions,
                else_result,
                ..
            } => {
                for case in conditions {
                    enclose(&mut case.condition);
                    enclose(&mut case.result);
                }
                else_result.iter_mut().for_each(|result| enclose(result));
            }
            Expr::Function(function) => {
                let is_word = matches!(function.args, FunctionArguments::None);
                if let [ObjectNamePart::Identifier(name)] = function.name.0.as_mut_slice() {
                    lowered(name);
                    if is_word && WORDS.contains(&&*name.value) {
                        name.value.make_ascii_uppercase();
                    }
                }
                if let FunctionArguments::List(list) = &mut function.args {
                    for argument in &mut list.args {
                        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument {
                            enclose(argument);
                        }
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Folded, as what is not quoted is.
fn lowered(name: &mut Ident) {
    if name.quote_style.is_none() {
        name.value.make_ascii_lowercase();
    }
}

fn taken(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::value(Value::Null))
}

fn enclose(expr: &mut Expr) {
    if is_operator(expr) {
        *expr = Expr::Nested(Box::new(taken(expr)));
    }
}

/// Whether it is an operator's: whatever does not stand by itself.
fn is_operator(expr: &Expr) -> bool {
    // -1 is a number.
    let is_number = matches!(expr, Expr::UnaryOp { op: UnaryOperator::Minus, expr } if matches!(**expr, Expr::Value(_)));
    let stands_alone = matches!(
        expr,
        Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::CompoundFieldAccess { .. }
            | Expr::Value(_)
            | Expr::Function(_)
            | Expr::Cast { .. }
            | Expr::Case { .. }
            | Expr::Array(_)
            | Expr::Tuple(_)
            | Expr::Nested(_)
            | Expr::Extract { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::Overlay { .. }
    );
    !is_number && !stands_alone
}

fn between(value: Expr, negated: bool, low: Expr, high: Expr) -> Expr {
    let compared = |op, bound| {
        let (mut left, mut right) = (value.clone(), bound);
        enclose(&mut left);
        enclose(&mut right);
        let compared = Expr::BinaryOp {
            left: Box::new(left),
            op,
            right: Box::new(right),
        };
        Box::new(Expr::Nested(Box::new(compared)))
    };
    let [op, first, second] = match negated {
        false => [
            BinaryOperator::And,
            BinaryOperator::GtEq,
            BinaryOperator::LtEq,
        ],
        true => [BinaryOperator::Or, BinaryOperator::Lt, BinaryOperator::Gt],
    };
    Expr::BinaryOp {
        left: compared(first, low),
        op,
        right: compared(second, high),
    }
}

/// A type's name under a cast. `character` without a length would be of one letter.
pub fn type_name(sql_type: SqlType) -> String {
    match (sql_type.kind, sql_type.typmod, sql_type.array) {
        (TypeKind::Bpchar, -1, false) => "bpchar".to_owned(),
        (TypeKind::Bpchar, -1, true) => "bpchar[]".to_owned(),
        _ => types::format_type(sql_type),
    }
}

/// The type by PostgreSQL's name; one of a user's as it is written.
fn named(data_type: &DataType) -> DataType {
    let settings = crate::engine::settings::Settings::default();
    let input = types::Input {
        settings: &settings,
        transaction_time: 0,
        variables: None,
        types: None,
    };
    match types::from_ast(data_type, input) {
        Ok(found) => {
            let name = Ident::new(type_name(found));
            DataType::Custom(ObjectName::from(vec![name]), Vec::new())
        }
        Err(_) => data_type.clone(),
    }
}
