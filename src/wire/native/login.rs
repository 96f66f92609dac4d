//! From a new connection to a session: Hello, then whatever may be asked before Auth, then Auth.
//!
//! ```text
//! accepted ──Hello/Ack──▶ Ping, Status (answered), others (28000) ──Auth──▶ session
//!                └──a client certificate of a login, and any other request──▶ session
//! ```
//!
//! A refused handshake, a frame that is none and a failed Auth end the connection.

use super::connection::begun;
use super::credential::Presented;
use super::frame::{self, FRAME_BYTES_MAX, Front, HEADER_BYTES, LOGIN_FRAME_BYTES_MAX};
use super::handshake::{self, Capabilities, Refusal};
use super::operation::Operation;
use super::request::{self, Encoding, Refused, Request};
use super::response::{Frame, Outcome, Status};
use super::send;
use crate::auth::Authenticated;
use crate::auth::presented::Presented as Certificate;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::session::attempt::{Attempt, Claim, LoginRefused, Reason};
use crate::session::login::{self, Origin, Wish};
use crate::session::message::TEXT_BYTES_ON_CORE_MAX;
use crate::session::token_login;
use crate::session::{CoreServices, Protocol, Session};
use crate::wire::encryption::{self, Opened};
use bytes::BytesMut;
use shards::{Admission, Stream};
use std::rc::Rc;
use std::time::{Duration, Instant};
use zeroize::Zeroize;

/// How long a Hello may take (REFERENCE §5).
pub const HELLO_DEADLINE: Duration = Duration::from_secs(5);

/// What a request takes of a frame besides the text of its query.
const AROUND_A_TEXT_BYTES: usize = 64;

/// A client that has logged in.
pub(super) struct LoggedIn {
    pub(super) session: Session,
    /// What both sides can do.
    pub(super) capabilities: Capabilities,
    /// What it has asked for already: whoever comes with a certificate needs no Auth.
    pub(super) first: Option<Box<(Encoding, Request)>>,
}

/// The longest frame of a session: the protocol's bound, or the server's where that is lower.
pub(super) fn frame_bytes_max(services: &CoreServices) -> usize {
    services.parts.limits.message_bytes_max.min(FRAME_BYTES_MAX)
}

/// Logs a client in. None: it went away, or has been told why not.
pub(super) async fn log_in(stream: &Stream, services: &Rc<CoreServices>) -> Option<LoggedIn> {
    let capabilities = greet(stream, services).await?;
    let certificate = login::presented(stream, services);
    loop {
        let payload = next_payload(stream).await?;
        let encoding = Encoding::of(&payload);
        let request = match decode(services, payload).await {
            Ok(Ok(request)) => request,
            Ok(Err(refused)) => {
                refuse(stream, begun(encoding, refused.seq), &refused.error.into());
                return None;
            }
            Err(error) => {
                refuse(stream, begun(encoding, 0), &error);
                return None;
            }
        };
        let reply = begun(encoding, request.seq);
        match request.operation {
            Operation::Ping => send::whole(stream, reply.finish(Status::Ok, &Outcome::default())),
            Operation::Status => send::status(stream, services, reply),
            Operation::Auth => {
                let wanted = (request.fields.auth, request.fields.database);
                return match authenticate(stream, services, certificate, wanted).await {
                    Ok(session) => {
                        welcome(stream, reply, &session);
                        Some(LoggedIn {
                            session,
                            capabilities,
                            first: None,
                        })
                    }
                    Err(error) => {
                        refuse(stream, reply, &error);
                        None
                    }
                };
            }
            _ if proves_a_login(services, certificate.as_deref()) => {
                return match authenticate(stream, services, certificate, (None, None)).await {
                    Ok(session) => Some(LoggedIn {
                        session,
                        capabilities,
                        first: Some(Box::new((encoding, request))),
                    }),
                    Err(error) => {
                        refuse(stream, reply, &error);
                        None
                    }
                };
            }
            _ => refuse(
                stream,
                reply,
                &Diagnostic::error(
                    SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                    "authentication comes first",
                ),
            ),
        }
        stream.flush();
        // Strangers who send many requests at once take turns with the core's sessions.
        shards::yield_now().await;
    }
}

/// The handshake.
async fn greet(stream: &Stream, services: &CoreServices) -> Option<Capabilities> {
    let agreed = match open(stream, services).await? {
        Ok(()) => match shards::timeout(HELLO_DEADLINE, await_hello(stream)).await {
            Ok(agreed) => agreed.transpose()?,
            Err(shards::Elapsed) => Err(Refusal::TooLate),
        },
        Err(refusal) => Err(refusal),
    };
    match agreed {
        Ok(capabilities) => {
            let text_bytes_max = frame_bytes_max(services) - AROUND_A_TEXT_BYTES;
            let text_bytes_max = u32::try_from(text_bytes_max).unwrap_or(u32::MAX);
            handshake::write_ack(capabilities, text_bytes_max, &mut stream.outbox());
            stream.flush();
            Some(capabilities)
        }
        Err(refusal) => {
            tracing::debug!(%refusal, peer = %stream.peer(), "a native handshake is refused");
            refusal.write(&mut stream.outbox());
            None
        }
    }
}

/// Waits for what the connection begins with, a TLS handshake perhaps. None: the client went away.
async fn open(stream: &Stream, services: &CoreServices) -> Option<Result<(), Refusal>> {
    let first = encryption::first_byte(stream);
    let Ok(first) = shards::timeout(HELLO_DEADLINE, first).await else {
        return Some(Err(Refusal::TooLate));
    };
    match encryption::open(stream, services, first?, Protocol::Native).await {
        Opened::Plain | Opened::Tls(_) => Some(Ok(())),
        Opened::PlainRefused => Some(Err(Refusal::TlsRequired)),
        Opened::Closed => None,
    }
}

