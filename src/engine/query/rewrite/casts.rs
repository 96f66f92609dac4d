//! Casts as calls of a function of ours.
//!
//! The planner names the result of a cast like what is cast, so that `avg(x::int), avg(x::float8)`
//! would be one column to it; and it knows fewer types. `semantics` gives the calls their meaning.

use super::syntax::{call_of, last_name};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::query::operators;
use crate::engine::types::{self, Input};
use sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value,
    VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// The function: `cast_to(value, type)`.
pub const CAST_TO: &str = "cast_to";

/// Rewrites the casts of a tree.
///
/// # Errors
/// 42704 for an unknown type, 0A000 for one that is not here.
pub fn rewrite(tree: &mut impl VisitMut, input: Input<'_>) -> Result<(), Diagnostic> {
    match tree.visit(&mut Casts(input)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// `cast_to(expr, type)`
pub fn call(expr: Expr, sql_type: SqlType) -> Expr {
    let name = types::arrow::metadata(sql_type);
    call_of(
        CAST_TO,
        vec![expr, Expr::value(Value::SingleQuotedString(name))],
    )
}

/// Types are named as the statement finds them.
struct Casts<'a>(Input<'a>);

impl VisitorMut for Casts<'_> {
    type Break = Diagnostic;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Diagnostic> {
        match rewritten(expr, self.0) {
            Ok(None) => {}
            Ok(Some(replacement)) => *expr = replacement,
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

fn rewritten(expr: &mut Expr, input: Input<'_>) -> Result<Option<Expr>, Diagnostic> {
    let take = |inner: &mut Expr| std::mem::replace(inner, Expr::value(Value::Null));
    Ok(match expr {
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr: inner,
            data_type,
            format: None,
            ..
        } => {
            if is_schema_oid(inner)
                && let Ok(to) = types::from_ast(data_type, input)
                && operators::is_text(to.kind)
            {
                let name = call_of("regnamespace_name", vec![take(inner)]);
                return Ok(Some(call(name, to)));
            }
            if let Some(function) = name_function(data_type, inner) {
                return Ok(Some(call_of(function, vec![take(inner)])));
            }
            let to = types::from_ast(data_type, input)?;
            let inner = take(inner);
            Some(call(written_number(inner, to), to))
        }
        Expr::Cast { .. } => return Err(Diagnostic::unsupported("this form of CAST")),
        Expr::Function(function) => as_cast(function).map(|(value, to)| call(take(value), to)),
        Expr::TypedString(typed) => {
            let to = types::from_ast(&typed.data_type, input)?;
            Some(call(Expr::Value(typed.value.clone()), to))
        }
        Expr::Interval(interval)
            if interval.leading_field.is_none() && is_text(&interval.value) =>
        {
            let value = take(&mut interval.value);
            Some(call(value, SqlType::scalar(TypeKind::Interval)))
        }
        _ => None,
    })
}

/// Types whose names may be written as functions of one value: `date(created_at)` (PostgreSQL §4.2.9).
const AS_FUNCTIONS: &[(&str, TypeKind)] = &[
    ("bool", TypeKind::Bool),
    ("bpchar", TypeKind::Bpchar),
    ("bytea", TypeKind::Bytea),
    ("date", TypeKind::Date),
    ("float4", TypeKind::Float4),
    ("float8", TypeKind::Float8),
    ("int2", TypeKind::Int2),
    ("int4", TypeKind::Int4),
    ("int8", TypeKind::Int8),
    ("interval", TypeKind::Interval),
    ("json", TypeKind::Json),
    ("jsonb", TypeKind::Jsonb),
    ("numeric", TypeKind::Numeric),
    ("text", TypeKind::Text),
    ("time", TypeKind::Time),
    ("timestamp", TypeKind::Timestamp),
    ("timestamptz", TypeKind::Timestamptz),
    ("uuid", TypeKind::Uuid),
    ("varchar", TypeKind::Varchar),
];

/// What such a call casts, and to what.
fn as_cast(function: &mut Function) -> Option<(&mut Expr, SqlType)> {
    let name = last_name(&function.name)?;
    let (_, kind) = AS_FUNCTIONS.iter().find(|(known, _)| *known == name)?;
    let plain = function.over.is_none() && function.filter.is_none();
    let FunctionArguments::List(list) = &mut function.args else {
        return None;
    };
    match list.args.as_mut_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] if plain => {
            Some((value, SqlType::scalar(*kind)))
        }
        _ => None,
    }
}

/// A schema that a literal names, which prints as its name again.
fn is_schema_oid(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_schema_oid(inner),
        Expr::Function(function) => {
            last_name(&function.name).as_deref() == Some("regnamespace_oid")
        }
        _ => false,
    }
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

/// regnamespace, regrole, regprocedure and regoperator are no types here; what they print is, and the OID of a schema that a
/// literal names.
fn name_function(data_type: &DataType, of: &Expr) -> Option<&'static str> {
    let DataType::Custom(name, _) = data_type else {
        return None;
    };
    match last_name(name).as_deref() {
        Some("regnamespace") if is_text(of) => Some("regnamespace_oid"),
        Some("regnamespace") => Some("regnamespace_name"),
        Some("regrole") => Some("regrole_name"),
        Some("regprocedure") => Some("regprocedure_name"),
        Some("regoperator" | "regoper") => Some("regoperator_name"),
        _ => None,
    }
}

/// `1e300::float8` never was a numeric: its digits go to the type as they are written.
fn written_number(expr: Expr, to: SqlType) -> Expr {
    if !matches!(to.kind, TypeKind::Float4 | TypeKind::Float8) || to.array {
        return expr;
    }
    match &expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Expr::value(Value::SingleQuotedString(digits.clone())),
            _ => expr,
        },
        _ => expr,
    }
}

/// The arguments of a `cast_to` call in a tree.
pub fn target(args: &FunctionArguments) -> Option<&str> {
    let FunctionArguments::List(list) = args else {
        return None;
    };
    match list.args.get(1)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
            Value::SingleQuotedString(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}
