//! The first start, and the superuser's way back in when the password is lost.

use super::exec::DEFAULT_DATABASE;
use super::resolve::new_role_name;
use crate::catalog::allowance::Allowance;
use crate::catalog::passwords::Passwords;
use crate::catalog::principal::{Database, Principal, PrincipalKind, Tenant};
use crate::catalog::role::Ladder;
use crate::catalog::snapshot::Principals;
use crate::catalog::store::{Store, StoreError};
use crate::catalog::verifier::Verifier;
use crate::catalog::{Change, DatabaseId, Epoch, PrincipalId, TenantId};
use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;

/// What a new server begins with.
#[derive(Clone, Debug)]
pub struct FirstStart {
    /// `[auth] superuser_name`.
    pub superuser_name: String,
    /// Of its password.
    pub verifier: Verifier,
    /// Unix microseconds.
    pub now: i64,
}

/// Makes tenant 0 `system`, its database `nodedb` and the superuser, durable when this returns.
///
/// # Errors
/// 42602 and its like for a name that cannot be one; what the store says.
pub fn first_start(
    store: &mut dyn Store,
    first: FirstStart,
) -> Result<(Epoch, Principals), Diagnostic> {
    let name = new_role_name(&first.superuser_name)?;
    let superuser = Principal {
        id: PrincipalId::FIRST_SUPERUSER,
        name,
        tenant: TenantId::SYSTEM,
        ladder: vec![Ladder::Superuser],
        roles: Vec::new(),
        enabled: true,
        valid_until: None,
        created_at: first.now,
        allowance: Allowance::default(),
        kind: PrincipalKind::User {
            passwords: Passwords::from(Some(first.verifier)),
            default_database: None,
            connect: Vec::new(),
        },
    };
    let changes = [
        Change::PutTenant(Arc::new(Tenant {
            id: TenantId::SYSTEM,
            name: Arc::from("system"),
            default_database: DatabaseId::FIRST,
            allowance: Allowance::default(),
        })),
        Change::PutDatabase(Arc::new(Database {
            id: DatabaseId::FIRST,
            name: Arc::from(DEFAULT_DATABASE),
            tenant: TenantId::SYSTEM,
            owner: PrincipalId::FIRST_SUPERUSER,
        })),
        Change::PutPrincipal(Arc::new(superuser)),
    ];
    let epoch = Epoch(1);
    append(store, epoch, &changes)?;
    let mut principals = Principals::default();
    changes.iter().for_each(|change| principals.apply(change));
    Ok((epoch, principals))
}

/// Gives the superuser of this name a new password and lets it log in again: enabled, without an
/// end, a superuser. For `nodedb reset-superuser-password`, with the server stopped.
///
/// # Errors
/// 42704 when there is no such user; what the store says.
pub fn reset_superuser(
    store: &mut dyn Store,
    epoch: Epoch,
    principals: &Principals,
    name: &str,
    new: Verifier,
) -> Result<(), Diagnostic> {
    let missing = || {
        Diagnostic::error(
            SqlState::UNDEFINED_OBJECT,
            format!("there is no user \"{name}\" in this catalog"),
        )
    };
    let old = principals.principal_named(name).ok_or_else(missing)?;
    let mut user = Principal::clone(old);
    let PrincipalKind::User { passwords, .. } = &mut user.kind else {
        return Err(missing());
    };
    *passwords = Passwords::from(Some(new));
    user.enabled = true;
    user.valid_until = None;
    if !user.ladder.contains(&Ladder::Superuser) {
        user.ladder = vec![Ladder::Superuser];
    }
    let change = Change::PutPrincipal(Arc::new(user));
    append(store, Epoch(epoch.0 + 1), &[change])
}

fn append(store: &mut dyn Store, epoch: Epoch, changes: &[Change]) -> Result<(), Diagnostic> {
    store
        .append(epoch, changes)
        .map_err(|error: StoreError| Diagnostic::from(&error))
}
