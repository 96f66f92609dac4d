//! EXPLAIN AUTHENTICATION FOR USER: each method in the order of REFERENCE §3, and what comes of it.

use super::{ClientCertificates, Outcome, Report, at};
use crate::access::{Standing, login};
use crate::auth::identity::Grounds;
use crate::catalog::key::ApiKey;
use crate::catalog::principal::{Principal, PrincipalKind};
use crate::diagnostic::{Diagnostic, SqlState};

/// Keys of one owner that are told of.
const KEYS_MAX: usize = 100;

/// # Errors
/// 42704 for a login that is not in sight.
pub(super) fn explain(
    report: &mut Report<'_>,
    name: &str,
    database: Option<&str>,
) -> Result<(), Diagnostic> {
    let user = report.snapshot.principals.principal_named(name);
    let user = user.filter(|user| report.sees(user.tenant));
    let user = user.ok_or_else(|| {
        let message = format!("role \"{name}\" does not exist");
        Diagnostic::error(SqlState::UNDEFINED_OBJECT, message)
    })?;
    account(report, user);
    certificate(report, user);
    tokens(report, user);
    keys(report, user);
    password(report, user);
    let grounds = Grounds::new(user.id, None, None);
    let resolved = login(report.snapshot, grounds, None, database);
    match resolved {
        Err(error) => report.add("identity", "database", Outcome::Fail, error.message()),
        Ok(id) => {
            let database = report.snapshot.principals.database(id);
            let database = database.map_or("?", |database| &*database.name);
            let standing = Standing::of_record(report.snapshot, user, None);
            report.identity(&standing, &user.name, database);
        }
    }
    Ok(())
}

/// What holds whatever the method.
fn account(report: &mut Report<'_>, user: &Principal) {
    let detail = match user.enabled {
        true => "",
        false => "ALTER USER … ENABLE lets it log in again",
    };
    report.add("account", "enabled", Outcome::of(user.enabled), detail);
    if let Some(end) = user.valid_until {
        let lives = report.surroundings.now < end;
        let detail = format!("VALID UNTIL {}", at(end));
        report.add("account", "valid", Outcome::of(lives), detail);
    }
}

fn certificate(report: &mut Report<'_>, user: &Principal) {
    let detail = match report.surroundings.client_certificates {
        ClientCertificates::NotAsked => {
            "not asked for: client_ca in [server.tls] is not set".to_owned()
        }
        ClientCertificates::Asked => format!(
            "one whose names lead to \"{}\" by [auth.cert] map, or whose CN it is, logs in",
            user.name
        ),
    };
    report.add("1 certificate", "client certificate", Outcome::Info, detail);
}

/// The providers whose tokens may lead to the user.
fn tokens(report: &mut Report<'_>, user: &Principal) {
    let method = "2 jwt";
    if matches!(user.kind, PrincipalKind::ServiceAccount { .. }) {
        let detail = "no token leads to a service account";
        return report.add(method, "token", Outcome::Info, detail);
    }
    let providers: Vec<_> = report
        .snapshot
        .principals
        .providers()
        .filter(|provider| provider.tenant == user.tenant)
        .filter_map(|provider| {
            let claim = provider.username_claim.as_ref()?;
            Some((provider.name.to_string(), claim.to_string(), provider.id))
        })
        .collect();
    if providers.is_empty() {
        let detail = "no OIDC provider of its tenant has a username_claim";
        report.add(method, "token", Outcome::Info, detail);
    }
    for (provider, claim, id) in providers {
        let mut view = report.surroundings.keys.view();
        let has_keys = view.keys(id, report.surroundings.now).is_ok();
        let mut detail = format!("a token whose {claim} is \"{}\" logs in", user.name);
        if !has_keys {
            detail.push_str(", once the provider's keys have come");
        }
        let check = format!("token of \"{provider}\"");
        report.add(method, &check, Outcome::of(has_keys), detail);
    }
}

fn keys(report: &mut Report<'_>, user: &Principal) {
    let method = "3 api_key";
    let keys: Vec<_> = report
        .snapshot
        .principals
        .keys_of(user.id)
        .take(KEYS_MAX)
        .cloned()
        .collect();
    if keys.is_empty() {
        report.add(method, "API key", Outcome::Info, "it has none");
    }
    for key in keys {
        let key: &ApiKey = &key;
        let lives = key
            .expires_at
            .is_none_or(|end| report.surroundings.now < end);
        let detail = match key.expires_at {
            Some(end) => format!("expires at {}", at(end)),
            None => String::new(),
        };
        let check = format!("API key \"{}\" ({})", key.name, key.id);
        report.add(method, &check, Outcome::of(lives), detail);
    }
}

fn password(report: &mut Report<'_>, user: &Principal) {
    let (outcome, detail) = match &user.kind {
        PrincipalKind::ServiceAccount { .. } => (
            Outcome::Info,
            "a service account has no password".to_owned(),
        ),
        PrincipalKind::User { passwords, .. } => match (passwords.verifier(), passwords.added()) {
            (None, _) => (
                Outcome::Info,
                "it has no password, and every one is refused".to_owned(),
            ),
            (Some(verifier), None) => (
                Outcome::Pass,
                format!("it has one, of {} iterations", verifier.iterations),
            ),
            (Some(verifier), Some(_)) => (
                Outcome::Pass,
                format!(
                    "it has two, of {} iterations, until ALTER USER … DROP OLD PASSWORD",
                    verifier.iterations
                ),
            ),
        },
    };
    report.add("4 scram-sha-256", "password", outcome, detail);
}
