//! The blanks of char(n), for what sees them (PostgreSQL 15, §8.3): values are kept without, as they are compared, and most
//! functions take char(n) as text, which has none either.

use super::definition::{Function, INT4, TEXT};
use super::regular::SIMILAR_TO;
use super::text::TEXT_BYTES_MAX;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::types::text;
use datafusion::logical_expr::{Expr, ScalarUDF, lit};
use std::sync::Arc;

/// `text` as char(n) prints it.
fn function() -> Arc<ScalarUDF> {
    let printed = SqlType::scalar(TypeKind::Text);
    Function::immutable("with_blanks", &[&[TEXT, INT4]], printed, |call| {
        let mut total = 0;
        call.texts(|row| {
            let Some((value, typmod)) = call.text(0, row).zip(call.int4(1, row)) else {
                return Ok(None);
            };
            let bpchar = SqlType::scalar(TypeKind::Bpchar);
            let blanks = text::padding(value, SqlType { typmod, ..bpchar });
            total += value.len() + blanks;
            if total > TEXT_BYTES_MAX {
                return Err(failure::error(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    "char(n) is too long to be compared with a pattern",
                ));
            }
            Ok(Some(format!("{value}{}", " ".repeat(blanks))))
        })
    })
}

/// A value of char(n) with its blanks, as text; another one as it is.
pub fn shown(expr: Expr, sql_type: SqlType) -> Expr {
    match sql_type {
        SqlType {
            kind: TypeKind::Bpchar,
            typmod: 4..,
            array: false,
            ..
        } => function().call(vec![expr, lit(sql_type.typmod)]),
        _ => expr,
    }
}

/// Whether a function takes char(n) itself and sees its blanks.
pub fn are_seen_by(name: &str) -> bool {
    name == "octet_length" || name == SIMILAR_TO
}
