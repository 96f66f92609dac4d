//! CREATE USER.

use super::new_login::{Kind, NewLogin};
use crate::catalog::allowance::{Allowance, AllowanceChange};
use crate::catalog::passwords::Passwords;
use crate::catalog::principal::PrincipalKind;
use crate::catalog::request::{IfExists, TenantRef};
use crate::catalog::verifier::Verifier;
use crate::control::draft::Draft;
use crate::diagnostic::Diagnostic;

/// What the user is to be.
pub struct Wanted<'a> {
    pub verifier: Option<Verifier>,
    pub role: Option<&'a str>,
    pub tenant: Option<TenantRef>,
    pub limits: AllowanceChange,
}

pub fn carry_out(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
    wanted: Wanted<'_>,
) -> Result<&'static str, Diagnostic> {
    let (role, tenant) = (wanted.role, wanted.tenant);
    let login = NewLogin::resolve(draft, Kind::User, if_exists, name, role, tenant)?;
    if let Some(login) = login {
        let kind = PrincipalKind::User {
            passwords: Passwords::from(wanted.verifier),
            default_database: None,
            connect: Vec::new(),
        };
        login.make(draft, kind, wanted.limits.applied_to(Allowance::default()))?;
    }
    Ok("CREATE ROLE")
}
