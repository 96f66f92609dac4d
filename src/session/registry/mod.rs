//! The sessions of one core, so that others can reach them: cancellation, adoption, shutdown.
//!
//! A session holds its [`Handle`]; whoever wants something of it finds the handle here, leaves word
//! in it and wakes the session's task. Nothing here is shared between cores.

mod handle;
mod same_login;

pub use handle::{Activity, Asking, Handle, NoSessionId, SessionId};
pub use same_login::SameLogin;

use super::Protocol;
use super::cancel_key::{BackendPid, CancelSecret, SESSIONS_MAX};
use super::end::EndReason;
use super::figures::CoreFigures;
use super::notification::{Listeners, Queue};
use crate::access;
use crate::auth::identity::Identity;
use crate::auth::presented::Presented;
use crate::catalog::revocation::Counts;
use crate::engine::context::CancelReason;
use same_login::Logins;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// How a session has come.
pub struct Arrival {
    /// Where its client is.
    pub peer: SocketAddr,
    /// What its client speaks.
    pub protocol: Protocol,
    /// The client certificate that its connection has presented.
    pub certificate: Option<Rc<Presented>>,
    /// When, Unix microseconds.
    pub at: i64,
}

/// All sessions of one core.
pub struct Registry {
    core: u16,
    secret: CancelSecret,
    sessions: RefCell<Slab<Rc<Handle>>>,
    by_login: Logins,
    logins: Cell<u64>,
    by_protocol: [Cell<usize>; 3],
    figures: Rc<CoreFigures>,
    /// What changes of the catalog have ended and stopped since it was last asked.
    revoked: RefCell<Counts>,
    listeners: Listeners,
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
        let place = self.handle.pid().place as usize;
        self.handle.end_statement();
        self.registry.listeners.leave(&self.handle);
        let protocol = self.handle.protocol();
        self.registry.count(protocol, |sessions| sessions - 1);
        self.registry.by_login.remove(&self.handle);
        self.registry.sessions.borrow_mut().remove(place);
        self.handle.is_gone();
    }
}

impl Registry {
    /// Without sessions.
    pub fn new(
        core: u16,
        secret: CancelSecret,
        figures: Rc<CoreFigures>,
        notifications: Queue,
    ) -> Registry {
        Registry {
            core,
            secret,
            sessions: RefCell::new(Slab::new()),
            by_login: Logins::default(),
            logins: Cell::new(0),
            by_protocol: Default::default(),
            figures,
            revoked: RefCell::default(),
            listeners: Listeners::new(notifications),
        }
    }

    /// Takes a new session in; None when the core has all the sessions it can number. `valid_until` is
    /// when its login ends by the clock, Unix microseconds, as the catalog in force says.
    pub fn enter(
        self: &Rc<Self>,
        identity: Arc<Identity>,
        valid_until: Option<i64>,
        arrival: Arrival,
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
        let login = self.by_login.of(&identity, valid_until);
        self.count(arrival.protocol, |sessions| sessions + 1);
        let id = SessionId { pid, serial };
        let handle = Rc::new(Handle::new(id, arrival, identity, login));
        self.by_login.add(&handle);
        place.insert(handle.clone());
        Some(Entry {
            registry: self.clone(),
            handle,
        })
    }

    fn count(&self, protocol: Protocol, counted: impl FnOnce(usize) -> usize) {
        let sessions = &self.by_protocol[protocol as usize];
        sessions.set(counted(sessions.get()));
        self.figures.set_sessions(protocol, sessions.get());
    }

    /// Who listens to what.
    pub fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// After SET tenant or USE DATABASE: the same login elsewhere.
    pub fn move_to(&self, handle: &Rc<Handle>, identity: Arc<Identity>, valid_until: Option<i64>) {
        let login = self.by_login.of(&identity, valid_until);
        self.listeners.leave(handle);
        handle.set_identity(identity);
        // Where it is already: taken out as the last, it would take its login off the list.
        if Rc::ptr_eq(&login, &handle.same_login.borrow()) {
            return;
        }
        self.by_login.remove(handle);
        *handle.same_login.borrow_mut() = login;
        self.by_login.add(handle);
    }

