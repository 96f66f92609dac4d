//! pg_type of what is built in: the types that there are here, their arrays, and PostgreSQL's pseudo-types, of
//! which functions tell their arguments.
//!
//! `built_in_types.txt` has a line for each, as PostgreSQL 15 describes it: `oid typname typlen typbyval
//! typtype typcategory typispreferred typelem typarray typinput typoutput typreceive typsend typmodin
//! typmodout typanalyze typsubscript typalign typstorage typcollation`. The functions are those of
//! `type_functions.txt`: clients tell types apart by them.

use super::cell::{Cell, number, row, text};
use super::relations::{CATALOG_OWNER, catalog};
use super::{PG_CATALOG_OID, Row};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types;
use std::sync::LazyLock;

const LINES: &str = include_str!("built_in_types.txt");

const FORM: &str = "built_in_types.txt has a line a type, in the form its reader says";

/// What pg_type and pg_attribute say of a type besides its name.
#[derive(Clone, Copy)]
pub struct Facts {
    /// typlen
    pub length: i16,
    /// typbyval
    pub by_value: bool,
    /// typalign
    pub alignment: &'static str,
    /// typstorage
    pub storage: &'static str,
    /// typcollation
    pub collation: u32,
}

/// Of every enumeration.
const OF_ENUMERATION: Facts = Facts {
    length: 4,
    by_value: true,
    alignment: "i",
    storage: "p",
    collation: 0,
};

/// Of their arrays.
const OF_ENUMERATIONS_ARRAY: Facts = Facts {
    length: -1,
    by_value: false,
    alignment: "i",
    storage: "x",
    collation: 0,
};

impl Facts {
    /// Of a type, a built-in one or an enumeration.
    pub fn of(sql_type: SqlType) -> Facts {
        match (sql_type.kind, sql_type.array) {
            (TypeKind::Enum(_), false) => OF_ENUMERATION,
            (TypeKind::Enum(_), true) => OF_ENUMERATIONS_ARRAY,
            _ => BuiltIn::of(sql_type).facts,
        }
    }
}

/// A type of the file.
struct BuiltIn {
    oid: u32,
    name: &'static str,
    kind: &'static str,
    category: &'static str,
    preferred: bool,
    element: u32,
    array: u32,
    /// typinput to typsubscript.
    functions: [u32; 8],
    facts: Facts,
}

/// In the order of their OIDs.
static TYPES: LazyLock<Vec<BuiltIn>> =
    LazyLock::new(|| LINES.lines().map(BuiltIn::parse).collect());

impl BuiltIn {
    fn parse(line: &'static str) -> BuiltIn {
        let mut words = line.split(' ');
        let mut word = || words.next().expect(FORM);
        let oid = |word: &str| word.parse().expect(FORM);
        let (own_oid, name) = (oid(word()), word());
        let (length, by_value) = (word().parse().expect(FORM), word() == "1");
        BuiltIn {
            oid: own_oid,
            name,
            kind: word(),
            category: word(),
            preferred: word() == "1",
            element: oid(word()),
            array: oid(word()),
            functions: std::array::from_fn(|_| oid(word())),
            facts: Facts {
                length,
                by_value,
                alignment: word(),
                storage: word(),
                collation: oid(word()),
            },
        }
    }

    /// Of a type.
    ///
    /// # Panics
    /// For a type that is not in the file, which a test rules out.
    fn of(sql_type: SqlType) -> &'static BuiltIn {
        let oid = types::oid(sql_type).0;
        let place = TYPES.binary_search_by_key(&oid, |known| known.oid);
        &TYPES[place.expect(FORM)]
    }

    fn row(&self) -> Row {
        let [
            input,
            output,
            receive,
            send,
            modifier_input,
            modifier_output,
            analyze,
            subscript,
        ] = self.functions;
        row(
            catalog("pg_type"),
            &[
                ("oid", number(self.oid)),
                ("typname", text(self.name)),
                ("typnamespace", number(PG_CATALOG_OID.0)),
                ("typowner", number(CATALOG_OWNER)),
                ("typlen", number(self.facts.length)),
                ("typbyval", Cell::Bool(self.facts.by_value)),
                ("typtype", text(self.kind)),
                ("typcategory", text(self.category)),
                ("typispreferred", Cell::Bool(self.preferred)),
                ("typisdefined", Cell::Bool(true)),
                ("typdelim", text(",")),
                ("typelem", number(self.element)),
                ("typarray", number(self.array)),
                ("typinput", number(input)),
                ("typoutput", number(output)),
                ("typreceive", number(receive)),
                ("typsend", number(send)),
                ("typmodin", number(modifier_input)),
                ("typmodout", number(modifier_output)),
                ("typanalyze", number(analyze)),
                ("typsubscript", number(subscript)),
                ("typalign", text(self.facts.alignment)),
                ("typstorage", text(self.facts.storage)),
                ("typtypmod", number(-1)),
                ("typcollation", number(self.facts.collation)),
            ],
        )
    }
}

/// pg_type, without the types of tables' rows.
pub static BUILT_IN_TYPES: LazyLock<Vec<Row>> =
    LazyLock::new(|| TYPES.iter().map(BuiltIn::row).collect());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Oid;
    use crate::engine::types::{name, pseudo_type};

    #[test]
    fn every_type_and_its_array_is_there_under_the_name_and_oid_that_it_has() {
        for kind in TypeKind::ALL {
            for sql_type in [SqlType::scalar(kind), SqlType::array_of(kind)] {
                let built_in = BuiltIn::of(sql_type);
                assert_eq!(
                    built_in.facts.length,
                    types::type_length(sql_type),
                    "{kind:?}"
                );
                if types::from_oid(types::oid(sql_type)) == Some(sql_type) {
                    assert_eq!(built_in.name, name::internal_name(sql_type));
                }
            }
        }
    }

    #[test]
    fn pseudo_types_are_known_by_name_and_oid() {
        for built_in in TYPES.iter().filter(|built_in| built_in.kind == "p") {
            let printed = pseudo_type::printed(Oid(built_in.oid)).expect(built_in.name);
            let oid = pseudo_type::oid_of(built_in.name)
                .or_else(|| name::from_internal_name(built_in.name).map(|it| types::oid(it).0));
            assert_eq!(oid, Some(built_in.oid), "{printed}");
        }
    }
}
