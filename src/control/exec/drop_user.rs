//! DROP USER: ends its sessions, by the epoch that reaches them, and drops its keys.

use super::alter_user::require_power_over;
use super::{api_key, dependents, superuser_left};
use crate::catalog::Change;
use crate::catalog::request::IfExists;
use crate::catalog::role::Ladder;
use crate::control::draft::Draft;
use crate::diagnostic::{Diagnostic, SqlState};

pub fn carry_out(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
) -> Result<&'static str, Diagnostic> {
    let tag = "DROP ROLE";
    draft
        .by
        .require(Ladder::TenantAdmin, "permission denied to drop role")?;
    let user = match draft.user(name) {
        Ok(user) => user,
        Err(error)
            if if_exists == IfExists::Skip && error.sqlstate() == SqlState::UNDEFINED_OBJECT =>
        {
            let notice = format!("role \"{name}\" does not exist, skipping");
            draft.notice(Diagnostic::notice(notice));
            return Ok(tag);
        }
        Err(error) => return Err(error),
    };
    if user.id == draft.by.principal {
        return Err(Diagnostic::error(
            SqlState::OBJECT_IN_USE,
            "current user cannot be dropped",
        ));
    }
    require_power_over(draft, &user, "must be superuser to drop superusers")?;
    dependents::require_none(
        dependents::owned_by(draft.snapshot(), user.id, |_| false),
        format!("role \"{name}\" cannot be dropped because some objects depend on it"),
        "Drop them, or give tables to somebody else with ALTER TABLE … OWNER TO.",
    )?;
    api_key::drop_all_of(draft, user.id);
    draft.change(Change::DropPrincipal(user.id));
    superuser_left::require(draft)?;
    Ok(tag)
}
