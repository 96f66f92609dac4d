//! Notation of PostgreSQL's that the planner does not know: schema-qualified functions and
//! operators, COLLATE, ARRAY(subquery), set-returning functions, keywords that are functions.

use super::catalogs;
use super::column_definitions;
use super::labels::folded;
use super::named_arguments;
use super::ordered_sets;
use super::patterns;
use super::rows;
use super::subscripts;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::extensions;
use crate::engine::query::functions::negative::NEGATIVE;
use crate::engine::query::functions::quantified::{Comparison, Quantifier};
use crate::engine::query::functions::regular::SIMILAR_TO;
use crate::engine::query::functions::set_returning;
use crate::engine::query::functions::zones::TIME_ZONE;
use crate::engine::query::operators::bits::NOT;
use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, TableFactor,
    UnaryOperator, Value, VisitMut, VisitorMut, visit_expressions,
};
use std::ops::ControlFlow;

/// Rewrites the notation.
///
/// # Errors
/// 0A000 for a collation or operator that is not here, 3F000 for an unknown schema of one.
pub fn rewrite(tree: &mut impl VisitMut) -> Result<(), Diagnostic> {
    match tree.visit(&mut Syntax { queries: 0 }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Syntax {
    /// Those around a SELECT; the outermost is one.
    queries: usize,
}

impl VisitorMut for Syntax {
    type Break = Diagnostic;

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Diagnostic> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Diagnostic> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Diagnostic> {
        if let Err(error) = rows::conditions(select) {
            return ControlFlow::Break(error);
        }
        catalogs::name_oids(select);
        if self.queries == 1 {
            catalogs::show_vectors(select);
        }
        for item in &mut select.projection {
            let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item
            else {
                continue;
            };
            rows::as_value(expr);
            let _ = VisitMut::visit(expr, &mut Sets { subqueries: 0 });
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Diagnostic> {
        match column_definitions::of(factor) {
            Ok(None) => {}
            Ok(Some(subquery)) => {
                *factor = subquery;
                return ControlFlow::Continue(());
            }
            Err(error) => return ControlFlow::Break(error),
        }
        if let TableFactor::Table {
            name,
            alias,
            args: Some(args),
            with_ordinality,
            ..
        } = factor
        {
            strip_catalog(name);
            if let Some(empty) = catalogs::foreign_options(name, args, alias) {
                *factor = empty;
                return ControlFlow::Continue(());
            }
            // A function in FROM may always refer to the items before it.
            if args.args.iter().any(mentions_column) || *with_ordinality {
                *factor = TableFactor::Function {
                    lateral: true,
                    name: name.clone(),
                    args: std::mem::take(&mut args.args),
                    with_ordinality: *with_ordinality,
                    alias: alias.take(),
                };
            }
        } else if let TableFactor::UNNEST {
            alias,
            array_exprs,
            with_ordinality,
            ..
        } = factor
        {
            let args: Vec<_> = std::mem::take(array_exprs)
                .into_iter()
                .map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)))
                .collect();
            *factor = TableFactor::Function {
                lateral: args.iter().any(mentions_column),
                name: ObjectName::from(vec![Ident::new("unnest")]),
                args,
                with_ordinality: *with_ordinality,
                alias: alias.take(),
            };
        } else if let TableFactor::Function { name, .. } = factor {
            strip_catalog(name);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Diagnostic> {
        match rewrite_expr(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// Calls of functions that return sets, wherever they stand in an item of a select list: each gives a list,
/// which is unnested.
struct Sets {
    /// Those around: their select lists have sets of their own.
    subqueries: usize,
}

impl VisitorMut for Sets {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.subqueries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.subqueries -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.subqueries == 0
            && let Expr::Function(function) = expr
            && function.over.is_none()
            && last_name(&function.name).is_some_and(|name| set_returning::is(&name))
        {
            let call = expr.clone();
            *expr = call_of("unnest", vec![call]);
        }
        ControlFlow::Continue(())
    }
}

pub(super) fn rewrite_expr(expr: &mut Expr) -> Result<(), Diagnostic> {
    if let Some(compared) = patterns::compared(expr)? {
        *expr = compared;
        return Ok(());
    }
    match expr {
        Expr::Collate {
            expr: inner,
            collation,
        } => {
            check_collation(collation)?;
            let inner = std::mem::replace(&mut **inner, Expr::value(Value::Null));
            *expr = inner;
        }
        Expr::BinaryOp { left, op, right } => {
            rewrite_operator(op)?;
            if *op == BinaryOperator::Overlaps {
                *expr = overlaps(left, right)?;
                return Ok(());
            }
            let row_first = rows::is(left);
            match (&mut **left, &mut **right) {
                (left, right) if rows::is(left) && rows::is(right) => {
                    let rows = (rows::row_of(left), rows::row_of(right));
                    if let (Some(left), Some(right)) = rows {
                        *expr = rows::compare(op, left, right)?;
                    }
                }
                (Expr::Subquery(subquery), row) | (row, Expr::Subquery(subquery))
                    if rows::is(row) =>
                {
                    let row = rows::row_of(row).unwrap_or_default();
                    let subquery =
                        std::mem::replace(subquery, Box::new(super::subqueries::nothing()));
                    *expr = rows::compare_subquery(op, row, subquery, row_first)?;
                }
                _ => {}
            }
        }
        Expr::AtTimeZone {
            timestamp,
            time_zone,
        } => {
            let args = vec![taken(time_zone), taken(timestamp)];
            *expr = call_of(TIME_ZONE, args);
        }
        Expr::Substring {
            expr: text,
            substring_from,
            substring_for,
            shorthand,
            ..
        } => {
            let name = if *shorthand { "substr" } else { "substring" };
            let from = match substring_from {
                Some(from) => taken(from),
                None => Expr::value(Value::Number("1".to_owned(), false)),
            };
            let mut args = vec![taken(text), from];
            args.extend(substring_for.as_mut().map(|length| taken(length)));
            *expr = call_of(name, args);
        }
        Expr::Position {
            expr: part,
            r#in: text,
        } => {
            *expr = call_of("strpos", vec![taken(text), taken(part)]);
        }
        Expr::Overlay {
            expr: text,
            overlay_what,
            overlay_from,
            overlay_for,
        } => {
            let mut args = vec![taken(text), taken(overlay_what), taken(overlay_from)];
            args.extend(overlay_for.as_mut().map(|length| taken(length)));
            *expr = call_of("overlay", args);
        }
        Expr::SimilarTo {
            negated,
            expr: text,
            pattern,
            escape_char,
        } => {
            let mut args = vec![taken(text), taken(pattern)];
            if let Some(escape) = escape_char {
                args.push(Expr::Value(escape.clone()));
            }
            let call = call_of(SIMILAR_TO, args);
            *expr = match negated {
                true => Expr::UnaryOp {
                    op: UnaryOperator::Not,
                    expr: Box::new(call),
                },
                false => call,
            };
        }
        Expr::UnaryOp { op, expr: inner } if prefix_function(*op).is_some() => {
            let inner = match op {
                // An operator of float8 alone, where the function knows numerics.
                UnaryOperator::PGSquareRoot => {
                    super::casts::call(taken(inner), SqlType::scalar(TypeKind::Float8))
                }
                _ => taken(inner),
            };
            *expr = call_of(prefix_function(*op).unwrap_or_default(), vec![inner]);
        }
        // NOT is of the whole: `NOT EXISTS (…) IS NULL` is true, and there is nothing that is not known in it.
        Expr::IsNull(inner) | Expr::IsNotNull(inner)
            if matches!(&**inner, Expr::Exists { negated: true, .. }) =>
        {
            let inner = taken(inner);
            *expr = match expr {
                Expr::IsNull(_) => Expr::IsNotNull(Box::new(inner)),
                _ => Expr::IsNull(Box::new(inner)),
            };
        }
        Expr::IsNull(inner) | Expr::IsNotNull(inner) if rows::is(inner) => {
            let columns = rows::row_of(inner).unwrap_or_default();
            *expr = rows::null_test(columns, matches!(expr, Expr::IsNull(_)));
        }
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right)
            if rows::is(left) && rows::is(right) =>
        {
            let rows = (rows::row_of(left), rows::row_of(right));
            if let (Some(left), Some(right)) = rows {
                let negated = matches!(expr, Expr::IsNotDistinctFrom(..));
                *expr = rows::distinct(left, right, negated)?;
            }
        }
        Expr::Like {
            pattern,
            escape_char: escape @ Some(_),
            ..
        }
        | Expr::ILike {
            pattern,
            escape_char: escape @ Some(_),
            ..
        } => {
            let escape = escape.take().map(Expr::Value);
            let arguments = std::iter::once(taken(pattern)).chain(escape).collect();
            **pattern = call_of("like_escape", arguments);
        }
        Expr::Value(value) => {
            if let Value::UnicodeStringLiteral(text) = &mut value.value {
                value.value = Value::SingleQuotedString(std::mem::take(text));
            }
        }
        Expr::InList {
            expr: row,
            list,
            negated,
        } if rows::is(row) && list.iter().all(rows::is) => {
            let row = rows::row_of(row).unwrap_or_default();
            let list = list.iter_mut().filter_map(rows::row_of).collect();
            *expr = rows::in_list(row, list, *negated)?;
        }
        Expr::InSubquery {
            expr: row,
            subquery,
            negated,
        } if rows::is(row) => {
            let row = rows::row_of(row).unwrap_or_default();
            let subquery = std::mem::replace(subquery, Box::new(super::subqueries::nothing()));
            *expr = rows::in_subquery(row, subquery, *negated)?;
        }
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } if !matches!(**right, Expr::Subquery(_)) => {
            *expr = quantified(compare_op, Quantifier::Any, vec![taken(left), taken(right)])?;
        }
        Expr::AllOp {
            left,
            compare_op,
            right,
        } if !matches!(**right, Expr::Subquery(_)) => {
            *expr = quantified(compare_op, Quantifier::All, vec![taken(left), taken(right)])?;
        }
        Expr::Identifier(name) if super::labels::is_current_schema(name) => {
            *expr = call_of("current_schema", Vec::new());
        }
        Expr::Array(array)
            if array
                .elem
                .iter()
                .any(|element| matches!(element, Expr::Tuple(_))) =>
        {
            array.elem.iter_mut().for_each(rows::as_value);
        }
        // The planner forgets what is around an array: the columns of other queries, parameters.
        Expr::Array(array) if array.elem.iter().any(asks_around) => {
            *expr = call_of("make_array", std::mem::take(&mut array.elem));
        }
        Expr::Function(function) if precise_now(function).is_some() => {
            let now = precise_now(function);
            function.args = FunctionArguments::None;
            let now_at = taken(expr);
            *expr = now.map_or(Expr::value(Value::Null), |to| {
                super::casts::call(now_at, to)
            });
        }
        // At the beginning of a part of a zone's day: what it is there, and that moment again.
        Expr::Function(function)
            if last_name(&function.name).as_deref() == Some("date_trunc")
                && argument_count(function) == 3 =>
        {
            let mut args = own_arguments(function);
            let (Some(zone), Some(moment), Some(part)) = (args.pop(), args.pop(), args.pop())
            else {
                return Ok(());
            };
            let moment = super::casts::call(moment, SqlType::scalar(TypeKind::Timestamptz));
            let local = call_of(TIME_ZONE, vec![zone.clone(), moment]);
            let truncated = call_of("date_trunc", vec![part, local]);
            *expr = call_of(TIME_ZONE, vec![zone, truncated]);
        }
        // Of anything: its text in quotes.
        Expr::Function(function)
            if matches!(
                last_name(&function.name).as_deref(),
                Some("quote_literal" | "quote_nullable")
            ) =>
        {
            if let FunctionArguments::List(list) = &mut function.args
                && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] =
                    list.args.as_mut_slice()
                && !matches!(value, Expr::Value(literal) if matches!(literal.value, Value::Null))
            {
                let text = SqlType::scalar(TypeKind::Text);
                *value = super::casts::call(taken(value), text);
            }
        }
        Expr::Function(function) => match ordered_sets::of_array(function)? {
            Some(of_array) => *expr = of_array,
            None => rewrite_function(function)?,
        },
        Expr::CompoundFieldAccess { root, access_chain } => {
            if let Some(letter) = catalogs::letter_of_name(root, access_chain) {
                *expr = letter;
            } else if let Some(part) = subscripts::call(root, access_chain)? {
                *expr = part;
            }
        }
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: inner,
        } if !is_power(inner) => {
            let inner = taken(inner);
            *expr = negated(inner);
        }
        // A sign binds closer than ^, which the parser has the other way round.
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: inner,
        } if matches!(
            **inner,
            Expr::BinaryOp {
                op: BinaryOperator::PGExp,
                ..
            }
        ) =>
        {
            let mut power = taken(inner);
            if let Expr::BinaryOp { left, .. } = &mut power {
                let base = taken(left);
                **left = Expr::UnaryOp {
                    op: UnaryOperator::Minus,
                    expr: Box::new(base),
                };
            }
            *expr = power;
        }
        Expr::UnaryOp {
            op: UnaryOperator::Plus,
            expr: inner,
        } => {
            let inner = std::mem::replace(&mut **inner, Expr::value(Value::Null));
            *expr = inner;
        }
        _ => {}
    }
    Ok(())
}

