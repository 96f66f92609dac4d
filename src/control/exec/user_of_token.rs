//! The user record that a token makes at first sight, where its provider says so (`auto_create`).

use crate::access::rights::denied;
use crate::catalog::Change;
use crate::catalog::allowance::Allowance;
use crate::catalog::passwords::Passwords;
use crate::catalog::principal::{Parent, Principal, PrincipalKind};
use crate::catalog::provider::FirstSight;
use crate::control::draft::Draft;
use crate::control::resolve::{new_role_name, role_exists};
use crate::diagnostic::Diagnostic;
use std::sync::Arc;

/// Makes it, with the provider's default role and no password. The provider itself asks: a session core
/// has verified a token of it that names the user.
pub fn make(draft: &mut Draft, name: &str) -> Result<&'static str, Diagnostic> {
    let tag = "CREATE ROLE";
    let principals = &draft.snapshot().principals;
    let provider = principals.provider(draft.by.principal).cloned();
    let provider = provider.filter(|it| it.first_sight == FirstSight::MakeUser);
    let provider = provider.ok_or_else(|| denied("permission denied to create role"))?;
    let name = new_role_name(name)?;
    if let Some(taken) = principals.principal_named(&name) {
        let is_user = matches!(taken.kind, PrincipalKind::User { .. });
        // Two first log-ins at once.
        return match is_user && taken.tenant == provider.tenant {
            true => Ok(tag),
            false => Err(role_exists(&name)),
        };
    }
    if principals.role(provider.tenant, &name).is_some() {
        return Err(role_exists(&name));
    }
    let (ladder, roles) = match provider.default_role.clone() {
        Parent::Ladder(rung) => (vec![rung], Vec::new()),
        Parent::Role(role) => (Vec::new(), vec![role]),
    };
    let user = Principal {
        id: draft.next_principal()?,
        name,
        tenant: provider.tenant,
        ladder,
        roles,
        enabled: true,
        valid_until: None,
        created_at: draft.now,
        allowance: Allowance::default(),
        kind: PrincipalKind::User {
            passwords: Passwords::default(),
            default_database: None,
            connect: Vec::new(),
        },
    };
    tracing::info!(
        provider = &*provider.name,
        user = &*user.name,
        "a user is made of a token"
    );
    draft.change(Change::PutPrincipal(Arc::new(user)));
    Ok(tag)
}
