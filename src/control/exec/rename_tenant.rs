//! ALTER TENANT n RENAME TO name.

use super::drop_tenant::require_not_system;
use crate::catalog::Change;
use crate::catalog::principal::Tenant;
use crate::catalog::request::TenantRef;
use crate::control::draft::Draft;
use crate::control::resolve::{new_name, unknown_tenant};
use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;

pub fn carry_out(
    draft: &mut Draft,
    tenant: &TenantRef,
    name: &str,
) -> Result<&'static str, Diagnostic> {
    let old = to_alter(draft, tenant)?;
    require_not_system(&old, "rename")?;
    let name = new_name(name)?;
    if draft.snapshot().principals.tenant_named(&name).is_some() {
        return Err(Diagnostic::error(
            SqlState::DUPLICATE_OBJECT,
            format!("tenant \"{name}\" already exists"),
        ));
    }
    let renamed = Tenant {
        name,
        ..Tenant::clone(&old)
    };
    draft.change(Change::PutTenant(Arc::new(renamed)));
    Ok("ALTER TENANT")
}

/// The tenant of an ALTER TENANT: a superuser's statement.
///
/// # Errors
/// 42501, 42704
pub(super) fn to_alter(draft: &Draft, tenant: &TenantRef) -> Result<Arc<Tenant>, Diagnostic> {
    draft
        .by
        .require_superuser("permission denied to alter tenant")?;
    draft
        .find_tenant(tenant)
        .ok_or_else(|| unknown_tenant(tenant))
}
