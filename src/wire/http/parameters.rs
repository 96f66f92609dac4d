//! The values of `params`, as the texts they are bound by.
//!
//! A number is bound by its own digits: read as a double and printed again,
//! 12345678901234567890.12 would be another. serde_json has then read the body and found it well
//! formed; what stands here cuts the text of each value out of it.

use crate::diagnostic::{Diagnostic, SqlState};
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use std::fmt;
use std::ops::Range;

/// The most parameters of a statement: what PostgreSQL's protocol can count.
pub const PARAMETERS_MAX: usize = 65_535;

/// How many values `params` holds; in place of the values, whose tree would take many times the
/// memory of their text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count(pub usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of values")
            }

            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(0))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while elements.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }
        deserializer.deserialize_any(Elements)
    }
}

/// The values of the member `params` of a body that serde_json has read: None is NULL, a string is
/// what it says, everything else its own JSON text.
///
/// # Errors
/// 54000 past [`PARAMETERS_MAX`], 22021 for a string that is no text.
pub fn values(body: &str, count: Count) -> Result<Vec<Option<String>>, Diagnostic> {
    if count.0 > PARAMETERS_MAX {
        return Err(Diagnostic::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("more than {PARAMETERS_MAX} parameters"),
        ));
    }
    if count.0 == 0 {
        return Ok(Vec::new());
    }
    elements(body)
        .into_iter()
        .enumerate()
        .map(|(index, element)| value(element, index + 1))
        .collect()
}

fn value(element: &str, number: usize) -> Result<Option<String>, Diagnostic> {
    match element.as_bytes() {
        b"null" => Ok(None),
        [b'"', ..] => serde_json::from_str(element).map(Some).map_err(|_| {
            // Half of a surrogate pair, which no UTF-8 can hold.
            Diagnostic::error(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                format!("parameter ${number} is not a Unicode text"),
            )
        }),
        _ => Ok(Some(element.to_owned())),
    }
}

/// The texts of the elements of the member `params`.
fn elements(body: &str) -> Vec<&str> {
    let mut scanner = Scanner { text: body, at: 0 };
    scanner.step();
    while let Some(key) = scanner.next_value() {
        scanner.step();
        let value = scanner.next_value();
        let is_params = serde_json::from_str::<String>(key).is_ok_and(|key| key == "params");
        if let (true, Some(value)) = (is_params, value) {
            let mut inside = Scanner { text: value, at: 0 };
            inside.step();
            let mut found = Vec::new();
            while let Some(element) = inside.next_value() {
                found.push(element);
                inside.step();
            }
            return found;
        }
        scanner.step();
    }
    Vec::new()
}

/// Walks over JSON that is known to be well formed. On any other text it gives nonsense, and ends.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Past a bracket, comma or colon.
    fn step(&mut self) {
        self.skip_space();
        self.at += 1;
    }

    /// The text of the next value; None at the end of the array or object.
    fn next_value(&mut self) -> Option<&'a str> {
        self.skip_space();
        let Range { start, end } = self.at..self.end_of_value();
        self.at = end;
        self.text.get(start..end).filter(|text| !text.is_empty())
    }

    fn end_of_value(&self) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        let mut depth = 0_usize;
        while at < bytes.len() {
            match bytes[at] {
                b'"' => at = past_string(bytes, at),
                b'[' | b'{' => {
                    depth += 1;
                    at += 1;
                    continue;
                }
                b']' | b'}' if depth == 0 => return at,
                b']' | b'}' => {
                    depth -= 1;
                    at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
                _ => {
                    at += 1;
                    continue;
                }
            }
            if depth == 0 {
                return at;
            }
        }
        bytes.len()
    }
}

fn past_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn of(body: &str) -> Vec<Option<String>> {
        values(body, Count(1)).expect("well formed")
    }

    #[test]
    fn each_value_is_bound_by_its_own_text() {
        let some = |text: &str| Some(text.to_owned());
        let body = r#" { "sql" : "params: [9]" ,"par\u0061ms" : [ 12345678901234567890.120, "a\"]\n",
            null,true , {"a": [1, "}"]}, [] , -1e3, "" ] , "database": "x" } "#;
        assert_eq!(
            of(body),
            [
                some("12345678901234567890.120"),
                some("a\"]\n"),
                None,
                some("true"),
                some(r#"{"a": [1, "}"]}"#),
                some("[]"),
                some("-1e3"),
                some(""),
            ]
        );
    }

    #[test]
    fn what_is_not_there_or_past_the_limit_is_no_parameter() {
        assert_eq!(of(r#"{"sql": "x", "x": {"params": [1]}}"#), []);
        let error = values("{}", Count(PARAMETERS_MAX + 1)).expect_err("too many");
        assert_eq!(error.sqlstate(), SqlState::PROGRAM_LIMIT_EXCEEDED);
        let error = values(r#"{"params": ["\ud800"]}"#, Count(1)).expect_err("half a pair");
        assert_eq!(error.sqlstate(), SqlState::CHARACTER_NOT_IN_REPERTOIRE);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ \\[\\]{}:,\"\\\\a\n€]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[\"\\\\a,:]{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_values_cut_out_are_those_that_a_parser_finds(
            params in prop::collection::vec(any_json(), 0..6),
            before in any_json(),
            pretty in any::<bool>(),
        ) {
            let body = serde_json::json!({"a": before, "params": params, "z": 1});
            let text = match pretty {
                true => serde_json::to_string_pretty(&body),
                false => serde_json::to_string(&body),
            }
            .unwrap();
            let found: Vec<Value> = elements(&text)
                .into_iter()
                .map(|element| serde_json::from_str(element).expect("a whole value"))
                .collect();
            prop_assert_eq!(found, params);
        }

        #[test]
        fn any_text_comes_to_an_end(text in "[\\[\\]{}:,\"\\\\ a1\n]{0,40}") {
            let _ = elements(&text);
            let _ = elements(&format!("{{\"params\":{text}"));
        }
    }
}
