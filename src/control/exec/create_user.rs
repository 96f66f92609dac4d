//! CREATE USER.

use super::new_login::{Kind, NewLogin};
use crate::catalog::principal::PrincipalKind;
use crate::catalog::request::{IfExists, TenantRef};
use crate::catalog::verifier::Verifier;
use crate::control::draft::Draft;
use crate::diagnostic::Diagnostic;

pub fn carry_out(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
    verifier: Option<Verifier>,
    role: Option<&str>,
    tenant: Option<TenantRef>,
) -> Result<&'static str, Diagnostic> {
    let login = NewLogin::resolve(draft, Kind::User, if_exists, name, role, tenant)?;
    if let Some(login) = login {
        let kind = PrincipalKind::User {
            verifier,
            default_database: None,
            connect: Vec::new(),
        };
        login.make(draft, kind)?;
    }
    Ok("CREATE ROLE")
}
