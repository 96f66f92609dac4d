//! What every session of one core works with: the rooms below, and the core's registry.
//!
//! `server` makes one for each core; sessions hold it by `Rc`. Other cores are reached only by
//! [`Signal`]s through the mesh.

use super::cancel_key::{BackendPid, CancelSecret};
use super::end::EndReason;
use super::figures::CoreFigures;
use super::in_use::InUse;
use super::notification::Queue;
use super::off_core::OffCore;
use super::peers::CorePeers;
use super::plans::Plans;
use super::registry::{Handle, Registry, SameLogin};
use super::token_login::Tokens;
use super::{live, rights, settings};
use crate::access;
use crate::audit::Audit;
use crate::auth::certificate_map::CertificateMap;
use crate::auth::derivation::Derivation;
use crate::auth::jwks::{KeySets, Requests};
use crate::auth::password_policy::PasswordPolicy;
use crate::auth::presented::Presented;
use crate::auth::rate::Rates;
use crate::auth::remembered::Remembered;
use crate::auth::scram::mock::Mock;
use crate::auth::throttle::Throttle;
use crate::auth::tls::InForce;
use crate::catalog::key_usage::KeyUsage;
use crate::catalog::revocation::{CoreReport, Counts, Ended, Reports, Revocation, Revocations};
use crate::catalog::{KeyId, Snapshot, port};
use crate::engine::entry::Engine;
use crate::engine::point::Templates;
use crate::storage::Storage;
use futures::StreamExt;
use futures::channel::mpsc::unbounded;
use futures::channel::oneshot;
use shards::{Acknowledge, Adopted, CoreId, Replica};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often credentials that end by the clock are looked at.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// Sessions that a listing looks at in one slice: some 50 µs.
pub(super) const LISTED_A_SLICE_MAX: usize = 512;

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
    /// Portals of one session: those of one transaction, which ends them, and cursors WITH HOLD.
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
    /// There is something in the queue of notifications.
    Notified,
    /// SHOW SESSIONS asks for a core's.
    List(live::List),
    /// KILL SESSION.
    Kill(live::Kill),
    /// pg_terminate_backend and pg_cancel_backend.
    Interrupt(live::Interrupt),
}

/// What `server` gives a core's sessions.
pub struct Parts {
    /// This core.
    pub core: CoreId,
    /// How many there are.
    pub cores: u16,
    /// The catalog as this core has adopted it.
    pub catalog: Replica<Snapshot>,
    /// The way to the control core.
    pub control: port::Handle,
    /// When API keys were last presented, as control has been told.
    pub key_usage: KeyUsage,
    /// Where this core says what an epoch has ended.
    pub reports: Reports,
    /// The last revocations.
    pub revocations: Revocations,
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
    /// What new passwords have to be.
    pub password_policy: Arc<PasswordPolicy>,
    /// Failed log-ins, on all cores together.
    pub throttle: Throttle,
    /// Sessions and statements at once, on all cores together.
    pub in_use: InUse,
    /// What transactions have told, on its way to all cores.
    pub notifications: Queue,
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
    /// What this core counts.
    pub figures: Rc<CoreFigures>,
    /// Where what happens is recorded.
    pub audit: Audit,
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
    /// The way of this core's statements to the sessions of all.
    pub(super) peers: Arc<CorePeers>,
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
    /// Each with what it has ended.
    epochs: RefCell<Vec<(u64, Counts)>>,
}

