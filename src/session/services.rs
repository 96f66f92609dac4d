//! What every session of one core works with: the rooms below, and the core's registry.
//!
//! `server` makes one for each core; sessions hold it by `Rc`. Other cores are reached only by
//! [`Signal`]s through the mesh.

use super::cancel_key::{BackendPid, CancelSecret};
use super::end::EndReason;
use super::off_core::OffCore;
use super::plans::Plans;
use super::registry::{Handle, Registry};
use super::token_login::Tokens;
use super::{rights, settings};
use crate::access;
use crate::auth::certificate_map::CertificateMap;
use crate::auth::derivation::Derivation;
use crate::auth::jwks::{KeySets, Requests};
use crate::auth::presented::Presented;
use crate::auth::rate::Rates;
use crate::auth::remembered::Remembered;
use crate::auth::scram::mock::Mock;
use crate::auth::tls::InForce;
use crate::catalog::key_usage::KeyUsage;
use crate::catalog::{KeyId, Snapshot, port};
use crate::engine::context::CancelReason;
use crate::engine::entry::Engine;
use crate::engine::point::Templates;
use crate::storage::Storage;
use futures::channel::oneshot;
use shards::{Acknowledge, Adopted, CoreId, Replica};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often credentials that end by the clock are looked at.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// Sessions whose certificates are looked up in the revocation lists in one slice: some 200 µs.
const REVOCATIONS_A_SLICE_MAX: usize = 128;

/// What the sessions of a core may take (REFERENCE §6).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest message of a session.
    pub message_bytes_max: usize,
    /// Bytes waiting to be sent past which a statement waits for its client.
    pub outbox_bytes_max: usize,
    /// Prepared statements of one session.
    pub prepared_statements_max: usize,
    /// Portals of one session: those of one transaction, which ends them.
    pub portals_max: usize,
    /// How long a connection may take to log in.
    pub login_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message_bytes_max: 64 << 20,
            outbox_bytes_max: 256 << 10,
            prepared_statements_max: 1_024,
            portals_max: 1_024,
            login_deadline: Duration::from_secs(10),
        }
    }
}

/// Whether a bearer credential is taken over a connection that nothing encrypts, from beyond
/// loopback (REFERENCE §6 `allow_plain_bearer`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainBearer {
    /// 42501.
    Refused,
    /// The operator says so.
    Allowed,
}

/// Whether connections that nothing encrypts are taken at all (REFERENCE §6 `require_tls`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainConnections {
    /// They are.
    Taken,
    /// Each protocol says that TLS is required.
    Refused,
}

/// What a core does about encryption.
#[derive(Clone)]
pub struct Encryption {
    /// What TLS connections begin with; None where none is configured.
    pub tls: Option<InForce>,
    /// What becomes of the others.
    pub plain: PlainConnections,
    /// For whom client certificates log in.
    pub certificate_map: Arc<CertificateMap>,
}

/// Word for the sessions of another core.
#[derive(Clone, Debug)]
pub enum Signal {
    /// CancelRequest.
    Cancel {
        /// The session's place.
        place: u32,
        /// The key presented.
        key: Box<[u8]>,
    },
    /// Client certificates may be judged by something else now: those that are revoked end.
    TrustChanged,
}

/// What `server` gives a core's sessions.
pub struct Parts {
    /// This core.
    pub core: CoreId,
    /// The catalog as this core has adopted it.
    pub catalog: Replica<Snapshot>,
    /// The way to the control core.
    pub control: port::Handle,
    /// When API keys were last presented, as control has been told.
    pub key_usage: KeyUsage,
    /// How statements are answered.
    pub engine: Arc<Engine>,
    /// What is kept.
    pub storage: Storage,
    /// Where passwords become verifiers.
    pub derivation: Derivation,
    /// Where long texts are parsed.
    pub off_core: OffCore,
    /// What names that cannot log in by password are answered with.
    pub mock: Arc<Mock>,
    /// PBKDF2 rounds of new verifiers.
    pub scram_iterations: u32,
    /// How often API keys may be presented, on all cores together.
    pub key_rates: Rates,
    /// The keys of identity providers.
    pub key_sets: KeySets,
    /// The way to whoever fetches them.
    pub key_requests: Requests,
    /// Whether API keys and tokens are taken in the clear.
    pub plain_bearer: PlainBearer,
    /// TLS, and what becomes of connections without it.
    pub encryption: Encryption,
    /// What sessions may take.
    pub limits: Limits,
    /// Sends word to a core; its `message` hands it to [`CoreServices::signal`] there.
    pub send: Box<dyn Fn(CoreId, Signal)>,
}

