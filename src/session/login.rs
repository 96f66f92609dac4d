//! How a proof becomes a session: one place for every protocol.
//!
//! A proof is worked out against the catalog of one moment, and takes as long as a client or a
//! queue likes. [`look_up`] leaves a [`Witness`] of that moment, which says at the end whether what
//! was proved is still true (DESIGN §2: after a statement has returned, no core serves the old
//! state). [`Session::log_in`] resolves database and rights under the catalog of now.

use super::attempt::{Attempt, Claim, Login, LoginRefused, Reason};
use super::registry::Arrival;
use super::services::{CoreServices, Draining, PlainBearer, now_microseconds};
use super::{Beginning, Protocol, Session, throttling};
use crate::access;
use crate::auth::derivation::Presenter;
use crate::auth::identity::{Identity, KeyUsed, Method};
use crate::auth::presented::Presented;
use crate::auth::rate::TooOften;
use crate::auth::scram::{Credential, Refusal};
use crate::auth::secret::Password;
use crate::auth::{Authenticated, api_key};
use crate::catalog::principal::Principal;
use crate::catalog::{DatabaseId, KeyId, PrincipalId, TenantId};
use crate::diagnostic::{Diagnostic, SqlState};
use shards::Stream;
use std::cell::Cell;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Where a credential comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The client's address, by what a trusted proxy says where there is one.
    pub peer: SocketAddr,
    /// What has carried it.
    pub carrier: Carrier,
}

/// What has carried a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A TLS connection.
    Tls,
    /// A plain one within this machine.
    Loopback,
    /// A plain one.
    Plain,
}

impl Carrier {
    fn of(hop: SocketAddr, is_tls: bool) -> Carrier {
        match is_tls {
            true => Carrier::Tls,
            false if hop.ip().to_canonical().is_loopback() => Carrier::Loopback,
            false => Carrier::Plain,
        }
    }
}

impl Origin {
    /// That of what this client has sent by this connection.
    pub fn of(stream: &Stream, client: SocketAddr) -> Origin {
        Origin {
            peer: client,
            carrier: Carrier::of(stream.hop(), stream.tls().is_some()),
        }
    }

    /// Whether nobody on the way to this server has read what came from there: TLS, or this machine.
    /// What became of it before a proxy is the proxy's matter.
    pub fn keeps_secrets(&self) -> bool {
        matches!(self.carrier, Carrier::Tls | Carrier::Loopback)
    }
}

/// What a client wants of its session.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Another tenant than its own, for a superuser (REFERENCE §7).
    pub tenant: Option<TenantId>,
    /// The database it named, if any.
    pub database: Option<String>,
    /// What it speaks.
    pub protocol: Protocol,
    /// Settings to begin with.
    pub settings: Vec<(String, String)>,
    /// Where it is.
    pub peer: SocketAddr,
    /// When it began to say who it is.
    pub began: Instant,
    /// The client certificate that its connection has presented.
    pub certificate: Option<Rc<Presented>>,
    /// Where a connection has a session a request: whose the last one was.
    pub earlier: Option<Rc<Cell<Option<Who>>>>,
}

/// Whose a session is, as a connection with many sessions remembers it: the same one again is no login of its
/// own in the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    principal: PrincipalId,
    method: Method,
    key: Option<KeyUsed>,
    database: DatabaseId,
}

impl Who {
    fn of(identity: &Identity) -> Who {
        Who {
            principal: identity.principal,
            method: identity.method,
            key: identity.key,
            database: identity.database,
        }
    }
}

/// The client certificate that a connection has presented, if any. Asked once a connection: it costs
/// some microseconds.
pub fn presented(stream: &Stream, services: &CoreServices) -> Option<Rc<Presented>> {
    let tls = stream.tls()?;
    let map = &services.parts.encryption.certificate_map;
    Presented::of(tls.peer_certificates(), map).map(Rc::new)
}

