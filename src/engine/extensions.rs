//! Extensions of PostgreSQL whose functions NodeDB has: they are built in, in each database from the start.

/// An extension.
#[derive(Clone, Copy, Debug)]
pub struct Extension {
    /// pg_extension.oid
    pub oid: u32,
    /// Its name.
    pub name: &'static str,
    /// That of PostgreSQL 15's.
    pub version: &'static str,
    /// What it is for, as PostgreSQL says it.
    pub comment: &'static str,
    /// What the names of its functions begin with; None: it has none of its own.
    pub functions: Option<&'static str>,
}

/// All of them.
pub const EXTENSIONS: &[Extension] = &[
    Extension {
        oid: 13_639,
        name: PLPGSQL,
        version: "1.0",
        comment: "PL/pgSQL procedural language",
        functions: None,
    },
    Extension {
        oid: 13_640,
        name: "uuid-ossp",
        version: "1.1",
        comment: "generate universally unique identifiers (UUIDs)",
        functions: Some("uuid_"),
    },
];

/// What every database of PostgreSQL has; here it is the language of DO.
pub const PLPGSQL: &str = "plpgsql";

/// The extension of this name.
pub fn find(name: &str) -> Option<&'static Extension> {
    EXTENSIONS.iter().find(|extension| extension.name == name)
}

/// Whether the function is of an extension, which PostgreSQL puts into a schema of the user's choice.
pub fn has_function(name: &str) -> bool {
    let mut prefixes = EXTENSIONS.iter().filter_map(|it| it.functions);
    prefixes.any(|prefix| name.starts_with(prefix))
}
