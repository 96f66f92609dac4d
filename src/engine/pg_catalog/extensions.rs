//! pg_extension, pg_available_extensions: what is built in.

use super::cell::{Cell, number, row, text};
use super::relations::{CATALOG_OWNER, catalog};
use super::{PG_CATALOG_OID, Row};
use crate::engine::context::StatementContext;
use crate::engine::extensions::{EXTENSIONS, Extension};

/// pg_extension
pub fn pg_extension(_context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_extension");
    let of = |extension: &Extension| {
        row(
            shape,
            &[
                ("oid", number(extension.oid)),
                ("extname", text(extension.name)),
                ("extowner", number(CATALOG_OWNER)),
                ("extnamespace", number(PG_CATALOG_OID.0)),
                ("extrelocatable", Cell::Bool(false)),
                ("extversion", text(extension.version)),
            ],
        )
    };
    EXTENSIONS.iter().map(of).collect()
}

/// pg_available_extensions
pub fn pg_available_extensions(_context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_available_extensions");
    let of = |extension: &Extension| {
        row(
            shape,
            &[
                ("name", text(extension.name)),
                ("default_version", text(extension.version)),
                ("installed_version", text(extension.version)),
                ("comment", text(extension.comment)),
            ],
        )
    };
    EXTENSIONS.iter().map(of).collect()
}