/// Whom a connection's client certificate proves its client to be; None if nobody: the next
/// credential decides.
///
/// # Errors
/// 28000 in one text for a certificate that is no good.
pub fn certificate(
    services: &CoreServices,
    presented: Option<&Presented>,
) -> Result<Option<Authenticated>, LoginRefused> {
    let Some(presented) = presented else {
        return Ok(None);
    };
    let adopted = services.parts.catalog.current();
    let proved = presented.prove(&adopted.snapshot().principals, now_microseconds());
    proved.map_err(|refusal| {
        let claim = Claim::by(Method::Certificate);
        LoginRefused::credential(claim, Reason::Certificate(refusal))
    })
}

impl Session {
    /// Begins a session for somebody who has proved who they are.
    ///
    /// # Errors
    /// FATAL: 28000 for a credential that is no longer good, 3D000 or 42501 for the database, 42501
    /// or 42704 for the tenant, a setting that does not exist or takes no such value, 53300 when
    /// this core has no room.
    pub async fn log_in(
        services: Rc<CoreServices>,
        authenticated: Authenticated,
        wish: Wish,
    ) -> Result<Session, Diagnostic> {
        let attempt = Attempt {
            protocol: wish.protocol,
            peer: wish.peer,
            began: wish.began,
        };
        let claim = Claim::proved(&authenticated);
        let now = now_microseconds();
        let identified = identify(&services, authenticated, &wish, now);
        let entered = identified.and_then(|(identity, valid_until)| {
            let beginning = Beginning {
                identity: Arc::new(identity),
                settings: wish.settings,
                valid_until,
                arrival: Arrival {
                    peer: wish.peer,
                    protocol: wish.protocol,
                    certificate: wish.certificate,
                    at: now,
                },
            };
            let session = Session::begin(services.clone(), beginning);
            session.map_err(|told| LoginRefused::told(claim, told))
        });
        match entered {
            Ok(session) => {
                let who = Who::of(&session.identity);
                let earlier = wish.earlier.and_then(|earlier| earlier.replace(Some(who)));
                let login = match earlier == Some(who) {
                    true => Login::Again,
                    false => Login::First,
                };
                let (identity, rights) = (&session.identity, &session.rights);
                let noted = attempt.succeeded(&services, identity, rights, login);
                noted.await?;
                Ok(session)
            }
            Err(refused) => Err(attempt.refused(&services, refused).await),
        }
    }
}

/// Who somebody is in the database that they want, and until when by the clock.
///
/// # Errors
/// As [`Session::log_in`].
fn identify(
    services: &CoreServices,
    authenticated: Authenticated,
    wish: &Wish,
    now: i64,
) -> Result<(Identity, Option<i64>), LoginRefused> {
    let claim = Claim::proved(&authenticated);
    let adopted = services.parts.catalog.current();
    let snapshot = adopted.snapshot();
    let database = access::login(
        snapshot,
        authenticated.grounds(),
        wish.tenant,
        wish.database.as_deref(),
    )
    .map_err(|told| LoginRefused::told(claim.clone(), told))?;
    let principals = &snapshot.principals;
    let id = authenticated.principal();
    let identity = match (principals.principal(id), principals.provider(id)) {
        (Some(principal), _) => authenticated.into_identity(principal, database),
        (None, Some(provider)) => authenticated.into_identity_of(provider, database),
        (None, None) => unreachable!("the login was resolved under this snapshot"),
    };
    // A client takes its time between the proof and this, over HTTP a whole body: whoever has
    // been disabled or revoked meanwhile has proved nothing.
    let valid_until = match access::valid_until(snapshot, &identity) {
        Ok(Some(end)) if end <= now => Err(access::EndReason::Expired),
        other => other,
    };
    let valid_until = valid_until
        .map_err(|ended| LoginRefused::credential(claim.clone(), Reason::Ended(ended)).fatal())?;
    // A connection outlives its certificate: over HTTP requests go on coming.
    let revoked = wish
        .certificate
        .as_ref()
        .is_some_and(|it| services.revokes(it));
    if revoked {
        return Err(LoginRefused::credential(claim, Reason::CertificateRevoked).fatal());
    }
    Ok((identity, valid_until))
}