/// `CURRENT_TIMESTAMP(3)` and its like: the type of the moment, with so many digits.
fn precise_now(function: &Function) -> Option<SqlType> {
    let kind = match last_name(&function.name)?.as_str() {
        "current_timestamp" => TypeKind::Timestamptz,
        "localtimestamp" => TypeKind::Timestamp,
        "localtime" => TypeKind::Time,
        _ => return None,
    };
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(digits)))] = list.args.as_slice()
    else {
        return None;
    };
    match &digits.value {
        Value::Number(digits, _) => Some(SqlType {
            typmod: digits.parse::<i32>().ok()?.min(6),
            ..SqlType::scalar(kind)
        }),
        _ => None,
    }
}

fn argument_count(function: &Function) -> usize {
    match &function.args {
        FunctionArguments::List(list) => list.args.len(),
        _ => 0,
    }
}

/// The arguments of a call, where none has a name.
fn own_arguments(function: &mut Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &mut function.args else {
        return Vec::new();
    };
    let args = std::mem::take(&mut list.args).into_iter();
    let args = args.filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    args.collect()
}

fn taken(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::value(Value::Null))
}

fn is_power(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::BinaryOp {
            op: BinaryOperator::PGExp,
            ..
        }
    )
}

/// The smallest integers without their signs, and their types.
const SMALLEST: [(&str, TypeKind); 2] = [
    ("2147483648", TypeKind::Int4),
    ("9223372036854775808", TypeKind::Int8),
];

