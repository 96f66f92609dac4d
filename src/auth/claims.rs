//! What an identity provider's token says of its bearer (REFERENCE §3 "JWT"): it fills `$auth.*`, and
//! gives no rights.
//!
//! Which claim fills which variable has been decided when this is made: the provider's mapping and
//! the standard names, in one place.

use crate::catalog::PrincipalId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The claims of a verified token, as far as `$auth.*` tells them. A claim that is not there, or is of
/// another kind than its variable, is None: the variable is then NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The provider that gave the token: what its mapping grants is worked out anew at each epoch.
    pub provider: PrincipalId,
    /// `sub`: `$auth.id`.
    pub subject: Arc<str>,
    /// `$auth.role`; None: the highest rung in force is told.
    pub role: Option<Arc<str>>,
    /// `$auth.roles`; None: the roles in force are told.
    pub roles: Option<Box<[Arc<str>]>>,
    /// `$auth.org_id`
    pub org_id: Option<Arc<str>>,
    /// `$auth.scopes`
    pub scopes: Option<Box<[Arc<str>]>>,
    /// `$auth.username`
    pub username: Option<Arc<str>>,
    /// `$auth.email`
    pub email: Option<Arc<str>>,
    /// Every claim of the token's first level, as it came: `$auth.claims.<name>` tells the scalars, and
    /// a provider's mapping looks into lists too.
    pub all: BTreeMap<Arc<str>, Value>,
}
