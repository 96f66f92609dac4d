//! What planning and running a query may fail with, in PostgreSQL's words.
//!
//! Everything of ours travels through DataFusion as a [`Diagnostic`] and comes out as it went in.
//! Of its own errors the usual mistakes are translated; of the rest only a code and a neutral
//! sentence reach the client, and the log has the text.

mod planning;

use super::nearest;
use crate::catalog::definition::SYSTEM_COLUMNS;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::types;
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;

const NO_FUNCTION_HINT: &str = "No function matches the given name and argument types. You might \
                                need to add explicit type casts.";
const NO_OPERATOR_HINT: &str = "No operator matches the given name and argument types. You might \
                                need to add explicit type casts.";
/// How a message begins of an operator with one operand, which has a hint of its own.
const NO_PREFIX_OPERATOR: &str = "operator does not exist: - ";
const NO_PREFIX_OPERATOR_HINT: &str = "No operator matches the given name and argument type. You \
                                       might need to add an explicit type cast.";

/// Wraps a diagnostic of ours for its way through DataFusion.
pub fn external(diagnostic: Diagnostic) -> DataFusionError {
    DataFusionError::External(Box::new(diagnostic))
}

/// An error with this code and message, on its way through DataFusion.
pub fn error(sqlstate: SqlState, message: impl Into<String>) -> DataFusionError {
    external(Diagnostic::error(sqlstate, message))
}

/// 0A000 naming the feature, on its way through DataFusion.
pub fn unsupported(feature: impl std::fmt::Display) -> DataFusionError {
    external(Diagnostic::unsupported(feature))
}

/// 42883 for a function with these argument types.
pub fn no_function(name: &str, arguments: &[SqlType]) -> Diagnostic {
    let arguments: Vec<_> = arguments
        .iter()
        .map(|sql_type| {
            types::format_type(SqlType {
                typmod: -1,
                ..*sql_type
            })
        })
        .collect();
    Diagnostic::error(
        SqlState::UNDEFINED_FUNCTION,
        format!("function {name}({}) does not exist", arguments.join(", ")),
    )
    .with_hint(NO_FUNCTION_HINT)
}

/// 42883 for an operator between these types.
pub fn no_operator(symbol: &str, left: SqlType, right: SqlType) -> Diagnostic {
    let name = |sql_type: SqlType| {
        types::format_type(SqlType {
            typmod: -1,
            ..sql_type
        })
    };
    Diagnostic::error(
        SqlState::UNDEFINED_FUNCTION,
        format!(
            "operator does not exist: {} {symbol} {}",
            name(left),
            name(right)
        ),
    )
    .with_hint(NO_OPERATOR_HINT)
}

/// 42883 for an operator before a value of this type.
pub fn no_prefix_operator(symbol: &str, of: SqlType) -> Diagnostic {
    let name = types::format_type(SqlType { typmod: -1, ..of });
    Diagnostic::error(
        SqlState::UNDEFINED_FUNCTION,
        format!("operator does not exist: {symbol} {name}"),
    )
    .with_hint(NO_PREFIX_OPERATOR_HINT)
}

/// What a client is told of an error of DataFusion's.
pub fn diagnostic(error: DataFusionError) -> Diagnostic {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Diagnostic>() {
            Ok(diagnostic) => *diagnostic,
            Err(other) => internal(&other.to_string()),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            diagnostic(*inner)
        }
        DataFusionError::Shared(inner) => shared(&inner),
        DataFusionError::Collection(errors) => match errors.into_iter().next() {
            Some(first) => diagnostic(first),
            None => internal("no error"),
        },
        DataFusionError::ArrowError(inner, _) => arrow(*inner),
        other => by_text(&other),
    }
}

