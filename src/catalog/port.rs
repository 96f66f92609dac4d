//! The way to the control core: what a session holds to ask for a change and await its answer.
//!
//! It stands here so that `session` can name it without importing `control`. The asking side is
//! a [`Handle`]; `control` owns the [`Inbox`]. The channel itself has no bound: every session has
//! at most one request under way, so it holds at most `max_connections` of them; and requests
//! that may be refused are, with 53300, past [`WAITING_REQUESTS_MAX`].

use super::ids::{DatabaseId, KeyId, PrincipalId, TenantId};
use super::{Request, Snapshot};
use crate::diagnostic::{Diagnostic, SqlState};
use crossbeam::channel::{Receiver, Sender, unbounded};
use futures::channel::oneshot;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Credential statements that may wait at once; beyond it 53300. At one fsync a group of
/// `control::GROUP_REQUESTS_MAX` that is well under a second of waiting.
pub const WAITING_REQUESTS_MAX: usize = 4_096;

/// Who asks. Their rights are worked out by control, on the newest catalog.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The user or service account; the identity provider's id for a token that leads to neither.
    pub principal: PrincipalId,
    /// The API key of its session.
    pub key: Option<KeyId>,
    /// The token of its session.
    pub token: Option<Arc<TokenOfCaller>>,
    /// The tenant in force: its own, or that of SET tenant.
    pub tenant: TenantId,
    /// The database of its session.
    pub database: DatabaseId,
    /// Where its client is.
    pub peer: SocketAddr,
}

/// What a provider's mapping gives is worked out from this.
#[derive(Debug, PartialEq)]
pub struct TokenOfCaller {
    /// The provider.
    pub provider: PrincipalId,
    /// What its token says.
    pub claims: BTreeMap<Arc<str>, Value>,
}

/// A change that was made and that every core has adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The command tag, such as `CREATE ROLE`.
    pub tag: &'static str,
    /// Notices and warnings, in order.
    pub notices: Vec<Diagnostic>,
}

/// One request on its way to control.
pub struct Ask {
    /// Who asks.
    pub by: Caller,
    /// For what.
    pub request: Request,
    /// Where the answer goes; a session that has ended in the meantime is no matter.
    pub reply: oneshot::Sender<Result<Reply, Diagnostic>>,
    waiting: Waiting,
}

impl Ask {
    /// Sends the answer.
    pub fn answer(self, answer: Result<Reply, Diagnostic>) {
        drop(self.waiting);
        // The session may have ended while it waited; the change stands all the same.
        let _ = self.reply.send(answer);
    }
}

/// Counts a credential statement among those waiting for as long as it lives.
struct Waiting(Option<Arc<AtomicUsize>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Looks at the newest catalog.
pub type Look = Box<dyn FnOnce(&Arc<Snapshot>) + Send>;

/// What comes to control.
pub enum Errand {
    /// A request that waits for its answer.
    Ask(Box<Ask>),
    /// When API keys were last presented to a core, Unix microseconds.
    KeysUsed(Vec<(KeyId, i64)>),
    /// Called with the newest catalog while no change is being made: what it does stands between two
    /// epochs.
    AtRest(Look),
}

/// Control's end of the channel; it ends when the last [`Handle`] is gone.
pub type Inbox = Receiver<Errand>;

/// What a session asks control through. Cloning shares.
#[derive(Clone)]
pub struct Handle {
    errands: Sender<Errand>,
    waiting: Arc<AtomicUsize>,
}

/// A new channel to control.
pub fn channel() -> (Handle, Inbox) {
    let (errands, inbox) = unbounded();
    let waiting = Arc::new(AtomicUsize::new(0));
    (Handle { errands, waiting }, inbox)
}

impl Handle {
    /// Asks for a change and waits until every core has adopted it (bound 1 s, then a warning).
    ///
    /// Never blocks the core. Dropping the future does not take the request back.
    ///
    /// # Errors
    /// What the statement's own rules say (REFERENCE §1); 53300 when too many wait; 57P01 when
    /// the control core has ended, as it does only with the server.
    pub async fn execute(&self, by: Caller, request: Request) -> Result<Reply, Diagnostic> {
        let waiting = self.admit(&request)?;
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            by,
            request,
            reply,
            waiting,
        };
        let sent = self.errands.send(Errand::Ask(Box::new(ask)));
        sent.map_err(|_| shutting_down())?;
        answer.await.unwrap_or_else(|_| Err(shutting_down()))
    }

    /// How many credential statements wait, the one under way included.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Tells when API keys were last presented to this core. Never waits; a core tells once every
    /// few seconds, each key once.
    pub fn keys_used(&self, used: Vec<(KeyId, i64)>) {
        // A control core that has ended has nobody left to show it to.
        let _ = self.errands.send(Errand::KeysUsed(used));
    }

    /// Has this called on the control thread with the newest catalog, while no change is being made. No
    /// credential statement is answered until it returns: a group of commits, not more. False: control
    /// has ended, and it is not called.
    pub fn at_rest(&self, look: impl FnOnce(&Arc<Snapshot>) + Send + 'static) -> bool {
        self.errands.send(Errand::AtRest(Box::new(look))).is_ok()
    }

    /// The steps of a COMMIT are not refused: definitions to publish are durable already.
    fn admit(&self, request: &Request) -> Result<Waiting, Diagnostic> {
        if !request.is_statement() {
            return Ok(Waiting(None));
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(Some(self.waiting.clone()));
        if before >= WAITING_REQUESTS_MAX {
            return Err(Diagnostic::error(
                SqlState::TOO_MANY_CONNECTIONS,
                "too many credential statements are waiting",
            )
            .with_hint("Try again in a moment."));
        }
        Ok(waiting)
    }
}

fn shutting_down() -> Diagnostic {
    Diagnostic::error(
        SqlState::ADMIN_SHUTDOWN,
        "the catalog takes no more changes: the server is shutting down",
    )
}
