//! Looking into json and jsonb without reading what is not asked for: a value is a part of the
//! text, and of jsonb that part is printed as it stands.
//!
//! The text is JSON already (`json::check`), however deep: nothing here recurses but on jsonb,
//! which `json` bounds.

use super::number::Number;
use std::borrow::Cow;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number.
    Number,
    /// true or false.
    Boolean,
    /// null
    Null,
}

impl Kind {
    /// What jsonb_typeof() calls it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Object => "object",
            Kind::Array => "array",
            Kind::String => "string",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Null => "null",
        }
    }

    /// Whether it is neither an object nor an array.
    pub fn is_scalar(self) -> bool {
        !matches!(self, Kind::Object | Kind::Array)
    }
}

/// A JSON value by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// Of a text that is JSON.
    pub fn new(text: &'a str) -> Json<'a> {
        Json(text.trim_ascii())
    }

    /// The value's text.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// What `->>` gives: a string's characters, NULL of null, else the text.
    pub fn to_text(self) -> Option<Cow<'a, str>> {
        match self.kind() {
            Kind::Null => None,
            Kind::String => Some(unquoted(self.0)),
            _ => Some(Cow::Borrowed(self.0)),
        }
    }

    /// Keys and values of an object in the order of the text; nothing of anything else.
    pub fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Json<'a>)> {
        let mut rest = match self.kind() {
            Kind::Object => inside(self.0),
            _ => "",
        };
        std::iter::from_fn(move || {
            let (key, after) = part(rest)?;
            let after = after.trim_ascii_start().strip_prefix(':')?;
            let (value, after) = part(after)?;
            rest = past_comma(after);
            Some((unquoted(key), Json(value)))
        })
    }

    /// Elements of an array; none of anything else.
    pub fn elements(self) -> impl Iterator<Item = Json<'a>> {
        let mut rest = match self.kind() {
            Kind::Array => inside(self.0),
            _ => "",
        };
        std::iter::from_fn(move || {
            let (value, after) = part(rest)?;
            rest = past_comma(after);
            Some(Json(value))
        })
    }

    /// The member of an object; of equal keys the last.
    pub fn member(self, key: &str) -> Option<Json<'a>> {
        let mut found = None;
        for (name, value) in self.members() {
            if name == key {
                found = Some(value);
            }
        }
        found
    }

    /// The element of an array, counted from 0, or from the end where negative.
    pub fn element(self, index: i64) -> Option<Json<'a>> {
        self.elements()
            .nth(place(index, || self.elements().count())?)
    }

    /// Where a path of keys and numbers leads.
    pub fn at_path<'p>(self, path: impl IntoIterator<Item = &'p str>) -> Option<Json<'a>> {
        path.into_iter()
            .try_fold(self, |value, step| match value.kind() {
                Kind::Object => value.member(step),
                Kind::Array => value.element(step.trim_ascii().parse().ok()?),
                _ => None,
            })
    }

    /// Whether jsonb's `@>` holds at the top, where an array may also contain a scalar.
    pub fn contains(self, other: Json<'_>) -> bool {
        if self.kind() == Kind::Array && other.kind().is_scalar() {
            return self.elements().any(|element| element.equals(other));
        }
        self.contains_inside(other)
    }

    fn contains_inside(self, other: Json<'_>) -> bool {
        match (self.kind(), other.kind()) {
            (Kind::Object, Kind::Object) => other.members().all(|(key, wanted)| {
                self.member(&key)
                    .is_some_and(|found| found.contains_inside(wanted))
            }),
            (Kind::Array, Kind::Array) => other.elements().all(|wanted| {
                self.elements().any(|found| match wanted.kind() {
                    kind if kind.is_scalar() => found.equals(wanted),
                    _ => found.contains_inside(wanted),
                })
            }),
            _ => self.equals(other),
        }
    }

    /// Whether jsonb's `=` holds.
    pub fn equals(self, other: Json<'_>) -> bool {
        self.0 == other.0 || self.key() == other.key()
    }

    /// Bytes that are in jsonb's order, and equal where the values are.
    ///
    /// Objects follow arrays and scalars; those of fewer elements come first, and a scalar before an
    /// array of one (so that an empty array comes before everything, as in PostgreSQL).
    pub fn key(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() + 8);
        match self.kind() {
            Kind::Object => {
                out.push(1);
                self.write_key(&mut out);
            }
            Kind::Array => {
                out.push(0);
                out.extend_from_slice(&(self.elements().count() as u32).to_be_bytes());
                out.push(1);
                self.elements()
                    .for_each(|element| element.write_key(&mut out));
            }
            _ => {
                out.push(0);
                out.extend_from_slice(&1u32.to_be_bytes());
                out.push(0);
                self.write_key(&mut out);
            }
        }
        out
    }

    /// The key of a value inside: the kinds in PostgreSQL's order, and behind each what it holds.
    fn write_key(self, out: &mut Vec<u8>) {
        let string = |text: &str, out: &mut Vec<u8>| {
            // jsonb's strings hold no NUL.
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        };
        match self.kind() {
            Kind::Null => out.push(0),
            Kind::String => {
                out.push(1);
                string(&unquoted(self.0), out);
            }
            Kind::Number => {
                out.push(2);
                self.number().write_key(out);
            }
            Kind::Boolean => out.extend_from_slice(&[3, u8::from(self.0 == "true")]),
            Kind::Array => {
                out.push(4);
                out.extend_from_slice(&(self.elements().count() as u32).to_be_bytes());
                self.elements().for_each(|element| element.write_key(out));
            }
            Kind::Object => {
                out.push(5);
                out.extend_from_slice(&(self.members().count() as u32).to_be_bytes());
                for (key, value) in self.members() {
                    string(&key, out);
                    value.write_key(out);
                }
            }
        }
    }

    /// The number that a number's text means.
    pub fn number(self) -> Number {
        Number::parse(self.0, super::name::ANY_NUMERIC).unwrap_or(Number::NaN)
    }
}

