//! What becomes of an attempt to log in: the one place that every one of every protocol and method goes
//! through, when it is refused and when it has succeeded.
//!
//! Inside, the precise reason and whose login it was about; outside, what the client is told and no more
//! (DESIGN §5). Whoever goes away before they have proved anything, and whoever is turned away before they
//! were asked (too many connections, a server that stops), has made no attempt.

use super::login::{bad_credential, bad_password};
use super::{CoreServices, Protocol, throttling};
use crate::access::Rights;
use crate::audit::{Entry, Event, Source, Unwritable};
use crate::auth::identity::{Identity, Method};
use crate::auth::{Authenticated, api_key, certificate, order, presented, scram, token};
use crate::catalog::{KeyId, PrincipalId};
use crate::diagnostic::{Diagnostic, Severity};
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

/// Who tries, before anything of it is believed.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// What they speak.
    pub protocol: Protocol,
    /// Where they are.
    pub peer: SocketAddr,
    /// When they began.
    pub began: Instant,
}

/// Whether the one before it on its connection was the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Of whoever comes now.
    First,
    /// Of a connection that has a session a request: the same login as for the request before. It counts, and
    /// the audit log has it already.
    Again,
}

/// What a credential says of itself, true or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// What kind of credential it is; None where none was presented.
    pub method: Option<Method>,
    /// The login name that came with it.
    pub name: Option<String>,
    /// Whose it would be, as far as that is known: a login, or the provider of a token.
    pub principal: Option<PrincipalId>,
    /// The API key, where it names one.
    pub key: Option<KeyId>,
}

impl Claim {
    /// Of this kind, and nothing more is known.
    pub fn by(method: Method) -> Claim {
        Claim {
            method: Some(method),
            ..Claim::default()
        }
    }

    /// Of this kind, with a login name.
    pub fn named(method: Method, name: &str, principal: Option<PrincipalId>) -> Claim {
        Claim {
            method: Some(method),
            name: Some(name.to_owned()),
            principal,
            key: None,
        }
    }

    /// What has been proved.
    pub fn proved(proved: &Authenticated) -> Claim {
        Claim {
            method: Some(proved.method()),
            name: None,
            principal: Some(proved.principal()),
            key: proved.key().map(|used| used.id),
        }
    }
}

/// An attempt that has failed: what it was, why, and what its client is told.
#[derive(Clone, Debug)]
pub struct LoginRefused {
    /// What was presented.
    pub claim: Claim,
    /// Why it was refused, for the log.
    pub reason: Reason,
    /// For the client.
    pub told: Diagnostic,
}

/// Why an attempt is refused: precise, never for a client.
#[derive(Clone, Debug)]
pub enum Reason {
    /// A client certificate, or none where one is required: the handshake has ended with it.
    Handshake(Box<rustls::Error>),
    /// The certificate of a TLS session that was resumed, judged again.
    CertificateOfTicket(certificate::CertificateRefusal),
    /// A client certificate, after the handshake.
    Certificate(presented::Refusal),
    /// The start-up packet names another login than the certificate's.
    CertificateOfAnotherLogin,
    /// It is on a revocation list since its connection began.
    CertificateRevoked,
    /// A SCRAM exchange.
    Scram(scram::ScramError),
    /// A password as it is.
    Password(scram::Refusal),
    /// An API key.
    ApiKey(api_key::Refusal),
    /// An identity provider's token.
    Token(token::Refusal),
    /// The user that a token names could not be made.
    UserNotMade(Diagnostic),
    /// A name and nothing to prove it.
    Trust,
    /// An Authorization field that is of no scheme known here, or malformed.
    Scheme,
    /// Nothing was presented.
    NoCredential,
    /// The login, its key or its token has come to its end since it was proved.
    Ended(crate::access::EndReason),
    /// What the client is told is all there is to it: the database, a setting, a full queue.
    Told(Diagnostic),
}

/// What kind of reason it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A credential that is no good: whoever guesses makes these.
    BadCredential,
    /// A good credential, for what its bearer may not have.
    Denied,
    /// Nothing has been decided about the credential.
    Undecided,
}

