//! JSON objects from strangers, read strictly: tokens, key sets and discovery documents.
//!
//! A name that stands twice is refused (RFC 7515 §4 and RFC 7519 §4 let a reader take the last one;
//! two readers that take different ones are an attack), so are depth past [`DEPTH_MAX`], U+0000, which
//! no text of SQL can hold, and anything behind the object.

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Objects and lists inside each other, the outermost counted.
pub const DEPTH_MAX: usize = 16;

/// An object's members.
pub type Object = BTreeMap<Arc<str>, Value>;

/// Why bytes are no object that is taken. Tells nothing of what stands in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// RFC 8259 §8.1
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Also a number that no double holds, and half a surrogate pair.
    #[error("it is not JSON")]
    NotJson,
    /// Another value.
    #[error("it is not an object")]
    NotAnObject,
    /// At any depth.
    #[error("a name stands twice in one object")]
    DuplicateName,
    /// [`DEPTH_MAX`]
    #[error("it is nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// Of the outermost object.
    #[error("it has more than {0} members")]
    TooManyMembers(usize),
    /// In a name or a text.
    #[error("a text in it holds U+0000")]
    Nul,
}

/// A small object's members in their order; names are borrowed from its text.
pub type Members<'a> = Vec<(Cow<'a, str>, Value)>;

/// Reads one object of at most so many members. Costs about what serde_json costs: a microsecond for
/// the claims of a token; the caller bounds the bytes.
///
/// # Errors
/// [`Fault`]
pub fn object(bytes: &[u8], members_max: usize) -> Result<Object, Fault> {
    read(bytes, members_max)
}

/// Reads one object of few members, with the fewest allocations: each name is compared with each.
///
/// # Errors
/// [`Fault`]
pub fn members(bytes: &[u8], members_max: usize) -> Result<Members<'_>, Fault> {
    read(bytes, members_max)
}

fn read<'de, C: Collect<'de>>(bytes: &'de [u8], members_max: usize) -> Result<C, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::NotUtf8)?;
    let fault = Cell::new(None);
    let mut json = serde_json::Deserializer::from_str(text);
    let outermost = Outermost {
        members_max,
        fault: &fault,
        collected: PhantomData,
    };
    json.deserialize_any(outermost)
        .and_then(|object| json.end().map(|()| object))
        .map_err(|error| fault.get().unwrap_or(not_read(&error)))
}

/// What the outermost members are put into.
trait Collect<'de>: Default {
    fn len(&self) -> usize;

    /// Whether the name is new.
    fn put(&mut self, name: Cow<'de, str>, value: Value) -> bool;
}

impl<'de> Collect<'de> for Object {
    fn len(&self) -> usize {
        BTreeMap::len(self)
    }

    fn put(&mut self, name: Cow<'de, str>, value: Value) -> bool {
        self.insert(Arc::from(name), value).is_none()
    }
}

impl<'de> Collect<'de> for Members<'de> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn put(&mut self, name: Cow<'de, str>, value: Value) -> bool {
        let is_new = self.iter().all(|(other, _)| *other != name);
        self.push((name, value));
        is_new
    }
}

/// A fault that no visitor here has named.
fn not_read(error: &serde_json::Error) -> Fault {
    match error.classify() {
        serde_json::error::Category::Data => Fault::NotAnObject,
        _ => Fault::NotJson,
    }
}

struct Outermost<'a, C> {
    members_max: usize,
    fault: &'a Cell<Option<Fault>>,
    collected: PhantomData<C>,
}

impl<'de, C: Collect<'de>> Visitor<'de> for Outermost<'_, C> {
    type Value = C;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<C, A::Error> {
        let mut object = C::default();
        let strict = Strict {
            depth: 1,
            fault: self.fault,
        };
        while let Some(name) = map.next_key_seed(Name(strict))? {
            if object.len() == self.members_max {
                return Err(strict.refuse(Fault::TooManyMembers(self.members_max)));
            }
            if !object.put(name, map.next_value_seed(strict)?) {
                return Err(strict.refuse(Fault::DuplicateName));
            }
        }
        Ok(object)
    }
}

/// A member's name, borrowed where nothing in it is escaped.
struct Name<'a>(Strict<'a>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Cow<'de, str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        self.0.text(name).map(|name| Cow::Owned(name.to_owned()))
    }
}

