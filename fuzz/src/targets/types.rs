//! Every type that a column or a parameter may have, and how a value is printed.

use bytes::BytesMut;
use datafusion::common::ScalarValue;
use nodedb::catalog::sql_type::{SqlType, TypeKind};
use nodedb::engine::settings::Settings;
use nodedb::engine::types::column::{encode_binary, encode_text};
use nodedb::engine::types::name::{from_internal_name, from_sql_name, numeric_type};

/// Those with a modifier.
fn with_modifier() -> Vec<SqlType> {
    let seconds = |kind, digits| SqlType {
        typmod: digits,
        ..SqlType::scalar(kind)
    };
    let length = |kind, length: i32| SqlType {
        typmod: length + 4,
        ..SqlType::scalar(kind)
    };
    vec![
        numeric_type(10, 2),
        numeric_type(38, 0),
        numeric_type(38, 38),
        length(TypeKind::Varchar, 3),
        length(TypeKind::Bpchar, 3),
        seconds(TypeKind::Time, 0),
        seconds(TypeKind::Timestamp, 3),
        seconds(TypeKind::Timestamptz, 1),
    ]
}

/// Each of them and its arrays.
pub fn all() -> Vec<SqlType> {
    // Nobody has a value of type void, and nobody can write a record.
    let kinds = TypeKind::ALL
        .into_iter()
        .filter(|kind| !matches!(kind, TypeKind::Void | TypeKind::Record));
    let mut types: Vec<SqlType> = kinds.map(SqlType::scalar).collect();
    types.extend(with_modifier());
    let arrays: Vec<SqlType> = types
        .iter()
        .map(|element| SqlType {
            array: true,
            ..*element
        })
        .collect();
    types.extend(arrays);
    types
}

/// An input of a target: the type's place among [`all`], then the value.
pub fn input(name: &str, value: &[u8]) -> Vec<u8> {
    let element = name.trim_end_matches("[]");
    let wanted = from_sql_name(element).or_else(|| from_internal_name(element));
    let wanted = wanted.expect("a type's name");
    let wanted = SqlType {
        array: name.ends_with("[]"),
        ..wanted
    };
    let place = all().iter().position(|known| *known == wanted);
    let place = place.expect("among all of them");
    [&[place as u8], value].concat()
}

/// The type and the value of an input.
pub fn split(data: &[u8]) -> Option<(SqlType, &[u8])> {
    let (first, rest) = data.split_first()?;
    let types = all();
    Some((types[usize::from(*first) % types.len()], rest))
}

/// The value as text.
pub fn print(value: &ScalarValue, sql_type: SqlType, settings: &Settings) -> String {
    let array = value.to_array().expect("a scalar is an array of one");
    let mut out = BytesMut::new();
    encode_text(&array, 0, sql_type, settings, &mut out).expect("a value of its own type");
    String::from_utf8(out.to_vec()).expect("output is UTF-8")
}

/// The value as a binary column or parameter.
pub fn send(value: &ScalarValue, sql_type: SqlType) -> Vec<u8> {
    let array = value.to_array().expect("a scalar is an array of one");
    let mut out = BytesMut::new();
    encode_binary(&array, 0, sql_type, &mut out).expect("a value of its own type");
    out.to_vec()
}