impl Reason {
    /// What kind it is.
    pub fn fault(&self) -> Fault {
        match self {
            Reason::CertificateOfTicket(_)
            | Reason::Certificate(_)
            | Reason::CertificateOfAnotherLogin
            | Reason::CertificateRevoked
            | Reason::Scram(_)
            | Reason::Password(_)
            | Reason::ApiKey(_)
            | Reason::Token(_)
            | Reason::UserNotMade(_)
            | Reason::Trust
            | Reason::Scheme
            | Reason::Ended(_) => Fault::BadCredential,
            Reason::Handshake(error) => match **error {
                rustls::Error::NoCertificatesPresented => Fault::Undecided,
                _ => Fault::BadCredential,
            },
            Reason::NoCredential => Fault::Undecided,
            Reason::Told(told) => match told.sqlstate().class() {
                "3D" | "42" | "22" => Fault::Denied,
                _ => Fault::Undecided,
            },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Handshake(error) => error.fmt(f),
            Reason::CertificateOfTicket(refusal) => refusal.fmt(f),
            Reason::Certificate(refusal) => refusal.fmt(f),
            Reason::CertificateOfAnotherLogin => {
                f.write_str("the client certificate is of another login")
            }
            Reason::CertificateRevoked => f.write_str("the client certificate is revoked"),
            Reason::Scram(error) => error.fmt(f),
            Reason::Password(refusal) => refusal.fmt(f),
            Reason::ApiKey(refusal) => refusal.fmt(f),
            Reason::Token(refusal) => refusal.fmt(f),
            Reason::UserNotMade(error) => write!(f, "the user is not made: {error}"),
            Reason::Trust => f.write_str("a name without a proof"),
            Reason::Scheme => f.write_str("an Authorization field of no known scheme"),
            Reason::NoCredential => f.write_str("no credential was presented"),
            Reason::Ended(reason) => {
                write!(f, "since it was proved: {}", reason.diagnostic().message())
            }
            Reason::Told(told) => told.fmt(f),
        }
    }
}

impl LoginRefused {
    /// A bad credential other than a password: one text outside.
    pub fn credential(claim: Claim, reason: Reason) -> LoginRefused {
        let told = bad_credential();
        LoginRefused {
            claim,
            reason,
            told,
        }
    }

    /// A bad password.
    pub fn password(claim: Claim, reason: Reason) -> LoginRefused {
        let told = bad_password();
        LoginRefused {
            claim,
            reason,
            told,
        }
    }

    /// What the client may know.
    pub fn told(claim: Claim, told: impl Into<Diagnostic>) -> LoginRefused {
        let told = told.into();
        let reason = Reason::Told(told.clone());
        LoginRefused {
            claim,
            reason,
            told,
        }
    }

    /// As the last message of a connection.
    pub fn fatal(self) -> LoginRefused {
        LoginRefused {
            told: self.told.with_severity(Severity::Fatal),
            ..self
        }
    }
}

impl Attempt {
    /// It has failed: recorded and counted, and then its client may be told what is returned: where too many
    /// have failed before it, that and no more (53300). Waits for a place in the audit's queue, not for the
    /// disk, and for 2 s at most where others have guessed at the name.
    pub async fn refused(&self, services: &CoreServices, refused: LoginRefused) -> Diagnostic {
        let LoginRefused {
            claim,
            reason,
            told,
        } = refused;
        services.parts.figures.refused(claim.method);
        tracing::info!(
            peer = %self.peer,
            protocol = self.protocol.as_str(),
            method = claim.method.map(|method| method.as_str()),
            user = claim.name.as_deref(),
            principal = claim.principal.map(|principal| principal.0),
            %reason,
            "login refused"
        );
        let event = match reason.fault() {
            Fault::Denied => Event::AccessRefused,
            Fault::BadCredential | Fault::Undecided => Event::LoginRefused,
        };
        let entry = self.entry(services, event, &claim);
        let entry = entry.with("reason", reason.to_string());
        // Where it cannot be recorded it is counted; what the client is told tells nothing of that, or it would
        // tell a bad credential from a good one.
        let _ = services.parts.audit.record(entry).await;
        match throttling::failed(services, &claim, &reason, self.peer).await {
            Ok(()) => told,
            Err(too_many) => too_many.with_severity(told.fields().severity),
        }
    }

    /// What is known of whoever tries.
    fn entry(&self, services: &CoreServices, event: Event, claim: &Claim) -> Entry {
        let adopted = services.parts.catalog.current();
        let principals = &adopted.snapshot().principals;
        let whose = claim.principal.and_then(|id| principals.called(id));
        let named = claim.name.clone();
        Entry::new(event, Source::Peer(self.peer))
            .of_tenant(whose.as_ref().map(|whose| whose.tenant))
            .with("protocol", self.protocol.as_str())
            .with_some("method", claim.method.map(|method| method.as_str()))
            .with_some("user", named.or(whose.map(|whose| whose.name)))
            .with_some("key", claim.key.map(|key| key.to_string()))
    }

