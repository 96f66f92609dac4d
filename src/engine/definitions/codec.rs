//! A relation's definition as bytes in storage relation 1.
//!
//! ```text
//! key OID (4 bytes, big-endian)                       → format (1 byte), relation (bincode)
//! key database (4 bytes), schema, 00, name            → OID (4 bytes, big-endian)
//! ```
//!
//! The second kind claims a name: two transactions that make the same name meet in that key's lock.
//! It is always longer than four bytes, so that the two kinds cannot be mixed up.

use super::older;
use crate::catalog::definition::Relation;
use crate::catalog::row_policy::RowSecurity;
use crate::catalog::{DatabaseId, Oid};
use crate::diagnostic::{Diagnostic, SqlState};
use std::borrow::Cow;

/// The format of what is written; a newer one is refused.
const FORMAT: u8 = 4;
/// The format before deferrable foreign keys, generated columns and comments on constraints.
const WITHOUT_DEFERRAL: u8 = 3;
/// The format before comments on parts of tables and expressions in indexes.
const WITHOUT_INDEX_DETAILS: u8 = 2;
/// The format before row policies, whose bytes end where theirs begin.
const WITHOUT_ROW_SECURITY: u8 = 1;
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
    let damaged = |what: String| {
        Diagnostic::error(
            SqlState::DATA_CORRUPTED,
            format!("a stored definition is damaged: {what}"),
        )
    };
    let (format, body) = match bytes.split_first() {
        Some((&format @ (FORMAT | WITHOUT_DEFERRAL | WITHOUT_INDEX_DETAILS), body)) => {
            (format, Cow::Borrowed(body))
        }
        Some((&WITHOUT_ROW_SECURITY, body)) => {
            let none = bincode::serde::encode_to_vec(RowSecurity::default(), configuration())
                .map_err(|error| damaged(error.to_string()))?;
            let body = Cow::Owned([body, &none].concat());
            (WITHOUT_INDEX_DETAILS, body)
        }
        Some((format, _)) => {
            return Err(Diagnostic::error(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("definitions of format {format} are newer than this server's {FORMAT}"),
            ));
        }
        None => return Err(damaged("it is empty".to_owned())),
    };
    let decoded = match format {
        FORMAT => bincode::serde::decode_from_slice(&body, configuration()),
        WITHOUT_DEFERRAL => {
            bincode::serde::decode_from_slice::<older::Relation3, _>(&body, configuration())
                .map(|(old, read)| (Relation::from(old), read))
        }
        _ => bincode::serde::decode_from_slice::<older::Relation2, _>(&body, configuration())
            .map(|(old, read)| (Relation::from(older::Relation3::from(old)), read)),
    };
    let (relation, read) = decoded.map_err(|error| damaged(error.to_string()))?;
    if read != body.len() {
        return Err(damaged("bytes are left over".to_owned()));
    }
    Ok(relation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::PrincipalId;
    use crate::catalog::definition::{RelationBody, View};
    use crate::catalog::sql_type::{SqlType, TypeKind};
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
    fn no_name_is_as_short_as_an_oid() {
        assert!(name_key(DatabaseId(5), "", "").len() > oid_key(Oid(1)).len());
    }
}
