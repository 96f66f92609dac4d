//! The schema of a session's temporary tables: `pg_temp_<pid>`, which `pg_temp` stands for.
//!
//! Temporary tables are ordinary relations of that schema. It is made with the first of them, comes first in
//! every search of a relation, is nobody else's, and goes with the session; what a crash leaves is swept away
//! at the next start. Source: PostgreSQL 15, CREATE TABLE "TEMPORARY", and `namespace.c`.

use super::context::StatementContext;
use crate::catalog::definition::{Definitions, Relation};
use crate::catalog::schema::{Schema, TEMPORARY_PREFIX, is_temporary};
use std::sync::Arc;

/// What a statement calls the schema of its session.
pub const ALIAS: &str = "pg_temp";

/// The option that says what COMMIT does; no storage parameter has a name with a blank.
pub const ON_COMMIT_OPTION: &str = "on commit";

/// What COMMIT does to a temporary table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCommit {
    /// ON COMMIT DELETE ROWS
    DeleteRows,
    /// ON COMMIT DROP
    Drop,
}

impl OnCommit {
    /// As the option's value.
    pub fn as_str(self) -> &'static str {
        match self {
            OnCommit::DeleteRows => "delete rows",
            OnCommit::Drop => "drop",
        }
    }

    /// What COMMIT does to the relation; None: nothing.
    pub fn of(relation: &Relation) -> Option<OnCommit> {
        let options = &relation.table()?.options;
        let (_, value) = options
            .iter()
            .find(|(name, _)| **name == *ON_COMMIT_OPTION)?;
        let all = [OnCommit::DeleteRows, OnCommit::Drop];
        all.into_iter().find(|known| known.as_str() == &**value)
    }
}

/// The name of the schema of the session that asks.
pub fn own_name(context: &StatementContext) -> String {
    format!("{TEMPORARY_PREFIX}{}", context.backend_pid)
}

/// The schema of the session that asks, once there is one. Costs nothing to speak of in a database
/// whose only schema is `public`.
pub fn own(definitions: &Definitions, context: &StatementContext) -> Option<Arc<Schema>> {
    let database = context.identity.database;
    match definitions.has_schemas(database) {
        true => definitions.schema(database, &own_name(context)),
        false => None,
    }
}

/// The session's temporary relation of this name.
pub fn find<'a>(
    definitions: &'a Definitions,
    name: &str,
    context: &StatementContext,
) -> Option<&'a Arc<Relation>> {
    let schema = own(definitions, context)?;
    definitions.find(context.identity.database, &schema.name, name)
}

/// Whether it is another session's schema, which is not there for this one.
pub fn is_others(schema: &str, context: &StatementContext) -> bool {
    is_temporary(schema) && schema != own_name(context)
}

/// The schema that a name in a statement means.
pub fn meant(schema: &str, context: &StatementContext) -> String {
    match schema {
        ALIAS => own_name(context),
        other => other.to_owned(),
    }
}
