//! DROP ROLE: whoever held it holds it no longer.

use super::dependents;
use crate::catalog::principal::{Parent, Role};
use crate::catalog::request::IfExists;
use crate::catalog::role::Ladder;
use crate::catalog::{Change, Snapshot};
use crate::control::draft::Draft;
use crate::control::resolve::unknown_role;
use crate::diagnostic::{Diagnostic, SqlState};
use std::str::FromStr;
use std::sync::Arc;

pub fn carry_out(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
) -> Result<&'static str, Diagnostic> {
    let tag = "DROP ROLE";
    let tenant = draft.by.tenant;
    draft
        .by
        .require(Ladder::TenantAdmin, "permission denied to drop role")?;
    let Some(role) = draft.snapshot().principals.role(tenant, name).cloned() else {
        other_kind(draft, name)?;
        if if_exists == IfExists::Fail {
            return Err(unknown_role(name));
        }
        let notice = format!("role \"{name}\" does not exist, skipping");
        draft.notice(Diagnostic::notice(notice));
        return Ok(tag);
    };
    dependents::require_none(
        dependents_of(draft.snapshot(), &role),
        format!("role \"{name}\" cannot be dropped because some objects depend on it"),
        "REVOKE what was granted to it, DROP ROLE those that inherit it and DROP API KEY those that carry it first; ALTER OIDC PROVIDER those that give it.",
    )?;
    take_from_members(draft, &role);
    draft.change(Change::DropRole(role.id));
    Ok(tag)
}

/// The roles that inherit it, the keys that carry it, the providers that give it and the tables it has
/// grants on.
fn dependents_of(snapshot: &Snapshot, role: &Role) -> Vec<String> {
    let inherits = Parent::Role(role.name.clone());
    let heirs = snapshot
        .principals
        .roles()
        .filter(|it| it.tenant == role.tenant && it.parent.as_ref() == Some(&inherits))
        .map(|it| format!("role {} inherits it", it.name));
    // Without it the key would carry nothing, or a later role of the same name.
    let keys = snapshot
        .principals
        .keys()
        .filter(|it| it.tenant == role.tenant && it.role.as_ref() == Some(&inherits))
        .map(|it| format!("API key {} carries it", it.name));
    let providers = snapshot
        .principals
        .providers()
        .filter(|it| it.tenant == role.tenant && it.roles().any(|given| given == &inherits))
        .map(|it| format!("OIDC provider {} gives it", it.name));
    heirs
        .chain(keys)
        .chain(providers)
        .chain(dependents::granted_to(snapshot, role.id))
        .chain(dependents::policies_for(snapshot, role.id))
        .collect()
}

/// As PostgreSQL, without a word.
fn take_from_members(draft: &mut Draft, role: &Role) {
    let members: Vec<_> = draft
        .snapshot()
        .principals
        .all()
        .filter(|it| it.tenant == role.tenant && it.roles.contains(&role.name))
        .cloned()
        .collect();
    for member in members {
        let name: &Arc<str> = &role.name;
        draft.change_principal(&member, |it| it.roles.retain(|held| held != name));
    }
}

/// 42809 for what is there but is no custom role.
fn other_kind(draft: &Draft, name: &str) -> Result<(), Diagnostic> {
    let what = if Ladder::from_str(name).is_ok() {
        "a built-in role"
    } else if draft.find_principal(name).is_some() {
        "a user, not a role"
    } else {
        return Ok(());
    };
    Err(Diagnostic::error(
        SqlState::WRONG_OBJECT_TYPE,
        format!("\"{name}\" is {what}"),
    ))
}
