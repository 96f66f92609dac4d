//! Values of enumerations (CREATE TYPE … AS ENUM), and the names of types that somebody has defined.
//!
//! What is kept and why it compares as it does: `catalog::enumeration`. Source: PostgreSQL 15, section
//! 8.7 "Enumerated Types" and `enum.c`.

use super::decode::Input;
use crate::catalog::definition::Definitions;
use crate::catalog::enumeration::UserType;
use crate::catalog::sql_type::{EnumType, SqlType, TypeKind};
use crate::catalog::{DatabaseId, Oid};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::search_path;
use datafusion::common::ScalarValue;
use std::sync::Arc;

pub use crate::catalog::enumeration::label_of;

/// The types of one database as a statement sees them.
#[derive(Clone, Copy, Debug)]
pub struct UserTypes<'a> {
    /// Among these definitions.
    pub definitions: &'a Definitions,
    /// Of this database: another's are not there.
    pub database: DatabaseId,
}

/// As [`UserTypes`], kept for later: cloning shares.
#[derive(Clone, Debug)]
pub struct KeptUserTypes {
    definitions: Definitions,
    database: DatabaseId,
}

impl<'a> UserTypes<'a> {
    /// The type with this OID.
    pub fn get(self, type_id: EnumType) -> Option<&'a Arc<UserType>> {
        let found = self.definitions.user_type(type_id.oid)?;
        (found.database == self.database).then_some(found)
    }

    /// The type with this OID, of values or arrays.
    pub fn of_oid(self, oid: Oid) -> Option<SqlType> {
        if let Some(found) = self.definitions.user_type(oid) {
            return (found.database == self.database).then(|| found.sql_type());
        }
        let mut types = self.definitions.types_of(self.database);
        let found = types.find(|known| known.type_id.array == oid)?;
        Some(SqlType {
            array: true,
            ..found.sql_type()
        })
    }

    /// Whether the database has the schema, or every one has it.
    pub fn has_schema(self, schema: &str) -> bool {
        search_path::is_system(schema) || self.definitions.schema(self.database, schema).is_some()
    }

    /// Whether nobody has defined any.
    pub fn is_empty(self) -> bool {
        self.definitions.types_of(self.database).next().is_none()
    }

    /// These, kept for later.
    pub fn keep(self) -> KeptUserTypes {
        KeptUserTypes {
            definitions: self.definitions.clone(),
            database: self.database,
        }
    }
}

impl KeptUserTypes {
    /// As they were.
    pub fn types(&self) -> UserTypes<'_> {
        UserTypes {
            definitions: &self.definitions,
            database: self.database,
        }
    }

    /// Whether both are one and the same state.
    pub fn same(&self, other: &KeptUserTypes) -> bool {
        self.database == other.database && self.definitions.same(&other.definitions)
    }
}

/// The type of this name: in the schema, or along the search_path.
pub fn named<'a>(schema: Option<&str>, name: &str, input: Input<'a>) -> Option<&'a Arc<UserType>> {
    let types = input.types?;
    let find = |schema: &str| types.definitions.find_type(types.database, schema, name);
    if let Some(schema) = schema {
        return find(schema);
    }
    let user = input.variables.map(|variables| variables.user());
    input.settings.search_path.iter().find_map(|entry| {
        let schema = match &**entry == search_path::USER {
            true => user?,
            false => &**entry,
        };
        let found = find(schema)?;
        let usable = || {
            let schema = types.definitions.schema(types.database, schema);
            let variables = input.variables;
            schema.is_some_and(|schema| {
                variables.is_none_or(|variables| variables.uses_schema(&schema))
            })
        };
        usable().then_some(found)
    })
}

/// The value that a text is.
///
/// # Errors
/// 22P02 `invalid input value for enum mood: "x"`; 42704 for a type that is gone.
pub fn parse(text: &str, type_id: EnumType, input: Input<'_>) -> Result<ScalarValue, Diagnostic> {
    let known = known(type_id, input)?;
    match known.value(text) {
        Some(value) => Ok(ScalarValue::BinaryView(Some(value))),
        None => Err(Diagnostic::error(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!(
                "invalid input value for enum {}: \"{text}\"",
                super::format_type(SqlType::scalar(TypeKind::Enum(type_id)))
            ),
        )),
    }
}

/// The definition of a type.
///
/// # Errors
/// 42704 for one that is gone.
pub fn known<'a>(type_id: EnumType, input: Input<'a>) -> Result<&'a Arc<UserType>, Diagnostic> {
    let found = input.types.and_then(|types| types.get(type_id));
    found.ok_or_else(|| {
        Diagnostic::error(
            SqlState::UNDEFINED_OBJECT,
            format!("type with OID {} does not exist", type_id.oid),
        )
    })
}

/// What stands for an enumeration wherever a type is told as a word that nobody else reads.
const STORED: &str = "\u{1}enum";

/// The word of [`STORED`] for a type.
pub fn stored_name(type_id: EnumType) -> String {
    format!("{STORED}.{}.{}", type_id.oid, type_id.array)
}

/// The type of such a word.
pub fn of_stored_name(name: &str) -> Option<EnumType> {
    let numbers = name.strip_prefix(STORED)?.strip_prefix('.')?;
    let (oid, array) = numbers.split_once('.')?;
    Some(EnumType {
        oid: Oid(oid.parse().ok()?),
        array: Oid(array.parse().ok()?),
    })
}
