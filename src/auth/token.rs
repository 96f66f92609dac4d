//! Whom a bearer token proves its bearer to be (REFERENCE §3): which provider it is of, and which user
//! record it leads to. That it is to be believed is `jwt`'s to decide, between the two.
//!
//! Pure functions over the catalog of one moment. A token that has been verified is remembered by its
//! core, and whom it leads to is asked anew each time: users come and go.

use super::authenticated::Authenticated;
use super::claim_mapping::{self, ClaimMap, user_name};
use super::claims::Claims;
use super::jwks::NoKeys;
use super::jwt::{self, Checks, SKEW, Token};
use crate::catalog::principal::PrincipalKind;
use crate::catalog::provider::{FirstSight, Provider};
use crate::catalog::snapshot::Principals;
use serde_json::Value;
use std::sync::Arc;
use thiserror::Error;

/// Why a token logs nobody in: for the log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It is malformed, or fails a check against its provider.
    #[error(transparent)]
    Token(#[from] jwt::Refusal),
    /// Its provider's keys are not at hand.
    #[error(transparent)]
    Keys(#[from] NoKeys),
    /// What it says of its bearer is not enough.
    #[error(transparent)]
    Claims(#[from] claim_mapping::Refusal),
    /// No provider has its `iss`, or none of the name that came with it.
    #[error("the token is of no known provider")]
    UnknownIssuer,
    /// Providers have its `iss`, each with another `aud`.
    #[error("the token's aud is that of none of the {0} providers with its iss")]
    Audience(usize),
    /// Several providers have its `iss` and one of its audiences each.
    #[error("the token could be of several providers: its aud names them all")]
    Ambiguous,
    /// `auto_create`, and the token does not say for whom.
    #[error("the token has no name for the user that its provider would make")]
    Nameless,
    /// `auto_create`, and the name is a login's of another tenant.
    #[error("the token's user name is taken by a login of another tenant")]
    NameTaken,
    /// Users log in by tokens, service accounts by keys and certificates.
    #[error("the token leads to a service account")]
    ServiceAccount,
    /// DISABLE
    #[error("the user of the token is disabled")]
    Disabled,
    /// VALID UNTIL has passed.
    #[error("the user of the token has expired")]
    UserExpired,
}

impl Refusal {
    /// Whether newer keys could make it good.
    pub fn may_be_mended_by_newer_keys(&self) -> bool {
        matches!(
            self,
            Refusal::Token(jwt::Refusal::UnknownKid(_)) | Refusal::Keys(_)
        )
    }
}

/// What a provider demands of its tokens.
pub fn checks(provider: &Provider) -> Checks<'_> {
    Checks {
        issuer: &provider.issuer,
        audience: provider.audience.as_deref(),
        lifetime_max: i64::from(provider.max_lifetime_seconds) * 1_000_000,
    }
}

/// The provider that the token says it is of: by `iss`, and where several have it by `aud`. `named` is
/// what a client has called it besides.
///
/// # Errors
/// [`Refusal::UnknownIssuer`], [`Refusal::Audience`], [`Refusal::Ambiguous`].
pub fn provider<'a>(
    principals: &'a Principals,
    token: &Token<'_>,
    named: Option<&str>,
) -> Result<&'a Arc<Provider>, Refusal> {
    let of_issuer: Vec<_> = principals
        .providers_of(token.issuer())
        .filter(|provider| named.is_none_or(|named| &*provider.name == named))
        .collect();
    let claims = token.unverified_claims();
    let for_audience: Vec<_> = of_issuer
        .iter()
        .filter(|it| {
            it.audience
                .as_deref()
                .is_some_and(|aud| is_for(claims, aud))
        })
        .collect();
    match (&for_audience[..], &of_issuer[..]) {
        ([only], _) => Ok(only),
        ([_, _, ..], _) => Err(Refusal::Ambiguous),
        ([], []) => Err(Refusal::UnknownIssuer),
        ([], all) => {
            let any_audience = all.iter().find(|it| it.audience.is_none());
            any_audience.copied().ok_or(Refusal::Audience(all.len()))
        }
    }
}

fn is_for(claims: &ClaimMap, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => several.iter().any(|it| it.as_str() == Some(audience)),
        _ => false,
    }
}

/// A token that has been verified, as far as it is remembered.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What it says.
    pub claims: Arc<Claims>,
    /// `exp`, Unix microseconds.
    pub expires_at: i64,
}

/// Whom it leads to.
#[derive(Debug)]
pub enum Bearer {
    /// Somebody who may log in.
    Proved(Authenticated),
    /// A user whom its provider would have made now (`auto_create`).
    ToBeMade(Arc<str>),
}

