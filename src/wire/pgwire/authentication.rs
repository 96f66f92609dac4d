//! The log-in as states; each is consumed by the message it waits for.
//!
//! ```text
//!   AwaitStartup ──SSLRequest: S, and a TLS handshake──▶ AwaitStartup::encrypted
//!        │  ├──SSLRequest without TLS, GSSENCRequest: N──▶ AwaitStartup
//!        │  └──CancelRequest──▶ (closed)
//!        ▼ StartupMessage
//!   Asked ──a client certificate of this login──▶ (session)
//!        ▼ AuthenticationSASL
//!   AwaitSaslInitial
//!        ▼ SASLInitialResponse: AuthenticationSASLContinue
//!   AwaitSaslFinal
//!        ▼ SASLResponse: AuthenticationSASLFinal
//!   Verified
//! ```
//!
//! No I/O, no clock, no randomness: they come in as arguments. Unknown names walk the same path
//! (DESIGN §7, invariant 6). Any error is FATAL and the last message.

use super::body::Body;
use super::seldom;
use super::startup::{self, Startup, StartupError, StartupPacket};
use crate::auth::Authenticated;
use crate::auth::scram::{
    self, AwaitClientFinal, AwaitClientFirst, ChannelBinding, Credential, Mechanism, ScramError,
    ServerNonce,
};
use crate::catalog::TenantId;
use crate::diagnostic::{Diagnostic, SqlState};
use bytes::BytesMut;

/// PostgreSQL takes each kind of encryption request once.
const ENCRYPTION_REQUESTS_MAX: u8 = 2;

/// What the client asked for in its start-up packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The login name.
    pub user: String,
    /// The database it named, if any.
    pub database: Option<String>,
    /// `options=-c tenant=n`.
    pub tenant: Option<TenantId>,
    /// Settings to begin with, `options` first.
    pub settings: Vec<(String, String)>,
    /// The minor version both sides speak.
    pub minor: u16,
}

/// How a connection stands as to encryption.
#[derive(Debug, Default)]
pub enum Encryption {
    /// There is none to be had.
    #[default]
    Unavailable,
    /// The client may ask for it.
    Offered,
    /// The client must: nothing but a CancelRequest is taken in plain. libpq before version 17 sends
    /// those in plain whatever its connection is, and the key in it is a secret of its own.
    Required,
    /// The connection is a TLS one, to which a log-in can be bound where it can be told by this.
    InForce(Option<ChannelBinding>),
}

/// Waits for a first packet.
#[derive(Debug, Default)]
pub struct AwaitStartup {
    encryption: Encryption,
    encryption_requests: u8,
}

/// What a first packet led to.
#[derive(Debug)]
pub enum AfterStartup {
    /// An encryption request was answered; another packet follows.
    Again(AwaitStartup),
    /// SSLRequest was granted: after the handshake go on with [`AwaitStartup::encrypted`].
    Tls,
    /// Nothing is answered; the connection closes.
    Cancel {
        /// As presented.
        backend_pid: i32,
        /// As presented.
        key: Box<[u8]>,
    },
    /// The client has said who it wants to be.
    Asked(Asked),
}

impl AwaitStartup {
    /// On a plain connection.
    pub fn new(encryption: Encryption) -> AwaitStartup {
        AwaitStartup {
            encryption,
            encryption_requests: 0,
        }
    }

    /// Inside TLS; None where the connection has nothing to bind a log-in to.
    pub fn encrypted(binding: Option<ChannelBinding>) -> AwaitStartup {
        AwaitStartup::new(Encryption::InForce(binding))
    }

    /// Whether a TLS handshake may come instead of a packet: as the very first thing, as PostgreSQL
    /// 17 has it.
    pub fn takes_direct_tls(&self) -> bool {
        self.encryption_requests == 0
            && matches!(self.encryption, Encryption::Offered | Encryption::Required)
    }

