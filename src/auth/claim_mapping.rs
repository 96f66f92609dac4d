//! What the claims of a verified token come to: which variable each fills, and which rules of its
//! provider's mapping apply (REFERENCE §1, §3). Claims fill variables and give no rights; rules do.
//!
//! Pure functions over what `auth::jwt` has verified. The claims are the provider's word, but who they
//! are about may have chosen some of them: so a user record is found by the claim that the provider's
//! definition names and by no other, and an e-mail address that is not verified names nobody.

use super::claims::Claims;
use crate::catalog::provider::{ClaimValue, MappingRule, Provider};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// The longest `sub`: OpenID Connect Core §2 allows as many characters.
pub const SUBJECT_BYTES_MAX: usize = 255;

/// Texts of a list.
type Texts = Box<[Arc<str>]>;

/// The claims of a token, by their names.
pub type ClaimMap = BTreeMap<Arc<str>, Value>;

/// Why a verified token leads to nobody: for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Missing, empty, no text, or past [`SUBJECT_BYTES_MAX`].
    #[error("the token's sub is not a text of 1 to {SUBJECT_BYTES_MAX} bytes")]
    Subject,
    /// `username_claim` is the e-mail address, and `email_verified` says that it is not.
    #[error("the token's email is not verified")]
    EmailNotVerified,
}

/// The claims as `$auth.*` tells them.
///
/// # Errors
/// [`Refusal`]
pub fn claims(provider: &Provider, all: ClaimMap) -> Result<Claims, Refusal> {
    let subject = all.get("sub").and_then(Value::as_str);
    let subject = subject.filter(|it| (1..=SUBJECT_BYTES_MAX).contains(&it.len()));
    let subject = subject.filter(|it| !it.contains(char::is_control));
    let text_of = |names: &[&str]| names.iter().find_map(|name| text(all.get(*name)?));
    let (role, roles) = roles(provider, &all);
    Ok(Claims {
        provider: provider.id,
        subject: subject.map(Arc::from).ok_or(Refusal::Subject)?,
        role,
        roles,
        org_id: find(&all, provider.org_claim.as_deref().unwrap_or("org_id")).and_then(text),
        scopes: all.get("scope").or_else(|| all.get("scp")).and_then(scopes),
        username: text_of(&["preferred_username", "username"]),
        email: text_of(&["email"]),
        all,
    })
}

/// The user record that a token is to lead to, by the claim that its provider names. None: it leads to
/// none.
///
/// # Errors
/// [`Refusal::EmailNotVerified`]
pub fn user_name<'a>(provider: &Provider, all: &'a ClaimMap) -> Result<Option<&'a str>, Refusal> {
    let Some(path) = provider.username_claim.as_deref() else {
        return Ok(None);
    };
    let is_verified = match all.get("email_verified") {
        None | Some(Value::Bool(true)) => true,
        // Cognito writes it as a text.
        Some(Value::String(text)) => text == "true",
        Some(_) => false,
    };
    if path == "email" && !is_verified {
        return Err(Refusal::EmailNotVerified);
    }
    Ok(find(all, path).and_then(Value::as_str))
}

/// The rules of the provider's mapping that these claims fit, in their order.
pub fn matching<'a>(
    provider: &'a Provider,
    all: &ClaimMap,
) -> impl Iterator<Item = &'a MappingRule> {
    provider.mapping.iter().filter(|rule| fits(rule, all))
}

/// Whether the claims are what the rule looks for: a text equal to its value, or a list that holds it.
pub fn fits(rule: &MappingRule, all: &ClaimMap) -> bool {
    let Some(found) = find(all, &rule.claim) else {
        return false;
    };
    match (&rule.value, found) {
        (_, Value::Null) => false,
        (ClaimValue::Any, Value::Array(list)) => !list.is_empty(),
        (ClaimValue::Any, _) => true,
        (ClaimValue::Is(wanted), Value::Array(list)) => list.iter().any(|it| is(it, wanted)),
        (ClaimValue::Is(wanted), found) => is(found, wanted),
    }
}

/// A number or a truth value is compared as JSON writes it.
fn is(found: &Value, wanted: &str) -> bool {
    match found {
        Value::String(text) => text == wanted,
        Value::Number(_) | Value::Bool(_) => {
            let written = found.to_string();
            written == wanted
        }
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// A claim by its name, else by a path into others: `realm_access.roles`. The name comes first, because
/// names may have dots in them: `https://acme.example/role`.
///
/// Looks at each object of the token at most once.
pub fn find<'a>(all: &'a ClaimMap, path: &str) -> Option<&'a Value> {
    all.get(path).or_else(|| {
        beginnings(path).find_map(|(name, rest)| inside(all.get(name)?.as_object()?, rest))
    })
}

