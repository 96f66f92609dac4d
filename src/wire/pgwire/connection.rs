//! The loop of one connection: bytes in, messages to the session, replies out.
//!
//! The task of an idle connection is small: what a log-in or a message needs is boxed and gone when
//! it is done. Replies are flushed when nothing whole is left in the inbox, so that a pipeline is
//! answered in one send.

use super::authentication::{self, AfterStartup, Asked, AwaitStartup, Encryption, Verified};
use super::frame::{self, Front, LOGIN_MESSAGE_BYTES_MAX};
use super::message::{self, Message, MessageError};
use super::startup::{self, StartupError};
use super::{error, reply, seldom};
use crate::auth::Authenticated;
use crate::auth::identity::Method;
use crate::auth::presented::Presented;
use crate::auth::scram::{ScramError, ServerNonce};
use crate::diagnostic::{Diagnostic, Severity, SqlState};
use crate::engine::settings::Settings;
use crate::session::attempt::{Attempt, Claim, LoginRefused, Reason};
use crate::session::login::{self, Wish};
use crate::session::services::PlainConnections;
use crate::session::transaction::Status;
use crate::session::{CoreServices, EndReason, Protocol, Session, settings, throttling};
use crate::wire::attended::attended;
use crate::wire::encryption::{self, Beginning, Opened, first_byte};
use crate::wire::input::more_input;
use bytes::BytesMut;
use ring::rand::SystemRandom;
use shards::{Admission, Stream};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Serves one connection until it ends.
pub async fn serve(stream: Stream, services: Rc<CoreServices>) {
    let stream = Rc::new(stream);
    let deadline = services.parts.limits.login_deadline;
    let login = Box::pin(log_in(stream.clone(), services));
    match shards::timeout(deadline, login).await {
        Ok(Ok(Some(mut connection))) => connection.run().await,
        Ok(Ok(None)) => {}
        Ok(Err(refusal)) => error::diagnostic(&mut stream.outbox(), &refusal),
        // As PostgreSQL, which says nothing to who does not finish logging in.
        Err(shards::Elapsed) => return stream.abort(),
    }
    stream.flush();
    stream.close().await;
}

/// Logs a client in. None: it went away, or only came to cancel.
///
/// # Errors
/// FATAL, the last message.
async fn log_in(
    stream: Rc<Stream>,
    services: Rc<CoreServices>,
) -> Result<Option<Box<Connection>>, Diagnostic> {
    let Some(asked) = await_startup(&stream, &services).await? else {
        return Ok(None);
    };
    let began = Instant::now();
    admit(&stream, &services)?;
    let presented = login::presented(&stream, &services);
    let verified = match verify(&stream, &services, asked, presented.as_deref()).await {
        Ok(Some(verified)) => verified,
        Ok(None) => return Ok(None),
        Err(refused) => {
            let attempt = Attempt {
                protocol: Protocol::Pgwire,
                peer: stream.peer(),
                began,
            };
            return Err(attempt.refused(&services, refused).await);
        }
    };
    let connection = Connection::begin(stream, services, verified, presented, began);
    connection.await.map(Some)
}

/// Whom a client proves to be, by its certificate or else by a password. None: it went away.
async fn verify(
    stream: &Stream,
    services: &CoreServices,
    asked: Asked,
    presented: Option<&Presented>,
) -> Result<Option<Verified>, LoginRefused> {
    let certificate = login::certificate(services, presented).map_err(|refused| LoginRefused {
        told: no_certificate_of(&asked.request.user),
        ..refused
    })?;
    if let Some(authenticated) = certificate {
        let request = asked.request;
        demand_login(services, &authenticated, &request.user)?;
        return Ok(Some(Verified {
            request,
            authenticated,
        }));
    }
    let user = asked.request.user.clone();
    let (credential, witness) = login::look_up(services, &user);
    let claim = Claim::named(Method::Scram, &user, witness.principal());
    let told = |told: Diagnostic| LoginRefused::told(claim.clone(), told).fatal();
    throttling::admit(services, &user, stream.peer()).map_err(told)?;
    let state = asked.offer_sasl(&mut stream.outbox());
    let refused = |error: ScramError| LoginRefused {
        claim: claim.clone(),
        told: error.diagnostic(&user),
        reason: Reason::Scram(error),
    };
    let Some(body) = sasl_message(stream).await.map_err(told)? else {
        return Ok(None);
    };
    let nonce = ServerNonce::random(&SystemRandom::new());
    let received = state.receive(&body, credential, nonce, &mut stream.outbox());
    let state = received.map_err(told)?;
    let Some(body) = sasl_message(stream).await.map_err(told)? else {
        return Ok(None);
    };
    let proved = state.receive(&body).map_err(refused)?;
    let settled = throttling::proved(services, &user, stream.peer()).await;
    settled.map_err(told)?;
    // It may have been changed while the client took its time, or had to wait.
    let confirmed = witness.confirm(services);
    confirmed.map_err(|refusal| refused(refusal.into()))?;
    Ok(Some(proved.finish(&mut stream.outbox())))
}

