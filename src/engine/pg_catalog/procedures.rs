//! pg_proc: the functions that there are here, with PostgreSQL's own OIDs and argument types.
//!
//! `procedures.txt` has a line for each of PostgreSQL 15's functions whose name is callable here
//! and whose types are here: `oid name kind set result arguments`.

use super::cell::{Cell, number, row, text};
use super::relations::{CATALOG_OWNER, catalog};
use super::{PG_CATALOG_OID, Row};
use crate::catalog::Oid;
use crate::engine::query::functions::text::quote_ident;
use crate::engine::types;
use std::sync::LazyLock;

const LINES: &str = include_str!("procedures.txt");

/// Functions of types, which nobody calls, but clients tell types apart by them: a line each, of the same form.
const TYPE_LINES: &str = include_str!("type_functions.txt");

/// One function.
struct Procedure {
    oid: Oid,
    name: &'static str,
    kind: &'static str,
    is_set: bool,
    result: &'static str,
    arguments: Vec<&'static str>,
}

/// In the order of their OIDs.
static PROCEDURES: LazyLock<Vec<Procedure>> = LazyLock::new(|| {
    let lines = LINES.lines().chain(TYPE_LINES.lines());
    let mut all: Vec<Procedure> = lines.map(Procedure::parse).collect();
    all.sort_by_key(|found| found.oid.0);
    all
});

impl Procedure {
    fn parse(line: &'static str) -> Procedure {
        const FORM: &str = "procedures.txt has a line a function, in the form its reader says";
        let mut words = line.split(' ');
        let mut word = || words.next().expect(FORM);
        Procedure {
            oid: Oid(word().parse().expect(FORM)),
            name: word(),
            kind: word(),
            is_set: word() == "t",
            result: word(),
            arguments: match word() {
                "-" => Vec::new(),
                types => types.split(',').collect(),
            },
        }
    }
}

fn with_oid(oid: Oid) -> Option<&'static Procedure> {
    let place = PROCEDURES.binary_search_by_key(&oid.0, |known| known.oid.0);
    place.ok().map(|place| &PROCEDURES[place])
}

fn type_oid(name: &str) -> u32 {
    let known = types::name::from_internal_name(name).map(|sql_type| types::oid(sql_type).0);
    known
        .or_else(|| types::pseudo_type::oid_of(name))
        .unwrap_or_default()
}

fn type_name(name: &str) -> String {
    match name {
        "any" => "\"any\"".to_owned(),
        _ => types::name::from_internal_name(name)
            .map_or_else(|| name.to_owned(), types::format_type),
    }
}

/// The function's OID; of several of one name the first's.
pub fn oid_of(name: &str) -> Option<Oid> {
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    let found = PROCEDURES.iter().find(|known| known.name == name);
    found.map(|found| found.oid)
}

/// The function's OID, if the name is one function's alone.
pub fn sole_oid_of(name: &str) -> Option<Oid> {
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    let mut named = PROCEDURES.iter().filter(|known| known.name == name);
    let found = named.next()?;
    named.next().is_none().then_some(found.oid)
}

/// The function with this OID.
pub fn name_of(oid: Oid) -> Option<&'static str> {
    with_oid(oid).map(|found| found.name)
}

/// As regprocedure prints it: with its arguments' types; the number where there is none.
pub fn printed(oid: u32) -> String {
    let Some(found) = with_oid(Oid(oid)) else {
        return match oid {
            0 => "-".to_owned(),
            oid => oid.to_string(),
        };
    };
    let types: Vec<String> = found.arguments.iter().map(|name| type_name(name)).collect();
    format!("{}({})", quote_ident(found.name), types.join(","))
}

/// `pg_get_function_result`
pub fn result_of(oid: Oid) -> Option<String> {
    let found = with_oid(oid)?;
    let set = if found.is_set { "SETOF " } else { "" };
    Some(format!("{set}{}", type_name(found.result)))
}

/// `pg_get_function_arguments`
pub fn arguments_of(oid: Oid) -> Option<String> {
    let found = with_oid(oid)?;
    let names: Vec<String> = found.arguments.iter().map(|name| type_name(name)).collect();
    Some(names.join(", "))
}

/// pg_proc
pub static PROCEDURE_ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let shape = catalog("pg_proc");
    PROCEDURES
        .iter()
        .map(|found| {
            let arguments = found.arguments.iter();
            let arguments = arguments.map(|name| number(type_oid(name))).collect();
            row(
                shape,
                &[
                    ("oid", number(found.oid.0)),
                    ("proname", text(found.name)),
                    ("pronamespace", number(PG_CATALOG_OID.0)),
                    ("proowner", number(CATALOG_OWNER)),
                    ("prolang", number(12)),
                    ("procost", number(1)),
                    ("prokind", text(found.kind)),
                    ("proretset", Cell::Bool(found.is_set)),
                    ("provolatile", text("s")),
                    ("proparallel", text("s")),
                    ("pronargs", number(found.arguments.len() as u32)),
                    ("prorettype", number(type_oid(found.result))),
                    ("proargtypes", Cell::List(arguments)),
                    ("prosrc", text(found.name)),
                ],
            )
        })
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_tell_their_types_as_postgresql_prints_them() {
        let arguments = |name| arguments_of(oid_of(name).expect(name));
        assert_eq!(
            arguments("split_part").as_deref(),
            Some("text, text, integer")
        );
        assert_eq!(arguments("now").as_deref(), Some(""));
        assert_eq!(arguments("count").as_deref(), Some("\"any\""));
        let now = oid_of("pg_catalog.now").expect("there is now()");
        assert_eq!(result_of(now).as_deref(), Some("timestamp with time zone"));
        assert_eq!(name_of(now), Some("now"));
        assert!(
            PROCEDURES
                .windows(2)
                .all(|pair| pair[0].oid.0 < pair[1].oid.0)
        );
    }

    #[test]
    fn every_procedure_can_be_called_here() {
        let functions = crate::engine::query::functions::Functions::new();
        let missing: Vec<&str> = LINES
            .lines()
            .map(|line| Procedure::parse(line).name)
            .filter(|name| {
                !functions.scalar.contains_key(*name)
                    && !functions.aggregate.contains_key(*name)
                    && !functions.window.contains_key(*name)
            })
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn every_type_of_a_procedure_is_one() {
        for found in PROCEDURES.iter() {
            for name in found.arguments.iter().chain([&found.result]) {
                assert_ne!(type_oid(name), 0, "{} of {}", name, found.name);
            }
        }
    }
}