    /// Takes a first packet.
    ///
    /// # Errors
    /// What is wrong with it, FATAL.
    pub fn receive(
        self,
        packet: StartupPacket<'_>,
        outbox: &mut BytesMut,
    ) -> Result<AfterStartup, Diagnostic> {
        match packet {
            StartupPacket::SslRequest | StartupPacket::GssencRequest
                if matches!(self.encryption, Encryption::InForce(_)) =>
            {
                Err(StartupError::EncryptionRequests.into())
            }
            StartupPacket::SslRequest if !matches!(self.encryption, Encryption::Unavailable) => {
                outbox.extend_from_slice(b"S");
                Ok(AfterStartup::Tls)
            }
            StartupPacket::SslRequest | StartupPacket::GssencRequest => {
                let encryption_requests = self.encryption_requests + 1;
                if encryption_requests > ENCRYPTION_REQUESTS_MAX {
                    return Err(StartupError::EncryptionRequests.into());
                }
                outbox.extend_from_slice(b"N");
                Ok(AfterStartup::Again(AwaitStartup {
                    encryption_requests,
                    ..self
                }))
            }
            StartupPacket::Cancel { backend_pid, key } => Ok(AfterStartup::Cancel {
                backend_pid,
                key: key.into(),
            }),
            StartupPacket::Startup(_) if matches!(self.encryption, Encryption::Required) => {
                let code = SqlState::INVALID_AUTHORIZATION_SPECIFICATION;
                let error = Diagnostic::fatal(code, "this server requires TLS");
                Err(error.with_hint("Connect with sslmode=require, or with sslmode=verify-full."))
            }
            StartupPacket::Startup(startup) => {
                if startup.needs_negotiation() {
                    seldom::negotiate_protocol_version(
                        outbox,
                        startup.minor_agreed(),
                        startup.extensions(),
                    );
                }
                let request = Request::new(&startup)?;
                let binding = match self.encryption {
                    Encryption::InForce(binding) => binding,
                    Encryption::Unavailable | Encryption::Offered | Encryption::Required => None,
                };
                Ok(AfterStartup::Asked(Asked { request, binding }))
            }
        }
    }
}

impl Request {
    fn new(startup: &Startup<'_>) -> Result<Request, Diagnostic> {
        let user = startup
            .parameter("user")
            .filter(|user| !user.is_empty())
            .ok_or_else(|| {
                Diagnostic::fatal(
                    SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                    "no PostgreSQL user name specified in startup packet",
                )
            })?;
        let mut request = Request {
            user: user.to_owned(),
            database: startup.parameter("database").map(str::to_owned),
            tenant: None,
            settings: Vec::new(),
            minor: startup.minor_agreed(),
        };
        if let Some(options) = startup.parameter("options") {
            for (name, value) in startup::options(options)? {
                request.add_setting(name, value)?;
            }
        }
        for (name, value) in startup.parameters() {
            match name {
                "user" | "database" | "options" => {}
                "replication" if matches!(value, "false" | "off" | "no" | "0") => {}
                "replication" => {
                    return Err(Diagnostic::unsupported("streaming replication")
                        .with_severity(crate::diagnostic::Severity::Fatal));
                }
                extension if extension.starts_with("_pq_.") => {}
                setting => request.add_setting(setting.to_owned(), value.to_owned())?,
            }
        }
        Ok(request)
    }

    fn add_setting(&mut self, name: String, value: String) -> Result<(), Diagnostic> {
        if !name.eq_ignore_ascii_case("tenant") {
            self.settings.push((name, value));
            return Ok(());
        }
        let tenant = value.parse().map_err(|_| {
            Diagnostic::fatal(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid value for parameter \"tenant\": \"{value}\""),
            )
        })?;
        self.tenant = Some(TenantId(tenant));
        Ok(())
    }
}

/// The client has said who it wants to be, and has not been asked for a proof.
#[derive(Debug)]
pub struct Asked {
    /// What it asked for.
    pub request: Request,
    binding: Option<ChannelBinding>,
}