/// The user of the start-up packet must be the one that the certificate is for (REFERENCE §3).
fn demand_login(
    services: &CoreServices,
    proved: &Authenticated,
    user: &str,
) -> Result<(), LoginRefused> {
    let adopted = services.parts.catalog.current();
    let login = adopted.snapshot().principals.principal_named(user);
    if login.is_some_and(|login| login.id == proved.principal()) {
        return Ok(());
    }
    Err(LoginRefused {
        claim: Claim::named(Method::Certificate, user, Some(proved.principal())),
        reason: Reason::CertificateOfAnotherLogin,
        told: no_certificate_of(user),
    })
}

/// PostgreSQL's words for a certificate that does not log this user in.
fn no_certificate_of(user: &str) -> Diagnostic {
    Diagnostic::fatal(
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        format!("certificate authentication failed for user \"{user}\""),
    )
}

async fn await_startup(
    stream: &Stream,
    services: &CoreServices,
) -> Result<Option<Asked>, Diagnostic> {
    let mut state = AwaitStartup::new(encryption_of(services));
    loop {
        if state.takes_direct_tls() {
            let Some(first) = first_byte(stream).await else {
                return Ok(None);
            };
            if Beginning::of(first) == Beginning::Tls {
                let Some(inside) = accept_tls(stream, services).await else {
                    return Ok(None);
                };
                demand_application_protocol(stream)?;
                state = inside;
            }
        }
        while startup::parse(&stream.inbox())?.is_none() {
            if !more(stream).await {
                return Ok(None);
            }
        }
        let after = {
            let mut inbox = stream.inbox();
            let parsed = startup::parse(&inbox)?;
            let (packet, length) = parsed.expect("it was whole a line ago");
            let after = state.receive(packet, &mut stream.outbox())?;
            let _ = inbox.split_to(length);
            after
        };
        match after {
            AfterStartup::Asked(asked) => return Ok(Some(asked)),
            AfterStartup::Again(next) => state = next,
            AfterStartup::Tls => {
                if !stream.inbox().is_empty() {
                    stream.outbox().clear();
                    return Err(StartupError::PlainBehindSslRequest.into());
                }
                if stream.drained(0).await.is_err() {
                    return Ok(None);
                }
                let Some(inside) = accept_tls(stream, services).await else {
                    return Ok(None);
                };
                state = inside;
            }
            AfterStartup::Cancel { backend_pid, key } => {
                services.cancel(backend_pid, &key);
                return Ok(None);
            }
        }
    }
}

fn encryption_of(services: &CoreServices) -> Encryption {
    let encryption = &services.parts.encryption;
    match (&encryption.tls, encryption.plain) {
        (None, _) => Encryption::Unavailable,
        (Some(_), PlainConnections::Taken) => Encryption::Offered,
        (Some(_), PlainConnections::Refused) => Encryption::Required,
    }
}

/// The handshake, with the newest certificate; None when the connection is to be closed.
async fn accept_tls(stream: &Stream, services: &CoreServices) -> Option<AwaitStartup> {
    let tls = services.parts.encryption.tls.as_ref();
    let tls = tls.expect("TLS is begun only where it is offered");
    let opened = encryption::accept(stream, services, tls.current(), Protocol::Pgwire).await;
    match opened {
        Opened::Tls(set) => {
            let binding = encryption::channel_binding(stream, &set);
            Some(AwaitStartup::encrypted(binding))
        }
        Opened::Plain | Opened::PlainRefused | Opened::Closed => None,
    }
}

/// Whoever begins with TLS says for which protocol: what a browser was led to send to this port is
/// not taken for a client's (RFC 7301; the handshake itself refuses any other name).
fn demand_application_protocol(stream: &Stream) -> Result<(), Diagnostic> {
    let tls = stream.tls();
    match tls.is_some_and(|tls| tls.application_protocol().is_some()) {
        true => Ok(()),
        false => Err(StartupError::NoApplicationProtocol.into()),
    }
}

/// Whether a new session is taken at all.
fn admit(stream: &Stream, services: &CoreServices) -> Result<(), Diagnostic> {
    if stream.admission() == Admission::OverLimit {
        return Err(Diagnostic::fatal(
            SqlState::TOO_MANY_CONNECTIONS,
            "sorry, too many clients already",
        ));
    }
    login::admit(services)
}

