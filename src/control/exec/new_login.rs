//! What CREATE USER and CREATE SERVICE ACCOUNT have in common: a name that nobody has yet, a
//! tenant, a role.

use super::create_tenant;
use crate::catalog::allowance::Allowance;
use crate::catalog::principal::{Parent, Principal, PrincipalKind};
use crate::catalog::request::{IfExists, TenantRef};
use crate::catalog::role::Ladder;
use crate::catalog::{Change, TenantId};
use crate::control::draft::Draft;
use crate::control::resolve::{new_role_name, role_exists, unknown_tenant};
use crate::diagnostic::Diagnostic;
use std::sync::Arc;

/// The role of a login that is made without one (REFERENCE §1).
const DEFAULT_ROLE: &str = "readwrite";

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CREATE USER
    User,
    /// CREATE SERVICE ACCOUNT
    ServiceAccount,
}

impl Kind {
    fn is(self, kind: &PrincipalKind) -> bool {
        matches!(
            (self, kind),
            (Kind::User, PrincipalKind::User { .. })
                | (Kind::ServiceAccount, PrincipalKind::ServiceAccount { .. })
        )
    }

    fn plural(self) -> &'static str {
        match self {
            Kind::User => "users",
            Kind::ServiceAccount => "service accounts",
        }
    }
}

/// A login that may be made.
pub struct NewLogin {
    name: Arc<str>,
    /// Where.
    pub tenant: TenantId,
    role: Parent,
}

impl NewLogin {
    /// Checks who asks, the name, the tenant (TENANT n makes it) and the role. None: IF NOT EXISTS,
    /// and there is one already; the notice is on the draft.
    ///
    /// # Errors
    /// 42501, 42710, 42602, 42704.
    pub fn resolve(
        draft: &mut Draft,
        kind: Kind,
        if_exists: IfExists,
        name: &str,
        role: Option<&str>,
        tenant: Option<TenantRef>,
    ) -> Result<Option<NewLogin>, Diagnostic> {
        let by = draft.by.clone();
        by.require(Ladder::TenantAdmin, "permission denied to create role")?;
        if tenant.is_some() {
            by.require_superuser(format!(
                "must be superuser to create {} of another tenant",
                kind.plural()
            ))?;
        }
        let name = new_role_name(name)?;
        let existing = tenant.as_ref().and_then(|tenant| draft.find_tenant(tenant));
        let home = existing.map_or(by.tenant, |tenant| tenant.id);
        if let Some(taken) = draft.snapshot().principals.principal_named(&name) {
            // IF NOT EXISTS is about this tenant and this kind: a name that a login elsewhere or
            // of the other kind has is taken all the same.
            if if_exists == IfExists::Skip && taken.tenant == home && kind.is(&taken.kind) {
                let notice = format!("role \"{name}\" already exists, skipping");
                draft.notice(Diagnostic::notice(notice));
                return Ok(None);
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
        Ok(Some(NewLogin {
            name,
            tenant: home,
            role: given.role,
        }))
    }

    /// Makes it.
    ///
    /// # Errors
    /// 54000 when all numbers have been given.
    pub fn make(
        self,
        draft: &mut Draft,
        kind: PrincipalKind,
        allowance: Allowance,
    ) -> Result<(), Diagnostic> {
        let (ladder, roles) = match self.role {
            Parent::Ladder(rung) => (vec![rung], Vec::new()),
            Parent::Role(role) => (Vec::new(), vec![role]),
        };
        let principal = Principal {
            id: draft.next_principal()?,
            name: self.name,
            tenant: self.tenant,
            ladder,
            roles,
            enabled: true,
            valid_until: None,
            created_at: draft.now,
            allowance,
            kind,
        };
        draft.change(Change::PutPrincipal(Arc::new(principal)));
        Ok(())
    }
}

/// TENANT n makes the tenant n that does not exist yet, with a notice (REFERENCE §7).
pub(super) fn tenant_or_new(draft: &mut Draft, tenant: &TenantRef) -> Result<TenantId, Diagnostic> {
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
