//! The planner's own complaints, told by their text, in PostgreSQL's words.

use super::{NO_FUNCTION_HINT, NO_OPERATOR_HINT, between, quoted_own};
use crate::diagnostic::{Diagnostic, SqlState};

/// What a client is told of it.
pub fn diagnostic(text: &str) -> Diagnostic {
    if text.contains("must be in GROUP BY or an aggregate function")
        || text.contains("must appear in the GROUP BY clause")
    {
        let column = between(text, "column \"", "\"").unwrap_or("?");
        return Diagnostic::error(
            SqlState::GROUPING_ERROR,
            format!(
                "column \"{column}\" must appear in the GROUP BY clause or be used in an \
                 aggregate function"
            ),
        );
    }
    if text.contains("different number of columns") || text.contains("same number of columns") {
        let operation = ["INTERSECT", "EXCEPT"]
            .into_iter()
            .find(|name| text.contains(name))
            .unwrap_or("UNION");
        return Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            format!("each {operation} query must have the same number of columns"),
        );
    }
    if let Some(own) = quoted_own(text) {
        return own;
    }
    if let Some(call) = between(text, "argument types '", "'") {
        return no_such_call(call);
    }
    // A column's name before a point, and no item of that name: the column has no fields.
    if let Some(item) = between(text, "could not parse compound identifier from [\"", "\"") {
        return Diagnostic::error(
            SqlState::UNDEFINED_TABLE,
            format!("missing FROM-clause entry for table \"{item}\""),
        );
    }
    if let Some(error) = operands(text).or_else(|| clauses(text)) {
        return error;
    }
    if text.contains("non-boolean predicate") {
        let found = text.rsplit(' ').next().map_or("unknown", sql_name);
        return Diagnostic::error(
            SqlState::DATATYPE_MISMATCH,
            format!("argument of WHERE must be type boolean, not type {found}"),
        );
    }
    if let Some((_, found)) = text.split_once("requires a boolean expression, got ") {
        let found = sql_name(found.split_whitespace().next().unwrap_or_default());
        return Diagnostic::error(
            SqlState::DATATYPE_MISMATCH,
            format!("argument of NOT must be type boolean, not type {found}"),
        );
    }
    for (found, sqlstate, message) in PLAN_ERRORS {
        if text.contains(found) {
            return Diagnostic::error(*sqlstate, *message);
        }
    }
    if text.starts_with("Failed to coerce") || text.contains("coerce") {
        return Diagnostic::error(
            SqlState::UNDEFINED_FUNCTION,
            "function or operator does not exist for these argument types",
        )
        .with_hint("You might need to add explicit type casts.");
    }
    #[cfg(test)]
    eprintln!("plan: {text}");
    tracing::info!(error = text, "a query could not be planned");
    Diagnostic::unsupported("a query of this form")
}

const PLAN_ERRORS: &[(&str, SqlState, &str)] = &[
    (
        "to grouping function is not in grouping columns",
        SqlState::GROUPING_ERROR,
        "arguments to GROUPING must be grouping expressions of the associated query level",
    ),
    (
        "Unary operator '-' only supports",
        SqlState::UNDEFINED_FUNCTION,
        "operator does not exist: -",
    ),
    (
        "Expected LIMIT to be an integer",
        SqlState::DATATYPE_MISMATCH,
        "argument of LIMIT must be type bigint",
    ),
    (
        "calls cannot be nested",
        SqlState::GROUPING_ERROR,
        "aggregate function calls cannot be nested",
    ),
    (
        "SELECT * with no tables specified",
        SqlState::SYNTAX_ERROR,
        "SELECT * with no tables specified is not valid",
    ),
    (
        "For SELECT DISTINCT, ORDER BY expressions",
        SqlState::INVALID_COLUMN_REFERENCE,
        "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
    ),
    (
        "SELECT DISTINCT ON expressions must match",
        SqlState::INVALID_COLUMN_REFERENCE,
        "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
    ),
    (
        "LIMIT must be >= 0",
        SqlState::new("2201W"),
        "LIMIT must not be negative",
    ),
    (
        "OFFSET must be >=",
        SqlState::new("2201X"),
        "OFFSET must not be negative",
    ),
    (
        "should only return one column",
        SqlState::SYNTAX_ERROR,
        "subquery must return only one column",
    ),
    (
        "Too many columns",
        SqlState::SYNTAX_ERROR,
        "subquery has too many columns",
    ),
    (
        "No value found for placeholder",
        SqlState::UNDEFINED_PARAMETER,
        "a parameter has no value",
    ),
    (
        "Inconsistent data length",
        SqlState::SYNTAX_ERROR,
        "VALUES lists must all be the same length",
    ),
    (
        "Source table contains",
        SqlState::INVALID_COLUMN_REFERENCE,
        "a table alias has more columns than its table",
    ),
];

