//! GRANT role TO name and REVOKE role FROM name.

use super::alter_user::require_power_over;
use super::superuser_left;
use crate::catalog::principal::{Parent, Principal};
use crate::catalog::role::Ladder;
use crate::control::draft::Draft;
use crate::control::resolve::{GivenRole, unknown_user};
use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;

pub fn grant(draft: &mut Draft, role: &str, to: &str) -> Result<&'static str, Diagnostic> {
    let (member, given) = parties(draft, role, to)?;
    if holds(&member, &given.role) {
        let notice = format!("role \"{to}\" is already a member of role \"{role}\"");
        draft.notice(Diagnostic::notice(notice));
    }
    draft.change_principal(&member, |it| match given.role {
        Parent::Ladder(rung) if !it.ladder.contains(&rung) => it.ladder.push(rung),
        Parent::Role(role) if !it.roles.contains(&role) => it.roles.push(role),
        Parent::Ladder(_) | Parent::Role(_) => {}
    });
    Ok("GRANT ROLE")
}

pub fn revoke(draft: &mut Draft, role: &str, from: &str) -> Result<&'static str, Diagnostic> {
    let (member, given) = parties(draft, role, from)?;
    if !holds(&member, &given.role) {
        let warning = format!("role \"{from}\" is not a member of role \"{role}\"");
        draft.notice(Diagnostic::warning(SqlState::WARNING, warning));
    }
    draft.change_principal(&member, |it| match &given.role {
        Parent::Ladder(rung) => it.ladder.retain(|held| held != rung),
        Parent::Role(role) => it.roles.retain(|held| held != role),
    });
    superuser_left::require(draft)?;
    Ok("REVOKE ROLE")
}

/// Who, and what; nobody gives or takes what they do not hold.
fn parties(
    draft: &Draft,
    role: &str,
    name: &str,
) -> Result<(Arc<Principal>, GivenRole), Diagnostic> {
    let message = format!("must have admin option on role \"{role}\"");
    draft.by.require(Ladder::TenantAdmin, message)?;
    let member = match draft.find_principal(name) {
        Some(member) => member,
        None => return Err(no_member(draft, name)),
    };
    let given = draft.role(member.tenant, role)?;
    draft.by.may_give(role, given.rung)?;
    require_power_over(draft, &member, "must be superuser to alter superusers")?;
    Ok((member, given))
}

fn no_member(draft: &Draft, name: &str) -> Diagnostic {
    if draft.role(draft.by.tenant, name).is_err() {
        return unknown_user(name);
    }
    Diagnostic::error(
        SqlState::WRONG_OBJECT_TYPE,
        format!("\"{name}\" is a role; roles are granted to users"),
    )
    .with_hint("A role takes another one with CREATE ROLE … INHERIT.")
}

fn holds(member: &Principal, role: &Parent) -> bool {
    match role {
        Parent::Ladder(rung) => member.ladder.contains(rung),
        Parent::Role(role) => member.roles.contains(role),
    }
}
