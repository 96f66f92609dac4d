//! Types that somebody has defined: enumerations, whose values are labels in an order.
//!
//! A value is kept as `key label`: a key of digits that is given to the label once and never changes,
//! a blank, the label. The blank is below every digit, so that values compare as bytes in the order of
//! the labels, whatever compares them: rows, keys of indexes, sorts and groups need no definition, and
//! printing a value is leaving its key out. Only reading a label asks the definition. Between two keys
//! there always is another one, so that a label that is added anywhere leaves all rows as they are.
//! Renaming a label is what this costs: the rows that have it are written anew.

use super::ids::{DatabaseId, Oid, PrincipalId};
use super::sql_type::{EnumType, SqlType, TypeKind};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Labels of one type; PostgreSQL has no limit.
pub const ENUM_LABELS_MAX: usize = 4_096;
/// Bytes of a label: PostgreSQL's NAMEDATALEN - 1.
pub const ENUM_LABEL_BYTES_MAX: usize = 63;

/// The digits of keys, in the order of their bytes.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Ends a key, below every digit.
const END_OF_KEY: u8 = b' ';
/// Names that messages are told; past it they are forgotten, and told by their OIDs.
const NAMES_MAX: usize = 65_536;

/// A type of one database that somebody has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserType {
    /// pg_type.oid, and that of its arrays.
    pub type_id: EnumType,
    /// The database it belongs to.
    pub database: DatabaseId,
    /// `public` unless created elsewhere.
    pub schema: Arc<str>,
    /// Its name in the schema.
    pub name: Arc<str>,
    /// Who owns it.
    pub owner: PrincipalId,
    /// COMMENT ON it.
    pub comment: Option<Arc<str>>,
    /// Its labels, in their order.
    pub labels: Vec<EnumLabel>,
}

/// A label of an enumeration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnumLabel {
    /// pg_enum.oid
    pub oid: Oid,
    /// Where it stands among the others: digits, of which the last is not `0`.
    pub key: Arc<str>,
    /// The label itself.
    pub label: Arc<str>,
}

impl UserType {
    /// The type of a column of it.
    pub fn sql_type(&self) -> SqlType {
        SqlType::scalar(TypeKind::Enum(self.type_id))
    }

    /// The place of a label; None: it has no such label.
    pub fn place(&self, label: &str) -> Option<usize> {
        self.labels.iter().position(|known| *known.label == *label)
    }

    /// The value that a label is; None: it has no such label.
    pub fn value(&self, label: &str) -> Option<Vec<u8>> {
        Some(self.labels[self.place(label)?].value())
    }

    /// Puts a label at a place, before the one that is there.
    pub fn insert(&mut self, place: usize, oid: Oid, label: &str) {
        let before = place.checked_sub(1).map(|at| &*self.labels[at].key);
        let key = match (before, self.labels.get(place)) {
            (Some(last), None) => key_after(last),
            (before, after) => {
                key_between(before.unwrap_or(""), after.map(|after| after.key.as_ref()))
            }
        };
        let (key, label) = (key.into(), label.into());
        self.labels.insert(place, EnumLabel { oid, key, label });
    }
}

impl EnumLabel {
    /// The value that the label is, as rows have it.
    pub fn value(&self) -> Vec<u8> {
        [self.key.as_bytes(), &[END_OF_KEY], self.label.as_bytes()].concat()
    }
}

/// The label of a value; None for bytes that are no value.
pub fn label_of(value: &[u8]) -> Option<&str> {
    let end = value.iter().position(|byte| *byte == END_OF_KEY)?;
    std::str::from_utf8(&value[end + 1..]).ok()
}

/// The key that the label at this place begins with, of so many that are there from the start.
pub fn first_key(place: usize, labels: usize) -> String {
    // The last digit is not 0, so that there is a key before each.
    let lasts = DIGITS.len() - 1;
    let mut rest = place / lasts;
    let mut key = vec![DIGITS[place % lasts + 1]];
    let mut all = lasts;
    while all < labels {
        key.push(DIGITS[rest % DIGITS.len()]);
        rest /= DIGITS.len();
        all *= DIGITS.len();
    }
    key.reverse();
    text(key)
}

/// A key behind the last one.
fn key_after(last: &str) -> String {
    let mut key = last.as_bytes().to_vec();
    match key.last().map(|digit| place_of(*digit)) {
        Some(place) if place + 1 < DIGITS.len() => {
            key.pop();
            key.push(DIGITS[place + 1]);
        }
        _ => key.push(DIGITS[1]),
    }
    text(key)
}

