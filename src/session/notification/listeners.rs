//! Which sessions of this core listen to what.

use super::inbox::Delivered;
use super::queue::{Batch, Queue};
use crate::catalog::DatabaseId;
use crate::session::end::EndReason;
use crate::session::registry::Handle;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

/// The listeners of one channel, by their places in the registry.
type Channel = HashMap<u32, Rc<Handle>>;

/// Which sessions of this core listen to what.
pub struct Listeners {
    queue: Queue,
    databases: RefCell<HashMap<DatabaseId, HashMap<Arc<str>, Channel>>>,
}

impl Listeners {
    /// Nobody yet.
    pub fn new(queue: Queue) -> Listeners {
        Listeners {
            queue,
            databases: RefCell::default(),
        }
    }

    /// A session listens to a channel of its database, from this place of the queue on.
    pub fn add(&self, handle: &Rc<Handle>, channel: &Arc<str>, from: u64) {
        let mut inbox = handle.inbox().borrow_mut();
        if inbox.is_none() {
            self.queue.count_listener(true);
        }
        let inbox = inbox.get_or_insert_default();
        inbox.channels.entry(channel.clone()).or_insert(from);
        let mut databases = self.databases.borrow_mut();
        let channels = databases.entry(handle.identity().database).or_default();
        let listeners = channels.entry(channel.clone()).or_default();
        listeners.insert(handle.pid().place, handle.clone());
    }

    /// A session listens to these and to nothing else.
    pub fn retain(&self, handle: &Rc<Handle>, wanted: &BTreeSet<Arc<str>>) {
        let mut slot = handle.inbox().borrow_mut();
        let Some(inbox) = slot.as_mut() else { return };
        let mut databases = self.databases.borrow_mut();
        let database = handle.identity().database;
        let gone: Vec<_> = inbox.channels.keys().cloned().collect();
        for channel in gone.iter().filter(|channel| !wanted.contains(*channel)) {
            inbox.channels.remove(channel);
            let Some(channels) = databases.get_mut(&database) else {
                continue;
            };
            if let Some(listeners) = channels.get_mut(channel) {
                listeners.remove(&handle.pid().place);
                if listeners.is_empty() {
                    channels.remove(channel);
                }
            }
            if channels.is_empty() {
                databases.remove(&database);
            }
        }
        // What has come before it was UNLISTENed is still sent, as PostgreSQL does.
        if inbox.channels.is_empty() && inbox.is_empty() {
            *slot = None;
            self.queue.count_listener(false);
        }
    }

    /// A session has gone, or goes to another database.
    pub fn leave(&self, handle: &Rc<Handle>) {
        if handle.inbox().borrow().is_none() {
            return;
        }
        self.retain(handle, &BTreeSet::new());
        if handle.inbox().take().is_some() {
            self.queue.count_listener(false);
        }
    }

    /// Puts a transaction's notifications into the inboxes of those who listen. One that does not
    /// take what waits for it is ended.
    pub fn hand_on(&self, place: u64, batch: &Batch) {
        let databases = self.databases.borrow();
        let Some(channels) = databases.get(&batch.database) else {
            return;
        };
        let mut woken = Vec::new();
        for notification in &batch.notifications {
            for handle in channels
                .get(&notification.channel)
                .into_iter()
                .flat_map(Channel::values)
            {
                let mut inbox = handle.inbox().borrow_mut();
                let Some(inbox) = inbox.as_mut() else {
                    continue;
                };
                let from = inbox.channels.get(&notification.channel);
                if from.is_none_or(|from| place < *from) || handle.ending().is_some() {
                    continue;
                }
                let delivered = Delivered {
                    pid: batch.pid,
                    notification: notification.clone(),
                };
                if inbox.is_empty() {
                    woken.push(handle.clone());
                }
                if inbox.push(delivered).is_err() && handle.end(EndReason::NotificationsUntaken) {
                    tracing::warn!(
                        session = %handle.id(),
                        user = &*handle.identity().name,
                        channel = &*notification.channel,
                        "a session that listens and does not take its notifications is ended"
                    );
                }
            }
        }
        for handle in woken {
            handle.notice();
        }
    }
}
