//! What CREATE OIDC PROVIDER and `[auth.jwks] providers` ask for, and what cannot be meant.

use super::provider::{
    AUDIENCE_BYTES_MAX, CLAIM_BYTES_MAX, ClaimValue, FirstSight, LIFETIME_SECONDS_MAX,
    URL_BYTES_MAX,
};
use super::request::TenantRef;

/// An identity provider that is to be. Names are as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderWanted {
    /// Unique in the tenant.
    pub name: String,
    /// TENANT; None: that of whoever asks.
    pub tenant: Option<TenantRef>,
    /// `iss`
    pub issuer: String,
    /// Where its keys are; None: where its discovery document says.
    pub jwks_url: Option<String>,
    /// `aud`; None: any.
    pub audience: Option<String>,
    /// A rung or a custom role; None: readonly.
    pub default_role: Option<String>,
    /// What claims give.
    pub mapping: Vec<RuleWanted>,
    /// The claim of `$auth.role`.
    pub role_claim: Option<String>,
    /// The claim of `$auth.org_id`.
    pub org_claim: Option<String>,
    /// The claim that names a user record.
    pub username_claim: Option<String>,
    /// `auto_create`
    pub first_sight: FirstSight,
    /// How long a token may live; None: a day.
    pub max_lifetime_seconds: Option<u32>,
}

/// A rule of its mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleWanted {
    /// The claim's name, or a path to it.
    pub claim: String,
    /// What it has to be.
    pub value: ClaimValue,
    /// SET DEFAULT_DATABASE
    pub default_database: Option<String>,
    /// ADD DATABASES
    pub add_databases: Vec<String>,
    /// ADD ROLES
    pub add_roles: Vec<String>,
}

impl ProviderWanted {
    /// Why there cannot be such a provider, whatever the catalog has; None where nothing is wrong.
    pub fn fault(&self) -> Option<String> {
        let claims = [
            ("role_claim", &self.role_claim),
            ("org_claim", &self.org_claim),
            ("username_claim", &self.username_claim),
        ];
        let claim = claims
            .into_iter()
            .find_map(|(option, claim)| claim_fault(option, claim.as_deref()?));
        let url = self.jwks_url.as_deref();
        issuer_fault(&self.issuer, url.is_some())
            .or_else(|| url_fault("jwks_url", url?))
            .or_else(|| audience_fault(self.audience.as_deref()?))
            .or(claim)
            .or_else(|| lifetime_fault(self.max_lifetime_seconds?))
            .or_else(|| {
                let nameless =
                    self.first_sight == FirstSight::MakeUser && self.username_claim.is_none();
                nameless.then(|| "auto_create needs username_claim beside it".to_owned())
            })
            .or_else(|| self.mapping.iter().find_map(RuleWanted::fault))
    }
}

impl RuleWanted {
    /// Why there cannot be such a rule.
    pub fn fault(&self) -> Option<String> {
        claim_fault("claim_name", &self.claim)
            .or_else(|| text_fault("claim_value", self.value.as_str(), CLAIM_BYTES_MAX))
            .or_else(|| {
                let nothing = self.default_database.is_none()
                    && self.add_databases.is_empty()
                    && self.add_roles.is_empty();
                nothing.then(|| format!("the rule for claim \"{}\" gives nothing", self.claim))
            })
    }
}

fn text_fault(option: &str, text: &str, bytes_max: usize) -> Option<String> {
    if text.is_empty() || text.len() > bytes_max || text.contains(char::is_control) {
        return Some(format!(
            "{option} must be a text of 1 to {bytes_max} bytes without control characters"
        ));
    }
    None
}

/// Not every issuer is a URL (OpenID Connect says https, Google once said none); one that is not cannot
/// be asked where its keys are.
fn issuer_fault(issuer: &str, has_jwks_url: bool) -> Option<String> {
    if issuer.is_empty() {
        return Some("an identity provider needs an issuer".to_owned());
    }
    match has_jwks_url {
        true => text_fault("issuer", issuer, URL_BYTES_MAX),
        false => url_fault("issuer", issuer).map(|fault| format!("without jwks_url {fault}")),
    }
}