/// A key between two, the first of which may be empty and the second missing: the digits of a fraction.
fn key_between(low: &str, high: Option<&str>) -> String {
    let (mut low, mut high) = (low.as_bytes(), high.map(str::as_bytes));
    let mut key = Vec::new();
    loop {
        let from = low.first().map_or(0, |digit| place_of(*digit));
        let to = high.map_or(DIGITS.len(), |high| {
            high.first().map_or(0, |digit| place_of(*digit))
        });
        if to > from + 1 {
            key.push(DIGITS[from.midpoint(to)]);
            return text(key);
        }
        key.push(DIGITS[from]);
        low = low.get(1..).unwrap_or_default();
        high = match high {
            // So far they are the same.
            Some(high) if from == to => high.get(1..),
            // Whatever follows is below the second key already.
            _ => None,
        };
    }
}

fn place_of(digit: u8) -> usize {
    DIGITS.binary_search(&digit).unwrap_or(0)
}

fn text(key: Vec<u8>) -> String {
    String::from_utf8(key).expect("digits are ASCII")
}

/// The names of types as messages tell them, by their OIDs.
///
/// Types are known by OID wherever values of them are; a message of a room that knows no definitions
/// looks the name up here. Nothing is decided by it: it is kept for the whole process, as it was when a
/// definition was last seen, committed or not.
static NAMES: OnceLock<RwLock<HashMap<Oid, Arc<str>>>> = OnceLock::new();

/// Notes what messages call a type from now on.
pub fn note_name(known: &UserType) {
    let shown: Arc<str> = match &*known.schema {
        super::schema::PUBLIC => known.name.clone(),
        schema => format!("{schema}.{}", known.name).into(),
    };
    let mut names = NAMES.get_or_init(RwLock::default).write();
    if names.len() >= NAMES_MAX {
        names.clear();
    }
    names.insert(known.type_id.array, format!("{shown}[]").into());
    names.insert(known.type_id.oid, shown);
}

/// What messages call the type with this OID, of values or arrays.
pub fn noted_name_of(oid: Oid) -> Option<Arc<str>> {
    let names = NAMES.get_or_init(RwLock::default).read();
    names.get(&oid).cloned()
}

/// What messages call a type.
pub fn noted_name(type_id: EnumType) -> Arc<str> {
    let names = NAMES.get_or_init(RwLock::default).read();
    let known = names.get(&type_id.oid).cloned();
    known.unwrap_or_else(|| format!("enum {}", type_id.oid).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: usize) -> UserType {
        let label = |place| EnumLabel {
            oid: Oid(place as u32),
            key: first_key(place, labels).into(),
            label: format!("l{place}").into(),
        };
        UserType {
            type_id: EnumType {
                oid: Oid(1),
                array: Oid(2),
            },
            database: DatabaseId(5),
            schema: Arc::from("public"),
            name: Arc::from("mood"),
            owner: PrincipalId(10),
            comment: None,
            labels: (0..labels).map(label).collect(),
        }
    }

    fn in_order(known: &UserType) -> bool {
        let values: Vec<_> = known.labels.iter().map(EnumLabel::value).collect();
        values.windows(2).all(|pair| pair[0] < pair[1])
            && known.labels.iter().all(|label| !label.key.ends_with('0'))
    }

    #[test]
    fn values_compare_in_the_order_of_the_labels_and_tell_them() {
        for labels in [0, 1, 3, 61, 62, 3_782, ENUM_LABELS_MAX] {
            let known = of(labels);
            assert!(in_order(&known), "{labels}");
            for label in &known.labels {
                assert_eq!(label_of(&label.value()), Some(&*label.label));
            }
        }
        assert_eq!(label_of(b"none"), None);
    }

    #[test]
    fn labels_added_before_the_same_one_again_and_again_stay_in_order() {
        let mut known = of(2);
        for added in 0..1_000 {
            known.insert(1, Oid(added), &format!("before {added}"));
        }
        for added in 0..1_000 {
            known.insert(0, Oid(added), &format!("first {added}"));
            known.insert(known.labels.len(), Oid(added), &format!("last {added}"));
        }
        assert!(in_order(&known));
    }

    proptest::proptest! {
        #[test]
        fn labels_added_anywhere_stay_in_order(
            labels in 0_usize..70,
            places in proptest::collection::vec(0_usize..1_000, 0..200),
        ) {
            let mut known = of(labels);
            for (number, place) in places.into_iter().enumerate() {
                let place = place % (known.labels.len() + 1);
                known.insert(place, Oid(0), &format!("new {number}"));
            }
            proptest::prop_assert!(in_order(&known));
        }
    }
}
