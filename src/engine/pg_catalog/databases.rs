//! Databases of the tenant, and the schemas of the session's database.

use super::cell::{Cell, number, row, text};
use super::relations::{CATALOG_OWNER, catalog};
use super::roles::DATABASE_OWNER;
use super::{INFORMATION_SCHEMA_OID, PG_CATALOG_OID, Row};
use crate::catalog::schema::{PUBLIC_OID, Schema};
use crate::engine::context::StatementContext;
use crate::engine::search_path;
use crate::engine::temporary;
use std::sync::Arc;

/// PostgreSQL's number of UTF8.
pub const UTF8: i64 = 6;

/// The schemas of the session's database with their OIDs.
pub fn namespaces(context: &StatementContext) -> Vec<(u32, String)> {
    let system = [
        (PG_CATALOG_OID.0, search_path::PG_CATALOG.to_owned()),
        (
            INFORMATION_SCHEMA_OID.0,
            search_path::INFORMATION_SCHEMA.to_owned(),
        ),
    ];
    let own = schemas(context).into_iter();
    system
        .into_iter()
        .chain(own.map(|schema| (schema.oid.0, schema.name.to_string())))
        .collect()
}

/// The schemas of the session's database that are no catalogs'.
pub fn schemas(context: &StatementContext) -> Vec<Arc<Schema>> {
    let definitions = &context.snapshot.definitions;
    let mut schemas = definitions.schemas_of(context.identity.database);
    schemas.retain(|schema| !temporary::is_others(&schema.name, context));
    schemas
}

/// pg_namespace.oid; 0 where there is none.
pub fn namespace_oid(schema: &str, context: &StatementContext) -> u32 {
    let (definitions, database) = (&context.snapshot.definitions, context.identity.database);
    match schema {
        search_path::PG_CATALOG => PG_CATALOG_OID.0,
        search_path::INFORMATION_SCHEMA => INFORMATION_SCHEMA_OID.0,
        search_path::PUBLIC if !definitions.has_schemas(database) => PUBLIC_OID.0,
        other => definitions
            .schema(database, other)
            .map_or(0, |schema| schema.oid.0),
    }
}

/// pg_namespace.nspowner: of `public` PostgreSQL's name for the database's owner, until it has another.
pub fn schema_owner(schema: &Schema) -> u32 {
    schema.owner.map_or(DATABASE_OWNER.0, |owner| owner.0)
}

/// pg_namespace
pub fn pg_namespace(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_namespace");
    let one = |oid: u32, name: &str, owner: u32, acl: Cell| {
        row(
            shape,
            &[
                ("oid", number(oid)),
                ("nspname", text(name)),
                ("nspowner", number(owner)),
                ("nspacl", acl),
            ],
        )
    };
    let system = [
        (PG_CATALOG_OID.0, search_path::PG_CATALOG),
        (INFORMATION_SCHEMA_OID.0, search_path::INFORMATION_SCHEMA),
    ];
    let system = system.map(|(oid, name)| one(oid, name, CATALOG_OWNER, Cell::Null));
    let own = schemas(context).into_iter().map(|schema| {
        let acl = super::acl::of_schema(&schema, context);
        one(schema.oid.0, &schema.name, schema_owner(&schema), acl)
    });
    system.into_iter().chain(own).collect()
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