fn smallest_integer((digits, kind): &(&str, TypeKind)) -> Expr {
    let text = Expr::value(Value::SingleQuotedString(format!("-{digits}")));
    super::casts::call(text, SqlType::scalar(*kind))
}

/// Whether an expression is one of them, maybe in parentheses.
fn is_smallest(expr: &Expr, smallest: &(&str, TypeKind)) -> bool {
    match expr {
        Expr::Nested(inner) => is_smallest(inner, smallest),
        other => *other == smallest_integer(smallest),
    }
}

/// `-x`: of a plain number as it is written, else a call, because the planner's own sign knows
/// fewer types. The smallest integers are of the type that they fit, their opposites are not.
fn negated(inner: Expr) -> Expr {
    let minus = |expr| Expr::UnaryOp {
        op: UnaryOperator::Minus,
        expr: Box::new(expr),
    };
    let Expr::Value(value) = &inner else {
        return match SMALLEST.iter().find(|it| is_smallest(&inner, it)) {
            // The opposite of a constant is one, of the type that it fits.
            Some((digits, _)) => Expr::value(Value::Number((*digits).to_owned(), false)),
            None => call_of(NEGATIVE, vec![inner]),
        };
    };
    let Value::Number(digits, _) = &value.value else {
        return match value.value {
            Value::SingleQuotedString(_) | Value::Null | Value::Placeholder(_) => minus(inner),
            _ => call_of(NEGATIVE, vec![inner]),
        };
    };
    if let Some(smallest) = SMALLEST.iter().find(|(known, _)| known == digits) {
        return smallest_integer(smallest);
    }
    let plain = digits.len() <= 18 && !digits.contains(['e', 'E']);
    match plain {
        true => minus(inner),
        false => call_of(NEGATIVE, vec![inner]),
    }
}