impl Asked {
    /// Asks for a password.
    pub fn offer_sasl(self, outbox: &mut BytesMut) -> AwaitSaslInitial {
        seldom::authentication_sasl(outbox, scram::offered(self.binding.as_ref()));
        AwaitSaslInitial {
            request: self.request,
            binding: self.binding,
        }
    }
}

/// Waits for SASLInitialResponse.
#[derive(Debug)]
pub struct AwaitSaslInitial {
    request: Request,
    binding: Option<ChannelBinding>,
}

impl AwaitSaslInitial {
    /// What the client asked for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Takes SASLInitialResponse (the body of a message of type `p`).
    ///
    /// # Errors
    /// A mechanism that was not offered, a message that does not fit it, or a malformed one.
    pub fn receive(
        self,
        body: &[u8],
        credential: Credential,
        nonce: ServerNonce,
        outbox: &mut BytesMut,
    ) -> Result<AwaitSaslFinal, Diagnostic> {
        let (name, client_first) = initial_response(body)?;
        let mechanism = Mechanism::chosen(name, self.binding).ok_or_else(|| {
            Diagnostic::fatal(
                SqlState::PROTOCOL_VIOLATION,
                "client selected an invalid SASL authentication mechanism",
            )
        })?;
        let (exchange, server_first) = AwaitClientFirst::new(credential, mechanism)
            .receive(client_first, nonce)
            .map_err(|error| error.diagnostic(&self.request.user))?;
        seldom::authentication_sasl_continue(outbox, &server_first);
        Ok(AwaitSaslFinal {
            request: self.request,
            exchange,
        })
    }
}

