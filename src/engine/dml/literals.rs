//! Long lists of VALUES that are literals and nothing else ([`literal_rows`]): each goes from the text through
//! its column's input function straight into the column's array, as a field of COPY does.
//!
//! Whatever is more than that, or is wrong, is left to the general way, which says it in PostgreSQL's
//! words: nothing has been done by then.

use super::target::Target;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types::Input;
use crate::engine::types::column_builder::ColumnBuilder;
use crate::sql::literal_rows::{self, Literal};
use datafusion::arrow::array::ArrayRef;

/// Rows that the builders have room for before they grow.
const ROWS_AT_FIRST: usize = 1_024;

/// Rows of literals, one array for each column that they are for.
#[derive(Debug)]
pub struct Literals {
    /// As the columns keep them.
    pub columns: Vec<ArrayRef>,
    /// How many rows.
    pub rows: usize,
}

/// Of rows for these columns; None where one does not fit.
pub fn of(
    mut rows: literal_rows::Rows<'_>,
    target: &Target,
    columns: &[usize],
    input: Input<'_>,
) -> Option<Literals> {
    let types: Vec<SqlType> = columns
        .iter()
        .map(|position| target.columns()[*position].sql_type)
        .collect();
    let mut builders: Vec<_> = types
        .iter()
        .map(|sql_type| ColumnBuilder::new(*sql_type, ROWS_AT_FIRST))
        .collect();
    let (mut count, mut width) = (0, 0);
    while !rows.is_at_end() {
        let mut place = 0;
        rows.next_row(|literal| {
            let added = match (types.get(place), builders.get_mut(place)) {
                (Some(sql_type), Some(builder)) => add(&literal, *sql_type, builder, input),
                _ => None,
            };
            place += 1;
            added.is_some()
        })?;
        if count > 0 && place != width {
            return None;
        }
        width = place;
        count += 1;
    }
    let columns = builders.iter_mut().take(width).map(ColumnBuilder::finish);
    Some(Literals {
        columns: columns.collect::<Result<_, _>>().ok()?,
        rows: count,
    })
}

/// Puts a literal to its column's values where the column's input function reads its text as the value
/// that it is.
fn add(
    literal: &Literal<'_>,
    to: SqlType,
    builder: &mut ColumnBuilder,
    input: Input<'_>,
) -> Option<()> {
    builder.append(field(literal, to)?, input).ok()
}

/// The text that a column's input function reads as the same value; None where it may not. The inner
/// None is NULL.
fn field<'t>(literal: &'t Literal<'_>, to: SqlType) -> Option<Option<&'t str>> {
    match literal {
        Literal::Null => Some(None),
        Literal::Unknown(text) => Some(Some(text)),
        Literal::Boolean(value) if to == SqlType::scalar(TypeKind::Bool) => {
            Some(Some(if *value { "t" } else { "f" }))
        }
        Literal::Number(digits) if is_number_for(digits, to) => Some(Some(digits)),
        Literal::Boolean(_) | Literal::Number(_) => None,
    }
}

/// Whether reading the digits as the column's type gives what assigning the number would.
fn is_number_for(digits: &str, to: SqlType) -> bool {
    match to.kind {
        _ if to.array => false,
        TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8 => !digits.contains('.'),
        TypeKind::Numeric | TypeKind::Float4 | TypeKind::Float8 => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(literal: &Literal<'_>, to: TypeKind) -> Option<Option<String>> {
        Some(field(literal, SqlType::scalar(to))?.map(str::to_owned))
    }

    fn number(digits: &str) -> Literal<'_> {
        Literal::Number(digits.into())
    }

    #[test]
    fn literals_are_read_as_the_texts_that_mean_them() {
        let text = |text: &str| Some(Some(text.to_owned()));
        let unknown = Literal::Unknown("2026-01-31".into());
        assert_eq!(read(&number("-12"), TypeKind::Int4), text("-12"));
        assert_eq!(read(&number("12.50"), TypeKind::Numeric), text("12.50"));
        assert_eq!(read(&number("7"), TypeKind::Float8), text("7"));
        assert_eq!(read(&unknown, TypeKind::Date), text("2026-01-31"));
        assert_eq!(read(&Literal::Boolean(true), TypeKind::Bool), text("t"));
        assert_eq!(read(&Literal::Null, TypeKind::Text), Some(None));
    }

    #[test]
    fn what_an_assignment_would_convert_is_left_to_it() {
        assert_eq!(read(&number("12.5"), TypeKind::Int4), None);
        assert_eq!(read(&number("007"), TypeKind::Text), None);
        assert_eq!(read(&number("1"), TypeKind::Bool), None);
        assert_eq!(read(&Literal::Boolean(true), TypeKind::Text), None);
    }
}