/// The functions that prefix operators are.
fn prefix_function(op: UnaryOperator) -> Option<&'static str> {
    Some(match op {
        UnaryOperator::PGSquareRoot => "sqrt",
        UnaryOperator::PGCubeRoot => "cbrt",
        UnaryOperator::PGAbs => "abs",
        UnaryOperator::BitwiseNot => NOT,
        _ => return None,
    })
}

/// `(a, b) OVERLAPS (c, d)`
fn overlaps(left: &mut Expr, right: &mut Expr) -> Result<Expr, Diagnostic> {
    let wrong = |side| {
        Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            format!("wrong number of parameters on {side} side of OVERLAPS expression"),
        )
    };
    let (Expr::Tuple(left), Expr::Tuple(right)) = (left, right) else {
        return Err(wrong("left"));
    };
    if left.len() != 2 {
        return Err(wrong("left"));
    }
    if right.len() != 2 {
        return Err(wrong("right"));
    }
    let args = left.drain(..).chain(right.drain(..)).collect();
    Ok(call_of("overlaps", args))
}

fn quantified(
    operator: &BinaryOperator,
    quantifier: Quantifier,
    args: Vec<Expr>,
) -> Result<Expr, Diagnostic> {
    let comparison = Comparison::of(operator);
    let comparison = comparison
        .ok_or_else(|| Diagnostic::unsupported(format!("{operator} ANY or ALL of an array")))?;
    Ok(call_of(comparison.function_name(quantifier), args))
}