/// The body of the next message, which must be of type `p`. None: the client went away.
async fn sasl_message(stream: &Stream) -> Result<Option<BytesMut>, Diagnostic> {
    loop {
        let whole = match frame::front(&stream.inbox(), LOGIN_MESSAGE_BYTES_MAX)? {
            Front::Whole(frame) if frame.tag == b'p' => Some(frame),
            Front::Whole(frame) => return Err(authentication::unexpected(frame.tag)),
            Front::Partial { .. } => None,
        };
        if let Some(frame) = whole {
            let mut message = stream.inbox().split_to(frame.bytes);
            return Ok(Some(message.split_off(frame::HEADER_BYTES)));
        }
        if !more(stream).await {
            return Ok(None);
        }
    }
}

/// Flushes, and waits for more bytes; false when the client has gone.
async fn more(stream: &Stream) -> bool {
    stream.flush();
    matches!(stream.fill().await, Ok(bytes) if bytes > 0)
}

/// Where a connection is in the extended query protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cycle {
    /// Every message is taken.
    Ready,
    /// After an error: everything up to Sync is passed over.
    SkipToSync,
}

/// A connection whose client has logged in.
pub(super) struct Connection {
    pub(super) stream: Rc<Stream>,
    pub(super) session: Session,
    reported: Arc<Settings>,
    pub(super) cycle: Cycle,
}

impl Connection {
    async fn begin(
        stream: Rc<Stream>,
        services: Rc<CoreServices>,
        verified: Verified,
        certificate: Option<Rc<Presented>>,
        began: Instant,
    ) -> Result<Box<Connection>, Diagnostic> {
        let Verified {
            request,
            authenticated,
        } = verified;
        let wish = Wish {
            tenant: request.tenant,
            database: request.database,
            protocol: Protocol::Pgwire,
            settings: request.settings,
            peer: stream.peer(),
            began,
            certificate,
            earlier: None,
        };
        let session = Session::log_in(services, authenticated, wish).await?;
        let connection = Connection {
            reported: session.current_settings().clone(),
            stream,
            session,
            cycle: Cycle::Ready,
        };
        connection.welcome(request.minor);
        Ok(Box::new(connection))
    }

    /// What follows a successful log-in.
    fn welcome(&self, minor: u16) {
        let mut outbox = self.stream.outbox();
        seldom::authentication_ok(&mut outbox);
        for (name, value) in settings::reported(self.session.current_settings()) {
            seldom::parameter_status(&mut outbox, name, value);
        }
        let handle = self.session.handle();
        let key = self.session.services().sessions.cancel_key(handle);
        seldom::backend_key_data(&mut outbox, handle.pid().number(), key.bytes(minor));
        reply::ready_for_query(&mut outbox, Status::Idle);
    }

    /// Until the session ends; the one place where it does.
    async fn run(&mut self) {
        let reason = loop {
            let frame = match self.next_frame().await {
                Ok(frame) => frame,
                Err(reason) => break reason,
            };
            if let Err(reason) = Box::pin(self.handle(frame)).await {
                break reason;
            }
        };
        self.session.abandon();
        Box::pin(self.session.leave_nothing()).await;
        Box::pin(self.session.note_end(reason)).await;
        if let Some(diagnostic) = reason.diagnostic() {
            error::diagnostic(&mut self.stream.outbox(), &diagnostic);
        }
        tracing::debug!(
            session = self.session.handle().pid().number(),
            reason = reason.as_str(),
            "session ended"
        );
    }

    /// The next whole message; waits for it.
    async fn next_frame(&mut self) -> Result<BytesMut, EndReason> {
        let message_bytes_max = self.session.services().parts.limits.message_bytes_max;
        loop {
            self.send_notifications();
            let front = frame::front(&self.stream.inbox(), message_bytes_max);
            match front {
                Ok(Front::Whole(frame)) => {
                    return Ok(self.stream.inbox().split_to(frame.bytes));
                }
                Ok(Front::Partial { .. }) => more_input(&self.stream, &self.session).await?,
                Err(error) => {
                    self.tell(&error.into());
                    return Err(EndReason::ProtocolViolation);
                }
            }
        }
    }

    /// Takes one message, watching for a client that goes away meanwhile.
    async fn handle(&mut self, frame: BytesMut) -> Result<(), EndReason> {
        let handle = self.session.handle().clone();
        let services = self.session.services().clone();
        let stream = self.stream.clone();
        let work = pin!(self.take(frame[0], &frame[frame::HEADER_BYTES..]));
        attended(&stream, &handle, &services, work).await
    }

