//! A relation's definition as bytes in storage relation 1.
//!
//! ```text
//! key OID (4 bytes, big-endian)                       → format (1 byte), relation (bincode)
//! key database (4 bytes), schema, 00, name            → OID (4 bytes, big-endian)
//! key database (4 bytes), 00, name                    → format (1 byte), schema or that it is gone (bincode)
//! key database (4 bytes), schema, 00, 00, name        → format (1 byte), type (bincode)
//! ```
//!
//! The second kind claims a name: two transactions that make the same name meet in that key's lock.
//! It is always longer than four bytes, so that the kinds cannot be mixed up. The third is a schema, and
//! claims its name too: no relation is in a schema without a name. The fourth is a type, and claims its name
//! among types: no name has a byte 0.

use super::older;
use crate::catalog::definition::Relation;
use crate::catalog::enumeration::UserType;
use crate::catalog::row_policy::RowSecurity;
use crate::catalog::schema::Schema;
use crate::catalog::{DatabaseId, Oid};
use crate::diagnostic::{Diagnostic, SqlState};
use std::borrow::Cow;
use std::ops::Bound;

/// The format of what is written; a newer one is refused.
const FORMAT: u8 = 6;
/// The format before constraints that are not validated.
const WITHOUT_VALIDATION: u8 = 5;
/// The format before columns of types that somebody has defined, else the same.
const WITHOUT_USER_TYPES: u8 = 4;
/// The format before deferrable foreign keys, generated columns and comments on constraints.
const WITHOUT_DEFERRAL: u8 = 3;
/// The format before comments on parts of tables and expressions in indexes.
const WITHOUT_INDEX_DETAILS: u8 = 2;
/// The format before row policies, whose bytes end where theirs begin.
const WITHOUT_ROW_SECURITY: u8 = 1;
/// The format of what is written of a schema; a newer one is refused.
const SCHEMA_FORMAT: u8 = 1;
/// The format of what is written of a type; a newer one is refused.
const TYPE_FORMAT: u8 = 1;
/// The largest definition; a table of 1,600 columns with long defaults stays well below.
pub const DEFINITION_BYTES_MAX: usize = 16 << 20;

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<DEFINITION_BYTES_MAX>()
}

/// The key of a relation's definition.
pub fn oid_key(oid: Oid) -> [u8; 4] {
    oid.0.to_be_bytes()
}

/// The key that claims a name.
pub fn name_key(database: DatabaseId, schema: &str, name: &str) -> Vec<u8> {
    let mut key = database.0.to_be_bytes().to_vec();
    key.extend_from_slice(schema.as_bytes());
    key.push(0);
    key.extend_from_slice(name.as_bytes());
    key
}

/// The keys of a database's names, of every kind.
pub fn names_of(database: DatabaseId) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let from = database.0.to_be_bytes().to_vec();
    let to = match database.0.checked_add(1) {
        Some(next) => Bound::Excluded(next.to_be_bytes().to_vec()),
        None => Bound::Unbounded,
    };
    // An OID's key may be the same four bytes, and no name's is.
    (Bound::Excluded(from), to)
}

/// The key of a schema.
pub fn schema_key(database: DatabaseId, name: &str) -> Vec<u8> {
    name_key(database, "", name)
}

/// The database and name in the key of a schema; None for a key of another kind.
pub fn schema_of_key(key: &[u8]) -> Option<(DatabaseId, &str)> {
    let (database, rest) = key.split_first_chunk()?;
    let name = std::str::from_utf8(rest.strip_prefix(&[0])?).ok()?;
    Some((DatabaseId(u32::from_be_bytes(*database)), name))
}

/// The key of a type.
pub fn type_key(database: DatabaseId, schema: &str, name: &str) -> Vec<u8> {
    let mut key = name_key(database, schema, "\0");
    key.extend_from_slice(name.as_bytes());
    key
}

