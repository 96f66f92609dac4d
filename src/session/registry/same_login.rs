//! The sessions of one login: what is decided over it is decided once, and when its time is up is known
//! without looking at anybody else.

use super::handle::{Activity, Handle};
use crate::auth::identity::Identity;
use crate::session::rights::Login;
use std::cell::{Cell, Ref, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

/// Sessions that may do the same, and end by the clock at the same time.
pub struct SameLogin {
    identity: Arc<Identity>,
    valid_until: Cell<Option<i64>>,
    sessions: RefCell<Vec<Rc<Handle>>>,
    running: Cell<usize>,
}

impl SameLogin {
    fn new(identity: Arc<Identity>, valid_until: Option<i64>) -> SameLogin {
        SameLogin {
            identity,
            valid_until: Cell::new(valid_until),
            sessions: RefCell::default(),
            running: Cell::new(0),
        }
    }

    /// Whose they are.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The sessions. Not to be held while one may begin or end.
    pub fn sessions(&self) -> Ref<'_, Vec<Rc<Handle>>> {
        self.sessions.borrow()
    }

    /// Whether one of them runs a statement.
    pub fn is_running(&self) -> bool {
        self.running.get() > 0
    }

    pub(super) fn one_more_runs(&self) {
        self.running.set(self.running.get() + 1);
    }

    pub(super) fn one_less_runs(&self) {
        self.running.set(self.running.get() - 1);
    }

    fn add(&self, handle: &Rc<Handle>) {
        let mut sessions = self.sessions.borrow_mut();
        handle.place_in_login.set(sessions.len());
        sessions.push(handle.clone());
        if handle.activity() == Activity::Running {
            self.one_more_runs();
        }
    }

    /// Takes one out; whether it was the last.
    fn remove(&self, handle: &Handle) -> bool {
        let mut sessions = self.sessions.borrow_mut();
        let place = handle.place_in_login.get();
        sessions.swap_remove(place);
        if let Some(moved) = sessions.get(place) {
            moved.place_in_login.set(place);
        }
        if handle.activity() == Activity::Running {
            self.one_less_runs();
        }
        sessions.is_empty()
    }
}

/// Who may do the same, with the end of its credential.
type Key = (Login, Option<i64>);

fn key_of(identity: &Identity) -> Key {
    (Login::of(identity), identity.ends_at)
}

/// All logins of a core's sessions.
#[derive(Default)]
pub(super) struct Logins {
    all: RefCell<HashMap<Key, Rc<SameLogin>>>,
    /// By when they end; the address tells those of the same time apart.
    clock: RefCell<BTreeMap<(i64, usize), Rc<SameLogin>>>,
}

impl Logins {
    /// Those of the identity, made where there are none yet.
    pub(super) fn of(&self, identity: &Arc<Identity>, valid_until: Option<i64>) -> Rc<SameLogin> {
        let mut all = self.all.borrow_mut();
        let login = all
            .entry(key_of(identity))
            .or_insert_with(|| Rc::new(SameLogin::new(identity.clone(), None)))
            .clone();
        drop(all);
        // The newest look at the catalog counts.
        self.set_valid_until(&login, valid_until);
        login
    }

    pub(super) fn add(&self, handle: &Rc<Handle>) {
        handle.same_login.borrow().add(handle);
    }

    pub(super) fn remove(&self, handle: &Handle) {
        let login = handle.same_login.borrow().clone();
        if login.remove(handle) {
            self.set_valid_until(&login, None);
            self.all.borrow_mut().remove(&key_of(&login.identity));
        }
    }

    pub(super) fn set_valid_until(&self, login: &Rc<SameLogin>, end: Option<i64>) {
        let before = login.valid_until.replace(end);
        if before == end {
            return;
        }
        let address = Rc::as_ptr(login).addr();
        let mut clock = self.clock.borrow_mut();
        if let Some(before) = before {
            clock.remove(&(before, address));
        }
        if let Some(end) = end {
            clock.insert((end, address), login.clone());
        }
    }

    /// Those whose time is up, taken off the clock.
    pub(super) fn due(&self, now: i64) -> Vec<Rc<SameLogin>> {
        let mut clock = self.clock.borrow_mut();
        let later = clock.split_off(&(now.saturating_add(1), 0));
        let due = std::mem::replace(&mut *clock, later);
        due.into_values()
            .inspect(|login| login.valid_until.set(None))
            .collect()
    }

    pub(super) fn all(&self) -> Vec<Rc<SameLogin>> {
        self.all.borrow().values().cloned().collect()
    }
}
