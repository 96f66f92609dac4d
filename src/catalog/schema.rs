//! Schemas: the name spaces of a database's relations, with an owner and grants of their own.
//!
//! Every database has `public` without anybody having made it: what is stored is what has become of it
//! since, and that it is gone once it was dropped. The schemas of catalogs are none of these.

use super::ids::{DatabaseId, Oid, PrincipalId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The schema that a database begins with.
pub const PUBLIC: &str = "public";
/// pg_namespace.oid of the schema that a database begins with, in every database.
pub const PUBLIC_OID: Oid = Oid(2200);

/// What the schemas of sessions' temporary tables are called, before the session's number.
pub const TEMPORARY_PREFIX: &str = "pg_temp_";

/// Whether a schema is one of a session's temporary tables; nobody makes another whose name begins so.
pub fn is_temporary(schema: &str) -> bool {
    schema.starts_with(TEMPORARY_PREFIX)
}

/// A schema of one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// pg_namespace.oid; that of `public` is the same in every database.
    pub oid: Oid,
    /// The database it belongs to.
    pub database: DatabaseId,
    /// Its name in the database.
    pub name: Arc<str>,
    /// Who owns it; None: whoever owns the database (PostgreSQL's pg_database_owner).
    pub owner: Option<PrincipalId>,
    /// GRANTs on it to users, service accounts and roles.
    pub grants: Vec<SchemaGrant>,
    /// GRANTs to PUBLIC.
    pub everyone: SchemaPrivileges,
    /// COMMENT ON it; None where nothing was said, so that a dump of `public` says nothing of it.
    pub comment: Option<Arc<str>>,
}

/// GRANT … ON SCHEMA … TO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaGrant {
    /// A user, service account or custom role, by its id as in a table's grants.
    pub grantee: PrincipalId,
    /// What it may.
    pub privileges: SchemaPrivileges,
}

/// What GRANT … ON SCHEMA gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaPrivileges {
    /// USAGE: to look names up in it.
    pub usage: bool,
    /// CREATE: to make relations in it.
    pub create: bool,
}

impl SchemaPrivileges {
    /// ALL
    pub const ALL: SchemaPrivileges = SchemaPrivileges {
        usage: true,
        create: true,
    };
    /// What PUBLIC has on the schema that a database begins with.
    pub const USAGE: SchemaPrivileges = SchemaPrivileges {
        usage: true,
        create: false,
    };

    /// What either gives.
    #[must_use]
    pub fn union(self, other: SchemaPrivileges) -> SchemaPrivileges {
        SchemaPrivileges {
            usage: self.usage || other.usage,
            create: self.create || other.create,
        }
    }

    /// What both give.
    #[must_use]
    pub fn intersection(self, other: SchemaPrivileges) -> SchemaPrivileges {
        SchemaPrivileges {
            usage: self.usage && other.usage,
            create: self.create && other.create,
        }
    }

    /// What this gives and the other does not.
    #[must_use]
    pub fn without(self, other: SchemaPrivileges) -> SchemaPrivileges {
        SchemaPrivileges {
            usage: self.usage && !other.usage,
            create: self.create && !other.create,
        }
    }

    /// Whether it gives nothing.
    pub fn is_empty(self) -> bool {
        self == SchemaPrivileges::default()
    }

    /// The names of those given, in PostgreSQL's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [(self.usage, "USAGE"), (self.create, "CREATE")]
            .into_iter()
            .filter_map(|(given, name)| given.then_some(name))
    }
}

impl Schema {
    /// The schema that a database begins with, as it is until somebody changes it.
    pub fn public(database: DatabaseId) -> Schema {
        Schema {
            oid: PUBLIC_OID,
            database,
            name: Arc::from(PUBLIC),
            owner: None,
            grants: Vec::new(),
            everyone: SchemaPrivileges::USAGE,
            comment: Some(Arc::from("standard public schema")),
        }
    }
}
