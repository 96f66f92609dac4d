//! The thread that keeps providers' keys fresh.
//!
//! It takes requests, looks at whose time has come, and publishes what comes of it. What is to be done,
//! and when, `auth::jwks::Following` says; here it is done: a fetch on a thread of its own, the copy on
//! the disk, the log. Its clock is given to it.

use super::kept::Kept;
use super::locate::{self, Found};
use super::provider::Provider;
use crate::audit::Audit;
use crate::auth::jwks::{
    Answer, Followed, Following, KeySets, Occasion, Outcome, Request, Source, Terms,
};
use crate::catalog::PrincipalId;
use crossbeam::channel::{Receiver, Sender, never, unbounded};
use crossbeam::select;
use futures::channel::oneshot;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Fetches that are due and under way at once; what an operator orders, or an unknown `kid` asks for,
/// is not held back by them.
pub const FETCHES_AT_ONCE: usize = 8;

/// It looks at the clock at least so often: one that is set back must not make it sleep for long.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Nice of its threads: session cores come first (DESIGN §2).
const NICE: i32 = 10;

/// Tells Unix microseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What the thread works with.
pub struct Fetcher {
    /// `[auth.jwks]`
    pub terms: Terms,
    /// The copies on the disk.
    pub kept: Kept,
    /// Who is asked.
    pub source: Arc<dyn Source>,
    /// Where the keys go.
    pub sets: KeySets,
    /// The clock.
    pub clock: Clock,
    /// Where news of providers are recorded.
    pub audit: Audit,
}

impl Fetcher {
    /// Starts the thread. It ends when the last [`crate::auth::jwks::Requests`] is gone.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn(self, requests: Receiver<Request>) -> io::Result<JoinHandle<()>> {
        let thread = std::thread::Builder::new().name("nodedb-jwks".to_owned());
        thread.spawn(move || {
            // Threads that this one starts begin with its own nice.
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::warn!(%error, "the thread that fetches keys keeps the ordinary priority");
            }
            let (ended, endings) = unbounded();
            let running = Running {
                fetcher: self,
                providers: BTreeMap::new(),
                fetches: 0,
                generation: 0,
                ended,
            };
            running.run(&requests, &endings);
        })
    }
}

struct Running {
    fetcher: Fetcher,
    providers: BTreeMap<PrincipalId, Provider>,
    /// Under way.
    fetches: usize,
    /// Of the last provider that was followed: a fetch begun for the one before it means nothing.
    generation: u64,
    ended: Sender<Ending>,
}

/// A fetch that has ended.
struct Ending {
    provider: PrincipalId,
    generation: u64,
    found: Result<Found, String>,
}

impl Running {
    fn run(mut self, requests: &Receiver<Request>, endings: &Receiver<Ending>) {
        loop {
            self.look();
            let timer = match self.sleep() {
                Some(span) => crossbeam::channel::after(span),
                None => never(),
            };
            select! {
                recv(requests) -> request => match request {
                    Ok(request) => self.take(request),
                    Err(_) => return,
                },
                recv(endings) -> ending => {
                    if let Ok(ending) = ending {
                        self.end(ending);
                    }
                },
                recv(timer) -> _ => {},
            }
        }
    }

    fn now(&self) -> i64 {
        (self.fetcher.clock)()
    }

    /// Begins what is due, and takes away what has become too old.
    fn look(&mut self) {
        let now = self.now();
        let ids: Vec<PrincipalId> = self.providers.keys().copied().collect();
        for id in ids {
            let Some(provider) = self.providers.get_mut(&id) else {
                continue;
            };
            if provider.following.expire(now) {
                provider.log_stale();
                self.publish(id);
            }
            if self.fetches < FETCHES_AT_ONCE {
                self.begin(id, Occasion::Due);
            }
        }
    }

