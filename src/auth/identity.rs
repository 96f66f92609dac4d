//! The outcome of authentication: who, from where, with what in force (DESIGN §5).
//!
//! Everything after `auth` looks only at this. Roles and databases in force are worked out from
//! the snapshot of the identity's epoch; a session asks again when its epoch moves on.

use super::claim_mapping::ClaimMap;
use super::claims::Claims;
use crate::catalog::{DatabaseId, KeyId, PrincipalId, TenantId};
use std::sync::Arc;

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A client certificate.
    Certificate,
    /// An identity provider's token.
    Jwt,
    /// An API key.
    ApiKey,
    /// A password, by SCRAM-SHA-256.
    Scram,
    /// A password as it is, over loopback or TLS.
    Password,
}

impl Method {
    /// As SHOW SESSION and $auth.auth_method say it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Method::Certificate => "certificate",
            Method::Jwt => "jwt",
            Method::ApiKey => "api_key",
            Method::Scram => "scram-sha-256",
            Method::Password => "password",
        }
    }
}

/// The API key that somebody came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyUsed {
    /// Which.
    pub id: KeyId,
    /// Which of its secrets.
    pub generation: u32,
}

/// Somebody who has proved who they are, in one database.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The user or service account; the identity provider's id for a token that leads to neither.
    pub principal: PrincipalId,
    /// Its login name; `provider:sub` for such a token.
    pub name: Arc<str>,
    /// Its home tenant.
    pub tenant: TenantId,
    /// The database of this session.
    pub database: DatabaseId,
    /// The method that identified it.
    pub method: Method,
    /// The API key, when it was one: it narrows what its owner may.
    pub key: Option<KeyUsed>,
    /// What its token says, when it was one.
    pub claims: Option<Arc<Claims>>,
    /// When the credential ends, Unix microseconds.
    pub ends_at: Option<i64>,
}

/// What a session came in by, as its rights are worked out from it.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// The user or service account; the identity provider's id for a token that leads to neither.
    pub principal: PrincipalId,
    /// The API key, when it was one.
    pub key: Option<KeyUsed>,
    /// The token, when it was one.
    pub token: Option<TokenGrounds<'a>>,
}

/// What a provider's mapping looks at.
#[derive(Clone, Copy, Debug)]
pub struct TokenGrounds<'a> {
    /// The provider.
    pub provider: PrincipalId,
    /// What its token says.
    pub claims: &'a ClaimMap,
}

impl<'a> Grounds<'a> {
    /// Of what an identity and a proof of one have in common.
    pub fn new(
        principal: PrincipalId,
        key: Option<KeyUsed>,
        claims: Option<&'a Claims>,
    ) -> Grounds<'a> {
        Grounds {
            principal,
            key,
            token: claims.map(|claims| TokenGrounds {
                provider: claims.provider,
                claims: &claims.all,
            }),
        }
    }
}

impl Identity {
    /// What its rights are worked out from.
    pub fn grounds(&self) -> Grounds<'_> {
        Grounds::new(self.principal, self.key, self.claims.as_deref())
    }
}
