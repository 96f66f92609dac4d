//! One session as others reach it: who it is, what it does, and word left for it.

use super::Arrival;
use super::same_login::SameLogin;
use crate::auth::identity::Identity;
use crate::auth::presented::Presented;
use crate::engine::context::{CancelFlag, CancelReason};
use crate::session::Protocol;
use crate::session::cancel_key::BackendPid;
use crate::session::end::EndReason;
use crate::session::in_use::Held;
use crate::session::notification::{Delivered, Inbox};
use crate::session::transaction::Status;
use futures::channel::mpsc;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::str::FromStr;
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
    id: SessionId,
    arrival: Arrival,
    identity: RefCell<Arc<Identity>>,
    /// Whoever is decided over together with it, and its place among them.
    pub(super) same_login: RefCell<Rc<SameLogin>>,
    pub(super) place_in_login: Cell<usize>,
    activity: Cell<Activity>,
    /// Of the transaction that it waits in, as it last began to wait.
    resting_in: Cell<Status>,
    epoch: Cell<u64>,
    ending: Cell<Option<EndReason>>,
    cancel: CancelFlag,
    waker: Cell<Option<Waker>>,
    fenced: Cell<bool>,
    asking: Cell<bool>,
    /// What it does, counted against limits of statements; most have none.
    counted: RefCell<Option<Box<Held>>>,
    /// Whoever waits until it is gone: they hear of it by the end of their channel.
    waited_for: RefCell<Vec<mpsc::UnboundedSender<()>>>,
    /// What it listens to, and what waits for it; most listen to nothing.
    inbox: RefCell<Option<Box<Inbox>>>,
}

/// How SHOW SESSIONS and KILL SESSION name a session: where it is, and which of those that were there. Never
/// given again while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId {
    /// Its number: pg_backend_pid().
    pub pid: BackendPid,
    /// Its login's number on this core.
    pub serial: u64,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}", self.pid.number(), self.serial)
    }
}

/// A text that is no session's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSessionId;

impl FromStr for SessionId {
    type Err = NoSessionId;

    fn from_str(text: &str) -> Result<SessionId, NoSessionId> {
        let (number, serial) = text.split_once('.').ok_or(NoSessionId)?;
        let number = i32::from_str_radix(number, 16).map_err(|_| NoSessionId)?;
        Ok(SessionId {
            pid: BackendPid::from_number(number).ok_or(NoSessionId)?,
            serial: u64::from_str_radix(serial, 16).map_err(|_| NoSessionId)?,
        })
    }
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
    pub(super) fn new(
        id: SessionId,
        arrival: Arrival,
        identity: Arc<Identity>,
        same_login: Rc<SameLogin>,
    ) -> Handle {
        Handle {
            id,
            arrival,
            identity: RefCell::new(identity),
            same_login: RefCell::new(same_login),
            place_in_login: Cell::new(0),
            activity: Cell::new(Activity::Idle),
            resting_in: Cell::new(Status::Idle),
            epoch: Cell::new(0),
            ending: Cell::new(None),
            cancel: CancelFlag::default(),
            waker: Cell::new(None),
            fenced: Cell::new(false),
            asking: Cell::new(false),
            counted: RefCell::new(None),
            waited_for: RefCell::default(),
            inbox: RefCell::default(),
        }
    }

    /// What SHOW SESSIONS calls it.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Its number.
    pub fn pid(&self) -> BackendPid {
        self.id.pid
    }

    /// Its login's number on this core.
    pub fn serial(&self) -> u64 {
        self.id.serial
    }

    /// Where its client is.
    pub fn peer(&self) -> SocketAddr {
        self.arrival.peer
    }

    /// What its client speaks.
    pub fn protocol(&self) -> Protocol {
        self.arrival.protocol
    }

    /// When it began, Unix microseconds.
    pub fn connected_at(&self) -> i64 {
        self.arrival.at
    }

    /// The client certificate that its connection has presented.
    pub fn certificate(&self) -> Option<&Presented> {
        self.arrival.certificate.as_deref()
    }

    /// Who it is.
    pub fn identity(&self) -> Arc<Identity> {
        self.identity.borrow().clone()
    }