/// Whether a new session is taken at all.
///
/// # Errors
/// FATAL 57P03 once the server has been told to stop.
pub fn admit(services: &CoreServices) -> Result<(), Diagnostic> {
    match services.draining() {
        Draining::No => Ok(()),
        Draining::Yes => Err(Diagnostic::fatal(
            SqlState::CANNOT_CONNECT_NOW,
            "the database system is shutting down",
        )),
    }
}

/// A login name as it was when a proof against it began.
#[must_use = "what has been proved may no longer be true"]
pub struct Witness {
    name: String,
    principal: Option<Arc<Principal>>,
}

/// What a proof for a login name is checked against, and a witness of it. A name that cannot log
/// in by password gets a mock of the same looks. Never blocks.
pub fn look_up(services: &CoreServices, name: &str) -> (Credential, Witness) {
    let adopted = services.parts.catalog.current();
    let principals = &adopted.snapshot().principals;
    let now = now_microseconds();
    let credential = Credential::look_up(principals, name, now, &services.parts.mock);
    let witness = Witness {
        name: name.to_owned(),
        principal: principals.principal_named(name).cloned(),
    };
    (credential, witness)
}

impl Witness {
    /// Whose name it is, if anybody's.
    pub fn principal(&self) -> Option<PrincipalId> {
        self.principal.as_ref().map(|principal| principal.id)
    }

    /// Whether the login is still what its proof was checked against.
    ///
    /// # Errors
    /// It has been changed or dropped meanwhile: refused as a wrong password is.
    pub fn confirm(&self, services: &CoreServices) -> Result<(), Refusal> {
        let adopted = services.parts.catalog.current();
        let now = adopted.snapshot().principals.principal_named(&self.name);
        match (&self.principal, now) {
            (Some(then), Some(now)) if Arc::ptr_eq(then, now) => Ok(()),
            _ => Err(Refusal::WrongPassword),
        }
    }
}

/// Checks a password that a client has presented as it is (HTTP Basic, the native protocol).
///
/// Waits without blocking the core: the password is hashed elsewhere, as long for a name that
/// nobody has as for a wrong password. One that was right a moment ago is remembered
/// ([`Remembered`](crate::auth::remembered::Remembered)).
///
/// # Errors
/// 42501 for one that somebody on its way could read; 28P01 in one text whatever was wrong, 53300
/// when too many have failed or too many wait to be checked, 57P01 when the server stops.
pub async fn password(
    services: &CoreServices,
    name: &str,
    password: Password,
    origin: Origin,
) -> Result<Authenticated, LoginRefused> {
    let (credential, witness) = look_up(services, name);
    let claim = || Claim::named(Method::Password, name, witness.principal());
    if !origin.keeps_secrets() {
        let told = Diagnostic::error(
            SqlState::INSUFFICIENT_PRIVILEGE,
            "passwords are taken over TLS or loopback only: this connection is not encrypted",
        );
        return Err(LoginRefused::told(claim(), told));
    }
    let peer = origin.peer;
    throttling::admit(services, name, peer).map_err(|told| LoginRefused::told(claim(), told))?;
    let remembered = &services.remembered;
    let trace = remembered.borrow().trace(name, &password, &credential);
    let wrong = |refusal| LoginRefused::password(claim(), Reason::Password(refusal));
    let found = remembered
        .borrow()
        .find(&trace, &credential, Instant::now());
    let was_known = found.is_some();
    let proved = match found {
        Some(proved) => proved,
        None => {
            let presenter = match services.parts.throttle.knows(name, peer.ip()) {
                true => Presenter::Known,
                false => Presenter::Stranger,
            };
            let checked = services
                .parts
                .derivation
                .verify(password, credential, presenter);
            let checked = checked.await;
            let checked = checked.map_err(|told| LoginRefused::told(claim(), told))?;
            checked.map_err(wrong)?
        }
    };
    let settled = throttling::proved(services, name, peer).await;
    settled.map_err(|told| LoginRefused::told(claim(), told))?;
    witness.confirm(services).map_err(wrong)?;
    if let (false, Some(principal)) = (was_known, &witness.principal) {
        // Unchanged since, or it would not have been confirmed.
        let now = Instant::now();
        remembered.borrow_mut().keep(trace, principal.clone(), now);
    }
    Ok(proved)
}