    /// The key that cancels a session's statements.
    pub fn cancel_key(&self, handle: &Handle) -> super::cancel_key::CancelKey {
        self.secret.key(handle.pid(), handle.serial())
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

    /// The session of this id, if it is still there.
    pub fn session(&self, id: SessionId) -> Option<Rc<Handle>> {
        let sessions = self.sessions.borrow();
        let at_place = sessions.get(id.pid.place as usize);
        at_place.filter(|handle| handle.id() == id).cloned()
    }

    /// The session at this place.
    pub fn at(&self, place: u32) -> Option<Rc<Handle>> {
        self.sessions.borrow().get(place as usize).cloned()
    }

    /// The sessions by whom they are of.
    pub fn by_login(&self) -> Vec<Rc<SameLogin>> {
        self.by_login.all()
    }

    /// The logins whose time is up by now; each is given once.
    pub fn due(&self, now: i64) -> Vec<Rc<SameLogin>> {
        self.by_login.due(now)
    }

    /// When a login ends by the clock, as a newer catalog says.
    pub fn set_valid_until(&self, login: &Rc<SameLogin>, end: Option<i64>) {
        self.by_login.set_valid_until(login, end);
    }

    /// Ends a session whose credential or database is gone, and counts it.
    pub fn revoke(&self, handle: &Handle, reason: access::EndReason) {
        if handle.end(EndReason::Access(reason)) {
            let subject = reason.subject(&handle.identity());
            self.revoked.borrow_mut().session_ended(subject);
        }
    }

    /// Stops the statement of a session that may do less now, and counts it.
    pub fn narrow(&self, handle: &Handle) {
        handle.cancel(CancelReason::RightsNarrowed);
        let subject = access::EndReason::Dropped.subject(&handle.identity());
        self.revoked.borrow_mut().statement_cancelled(subject);
    }

    /// What has been ended and stopped since this was last asked.
    pub fn take_revoked(&self) -> Counts {
        self.revoked.take()
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
    use crate::session::figures::Figures;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn registry() -> Rc<Registry> {
        let secret = CancelSecret::random(&ring::rand::SystemRandom::new());
        let figures = Rc::new(Figures::new(4).of_core(3));
        Rc::new(Registry::new(3, secret, figures, Queue::new(4)))
    }

    fn identity(principal: u32, ends_at: Option<i64>) -> Arc<Identity> {
        Arc::new(Identity {
            principal: PrincipalId(principal),
            name: Arc::from("alice"),
            tenant: TenantId::SYSTEM,
            database: DatabaseId(1),
            method: Method::Scram,
            key: None,
            claims: None,
            ends_at,
        })
    }

    fn enter(registry: &Rc<Registry>) -> Entry {
        enter_as(registry, identity(7, None), None)
    }

    fn enter_as(
        registry: &Rc<Registry>,
        identity: Arc<Identity>,
        valid_until: Option<i64>,
    ) -> Entry {
        let arrival = Arrival {
            peer: "127.0.0.1:1".parse().expect("an address"),
            protocol: Protocol::Pgwire,
            certificate: None,
            at: 0,
        };
        registry
            .enter(identity, valid_until, arrival)
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

    #[test]
    fn sessions_of_one_login_are_found_together_and_a_login_without_any_is_forgotten() {
        let registry = registry();
        let mut entries: Vec<_> = (0..3).map(|_| enter(&registry)).collect();
        let other = enter_as(&registry, identity(8, None), None);
        let sizes = || {
            let mut sizes: Vec<_> = (registry.by_login().iter())
                .map(|login| (login.identity().principal.0, login.sessions().len()))
                .collect();
            sizes.sort_unstable();
            sizes
        };
        assert_eq!(sizes(), [(7, 3), (8, 1)]);
        entries.swap_remove(0);
        assert_eq!(sizes(), [(7, 2), (8, 1)]);
        for session in registry.by_login()[0].sessions().iter() {
            assert!(registry.session(session.id()).is_some());
        }
        registry.move_to(&other, identity(8, None), Some(9));
        assert_eq!(sizes(), [(7, 2), (8, 1)], "it goes where it is");
        assert_eq!(registry.due(9).len(), 1, "and ends in its time");
        registry.move_to(&other, identity(7, None), None);
        assert_eq!(sizes(), [(7, 3)]);
        drop((entries, other));
        assert_eq!(sizes(), []);
    }

    #[test]
    fn a_login_is_running_while_one_of_its_sessions_is_and_wherever_that_moves() {
        let registry = registry();
        let (first, second) = (enter(&registry), enter(&registry));
        let login = registry.by_login().remove(0);
        first.begin_statement();
        first.begin_statement();
        second.begin_statement();
        second.end_statement();
        assert!(login.is_running());
        registry.move_to(&first, identity(8, None), None);
        assert!(!login.is_running());
        let elsewhere = registry.by_login();
        let elsewhere = elsewhere.iter().find(|it| !Rc::ptr_eq(it, &login));
        assert!(elsewhere.expect("it has moved").is_running());
        registry.move_to(&first, identity(7, None), None);
        assert!(login.is_running());
        drop(first);
        assert!(!login.is_running(), "one that has gone runs nothing");
    }

    #[test]
    fn the_clock_gives_each_login_once_and_only_when_its_time_is_up() {
        let registry = registry();
        let forever = enter(&registry);
        let token = enter_as(&registry, identity(7, Some(50)), Some(50));
        let until = enter_as(&registry, identity(8, None), Some(60));
        let due = |now| {
            let due = registry.due(now);
            let ids = due.iter().map(|it| it.identity().principal.0.to_string());
            ids.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(due(49), "");
        assert_eq!(due(50), "7");
        assert_eq!(due(50), "");
        // VALID UNTIL is put off before it comes.
        let login = until.same_login.borrow().clone();
        registry.set_valid_until(&login, Some(70));
        assert_eq!(due(60), "");
        // Whoever leaves is not waited for.
        drop(until);
        assert_eq!(due(i64::MAX), "");
        drop((forever, token));
    }

    #[test]
    fn what_a_change_has_ended_is_counted_once_whoever_notices_first() {
        let registry = registry();
        let entry = enter(&registry);
        registry.revoke(&entry, access::EndReason::Dropped);
        registry.revoke(&entry, access::EndReason::Dropped);
        let ended = registry.take_revoked().take_all();
        assert_eq!((ended.sessions, ended.statements), (1, 0));
        assert!(registry.take_revoked().take_all().is_nothing());
    }
}