/// The place in an array that an index means; None before the first.
pub fn place(index: i64, length: impl FnOnce() -> usize) -> Option<usize> {
    match index {
        0.. => usize::try_from(index).ok(),
        _ => usize::try_from(i64::try_from(length()).ok()? + index).ok(),
    }
}

/// Between the brackets.
fn inside(text: &str) -> &str {
    text.get(1..text.len().saturating_sub(1)).unwrap_or("")
}

fn past_comma(text: &str) -> &str {
    let text = text.trim_ascii_start();
    text.strip_prefix(',').unwrap_or(text)
}

/// The value at the beginning, and what follows it; None where there is none.
fn part(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_ascii_start();
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b',' | b':' | b'}' | b']' if depth == 0 => break,
            byte if byte.is_ascii_whitespace() && depth == 0 => break,
            _ => {}
        }
        at += 1;
        if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
            break;
        }
    }
    (at > 0).then(|| text.split_at(at.min(text.len())))
}

/// Where the string that begins here has its closing quote.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// A string's characters.
fn unquoted(quoted: &str) -> Cow<'_, str> {
    let text = inside(quoted);
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    // A lone surrogate, which json lets pass, has no character.
    serde_json::from_str(quoted).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::types::json;

    #[test]
    fn parts_are_found_in_any_layout() {
        let text = r#" { "a" : [1, {"b":"x,]}"} ,null] , "c\n":true,"a" : 2 } "#;
        let value = Json::new(text);
        let members: Vec<_> = value
            .members()
            .map(|(key, value)| (key.into_owned(), value.raw()))
            .collect();
        assert_eq!(
            members,
            [
                ("a".to_owned(), r#"[1, {"b":"x,]}"} ,null]"#),
                ("c\n".to_owned(), "true"),
                ("a".to_owned(), "2"),
            ]
        );
        let list = members[0].1;
        let elements: Vec<_> = Json::new(list).elements().map(Json::raw).collect();
        assert_eq!(elements, ["1", r#"{"b":"x,]}"}"#, "null"]);
        assert_eq!(Json::new(list).element(-1).map(Json::raw), Some("null"));
        assert_eq!(
            Json::new(list).at_path(["1", "b"]).map(Json::raw),
            Some("\"x,]}\"")
        );
        assert_eq!(Json::new("[]").elements().count(), 0);
        assert_eq!(Json::new("{ }").members().count(), 0);
    }

    #[test]
    fn a_text_nested_deeper_than_any_stack_is_looked_into() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let inner = Json::new(&deep).element(0).expect("one element");
        assert_eq!(inner.raw().len(), deep.len() - 2);
    }

    /// From PostgreSQL 15: each is less than the next.
    #[test]
    fn keys_are_in_the_order_of_jsonb() {
        let ordered = [
            "[]",
            "null",
            "\"a\"",
            "\"b\"",
            "1",
            "1.5",
            "false",
            "true",
            "[1]",
            "[2]",
            "[0, 1]",
            "{}",
            "{\"a\": 1}",
            "{\"a\": 2}",
            "{\"a\": 1, \"b\": 0}",
        ];
        for pair in ordered.windows(2) {
            let [left, right] = [pair[0], pair[1]].map(|text| Json::new(text).key());
            assert!(left < right, "{pair:?}");
        }
        assert!(Json::new("1").equals(Json::new("1.00")));
    }

    proptest::proptest! {
        #[test]
        fn any_json_is_taken_apart_and_put_together(text in r#"[\[\]{}",:0-9a-e.\\ -]{0,24}"#) {
            if let Ok(normal) = json::normalise(&text) {
                let value = Json::new(&normal);
                let again = match value.kind() {
                    Kind::Array => format!("[{}]", value.elements().map(Json::raw).collect::<Vec<_>>().join(", ")),
                    Kind::Object => json::object(value.members().map(|(key, value)| (key.into_owned(), value.raw().to_owned())).collect()),
                    _ => value.raw().to_owned(),
                };
                proptest::prop_assert_eq!(again, normal);
            }
        }
    }
}
