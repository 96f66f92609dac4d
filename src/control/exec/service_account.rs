//! CREATE, ALTER and DROP SERVICE ACCOUNT: logins without a password, bound to databases.

use super::alter_user::require_power_over;
use super::new_login::{Kind, NewLogin};
use super::{api_key, dependents};
use crate::catalog::allowance::{Allowance, AllowanceChange};
use crate::catalog::principal::{Principal, PrincipalKind};
use crate::catalog::request::{IfExists, TenantRef};
use crate::catalog::role::Ladder;
use crate::catalog::{Change, DatabaseId};
use crate::control::draft::Draft;
use crate::control::resolve::quoted;
use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;

pub fn create(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
    database: &str,
    role: Option<&str>,
    tenant: Option<TenantRef>,
) -> Result<&'static str, Diagnostic> {
    let login = NewLogin::resolve(draft, Kind::ServiceAccount, if_exists, name, role, tenant)?;
    if let Some(login) = login {
        let databases = vec![draft.database(login.tenant, database)?.id];
        let kind = PrincipalKind::ServiceAccount { databases };
        login.make(draft, kind, Allowance::default())?;
    }
    Ok("CREATE SERVICE ACCOUNT")
}

/// SET DATABASES: exactly these from now on, each once; the first is the default.
pub fn set_databases(
    draft: &mut Draft,
    name: &str,
    names: &[String],
) -> Result<&'static str, Diagnostic> {
    let account = to_alter(draft, name)?;
    let mut list: Vec<DatabaseId> = Vec::with_capacity(names.len());
    for name in names {
        let id = draft.database(account.tenant, name)?.id;
        if !list.contains(&id) {
            list.push(id);
        }
    }
    draft.change_principal(&account, |it| {
        it.kind = PrincipalKind::ServiceAccount { databases: list };
    });
    Ok("ALTER SERVICE ACCOUNT")
}

/// CONNECTION LIMIT, STATEMENT LIMIT.
pub fn limit(
    draft: &mut Draft,
    name: &str,
    limits: AllowanceChange,
) -> Result<&'static str, Diagnostic> {
    let account = to_alter(draft, name)?;
    draft.change_principal(&account, |it| {
        it.allowance = limits.applied_to(it.allowance)
    });
    Ok("ALTER SERVICE ACCOUNT")
}

/// An account that whoever asks may alter.
fn to_alter(draft: &Draft, name: &str) -> Result<Arc<Principal>, Diagnostic> {
    draft.by.require(Ladder::TenantAdmin, "permission denied")?;
    let account = find(draft, name)?;
    require_power_over(
        draft,
        &account,
        "must be superuser to alter superuser roles",
    )?;
    Ok(account)
}

pub fn drop(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
) -> Result<&'static str, Diagnostic> {
    let tag = "DROP SERVICE ACCOUNT";
    draft
        .by
        .require(Ladder::TenantAdmin, "permission denied to drop role")?;
    let account = match find(draft, name) {
        Ok(account) => account,
        Err(error)
            if if_exists == IfExists::Skip && error.sqlstate() == SqlState::UNDEFINED_OBJECT =>
        {
            let notice = format!("service account \"{name}\" does not exist, skipping");
            draft.notice(Diagnostic::notice(notice));
            return Ok(tag);
        }
        Err(error) => return Err(error),
    };
    if account.id == draft.by.principal {
        return Err(Diagnostic::error(
            SqlState::OBJECT_IN_USE,
            "current user cannot be dropped",
        ));
    }
    require_power_over(draft, &account, "must be superuser to drop superusers")?;
    // What accounts make belongs to the owner of the database, so there is nothing in the way.
    debug_assert!(dependents::owned_by(draft.snapshot(), account.id, |_| false).is_empty());
    api_key::drop_all_of(draft, account.id);
    draft.change(Change::DropPrincipal(account.id));
    Ok(tag)
}

/// A service account in sight.
///
/// # Errors
/// 42704 with the missing statement; 42809 for a user.
fn find(draft: &Draft, name: &str) -> Result<Arc<Principal>, Diagnostic> {
    match draft.find_principal(name) {
        Some(found) if matches!(found.kind, PrincipalKind::ServiceAccount { .. }) => Ok(found),
        Some(_) => Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{name}\" is a user, not a service account"),
        )),
        None => Err(Diagnostic::error(
            SqlState::UNDEFINED_OBJECT,
            format!("service account \"{name}\" does not exist"),
        )
        .with_hint(format!(
            "CREATE SERVICE ACCOUNT {} FOR DATABASE name",
            quoted(name)
        ))),
    }
}