/// A value inside, with how deep it lies.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    fault: &'a Cell<Option<Fault>>,
}

impl Strict<'_> {
    fn refuse<E: serde::de::Error>(self, fault: Fault) -> E {
        self.fault.set(Some(fault));
        E::custom(fault)
    }

    /// A text with an escape in it. Without one it is borrowed, and holds no U+0000: JSON has no other
    /// way to write it.
    fn text<E: serde::de::Error>(self, text: &str) -> Result<&str, E> {
        match text.contains('\0') {
            true => Err(self.refuse(Fault::Nul)),
            false => Ok(text),
        }
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        match depth > DEPTH_MAX {
            true => Err(self.refuse(Fault::TooDeep)),
            false => Ok(Strict { depth, ..self }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| self.refuse(Fault::NotJson))?;
        Ok(Value::Number(number))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.text(value).map(Value::from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inside = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inside = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = map.next_key_seed(Name(inside))?.map(Cow::into_owned) {
            if object.contains_key(&name) {
                return Err(self.refuse(Fault::DuplicateName));
            }
            let value = map.next_value_seed(inside)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Both ways of keeping members, which agree.
    fn read(text: &str) -> Result<Object, Fault> {
        let object = object(text.as_bytes(), 3);
        let members = members(text.as_bytes(), 3);
        let same = members.map(|it| it.into_iter().map(|(k, v)| (Arc::from(k), v)).collect());
        assert_eq!(object, same, "{text}");
        object
    }

    #[test]
    fn an_object_is_read_as_serde_json_reads_it() {
        let text = r#" {"a": [1, -2, 1.5, "x\u00e9", null, true], "b": {"c": {}}, "d": 18446744073709551615} "#;
        let read = read(text).expect("an object");
        let read = Value::Object(
            read.iter()
                .map(|(k, v)| (k.to_string(), v.clone()))
                .collect(),
        );
        assert_eq!(read, serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn what_is_not_one_strict_object_is_refused_with_its_reason() {
        let cases = [
            (r#"{"a":1,"a":1}"#, Fault::DuplicateName),
            (r#"{"a":1,"\u0061":1}"#, Fault::DuplicateName),
            (r#"{"a":1,"b":2,"a":3}"#, Fault::DuplicateName),
            (r#"{"a":[{"b":1,"b":2}]}"#, Fault::DuplicateName),
            (r#"["a"]"#, Fault::NotAnObject),
            (r#""a secret""#, Fault::NotAnObject),
            ("", Fault::NotJson),
            (r#"{"a":1"#, Fault::NotJson),
            (r#"{"a":1}{}"#, Fault::NotJson),
            (r#"{"a":1e999}"#, Fault::NotJson),
            (r#"{"a":NaN}"#, Fault::NotJson),
            (r#"{"a":"\ud800"}"#, Fault::NotJson),
            (r#"{"a":1,}"#, Fault::NotJson),
            (r#"{"a":"\u0000"}"#, Fault::Nul),
            ("{\"a\":\"\0\"}", Fault::NotJson),
            (r#"{"\u0000":1}"#, Fault::Nul),
            (r#"{"a":{"\u0000":1}}"#, Fault::Nul),
            (r#"{"a":1,"b":2,"c":3,"d":4}"#, Fault::TooManyMembers(3)),
        ];
        for (text, fault) in cases {
            assert_eq!(read(text), Err(fault), "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}", 3), Err(Fault::NotUtf8));
        assert_eq!(read(r#"{"a":1,"b":2,"c":3}"#).map(|it| it.len()), Ok(3));
    }

    #[test]
    fn it_may_be_nested_sixteen_deep_and_no_deeper() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
            read(&format!("{{\"a\":{open}{close}}}"))
        };
        assert!(nested(DEPTH_MAX).is_ok());
        assert_eq!(nested(DEPTH_MAX + 1), Err(Fault::TooDeep));
        assert_eq!(nested(100_000), Err(Fault::TooDeep));
        let objects = format!("{}1{}", "{\"a\":".repeat(17), "}".repeat(17));
        assert_eq!(read(&objects), Err(Fault::TooDeep));
    }

    #[test]
    fn a_fault_tells_nothing_of_what_was_read() {
        let fault = read(r#""a secret""#).unwrap_err();
        assert!(
            !format!("{fault} {fault:?}").contains("secret"),
            "{}",
            json!(1)
        );
    }
}
