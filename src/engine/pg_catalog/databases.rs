//! Databases of the tenant, and the schemas of the session's database.

use super::cell::{Cell, number, row, text};
use super::relations::{CATALOG_OWNER, catalog, own};
use super::roles::DATABASE_OWNER;
use super::{INFORMATION_SCHEMA_OID, PG_CATALOG_OID, PUBLIC_OID, Row};
use crate::engine::context::StatementContext;
use std::collections::BTreeSet;

/// PostgreSQL's number of UTF8.
pub const UTF8: i64 = 6;

/// The schemas of the session's database with their OIDs.
pub fn namespaces(context: &StatementContext) -> Vec<(u32, String)> {
    let mut found = vec![
        (PG_CATALOG_OID.0, "pg_catalog".to_owned()),
        (PUBLIC_OID.0, "public".to_owned()),
        (INFORMATION_SCHEMA_OID.0, "information_schema".to_owned()),
    ];
    let others: BTreeSet<_> = own(context)
        .map(|relation| relation.schema.clone())
        .filter(|schema| &**schema != "public")
        .collect();
    found.extend(
        others
            .iter()
            .map(|schema| (named_oid(schema), schema.to_string())),
    );
    found
}

/// A schema has no OID of its own; its name's checksum stands for one, above all others.
fn named_oid(schema: &str) -> u32 {
    0x8000_0000 | (crc32fast::hash(schema.as_bytes()) & 0x3FFF_FFFF)
}

/// pg_namespace.oid
pub fn namespace_oid(schema: &str, _context: &StatementContext) -> u32 {
    match schema {
        "pg_catalog" => PG_CATALOG_OID.0,
        "public" => PUBLIC_OID.0,
        "information_schema" => INFORMATION_SCHEMA_OID.0,
        other => named_oid(other),
    }
}

/// pg_namespace
pub fn pg_namespace(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_namespace");
    namespaces(context)
        .into_iter()
        .map(|(oid, name)| {
            // Of public, what PostgreSQL 15 makes it with: pg_dump takes anything else for a change.
            let (owner, acl) = match oid == PUBLIC_OID.0 {
                true => {
                    let owner = DATABASE_OWNER.1;
                    let items = [format!("{owner}=UC/{owner}"), format!("=U/{owner}")];
                    (DATABASE_OWNER.0, Cell::List(items.map(text).to_vec()))
                }
                false => (CATALOG_OWNER, Cell::Null),
            };
            row(
                shape,
                &[
                    ("oid", number(oid)),
                    ("nspname", text(name)),
                    ("nspowner", number(owner)),
                    ("nspacl", acl),
                ],
            )
        })
        .collect()
}

/// pg_database: those of the tenant in force, in which names are unique.
pub fn pg_database(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_database");
    let tenant = context.rights.tenant();
    context
        .snapshot
        .principals
        .databases()
        .filter(|database| database.tenant == tenant)
        .map(|database| {
            row(
                shape,
                &[
                    ("oid", number(database.id.0)),
                    ("datname", text(&*database.name)),
                    ("datdba", number(database.owner.0)),
                    ("encoding", number(UTF8)),
                    ("datlocprovider", text("c")),
                    ("datallowconn", Cell::Bool(true)),
                    ("datconnlimit", number(-1)),
                    ("dattablespace", number(DEFAULT_TABLESPACE)),
                    ("datcollate", text("C")),
                    ("datctype", text("C")),
                ],
            )
        })
        .collect()
}

/// pg_tablespace.oid of pg_default.
const DEFAULT_TABLESPACE: u32 = 1663;

/// pg_tablespace
pub fn pg_tablespace(_context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_tablespace");
    [(DEFAULT_TABLESPACE, "pg_default"), (1664, "pg_global")]
        .into_iter()
        .map(|(oid, name)| {
            row(
                shape,
                &[
                    ("oid", number(oid)),
                    ("spcname", text(name)),
                    ("spcowner", number(CATALOG_OWNER)),
                ],
            )
        })
        .collect()
}