fn inside<'a>(object: &'a serde_json::Map<String, Value>, path: &str) -> Option<&'a Value> {
    object.get(path).or_else(|| {
        beginnings(path).find_map(|(name, rest)| inside(object.get(name)?.as_object()?, rest))
    })
}

/// The path at each of its dots.
fn beginnings(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let dots = path.match_indices('.');
    dots.map(move |(at, _)| (&path[..at], &path[at + 1..]))
}

/// `$auth.role` and `$auth.roles`. Of a list there is a role only where it has one: which of several is
/// meant, nothing says.
fn roles(provider: &Provider, all: &ClaimMap) -> (Option<Arc<str>>, Option<Texts>) {
    let (role, list) = match provider.role_claim.as_deref() {
        Some(path) => {
            let found = find(all, path);
            (found.and_then(text), found.and_then(texts))
        }
        None => (
            all.get("role").and_then(text),
            all.get("roles").and_then(texts),
        ),
    };
    let only = |list: &[Arc<str>]| match list {
        [only] => Some(only.clone()),
        _ => None,
    };
    let from_list = list.as_deref().and_then(only);
    let from_role = role.as_ref().map(|role| Box::from([role.clone()]));
    (role.or(from_list), list.or(from_role))
}

/// A text, or a whole number as one.
fn text(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::String(text) => Some(Arc::from(&**text)),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            Some(Arc::from(number.to_string()))
        }
        _ => None,
    }
}

/// A list of texts. One that holds anything else says nothing.
fn texts(value: &Value) -> Option<Texts> {
    let list = value.as_array()?;
    let texts = list.iter().map(|it| it.as_str().map(Arc::from));
    texts.collect()
}

