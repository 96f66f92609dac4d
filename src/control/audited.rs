//! What the audit log says of a credential statement. It is made of the typed request, name by name: verifiers
//! and hashes of secrets have no way into it, and a new request does not compile before it is decided what is said.

use crate::audit::{Entry, Event, Source};
use crate::catalog::allowance::AllowanceChange;
use crate::catalog::port::{Ask, Reply};
use crate::catalog::provider_request::ProviderWanted;
use crate::catalog::request::{Expires, KeyWanted, PasswordChange, Request, TenantRef, UserChange};
use crate::catalog::snapshot::Principals;
use crate::catalog::verifier::Verifier;
use crate::diagnostic::Diagnostic;

/// None for a step of a transaction that commits definitions, which is no statement.
pub fn entry(
    ask: &Ask,
    outcome: &Result<Reply, Diagnostic>,
    principals: &Principals,
) -> Option<Entry> {
    if !ask.request.is_statement() {
        return None;
    }
    let by = &ask.by;
    let user = principals.called(by.principal).map(|it| it.name);
    let database = principals.database(by.database);
    let entry = Entry::new(Event::CredentialStatement, Source::Peer(by.peer))
        .of_tenant(Some(by.tenant))
        .in_database(database.map(|database| database.name.clone()))
        .with_some("user", user)
        .with_some("by_key", by.key.map(|key| key.to_string()))
        .with("statement", ask.request.title());
    let entry = about(entry, &ask.request);
    Some(match outcome {
        Ok(_) => entry.with("outcome", "done"),
        Err(error) => entry
            .with("outcome", error.sqlstate().as_str())
            .with("reason", error.message()),
    })
}

/// Whom and what it is about.
fn about(entry: Entry, request: &Request) -> Entry {
    match request {
        Request::CreateUser {
            name,
            verifier,
            role,
            tenant,
            limits,
            if_exists: _,
        } => limited(entry.with("name", name.as_str()), limits)
            .with("password", password(verifier.as_ref()))
            .with_some("role", role.as_deref())
            .with_some("tenant", tenant.as_ref().map(TenantRef::to_string)),
        Request::AlterUser { name, change } => {
            change_of_user(entry.with("name", name.as_str()), change)
        }
        Request::CreateServiceAccount {
            name,
            database,
            role,
            tenant,
            if_exists: _,
        } => entry
            .with("name", name.as_str())
            .with("for_database", database.as_str())
            .with_some("role", role.as_deref())
            .with_some("tenant", tenant.as_ref().map(TenantRef::to_string)),
        Request::AlterServiceAccount { name, databases } => entry
            .with("name", name.as_str())
            .with("databases", databases.join(", ")),
        Request::LimitServiceAccount { name, limits } | Request::LimitApiKey { name, limits } => {
            limited(entry.with("name", name.as_str()), limits)
        }
        Request::LimitTenant { tenant, limits } => {
            limited(entry.with("tenant", tenant.to_string()), limits)
        }
        Request::CreateApiKey { id, secret: _, key } => {
            wanted_key(entry.with("key", id.to_string()), key)
        }
        Request::RotateApiKey {
            id,
            secret: _,
            grace_minutes,
        } => entry
            .with("key", id.to_string())
            .with_some("grace_minutes", grace_minutes.map(|it| it.to_string())),
        Request::DropUser { name, if_exists: _ }
        | Request::DropServiceAccount { name, if_exists: _ }
        | Request::DropApiKey { name, if_exists: _ }
        | Request::DropRole { name, if_exists: _ }
        | Request::CreateDatabase { name, if_exists: _ }
        | Request::DropDatabase { name, if_exists: _ }
        | Request::DropProvider { name, if_exists: _ } => entry.with("name", name.as_str()),
        Request::CreateRole {
            name,
            parent,
            if_exists: _,
        } => entry
            .with("name", name.as_str())
            .with_some("inherit", parent.as_deref()),
        Request::GrantRole { role, to } => {
            entry.with("role", role.as_str()).with("to", to.as_str())
        }
        Request::RevokeRole { role, from } => entry
            .with("role", role.as_str())
            .with("from", from.as_str()),
        Request::GrantConnect { database, to } => entry
            .with("on_database", database.as_str())
            .with("to", to.as_str()),
        Request::RevokeConnect { database, from } => entry
            .with("on_database", database.as_str())
            .with("from", from.as_str()),
        Request::CreateTenant {
            name,
            id,
            if_exists: _,
        } => entry
            .with("name", name.as_str())
            .with_some("id", id.map(|id| id.to_string())),
        Request::RenameTenant { tenant, name } => entry
            .with("tenant", tenant.to_string())
            .with("name", name.as_str()),
        Request::DropTenant {
            tenant,
            cascade,
            if_exists: _,
        } => entry
            .with("tenant", tenant.to_string())
            .with("cascade", cascade.to_string()),
        Request::CreateProvider {
            wanted,
            if_exists: _,
        } => wanted_provider(entry, wanted),
        Request::SetClaimMapping { name, mapping } => entry
            .with("name", name.as_str())
            .with("rules", mapping.len().to_string()),
        Request::MakeUserOfToken { name } => entry.with("name", &**name),
        Request::HoldPrincipals(_) | Request::PublishDefinitions { .. } => entry,
    }
}

