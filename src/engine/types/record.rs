//! record: a row as a value, without a type of its own.
//!
//! It is kept as record_send writes it, each field with its type's OID, so that nothing besides it is
//! needed to print it. Source: PostgreSQL 15, section 8.16 "Composite Types", `rowtypes.c`.

use super::column::Column;
use super::decode::{Input, decode_own};
use super::name;
use crate::catalog::Oid;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::settings::Settings;
use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::ArrayRef;

/// 0A000: a row of no declared type cannot be read, only made.
pub fn no_input() -> Diagnostic {
    Diagnostic::error(
        crate::diagnostic::SqlState::FEATURE_NOT_SUPPORTED,
        "input of anonymous composite types is not implemented",
    )
}

/// Appends one row of these columns.
///
/// # Panics
/// For more columns than a statement can have.
pub fn write(columns: &[(Column<'_>, SqlType)], row: usize, out: &mut BytesMut) {
    let fields = i32::try_from(columns.len()).expect("a row's columns are bounded by its text");
    out.put_i32(fields);
    for (column, sql_type) in columns {
        out.put_u32(name::oid(*sql_type).0);
        if column.is_null(row) {
            out.put_i32(-1);
            continue;
        }
        let start = out.len();
        out.put_i32(0);
        column.binary(row, out);
        let length = (out.len() - start - 4) as i32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// A field: its type, and its value as an array of one; None is NULL.
pub type Field = (SqlType, Option<ArrayRef>);

/// The fields of a row that [`write`] has written. An enumeration's label is a text, as which it was written.
pub fn fields(record: &[u8], settings: &Settings) -> Vec<Field> {
    let input = Input {
        settings,
        transaction_time: 0,
        variables: None,
        types: None,
    };
    let mut rest = record.get(4..).unwrap_or_default();
    let mut fields = Vec::new();
    while let Some((oid, length, after)) = header(rest) {
        let sql_type = name::from_oid(oid).unwrap_or(SqlType::scalar(TypeKind::Text));
        let Ok(length) = usize::try_from(length) else {
            fields.push((sql_type, None));
            rest = after;
            continue;
        };
        let Some((value, after)) = after.split_at_checked(length) else {
            break;
        };
        let value = decode_own(value, sql_type, input)
            .ok()
            .and_then(|value| value.to_array().ok());
        fields.push((sql_type, value));
        rest = after;
    }
    fields
}

fn header(bytes: &[u8]) -> Option<(Oid, i32, &[u8])> {
    let (oid, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    Some((
        Oid(u32::from_be_bytes(*oid)),
        i32::from_be_bytes(*length),
        rest,
    ))
}

/// Appends the text of a row, as record_out prints it.
pub fn write_text(record: &[u8], settings: &Settings, out: &mut BytesMut) {
    out.put_u8(b'(');
    for (place, (sql_type, value)) in fields(record, settings).iter().enumerate() {
        if place > 0 {
            out.put_u8(b',');
        }
        let Some(Ok(column)) = value.as_ref().map(|value| Column::new(value, *sql_type)) else {
            continue;
        };
        let start = out.len();
        column.text(0, settings, out);
        quote(start, out);
    }
    out.put_u8(b')');
}

/// Quotes what was appended since `start` if a row's text needs it; quotes within are doubled.
fn quote(start: usize, out: &mut BytesMut) {
    let field = &out[start..];
    let special = |byte: &u8| {
        matches!(byte, b'"' | b'\\' | b'(' | b')' | b',' | 0x0b) || byte.is_ascii_whitespace()
    };
    if !field.is_empty() && !field.iter().any(special) {
        return;
    }
    let field = out.split_off(start);
    out.reserve(field.len() + 2);
    out.put_u8(b'"');
    for byte in field {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(byte);
        }
        out.put_u8(byte);
    }
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::common::ScalarValue;

    fn printed(values: &[(TypeKind, ScalarValue)]) -> String {
        let arrays: Vec<(ArrayRef, SqlType)> = values
            .iter()
            .map(|(kind, value)| {
                let array = value.to_array().expect("an array of one");
                (array, SqlType::scalar(*kind))
            })
            .collect();
        let columns: Vec<_> = arrays
            .iter()
            .map(|(array, of)| (Column::new(array, *of).expect("its own type"), *of))
            .collect();
        let mut record = BytesMut::new();
        write(&columns, 0, &mut record);
        let mut out = BytesMut::new();
        write_text(&record, &Settings::default(), &mut out);
        String::from_utf8(out.to_vec()).expect("a text")
    }

    #[test]
    fn fields_are_quoted_where_record_out_quotes_them() {
        let text = |text: &str| (TypeKind::Text, ScalarValue::from(text));
        let number = (TypeKind::Int4, ScalarValue::Int32(Some(7)));
        let null = (TypeKind::Text, ScalarValue::Utf8(None));
        assert_eq!(printed(&[]), "()");
        assert_eq!(printed(&[number, text("a"), null]), "(7,a,)");
        assert_eq!(
            printed(&[text(""), text("a b"), text("x\"y\\z"), text("("), text("ż")]),
            "(\"\",\"a b\",\"x\"\"y\\\\z\",\"(\",ż)"
        );
    }

    #[test]
    fn damaged_bytes_end_the_fields_and_nothing_else() {
        for record in [&[][..], &[0, 0], &[0, 0, 0, 9, 0, 0, 0, 23, 0, 0, 0, 99, 1]] {
            assert!(
                fields(record, &Settings::default()).is_empty(),
                "{record:?}"
            );
        }
    }
}