/// What every session of one core works with.
pub struct CoreServices {
    /// As given.
    pub parts: Parts,
    /// The sessions of this core.
    pub sessions: Rc<Registry>,
    /// The settings that sessions begin with.
    pub settings: settings::Shared,
    pub(super) rights_cache: rights::Cache,
    pub(super) templates: RefCell<Templates>,
    pub(super) plans: Plans,
    /// When API keys were last presented here and control has not yet been told.
    keys_used: RefCell<HashMap<KeyId, i64>>,
    /// Passwords proved a moment ago.
    pub(super) remembered: RefCell<Remembered>,
    /// Tokens verified here, and the keys they were verified by.
    pub(super) tokens: Tokens,
    draining: Cell<Draining>,
    /// Dropped when the server stops: the look for expired credentials ends with it. Stopping waits
    /// for a core's tasks, and would wait for its next look otherwise.
    looking: Cell<Option<oneshot::Sender<()>>>,
    fence: Rc<Fence>,
}

/// Whether new sessions are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draining {
    /// They are.
    No,
    /// The server stops.
    Yes,
}

/// Sessions that have to end before an epoch can be acknowledged.
#[derive(Default)]
struct Fence {
    waiting: Cell<usize>,
    epochs: RefCell<Vec<u64>>,
}

impl CoreServices {
    /// Takes the parts and listens to the catalog.
    pub fn start(parts: Parts) -> Rc<CoreServices> {
        let (looking, mut stopped) = oneshot::channel::<()>();
        let random = ring::rand::SystemRandom::new();
        let secret = CancelSecret::random(&random);
        let services = Rc::new(CoreServices {
            sessions: Rc::new(Registry::new(parts.core.0, secret)),
            settings: settings::Shared::default(),
            rights_cache: rights::Cache::default(),
            templates: RefCell::default(),
            plans: Plans::default(),
            keys_used: RefCell::default(),
            remembered: RefCell::new(Remembered::new(&random)),
            tokens: Tokens::new(&parts.key_sets),
            draining: Cell::new(Draining::No),
            looking: Cell::new(Some(looking)),
            fence: Rc::new(Fence::default()),
            parts,
        });
        let adopting = Rc::downgrade(&services);
        services.parts.catalog.on_adopt(move |before, now| {
            adopting.upgrade().map_or(Acknowledge::Now, |services| {
                services.adopt(before.snapshot(), now)
            })
        });
        let expiring = Rc::downgrade(&services);
        shards::spawn(async move {
            while shards::timeout(EXPIRY_INTERVAL, &mut stopped)
                .await
                .is_err()
            {
                let Some(services) = expiring.upgrade() else {
                    return;
                };
                services.end_invalid(services.parts.catalog.current().snapshot());
                services.tell_keys_used();
            }
        });
        services
    }

    /// Word from another core, or from this one.
    pub fn signal(self: &Rc<Self>, signal: Signal) {
        match signal {
            Signal::TrustChanged => {
                let services = self.clone();
                shards::spawn(async move { services.end_revoked().await });
            }
            Signal::Cancel { place, key } => self.sessions.cancel(place, &key),
        }
    }

    /// CancelRequest for whichever core the number names.
    pub fn cancel(&self, backend_pid: i32, key: &[u8]) {
        if let Some(BackendPid { core, place }) = BackendPid::from_number(backend_pid) {
            let key = key.into();
            (self.parts.send)(CoreId(core), Signal::Cancel { place, key });
        }
    }

    /// The server stops: no new sessions, and each ends once its statement has.
    pub fn drain(&self) {
        self.draining.set(Draining::Yes);
        self.tell_keys_used();
        drop(self.looking.take());
        self.sessions
            .for_each(|session| session.end_when_idle(EndReason::Shutdown));
    }

    /// Whether new sessions are taken.
    pub fn draining(&self) -> Draining {
        self.draining.get()
    }