    /// Until something is due. None: nothing is before a request or the end of a fetch.
    fn sleep(&self) -> Option<Duration> {
        if self.fetches >= FETCHES_AT_ONCE {
            return None;
        }
        let wakes = self.providers.values().map(|it| it.following.wakes_at());
        let until = wakes.min()?;
        let span = until.saturating_sub(self.now()).max(0).unsigned_abs();
        Some(Duration::from_micros(span).min(SLEEP_MAX))
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Follow(followed) => self.follow(followed),
            Request::Forget(id) => self.forget(id),
            Request::Refresh(id, answer) => self.ask(id, Occasion::Ordered, answer),
            Request::UnknownKid(id, answer) => self.ask(id, Occasion::UnknownKid, answer),
        }
    }

    fn follow(&mut self, followed: Followed) {
        let (id, now) = (followed.id, self.now());
        let mut following = Following::new(&followed.name, self.fetcher.terms, now);
        match self.fetcher.kept.read(&followed) {
            Ok(None) => {}
            Ok(Some((keys, fetched_at))) => {
                let usable = following.found(keys, fetched_at, now);
                let provider = followed.name.as_str();
                tracing::info!(
                    provider,
                    usable,
                    "keys of an earlier run were kept on the disk"
                );
            }
            Err(unusable) => {
                let path = self.fetcher.kept.path(&followed);
                let provider = followed.name.as_str();
                tracing::warn!(provider, path = %path.display(), %unusable, "kept keys cannot be used");
            }
        }
        self.generation += 1;
        let provider = Provider {
            followed,
            following,
            generation: self.generation,
            waiting: Vec::new(),
        };
        if let Some(before) = self.providers.insert(id, provider) {
            self.discard(&before);
        }
        // Its fetch begins with the next look, when there is room for it.
        self.publish(id);
    }

    fn forget(&mut self, id: PrincipalId) {
        if let Some(provider) = self.providers.remove(&id) {
            self.fetcher.sets.forget(id);
            self.discard(&provider);
        }
    }

    /// The copy of a provider that is not followed any more, unless another has the same.
    fn discard(&self, provider: &Provider) {
        let path = |it: &Followed| self.fetcher.kept.path(it);
        let gone = path(&provider.followed);
        if self.providers.values().any(|it| path(&it.followed) == gone) {
            return;
        }
        if let Err(error) = self.fetcher.kept.forget(&provider.followed) {
            tracing::warn!(%error, path = %gone.display(), "kept keys cannot be removed");
        }
    }

    fn ask(&mut self, id: PrincipalId, occasion: Occasion, answer: oneshot::Sender<Outcome>) {
        let Some(provider) = self.providers.get(&id) else {
            // Dropped: whoever waits is told so by the channel's end.
            return;
        };
        match provider.following.is_fetching() || self.begin(id, occasion) {
            true => {
                if let Some(provider) = self.providers.get_mut(&id) {
                    provider.waiting.push(answer);
                }
            }
            false => {
                let refused = "it was asked less than a minute ago, or its circuit breaker is open";
                // Whoever has asked may have gone.
                let _ = answer.send(Err(refused.to_owned()));
            }
        }
    }

    /// Begins a fetch if there is to be one; whether one is under way then.
    fn begin(&mut self, id: PrincipalId, occasion: Occasion) -> bool {
        let now = self.now();
        let Some(provider) = self.providers.get_mut(&id) else {
            return false;
        };
        let before = provider.following.circuit();
        match provider.following.begins(occasion, now) {
            Answer::UnderWay => return true,
            Answer::NotNow => return false,
            Answer::Begin => {}
        }
        provider.log_circuit(before, &self.fetcher.audit);
        let (generation, followed) = (provider.generation, provider.followed.clone());
        self.fetches += 1;
        self.publish(id);
        self.start(generation, followed);
        true
    }

    fn start(&self, generation: u64, followed: Followed) {
        let (source, ended) = (self.fetcher.source.clone(), self.ended.clone());
        let provider = followed.id;
        let fetch = move || {
            let found = catch_unwind(AssertUnwindSafe(|| locate::fetch(&*source, &followed)));
            let found = found.unwrap_or_else(|_| Err("a mistake of ours: it panicked".to_owned()));
            // The fetcher may have ended meanwhile.
            let _ = ended.send(Ending {
                provider,
                generation,
                found,
            });
        };
        let thread = std::thread::Builder::new().name("nodedb-jwks-get".to_owned());
        if let Err(error) = thread.spawn(fetch) {
            let found = Err(format!("there is no thread to fetch it: {error}"));
            let _ = self.ended.send(Ending {
                provider,
                generation,
                found,
            });
        }
    }

    fn end(&mut self, ending: Ending) {
        self.fetches -= 1;
        let (id, now) = (ending.provider, self.now());
        let Some(provider) = self.providers.get_mut(&id) else {
            return;
        };
        if provider.generation != ending.generation {
            return;
        }
        let (fetched, document) = match ending.found {
            Ok(found) => (Ok(found.fetched), Some(found.document)),
            Err(reason) => (Err(reason), None),
        };
        let before = provider.following.circuit();
        let reason = fetched.as_ref().err().cloned();
        let news = provider.following.ended(fetched, now);
        provider.log(news, reason.as_deref(), &self.fetcher.audit);
        provider.log_circuit(before, &self.fetcher.audit);
        if let Some(document) = document {
            let kept = self.fetcher.kept.write(&provider.followed, &document, now);
            if let Err(error) = kept {
                tracing::warn!(provider = provider.followed.name, %error, "keys cannot be kept on the disk");
            }
        }
        let count = provider.following.keys().map_or(0, |keys| keys.len());
        let outcome = reason.map_or(Ok(count), Err);
        let waiting = std::mem::take(&mut provider.waiting);
        // In force before whoever waits is told.
        self.publish(id);
        for answer in waiting {
            let _ = answer.send(outcome.clone());
        }
    }

    fn publish(&self, id: PrincipalId) {
        if let Some(provider) = self.providers.get(&id) {
            self.fetcher.sets.publish(id, provider.following.in_force());
        }
    }
}