/// With blanks between them (RFC 8693 §4.2), or a list.
fn scopes(value: &Value) -> Option<Texts> {
    match value {
        Value::String(scopes) => Some(
            scopes
                .split(' ')
                .filter(|it| !it.is_empty())
                .map(Arc::from)
                .collect(),
        ),
        other => texts(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::provider::tests::provider;
    use serde_json::json;

    fn map(value: Value) -> ClaimMap {
        let Value::Object(object) = value else {
            panic!("claims are an object");
        };
        let members = object.into_iter();
        members.map(|(name, it)| (Arc::from(name), it)).collect()
    }

    /// One that names no claims of its own.
    fn plain() -> Provider {
        Provider {
            role_claim: None,
            org_claim: None,
            username_claim: None,
            ..provider(20_000, "acme", "https://acme.example/")
        }
    }

    fn with_roles(role_claim: &str) -> Provider {
        Provider {
            role_claim: Some(Arc::from(role_claim)),
            ..plain()
        }
    }

    fn told(provider: &Provider, mut value: Value) -> Claims {
        value["sub"] = json!("u1");
        claims(provider, map(value)).expect("it has a sub")
    }

    fn list(texts: &Option<Box<[Arc<str>]>>) -> Option<Vec<&str>> {
        Some(texts.as_ref()?.iter().map(|it| &**it).collect())
    }

    #[test]
    fn the_standard_claims_fill_their_variables() {
        let it = told(
            &plain(),
            json!({
                "role": "admin", "roles": ["admin", "dev"], "org_id": 42,
                "scope": "read:orders  write:orders", "preferred_username": "alice",
                "email": "alice@acme.example",
            }),
        );
        assert_eq!(&*it.subject, "u1");
        assert_eq!(it.role.as_deref(), Some("admin"));
        assert_eq!(list(&it.roles), Some(vec!["admin", "dev"]));
        assert_eq!(it.org_id.as_deref(), Some("42"));
        assert_eq!(list(&it.scopes), Some(vec!["read:orders", "write:orders"]));
        assert_eq!(it.username.as_deref(), Some("alice"));
        assert_eq!(it.email.as_deref(), Some("alice@acme.example"));
        assert_eq!(it.all.len(), 7);
        let bare = told(&plain(), json!({}));
        assert_eq!((bare.role, bare.roles, bare.scopes), (None, None, None));
    }

    #[test]
    fn a_role_and_a_list_of_roles_speak_for_each_other() {
        for (claims, role, roles) in [
            (json!({"r": "admin"}), Some("admin"), Some(vec!["admin"])),
            (json!({"r": ["admin"]}), Some("admin"), Some(vec!["admin"])),
            (json!({"r": ["a", "b"]}), None, Some(vec!["a", "b"])),
            (json!({"r": []}), None, Some(vec![])),
            (json!({"r": ["a", 1]}), None, None),
            (json!({"r": {"a": 1}, "role": "admin"}), None, None),
            (json!({"role": "admin", "roles": ["admin"]}), None, None),
        ] {
            let it = told(&with_roles("r"), claims.clone());
            assert_eq!(it.role.as_deref(), role, "{claims}");
            assert_eq!(list(&it.roles), roles, "{claims}");
        }
    }

    #[test]
    fn scopes_are_a_text_or_a_list_and_nothing_else() {
        for (claims, scopes) in [
            (json!({"scope": ["a", "b c"]}), Some(vec!["a", "b c"])),
            (json!({"scp": ["a"]}), Some(vec!["a"])),
            (json!({"scope": "", "scp": ["a"]}), Some(vec![])),
            (json!({"scope": 1}), None),
            (json!({"scope": ["a", null]}), None),
        ] {
            let it = told(&plain(), claims.clone());
            assert_eq!(list(&it.scopes), scopes, "{claims}");
        }
    }

    #[test]
    fn a_claim_is_found_by_its_name_before_a_path() {
        let all = map(json!({
            "https://acme.example/role": "by name",
            "a.b": "by name",
            "a": {"b": "by path", "c.d": {"e": "dots inside"}, "f": {"g": [1]}},
            "resource_access": {"my.client": {"roles": ["x"]}},
        }));
        for (path, found) in [
            ("https://acme.example/role", Some(json!("by name"))),
            ("a.b", Some(json!("by name"))),
            ("a.c.d.e", Some(json!("dots inside"))),
            ("a.f.g", Some(json!([1]))),
            ("resource_access.my.client.roles", Some(json!(["x"]))),
            ("a.b.c", None),
            ("a.", None),
            (".", None),
            ("", None),
            ("a.f.g.0", None),
        ] {
            assert_eq!(find(&all, path).cloned(), found, "{path}");
        }
    }

    #[test]
    fn a_rule_fits_a_text_or_a_list_that_holds_it() {
        let rule = |value: &str| MappingRule {
            claim: Arc::from("groups"),
            value: match value {
                "*" => ClaimValue::Any,
                value => ClaimValue::Is(Arc::from(value)),
            },
            ..plain().mapping[0].clone()
        };
        for (claim, value, fitting) in [
            (json!("eng"), "eng", true),
            (json!(["ops", "eng"]), "eng", true),
            (json!(["ops", ["eng"]]), "eng", false),
            (json!("engineers"), "eng", false),
            (json!("Eng"), "eng", false),
            (json!(true), "true", true),
            (json!(7), "7", true),
            (json!({"eng": true}), "eng", false),
            (json!(null), "null", false),
            (json!("x"), "*", true),
            (json!([1]), "*", true),
            (json!([]), "*", false),
            (json!(null), "*", false),
        ] {
            let all = map(json!({"groups": claim}));
            assert_eq!(fits(&rule(value), &all), fitting, "{claim} {value}");
        }
        assert!(!fits(&rule("*"), &map(json!({"group": "eng"}))));
    }

    #[test]
    fn a_token_without_a_subject_is_nobodys() {
        for sub in [
            json!(null),
            json!(""),
            json!(7),
            json!("a\nb"),
            json!("x".repeat(SUBJECT_BYTES_MAX + 1)),
        ] {
            let told = claims(&plain(), map(json!({ "sub": sub })));
            assert_eq!(told, Err(Refusal::Subject));
        }
        let longest = json!({"sub": "x".repeat(SUBJECT_BYTES_MAX)});
        assert!(claims(&plain(), map(longest)).is_ok());
    }

    #[test]
    fn an_address_that_is_not_verified_names_nobody() {
        let by_email = Provider {
            username_claim: Some(Arc::from("email")),
            ..plain()
        };
        for (verified, expected) in [
            (json!(true), Ok(Some("al@acme.example"))),
            (json!("true"), Ok(Some("al@acme.example"))),
            (json!(false), Err(Refusal::EmailNotVerified)),
            (json!("false"), Err(Refusal::EmailNotVerified)),
            (json!(null), Err(Refusal::EmailNotVerified)),
        ] {
            let all = map(json!({"email": "al@acme.example", "email_verified": verified}));
            assert_eq!(user_name(&by_email, &all), expected);
        }
        let unsaid = map(json!({"email": "al@acme.example"}));
        assert_eq!(user_name(&by_email, &unsaid), Ok(Some("al@acme.example")));
        assert_eq!(user_name(&by_email, &map(json!({}))), Ok(None));
        assert_eq!(user_name(&plain(), &unsaid), Ok(None));
    }
}
