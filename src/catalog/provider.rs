//! An identity provider as the catalog keeps it (REFERENCE §1 `CREATE OIDC PROVIDER`, §3 "JWT"): whose
//! tokens are believed, and what they give. Its keys are no part of it: `auth::jwks` has them.

use super::ids::{DatabaseId, PrincipalId, TenantId};
use super::principal::Parent;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest issuer and the longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;

/// The longest audience, in bytes.
pub const AUDIENCE_BYTES_MAX: usize = 1_024;

/// The longest name of a claim, or path to one, and the longest value that a rule looks for, in bytes.
pub const CLAIM_BYTES_MAX: usize = 256;

/// Rules of one provider: each is asked at each log-in, on a session core.
pub const RULES_MAX: usize = 64;

/// How long a token may live at most: a day unless the provider says less (REFERENCE §3).
pub const LIFETIME_SECONDS_MAX: u32 = 24 * 60 * 60;

/// An identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// From the same sequence as users, never reused: whoever comes by its token without a user record
    /// goes by it.
    pub id: PrincipalId,
    /// Unique in the tenant.
    pub name: Arc<str>,
    /// Whose tokens lead here: a token never says it itself.
    pub tenant: TenantId,
    /// `iss`, exactly.
    pub issuer: Arc<str>,
    /// Where its keys are; None: where its discovery document says.
    pub jwks_url: Option<Arc<str>>,
    /// `aud`, exactly, or one of its list; None: any.
    pub audience: Option<Arc<str>>,
    /// What whoever has no user record holds.
    pub default_role: Parent,
    /// What claims give.
    pub mapping: Box<[MappingRule]>,
    /// The claim of `$auth.role` and `$auth.roles`; None: `role` and `roles`.
    pub role_claim: Option<Arc<str>>,
    /// The claim of `$auth.org_id`; None: `org_id`.
    pub org_claim: Option<Arc<str>>,
    /// The claim that names a user record of the tenant; None: tokens lead to no record.
    pub username_claim: Option<Arc<str>>,
    /// What becomes of a name that no record has.
    pub first_sight: FirstSight,
    /// How long a token may live.
    pub max_lifetime_seconds: u32,
    /// CREATE time, Unix microseconds.
    pub created_at: i64,
    /// What can change it.
    #[serde(skip)]
    pub origin: Origin,
}

/// Where a provider was defined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// By CREATE OIDC PROVIDER.
    #[default]
    Sql,
    /// In `[auth.jwks] providers`: never written to the log, and not SQL's to change.
    File,
}

/// What becomes of a token whose user name no record has (`auto_create`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FirstSight {
    /// Its bearer goes by the provider.
    #[default]
    NoRecord,
    /// A user record without a password is made for it.
    MakeUser,
}

/// WHEN a claim has a value: what that gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingRule {
    /// Its name, or a path to one inside others.
    pub claim: Arc<str>,
    /// The value.
    pub value: ClaimValue,
    /// The database of a session that asks for none.
    pub default_database: Option<DatabaseId>,
    /// Databases in reach besides.
    pub add_databases: Box<[DatabaseId]>,
    /// Roles held besides; never superuser.
    pub add_roles: Box<[Parent]>,
}

/// What a rule looks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimValue {
    /// `'*'`: anything but null.
    Any,
    /// A text equal to it, or a list that holds it.
    Is(Arc<str>),
}

impl ClaimValue {
    /// As a statement writes it.
    pub fn as_str(&self) -> &str {
        match self {
            ClaimValue::Any => "*",
            ClaimValue::Is(value) => value,
        }
    }
}

impl Provider {
    /// Whether tokens could be of either of the two: then nothing would say of which they are.
    pub fn is_the_same_source(&self, issuer: &str, audience: Option<&str>) -> bool {
        &*self.issuer == issuer && self.audience.as_deref() == audience
    }

    /// The databases that its rules name.
    pub fn databases(&self) -> impl Iterator<Item = DatabaseId> {
        self.mapping.iter().flat_map(|rule| {
            let added = rule.add_databases.iter().copied();
            added.chain(rule.default_database)
        })
    }

    /// The roles that it gives, by itself and by its rules.
    pub fn roles(&self) -> impl Iterator<Item = &Parent> {
        let added = self.mapping.iter().flat_map(|rule| &rule.add_roles);
        added.chain([&self.default_role])
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::catalog::Change;
    use crate::catalog::role::Ladder;
    use crate::catalog::snapshot::Principals;

    /// A provider with everything that one can have.
    pub(crate) fn provider(id: u32, name: &str, issuer: &str) -> Provider {
        Provider {
            id: PrincipalId(id),
            name: Arc::from(name),
            tenant: TenantId::SYSTEM,
            issuer: Arc::from(issuer),
            jwks_url: Some(Arc::from("https://keys.example/jwks.json")),
            audience: Some(Arc::from("nodedb-api")),
            default_role: Parent::Ladder(Ladder::ReadOnly),
            mapping: Box::new([MappingRule {
                claim: Arc::from("groups"),
                value: ClaimValue::Is(Arc::from("eng")),
                default_database: Some(DatabaseId(6)),
                add_databases: Box::new([DatabaseId(7)]),
                add_roles: Box::new([
                    Parent::Ladder(Ladder::ReadWrite),
                    Parent::Role(Arc::from("analyst")),
                ]),
            }]),
            role_claim: Some(Arc::from("https://acme/role")),
            org_claim: Some(Arc::from("o.id")),
            username_claim: Some(Arc::from("email")),
            first_sight: FirstSight::MakeUser,
            max_lifetime_seconds: 3_600,
            created_at: 5,
            origin: Origin::Sql,
        }
    }

    #[test]
    fn a_change_of_anything_else_leaves_the_providers_as_they_are() {
        let mut principals = Principals::default();
        let put = |it: Provider| Change::PutProvider(Arc::new(it));
        principals.apply(&put(provider(20_000, "acme", "https://acme.example/")));
        let before = principals.clone();
        principals.apply(&Change::DropTenant(TenantId(7)));
        assert!(principals.has_the_providers_of(&before));
        principals.apply(&put(provider(20_001, "other", "https://other.example/")));
        assert!(!principals.has_the_providers_of(&before));
    }

    #[test]
    fn what_a_provider_names_is_found_in_all_of_its_rules() {
        let provider = provider(20_000, "acme", "https://acme.example/");
        let databases: Vec<_> = provider.databases().collect();
        assert_eq!(databases, [DatabaseId(7), DatabaseId(6)]);
        assert_eq!(provider.roles().count(), 3);
    }

    #[test]
    fn an_issuer_is_told_from_another_by_every_character_and_by_the_audience() {
        let provider = provider(20_000, "acme", "https://acme.example/");
        let audience = Some("nodedb-api");
        assert!(provider.is_the_same_source("https://acme.example/", audience));
        assert!(!provider.is_the_same_source("https://acme.example", audience));
        assert!(!provider.is_the_same_source("https://acme.example/", None));
    }
}