/// As [`diagnostic`], for an error that several readers of one stream share.
fn shared(error: &DataFusionError) -> Diagnostic {
    match error {
        DataFusionError::External(inner) => match inner.downcast_ref::<Diagnostic>() {
            Some(diagnostic) => diagnostic.clone(),
            None => internal(&inner.to_string()),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => shared(inner),
        DataFusionError::Shared(inner) => shared(inner),
        DataFusionError::ArrowError(inner, _) => arrow_text(inner),
        other => by_text(other),
    }
}

fn arrow(error: ArrowError) -> Diagnostic {
    match error {
        ArrowError::ExternalError(inner) => {
            match inner.downcast::<DataFusionError>().map(|inner| *inner) {
                Ok(inner) => diagnostic(inner),
                Err(other) => match other.downcast::<Diagnostic>() {
                    Ok(own) => *own,
                    Err(other) => internal(&other.to_string()),
                },
            }
        }
        other => arrow_text(&other),
    }
}

fn arrow_text(error: &ArrowError) -> Diagnostic {
    match error {
        ArrowError::DivideByZero => division_by_zero(),
        ArrowError::ArithmeticOverflow(_) => {
            Diagnostic::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range")
        }
        ArrowError::CastError(text) | ArrowError::ParseError(text) => cast_failure(text),
        ArrowError::InvalidArgumentError(text) if text.contains("Decimal") => numeric_overflow(),
        ArrowError::ComputeError(text) if text.contains("verflow") => {
            Diagnostic::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range")
        }
        other => internal(&other.to_string()),
    }
}

/// 22012
pub fn division_by_zero() -> Diagnostic {
    Diagnostic::error(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// 22003 of numeric.
pub fn numeric_overflow() -> Diagnostic {
    Diagnostic::error(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "numeric field overflow",
    )
}

/// Casts that the planner adds by itself widen; what fails all the same is a text of the wrong
/// form or a number too large.
fn cast_failure(text: &str) -> Diagnostic {
    let quoted = between(text, "'", "'");
    let type_name = [
        ("Int16", "smallint"),
        ("Int32", "integer"),
        ("Int64", "bigint"),
        ("Float32", "real"),
        ("Float64", "double precision"),
        ("Boolean", "boolean"),
        ("Decimal", "numeric"),
        ("Date32", "date"),
        ("Timestamp", "timestamp"),
    ]
    .into_iter()
    .find(|(arrow, _)| text.contains(arrow))
    .map(|(_, sql)| sql);
    match (quoted, type_name) {
        (Some(value), Some(name)) if text.contains("string") || text.contains("parse") => {
            Diagnostic::error(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("invalid input syntax for type {name}: \"{value}\""),
            )
        }
        (_, Some(name)) => Diagnostic::error(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("{name} out of range"),
        ),
        _ => Diagnostic::error(
            SqlState::INVALID_TEXT_REPRESENTATION,
            "invalid input syntax",
        ),
    }
}

/// One of ours that reached us only as part of a text, as some of the planner's errors hold it.
fn quoted_own(text: &str) -> Option<Diagnostic> {
    let (_, own) = text.split_once("External error: ERROR ")?;
    let (code, message) = own.split_once(": ")?;
    // The planner says the same once more behind it.
    let message = message.lines().next()?;
    let message = message.split(". No function matches").next()?;
    let error = |code| Some(Diagnostic::error(code, message));
    match code {
        "42883" if message.starts_with(NO_PREFIX_OPERATOR) => Some(
            Diagnostic::error(SqlState::UNDEFINED_FUNCTION, message)
                .with_hint(NO_PREFIX_OPERATOR_HINT),
        ),
        "42883" if message.starts_with("operator ") => Some(
            Diagnostic::error(SqlState::UNDEFINED_FUNCTION, message).with_hint(NO_OPERATOR_HINT),
        ),
        "42883" => Some(
            Diagnostic::error(SqlState::UNDEFINED_FUNCTION, message).with_hint(NO_FUNCTION_HINT),
        ),
        "0A000" => error(SqlState::FEATURE_NOT_SUPPORTED),
        "42804" => error(SqlState::DATATYPE_MISMATCH),
        _ => None,
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(inside, _)| inside)
}

fn by_text(error: &DataFusionError) -> Diagnostic {
    match error {
        DataFusionError::SchemaError(inner, _) => schema(inner),
        DataFusionError::Plan(text) => planning::diagnostic(text),
        DataFusionError::Execution(text) => execution(text),
        DataFusionError::ResourcesExhausted(text) => exhausted(text),
        DataFusionError::NotImplemented(text) => not_implemented(text),
        DataFusionError::IoError(_) => Diagnostic::error(
            SqlState::IO_ERROR,
            "could not read or write a temporary file",
        ),
        DataFusionError::Internal(text) if text.contains("Physical plan does not support") => {
            Diagnostic::unsupported("a correlated subquery of this form")
        }
        DataFusionError::Internal(text) if text.starts_with("Failed to coerce types") => {
            planning::diagnostic(text)
        }
        other => internal(&other.to_string()),
    }
}

fn schema(error: &SchemaError) -> Diagnostic {
    match error {
        SchemaError::AmbiguousReference { field } => Diagnostic::error(
            SqlState::AMBIGUOUS_COLUMN,
            format!("column reference \"{}\" is ambiguous", field.name),
        ),
        SchemaError::DuplicateQualifiedField { qualifier, .. } => Diagnostic::error(
            SqlState::DUPLICATE_ALIAS,
            format!(
                "table name \"{}\" specified more than once",
                qualifier.table()
            ),
        ),
        SchemaError::DuplicateUnqualifiedField { name } => Diagnostic::error(
            SqlState::AMBIGUOUS_COLUMN,
            format!("column reference \"{name}\" is ambiguous"),
        ),
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => no_column(field, valid_fields),
    }
}

/// 42703, or 42P01 where the qualifier is no FROM item; 0A000 for what PostgreSQL's tables have by themselves.
fn no_column(field: &Column, valid: &[Column]) -> Diagnostic {
    if SYSTEM_COLUMNS.contains(&&*field.name) && !valid.is_empty() {
        return Diagnostic::unsupported(format!("the system column {}", field.name))
            .with_hint("Rows are told apart by their primary key.");
    }
    let hinted = |error: Diagnostic| match nearest::hint(field, valid) {
        Some(hint) => error.with_hint(hint),
        None => error,
    };
    let Some(relation) = &field.relation else {
        return hinted(Diagnostic::error(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{}\" does not exist", field.name),
        ));
    };
    let table = relation.table();
    let known = valid.iter().any(|valid| {
        valid
            .relation
            .as_ref()
            .is_some_and(|valid| valid.table() == table)
    });
    if known {
        hinted(Diagnostic::error(
            SqlState::UNDEFINED_COLUMN,
            format!("column {table}.{} does not exist", field.name),
        ))
    } else {
        Diagnostic::error(
            SqlState::UNDEFINED_TABLE,
            format!("missing FROM-clause entry for table \"{table}\""),
        )
    }
}

fn execution(text: &str) -> Diagnostic {
    if let Some(own) = quoted_own(text) {
        return own;
    }
    if text.contains("more than one row") {
        return Diagnostic::error(
            SqlState::CARDINALITY_VIOLATION,
            "more than one row returned by a subquery used as an expression",
        );
    }
    if text.contains("ivide by zero") || text.contains("ivision by zero") {
        return division_by_zero();
    }
    if text.contains("verflow") || text.contains("out of range") {
        return Diagnostic::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range");
    }
    // The library's own words of substr().
    if text.contains("negative substring length") || text.contains("negative count not allowed") {
        return Diagnostic::error(
            SqlState::new("22011"),
            "negative substring length not allowed",
        );
    }
    if text.contains("Regular expression did not compile") || text.contains("regex") {
        return Diagnostic::error(SqlState::new("2201B"), "invalid regular expression");
    }
    #[cfg(test)]
    eprintln!("execution: {text}");
    tracing::info!(error = text, "a query failed");
    Diagnostic::error(
        SqlState::INVALID_PARAMETER_VALUE,
        "invalid argument of a function",
    )
}

fn exhausted(text: &str) -> Diagnostic {
    if text.contains("disk") {
        return Diagnostic::error(SqlState::DISK_FULL, "temporary files exceed their limit");
    }
    Diagnostic::error(SqlState::OUT_OF_MEMORY, "out of memory")
        .with_detail("The statement needs more memory than a query may have.")
}

fn not_implemented(text: &str) -> Diagnostic {
    #[cfg(test)]
    eprintln!("not implemented: {text}");
    tracing::info!(error = text, "a query is not supported");
    Diagnostic::unsupported("a query of this form")
}

fn internal(text: &str) -> Diagnostic {
    if text.contains("egular expression") || text.contains("regex parse error") {
        return Diagnostic::error(SqlState::new("2201B"), "invalid regular expression");
    }
    #[cfg(test)]
    eprintln!("internal: {text}");
    tracing::error!(error = text, "internal error in a query");
    Diagnostic::internal("internal error in a query")
}
