//! The sessions of one core, so that others can reach them: cancellation, adoption, shutdown.
//!
//! A session holds its [`Handle`]; whoever wants something of it finds the handle here, leaves word
//! in it and wakes the session's task. Nothing here is shared between cores.

use super::cancel_key::{BackendPid, CancelSecret, SESSIONS_MAX};
use super::end::EndReason;
use crate::auth::identity::Identity;
use crate::auth::presented::Presented;
use crate::engine::context::{CancelFlag, CancelReason};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

/// What a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Waiting for its client.
    Idle,
    /// Running a statement.
    Running,
}

/// One session, as others reach it.
pub struct Handle {
    pid: BackendPid,
    serial: u64,
    peer: SocketAddr,
    certificate: Option<Rc<Presented>>,
    identity: RefCell<Arc<Identity>>,
    activity: Cell<Activity>,
    ending: Cell<Option<EndReason>>,
    cancel: CancelFlag,
    waker: Cell<Option<Waker>>,
    fenced: Cell<bool>,
    asking: Cell<bool>,
}

/// Held while the session waits for the control core, which may be waiting for this core: see
/// [`Handle::asks_control`].
pub struct Asking(Rc<Handle>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.asking.set(false);
    }
}

impl Handle {
    /// Its number.
    pub fn pid(&self) -> BackendPid {
        self.pid
    }

    /// Its login's number on this core.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Where its client is.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The client certificate that its connection has presented.
    pub fn certificate(&self) -> Option<&Presented> {
        self.certificate.as_deref()
    }

    /// Who it is.
    pub fn identity(&self) -> Arc<Identity> {
        self.identity.borrow().clone()
    }

    /// After SET tenant: the same login elsewhere.
    pub fn set_identity(&self, identity: Arc<Identity>) {
        *self.identity.borrow_mut() = identity;
    }

    /// What it is doing.
    pub fn activity(&self) -> Activity {
        self.activity.get()
    }

    /// The flag that its running statement looks at.
    pub fn cancel_flag(&self) -> &CancelFlag {
        &self.cancel
    }

    /// A statement begins: what asked the last one to stop does not concern it.
    pub fn begin_statement(&self) {
        self.activity.set(Activity::Running);
        self.cancel.clear();
        if self.ending.get().is_some() {
            self.cancel.set(CancelReason::SessionEnd);
        }
    }

    /// No statement runs any more.
    pub fn end_statement(&self) {
        self.activity.set(Activity::Idle);
    }

    /// Stops the running statement; one that is not running is left alone.
    pub fn cancel(&self, reason: CancelReason) {
        if self.activity.get() == Activity::Running {
            self.cancel.set(reason);
            self.wake();
        }
    }

    /// Ends the session: at once when idle, by stopping its statement otherwise. The first reason
    /// given stays.
    pub fn end(&self, reason: EndReason) {
        if self.ending.get().is_none() {
            self.ending.set(Some(reason));
        }
        self.cancel(CancelReason::SessionEnd);
        self.wake();
    }

    /// Ends the session once what it is doing has ended: the graceful form.
    pub fn end_when_idle(&self, reason: EndReason) {
        if self.ending.get().is_none() {
            self.ending.set(Some(reason));
        }
        if self.activity.get() == Activity::Idle {
            self.wake();
        }
    }

    /// The session asks the control core for something and waits. What it does was decided
    /// before; an adoption that waited for it would wait for itself.
    pub fn asks_control(self: &Rc<Self>) -> Asking {
        self.asking.set(true);
        Asking(self.clone())
    }

    /// Whether an adoption has to wait until its statement has stopped.
    pub fn runs_on_old_state(&self) -> bool {
        self.activity.get() == Activity::Running && !self.asking.get()
    }

    /// An adoption waits until this session runs nothing any more. False: one waits already.
    pub fn fence(&self) -> bool {
        !self.fenced.replace(true)
    }

    /// Whether an adoption waited; asked once, when the session has stopped.
    pub fn take_fence(&self) -> bool {
        self.fenced.take()
    }

    /// Why it is to end, if it is.
    pub fn ending(&self) -> Option<EndReason> {
        self.ending.get()
    }

