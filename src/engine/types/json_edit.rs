//! jsonb made of jsonb: `||`, `-`, `#-`, jsonb_set and their like. What they give is printed as
//! jsonb is.

use super::json::object;
use super::json_value::{Json, Kind, place};
use crate::diagnostic::{Diagnostic, SqlState};

type Result<T> = std::result::Result<T, Diagnostic>;

fn invalid(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// `[…]` of these texts.
pub fn array<S: AsRef<str>>(elements: impl IntoIterator<Item = S>) -> String {
    let mut out = String::from("[");
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        out.push_str(element.as_ref());
    }
    out.push(']');
    out
}

fn members(of: Json<'_>) -> Vec<(String, String)> {
    of.members()
        .map(|(key, value)| (key.into_owned(), value.raw().to_owned()))
        .collect()
}

/// `||`: of two objects' members the right one's replace those of the same key; else both are
/// lists, a value that is none being one of itself.
pub fn concatenated(left: Json<'_>, right: Json<'_>) -> String {
    if (left.kind(), right.kind()) == (Kind::Object, Kind::Object) {
        let mut joined = members(left);
        joined.extend(members(right));
        return object(joined);
    }
    let list = |value: Json<'_>| match value.kind() {
        Kind::Array => value
            .elements()
            .map(|element| element.raw().to_owned())
            .collect(),
        _ => vec![value.raw().to_owned()],
    };
    let mut all = list(left);
    all.extend(list(right));
    array(all)
}

/// `- keys`: without the members, or the elements that are these strings.
///
/// # Errors
/// 22023 of a scalar.
pub fn without(value: Json<'_>, keys: &[&str]) -> Result<String> {
    match value.kind() {
        Kind::Object => {
            let mut kept = members(value);
            kept.retain(|(key, _)| !keys.contains(&key.as_str()));
            Ok(object(kept))
        }
        Kind::Array => {
            let kept = value.elements().filter(|element| {
                element.kind() != Kind::String
                    || !element.to_text().is_some_and(|text| keys.contains(&&*text))
            });
            Ok(array(kept.map(Json::raw)))
        }
        _ => Err(invalid("cannot delete from scalar")),
    }
}

/// `- index`: without the element.
///
/// # Errors
/// 22023 of an object or a scalar.
pub fn without_element(value: Json<'_>, index: i64) -> Result<String> {
    match value.kind() {
        Kind::Object => Err(invalid("cannot delete from object using integer index")),
        Kind::Array => {
            let gone = place(index, || value.elements().count());
            let kept = value.elements().enumerate();
            let kept = kept.filter(|(index, _)| Some(*index) != gone);
            Ok(array(kept.map(|(_, element)| element.raw())))
        }
        _ => Err(invalid("cannot delete from scalar")),
    }
}

/// What happens where a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// `#-`: what is there goes.
    Delete,
    /// jsonb_set: what is there is replaced; what is not there is made if the flag says so.
    Set(&'a str, bool),
    /// jsonb_insert: an element comes before the place, or after it; a member must be new.
    Insert(&'a str, After),
}

/// Which side of an element an inserted one comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Before it.
    No,
    /// After it.
    Yes,
}

/// The value with a change at the end of a path.
///
/// # Errors
/// 22023 of a scalar, and of a member that jsonb_insert would replace; 22P02 for a step into an
/// array that is no number.
pub fn changed(value: Json<'_>, path: &[&str], change: Change<'_>) -> Result<String> {
    if value.kind().is_scalar() {
        return Err(invalid(match change {
            Change::Delete => "cannot delete path in scalar",
            _ => "cannot set path in scalar",
        }));
    }
    if path.is_empty() {
        return Ok(value.raw().to_owned());
    }
    at(value, path, 1, change)
}

fn at(value: Json<'_>, path: &[&str], level: usize, change: Change<'_>) -> Result<String> {
    let Some((step, rest)) = path.split_first() else {
        return Ok(value.raw().to_owned());
    };
    match value.kind() {
        Kind::Object => in_object(value, step, rest, level, change),
        Kind::Array => in_array(value, step, rest, level, change),
        _ => Ok(value.raw().to_owned()),
    }
}

