//! Long lists of VALUES that are literals and nothing else: each goes through its column's input function
//! straight into the column's array, as a field of COPY does.
//!
//! Whatever is more than that, or is wrong, is left to the general way, which says it in PostgreSQL's
//! words: nothing has been done by then.

use super::target::Target;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types::Input;
use crate::engine::types::column_builder::ColumnBuilder;
use datafusion::arrow::array::ArrayRef;
use sqlparser::ast::{self, Expr, UnaryOperator};

/// Rows of literals, one array for each column that they are for.
#[derive(Debug)]
pub struct Literals {
    /// As the columns keep them.
    pub columns: Vec<ArrayRef>,
    /// How many rows.
    pub rows: usize,
}

/// Of rows for these columns; None where one is not made of literals alone, or does not fit.
pub fn of(
    rows: &[ast::Parens<Vec<Expr>>],
    target: &Target,
    columns: &[usize],
    input: Input<'_>,
) -> Option<Literals> {
    let width = rows.first()?.content.len();
    let types: Vec<SqlType> = columns
        .iter()
        .take(width)
        .map(|position| target.columns()[*position].sql_type)
        .collect();
    let mut builders: Vec<_> = types
        .iter()
        .map(|sql_type| ColumnBuilder::new(*sql_type, rows.len()))
        .collect();
    let mut negative = String::new();
    for row in rows {
        if row.content.len() != types.len() {
            return None;
        }
        for ((expression, sql_type), builder) in row.content.iter().zip(&types).zip(&mut builders) {
            let field = field(expression, *sql_type, &mut negative)?;
            builder.append(field, input).ok()?;
        }
    }
    let columns = builders.iter_mut().map(ColumnBuilder::finish);
    Some(Literals {
        columns: columns.collect::<Result<_, _>>().ok()?,
        rows: rows.len(),
    })
}

/// The text that a column's input function reads as the same value; None where it may not. The inner
/// None is NULL.
fn field<'t>(
    expression: &'t Expr,
    to: SqlType,
    negative: &'t mut String,
) -> Option<Option<&'t str>> {
    let (value, minus) = match expression {
        Expr::Value(value) => (&value.value, false),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match &**expr {
            Expr::Value(value) => (&value.value, true),
            _ => return None,
        },
        _ => return None,
    };
    match value {
        ast::Value::Null if !minus => Some(None),
        ast::Value::SingleQuotedString(text) if !minus => Some(Some(text)),
        ast::Value::Boolean(value) if !minus && to == SqlType::scalar(TypeKind::Bool) => {
            Some(Some(if *value { "t" } else { "f" }))
        }
        ast::Value::Number(digits, false) if is_number_for(digits, to) => Some(Some(match minus {
            true => {
                negative.clear();
                negative.push('-');
                negative.push_str(digits);
                negative
            }
            false => digits,
        })),
        _ => None,
    }
}

/// Whether reading the digits as the column's type gives what assigning the number would.
fn is_number_for(digits: &str, to: SqlType) -> bool {
    let integer = digits.bytes().all(|digit| digit.is_ascii_digit());
    match to.kind {
        _ if to.array => false,
        TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8 => integer,
        TypeKind::Numeric | TypeKind::Float4 | TypeKind::Float8 => digits
            .bytes()
            .all(|it| it.is_ascii_digit() || matches!(it, b'.' | b'e' | b'E' | b'+' | b'-')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, to: TypeKind) -> Option<Option<String>> {
        let expression = crate::sql::parse::parse_expression(text).unwrap();
        let mut negative = String::new();
        let found = field(&expression, SqlType::scalar(to), &mut negative)?;
        Some(found.map(str::to_owned))
    }

    #[test]
    fn literals_are_read_as_the_texts_that_mean_them() {
        let text = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(read("-12", TypeKind::Int4), text("-12"));
        assert_eq!(read("12.50", TypeKind::Numeric), text("12.50"));
        assert_eq!(read("1e3", TypeKind::Float8), text("1e3"));
        assert_eq!(read("'2026-01-31'", TypeKind::Date), text("2026-01-31"));
        assert_eq!(read("true", TypeKind::Bool), text("t"));
        assert_eq!(read("NULL", TypeKind::Text), Some(None));
    }

    #[test]
    fn what_an_assignment_would_convert_is_left_to_it() {
        assert_eq!(read("12.5", TypeKind::Int4), None);
        assert_eq!(read("007", TypeKind::Text), None);
        assert_eq!(read("1", TypeKind::Bool), None);
        assert_eq!(read("true", TypeKind::Text), None);
        assert_eq!(read("1 + 1", TypeKind::Int4), None);
        assert_eq!(read("DEFAULT", TypeKind::Int4), None);
    }
}
