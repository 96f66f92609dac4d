//! pg_policy and pg_policies.

use super::Row;
use super::cell::{Cell, maybe, number, row, text};
use super::relations::{catalog, own};
use crate::catalog::definition::Relation;
use crate::catalog::row_policy::{Policy, PolicyCommand, PolicyMode};
use crate::engine::context::StatementContext;
use std::sync::Arc;

fn policies(context: &StatementContext) -> impl Iterator<Item = (&Arc<Relation>, &Policy)> {
    own(context).flat_map(|relation| {
        let policies = relation.row_security.policies.iter();
        policies.map(move |policy| (relation, policy))
    })
}

/// pg_policy
pub fn pg_policy(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_policy");
    let rows = policies(context).map(|(relation, policy)| {
        let roles = match policy.roles.is_empty() {
            // PUBLIC
            true => vec![number(0)],
            false => policy.roles.iter().map(|role| number(role.0)).collect(),
        };
        row(
            shape,
            &[
                ("oid", number(policy.oid.0)),
                ("polname", text(&*policy.name)),
                ("polrelid", number(relation.oid.0)),
                ("polcmd", text(letter(policy.command))),
                ("polpermissive", Cell::Bool(is_permissive(policy))),
                ("polroles", Cell::List(roles)),
                ("polqual", maybe(policy.using.as_deref())),
                ("polwithcheck", maybe(policy.check.as_deref())),
            ],
        )
    });
    rows.collect()
}

/// pg_policies
pub fn pg_policies(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_policies");
    let rows = policies(context).map(|(relation, policy)| {
        let roles = match policy.roles.is_empty() {
            true => vec![text("public")],
            false => policy
                .roles
                .iter()
                .filter_map(|role| super::roles::name_of(*role, context))
                .map(text)
                .collect(),
        };
        row(
            shape,
            &[
                ("schemaname", text(&*relation.schema)),
                ("tablename", text(&*relation.name)),
                ("policyname", text(&*policy.name)),
                ("permissive", text(policy.mode.as_str().to_uppercase())),
                ("roles", Cell::List(roles)),
                ("cmd", text(command(policy.command))),
                ("qual", maybe(policy.using.as_deref())),
                ("with_check", maybe(policy.check.as_deref())),
            ],
        )
    });
    rows.collect()
}

fn is_permissive(policy: &Policy) -> bool {
    policy.mode == PolicyMode::Permissive
}

/// PostgreSQL has no letter for WRITE; UPDATE's is the nearest.
fn letter(command: PolicyCommand) -> &'static str {
    match command {
        PolicyCommand::All => "*",
        PolicyCommand::Read => "r",
        PolicyCommand::Insert => "a",
        PolicyCommand::Write | PolicyCommand::Update => "w",
        PolicyCommand::Delete => "d",
    }
}

fn command(command: PolicyCommand) -> &'static str {
    match command {
        PolicyCommand::Read => "SELECT",
        other => other.as_str(),
    }
}