fn in_object(
    value: Json<'_>,
    step: &str,
    rest: &[&str],
    level: usize,
    change: Change<'_>,
) -> Result<String> {
    let mut members = members(value);
    let found = members.iter().position(|(key, _)| key == step);
    match (found, change) {
        (Some(found), _) if !rest.is_empty() => {
            let inner = at(Json::new(&members[found].1), rest, level + 1, change)?;
            members[found].1 = inner;
        }
        (Some(found), Change::Delete) => {
            members.remove(found);
        }
        (Some(found), Change::Set(new, _)) => new.clone_into(&mut members[found].1),
        (Some(_), Change::Insert(..)) => {
            return Err(invalid("cannot replace existing key")
                .with_hint("Try using the function jsonb_set to replace key value."));
        }
        (None, Change::Set(new, true) | Change::Insert(new, _)) if rest.is_empty() => {
            members.push((step.to_owned(), new.to_owned()));
        }
        (None, _) => {}
    }
    Ok(object(members))
}

fn in_array(
    value: Json<'_>,
    step: &str,
    rest: &[&str],
    level: usize,
    change: Change<'_>,
) -> Result<String> {
    let mut elements: Vec<String> = value
        .elements()
        .map(|element| element.raw().to_owned())
        .collect();
    let index: i64 = step.trim_ascii().parse().map_err(|_| {
        Diagnostic::error(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("path element at position {level} is not an integer: \"{step}\""),
        )
    })?;
    let found = place(index, || elements.len()).filter(|place| *place < elements.len());
    match (found, change) {
        (Some(found), _) if !rest.is_empty() => {
            let inner = at(Json::new(&elements[found]), rest, level + 1, change)?;
            elements[found] = inner;
        }
        (Some(found), Change::Delete) => {
            elements.remove(found);
        }
        (Some(found), Change::Set(new, _)) => new.clone_into(&mut elements[found]),
        (Some(found), Change::Insert(new, after)) => {
            elements.insert(found + usize::from(after == After::Yes), new.to_owned());
        }
        (None, Change::Set(new, true) | Change::Insert(new, _)) if rest.is_empty() => {
            // Past either end it is put there.
            let end = if index < 0 { 0 } else { elements.len() };
            elements.insert(end, new.to_owned());
        }
        (None, _) => {}
    }
    Ok(array(elements))
}

/// Without the members that are null, at every level.
pub fn without_nulls(value: Json<'_>, object: fn(Vec<(String, String)>) -> String) -> String {
    match value.kind() {
        Kind::Object => {
            let kept = value
                .members()
                .filter(|(_, value)| value.kind() != Kind::Null);
            object(
                kept.map(|(key, value)| (key.into_owned(), without_nulls(value, object)))
                    .collect(),
            )
        }
        Kind::Array => array(
            value
                .elements()
                .map(|element| without_nulls(element, object)),
        ),
        _ => value.raw().to_owned(),
    }
}

/// Over several lines, four blanks a level.
pub fn pretty(value: Json<'_>, level: usize, out: &mut String) {
    let line = |level: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", level));
    };
    match value.kind() {
        Kind::Object => {
            out.push('{');
            for (index, (key, member)) in value.members().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(level + 1, out);
                super::json::write_quoted(&key, out);
                out.push_str(": ");
                pretty(member, level + 1, out);
            }
            line(level, out);
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for (index, element) in value.elements().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(level + 1, out);
                pretty(element, level + 1, out);
            }
            line(level, out);
            out.push(']');
        }
        _ => out.push_str(value.raw()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From PostgreSQL 15.
    #[test]
    fn changes_are_those_of_postgresql() {
        let set = |value: &str, path: &[&str], new, create| {
            changed(Json::new(value), path, Change::Set(new, create)).expect(value)
        };
        assert_eq!(set("{\"a\": 1}", &["b"], "2", true), "{\"a\": 1, \"b\": 2}");
        assert_eq!(set("{\"a\": 1}", &["b"], "2", false), "{\"a\": 1}");
        assert_eq!(
            set("{\"a\": [1, 2]}", &["a", "-1"], "9", true),
            "{\"a\": [1, 9]}"
        );
        assert_eq!(set("[1, 2]", &["5"], "3", true), "[1, 2, 3]");
        assert_eq!(set("[1, 2]", &["-5"], "3", true), "[3, 1, 2]");
        assert_eq!(set("{\"a\": 1}", &["b", "c"], "2", true), "{\"a\": 1}");
        let delete = |value: &str, path: &[&str]| {
            changed(Json::new(value), path, Change::Delete).expect(value)
        };
        assert_eq!(delete("[1, [2, 3]]", &["1", "0"]), "[1, [3]]");
        assert!(changed(Json::new("1"), &["a"], Change::Delete).is_err());
        let inserted = changed(
            Json::new("{\"a\": [0, 1]}"),
            &["a", "1"],
            Change::Insert("\"x\"", After::Yes),
        );
        assert_eq!(inserted.as_deref(), Ok("{\"a\": [0, 1, \"x\"]}"));
    }
}