    pub(super) fn set_identity(&self, identity: Arc<Identity>) {
        *self.identity.borrow_mut() = identity;
    }

    /// The epoch that it goes by.
    pub fn epoch(&self) -> u64 {
        self.epoch.get()
    }

    /// It has looked at a newer catalog.
    pub fn set_epoch(&self, epoch: u64) {
        self.epoch.set(epoch);
    }

    /// What SHOW SESSIONS says that it is doing; PostgreSQL's words for it.
    pub fn state(&self) -> &'static str {
        match (
            self.ending.get(),
            self.activity.get(),
            self.resting_in.get(),
        ) {
            (Some(_), ..) => "ending",
            (None, Activity::Running, _) => "active",
            (None, Activity::Idle, Status::Idle) => "idle",
            (None, Activity::Idle, Status::InBlock) => "idle in transaction",
            (None, Activity::Idle, Status::Failed) => "idle in transaction (aborted)",
        }
    }

    /// It begins to wait for its client.
    pub fn rests_in(&self, status: Status) {
        self.resting_in.set(status);
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
        if self.activity.replace(Activity::Running) == Activity::Idle {
            self.same_login.borrow().one_more_runs();
        }
        self.cancel.clear();
        if self.ending.get().is_some() {
            self.cancel.set(CancelReason::SessionEnd);
        }
    }

    /// No statement runs any more.
    pub fn end_statement(&self) {
        if self.activity.replace(Activity::Idle) == Activity::Running {
            self.same_login.borrow().one_less_runs();
        }
        self.counted.take();
    }

    /// Whether what it does counts against a limit of statements already.
    pub fn is_counted(&self) -> bool {
        self.counted.borrow().is_some()
    }

    /// What it does counts against limits of statements, until [`Handle::end_statement`].
    pub fn count_until_it_ends(&self, held: Held) {
        *self.counted.borrow_mut() = Some(Box::new(held));
    }

    /// Stops the running statement; one that is not running is left alone.
    pub fn cancel(&self, reason: CancelReason) {
        if self.activity.get() == Activity::Running {
            self.cancel.set(reason);
            self.wake();
        }
    }

    /// Ends the session: at once when idle, by stopping its statement otherwise; from here on it runs
    /// no other. The first reason given stays; whether it is this one.
    pub fn end(&self, reason: EndReason) -> bool {
        let first = self.ending.get().is_none();
        if first {
            self.ending.set(Some(reason));
        }
        self.cancel(CancelReason::SessionEnd);
        self.wake();
        first
    }

    /// Lets somebody wait until it is gone: their channel ends then.
    pub fn wait_for(&self, channel: mpsc::UnboundedSender<()>) {
        self.waited_for.borrow_mut().push(channel);
    }

    pub(super) fn is_gone(&self) {
        self.waited_for.take();
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

    /// What it listens to, and what waits for it.
    pub fn inbox(&self) -> &RefCell<Option<Box<Inbox>>> {
        &self.inbox
    }

    /// Whether notifications wait that its client may be sent now: it is idle in no transaction.
    pub fn may_be_notified(&self) -> bool {
        let inbox = self.inbox.borrow();
        self.resting_in.get() == Status::Idle && inbox.as_ref().is_some_and(|it| !it.is_empty())
    }

    /// The next notification for its client.
    pub fn next_notification(&self) -> Option<Delivered> {
        self.inbox.borrow_mut().as_mut()?.pop()
    }

    /// A notification waits: an idle session sends it at once.
    pub fn notice(&self) {
        if self.activity.get() == Activity::Idle {
            self.wake();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_shown_and_nothing_else_is() {
        let pid = BackendPid { core: 1, place: 7 };
        let id = SessionId { pid, serial: 300 };
        assert_eq!(id.to_string(), "200008.12c");
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            "",
            "1",
            ".",
            "1.",
            ".1",
            "0.1",
            "x.1",
            "1.1.1",
            "80000000.1",
            "1.11111111111111111",
        ] {
            assert_eq!(text.parse::<SessionId>(), Err(NoSessionId), "{text:?}");
        }
    }
}
