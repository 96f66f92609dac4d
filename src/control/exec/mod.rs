//! A request to its changes: one file for each statement, and this index of them.

mod alter_user;
mod api_key;
mod connect;
mod create_database;
mod create_role;
mod create_tenant;
mod create_user;
mod dependents;
mod drop_database;
mod drop_role;
mod drop_tenant;
mod drop_user;
mod limits;
mod membership;
mod new_login;
mod oidc_provider;
mod rename_tenant;
mod service_account;
mod superuser_left;
mod user_of_token;

pub use create_tenant::DEFAULT_DATABASE;

use super::draft::Draft;
use crate::catalog::Request;
use crate::diagnostic::Diagnostic;

/// Carries one request out on the draft; gives the command tag.
///
/// # Errors
/// What the statement's rules say; the draft is then to be thrown away.
pub fn carry_out(draft: &mut Draft, request: Request) -> Result<&'static str, Diagnostic> {
    match request {
        Request::CreateUser {
            if_exists,
            name,
            verifier,
            role,
            tenant,
            limits,
        } => {
            let wanted = create_user::Wanted {
                verifier,
                role: role.as_deref(),
                tenant,
                limits,
            };
            create_user::carry_out(draft, if_exists, &name, wanted)
        }
        Request::AlterUser { name, change } => alter_user::carry_out(draft, &name, change),
        Request::DropUser { if_exists, name } => drop_user::carry_out(draft, if_exists, &name),
        Request::CreateServiceAccount {
            if_exists,
            name,
            database,
            role,
            tenant,
        } => service_account::create(draft, if_exists, &name, &database, role.as_deref(), tenant),
        Request::AlterServiceAccount { name, databases } => {
            service_account::set_databases(draft, &name, &databases)
        }
        Request::LimitServiceAccount { name, limits } => {
            service_account::limit(draft, &name, limits)
        }
        Request::DropServiceAccount { if_exists, name } => {
            service_account::drop(draft, if_exists, &name)
        }
        Request::CreateApiKey { id, secret, key } => api_key::create(draft, id, secret, key),
        Request::RotateApiKey {
            id,
            secret,
            grace_minutes,
        } => api_key::rotate(draft, id, secret, grace_minutes),
        Request::LimitApiKey { name, limits } => api_key::limit(draft, &name, limits),
        Request::DropApiKey { if_exists, name } => api_key::drop(draft, if_exists, &name),
        Request::CreateRole {
            if_exists,
            name,
            parent,
        } => create_role::carry_out(draft, if_exists, &name, parent.as_deref()),
        Request::DropRole { if_exists, name } => drop_role::carry_out(draft, if_exists, &name),
        Request::GrantRole { role, to } => membership::grant(draft, &role, &to),
        Request::RevokeRole { role, from } => membership::revoke(draft, &role, &from),
        Request::GrantConnect { database, to } => connect::grant(draft, &database, &to),
        Request::RevokeConnect { database, from } => connect::revoke(draft, &database, &from),
        Request::CreateDatabase { if_exists, name } => {
            create_database::carry_out(draft, if_exists, &name)
        }
        Request::DropDatabase { if_exists, name } => {
            drop_database::carry_out(draft, if_exists, &name)
        }
        Request::CreateTenant {
            if_exists,
            name,
            id,
        } => create_tenant::carry_out(draft, if_exists, &name, id),
        Request::RenameTenant { tenant, name } => rename_tenant::carry_out(draft, &tenant, &name),
        Request::LimitTenant { tenant, limits } => limits::of_tenant(draft, &tenant, limits),
        Request::DropTenant {
            if_exists,
            tenant,
            cascade,
        } => drop_tenant::carry_out(draft, if_exists, &tenant, cascade),
        Request::CreateProvider { if_exists, wanted } => {
            oidc_provider::create(draft, if_exists, &wanted)
        }
        Request::SetClaimMapping { name, mapping } => {
            oidc_provider::set_claim_mapping(draft, &name, &mapping)
        }
        Request::DropProvider { if_exists, name } => oidc_provider::drop(draft, if_exists, &name),
        Request::MakeUserOfToken { name } => user_of_token::make(draft, &name),
        // The group publishes them; they are no statement and nobody's rights are asked.
        Request::HoldPrincipals(_) | Request::PublishDefinitions { .. } => {
            unreachable!("the group takes definitions before statements are carried out")
        }
    }
}
