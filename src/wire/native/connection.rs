//! The loop of one connection: frames in, requests to the session, replies out, in order.
//!
//! The task of an idle connection is small: what a log-in or a request needs is boxed and gone when
//! it is done. A reply is sent at the end of its slice, so that what a pipeline is answered with at
//! once goes in one send, and no reply waits for the statement behind it.

use super::frame::{self, Front, HEADER_BYTES};
use super::handshake::Capabilities;
use super::login::{self, LoggedIn, frame_bytes_max};
use super::request::{Encoding, Request};
use super::response::Frame;
use super::send;
use crate::diagnostic::{Diagnostic, Severity};
use crate::session::{CoreServices, EndReason, Session};
use crate::wire::attended::attended;
use crate::wire::input::more_input;
use bytes::BytesMut;
use shards::Stream;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;

/// Requests of a pipeline after which the core's other sessions have their turn.
const REQUESTS_A_TURN: u32 = 16;

/// Serves one connection until it ends. Runs on the core that accepted it.
pub async fn serve(stream: Stream, services: Rc<CoreServices>) {
    let stream = Rc::new(stream);
    let deadline = services.parts.limits.login_deadline;
    let logged_in = {
        let login = Box::pin(login::log_in(&stream, &services));
        shards::timeout(deadline, login).await
    };
    match logged_in {
        Ok(Some(mut logged_in)) => {
            let first = logged_in.first.take();
            let mut connection = Box::new(Connection::new(stream.clone(), logged_in));
            connection.run(first).await;
        }
        Ok(None) => {}
        // Nothing is said to who does not finish logging in, as on the other port.
        Err(shards::Elapsed) => return stream.abort(),
    }
    stream.close().await;
}

/// A reply to the request of this number.
pub(super) fn begun(encoding: Encoding, seq: u64) -> Frame {
    Frame::begin(encoding, seq)
}

/// Whether a result may come in several frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Results {
    /// As many as it takes.
    InParts,
    /// In one; what does not fit is an error.
    Whole,
}

/// When a client is told what it has not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notices {
    /// In a reply of its own.
    AtOnce,
    /// With the next reply.
    WithReplies,
}

/// What a client has sent.
enum Received {
    /// A frame's payload.
    Payload(BytesMut),
    /// What has been read of one already.
    Decoded(Request),
}

/// A connection whose client has logged in.
pub(super) struct Connection {
    pub(super) stream: Rc<Stream>,
    pub(super) session: Session,
    pub(super) results: Results,
    /// Whether what nobody has asked for may be sent.
    notices: Notices,
    /// Of the request being answered, or the last one.
    encoding: Encoding,
    /// Of the request being answered; 0 between requests.
    seq: u64,
}

impl Connection {
    fn new(stream: Rc<Stream>, logged_in: LoggedIn) -> Connection {
        let results = match logged_in.capabilities.has(Capabilities::STREAMING) {
            true => Results::InParts,
            false => Results::Whole,
        };
        let notices = match logged_in.capabilities.has(Capabilities::NOTICES) {
            true => Notices::AtOnce,
            false => Notices::WithReplies,
        };
        Connection {
            stream,
            session: logged_in.session,
            results,
            notices,
            encoding: Encoding::MessagePack,
            seq: 0,
        }
    }

    /// Until the session ends; the one place where it does.
    async fn run(&mut self, first: Option<Box<(Encoding, Request)>>) {
        let reason = match self.run_requests(first).await {
            Err(reason) => reason,
            Ok(never) => match never {},
        };
        self.session.abandon();
        Box::pin(self.session.leave_nothing()).await;
        Box::pin(self.session.note_end(reason)).await;
        if let Some(diagnostic) = reason.diagnostic() {
            self.refuse(&diagnostic);
        }
        tracing::debug!(
            session = self.session.handle().pid().number(),
            reason = reason.as_str(),
            "session ended"
        );
    }

    async fn run_requests(
        &mut self,
        first: Option<Box<(Encoding, Request)>>,
    ) -> Result<Infallible, EndReason> {
        if let Some(first) = first {
            let (encoding, request) = *first;
            self.encoding = encoding;
            Box::pin(self.attend(Received::Decoded(request))).await?;
        }
        let mut requests = 0_u32;
        loop {
            let payload = self.next_payload().await?;
            Box::pin(self.attend(Received::Payload(payload))).await?;
            self.seq = 0;
            requests = requests.wrapping_add(1);
            if requests.is_multiple_of(REQUESTS_A_TURN) {
                shards::yield_now().await;
            }
        }
    }

