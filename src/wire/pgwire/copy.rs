//! COPY in and out on the wire (PostgreSQL §55.2.7).
//!
//! Data messages need not end at line ends; the engine takes bytes cut anywhere. What is sent goes
//! one line, or binary row, a message, as PostgreSQL sends it.

use super::body::Body;
use super::connection::Connection;
use super::frame::{self, Front};
use super::{reply, seldom};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::CommandTag;
use crate::session::copy::{CopyIn, CopyOut};
use crate::session::run::interruptible;
use crate::wire::input::bytes_or_end;
use bytes::BytesMut;
use std::pin::pin;

/// Lines encoded before the core's other sessions have their turn.
const LINES_A_SLICE: usize = 256;

impl Connection {
    /// Takes the client's data until CopyDone or CopyFail.
    pub(super) async fn copy_in(&mut self, mut copy: CopyIn) -> Result<CommandTag, Diagnostic> {
        seldom::copy_in(&mut self.stream.outbox(), copy.format(), copy.columns());
        loop {
            let message = self.copy_message().await?;
            let body = &message[frame::HEADER_BYTES..];
            match message[0] {
                b'd' => self.session.copy_push(&mut copy, body).await?,
                b'c' => return self.session.copy_finish(copy).await,
                b'f' => return Err(given_up(body)?),
                // A client may end its pipeline behind the data; they mean nothing here.
                b'H' | b'S' => {}
                other => return Err(unexpected(other)),
            }
        }
    }

    /// The next message of the client's; cancellation and the session's end interrupt the wait.
    async fn copy_message(&mut self) -> Result<BytesMut, Diagnostic> {
        let handle = self.session.handle().clone();
        let message_bytes_max = self.session.services().parts.limits.message_bytes_max;
        loop {
            let front = frame::front(&self.stream.inbox(), message_bytes_max)?;
            if let Front::Whole(frame) = front {
                return Ok(self.stream.inbox().split_to(frame.bytes));
            }
            self.stream.flush();
            let more = async {
                bytes_or_end(&self.stream, &handle).await.map_err(|reason| {
                    reason.diagnostic().unwrap_or_else(|| {
                        Diagnostic::error(
                            SqlState::CONNECTION_FAILURE,
                            "unexpected EOF on client connection with an open transaction",
                        )
                    })
                })
            };
            interruptible(&handle, pin!(more)).await?;
        }
    }

    /// Sends the lines of a table or query.
    pub(super) async fn copy_out(&mut self, mut copy: CopyOut) -> Result<CommandTag, Diagnostic> {
        seldom::copy_out(&mut self.stream.outbox(), copy.format(), copy.columns());
        let handle = self.session.handle().clone();
        let sending = self.send_lines(&mut copy);
        let tag = interruptible(&handle, pin!(sending)).await?;
        seldom::copy_done(&mut self.stream.outbox());
        Ok(tag)
    }

    async fn send_lines(&mut self, copy: &mut CopyOut) -> Result<CommandTag, Diagnostic> {
        let outbox_bytes_max = self.session.services().parts.limits.outbox_bytes_max;
        loop {
            let Some(lines) = copy.next().await? else {
                return Ok(copy.tag());
            };
            for line in 0..lines.len() {
                let waiting = {
                    let mut outbox = self.stream.outbox();
                    reply::message(&mut outbox, b'd', |outbox| lines.write(line, outbox));
                    outbox.len()
                };
                if waiting > outbox_bytes_max {
                    self.drained(outbox_bytes_max / 2).await?;
                } else if line % LINES_A_SLICE == LINES_A_SLICE - 1 {
                    shards::yield_now().await;
                }
            }
        }
    }
}

/// CopyFail's error: the client's own words.
fn given_up(body: &[u8]) -> Result<Diagnostic, Diagnostic> {
    let words = Body::new(body).text()?;
    Ok(Diagnostic::error(
        SqlState::QUERY_CANCELED,
        format!("COPY from stdin failed: {words}"),
    ))
}

fn unexpected(tag: u8) -> Diagnostic {
    Diagnostic::error(
        SqlState::PROTOCOL_VIOLATION,
        format!("unexpected message type 0x{tag:02X} during COPY from stdin"),
    )
}