    async fn take(&mut self, tag: u8, body: &[u8]) -> Result<(), EndReason> {
        let message = match message::decode(tag, body) {
            Ok(message) => message,
            Err(error) => return self.refuse(tag, error),
        };
        match (self.cycle, message) {
            (_, Message::Terminate) => Err(EndReason::Terminated),
            (_, Message::Sync) => self.sync().await,
            (Cycle::SkipToSync, _) => Ok(()),
            (Cycle::Ready, Message::Query(text)) => self.simple_query(text).await,
            (Cycle::Ready, Message::FunctionCall) => {
                self.fail(Diagnostic::unsupported("the function call protocol"))?;
                self.ready();
                Ok(())
            }
            (Cycle::Ready, Message::Flush) => {
                self.stream.flush();
                Ok(())
            }
            // Left over from a COPY that has failed: passed over, as the protocol says.
            (Cycle::Ready, Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_)) => {
                Ok(())
            }
            (Cycle::Ready, extended) => match self.extended(extended).await {
                Ok(()) => Ok(()),
                Err(error) => {
                    self.cycle = Cycle::SkipToSync;
                    Box::pin(self.session.note_refusal(&error)).await;
                    self.fail(error)
                }
            },
        }
    }

    fn refuse(&mut self, tag: u8, error: MessageError) -> Result<(), EndReason> {
        if let MessageError::UnknownType(_) = error {
            self.tell(&error.into());
            return Err(EndReason::ProtocolViolation);
        }
        if self.cycle == Cycle::SkipToSync {
            return Ok(());
        }
        self.fail(error.into())?;
        if matches!(tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'H') {
            self.cycle = Cycle::SkipToSync;
        } else {
            self.ready();
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), EndReason> {
        self.cycle = Cycle::Ready;
        if let Err(error) = self.session.end_implicit().await {
            self.fail(error)?;
        }
        self.send_notices();
        self.ready();
        Ok(())
    }

    /// A statement has failed: the transaction knows, and the client is told.
    ///
    /// # Errors
    /// The session ends with it.
    pub(super) fn fail(&mut self, error: Diagnostic) -> Result<(), EndReason> {
        self.session.fail();
        self.send_notices();
        if let Some(reason) = self.session.handle().ending()
            && error.fields().severity == Severity::Fatal
        {
            // Told by the session's end, in its own words.
            return Err(reason);
        }
        self.tell(&error);
        match error.fields().severity {
            Severity::Fatal => Err(EndReason::ProtocolViolation),
            _ => Ok(()),
        }
    }

    pub(super) fn tell(&self, diagnostic: &Diagnostic) {
        error::diagnostic(&mut self.stream.outbox(), diagnostic);
    }

    pub(super) fn send_notices(&mut self) {
        for notice in self.session.take_notices() {
            self.tell(&notice);
        }
    }

    /// Sends what the session has been told, between transactions and as far as its client reads;
    /// the rest waits in its inbox, which is bounded.
    fn send_notifications(&self) {
        if !self.session.is_between_transactions() || self.cycle != Cycle::Ready {
            return;
        }
        let outbox_bytes_max = self.session.services().parts.limits.outbox_bytes_max;
        let handle = self.session.handle();
        while self.stream.unsent() <= outbox_bytes_max
            && let Some(delivered) = handle.next_notification()
        {
            seldom::notification(&mut self.stream.outbox(), &delivered);
        }
    }

    /// The cycle has ended: settings that have changed, and ReadyForQuery.
    pub(super) fn ready(&mut self) {
        self.send_notifications();
        let mut outbox = self.stream.outbox();
        let now = self.session.current_settings();
        if !Arc::ptr_eq(&self.reported, now) {
            for (name, value) in settings::reports(&self.reported, now) {
                seldom::parameter_status(&mut outbox, name, value);
            }
            self.reported = now.clone();
        }
        reply::ready_for_query(&mut outbox, self.session.status());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_message<'a, F>(_: impl Fn(&'a mut Connection, BytesMut) -> F) -> usize {
        size_of::<F>()
    }

    fn of_connection<F>(_: impl Fn(Stream, Rc<CoreServices>) -> F) -> usize {
        size_of::<F>()
    }

    /// The whole slow way, a statement's tree included, once was part of every message's future:
    /// more than 100 KiB to set up for each, and a core's stack overflowed.
    #[test]
    fn what_a_message_needs_is_small_and_what_an_idle_connection_keeps_is_smaller() {
        assert!(of_message(Connection::handle) <= 6 * 1024);
        assert!(of_connection(serve) + size_of::<Connection>() <= 1024);
    }
}
