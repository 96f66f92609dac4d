//! ALTER USER: password, role, default database, end of validity, disabled or enabled.

use super::superuser_left;
use crate::access::database_in_reach;
use crate::access::rights::{Held, denied};
use crate::catalog::passwords::PasswordsFault;
use crate::catalog::principal::{Parent, Principal, PrincipalKind};
use crate::catalog::request::{PasswordChange, UserChange};
use crate::catalog::role::Ladder;
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
        UserChange::Password { change, remembered } => {
            change_password(draft, &user, change, remembered)?;
        }
        UserChange::Role(role) => set_role(draft, &user, &role)?,
        UserChange::DefaultDatabase(database) => set_default_database(draft, &user, &database)?,
        UserChange::ValidUntil(end) => draft.change_principal(&user, |it| it.valid_until = end),
        UserChange::Disable => draft.change_principal(&user, |it| it.enabled = false),
        UserChange::Enable => draft.change_principal(&user, |it| it.enabled = true),
        UserChange::Limits(limits) => draft.change_principal(&user, |it| {
            it.allowance = limits.applied_to(it.allowance);
        }),
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
            UserChange::Password { .. } | UserChange::DefaultDatabase(_)
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

fn change_password(
    draft: &mut Draft,
    user: &Principal,
    change: PasswordChange,
    remembered: usize,
) -> Result<(), Diagnostic> {
    let PrincipalKind::User { passwords, .. } = &user.kind else {
        unreachable!("Draft::user gives users only")
    };
    let mut next = passwords.clone();
    let changed = match change {
        PasswordChange::Set(verifier) => {
            next.set(verifier, remembered);
            Ok(())
        }
        PasswordChange::Add(verifier) => next.add(verifier),
        PasswordChange::DropOld => next.drop_old(remembered),
    };
    changed.map_err(|fault| unfit(&user.name, fault))?;
    draft.change_principal(user, |it| {
        if let PrincipalKind::User { passwords, .. } = &mut it.kind {
            *passwords = next;
        }
    });
    Ok(())
}

fn unfit(user: &str, fault: PasswordsFault) -> Diagnostic {
    let state = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
    match fault {
        PasswordsFault::TwoAlready => {
            Diagnostic::error(state, format!("user \"{user}\" has two passwords already"))
                .with_hint(format!("ALTER USER {} DROP OLD PASSWORD", quoted(user)))
        }
        PasswordsFault::AnotherSalt => Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            "a second verifier must have the salt and the iterations of the first",
        )
        .with_detail("A client is told one salt before it proves its password.")
        .with_hint(
            "Give the password itself. If you did, the first one has been changed meanwhile: try again.",
        ),
        PasswordsFault::OnlyOne => {
            Diagnostic::error(state, format!("user \"{user}\" has no second password"))
                .with_hint(format!("ALTER USER {} ADD PASSWORD '…'", quoted(user)))
        }
    }
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
