//! CREATE TENANT: with its default database, `nodedb`.

use crate::catalog::allowance::Allowance;
use crate::catalog::principal::{Database, Tenant};
use crate::catalog::request::{IfExists, TenantRef};
use crate::catalog::{Change, TenantId};
use crate::control::draft::{Draft, TENANT_ID_MAX};
use crate::control::resolve::new_name;
use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;

/// The name of every tenant's default database (REFERENCE §7).
pub const DEFAULT_DATABASE: &str = "nodedb";

pub fn carry_out(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
    id: Option<TenantId>,
) -> Result<&'static str, Diagnostic> {
    let tag = "CREATE TENANT";
    draft
        .by
        .require_superuser("permission denied to create tenant")?;
    if if_exists == IfExists::Skip
        && let Some(tenant) = draft.find_tenant(&TenantRef::Name(name.to_owned()))
    {
        let notice = format!("tenant \"{}\" already exists, skipping", tenant.name);
        draft.notice(Diagnostic::notice(notice));
        return Ok(tag);
    }
    let id = match id {
        Some(id) => id,
        None => draft.next_tenant()?,
    };
    create(draft, name, id)?;
    Ok(tag)
}

/// A tenant and its default database, owned by who asks.
///
/// # Errors
/// 42710 for a name or a number that is taken, 22023 for a number out of range.
pub(super) fn create(draft: &mut Draft, name: &str, id: TenantId) -> Result<(), Diagnostic> {
    let name = new_name(name)?;
    let taken = |message| Diagnostic::error(SqlState::DUPLICATE_OBJECT, message);
    if draft.snapshot().principals.tenant_named(&name).is_some() {
        return Err(taken(format!("tenant \"{name}\" already exists")));
    }
    if draft.snapshot().principals.tenant(id).is_some() {
        return Err(taken(format!("tenant {id} already exists")));
    }
    if id.0 > TENANT_ID_MAX {
        return Err(Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("a tenant's number must not exceed {TENANT_ID_MAX}"),
        ));
    }
    let database = draft.next_database()?;
    draft.change(Change::PutTenant(Arc::new(Tenant {
        id,
        name,
        default_database: database,
        allowance: Allowance::default(),
    })));
    draft.change(Change::PutDatabase(Arc::new(Database {
        id: database,
        name: Arc::from(DEFAULT_DATABASE),
        tenant: id,
        owner: (draft.snapshot().principals).owner_of_new(draft.by.principal, draft.by.database),
    })));
    Ok(())
}