fn url_fault(option: &str, url: &str) -> Option<String> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?']).next());
    let fits = authority.is_some_and(|it| !it.is_empty() && !it.contains('@'));
    let is_plain = !url.contains(|it: char| it.is_whitespace() || it == '#');
    text_fault(option, url, URL_BYTES_MAX).or_else(|| {
        let good = fits && is_plain;
        (!good).then(|| format!("{option} must be a URL such as https://accounts.example/"))
    })
}

fn audience_fault(audience: &str) -> Option<String> {
    text_fault("audience", audience, AUDIENCE_BYTES_MAX)
}

fn claim_fault(option: &str, claim: &str) -> Option<String> {
    text_fault(option, claim, CLAIM_BYTES_MAX)
}

fn lifetime_fault(seconds: u32) -> Option<String> {
    let fits = (1..=LIFETIME_SECONDS_MAX).contains(&seconds);
    (!fits).then(|| format!("max_lifetime_secs must be from 1 to {LIFETIME_SECONDS_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> ProviderWanted {
        ProviderWanted {
            name: "acme".to_owned(),
            issuer: "https://acme.example/".to_owned(),
            ..ProviderWanted::default()
        }
    }

    #[test]
    fn an_issuer_that_is_no_url_needs_to_say_where_its_keys_are() {
        assert_eq!(wanted().fault(), None);
        for (issuer, without, with) in [
            ("accounts.example", false, true),
            ("https://a.example/realms/x?y=1", true, true),
            ("https://user@a.example/", false, true),
            ("https:///x", false, true),
            ("https://a.example/#x", false, true),
            ("", false, false),
            ("a\nb", false, false),
        ] {
            let mut wanted = wanted();
            wanted.issuer = issuer.to_owned();
            assert_eq!(wanted.fault().is_none(), without, "{issuer}");
            wanted.jwks_url = Some("https://keys.example/".to_owned());
            assert_eq!(wanted.fault().is_none(), with, "{issuer}");
        }
    }

    #[test]
    fn every_text_has_a_limit() {
        let long = |bytes: usize| Some("x".repeat(bytes));
        type Put = fn(&mut ProviderWanted, Option<String>);
        let places: [(Put, usize); 4] = [
            (|it, text| it.audience = text, AUDIENCE_BYTES_MAX),
            (|it, text| it.role_claim = text, CLAIM_BYTES_MAX),
            (|it, text| it.org_claim = text, CLAIM_BYTES_MAX),
            (|it, text| it.username_claim = text, CLAIM_BYTES_MAX),
        ];
        for (put, bytes_max) in places {
            let mut it = wanted();
            put(&mut it, long(bytes_max));
            assert_eq!(it.fault(), None);
            put(&mut it, long(bytes_max + 1));
            assert!(it.fault().expect("it is too long").contains("must be"));
            put(&mut it, Some(String::new()));
            assert!(it.fault().is_some());
        }
        let mut it = wanted();
        it.jwks_url = Some(format!("https://{}", "x".repeat(URL_BYTES_MAX - 7)));
        assert!(it.fault().is_some());
        it.jwks_url.as_mut().expect("it is there").pop();
        assert_eq!(it.fault(), None);
    }

    #[test]
    fn a_user_cannot_be_made_without_a_name_nor_a_rule_give_nothing() {
        let mut it = wanted();
        it.first_sight = FirstSight::MakeUser;
        assert!(it.fault().expect("nameless").contains("username_claim"));
        it.username_claim = Some("email".to_owned());
        assert_eq!(it.fault(), None);
        it.mapping.push(RuleWanted {
            claim: "groups".to_owned(),
            value: ClaimValue::Any,
            default_database: None,
            add_databases: Vec::new(),
            add_roles: Vec::new(),
        });
        assert!(it.fault().expect("it is empty").contains("gives nothing"));
        it.mapping[0].add_roles.push("r".to_owned());
        assert_eq!(it.fault(), None);
        for (seconds, good) in [(0, false), (1, true), (86_400, true), (86_401, false)] {
            it.max_lifetime_seconds = Some(seconds);
            assert_eq!(it.fault().is_none(), good, "{seconds}");
        }
    }
}
