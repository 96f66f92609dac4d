//! The identity providers of `[auth.jwks] providers`: they stand in every snapshot from the start on and
//! are never written to the log, so that the file alone says what they are.

use super::resolve::new_name;
use crate::catalog::principal::Parent;
use crate::catalog::provider::{LIFETIME_SECONDS_MAX, Origin, Provider};
use crate::catalog::provider_request::ProviderWanted;
use crate::catalog::request::TenantRef;
use crate::catalog::role::Ladder;
use crate::catalog::snapshot::Principals;
use crate::catalog::{Change, PrincipalId, TenantId};
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// Why a provider of the configuration cannot stand in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("nodedb.toml, [auth.jwks] providers, \"{name}\": {fault}")]
pub struct Fault {
    /// The provider's name.
    name: String,
    fault: String,
}

/// Puts them in; `now` in Unix microseconds.
///
/// Their ids are taken from the counter of users and not kept: nothing that outlives the server names
/// one.
///
/// # Errors
/// The first of them that has another's name, or issuer and audience, or a tenant that is not there.
pub fn put(principals: &mut Principals, wanted: &[ProviderWanted], now: i64) -> Result<(), Fault> {
    for wanted in wanted {
        let provider = provider(principals, wanted, now).map_err(|fault| Fault {
            name: wanted.name.clone(),
            fault,
        })?;
        principals.apply(&Change::PutProvider(Arc::new(provider)));
    }
    Ok(())
}

fn provider(
    principals: &Principals,
    wanted: &ProviderWanted,
    now: i64,
) -> Result<Provider, String> {
    if let Some(fault) = wanted.fault() {
        return Err(fault);
    }
    let name = new_name(&wanted.name).map_err(|error| error.message().to_owned())?;
    let tenant = match &wanted.tenant {
        None => Some(TenantId::SYSTEM),
        Some(TenantRef::Id(id)) => principals.tenant(*id).map(|tenant| tenant.id),
        Some(TenantRef::Name(name)) => principals.tenant_named(name).map(|tenant| tenant.id),
    };
    let tenant = tenant.ok_or("its tenant does not exist; CREATE TENANT makes it")?;
    if principals.provider_named(tenant, &name).is_some() {
        return Err("its tenant has another provider of that name; give it a name".to_owned());
    }
    let audience = wanted.audience.as_deref();
    let mut of_issuer = principals.providers_of(&wanted.issuer);
    if let Some(other) = of_issuer.find(|it| it.is_the_same_source(&wanted.issuer, audience)) {
        let other = &other.name;
        return Err(format!("\"{other}\" has the same issuer and audience"));
    }
    let default_role = wanted.default_role.as_deref().unwrap_or("readonly");
    let default_role = match Ladder::from_str(default_role) {
        Ok(rung) if rung < Ladder::Superuser => rung,
        _ => return Err(format!("it cannot give the role {default_role}")),
    };
    Ok(Provider {
        id: PrincipalId(principals.marks().next_principal),
        name,
        tenant,
        issuer: Arc::from(&*wanted.issuer),
        jwks_url: wanted.jwks_url.as_deref().map(Arc::from),
        audience: audience.map(Arc::from),
        default_role: Parent::Ladder(default_role),
        mapping: Box::default(),
        role_claim: wanted.role_claim.as_deref().map(Arc::from),
        org_claim: wanted.org_claim.as_deref().map(Arc::from),
        username_claim: wanted.username_claim.as_deref().map(Arc::from),
        first_sight: wanted.first_sight,
        max_lifetime_seconds: wanted.max_lifetime_seconds.unwrap_or(LIFETIME_SECONDS_MAX),
        created_at: now,
        origin: Origin::File,
    })
}