/// Whether it is the key of a type.
pub fn is_type_key(key: &[u8]) -> bool {
    let schema = key.split_first_chunk::<4>().map(|(_, rest)| rest);
    let end = schema.and_then(|schema| schema.iter().position(|byte| *byte == 0));
    let name = schema.zip(end).map(|(schema, end)| &schema[end + 1..]);
    end != Some(0) && name.is_some_and(|name| name.first() == Some(&0))
}

/// The bytes of a type.
///
/// # Errors
/// 54000 for one too large.
pub fn encode_type(known: &UserType) -> Result<Vec<u8>, Diagnostic> {
    let mut bytes = vec![TYPE_FORMAT];
    let body = bincode::serde::encode_to_vec(known, configuration()).map_err(|error| {
        Diagnostic::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("definition of type \"{}\" is too large", known.name),
        )
        .with_detail(error.to_string())
    })?;
    bytes.extend(body);
    Ok(bytes)
}

/// The type of such bytes.
///
/// # Errors
/// XX001 for damage, 55000 for a newer format.
pub fn decode_type(bytes: &[u8]) -> Result<UserType, Diagnostic> {
    let body = match bytes.split_first() {
        Some((&TYPE_FORMAT, body)) => body,
        Some((format, _)) => return Err(newer("types", *format, TYPE_FORMAT)),
        None => return Err(damaged("it is empty")),
    };
    let (known, read) =
        bincode::serde::decode_from_slice(body, configuration()).map_err(damaged)?;
    match read == body.len() {
        true => Ok(known),
        false => Err(damaged("bytes are left over")),
    }
}

/// The OID that a key's claim of a name leads to.
///
/// # Errors
/// XX001 for damage.
pub fn oid_of(row: &[u8]) -> Result<Oid, Diagnostic> {
    match <[u8; 4]>::try_from(row) {
        Ok(bytes) => Ok(Oid(u32::from_be_bytes(bytes))),
        Err(_) => Err(damaged("a name leads to no OID")),
    }
}

/// The bytes of a schema; of None, that it is gone.
///
/// # Errors
/// 54000 for one with too many grants.
pub fn encode_schema(schema: Option<&Schema>) -> Result<Vec<u8>, Diagnostic> {
    let mut bytes = vec![SCHEMA_FORMAT];
    let body = bincode::serde::encode_to_vec(schema, configuration()).map_err(|error| {
        Diagnostic::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "definition of a schema is too large",
        )
        .with_detail(error.to_string())
    })?;
    bytes.extend(body);
    Ok(bytes)
}

/// The schema of such bytes; None where it is gone.
///
/// # Errors
/// XX001 for damage, 55000 for a newer format.
pub fn decode_schema(bytes: &[u8]) -> Result<Option<Schema>, Diagnostic> {
    let body = match bytes.split_first() {
        Some((&SCHEMA_FORMAT, body)) => body,
        Some((format, _)) => return Err(newer("schemas", *format, SCHEMA_FORMAT)),
        None => return Err(damaged("it is empty")),
    };
    let (schema, read) =
        bincode::serde::decode_from_slice(body, configuration()).map_err(damaged)?;
    match read == body.len() {
        true => Ok(schema),
        false => Err(damaged("bytes are left over")),
    }
}

fn damaged(what: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(
        SqlState::DATA_CORRUPTED,
        format!("a stored definition is damaged: {what}"),
    )
}

fn newer(what: &str, format: u8, known: u8) -> Diagnostic {
    Diagnostic::error(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{what} of format {format} are newer than this server's {known}"),
    )
}

/// The bytes of a definition.
///
/// # Errors
/// 54000 for one too large.
pub fn encode(relation: &Relation) -> Result<Vec<u8>, Diagnostic> {
    let mut bytes = vec![FORMAT];
    let body = bincode::serde::encode_to_vec(relation, configuration()).map_err(|error| {
        Diagnostic::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("definition of \"{}\" is too large", relation.name),
        )
        .with_detail(error.to_string())
    })?;
    bytes.extend(body);
    Ok(bytes)
}

