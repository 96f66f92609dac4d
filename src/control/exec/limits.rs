//! ALTER TENANT … CONNECTION LIMIT, STATEMENT LIMIT.

use super::rename_tenant::to_alter;
use crate::catalog::Change;
use crate::catalog::allowance::AllowanceChange;
use crate::catalog::principal::Tenant;
use crate::catalog::request::TenantRef;
use crate::control::draft::Draft;
use crate::diagnostic::Diagnostic;
use std::sync::Arc;

/// A superuser's statement: a tenant does not widen its own limits.
pub fn of_tenant(
    draft: &mut Draft,
    tenant: &TenantRef,
    limits: AllowanceChange,
) -> Result<&'static str, Diagnostic> {
    let old = to_alter(draft, tenant)?;
    let next = Tenant {
        allowance: limits.applied_to(old.allowance),
        ..Tenant::clone(&old)
    };
    if next != *old {
        draft.change(Change::PutTenant(Arc::new(next)));
    }
    Ok("ALTER TENANT")
}