/// The mechanism's name, and its first message.
fn initial_response(body: &[u8]) -> Result<(&str, &[u8]), Diagnostic> {
    let mut body = Body::new(body);
    let mechanism = body.text().map_err(fatal)?;
    let length = body.int32().map_err(fatal)?;
    // -1 is a response without data, which SCRAM's client never sends.
    let length = usize::try_from(length)
        .map_err(|_| Diagnostic::fatal(SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message"))?;
    let data = body.bytes(length).map_err(fatal)?;
    body.end().map_err(fatal)?;
    Ok((mechanism, data))
}

fn fatal(error: super::body::BodyError) -> Diagnostic {
    Diagnostic::fatal(error.sqlstate(), error.to_string())
}

/// Waits for SASLResponse.
#[derive(Debug)]
pub struct AwaitSaslFinal {
    request: Request,
    exchange: AwaitClientFinal,
}

/// The client has proved who it is, and has not been told.
#[derive(Debug)]
pub struct Proved {
    verified: Verified,
    server_final: Vec<u8>,
}

impl Proved {
    /// Tells it, with the server's own proof.
    pub fn finish(self, outbox: &mut BytesMut) -> Verified {
        seldom::authentication_sasl_final(outbox, &self.server_final);
        self.verified
    }
}

/// The client has proved who it is.
#[derive(Debug)]
pub struct Verified {
    /// What it asked for.
    pub request: Request,
    /// The proof.
    pub authenticated: Authenticated,
}

impl AwaitSaslFinal {
    /// What the client asked for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Takes SASLResponse (the body of a message of type `p`).
    ///
    /// # Errors
    /// The precise reason, for the log; the client is told its `diagnostic`.
    pub fn receive(self, body: &[u8]) -> Result<Proved, ScramError> {
        let verified = self.exchange.receive(body)?;
        Ok(Proved {
            server_final: verified.server_final,
            verified: Verified {
                request: self.request,
                authenticated: verified.authenticated,
            },
        })
    }
}

/// 08P01 for a message that is not what a log-in waits for.
pub fn unexpected(tag: u8) -> Diagnostic {
    Diagnostic::fatal(
        SqlState::PROTOCOL_VIOLATION,
        format!("expected SASL response, got message type {tag}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scram::{Refusal, mock::Mock};
    use crate::auth::secret::MockKey;

    fn packet(bytes: &[u8]) -> StartupPacket<'_> {
        startup::parse(bytes)
            .expect("well formed")
            .expect("whole")
            .0
    }

    fn startup_bytes(parameters: &[(&str, &str)]) -> Vec<u8> {
        let mut body = vec![0, 3, 0, 0];
        for (name, value) in parameters {
            for text in [name, value] {
                body.extend_from_slice(text.as_bytes());
                body.push(0);
            }
        }
        body.push(0);
        let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
        bytes.extend(body);
        bytes
    }

    fn receive(parameters: &[(&str, &str)]) -> Result<(Request, Vec<u8>), Diagnostic> {
        let bytes = startup_bytes(parameters);
        let mut outbox = BytesMut::new();
        match AwaitStartup::default().receive(packet(&bytes), &mut outbox)? {
            AfterStartup::Asked(asked) => {
                let state = asked.offer_sasl(&mut outbox);
                Ok((state.request, outbox.to_vec()))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn encryption_requests_are_answered_n_twice_and_no_more() {
        let ssl = [0, 0, 0, 8, 4, 210, 22, 47];
        let gss = [0, 0, 0, 8, 4, 210, 22, 48];
        let mut outbox = BytesMut::new();
        let mut state = AwaitStartup::default();
        for request in [&ssl, &gss] {
            state = match state.receive(packet(request), &mut outbox) {
                Ok(AfterStartup::Again(state)) => state,
                other => panic!("{other:?}"),
            };
        }
        assert_eq!(&outbox[..], b"NN");
        let error = state
            .receive(packet(&ssl), &mut outbox)
            .expect_err("a third one");
        assert_eq!(error.sqlstate(), SqlState::PROTOCOL_VIOLATION);
    }

    #[test]
    fn tls_is_granted_once_and_nothing_encrypts_twice() {
        let ssl = [0, 0, 0, 8, 4, 210, 22, 47];
        let gss = [0, 0, 0, 8, 4, 210, 22, 48];
        let mut outbox = BytesMut::new();
        let plain = AwaitStartup::new(Encryption::Offered);
        assert!(plain.takes_direct_tls());
        let Ok(AfterStartup::Again(plain)) = plain.receive(packet(&gss), &mut outbox) else {
            panic!("GSSENCRequest is declined");
        };
        assert!(!plain.takes_direct_tls(), "not in the middle");
        let granted = plain.receive(packet(&ssl), &mut outbox);
        assert!(matches!(granted, Ok(AfterStartup::Tls)));
        assert_eq!(&outbox[..], b"NS");
        for request in [&ssl, &gss] {
            let inside = AwaitStartup::encrypted(None);
            assert!(!inside.takes_direct_tls());
            let error = inside.receive(packet(request), &mut outbox);
            let error = error.expect_err("it is encrypted already");
            assert_eq!(error.sqlstate(), SqlState::PROTOCOL_VIOLATION);
        }
    }

    #[test]
    fn where_tls_is_required_a_plain_client_may_only_cancel() {
        let mut outbox = BytesMut::new();
        let required = || AwaitStartup::new(Encryption::Required);
        let startup = startup_bytes(&[("user", "alice")]);
        let error = required().receive(packet(&startup), &mut outbox);
        let error = error.expect_err("in plain");
        assert_eq!(
            error.sqlstate(),
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION
        );
        assert_eq!(error.fields().message, "this server requires TLS");
        let cancel = [0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 7, 1, 2, 3, 4];
        let cancelled = required().receive(packet(&cancel), &mut outbox);
        assert!(matches!(cancelled, Ok(AfterStartup::Cancel { .. })));
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_startup_packet_is_offered_scram() {
        let (request, sent) = receive(&[
            ("user", "alice"),
            ("application_name", "psql"),
            ("options", "-c tenant=42 -c geqo=off"),
        ])
        .expect("well formed");
        assert_eq!(sent, b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0");
        assert_eq!(request.user, "alice");
        assert_eq!(request.database, None);
        assert_eq!(request.tenant, Some(TenantId(42)));
        assert_eq!(
            request.settings,
            [
                ("geqo".to_owned(), "off".to_owned()),
                ("application_name".to_owned(), "psql".to_owned()),
            ]
        );
    }

    #[test]
    fn a_startup_packet_without_a_user_is_refused() {
        let error = receive(&[("database", "x")]).expect_err("nobody");
        assert_eq!(
            error.sqlstate(),
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION
        );
        let error = receive(&[("user", "a"), ("replication", "database")]).expect_err("no such");
        assert_eq!(error.sqlstate(), SqlState::FEATURE_NOT_SUPPORTED);
    }

    #[test]
    fn plus_is_offered_where_there_is_something_to_bind_to() {
        let bytes = startup_bytes(&[("user", "alice")]);
        for (binding, offered) in [
            (None, "SCRAM-SHA-256\0"),
            (
                Some(ChannelBinding::new(&[1; 32], None)),
                "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0",
            ),
        ] {
            let mut outbox = BytesMut::new();
            let inside = AwaitStartup::encrypted(binding);
            let after = inside.receive(packet(&bytes), &mut outbox);
            let Ok(AfterStartup::Asked(asked)) = after else {
                panic!("{after:?}");
            };
            let _ = asked.offer_sasl(&mut outbox);
            assert_eq!(&outbox[9..outbox.len() - 1], offered.as_bytes());
        }
    }

    #[test]
    fn a_mechanism_that_was_not_offered_is_refused() {
        let mock = Mock::new(MockKey::new([9; 32]), 4096);
        let bytes = startup_bytes(&[("user", "alice")]);
        let choose = |mechanism: &str, binding| {
            let mut outbox = BytesMut::new();
            let after = AwaitStartup::encrypted(binding).receive(packet(&bytes), &mut outbox);
            let Ok(AfterStartup::Asked(asked)) = after else {
                panic!("{after:?}");
            };
            let state = asked.offer_sasl(&mut outbox);
            let credential = Credential::mock(&mock, "alice", Refusal::UnknownUser);
            let message = "p=tls-server-end-point,,n=,r=nonce";
            let length = (message.len() as u32).to_be_bytes();
            let body = [mechanism.as_bytes(), b"\0", &length, message.as_bytes()].concat();
            let nonce = ServerNonce::from_bytes([7; 18]);
            let next = state.receive(&body, credential, nonce, &mut outbox);
            next.map(|_| ()).map_err(|error| error.message().to_owned())
        };
        let binding = || Some(ChannelBinding::new(&[1; 32], None));
        let invalid = "client selected an invalid SASL authentication mechanism";
        assert_eq!(choose("SCRAM-SHA-256-PLUS", binding()), Ok(()));
        for (mechanism, binding) in [
            ("SCRAM-SHA-256-PLUS", None),
            ("SCRAM-SHA-1", None),
            ("SCRAM-SHA-1-PLUS", binding()),
        ] {
            assert_eq!(choose(mechanism, binding), Err(invalid.to_owned()));
        }
    }

    #[test]
    fn a_sasl_response_of_another_shape_is_refused() {
        let whole = initial_response(b"SCRAM-SHA-256\0\0\0\0\x03n,,");
        assert_eq!(whole.ok(), Some(("SCRAM-SHA-256", &b"n,,"[..])));
        for wrong in [
            &b"SCRAM-SHA-256\0\0\0\0\x04n,,"[..],
            b"SCRAM-SHA-256\0\0\0\0\x02n,,",
            b"SCRAM-SHA-256\0\xff\xff\xff\xff",
            b"SCRAM-SHA-256\0",
            b"SCRAM-SHA-256",
            b"",
        ] {
            let error = initial_response(wrong).expect_err("malformed");
            assert_eq!(error.sqlstate(), SqlState::PROTOCOL_VIOLATION, "{wrong:?}");
        }
    }
}