/// The definition of such bytes.
///
/// # Errors
/// XX001 for damage, 55000 for a newer format.
pub fn decode(bytes: &[u8]) -> Result<Relation, Diagnostic> {
    let (format, body) = match bytes.split_first() {
        Some((&FORMAT, body)) => (FORMAT, Cow::Borrowed(body)),
        Some((&(WITHOUT_VALIDATION | WITHOUT_USER_TYPES), body)) => {
            (WITHOUT_VALIDATION, Cow::Borrowed(body))
        }
        Some((&format @ (WITHOUT_DEFERRAL | WITHOUT_INDEX_DETAILS), body)) => {
            (format, Cow::Borrowed(body))
        }
        Some((&WITHOUT_ROW_SECURITY, body)) => {
            let none = bincode::serde::encode_to_vec(RowSecurity::default(), configuration())
                .map_err(damaged)?;
            let body = Cow::Owned([body, &none].concat());
            (WITHOUT_INDEX_DETAILS, body)
        }
        Some((format, _)) => return Err(newer("definitions", *format, FORMAT)),
        None => return Err(damaged("it is empty")),
    };
    let decoded = match format {
        FORMAT => bincode::serde::decode_from_slice(&body, configuration()),
        WITHOUT_VALIDATION => {
            bincode::serde::decode_from_slice::<older::Relation5, _>(&body, configuration())
                .map(|(old, read)| (Relation::from(old), read))
        }
        WITHOUT_DEFERRAL => {
            bincode::serde::decode_from_slice::<older::Relation3, _>(&body, configuration())
                .map(|(old, read)| (Relation::from(old), read))
        }
        _ => bincode::serde::decode_from_slice::<older::Relation2, _>(&body, configuration())
            .map(|(old, read)| (Relation::from(older::Relation3::from(old)), read)),
    };
    let (relation, read) = decoded.map_err(damaged)?;
    if read != body.len() {
        return Err(damaged("bytes are left over"));
    }
    Ok(relation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::PrincipalId;
    use crate::catalog::definition::{RelationBody, View};
    use crate::catalog::enumeration::EnumLabel;
    use crate::catalog::sql_type::{EnumType, SqlType, TypeKind};
    use std::sync::Arc;

    fn view() -> Relation {
        Relation {
            oid: Oid(20_000),
            database: DatabaseId(5),
            schema: Arc::from("public"),
            name: Arc::from("v"),
            owner: PrincipalId(10),
            grants: Vec::new(),
            comment: Some(Arc::from("text")),
            body: RelationBody::View(View {
                query: Arc::from("SELECT 1"),
                columns: vec![(Arc::from("c"), SqlType::scalar(TypeKind::Int4))],
                comments: Vec::new(),
            }),
            row_security: Default::default(),
        }
    }

    #[test]
    fn a_definition_reads_back_the_same() {
        assert_eq!(decode(&encode(&view()).unwrap()).unwrap(), view());
    }

    #[test]
    fn a_definition_from_before_row_policies_reads_back_without_any() {
        // What a server of format 1 wrote for it.
        let written = b"\x01\xfb\x20\x4e\x05\x06public\x01v\x0a\x00\x01\x04text\
                        \x03\x08SELECT 1\x01\x01c\x02\x01\x00";
        assert_eq!(decode(written).unwrap(), view());
    }

    #[test]
    fn definitions_from_before_expressions_in_indexes_read_back_without_any() {
        for (old, expected) in older::tests::examples() {
            let mut bytes = vec![WITHOUT_INDEX_DETAILS];
            let body = bincode::serde::encode_to_vec(old, configuration());
            bytes.extend(body.expect("it is encoded"));
            assert_eq!(decode(&bytes).expect("it is decoded"), expected);
        }
    }

    #[test]
    fn definitions_from_before_deferrable_foreign_keys_read_back_as_not_deferrable() {
        for (old, expected) in older::tests::examples_of_format_3() {
            let mut bytes = vec![WITHOUT_DEFERRAL];
            let body = bincode::serde::encode_to_vec(old, configuration());
            bytes.extend(body.expect("it is encoded"));
            assert_eq!(decode(&bytes).expect("it is decoded"), expected);
        }
    }

    #[test]
    fn definitions_from_before_not_valid_read_back_as_validated() {
        let (old, expected) = older::tests::example_of_format_5();
        let mut bytes = vec![WITHOUT_VALIDATION];
        let body = bincode::serde::encode_to_vec(old, configuration());
        bytes.extend(body.expect("it is encoded"));
        let found = decode(&bytes).expect("it is decoded");
        assert!(found.table().expect("a table").constraints[0].validated);
        assert_eq!(found, expected);
    }

    #[test]
    fn damage_and_newer_formats_are_told_apart() {
        let mut bytes = encode(&view()).unwrap();
        assert_eq!(
            decode(&bytes[..9]).unwrap_err().sqlstate().as_str(),
            "XX001"
        );
        assert_eq!(decode(&[]).unwrap_err().sqlstate().as_str(), "XX001");
        bytes.push(0);
        assert_eq!(decode(&bytes).unwrap_err().sqlstate().as_str(), "XX001");
        bytes[0] = FORMAT + 1;
        assert_eq!(decode(&bytes).unwrap_err().sqlstate().as_str(), "55000");
    }

    #[test]
    fn a_schema_reads_back_the_same_and_is_found_by_its_key() {
        let schema = Schema {
            comment: None,
            ..Schema::public(DatabaseId(5))
        };
        for kept in [Some(&schema), None] {
            let bytes = encode_schema(kept).unwrap();
            assert_eq!(decode_schema(&bytes).unwrap().as_ref(), kept);
        }
        let key = schema_key(DatabaseId(5), "S");
        assert_eq!(schema_of_key(&key), Some((DatabaseId(5), "S")));
        assert_eq!(schema_of_key(&name_key(DatabaseId(5), "S", "t")), None);
        assert_eq!(schema_of_key(&oid_key(Oid(5))), None);
        let mut bytes = encode_schema(Some(&schema)).unwrap();
        bytes.push(0);
        let error = decode_schema(&bytes).unwrap_err();
        assert_eq!(error.sqlstate().as_str(), "XX001");
        bytes[0] = SCHEMA_FORMAT + 1;
        let error = decode_schema(&bytes).unwrap_err();
        assert_eq!(error.sqlstate().as_str(), "55000");
    }

    #[test]
    fn a_type_reads_back_the_same_and_its_key_is_like_no_other() {
        let known = UserType {
            type_id: EnumType {
                oid: Oid(20_000),
                array: Oid(20_001),
            },
            database: DatabaseId(5),
            schema: Arc::from("public"),
            name: Arc::from("mood"),
            owner: PrincipalId(10),
            comment: None,
            labels: vec![EnumLabel {
                oid: Oid(20_002),
                key: Arc::from("1"),
                label: Arc::from("sad"),
            }],
        };
        let mut bytes = encode_type(&known).unwrap();
        assert_eq!(decode_type(&bytes).unwrap(), known);
        bytes.push(0);
        let error = decode_type(&bytes).unwrap_err();
        assert_eq!(error.sqlstate().as_str(), "XX001");
        bytes[0] = TYPE_FORMAT + 1;
        let error = decode_type(&bytes).unwrap_err();
        assert_eq!(error.sqlstate().as_str(), "55000");
        assert!(is_type_key(&type_key(DatabaseId(5), "public", "mood")));
        assert!(!is_type_key(&name_key(DatabaseId(5), "public", "mood")));
        assert!(!is_type_key(&schema_key(DatabaseId(5), "public")));
        assert!(!is_type_key(&oid_key(Oid(5))));
        assert_eq!(schema_of_key(&type_key(DatabaseId(5), "s", "t")), None);
    }

    #[test]
    fn a_definition_from_before_user_types_reads_back_the_same() {
        let mut bytes = encode(&view()).unwrap();
        bytes[0] = WITHOUT_USER_TYPES;
        assert_eq!(decode(&bytes).unwrap(), view());
    }

    #[test]
    fn no_name_is_as_short_as_an_oid() {
        assert!(name_key(DatabaseId(5), "", "").len() > oid_key(Oid(1)).len());
    }
}
