//! CREATE ROLE: a custom role, which holds table grants and may inherit.

use crate::catalog::Change;
use crate::catalog::principal::Role;
use crate::catalog::request::IfExists;
use crate::catalog::role::Ladder;
use crate::control::draft::Draft;
use crate::control::resolve::{new_role_name, role_exists};
use crate::diagnostic::Diagnostic;
use std::sync::Arc;

pub fn carry_out(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
    parent: Option<&str>,
) -> Result<&'static str, Diagnostic> {
    let tag = "CREATE ROLE";
    let by = draft.by.clone();
    by.require(Ladder::TenantAdmin, "permission denied to create role")?;
    let name = new_role_name(name)?;
    let principals = &draft.snapshot().principals;
    if principals.role(by.tenant, &name).is_some() {
        if if_exists == IfExists::Skip {
            let notice = format!("role \"{name}\" already exists, skipping");
            draft.notice(Diagnostic::notice(notice));
            return Ok(tag);
        }
        return Err(role_exists(&name));
    }
    // GRANT … TO name takes either: within a tenant the two never share a name.
    let login = principals.principal_named(&name);
    if login.is_some_and(|login| login.tenant == by.tenant) {
        return Err(role_exists(&name));
    }
    let parent = match parent {
        None => None,
        Some(parent) => {
            let given = draft.role(by.tenant, parent)?;
            by.may_give(parent, given.rung)?;
            Some(given.role)
        }
    };
    let role = Role {
        id: draft.next_principal()?,
        name,
        tenant: by.tenant,
        parent,
    };
    draft.change(Change::PutRole(Arc::new(role)));
    Ok(tag)
}
