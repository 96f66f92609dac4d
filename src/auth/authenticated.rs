//! The proof that somebody has proved who they are (STYLE habit 5).
//!
//! Only the methods in `auth` can make one, so whatever takes an [`Authenticated`] cannot be
//! reached past a check that was forgotten.

use super::claims::Claims;
use super::identity::{Grounds, Identity, KeyUsed, Method};
use crate::catalog::principal::Principal;
use crate::catalog::provider::Provider;
use crate::catalog::{DatabaseId, PrincipalId};
use std::sync::Arc;

/// A principal whose credential has been verified on this connection.
///
/// It says nothing about what that principal may do, nor whether it still exists at a later
/// epoch: `access` answers both.
#[derive(Debug)]
#[must_use = "a verified login that nobody uses is a mistake"]
pub struct Authenticated {
    principal: PrincipalId,
    method: Method,
    key: Option<KeyUsed>,
    claims: Option<Arc<Claims>>,
    ends_at: Option<i64>,
}

impl Authenticated {
    /// For the methods in `auth`, once the credential has been verified.
    pub(super) fn new(principal: PrincipalId, method: Method, ends_at: Option<i64>) -> Self {
        Authenticated {
            principal,
            method,
            key: None,
            claims: None,
            ends_at,
        }
    }

    /// For `api_key`, once the secret has been compared.
    pub(super) fn by_key(principal: PrincipalId, key: KeyUsed, ends_at: Option<i64>) -> Self {
        Authenticated {
            principal,
            method: Method::ApiKey,
            key: Some(key),
            claims: None,
            ends_at,
        }
    }

    /// For `token`, once the signature has been verified: by the user record that it leads to, else by
    /// its provider.
    pub(super) fn by_token(record: Option<PrincipalId>, claims: Arc<Claims>, ends_at: i64) -> Self {
        Authenticated {
            principal: record.unwrap_or(claims.provider),
            method: Method::Jwt,
            key: None,
            claims: Some(claims),
            ends_at: Some(ends_at),
        }
    }

    /// Who: a user or service account, or an identity provider for a token that leads to neither.
    pub fn principal(&self) -> PrincipalId {
        self.principal
    }

    /// How.
    pub fn method(&self) -> Method {
        self.method
    }

    /// When the credential ends, Unix microseconds.
    pub fn ends_at(&self) -> Option<i64> {
        self.ends_at
    }

    /// The API key, when it was one.
    pub fn key(&self) -> Option<KeyUsed> {
        self.key
    }

    /// What the rights of its session are worked out from.
    pub fn grounds(&self) -> Grounds<'_> {
        Grounds::new(self.principal, self.key, self.claims.as_deref())
    }

    /// The identity of a session in a database that `access` has resolved for this principal.
    ///
    /// # Panics
    ///
    /// If `principal` is another than the one that was verified: our own mistake.
    pub fn into_identity(self, principal: &Principal, database: DatabaseId) -> Identity {
        assert_eq!(
            self.principal, principal.id,
            "an identity is made of the principal that was verified"
        );
        Identity {
            principal: principal.id,
            name: principal.name.clone(),
            tenant: principal.tenant,
            database,
            method: self.method,
            key: self.key,
            claims: self.claims,
            ends_at: self.ends_at,
        }
    }

    /// The identity of a session whose token leads to no user record. It is named by what the provider
    /// never gives to two people (OpenID Connect Core §5.7), and by nothing that its bearer may choose.
    ///
    /// # Panics
    ///
    /// If the token was of another provider: our own mistake.
    pub fn into_identity_of(self, provider: &Provider, database: DatabaseId) -> Identity {
        let claims = self.claims.expect("a provider stands for tokens");
        assert_eq!(
            (self.principal, claims.provider),
            (provider.id, provider.id),
            "an identity is made of the token that was verified"
        );
        Identity {
            principal: provider.id,
            name: Arc::from(format!("{}:{}", provider.name, claims.subject)),
            tenant: provider.tenant,
            database,
            method: self.method,
            key: None,
            claims: Some(claims),
            ends_at: self.ends_at,
        }
    }
}
