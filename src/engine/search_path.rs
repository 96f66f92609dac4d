//! From names to schemas and relations, as search_path says: the one place where names are looked up.
//!
//! Source: PostgreSQL 15, section 5.9.3 "The Schema Search Path" and `namespace.c`. Catalogs come first
//! wherever the path does not say otherwise; a schema that is not there, or that the session may not use,
//! is passed over.

use super::context::StatementContext;
use super::settings::Settings;
use super::temporary;
use crate::access::Rights;
use crate::catalog::definition::{Definitions, Relation};
use crate::catalog::role::Ladder;
pub use crate::catalog::schema::PUBLIC;
use crate::catalog::schema::Schema;
use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;

/// The schema of the catalogs.
pub const PG_CATALOG: &str = "pg_catalog";
/// The standard's view of them.
pub const INFORMATION_SCHEMA: &str = "information_schema";
/// What stands in a search_path for the schema that is named as the session's user.
pub const USER: &str = "$user";

/// Whether it is a schema of catalogs, which is in every database and which nobody defines.
pub fn is_system(schema: &str) -> bool {
    matches!(schema, PG_CATALOG | INFORMATION_SCHEMA)
}

/// The schemas of the search_path that exist and may be used, in order; without the catalogs that come
/// first implicitly.
pub fn of(context: &StatementContext) -> Vec<Arc<str>> {
    in_force(&context.snapshot.definitions, context)
}

/// As [`of`], by definitions that a statement has changed.
pub fn in_force(definitions: &Definitions, context: &StatementContext) -> Vec<Arc<str>> {
    let mut found: Vec<Arc<str>> = Vec::new();
    for schema in &context.settings.search_path {
        let name = resolved(schema, context);
        if !found.contains(name) && is_usable(name, definitions, context) {
            found.push(name.clone());
        }
    }
    found
}

/// Whether the schema exists in the session's database.
pub fn exists(schema: &str, context: &StatementContext) -> bool {
    let definitions = &context.snapshot.definitions;
    if schema == temporary::ALIAS {
        return temporary::own(definitions, context).is_some();
    }
    let known = || definitions.schema(context.identity.database, schema);
    is_system(schema) || !temporary::is_others(schema, context) && known().is_some()
}

/// The relation of this name that somebody has defined: in the schema, or along the search_path. What a
/// catalog hides is not found.
pub fn find<'a>(
    definitions: &'a Definitions,
    schema: Option<&str>,
    name: &str,
    context: &StatementContext,
) -> Option<&'a Arc<Relation>> {
    let database = context.identity.database;
    if let Some(schema) = schema {
        if schema == temporary::ALIAS {
            return temporary::find(definitions, name, context);
        }
        return match temporary::is_others(schema, context) {
            true => None,
            false => definitions.find(database, schema, name),
        };
    }
    if let Some(found) = temporary::find(definitions, name, context) {
        return Some(found);
    }
    // A schema without relations is passed over in any case.
    context.settings.search_path.iter().find_map(|schema| {
        let schema = resolved(schema, context);
        let found = definitions.find(database, schema, name)?;
        is_usable(schema, definitions, context).then_some(found)
    })
}

/// Where a relation is made whose name has no schema: the first of the path that exists.
pub fn for_new(definitions: &Definitions, context: &StatementContext) -> Option<Arc<str>> {
    in_force(definitions, context).into_iter().next()
}

/// That the session may look names up in the schema, which it names. One that is not there is no matter
/// of rights.
///
/// # Errors
/// 42501 `permission denied for schema s`.
pub fn demand_usage(schema: &str, context: &StatementContext) -> Result<(), Diagnostic> {
    let definitions = &context.snapshot.definitions;
    let refused = !is_system(schema)
        && !reads_all(&context.rights)
        && definitions
            .schema(context.identity.database, schema)
            .is_some_and(|schema| !context.rights.schema_privileges(&schema).usage);
    match refused {
        false => Ok(()),
        true => Err(Diagnostic::error(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied for schema {schema}"),
        )),
    }
}

/// 3F000
pub fn no_schema(schema: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_SCHEMA_NAME,
        format!("schema \"{schema}\" does not exist"),
    )
}

/// The schema that an entry of the path stands for.
fn resolved<'a>(entry: &'a Arc<str>, context: &'a StatementContext) -> &'a Arc<str> {
    match &**entry == USER {
        true => &context.identity.name,
        false => entry,
    }
}

fn is_usable(schema: &str, definitions: &Definitions, context: &StatementContext) -> bool {
    if is_system(schema) {
        return true;
    }
    let found = definitions.schema(context.identity.database, schema);
    found.is_some_and(|found| {
        reads_all(&context.rights) || context.rights.schema_privileges(&found).usage
    })
}

/// Whoever reads every table of the database uses every schema of it.
fn reads_all(rights: &Rights) -> bool {
    rights.reaches(Ladder::ReadOnly)
}

/// What decides, besides the definitions, what a statement's text means: plans are kept by it.
#[derive(Clone, Debug)]
pub struct Standpoint {
    settings: Arc<Settings>,
    /// The schema behind `"$user"`, where there is one.
    own: Option<Arc<str>>,
    /// Of who may not use every schema.
    rights: Option<Arc<Rights>>,
    /// The schema of the session's temporary tables, where there is one.
    temporary: Option<Arc<str>>,
}

impl Standpoint {
    /// That of a statement. Costs nothing to speak of in a database whose only schema is `public`.
    pub fn of(context: &StatementContext) -> Standpoint {
        Standpoint {
            settings: context.settings.clone(),
            own: own_schema(context),
            rights: (!reads_all(&context.rights)).then(|| context.rights.clone()),
            temporary: temporary_schema(context),
        }
    }

    /// Whether a text means the same from there.
    pub fn is(&self, context: &StatementContext) -> bool {
        let settings = &context.settings;
        let same_rights = || match &self.rights {
            None => reads_all(&context.rights),
            Some(rights) => Arc::ptr_eq(rights, &context.rights) || **rights == *context.rights,
        };
        (Arc::ptr_eq(&self.settings, settings) || self.settings.reads_alike(settings))
            && same_rights()
            && self.own == own_schema(context)
            && self.temporary == temporary_schema(context)
    }

    /// Whether both are one.
    pub fn same(&self, other: &Standpoint) -> bool {
        (Arc::ptr_eq(&self.settings, &other.settings) || self.settings.reads_alike(&other.settings))
            && self.rights == other.rights
            && self.own == other.own
            && self.temporary == other.temporary
    }
}

fn temporary_schema(context: &StatementContext) -> Option<Arc<str>> {
    let schema = temporary::own(&context.snapshot.definitions, context)?;
    Some(schema.name.clone())
}

fn own_schema(context: &StatementContext) -> Option<Arc<str>> {
    let (definitions, database) = (&context.snapshot.definitions, context.identity.database);
    if !definitions.has_schemas(database) {
        return None;
    }
    let path = &context.settings.search_path;
    path.iter().find(|entry| &***entry == USER)?;
    let schema: Option<Arc<Schema>> = definitions.schema(database, &context.identity.name);
    schema.map(|schema| schema.name.clone())
}