impl CoreServices {
    /// Takes the parts and listens to the catalog.
    pub fn start(parts: Parts) -> Rc<CoreServices> {
        let (looking, mut stopped) = oneshot::channel::<()>();
        let random = ring::rand::SystemRandom::new();
        let secret = CancelSecret::random(&random);
        let (signals, mut to_hand_on) = unbounded();
        let services = Rc::new(CoreServices {
            sessions: Rc::new(Registry::new(
                parts.core.0,
                secret,
                parts.figures.clone(),
                parts.notifications.clone(),
            )),
            settings: settings::Shared::default(),
            rights_cache: rights::Cache::default(),
            templates: RefCell::default(),
            plans: Plans::default(),
            peers: Arc::new(CorePeers::new(parts.cores, signals)),
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
        let handing_on = Rc::downgrade(&services);
        shards::spawn(async move {
            while let Some((core, signal)) = to_hand_on.next().await {
                let Some(services) = handing_on.upgrade() else {
                    return;
                };
                (services.parts.send)(core, signal);
            }
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
                services.end_due();
                services.tell_keys_used();
                // In case that word of them has found no room in the mesh.
                services.hand_on_notifications().await;
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
            Signal::List(list) => {
                let services = self.clone();
                shards::spawn(async move { services.list(list).await });
            }
            Signal::Kill(kill) => self.kill(kill),
            Signal::Interrupt(interrupt) => self.interrupt(&interrupt),
            Signal::Notified => {
                let services = self.clone();
                shards::spawn(async move { services.hand_on_notifications().await });
            }
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
        self.peers.close();
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
        let stopping = self.judge(before, now.snapshot());
        let ended = self.sessions.take_revoked();
        if stopping.is_empty() {
            self.report(now.epoch(), ended);
            return Acknowledge::Now;
        }
        // One that an earlier epoch waits for already is waited for once.
        let newly = stopping.iter().filter(|session| session.fence()).count();
        self.fence.epochs.borrow_mut().push((now.epoch(), ended));
        self.fence.waiting.set(self.fence.waiting.get() + newly);
        Acknowledge::Later
    }

    /// Ends the sessions whose credential or database is gone, and stops the statements of those who may
    /// do less than before; gives the sessions whose statement has to have stopped. Many sessions are of
    /// one login: it is decided once, and only running ones are looked at.
    fn judge(&self, before: &Snapshot, now: &Snapshot) -> Vec<Rc<Handle>> {
        let time = now_microseconds();
        let mut stopping = Vec::new();
        for login in self.sessions.by_login() {
            match access::valid_until(now, login.identity()) {
                Err(reason) => self.end_all(&login, reason, &mut stopping),
                Ok(Some(end)) if end <= time => {
                    self.end_all(&login, access::EndReason::Expired, &mut stopping);
                }
                Ok(end) => {
                    self.sessions.set_valid_until(&login, end);
                    if login.is_running() && access::narrows(before, now, login.identity()) {
                        self.narrow_all(&login, &mut stopping);
                    }
                }
            }
        }
        stopping
    }

    fn end_all(
        &self,
        login: &SameLogin,
        reason: access::EndReason,
        stopping: &mut Vec<Rc<Handle>>,
    ) {
        for session in login.sessions().iter() {
            if session.runs_on_old_state() && session.ending().is_none() {
                stopping.push(session.clone());
            }
            self.sessions.revoke(session, reason);
        }
    }

    fn narrow_all(&self, login: &SameLogin, stopping: &mut Vec<Rc<Handle>>) {
        for session in login.sessions().iter() {
            if session.runs_on_old_state() && session.ending().is_none() {
                self.sessions.narrow(session);
                stopping.push(session.clone());
            }
        }
    }

    /// Ends the sessions whose time is up: VALID UNTIL, the end of a key, token or certificate. Looks at
    /// nobody else's.
    fn end_due(&self) {
        let adopted = self.parts.catalog.current();
        let now = now_microseconds();
        for login in self.sessions.due(now) {
            match access::valid_until(adopted.snapshot(), login.identity()) {
                // An end that has been put off is heard of with its epoch; here the newest counts.
                Ok(Some(end)) if end > now => self.sessions.set_valid_until(&login, Some(end)),
                Ok(None) => {}
                Ok(Some(_)) => self.end_by_the_clock(&login, access::EndReason::Expired),
                Err(reason) => self.end_by_the_clock(&login, reason),
            }
        }
    }

    /// No statement has ended these: nobody's revocation counts them.
    fn end_by_the_clock(&self, login: &SameLogin, reason: access::EndReason) {
        for session in login.sessions().iter() {
            session.end(EndReason::Access(reason));
        }
    }

    /// Says what this core has done about an epoch; before it acknowledges that.
    fn report(&self, epoch: u64, ended: Counts) {
        self.parts.reports.leave(CoreReport {
            core: self.parts.core.0,
            epoch,
            at: Instant::now(),
            ended,
        });
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
        let began = Instant::now();
        let mut ended = HashMap::new();
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
                    if session.end(EndReason::Access(reason)) {
                        *ended.entry(session.identity().tenant).or_insert(0) += 1;
                    }
                }
            }
            shards::yield_now().await;
        }
        let took = began.elapsed();
        for (tenant, sessions) in ended {
            self.parts.revocations.add(Revocation {
                at: now_microseconds(),
                event: "certificate revocation list",
                subject: "client certificates".to_owned(),
                by: None,
                tenant,
                epoch: None,
                ended: Ended {
                    sessions,
                    statements: 0,
                },
                cores: vec![(self.parts.core.0, took)],
                late: Vec::new(),
                took,
            });
        }
    }

    /// A session that an adoption waits for has stopped its statement.
    pub fn release_fence(&self) {
        let waiting = self.fence.waiting.get() - 1;
        self.fence.waiting.set(waiting);
        if waiting == 0 {
            // Each epoch that was put off is acknowledged, or the first would hold up all others.
            for (epoch, ended) in self.fence.epochs.take() {
                self.report(epoch, ended);
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
