//! SHOW API KEYS [FOR owner]: name, key_id, owner, roles, databases, created_at, expires_at,
//! last_used_at (REFERENCE §1), and what else a key may be bound to: scopes, ips, rate,
//! grace_until.

use super::{INTEGER, TEXT, TIMESTAMPTZ, Table, Viewer, roles_of, text, timestamp};
use crate::catalog::key::ApiKey;
use crate::catalog::principal::Parent;
use crate::diagnostic::{Diagnostic, SqlState};

pub fn rows(viewer: &Viewer<'_>, of: Option<&str>) -> Result<Table, Diagnostic> {
    viewer.require_admin("API keys")?;
    let principals = &viewer.snapshot.principals;
    let mut keys: Vec<&ApiKey> = match of {
        None => principals.keys().map(|key| &**key).collect(),
        Some(name) => {
            let owner = principals
                .principal_named(name)
                .filter(|owner| viewer.sees(owner.tenant))
                .ok_or_else(|| {
                    Diagnostic::error(
                        SqlState::UNDEFINED_OBJECT,
                        format!("role \"{name}\" does not exist"),
                    )
                })?;
            principals.keys_of(owner.id).map(|key| &**key).collect()
        }
    };
    keys.retain(|key| viewer.sees(key.tenant));
    let used = viewer.used.current();
    keys.sort_by(|a, b| (a.tenant, &a.name).cmp(&(b.tenant, &b.name)));
    let rows = keys
        .into_iter()
        .map(|key| row(viewer, key, used.get(&key.id)));
    Ok(Table {
        columns: vec![
            ("name", TEXT),
            ("key_id", TEXT),
            ("owner", TEXT),
            ("roles", TEXT),
            ("databases", TEXT),
            ("created_at", TIMESTAMPTZ),
            ("expires_at", TIMESTAMPTZ),
            ("last_used_at", TIMESTAMPTZ),
            ("scopes", TEXT),
            ("ips", TEXT),
            ("rate", INTEGER),
            ("grace_until", TIMESTAMPTZ),
        ],
        rows: rows.collect(),
    })
}

fn row(viewer: &Viewer<'_>, key: &ApiKey, last_used_at: Option<&i64>) -> Vec<Option<String>> {
    let owner = viewer.snapshot.principals.principal(key.owner);
    let roles = match &key.role {
        Some(Parent::Ladder(rung)) => rung.to_string(),
        Some(Parent::Role(role)) => role.to_string(),
        // All of its owner's.
        None => owner.map(|owner| roles_of(owner)).unwrap_or_default(),
    };
    let grace = key.previous.as_ref().map(|previous| previous.until);
    vec![
        text(&key.name),
        text(key.id),
        owner.map(|owner| owner.name.to_string()),
        text(roles),
        databases_of(viewer, key),
        timestamp(key.created_at),
        key.expires_at.and_then(timestamp),
        last_used_at.copied().and_then(timestamp),
        key.scopes.as_ref().map(|scopes| list(scopes.iter())),
        key.networks.as_ref().map(|networks| list(networks.iter())),
        key.rate_per_second.map(|rate| rate.to_string()),
        grace
            .filter(|until| *until > viewer.now)
            .and_then(timestamp),
    ]
}

/// The names of the list, the default one first; NULL for a key without one.
fn databases_of(viewer: &Viewer<'_>, key: &ApiKey) -> Option<String> {
    let names = key.databases.as_ref()?.iter();
    let names = names.filter_map(|id| viewer.snapshot.principals.database(*id));
    Some(list(names.map(|database| &database.name)))
}

fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<_> = items.map(|item| item.to_string()).collect();
    items.join(", ")
}
