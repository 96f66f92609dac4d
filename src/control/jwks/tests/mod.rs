//! The fetcher with a source that does what a test says, on a virtual clock.

mod fetching;
mod locating;

use super::{Clock, Fetcher, Kept};
use crate::auth::jwks::{
    Followed, InForce, KeySets, Reply, Request, Requests, Source, SourceError, Terms,
};
use crate::auth::jwt::signer::{Kind, Signer, key_set};
use crate::catalog::PrincipalId;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SECOND: i64 = 1_000_000;
const NOW: i64 = 1_800_000_000 * SECOND;
const AUTH0: PrincipalId = PrincipalId(40_000);
const ISSUER: &str = "https://id.example/";
const DISCOVERY: &str = "https://id.example/.well-known/openid-configuration";
const KEYS: &str = "https://id.example/.well-known/jwks.json";

/// Answers what it is told to, and counts.
#[derive(Default)]
struct Answers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    answers: BTreeMap<String, Result<Reply, String>>,
    asked: Vec<String>,
    /// Addresses that do not answer for now.
    held: Vec<String>,
}

impl Answers {
    fn put(&self, url: &str, body: &str) {
        let reply = Reply {
            body: body.as_bytes().to_vec(),
            cache_control: None,
        };
        self.state.lock().answers.insert(url.to_owned(), Ok(reply));
    }

    fn break_down(&self, url: &str) {
        let down = Err("it is down".to_owned());
        self.state.lock().answers.insert(url.to_owned(), down);
    }

    fn hold(&self, url: &str) {
        self.state.lock().held.push(url.to_owned());
    }

    fn release(&self) {
        self.state.lock().held.clear();
        self.changed.notify_all();
    }

    fn asked(&self) -> usize {
        self.state.lock().asked.len()
    }
}

impl Source for Answers {
    fn fetch(&self, url: &str, _: Duration) -> Result<Reply, SourceError> {
        let mut state = self.state.lock();
        state.asked.push(url.to_owned());
        self.changed
            .wait_while(&mut state, |state| state.held.iter().any(|it| it == url));
        let answer = state.answers.get(url).cloned();
        let url = url.to_owned();
        match answer {
            None => Err(SourceError::Missing { url, status: 404 }),
            Some(answer) => answer.map_err(|reason| SourceError::Failed { url, reason }),
        }
    }
}

struct World {
    time: Arc<AtomicI64>,
    answers: Arc<Answers>,
    sets: KeySets,
    requests: Option<Requests>,
    thread: Option<JoinHandle<()>>,
}

fn document(kid: &str) -> String {
    key_set(&[&Signer::new(Kind::Es256, kid)])
}

fn provider(id: PrincipalId, issuer: &str) -> Followed {
    Followed {
        id,
        name: format!("provider {}", id.0),
        issuer: issuer.to_owned(),
        jwks_url: None,
    }
}

impl World {
    fn new(directory: &Path) -> World {
        World::at(directory, NOW)
    }

    fn at(directory: &Path, now: i64) -> World {
        let time = Arc::new(AtomicI64::new(now));
        let (requests, inbox) = Requests::channel();
        let (answers, sets) = (Arc::<Answers>::default(), KeySets::default());
        let clock: Clock = {
            let time = time.clone();
            Arc::new(move || time.load(Ordering::SeqCst))
        };
        let fetcher = Fetcher {
            terms: Terms::default(),
            kept: Kept::new(directory.join("jwks")),
            source: answers.clone(),
            sets: sets.clone(),
            clock,
            audit: crate::audit::tests::audit(&directory.join("audit")),
        };
        World {
            time,
            answers,
            sets,
            thread: Some(fetcher.spawn(inbox).expect("a thread")),
            requests: Some(requests),
        }
    }

    fn requests(&self) -> &Requests {
        self.requests.as_ref().expect("until it ends")
    }

    fn follow(&self, id: PrincipalId, issuer: &str) {
        self.requests().follow(provider(id, issuer));
    }

    /// What is in force of a provider as soon as it is so; the thread takes a moment.
    fn until(&self, id: PrincipalId, is_so: impl Fn(&InForce) -> bool) -> Arc<InForce> {
        let began = Instant::now();
        loop {
            if let Some(in_force) = self.sets.of(id)
                && is_so(&in_force)
            {
                return in_force;
            }
            let patience = Duration::from_secs(20);
            assert!(began.elapsed() < patience, "{:?}", self.sets.of(id));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Time passes, and the thread, which sleeps by another clock, looks at it.
    fn pass(&self, seconds: i64) {
        self.time.fetch_add(seconds * SECOND, Ordering::SeqCst);
        self.requests().forget(PrincipalId(1));
    }

    fn refresh(&self, id: PrincipalId) -> Result<usize, String> {
        futures::executor::block_on(self.requests().refresh(id))
    }

    fn unknown_kid(&self, id: PrincipalId) -> Result<usize, String> {
        futures::executor::block_on(self.requests().unknown_kid(id))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.answers.release();
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends with the last who may ask");
        }
    }
}
