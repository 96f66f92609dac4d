//! ALTER USER: password, role, default database, end of validity, disabled or enabled.

use super::superuser_left;
use crate::access::database_in_reach;
use crate::access::rights::{Held, denied};
use crate::catalog::principal::{Parent, Principal, PrincipalKind};
use crate::catalog::request::UserChange;
use crate::catalog::role::Ladder;
use crate::catalog::verifier::Verifier;
use crate::control::draft::Draft;
use crate::control::resolve::quoted;
use crate::diagnostic::{Diagnostic, SqlState};

pub fn carry_out(
    draft: &mut Draft,
    name: &str,
    change: UserChange,
) -> Result<&'static str, Diagnostic> {
    let user = match draft.user(name) {
        Ok(user) => user,
        // Whoever may alter nobody learns nothing about who there is.
        Err(error) => {
            draft.by.require(Ladder::TenantAdmin, "permission denied")?;
            return Err(error);
        }
    };
    may_alter(draft, &user, &change)?;
    match change {
        UserChange::Password(verifier) => set_password(draft, &user, verifier),
        UserChange::Role(role) => set_role(draft, &user, &role)?,
        UserChange::DefaultDatabase(database) => set_default_database(draft, &user, &database)?,
        UserChange::ValidUntil(end) => draft.change_principal(&user, |it| it.valid_until = end),
        UserChange::Disable => draft.change_principal(&user, |it| it.enabled = false),
        UserChange::Enable => draft.change_principal(&user, |it| it.enabled = true),
    }
    superuser_left::require(draft)?;
    Ok("ALTER ROLE")
}

/// Everybody may set their own password and default database; the rest is tenant_admin's, and a
/// superuser's record is a superuser's.
fn may_alter(draft: &Draft, user: &Principal, change: &UserChange) -> Result<(), Diagnostic> {
    let own = user.id == draft.by.principal
        && matches!(
            change,
            UserChange::Password(_) | UserChange::DefaultDatabase(_)
        );
    let held = Held::of(draft.snapshot(), user);
    // A credential that may less than its user, a key with a role or a token, does not become more.
    if own && draft.by.reaches(held.rung) {
        return Ok(());
    }
    draft.by.require(Ladder::TenantAdmin, "permission denied")?;
    require_power_over(
        draft,
        user,
        "must be superuser to alter superuser roles or change superuser attribute",
    )
}

/// A tenant_admin has no power over a superuser.
pub(super) fn require_power_over(
    draft: &Draft,
    principal: &Principal,
    message: &str,
) -> Result<(), Diagnostic> {
    let held = Held::of(draft.snapshot(), principal);
    if held.rung == Some(Ladder::Superuser) && !draft.by.is_superuser() {
        return Err(denied(message));
    }
    Ok(())
}

fn set_password(draft: &mut Draft, user: &Principal, new: Option<Verifier>) {
    draft.change_principal(user, |it| match &mut it.kind {
        PrincipalKind::User { verifier, .. } => *verifier = new,
        PrincipalKind::ServiceAccount { .. } => {
            unreachable!("Draft::user gives users only")
        }
    });
}

/// SET ROLE leaves exactly this role, custom ones that were granted besides included.
fn set_role(draft: &mut Draft, user: &Principal, role: &str) -> Result<(), Diagnostic> {
    let given = draft.role(user.tenant, role)?;
    draft.by.may_give(role, given.rung)?;
    draft.change_principal(user, |it| match given.role {
        Parent::Ladder(rung) => {
            it.ladder = vec![rung];
            it.roles.clear();
        }
        Parent::Role(role) => {
            it.ladder.clear();
            it.roles = vec![role];
        }
    });
    Ok(())
}

fn set_default_database(draft: &mut Draft, user: &Principal, name: &str) -> Result<(), Diagnostic> {
    let database = draft.database(user.tenant, name)?;
    if !database_in_reach(draft.snapshot(), user, None, &database) {
        let statement = format!(
            "GRANT CONNECT ON DATABASE {} TO {}",
            quoted(&database.name),
            quoted(&user.name)
        );
        draft.notice(
            Diagnostic::warning(
                SqlState::WARNING,
                format!("user \"{}\" may not connect to \"{name}\" yet", user.name),
            )
            .with_hint(statement),
        );
    }
    draft.change_principal(user, |it| match &mut it.kind {
        PrincipalKind::User {
            default_database, ..
        } => *default_database = Some(database.id),
        PrincipalKind::ServiceAccount { .. } => {
            unreachable!("Draft::user gives users only")
        }
    });
    Ok(())
}
