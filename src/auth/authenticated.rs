//! The proof that somebody has proved who they are (STYLE habit 5).
//!
//! Only the methods in `auth` can make one, so whatever takes an [`Authenticated`] cannot be
//! reached past a check that was forgotten.

use super::identity::{Identity, KeyUsed, Method};
use crate::catalog::principal::Principal;
use crate::catalog::{DatabaseId, PrincipalId};

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
    ends_at: Option<i64>,
}

impl Authenticated {
    /// For the methods in `auth`, once the credential has been verified.
    pub(super) fn new(principal: PrincipalId, method: Method, ends_at: Option<i64>) -> Self {
        Authenticated {
            principal,
            method,
            key: None,
            ends_at,
        }
    }

    /// For `api_key`, once the secret has been compared.
    pub(super) fn by_key(principal: PrincipalId, key: KeyUsed, ends_at: Option<i64>) -> Self {
        Authenticated {
            principal,
            method: Method::ApiKey,
            key: Some(key),
            ends_at,
        }
    }

    /// Who.
    pub fn principal(&self) -> PrincipalId {
        self.principal
    }

    /// How.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The API key, when it was one.
    pub fn key(&self) -> Option<KeyUsed> {
        self.key
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
            claims: None,
            ends_at: self.ends_at,
        }
    }
}
