//! EXPLAIN AUTHENTICATION TOKEN: each check of `auth::jwt`, the mapping, and whom it leads to.

use super::{Outcome, Report, at};
use crate::access::show::describe_rule;
use crate::access::{Standing, login};
use crate::auth::claim_mapping::{self, fits};
use crate::auth::claims::Claims;
use crate::auth::jwks::{KeySet, NoKeys};
use crate::auth::jwt::{Check, Token};
use crate::auth::token::{self, Bearer, Verified};
use crate::catalog::provider::Provider;
use std::sync::Arc;

const METHOD: &str = "jwt";

pub(super) fn explain(report: &mut Report<'_>, text: &str) {
    let token = match Token::parse(text) {
        Ok(token) => token,
        Err(refusal) => return report.add(METHOD, "shape", Outcome::Fail, refusal),
    };
    let kid = token.key_id().unwrap_or("none");
    let shape = format!("{}, kid {kid}", token.algorithm());
    report.add(METHOD, "shape", Outcome::Pass, shape);
    let Some(provider) = provider(report, &token) else {
        return;
    };
    let keys = keys(report, &provider);
    if !checks(report, &token, &provider, keys.as_deref()) {
        return;
    }
    let all = token.unverified_claims().clone();
    match claim_mapping::claims(&provider, all) {
        Ok(claims) => {
            let subject = claims.subject.to_string();
            report.add(METHOD, "subject", Outcome::Pass, subject);
            bearer(report, &provider, claims);
        }
        Err(refusal) => report.add(METHOD, "subject", Outcome::Fail, refusal),
    }
}

/// The provider that it is of; one of another tenant is none.
fn provider(report: &mut Report<'_>, token: &Token<'_>) -> Option<Arc<Provider>> {
    let found = token::provider(&report.snapshot.principals, token, None);
    match found.map(Arc::clone) {
        Ok(provider) if report.sees(provider.tenant) => {
            let detail = format!("\"{}\", by its iss and aud", provider.name);
            report.add(METHOD, "provider", Outcome::Pass, detail);
            Some(provider)
        }
        Ok(_) => {
            let detail = token::Refusal::UnknownIssuer;
            report.add(METHOD, "provider", Outcome::Fail, detail);
            None
        }
        Err(refusal) => {
            let detail = format!("{refusal}; its iss is \"{}\"", token.issuer());
            report.add(METHOD, "provider", Outcome::Fail, detail);
            None
        }
    }
}

fn keys(report: &mut Report<'_>, provider: &Provider) -> Option<Arc<KeySet>> {
    let in_force = report.surroundings.keys.of(provider.id);
    let found = report
        .surroundings
        .keys
        .view()
        .keys(provider.id, report.surroundings.now)
        .map(Arc::clone);
    let why = in_force.and_then(|it| it.status.reason.clone());
    match found {
        Ok(keys) => {
            let count = keys.len();
            report.add(METHOD, "keys", Outcome::Pass, format!("{count} at hand"));
            Some(keys)
        }
        Err(refusal) => {
            let refusal: NoKeys = refusal;
            let detail = match why {
                Some(why) => format!("{refusal}; the last fetch: {why}"),
                None => refusal.to_string(),
            };
            report.add(METHOD, "keys", Outcome::Fail, detail);
            None
        }
    }
}

/// Every check, also those behind one that fails. Whether it passes them all.
fn checks(
    report: &mut Report<'_>,
    token: &Token<'_>,
    provider: &Provider,
    keys: Option<&KeySet>,
) -> bool {
    let demands = token::checks(provider);
    let mut passes = true;
    for check in Check::ALL {
        let Some(keys) = keys else {
            passes = false;
            let detail = "its provider's keys are not at hand";
            report.add(METHOD, check.name(), Outcome::Skipped, detail);
            continue;
        };
        match check.make(token, &demands, keys, report.surroundings.now) {
            Ok(()) => report.add(METHOD, check.name(), Outcome::Pass, ""),
            Err(refusal) => {
                passes = false;
                report.add(METHOD, check.name(), Outcome::Fail, refusal);
            }
        }
    }
    passes
}

fn bearer(report: &mut Report<'_>, provider: &Provider, claims: Claims) {
    for rule in &provider.mapping {
        let outcome = match fits(rule, &claims.all) {
            true => Outcome::Pass,
            false => Outcome::Info,
        };
        let what = match outcome {
            Outcome::Pass => "applies",
            _ => "does not apply",
        };
        let described = describe_rule(&report.snapshot.principals, rule);
        report.add("mapping", &described, outcome, what);
    }
    let verified = Verified {
        claims: Arc::new(claims),
        expires_at: i64::MAX,
    };
    let (snapshot, now) = (report.snapshot, report.surroundings.now);
    let proved = match token::bearer(&snapshot.principals, provider, &verified, now) {
        Ok(Bearer::Proved(proved)) => proved,
        Ok(Bearer::ToBeMade(name)) => {
            let detail = format!("\"{name}\" would be made now (auto_create)");
            return report.add(METHOD, "user record", Outcome::Info, detail);
        }
        Err(refusal) => return report.add(METHOD, "user record", Outcome::Fail, refusal),
    };
    let standing = match Standing::of(snapshot, proved.grounds()) {
        Ok(standing) => standing,
        Err(reason) => {
            let detail = reason.diagnostic();
            return report.add(METHOD, "user record", Outcome::Fail, detail.message());
        }
    };
    let name = match standing.record() {
        Some(record) => {
            report.add(METHOD, "user record", Outcome::Pass, &record.name);
            record.name.to_string()
        }
        None => {
            let detail = "none: it goes by its provider, with the provider's default role";
            report.add(METHOD, "user record", Outcome::Info, detail);
            format!("{}:{}", provider.name, verified.claims.subject)
        }
    };
    match login(snapshot, proved.grounds(), None, None) {
        Err(error) => report.add(METHOD, "database", Outcome::Fail, error.message()),
        Ok(id) => {
            let database = snapshot.principals.database(id);
            let database = database.map_or("?", |database| &*database.name);
            report.identity(&standing, &name, database);
            variables(report, &verified.claims);
        }
    }
}

/// What `$auth` would tell of it.
fn variables(report: &mut Report<'_>, claims: &Claims) {
    let listed = |list: &Option<Box<[Arc<str>]>>| {
        let list = list.as_ref()?;
        Some(list.iter().map(|it| &**it).collect::<Vec<_>>().join(", "))
    };
    let text = |text: &Option<Arc<str>>| text.as_ref().map(|text| text.to_string());
    let told = [
        ("$auth.id", Some(claims.subject.to_string())),
        ("$auth.role", text(&claims.role)),
        ("$auth.roles", listed(&claims.roles)),
        ("$auth.org_id", text(&claims.org_id)),
        ("$auth.scopes", listed(&claims.scopes)),
        ("$auth.username", text(&claims.username)),
        ("$auth.email", text(&claims.email)),
    ];
    for (variable, value) in told {
        let value = value.unwrap_or_else(|| "no claim fills it".to_owned());
        report.add("variable", variable, Outcome::Info, value);
    }
    if let Some(exp) = claims.all.get("exp").and_then(serde_json::Value::as_i64) {
        let ends = at(exp.saturating_mul(1_000_000));
        report.add("identity", "ends at", Outcome::Info, ends);
    }
}