    /// It has succeeded: recorded, and then its session may begin. Waits for a place in the audit's queue, not
    /// for the disk.
    ///
    /// # Errors
    /// FATAL 53100 where nothing can be recorded, but for a superuser: somebody has to be able to come in and
    /// mend it.
    pub async fn succeeded(
        &self,
        services: &CoreServices,
        identity: &Identity,
        rights: &Rights,
        login: Login,
    ) -> Result<(), Diagnostic> {
        tracing::debug!(
            peer = %self.peer,
            protocol = self.protocol.as_str(),
            method = identity.method.as_str(),
            user = &*identity.name,
            "logged in"
        );
        if login == Login::Again {
            return Ok(());
        }
        self.record_login(services, identity, rights).await?;
        let figures = &services.parts.figures;
        figures.logged_in(identity.method, self.began.elapsed());
        Ok(())
    }

    async fn record_login(
        &self,
        services: &CoreServices,
        identity: &Identity,
        rights: &Rights,
    ) -> Result<(), Diagnostic> {
        let audit = &services.parts.audit;
        if !audit.keeps(Event::Login) {
            return Ok(());
        }
        let adopted = services.parts.catalog.current();
        let database = adopted.snapshot().principals.database(identity.database);
        let entry = Entry::new(Event::Login, Source::Peer(self.peer))
            .of_tenant(Some(rights.tenant()))
            .in_database(database.map(|database| database.name.clone()))
            .with("protocol", self.protocol.as_str())
            .with("method", identity.method.as_str())
            .with("user", &*identity.name)
            .with_some("key", identity.key.map(|used| used.id.to_string()));
        let recorded = match rights.is_superuser() {
            true => audit.record_reserved(entry),
            false => audit.record(entry).await,
        };
        recorded.map_err(fatal)
    }

    /// Which of the credentials that a client has presented says who it is; all have been verified. Two of
    /// different logins are recorded.
    ///
    /// # Errors
    /// What the client is told instead.
    pub async fn decide(
        &self,
        services: &CoreServices,
        certificate: Option<Authenticated>,
        other: Option<Authenticated>,
    ) -> Result<Option<Authenticated>, Diagnostic> {
        let Some(decision) = order::decide(certificate.into_iter().chain(other)) else {
            return Ok(None);
        };
        if let Some(contradicting) = &decision.contradicted_by {
            tracing::warn!(
                peer = %self.peer,
                by = decision.identity.method().as_str(),
                login = %decision.identity.principal(),
                also_by = contradicting.method().as_str(),
                also_login = %contradicting.principal(),
                "two credentials of different logins were presented; the first in order counts"
            );
            let adopted = services.parts.catalog.current();
            let principals = &adopted.snapshot().principals;
            let other = principals.called(contradicting.principal());
            let claim = Claim::proved(&decision.identity);
            let entry = self
                .entry(services, Event::CredentialsContradict, &claim)
                .with("other_method", contradicting.method().as_str())
                .with_some("other_user", other.map(|other| other.name));
            services.parts.audit.record(entry).await.map_err(fatal)?;
        }
        Ok(Some(decision.identity))
    }
}

fn fatal(unwritable: Unwritable) -> Diagnostic {
    Diagnostic::from(unwritable).with_severity(Severity::Fatal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SqlState;

    #[test]
    fn a_bad_credential_is_told_from_a_door_that_is_shut() {
        let of = |code| Reason::Told(Diagnostic::fatal(code, "no")).fault();
        assert_eq!(
            Reason::Password(scram::Refusal::UnknownUser).fault(),
            Fault::BadCredential
        );
        assert_eq!(of(SqlState::INVALID_CATALOG_NAME), Fault::Denied);
        assert_eq!(of(SqlState::INSUFFICIENT_PRIVILEGE), Fault::Denied);
        assert_eq!(of(SqlState::INVALID_PARAMETER_VALUE), Fault::Denied);
        assert_eq!(of(SqlState::TOO_MANY_CONNECTIONS), Fault::Undecided);
        assert_eq!(of(SqlState::PROTOCOL_VIOLATION), Fault::Undecided);
        assert_eq!(Reason::NoCredential.fault(), Fault::Undecided);
    }

    #[test]
    fn outside_every_bad_credential_has_one_text() {
        let unknown = Reason::Password(scram::Refusal::UnknownUser);
        let wrong = Reason::Password(scram::Refusal::WrongPassword);
        let claim = || Claim::named(Method::Password, "alice", None);
        let [unknown, wrong] =
            [unknown, wrong].map(|reason| LoginRefused::password(claim(), reason).told);
        assert_eq!(unknown, wrong);
        let key = Reason::ApiKey(api_key::Refusal::Malformed);
        let key = LoginRefused::credential(Claim::by(Method::ApiKey), key).fatal();
        assert_eq!(key.told.message(), unknown.message());
        assert_eq!(key.told.fields().severity, Severity::Fatal);
    }
}