/// There is one collation, C (REFERENCE §8).
fn check_collation(collation: &ObjectName) -> Result<(), Diagnostic> {
    match last_name(collation).as_deref() {
        Some("default" | "C" | "POSIX" | "ucs_basic") => Ok(()),
        _ => Err(Diagnostic::unsupported(format!("collation {collation}"))),
    }
}

/// `OPERATOR(pg_catalog.~)` is the operator itself.
fn rewrite_operator(op: &mut BinaryOperator) -> Result<(), Diagnostic> {
    let BinaryOperator::PGCustomBinaryOperator(parts) = op else {
        return Ok(());
    };
    let (symbol, schema) = match parts.as_slice() {
        [symbol] => (symbol, None),
        [schema, symbol] => (symbol, Some(schema)),
        _ => return Err(Diagnostic::unsupported("an operator of another database")),
    };
    if let Some(schema) = schema
        && schema != "pg_catalog"
    {
        return Err(Diagnostic::error(
            SqlState::INVALID_SCHEMA_NAME,
            format!("schema \"{schema}\" does not exist"),
        ));
    }
    let Some(found) = operator(symbol) else {
        return Err(Diagnostic::unsupported(format!("operator {symbol}")));
    };
    *op = found;
    Ok(())
}

fn operator(symbol: &str) -> Option<BinaryOperator> {
    Some(match symbol {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "||" => BinaryOperator::StringConcat,
        "@>" => BinaryOperator::AtArrow,
        "<@" => BinaryOperator::ArrowAt,
        "&&" => BinaryOperator::PGOverlap,
        _ => return None,
    })
}

fn rewrite_function(function: &mut Function) -> Result<(), Diagnostic> {
    strip_catalog(&mut function.name);
    named_arguments::into_order(function)?;
    if let FunctionArguments::Subquery(query) = &mut function.args {
        // ARRAY(subquery): `subqueries` gives it its aggregate.
        let query = std::mem::replace(query, Box::new(super::subqueries::nothing()));
        function.name = ObjectName::from(vec![Ident::new("array_or_empty")]);
        function.args = arguments(vec![Expr::Subquery(Box::new(
            super::subqueries::array_aggregate(query)?,
        ))]);
    }
    if rows::is_constructor(function)
        && let FunctionArguments::List(list) = &function.args
        && list.args.iter().any(|argument| {
            matches!(
                argument,
                FunctionArg::Unnamed(
                    FunctionArgExpr::QualifiedWildcard(_) | FunctionArgExpr::Wildcard
                )
            )
        })
    {
        return Err(Diagnostic::unsupported("ROW(….*)"));
    }
    if let FunctionArguments::List(list) = &mut function.args
        && last_name(&function.name).as_deref() != Some("count")
    {
        for argument in &mut list.args {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument {
                rows::as_value(argument);
            }
        }
    }
    if matches!(function.args, FunctionArguments::None) {
        // CURRENT_USER and its like are functions without parentheses.
        function.args = arguments(Vec::new());
    }
    Ok(())
}

/// `pg_catalog.f` is f: functions live in pg_catalog only, those of extensions wherever somebody would have put them.
fn strip_catalog(name: &mut ObjectName) {
    if let [
        ObjectNamePart::Identifier(schema),
        ObjectNamePart::Identifier(last),
    ] = name.0.as_slice()
        && (folded(schema) == "pg_catalog" || extensions::has_function(&folded(last)))
    {
        let last = last.clone();
        name.0 = vec![ObjectNamePart::Identifier(last)];
    }
}

/// The last part of a name, folded.
pub fn last_name(name: &ObjectName) -> Option<String> {
    name.0
        .last()
        .and_then(|part| part.as_ident())
        .map(|ident| match ident.quote_style {
            Some(_) => ident.value.clone(),
            None if ident.value == "C" => ident.value.clone(),
            None => ident.value.to_ascii_lowercase(),
        })
}

/// A call with positional arguments.
pub fn call_of(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: arguments(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// ARRAY(query), as it is parsed.
pub fn array_of(query: Query) -> Expr {
    let mut call = call_of("array", Vec::new());
    if let Expr::Function(function) = &mut call {
        function.args = FunctionArguments::Subquery(Box::new(query));
    }
    call
}

fn arguments(args: Vec<Expr>) -> FunctionArguments {
    FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment: None,
        args: args
            .into_iter()
            .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)))
            .collect(),
        clauses: Vec::new(),
    })
}

fn mentions_column(arg: &FunctionArg) -> bool {
    let mentioned = visit_expressions(arg, |expr| match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    mentioned.is_break()
}

/// Whether the expression has columns or parameters in it.
fn asks_around(expr: &Expr) -> bool {
    let asks = visit_expressions(expr, |expr| match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    asks.is_break()
}
