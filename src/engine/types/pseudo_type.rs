//! Types that no value has: what functions are declared with, and what catalogs tell of them.

use super::name::{format_type, from_oid};
use crate::catalog::Oid;

/// What functions are declared with and no column is of, by OID and name (pg_type.dat). `"any"` is
/// a word of the grammar.
const PSEUDO_TYPES: &[(u32, &str)] = &[
    (32, "pg_ddl_command"),
    (269, "table_am_handler"),
    (325, "index_am_handler"),
    (705, "unknown"),
    (1263, "cstring[]"),
    (2275, "cstring"),
    (2276, "\"any\""),
    (2277, "anyarray"),
    (2278, "void"),
    (2279, "trigger"),
    (2280, "language_handler"),
    (2281, "internal"),
    (2283, "anyelement"),
    (2776, "anynonarray"),
    (3115, "fdw_handler"),
    (3310, "tsm_handler"),
    (3500, "anyenum"),
    (3831, "anyrange"),
    (3838, "event_trigger"),
    (4537, "anymultirange"),
    (4538, "anycompatiblemultirange"),
    (5077, "anycompatible"),
    (5078, "anycompatiblearray"),
    (5079, "anycompatiblenonarray"),
    (5080, "anycompatiblerange"),
];

/// The name of a pseudo-type that is none of our own types, as `format_type` prints it.
pub fn name_of(oid: u32) -> Option<&'static str> {
    let found = PSEUDO_TYPES.iter().find(|(known, _)| *known == oid);
    found.map(|(_, name)| *name)
}

/// The OID of the pseudo-type that a name means, in lower case: pg_type.typname, or as it is printed.
pub fn oid_of(name: &str) -> Option<u32> {
    let found = PSEUDO_TYPES.iter().find(|(_, known)| {
        *known == name
            || known.trim_matches('"') == name
            || known
                .strip_suffix("[]")
                .is_some_and(|element| name.strip_prefix('_') == Some(element))
    });
    found.map(|(oid, _)| *oid)
}

/// The name of the type with this OID, as `format_type` prints it without a modifier.
pub fn printed(oid: Oid) -> Option<String> {
    let known = from_oid(oid).map(format_type);
    known.or_else(|| name_of(oid.0).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_written_as_they_are_printed_and_as_pg_type_names_them() {
        assert_eq!(oid_of("any"), Some(2276));
        assert_eq!(oid_of("\"any\""), Some(2276));
        assert_eq!(oid_of("_cstring"), oid_of("cstring[]"));
        assert_eq!(oid_of("cstrin"), None);
        assert_eq!(printed(Oid(2279)).as_deref(), Some("trigger"));
        assert_eq!(printed(Oid(23)).as_deref(), Some("integer"));
        assert_eq!(printed(Oid(1)), None);
    }
}
