//! The way to the fetcher: which providers there are, and who waits for newer keys.
//!
//! The channel has no bound of its own: every session has at most one request under way.

use crate::catalog::PrincipalId;
use crossbeam::channel::{Receiver, Sender, unbounded};
use futures::channel::oneshot;

/// A provider whose keys are to be at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Who it is.
    pub id: PrincipalId,
    /// What the log and the metrics call it.
    pub name: String,
    /// `iss` of its tokens; its discovery document lies beneath.
    pub issuer: String,
    /// Where its keys lie, if that is told.
    pub jwks_url: Option<String>,
}

/// How a fetch that was asked for has ended: so many keys, or why not.
pub type Outcome = Result<usize, String>;

/// One request.
#[derive(Debug)]
pub enum Request {
    /// From now on, fetching at once; what was followed by the same id before is replaced.
    Follow(Followed),
    /// No more: it was dropped.
    Forget(PrincipalId),
    /// Fetch now, whatever the breaker says.
    Refresh(PrincipalId, oneshot::Sender<Outcome>),
    /// A token shows a key that is not known. Answered when a fetch has ended, or at once where none
    /// may be made yet.
    UnknownKid(PrincipalId, oneshot::Sender<Outcome>),
}

/// The way to the fetcher. Cloning shares; it ends when the last one is gone.
#[derive(Clone, Debug)]
pub struct Requests(Sender<Request>);

impl Requests {
    /// A new way, and its other end.
    pub fn channel() -> (Requests, Receiver<Request>) {
        let (requests, inbox) = unbounded();
        (Requests(requests), inbox)
    }

    /// Follows a provider. Never blocks.
    pub fn follow(&self, provider: Followed) {
        // A fetcher that has ended has ended with the server.
        let _ = self.0.send(Request::Follow(provider));
    }

    /// Forgets one. Never blocks.
    pub fn forget(&self, provider: PrincipalId) {
        let _ = self.0.send(Request::Forget(provider));
    }

    /// Fetches now and answers how that ended, at most 5 s later. Never blocks.
    pub async fn refresh(&self, provider: PrincipalId) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Refresh(provider, answer), answered).await
    }

    /// Fetches for a `kid` that is not known, where that is allowed, and answers when the keys in
    /// force are what they will be: at most 5 s later. Never blocks.
    pub async fn unknown_kid(&self, provider: PrincipalId) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::UnknownKid(provider, answer), answered)
            .await
    }

    async fn ask(&self, request: Request, answered: oneshot::Receiver<Outcome>) -> Outcome {
        let sent = self.0.send(request);
        sent.map_err(|_| "the fetcher of keys has ended".to_owned())?;
        answered
            .await
            .map_err(|_| "the provider is not followed any more".to_owned())?
    }
}