/// Whom a verified token leads to; `now` in Unix microseconds.
///
/// # Errors
/// What keeps its bearer out.
pub fn bearer(
    principals: &Principals,
    provider: &Provider,
    verified: &Verified,
    now: i64,
) -> Result<Bearer, Refusal> {
    let claims = &verified.claims;
    // A provider's clock may be behind: what is taken after exp ends as soon as it would not be taken.
    let ends_at = match now < verified.expires_at {
        true => verified.expires_at,
        false => verified.expires_at.saturating_add(SKEW),
    };
    let proved = |record| Bearer::Proved(Authenticated::by_token(record, claims.clone(), ends_at));
    let makes_users = provider.first_sight == FirstSight::MakeUser;
    let name = user_name(provider, &claims.all)?;
    let record = name.and_then(|name| principals.principal_named(name));
    match (name, record) {
        (Some(_), Some(record)) if record.tenant == provider.tenant => {
            if matches!(record.kind, PrincipalKind::ServiceAccount { .. }) {
                return Err(Refusal::ServiceAccount);
            }
            if !record.enabled {
                return Err(Refusal::Disabled);
            }
            if record.valid_until.is_some_and(|end| end <= now) {
                return Err(Refusal::UserExpired);
            }
            Ok(proved(Some(record.id)))
        }
        (None, _) if makes_users => Err(Refusal::Nameless),
        (Some(_), Some(_)) if makes_users => Err(Refusal::NameTaken),
        (Some(name), None) if makes_users => Ok(Bearer::ToBeMade(Arc::from(name))),
        _ => Ok(proved(None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::identity::Method;
    use crate::auth::jwt::signer::{Kind, Signer};
    use crate::catalog::principal::Principal;
    use crate::catalog::provider::tests::provider as any_provider;
    use crate::catalog::role::Ladder;
    use crate::catalog::{Change, PrincipalId, TenantId};
    use serde_json::json;

    const ISSUER: &str = "https://acme.example/";
    const NOW: i64 = 1_000_000_000;

    /// A provider whose tokens lead to the user of their `email`.
    fn acme(id: u32, audience: Option<&str>) -> Provider {
        Provider {
            audience: audience.map(Arc::from),
            first_sight: FirstSight::NoRecord,
            ..any_provider(id, &format!("p{id}"), ISSUER)
        }
    }

    fn user(id: u32, name: &str, tenant: u32) -> Principal {
        Principal {
            id: PrincipalId(id),
            name: Arc::from(name),
            tenant: TenantId(tenant),
            ladder: vec![Ladder::ReadWrite],
            roles: Vec::new(),
            enabled: true,
            valid_until: None,
            created_at: 0,
            allowance: Default::default(),
            kind: PrincipalKind::User {
                passwords: Default::default(),
                default_database: None,
                connect: Vec::new(),
            },
        }
    }

    fn with(providers: Vec<Provider>, users: Vec<Principal>) -> Principals {
        let mut principals = Principals::default();
        for provider in providers {
            principals.apply(&Change::PutProvider(Arc::new(provider)));
        }
        for user in users {
            principals.apply(&Change::PutPrincipal(Arc::new(user)));
        }
        principals
    }

    fn chosen(
        principals: &Principals,
        claims: serde_json::Value,
        named: Option<&str>,
    ) -> Result<u32, Refusal> {
        let signer = Signer::new(Kind::Es256, "k");
        let text = signer.token(&claims);
        let token = Token::parse(&text).expect("it is well formed");
        provider(principals, &token, named).map(|it| it.id.0)
    }

    fn led(
        principals: &Principals,
        provider: &Provider,
        email: Option<&str>,
    ) -> Result<Bearer, Refusal> {
        let mut all = ClaimMap::new();
        all.insert(Arc::from("sub"), json!("u1"));
        if let Some(email) = email {
            all.insert(Arc::from("email"), json!(email));
        }
        let claims = claim_mapping::claims(provider, all)?;
        let verified = Verified {
            claims: Arc::new(claims),
            expires_at: NOW + 10,
        };
        bearer(principals, provider, &verified, NOW)
    }

    fn id_of(led: Result<Bearer, Refusal>) -> u32 {
        match led {
            Ok(Bearer::Proved(proved)) => {
                assert_eq!(proved.method(), Method::Jwt);
                proved.principal().0
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_audience_chooses_between_providers_of_one_issuer() {
        let [web, mobile, any] = [acme(1, Some("web")), acme(2, Some("mobile")), acme(3, None)];
        let two = with(vec![web.clone(), mobile.clone()], Vec::new());
        let three = with(vec![web, mobile, any], Vec::new());
        let token = |aud: serde_json::Value| json!({"iss": ISSUER, "exp": 9, "aud": aud});
        assert_eq!(chosen(&two, token(json!("web")), None), Ok(1));
        assert_eq!(chosen(&two, token(json!(["x", "mobile"])), None), Ok(2));
        let other = chosen(&two, token(json!("other")), None);
        assert_eq!(other, Err(Refusal::Audience(2)));
        assert_eq!(chosen(&three, token(json!("other")), None), Ok(3));
        assert_eq!(chosen(&three, token(json!("web")), None), Ok(1));
        let both = chosen(&three, token(json!(["web", "mobile"])), None);
        assert_eq!(both, Err(Refusal::Ambiguous));
        let named = chosen(&three, token(json!(["web", "mobile"])), Some("p2"));
        assert_eq!(named, Ok(2));
        let misnamed = chosen(&three, token(json!("web")), Some("p9"));
        assert_eq!(misnamed, Err(Refusal::UnknownIssuer));
        let slash = json!({"iss": "https://acme.example", "exp": 9, "aud": "web"});
        assert_eq!(chosen(&two, slash, None), Err(Refusal::UnknownIssuer));
    }

    #[test]
    fn a_token_leads_to_the_user_that_its_claim_names_in_the_providers_tenant() {
        let acme = acme(1, None);
        let users = vec![
            user(10, "al@acme.example", 0),
            user(11, "bo@acme.example", 7),
        ];
        let principals = with(vec![acme.clone()], users);
        let led = |email| led(&principals, &acme, email);
        assert_eq!(id_of(led(Some("al@acme.example"))), 10);
        // Another tenant's user is nobody here.
        assert_eq!(id_of(led(Some("bo@acme.example"))), 1);
        assert_eq!(id_of(led(Some("cy@acme.example"))), 1);
        assert_eq!(id_of(led(None)), 1);
    }

    #[test]
    fn a_user_who_may_not_log_in_does_not_by_a_token_either() {
        let acme = acme(1, None);
        type Edit = fn(&mut Principal);
        let edits: [(Edit, Refusal); 3] = [
            (|it| it.enabled = false, Refusal::Disabled),
            (|it| it.valid_until = Some(NOW), Refusal::UserExpired),
            (
                |it| {
                    it.kind = PrincipalKind::ServiceAccount {
                        databases: Vec::new(),
                    }
                },
                Refusal::ServiceAccount,
            ),
        ];
        for (edit, refusal) in edits {
            let mut al = user(10, "al@acme.example", 0);
            edit(&mut al);
            let principals = with(vec![acme.clone()], vec![al]);
            let refused = led(&principals, &acme, Some("al@acme.example"));
            assert_eq!(refused.expect_err("it may not"), refusal);
        }
    }

    #[test]
    fn a_provider_that_makes_users_makes_those_that_are_nobody_elses() {
        let acme = Provider {
            first_sight: FirstSight::MakeUser,
            ..acme(1, None)
        };
        let users = vec![
            user(10, "al@acme.example", 0),
            user(11, "bo@acme.example", 7),
        ];
        let principals = with(vec![acme.clone()], users);
        let led = |email| led(&principals, &acme, email);
        assert_eq!(id_of(led(Some("al@acme.example"))), 10);
        let made = led(Some("cy@acme.example")).expect("it may");
        assert!(matches!(made, Bearer::ToBeMade(name) if &*name == "cy@acme.example"));
        let taken = led(Some("bo@acme.example")).expect_err("it is taken");
        assert_eq!(taken, Refusal::NameTaken);
        assert_eq!(led(None).expect_err("nobody"), Refusal::Nameless);
    }

    #[test]
    fn what_is_taken_after_its_exp_ends_with_the_skew() {
        let acme = acme(1, None);
        let principals = with(vec![acme.clone()], Vec::new());
        let all = ClaimMap::from([(Arc::from("sub"), json!("u1"))]);
        let claims = Arc::new(claim_mapping::claims(&acme, all).expect("it has a sub"));
        for (expires_at, ends_at) in [(NOW + 1, NOW + 1), (NOW, NOW + SKEW)] {
            let verified = Verified {
                claims: claims.clone(),
                expires_at,
            };
            match bearer(&principals, &acme, &verified, NOW) {
                Ok(Bearer::Proved(proved)) => assert_eq!(proved.ends_at(), Some(ends_at)),
                other => panic!("{other:?}"),
            }
        }
    }
}
