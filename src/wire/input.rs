//! Waiting for a client's next bytes, whatever the protocol: its session may have to end meanwhile.

use crate::session::registry::Handle;
use crate::session::transaction::Status;
use crate::session::{EndReason, Session};
use shards::Stream;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Waits for more bytes from the client of an idle session.
///
/// # Errors
/// The session is to end, the client has gone, or its time is over (idle_session_timeout,
/// idle_in_transaction_session_timeout).
pub async fn more_input(stream: &Stream, session: &Session) -> Result<(), EndReason> {
    stream.flush();
    session.handle().rests_in(session.status());
    let settings = session.settings();
    let (limit, reason) = match session.status() {
        Status::Idle => (settings.idle_session_timeout(), EndReason::IdleSession),
        Status::InBlock | Status::Failed => (
            settings.idle_in_transaction_timeout(),
            EndReason::IdleInTransaction,
        ),
    };
    let room = session.services().parts.limits.outbox_bytes_max;
    let wait = bytes_or_word(stream, session.handle(), room);
    match limit {
        None => wait.await,
        Some(limit) => shards::timeout(limit, wait).await.unwrap_or(Err(reason)),
    }
}

/// Waits until the inbox has grown, or the session is to end.
pub async fn bytes_or_end(stream: &Stream, handle: &Handle) -> Result<(), EndReason> {
    bytes_or_word(stream, handle, 0).await
}

/// The same, or there are notifications for its client and no more than `room` bytes wait for it.
async fn bytes_or_word(stream: &Stream, handle: &Handle, room: usize) -> Result<(), EndReason> {
    let mut fill = pin!(stream.fill());
    poll_fn(|context| {
        if let Some(reason) = handle.ending() {
            return Poll::Ready(Err(reason));
        }
        if room > 0 && handle.may_be_notified() && stream.unsent() <= room {
            return Poll::Ready(Ok(()));
        }
        handle.listen(context.waker());
        match fill.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(bytes)) if bytes > 0 => Poll::Ready(Ok(())),
            Poll::Ready(_) => Poll::Ready(Err(EndReason::ClientGone)),
        }
    })
    .await
}
