//! SHOW RLS POLICIES [ON t]: name, table, command, mode, predicate, of the session's database.

use super::{TEXT, Table, Viewer, text};
use crate::catalog::definition::Relation;
use crate::catalog::row_policy::Policy;
use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;

/// Admin and above. A table of this name in several schemas: all of them.
///
/// # Errors
/// 42501; 42P01 for a table that does not exist.
pub fn rows(viewer: &Viewer<'_>, table: Option<&str>) -> Result<Table, Diagnostic> {
    viewer.require_admin("row policies")?;
    let definitions = &viewer.snapshot.definitions;
    let tables: Vec<&Arc<Relation>> = definitions
        .of_database(viewer.rights.database())
        .filter(|relation| relation.table().is_some())
        .filter(|relation| table.is_none_or(|table| *relation.name == *table))
        .collect();
    if let (Some(table), true) = (table, tables.is_empty()) {
        return Err(Diagnostic::error(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{table}\" does not exist"),
        ));
    }
    let rows = tables.into_iter().flat_map(|relation| {
        let policies = relation.row_security.policies.iter();
        policies.map(move |policy| row(relation, policy))
    });
    Ok(Table {
        columns: vec![
            ("name", TEXT),
            ("table", TEXT),
            ("command", TEXT),
            ("mode", TEXT),
            ("predicate", TEXT),
        ],
        rows: rows.collect(),
    })
}

fn row(relation: &Relation, policy: &Policy) -> Vec<Option<String>> {
    let predicate = match (&policy.using, &policy.check) {
        (Some(using), None) => using.to_string(),
        (None, Some(check)) => format!("WITH CHECK ({check})"),
        (Some(using), Some(check)) => format!("{using} WITH CHECK ({check})"),
        (None, None) => String::new(),
    };
    vec![
        text(&policy.name),
        text(&relation.name),
        text(policy.command.as_str()),
        text(policy.mode.as_str()),
        Some(predicate),
    ]
}