    /// The payload of the next whole frame; waits for it.
    async fn next_payload(&mut self) -> Result<BytesMut, EndReason> {
        let bytes_max = frame_bytes_max(self.session.services());
        loop {
            let front = frame::front(&self.stream.inbox(), bytes_max);
            match front {
                Ok(Front::Whole(bytes)) => {
                    let mut frame = self.stream.inbox().split_to(bytes);
                    return Ok(frame.split_off(HEADER_BYTES));
                }
                Ok(Front::Partial) => self.more().await?,
                Err(error) => {
                    self.refuse(&error.into());
                    return Err(EndReason::ProtocolViolation);
                }
            }
        }
    }

    /// Waits for more; a client that may be told something meanwhile is, when it is time.
    async fn more(&mut self) -> Result<(), EndReason> {
        let more = more_input(&self.stream, &self.session);
        let due = match self.notices {
            Notices::AtOnce => self.session.reminder_due_in(),
            Notices::WithReplies => None,
        };
        let Some(due) = due else {
            return more.await;
        };
        if let Ok(more) = Box::pin(shards::timeout(due, more)).await {
            return more;
        }
        self.session.remind();
        let notices = self.session.take_notices();
        let reply = send::notices(begun(self.encoding, 0), &notices);
        send::whole(&self.stream, reply);
        Ok(())
    }

    /// Takes one request, watching for a client that goes away meanwhile.
    async fn attend(&mut self, received: Received) -> Result<(), EndReason> {
        let handle = self.session.handle().clone();
        let services = self.session.services().clone();
        let stream = self.stream.clone();
        let work = pin!(async {
            match received {
                Received::Payload(payload) => self.take(payload).await,
                Received::Decoded(request) => self.answer(request).await,
            }
        });
        attended(&stream, &handle, &services, work).await
    }

    async fn take(&mut self, payload: BytesMut) -> Result<(), EndReason> {
        self.encoding = Encoding::of(&payload);
        let services = self.session.services().clone();
        let decoding = login::decode(&services, payload);
        let request = match self.session.interruptible(pin!(decoding)).await {
            Ok(Ok(request)) => request,
            Ok(Err(refused)) => {
                self.seq = refused.seq;
                return self.fail(refused.error.into());
            }
            Err(error) => return self.fail(error),
        };
        self.answer(request).await
    }

    async fn answer(&mut self, request: Request) -> Result<(), EndReason> {
        self.seq = request.seq;
        let done = self.carry_out(request.operation, request.fields).await;
        if let Err(error) = done {
            Box::pin(self.session.note_refusal(&error)).await;
            self.fail(error)?;
        }
        // Sent with what follows of the pipeline in this slice, and not held up by what takes longer.
        self.stream.flush();
        // A pipeline whose client does not read fills no memory with its answers.
        let outbox_bytes_max = self.session.services().parts.limits.outbox_bytes_max;
        if self.stream.unsent() > outbox_bytes_max
            && self.stream.drained(outbox_bytes_max / 2).await.is_err()
        {
            return Err(EndReason::ClientGone);
        }
        Ok(())
    }

    /// The reply to the request being answered.
    pub(super) fn begun(&self) -> Frame {
        begun(self.encoding, self.seq)
    }

    /// A request has failed: the transaction knows, and the client is told.
    ///
    /// # Errors
    /// The session ends with it.
    fn fail(&mut self, error: Diagnostic) -> Result<(), EndReason> {
        self.session.fail();
        let is_fatal = error.fields().severity == Severity::Fatal;
        if let Some(reason) = self.session.handle().ending()
            && is_fatal
        {
            // Told by the session's end, in its own words.
            return Err(reason);
        }
        self.refuse(&error);
        match is_fatal {
            true => Err(EndReason::ProtocolViolation),
            false => Ok(()),
        }
    }

    fn refuse(&mut self, error: &Diagnostic) {
        let notices = self.session.take_notices();
        let reply = send::failed(self.begun(), error, notices);
        send::whole(&self.stream, reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_request<'a, F>(_: impl Fn(&'a mut Connection, Received) -> F) -> usize {
        size_of::<F>()
    }

    fn of_connection<F>(_: impl Fn(Stream, Rc<CoreServices>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_a_request_needs_is_small_and_what_an_idle_connection_keeps_is_smaller() {
        assert!(of_request(Connection::attend) <= 6 * 1024);
        assert!(of_connection(serve) + size_of::<Connection>() <= 1024);
    }
}
