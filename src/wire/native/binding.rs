//! A client's values as the parameters of a statement, in the forms that Bind takes: text, and
//! bytes as they are where bytes are wanted.

use super::value::Value;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types;
use crate::session::format::Format;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The OID of the type that a value has of itself; 0 where the statement is to say.
pub fn own_type(value: &Value) -> u32 {
    let kind = match value {
        Value::Boolean(_) => TypeKind::Bool,
        Value::Integer(value) if i32::try_from(*value).is_ok() => TypeKind::Int4,
        Value::Integer(_) => TypeKind::Int8,
        Value::Float(_) => TypeKind::Float8,
        Value::Bytes(_) => TypeKind::Bytea,
        Value::Map(_) => TypeKind::Jsonb,
        Value::Null | Value::Text(_) | Value::Array(_) => return 0,
    };
    types::oid(SqlType::scalar(kind)).0
}

/// The value for a parameter of this type; None is NULL.
pub fn bound(value: &Value, wanted: SqlType) -> (Format, Option<Vec<u8>>) {
    let is_json = matches!(wanted.kind, TypeKind::Json | TypeKind::Jsonb) && !wanted.array;
    let mut text = String::new();
    match value {
        Value::Null => return (Format::Text, None),
        Value::Bytes(bytes) if wanted == SqlType::scalar(TypeKind::Bytea) => {
            return (Format::Binary, Some(bytes.clone()));
        }
        // A text for json is JSON already, as PostgreSQL takes it.
        Value::Text(given) => text.push_str(given),
        value if is_json => json(value, &mut text),
        value => plain(value, &mut text),
    }
    (Format::Text, Some(text.into_bytes()))
}

fn plain(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("NULL"),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Integer(value) => out.push_str(itoa::Buffer::new().format(*value)),
        Value::Float(value) => float(*value, out),
        Value::Text(text) => out.push_str(text),
        Value::Bytes(bytes) => hexadecimal(bytes, out),
        Value::Array(elements) => array(elements, out),
        Value::Map(_) => json(value, out),
    }
}

/// The shortest text that reads as the same number; whole ones without a point, which an integer
/// parameter would refuse.
fn float(value: f64, out: &mut String) {
    const PLAIN: std::ops::Range<f64> = 1e-5..1e15;
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else if value == 0.0 || PLAIN.contains(&value.abs()) {
        out.push_str(&value.to_string());
    } else {
        out.push_str(&format!("{value:e}"));
    }
}

/// bytea's own text form.
fn hexadecimal(bytes: &[u8], out: &mut String) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    out.reserve(2 + 2 * bytes.len());
    out.push_str("\\x");
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 0xf)]);
    }
}

/// `{1,"two",NULL}` (PostgreSQL §8.15.2)
fn array(elements: &[Value], out: &mut String) {
    out.push('{');
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match element {
            Value::Null | Value::Array(_) => plain(element, out),
            element => {
                let mut text = String::new();
                plain(element, &mut text);
                out.push('"');
                for character in text.chars() {
                    if matches!(character, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(character);
                }
                out.push('"');
            }
        }
    }
    out.push('}');
}

fn json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Text(text) => json_text(text, out),
        // JSON has no such numbers.
        Value::Float(value) if !value.is_finite() => {
            let mut text = String::new();
            float(*value, &mut text);
            json_text(&text, out);
        }
        Value::Boolean(_) | Value::Integer(_) | Value::Float(_) => plain(value, out),
        Value::Bytes(bytes) => json_text(&BASE64_STANDARD.encode(bytes), out),
        Value::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json(element, out);
            }
            out.push(']');
        }
        Value::Map(pairs) => {
            out.push('{');
            for (index, (key, value)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json_text(key, out);
                out.push(':');
                json(value, out);
            }
            out.push('}');
        }
    }
}

fn json_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_text(value: Value, kind: TypeKind) -> String {
        let (format, bytes) = bound(&value, SqlType::scalar(kind));
        assert_eq!(format, Format::Text);
        String::from_utf8(bytes.expect("not NULL")).expect("text")
    }

    #[test]
    fn values_are_written_as_their_types_read_them() {
        for (value, expected) in [
            (Value::Boolean(true), "true"),
            (Value::Integer(i64::MIN), "-9223372036854775808"),
            (Value::Float(3.0), "3"),
            (Value::Float(-0.25), "-0.25"),
            (Value::Float(1e300), "1e300"),
            (Value::Float(f64::NEG_INFINITY), "-Infinity"),
            (Value::Text("as it is".to_owned()), "as it is"),
            (Value::Bytes(vec![0, 0xff]), "\\x00ff"),
        ] {
            assert_eq!(as_text(value, TypeKind::Text), expected);
        }
        let bytea = SqlType::scalar(TypeKind::Bytea);
        assert_eq!(
            bound(&Value::Bytes(vec![1]), bytea),
            (Format::Binary, Some(vec![1]))
        );
        assert_eq!(bound(&Value::Null, bytea), (Format::Text, None));
    }

    #[test]
    fn arrays_are_literals_or_json_by_what_is_wanted() {
        let text = |text: &str| Value::Text(text.to_owned());
        let inner = Value::Array(vec![Value::Integer(1)]);
        let array = Value::Array(vec![Value::Null, text("a\"b\\"), inner]);
        assert_eq!(
            as_text(array.clone(), TypeKind::Text),
            "{NULL,\"a\\\"b\\\\\",{\"1\"}}"
        );
        assert_eq!(as_text(array, TypeKind::Jsonb), "[null,\"a\\\"b\\\\\",[1]]");
        let map = Value::Map(vec![
            ("k\"".to_owned(), Value::Float(f64::NAN)),
            ("l".to_owned(), Value::Bytes(vec![0xff])),
        ]);
        let expected = "{\"k\\\"\":\"NaN\",\"l\":\"/w==\"}";
        assert_eq!(as_text(map.clone(), TypeKind::Json), expected);
        assert_eq!(as_text(map, TypeKind::Text), expected);
        assert_eq!(as_text(text("{\"a\":1}"), TypeKind::Json), "{\"a\":1}");
    }

    #[test]
    fn values_without_a_type_of_their_own_leave_it_to_the_statement() {
        assert_eq!(own_type(&Value::Text(String::new())), 0);
        assert_eq!(own_type(&Value::Null), 0);
        assert_eq!(own_type(&Value::Integer(1)), 23);
        assert_eq!(own_type(&Value::Integer(1 << 40)), 20);
        assert_eq!(own_type(&Value::Boolean(true)), 16);
        assert_eq!(own_type(&Value::Bytes(Vec::new())), 17);
    }
}