    /// An API key was presented; `now` in Unix microseconds. Control hears of it within seconds.
    pub fn key_used(&self, id: KeyId, now: i64) {
        self.keys_used.borrow_mut().insert(id, now);
    }

    fn tell_keys_used(&self) {
        let used = self.keys_used.take();
        if !used.is_empty() {
            self.parts.control.keys_used(used.into_iter().collect());
        }
    }

    /// A newer catalog is in force: sessions it concerns end, statements whose user may do less
    /// are cancelled, and the epoch is acknowledged when none of them runs a statement any more
    /// (DESIGN §2 "Adoption").
    fn adopt(&self, before: &Snapshot, now: &Arc<Adopted<Snapshot>>) -> Acknowledge {
        let principals = &now.snapshot().principals;
        self.remembered.borrow_mut().adopt(principals);
        self.tokens.adopt(before, now.snapshot());
        let mut stopping = self.end_invalid(now.snapshot());
        self.cancel_narrowed(before, now.snapshot(), &mut stopping);
        if stopping.is_empty() {
            return Acknowledge::Now;
        }
        // One that an earlier epoch waits for already is waited for once.
        let newly = stopping.iter().filter(|session| session.fence()).count();
        self.fence.epochs.borrow_mut().push(now.epoch());
        self.fence.waiting.set(self.fence.waiting.get() + newly);
        Acknowledge::Later
    }

    /// Cancels the running statements of those who may do less than before; adds their sessions.
    fn cancel_narrowed(&self, before: &Snapshot, now: &Snapshot, stopping: &mut Vec<Rc<Handle>>) {
        let mut decided = HashMap::new();
        self.sessions.for_each(|session| {
            if !session.runs_on_old_state() || session.ending().is_some() {
                return;
            }
            let identity = session.identity();
            let narrowed = *decided
                .entry(rights::Login::of(&identity))
                .or_insert_with(|| access::narrows(before, now, &identity));
            if narrowed {
                session.cancel(CancelReason::RightsNarrowed);
                stopping.push(session.clone());
            }
        });
    }

    /// Ends the sessions whose credential or database is gone; gives those that run a statement.
    fn end_invalid(&self, snapshot: &Snapshot) -> Vec<Rc<Handle>> {
        let mut decided = HashMap::new();
        let mut stopping = Vec::new();
        let now = now_microseconds();
        self.sessions.for_each(|session| {
            let identity = session.identity();
            // Many sessions are of one login: it is decided once.
            let verdict = *decided
                .entry((rights::Login::of(&identity), identity.ends_at))
                .or_insert_with(|| access::still_valid(snapshot, &identity, now));
            if let Err(reason) = verdict {
                if session.runs_on_old_state() && session.ending().is_none() {
                    stopping.push(session.clone());
                }
                session.end(EndReason::Access(reason));
            }
        });
        stopping
    }

    /// Whether the certificate is on a revocation list now.
    pub fn revokes(&self, presented: &Presented) -> bool {
        let tls = self.parts.encryption.tls.as_ref();
        tls.is_some_and(|tls| {
            let set = tls.current();
            set.trust()
                .is_some_and(|trust| trust.revokes(presented.chain()))
        })
    }

    /// Ends the sessions whose client certificate is on a revocation list now.
    async fn end_revoked(&self) {
        let mut holders = Vec::new();
        self.sessions.for_each(|session| {
            if session.certificate().is_some() {
                holders.push(session.clone());
            }
        });
        for some in holders.chunks(REVOCATIONS_A_SLICE_MAX) {
            for session in some {
                if session
                    .certificate()
                    .is_some_and(|certificate| self.revokes(certificate))
                {
                    let reason = access::EndReason::CertificateRevoked;
                    session.end(EndReason::Access(reason));
                }
            }
            shards::yield_now().await;
        }
    }

    /// A session that an adoption waits for has stopped its statement.
    pub fn release_fence(&self) {
        let waiting = self.fence.waiting.get() - 1;
        self.fence.waiting.set(waiting);
        if waiting == 0 {
            // Each epoch that was put off is acknowledged, or the first would hold up all others.
            for epoch in self.fence.epochs.take() {
                self.parts.catalog.acknowledge(epoch);
            }
        }
    }
}

/// The clock, in Unix microseconds.
pub fn now_microseconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    i64::try_from(since.as_micros()).expect("the clock is before the year 294,000")
}