fn change_of_user(entry: Entry, change: &UserChange) -> Entry {
    match change {
        UserChange::Password {
            change,
            remembered: _,
        } => match change {
            PasswordChange::Set(verifier) => entry.with("password", password(verifier.as_ref())),
            PasswordChange::Add(verifier) => entry.with("added_password", password(Some(verifier))),
            PasswordChange::DropOld => entry.with("password", "the old one is dropped"),
        },
        UserChange::Role(role) => entry.with("role", role.as_str()),
        UserChange::DefaultDatabase(database) => entry.with("default_database", database.as_str()),
        UserChange::ValidUntil(until) => {
            let until = until.map_or_else(|| "infinity".to_owned(), date);
            entry.with("valid_until", until)
        }
        UserChange::Disable => entry.with("enabled", "false"),
        UserChange::Enable => entry.with("enabled", "true"),
        UserChange::Limits(limits) => limited(entry, limits),
    }
}

/// CONNECTION LIMIT and STATEMENT LIMIT, where they change.
fn limited(entry: Entry, limits: &AllowanceChange) -> Entry {
    let text = |limit: Option<u32>| limit.map_or_else(|| "none".to_owned(), |it| it.to_string());
    entry
        .with_some("connection_limit", limits.connections.map(text))
        .with_some("statement_limit", limits.statements.map(text))
}

fn wanted_key(entry: Entry, key: &KeyWanted) -> Entry {
    let KeyWanted {
        name,
        owner,
        role,
        databases,
        scopes,
        networks,
        rate_per_second,
        expires,
        limits,
    } = key;
    let networks = networks.as_ref().map(|networks| {
        let texts: Vec<String> = networks.iter().map(|it| it.to_string()).collect();
        texts.join(", ")
    });
    limited(entry, limits)
        .with_some("name", name.as_deref())
        .with_some("for", owner.as_deref())
        .with_some("role", role.as_deref())
        .with_some("databases", databases.as_ref().map(|it| it.join(", ")))
        .with_some("scopes", scopes.as_ref().map(|it| it.join(", ")))
        .with_some("networks", networks)
        .with_some("rate_per_second", rate_per_second.map(|it| it.to_string()))
        .with_some(
            "expires",
            expires.map(|expires| match expires {
                Expires::InDays(days) => format!("in {days} days"),
                Expires::At(at) => date(at),
            }),
        )
}

fn wanted_provider(entry: Entry, wanted: &ProviderWanted) -> Entry {
    entry
        .with("name", wanted.name.as_str())
        .with("issuer", wanted.issuer.as_str())
        .with_some("audience", wanted.audience.as_deref())
}

/// Whether there is one from now on; never what.
fn password(verifier: Option<&Verifier>) -> &'static str {
    match verifier {
        Some(_) => "set",
        None => "none",
    }
}

fn date(microseconds: i64) -> String {
    let date = chrono::DateTime::from_timestamp_micros(microseconds);
    date.map_or_else(|| microseconds.to_string(), |date| date.to_rfc3339())
}