/// Operators that the planner checks itself.
fn operands(text: &str) -> Option<Diagnostic> {
    if let Some(types) = between(text, "Failed to coerce types ", " in BETWEEN") {
        let (left, right) = types.split_once(" and ")?;
        return Some(no_operator(sql_name(left), ">=", sql_name(right)));
    }
    if let Some(types) = between(text, "common type to coerce ", " expression") {
        let (left, rest) = types.split_once(" and ")?;
        let (right, operator) = rest.split_once(" in ")?;
        let symbol = match operator {
            "LIKE" => "~~",
            "ILIKE" => "~~*",
            _ => return None,
        };
        return Some(no_operator(sql_name(left), symbol, sql_name(right)));
    }
    let (left, list) = between(text, "compatible types to compare ", "]")?.split_once(" with [")?;
    let is_other = |name: &&str| *name != left && sql_name(name) != "unknown";
    let right = list.split(", ").find(is_other)?;
    Some(no_operator(sql_name(left), "=", sql_name(right)))
}

fn no_operator(left: &str, symbol: &str, right: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::UNDEFINED_FUNCTION,
        format!("operator does not exist: {left} {symbol} {right}"),
    )
    .with_hint(NO_OPERATOR_HINT)
}

fn clauses(text: &str) -> Option<Diagnostic> {
    if let Some(table) = text.strip_prefix("Invalid qualifier ") {
        return Some(Diagnostic::error(
            SqlState::UNDEFINED_TABLE,
            format!("missing FROM-clause entry for table \"{table}\""),
        ));
    }
    if let Some(found) = text.strip_prefix("Join condition must be boolean type, but got ") {
        return Some(Diagnostic::error(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "argument of JOIN/ON must be type boolean, not type {}",
                sql_name(found)
            ),
        ));
    }
    if let Some(place) = between(text, "Cannot find column with position ", " in SELECT") {
        return Some(Diagnostic::error(
            SqlState::INVALID_COLUMN_REFERENCE,
            format!("GROUP BY position {place} is not in select list"),
        ));
    }
    if let Some((left, rest)) = between(text, "Previous inputs were of type ", " on column")
        .and_then(|types| types.split_once(", but got incompatible type "))
    {
        return Some(unlike("UNION", sql_name(left), sql_name(rest)));
    }
    if let Some(then) = between(text, "coerce then (", ") and else (") {
        let first = then.split(", ").next().unwrap_or_default();
        let otherwise = between(text, "and else (", ")").filter(|name| *name != "None");
        let other = otherwise.or_else(|| then.split(", ").nth(1));
        return Some(unlike(
            "CASE",
            sql_name(other.unwrap_or_default()),
            sql_name(first),
        ));
    }
    let number = between(text, "Order by column out of bounds, specified: ", ",")?;
    Some(Diagnostic::error(
        SqlState::INVALID_COLUMN_REFERENCE,
        format!("ORDER BY position {number} is not in select list"),
    ))
}

fn unlike(what: &str, left: &str, right: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::DATATYPE_MISMATCH,
        format!("{what} types {left} and {right} cannot be matched"),
    )
}

/// `abs(Utf8)` as the planner prints a call that no function takes.
fn no_such_call(call: &str) -> Diagnostic {
    let (name, arguments) = call.split_once('(').unwrap_or((call, ")"));
    let arguments: Vec<_> = arguments
        .trim_end_matches(')')
        .split(", ")
        .filter(|name| !name.is_empty())
        .map(sql_name)
        .collect();
    // Arithmetic is functions of ours, named by the operator.
    if let ([left, right], false) = (&arguments[..], name.starts_with(char::is_alphabetic)) {
        return no_operator(left, name, right);
    }
    Diagnostic::error(
        SqlState::UNDEFINED_FUNCTION,
        format!("function {name}({}) does not exist", arguments.join(", ")),
    )
    .with_hint(NO_FUNCTION_HINT)
}

/// PostgreSQL's name of an Arrow type as it prints itself.
fn sql_name(arrow: &str) -> &'static str {
    match arrow {
        "Boolean" => "boolean",
        "Int16" => "smallint",
        "Int32" => "integer",
        "Int64" => "bigint",
        "UInt32" => "oid",
        "Float32" => "real",
        "Float64" => "double precision",
        "Utf8" | "Utf8View" | "String" => "text",
        "Null" => "unknown",
        "Binary" => "bytea",
        "BinaryView" => "anyenum",
        "Date32" => "date",
        other if other.starts_with("Decimal") => "numeric",
        other if other.starts_with("Timestamp") && other.contains("UTC") => {
            "timestamp with time zone"
        }
        other if other.starts_with("Timestamp") => "timestamp without time zone",
        other if other.starts_with("Time") => "time without time zone",
        other if other.starts_with("Interval") => "interval",
        other if other.starts_with("List") => "anyarray",
        _ => "unknown",
    }
}