/// Checks an API key that a client has presented (HTTP, the native protocol), and notes its use.
///
/// Costs what [`api_key::verify`] does; never blocks.
///
/// # Errors
/// 28000 in one text whatever was wrong; 53300 past the key's rate; 42501 for one that came in the
/// clear from beyond loopback, where that is not allowed.
pub fn api_key(
    services: &CoreServices,
    token: &str,
    origin: Origin,
) -> Result<Authenticated, LoginRefused> {
    if !origin.keeps_secrets() && services.parts.plain_bearer == PlainBearer::Refused {
        let told = Diagnostic::error(
            SqlState::INSUFFICIENT_PRIVILEGE,
            "API keys are taken over TLS or loopback only: this connection is not encrypted",
        )
        .with_hint("allow_plain_bearer = true in [server] takes them all the same.");
        return Err(LoginRefused::told(Claim::by(Method::ApiKey), told));
    }
    let adopted = services.parts.catalog.current();
    let now = now_microseconds();
    let principals = &adopted.snapshot().principals;
    let verified = api_key::verify(principals, token, now, origin.peer.ip());
    let proved = verified.map_err(|refusal| {
        let key = refusal.key();
        let claim = Claim {
            key,
            principal: key.and_then(|key| Some(principals.key(key)?.owner)),
            ..Claim::by(Method::ApiKey)
        };
        LoginRefused::credential(claim, Reason::ApiKey(refusal))
    })?;
    if let Some(used) = proved.key() {
        services.key_used(used.id, now);
        admit_by_rate(services, used.id)
            .map_err(|told| LoginRefused::told(Claim::proved(&proved), told))?;
    }
    Ok(proved)
}

/// Counts one request by an API key: at its presentation, and for a session that goes on by it at
/// each statement.
///
/// # Errors
/// 53300 past WITH RATE. A key that is gone is no matter here: its session ends.
pub fn admit_by_rate(services: &CoreServices, key: KeyId) -> Result<(), Diagnostic> {
    let adopted = services.parts.catalog.current();
    let Some(key) = adopted.snapshot().principals.key(key) else {
        return Ok(());
    };
    services.parts.key_rates.admit(key).map_err(|TooOften| {
        let rate = key.rate_per_second.map_or(0, NonZeroU32::get);
        Diagnostic::error(
            SqlState::TOO_MANY_CONNECTIONS,
            format!("the API key is used more than {rate} times a second"),
        )
        .with_hint("Try again in a moment.")
    })
}

/// What whoever presents a bad credential other than a password is told.
pub fn bad_credential() -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        "authentication failed",
    )
}

/// What whoever presents a bad password is told.
pub fn bad_password() -> Diagnostic {
    Diagnostic::error(SqlState::INVALID_PASSWORD, "authentication failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_kept_by_tls_and_by_this_machine() {
        for (hop, is_tls, keeps) in [
            ("127.0.0.1:5", false, true),
            ("[::1]:5", false, true),
            ("[::ffff:127.0.0.1]:5", false, true),
            ("192.0.2.1:5", false, false),
            ("[2001:db8::1]:5", false, false),
            ("192.0.2.1:5", true, true),
        ] {
            // Whoever the client is, behind a proxy: the way to this server counts.
            let peer = SocketAddr::from(([127, 0, 0, 1], 5));
            let carrier = Carrier::of(hop.parse().expect("an address"), is_tls);
            assert_eq!(Origin { peer, carrier }.keeps_secrets(), keeps, "{hop}");
        }
    }
}