/// None: the client went away.
async fn await_hello(stream: &Stream) -> Result<Option<Capabilities>, Refusal> {
    loop {
        // On a line of its own: the inbox is not to be held while it is consumed.
        let parsed = handshake::parse(&stream.inbox())?;
        if let Some(hello) = parsed {
            let _ = stream.inbox().split_to(handshake::HELLO_BYTES);
            return hello.agree().map(Some);
        }
        if !more(stream).await {
            return Ok(None);
        }
    }
}

/// The payload of the next frame; None: the client went away, or sent what is no frame.
async fn next_payload(stream: &Stream) -> Option<BytesMut> {
    loop {
        let front = frame::front(&stream.inbox(), LOGIN_FRAME_BYTES_MAX);
        match front {
            Ok(Front::Whole(bytes)) => {
                let mut frame = stream.inbox().split_to(bytes);
                return Some(frame.split_off(HEADER_BYTES));
            }
            Ok(Front::Partial) => {
                if !more(stream).await {
                    return None;
                }
            }
            Err(error) => {
                refuse(stream, begun(Encoding::MessagePack, 0), &error.into());
                return None;
            }
        }
    }
}

/// Waits for more bytes; false when the client has gone.
async fn more(stream: &Stream) -> bool {
    matches!(stream.fill().await, Ok(bytes) if bytes > 0)
}

/// Reads a payload; a long one off the core. It may hold a password, and is wiped.
///
/// # Errors
/// 53300 when too many long ones wait.
pub(super) async fn decode(
    services: &CoreServices,
    payload: BytesMut,
) -> Result<Result<Request, Refused>, Diagnostic> {
    let decode = |mut payload: BytesMut| {
        let decoded = request::decode(&payload);
        payload.zeroize();
        decoded
    };
    if payload.len() <= TEXT_BYTES_ON_CORE_MAX {
        return Ok(decode(payload));
    }
    services.parts.off_core.run(move || decode(payload)).await
}

/// Whether the certificate of the connection is to speak for itself, be it good or bad.
fn proves_a_login(services: &CoreServices, certificate: Option<&Certificate>) -> bool {
    !matches!(login::certificate(services, certificate), Ok(None))
}

/// Verifies what is presented, in an Auth and by the handshake, and begins the session.
///
/// # Errors
/// 28P01 for a bad password, 28000 without a credential or with another that is bad; 42501 for
/// either in plain from beyond loopback; 53300; 57P03; whatever the database is refused with.
async fn authenticate(
    stream: &Stream,
    services: &Rc<CoreServices>,
    certificate: Option<Rc<Certificate>>,
    (auth, database): (Option<Presented>, Option<String>),
) -> Result<Session, Diagnostic> {
    if stream.admission() == Admission::OverLimit {
        return Err(Diagnostic::fatal(
            SqlState::TOO_MANY_CONNECTIONS,
            "sorry, too many clients already",
        ));
    }
    login::admit(services)?;
    let peer = stream.peer();
    let began = Instant::now();
    let attempt = Attempt {
        protocol: Protocol::Native,
        peer,
        began,
    };
    let presented = verify_all(stream, services, certificate.as_deref(), auth).await;
    let (by_certificate, by_auth) = match presented {
        Ok(presented) => presented,
        Err(refused) => return Err(attempt.refused(services, refused).await),
    };
    let authenticated = attempt.decide(services, by_certificate, by_auth).await?;
    let wish = Wish {
        tenant: None,
        database,
        protocol: Protocol::Native,
        settings: Vec::new(),
        peer,
        began,
        certificate,
        earlier: None,
    };
    let Some(authenticated) = authenticated else {
        let refused = LoginRefused::credential(Claim::default(), Reason::NoCredential);
        return Err(attempt.refused(services, refused).await);
    };
    Session::log_in(services.clone(), authenticated, wish).await
}

/// What the handshake and an Auth prove.
async fn verify_all(
    stream: &Stream,
    services: &CoreServices,
    certificate: Option<&Certificate>,
    auth: Option<Presented>,
) -> Result<(Option<Authenticated>, Option<Authenticated>), LoginRefused> {
    let by_certificate = login::certificate(services, certificate)?;
    let by_auth = match auth {
        None => None,
        Some(presented) => Some(verify(stream, services, presented).await?),
    };
    Ok((by_certificate, by_auth))
}

async fn verify(
    stream: &Stream,
    services: &CoreServices,
    presented: Presented,
) -> Result<Authenticated, LoginRefused> {
    match presented {
        Presented::Trust => Err(LoginRefused::credential(Claim::default(), Reason::Trust)),
        Presented::Password { user, password } => {
            login::password(services, &user, password, Origin::of(stream, stream.peer())).await
        }
        Presented::ApiKey(token) => {
            login::api_key(services, token.expose(), Origin::of(stream, stream.peer()))
        }
        Presented::OidcBearer { token, provider } => {
            let presented = token_login::Presented {
                text: token.expose(),
                provider: provider.as_deref(),
                origin: Origin::of(stream, stream.peer()),
            };
            token_login::token(services, presented).await
        }
    }
}

fn welcome(stream: &Stream, reply: Frame, session: &Session) {
    let identity = session.handle().identity();
    let outcome = Outcome {
        auth: Some((&identity.name, u64::from(identity.tenant.0))),
        ..Outcome::default()
    };
    send::whole(stream, reply.finish(Status::Ok, &outcome));
}

fn refuse(stream: &Stream, reply: Frame, error: &Diagnostic) {
    send::whole(stream, send::failed(reply, error, Vec::new()));
}