    /// The session's task waits: wake it when there is word for it.
    pub fn listen(&self, waker: &Waker) {
        match self.waker.take() {
            Some(known) if known.will_wake(waker) => self.waker.set(Some(known)),
            _ => self.waker.set(Some(waker.clone())),
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// All sessions of one core.
pub struct Registry {
    core: u16,
    secret: CancelSecret,
    sessions: RefCell<Slab<Rc<Handle>>>,
    logins: Cell<u64>,
}

/// A session's entry; dropping it takes the session out.
pub struct Entry {
    registry: Rc<Registry>,
    handle: Rc<Handle>,
}

impl std::ops::Deref for Entry {
    type Target = Rc<Handle>;

    fn deref(&self) -> &Rc<Handle> {
        &self.handle
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let place = self.handle.pid.place as usize;
        self.registry.sessions.borrow_mut().remove(place);
    }
}

impl Registry {
    /// Without sessions.
    pub fn new(core: u16, secret: CancelSecret) -> Registry {
        Registry {
            core,
            secret,
            sessions: RefCell::new(Slab::new()),
            logins: Cell::new(0),
        }
    }

    /// Takes a new session in; None when the core has all the sessions it can number.
    pub fn enter(
        self: &Rc<Self>,
        identity: Arc<Identity>,
        peer: SocketAddr,
        certificate: Option<Rc<Presented>>,
    ) -> Option<Entry> {
        let mut sessions = self.sessions.borrow_mut();
        if sessions.len() >= SESSIONS_MAX - 1 {
            return None;
        }
        let serial = self.logins.get() + 1;
        self.logins.set(serial);
        let place = sessions.vacant_entry();
        let pid = BackendPid {
            core: self.core,
            place: u32::try_from(place.key()).expect("SESSIONS_MAX is below 2^32"),
        };
        let handle = Rc::new(Handle {
            pid,
            serial,
            peer,
            certificate,
            identity: RefCell::new(identity),
            activity: Cell::new(Activity::Idle),
            ending: Cell::new(None),
            cancel: CancelFlag::default(),
            waker: Cell::new(None),
            fenced: Cell::new(false),
            asking: Cell::new(false),
        });
        place.insert(handle.clone());
        Some(Entry {
            registry: self.clone(),
            handle,
        })
    }

    /// The key that cancels a session's statements.
    pub fn cancel_key(&self, handle: &Handle) -> super::cancel_key::CancelKey {
        self.secret.key(handle.pid, handle.serial)
    }

    /// CancelRequest: stops the statement if the key is the session's. Nobody is told which it was.
    pub fn cancel(&self, place: u32, key: &[u8]) {
        let handle = self.sessions.borrow().get(place as usize).cloned();
        if let Some(handle) = handle
            && self.cancel_key(&handle).matches(key)
        {
            handle.cancel(CancelReason::User);
        }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many have logged in since the start.
    pub fn logins(&self) -> u64 {
        self.logins.get()
    }

    /// Each session; the list is copied first, so that the callback may end sessions.
    pub fn for_each(&self, mut visit: impl FnMut(&Rc<Handle>)) {
        let sessions: Vec<_> = self
            .sessions
            .borrow()
            .iter()
            .map(|(_, handle)| handle.clone())
            .collect();
        for handle in &sessions {
            visit(handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::identity::Method;
    use crate::catalog::{DatabaseId, PrincipalId, TenantId};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn registry() -> Rc<Registry> {
        let secret = CancelSecret::random(&ring::rand::SystemRandom::new());
        Rc::new(Registry::new(3, secret))
    }

    fn enter(registry: &Rc<Registry>) -> Entry {
        let identity = Identity {
            principal: PrincipalId(7),
            name: Arc::from("alice"),
            tenant: TenantId::SYSTEM,
            database: DatabaseId(1),
            method: Method::Scram,
            key: None,
            claims: None,
            ends_at: None,
        };
        let peer = "127.0.0.1:1".parse().expect("an address");
        registry
            .enter(Arc::new(identity), peer, None)
            .expect("there is room")
    }

    #[test]
    fn cancel_needs_the_key_and_a_running_statement() {
        let registry = registry();
        let entry = enter(&registry);
        let place = entry.pid().place;
        let key = registry.cancel_key(&entry);
        registry.cancel(place, key.bytes(2));
        entry.begin_statement();
        assert_eq!(entry.cancel_flag().reason(), None, "it was idle then");
        registry.cancel(place, &[0; 4]);
        assert_eq!(entry.cancel_flag().reason(), None, "a wrong key");
        registry.cancel(place, key.bytes(0));
        assert_eq!(entry.cancel_flag().reason(), Some(CancelReason::User));
        entry.begin_statement();
        assert_eq!(entry.cancel_flag().reason(), None, "the next statement");
    }

    #[test]
    fn a_place_taken_again_has_another_key() {
        let registry = registry();
        let first = enter(&registry);
        let key = registry.cancel_key(&first);
        let place = first.pid().place;
        drop(first);
        let second = enter(&registry);
        assert_eq!(second.pid().place, place);
        second.begin_statement();
        registry.cancel(place, key.bytes(2));
        assert_eq!(second.cancel_flag().reason(), None);
    }

    #[test]
    fn ending_wakes_an_idle_session_and_stops_a_running_one() {
        let registry = registry();
        let entry = enter(&registry);
        let count = Arc::new(Count(AtomicUsize::new(0)));
        entry.listen(&Waker::from(count.clone()));
        entry.end(EndReason::Shutdown);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(entry.ending(), Some(EndReason::Shutdown));
        entry.begin_statement();
        assert_eq!(entry.cancel_flag().reason(), Some(CancelReason::SessionEnd));
        entry.end(EndReason::IdleSession);
        assert_eq!(entry.ending(), Some(EndReason::Shutdown), "the first stays");
    }

    #[test]
    fn a_session_that_has_gone_is_out_of_the_registry() {
        let registry = registry();
        let entry = enter(&registry);
        assert_eq!((registry.len(), registry.logins()), (1, 1));
        drop(entry);
        assert_eq!((registry.len(), registry.logins()), (0, 1));
    }
}
