//! LISTEN, NOTIFY and UNLISTEN (PostgreSQL 15, part VI).
//!
//! NOTIFY lies with its transaction until COMMIT. The commit thread then puts it into one queue for
//! all cores, in the order of commits, as each becomes durable; the session's core tells the others
//! that there is something, and each hands on what its own sessions listen for. A session is sent
//! them between transactions: at once where it is idle. One that does not take them is ended before
//! it keeps more than [`UNTAKEN_BYTES_MAX`]; nobody waits for it.

mod inbox;
mod listeners;
mod queue;

pub use inbox::{Delivered, Inbox, UNTAKEN_BYTES_MAX};
pub use listeners::Listeners;
pub use queue::{Batch, Queue};

use super::services::CoreServices;
use super::transaction::Block;
use super::{Answer, Protocol, Session, Signal};
use crate::diagnostic::Diagnostic;
use crate::engine::notification::{Notification, check_channel};
use crate::engine::outcome::CommandTag;
use shards::CoreId;
use std::sync::Arc;

/// Batches handed on before the core's other tasks have their turn: each finds its sessions by a
/// look-up.
const BATCHES_A_SLICE_MAX: usize = 64;

/// LISTEN and UNLISTEN, in force with COMMIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listening {
    /// LISTEN
    To(Arc<str>),
    /// UNLISTEN
    NotTo(Arc<str>),
    /// UNLISTEN *
    ToNothing,
}

impl CoreServices {
    /// There may be notifications in the queue that this core has not handed on.
    pub(super) async fn hand_on_notifications(&self) {
        let queue = &self.parts.notifications;
        loop {
            let batches = queue.take(self.parts.core, BATCHES_A_SLICE_MAX);
            if batches.is_empty() {
                return;
            }
            for (place, batch) in &batches {
                self.sessions.listeners().hand_on(*place, batch);
            }
            shards::yield_now().await;
        }
    }
}

impl Session {
    /// NOTIFY
    ///
    /// # Errors
    /// 22023, 54000
    pub(super) fn run_notify(
        &mut self,
        channel: &str,
        payload: Option<&str>,
    ) -> Result<Answer, Diagnostic> {
        let notification = Notification::new(channel, payload.unwrap_or_default())?;
        self.open()?;
        let effects = self.effects.get_or_insert_default();
        let mut told = effects.told.lock();
        let turn = told.turn();
        told.push(turn, notification)?;
        Ok(Answer::Done(CommandTag::Plain("NOTIFY")))
    }

    /// LISTEN and UNLISTEN: noted until COMMIT.
    ///
    /// # Errors
    /// 22023 for what is no channel; 0A000 over protocols that have no message for it.
    pub(super) fn run_listen(&mut self, listening: Listening) -> Result<Answer, Diagnostic> {
        let tag = match &listening {
            Listening::To(channel) => {
                check_channel(channel)?;
                match self.entry.protocol() {
                    Protocol::Pgwire => "LISTEN",
                    Protocol::Http => return Err(Diagnostic::unsupported("LISTEN over HTTP")),
                    Protocol::Native => {
                        return Err(Diagnostic::unsupported("LISTEN over the native protocol"));
                    }
                }
            }
            Listening::NotTo(_) | Listening::ToNothing => "UNLISTEN",
        };
        self.open()?.listenings.push(listening);
        Ok(Answer::Done(CommandTag::Plain(tag)))
    }

    /// Before COMMIT: what the transaction listens to is heard from here on, its own too.
    pub(super) fn begin_to_listen(&self, listenings: &[Listening]) {
        let from = self.services.parts.notifications.end();
        for listening in listenings {
            if let Listening::To(channel) = listening {
                let listeners = self.services.sessions.listeners();
                listeners.add(&self.entry, channel, from);
            }
        }
    }

    /// After COMMIT: exactly what it said is listened to.
    pub(super) fn settle_listening(&mut self, listenings: Vec<Listening>) {
        if listenings.is_empty() {
            return;
        }
        for listening in listenings {
            match listening {
                Listening::To(channel) => self.named.listen(channel),
                Listening::NotTo(channel) => self.named.unlisten(Some(&channel)),
                Listening::ToNothing => self.named.unlisten(None),
            }
        }
        self.keep_listening();
    }

    /// Nothing is listened to but what is listed: after COMMIT has failed, or UNLISTEN.
    pub(super) fn keep_listening(&self) {
        let channels = self.named.channels();
        let listeners = self.services.sessions.listeners();
        listeners.retain(&self.entry, &channels);
    }

    /// What the transaction tells, ready to be put into the queue when it is durable; None: nothing,
    /// or nobody listens.
    ///
    /// # Errors
    /// 54000 when the queue is full.
    pub(super) fn batch_to_publish(&self) -> Result<Option<Batch>, Diagnostic> {
        let Some(effects) = &self.effects else {
            return Ok(None);
        };
        let mut told = effects.told.lock();
        // Taken in any case, so that the next turn begins.
        let batch = Batch {
            database: self.identity.database,
            pid: self.entry.pid().number(),
            notifications: told.take(),
        };
        let queue = &self.services.parts.notifications;
        if batch.notifications.is_empty() || !queue.is_listened_to() {
            return Ok(None);
        }
        queue.admit(&batch)?;
        Ok(Some(batch))
    }

    /// The transaction is durable, and what it tells is in the queue: the other cores are told, and
    /// what is for this session is in its inbox.
    pub(super) async fn announce_notifications(&self) {
        let services = &self.services;
        for core in 0..services.parts.cores {
            if CoreId(core) != services.parts.core {
                (services.parts.send)(CoreId(core), Signal::Notified);
            }
        }
        services.hand_on_notifications().await;
    }

    /// Whether notifications may be sent now: between two transactions, as PostgreSQL does.
    pub fn is_between_transactions(&self) -> bool {
        matches!(self.block, Block::None)
    }
}
