//! CREATE USER.

use super::create_tenant;
use crate::catalog::principal::{Parent, Principal, PrincipalKind};
use crate::catalog::request::{IfExists, TenantRef};
use crate::catalog::role::Ladder;
use crate::catalog::verifier::Verifier;
use crate::catalog::{Change, TenantId};
use crate::control::draft::Draft;
use crate::control::resolve::{new_role_name, role_exists, unknown_tenant};
use crate::diagnostic::Diagnostic;
use std::sync::Arc;

/// The role of a user that is made without one (REFERENCE §1).
const DEFAULT_ROLE: &str = "readwrite";

pub fn carry_out(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
    verifier: Option<Verifier>,
    role: Option<&str>,
    tenant: Option<TenantRef>,
) -> Result<&'static str, Diagnostic> {
    let tag = "CREATE ROLE";
    let by = draft.by.clone();
    by.require(Ladder::TenantAdmin, "permission denied to create role")?;
    if tenant.is_some() {
        by.require_superuser("must be superuser to create users of another tenant")?;
    }
    let name = new_role_name(name)?;
    let existing = tenant.as_ref().and_then(|tenant| draft.find_tenant(tenant));
    let home = existing.map_or(by.tenant, |tenant| tenant.id);
    if let Some(taken) = draft.snapshot().principals.principal_named(&name) {
        // IF NOT EXISTS is about this tenant: a name that another one has is taken all the same.
        if if_exists == IfExists::Skip && taken.tenant == home {
            let notice = format!("role \"{name}\" already exists, skipping");
            draft.notice(Diagnostic::notice(notice));
            return Ok(tag);
        }
        return Err(role_exists(&name));
    }
    let home = match tenant {
        Some(tenant) => tenant_or_new(draft, &tenant)?,
        None => by.tenant,
    };
    if draft.snapshot().principals.role(home, &name).is_some() {
        return Err(role_exists(&name));
    }
    let role = role.unwrap_or(DEFAULT_ROLE);
    let given = draft.role(home, role)?;
    by.may_give(role, given.rung)?;
    let (ladder, roles) = match given.role {
        Parent::Ladder(rung) => (vec![rung], Vec::new()),
        Parent::Role(role) => (Vec::new(), vec![role]),
    };
    let principal = Principal {
        id: draft.next_principal()?,
        name,
        tenant: home,
        ladder,
        roles,
        enabled: true,
        valid_until: None,
        created_at: draft.now,
        kind: PrincipalKind::User {
            verifier,
            default_database: None,
            connect: Vec::new(),
        },
    };
    draft.change(Change::PutPrincipal(Arc::new(principal)));
    Ok(tag)
}

/// TENANT n makes the tenant n that does not exist yet, with a notice (REFERENCE §7).
fn tenant_or_new(draft: &mut Draft, tenant: &TenantRef) -> Result<TenantId, Diagnostic> {
    if let Some(tenant) = draft.find_tenant(tenant) {
        return Ok(tenant.id);
    }
    match tenant {
        TenantRef::Name(_) => Err(unknown_tenant(tenant)),
        TenantRef::Id(id) => {
            let name = format!("tenant_{id}");
            create_tenant::create(draft, &name, *id)?;
            let notice = format!("tenant {id} did not exist and was created as \"{name}\"");
            draft.notice(Diagnostic::notice(notice).with_hint(format!(
                "ALTER TENANT {id} RENAME TO name gives it another."
            )));
            Ok(*id)
        }
    }
}
