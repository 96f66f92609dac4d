//! DataFusion's and Arrow's errors as diagnostics.

use crate::diagnostic::{Diagnostic, SqlState};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};

/// The diagnostic that an error stands for; our own come through as they are.
pub fn diagnostic(error: DataFusionError) -> Diagnostic {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Diagnostic>() {
            Ok(own) => *own,
            Err(other) => Diagnostic::internal(other.to_string()),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            diagnostic(*inner)
        }
        DataFusionError::ArrowError(inner, _) => arrow(*inner),
        DataFusionError::SchemaError(inner, _) => schema(&inner),
        DataFusionError::NotImplemented(what) => Diagnostic::unsupported(what),
        DataFusionError::Plan(message) => Diagnostic::error(SqlState::UNDEFINED_FUNCTION, message),
        other => Diagnostic::internal(other.strip_backtrace()),
    }
}

fn arrow(error: ArrowError) -> Diagnostic {
    match error {
        ArrowError::DivideByZero => {
            Diagnostic::error(SqlState::DIVISION_BY_ZERO, "division by zero")
        }
        ArrowError::ArithmeticOverflow(_) => {
            Diagnostic::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range")
        }
        ArrowError::ExternalError(inner) => match inner.downcast::<Diagnostic>() {
            Ok(own) => *own,
            Err(other) => Diagnostic::internal(other.to_string()),
        },
        other => Diagnostic::internal(other.to_string()),
    }
}

fn schema(error: &SchemaError) -> Diagnostic {
    match error {
        SchemaError::FieldNotFound { field, .. } => Diagnostic::error(
            SqlState::UNDEFINED_COLUMN,
            match &field.relation {
                Some(relation) => {
                    format!("column {}.{} does not exist", relation.table(), field.name)
                }
                None => format!("column \"{}\" does not exist", field.name),
            },
        ),
        SchemaError::AmbiguousReference { field } => Diagnostic::error(
            SqlState::AMBIGUOUS_COLUMN,
            format!("column reference \"{}\" is ambiguous", field.name),
        ),
        other => Diagnostic::internal(other.to_string()),
    }
}
