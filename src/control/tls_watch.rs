//! Noticing that the files of `[server.tls]` have changed, and taking them into force (REFERENCE §3, §9).
//!
//! A thread of its own looks at them every few seconds, and at once when it is told to (SIGHUP). What
//! cannot be used changes nothing: the set in force stays, and the log, SHOW TLS and the metrics say
//! why. It tries again at each look then, for what was wrong may lie elsewhere than in the files.

use super::tls_files::{Stamps, TlsFault, TlsFiles};
use super::unix_micros;
use crate::audit::{Audit, Entry, Event, Source};
use crate::auth::tls::{InForce, Terms, TlsSet};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rustls::pki_types::UnixTime;
use std::io;
use std::time::Duration;

/// How often the files are looked at. REFERENCE §9 promises 15 s.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Nice of the thread: session cores come first (DESIGN §2).
const NICE: i32 = 10;

/// What is watched, and what for.
pub struct TlsWatch {
    /// The files.
    pub files: TlsFiles,
    /// As they were when the set in force was made of them.
    pub stamps: Stamps,
    /// What the configuration says beside them.
    pub terms: Terms,
    /// Where the newest set goes.
    pub in_force: InForce,
    /// Called on the thread when a new set is in force.
    pub changed: Box<dyn Fn() + Send>,
    /// Where it is recorded.
    pub audit: Audit,
}

/// Tells the thread to look now; it ends when this is dropped.
pub struct Nudge(Sender<()>);

impl Nudge {
    /// Never blocks: who has been told and has not yet looked need not be told again.
    pub fn look_now(&self) {
        let _ = self.0.try_send(());
    }
}

impl TlsWatch {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn(self) -> io::Result<Nudge> {
        let (nudge, nudges) = bounded(1);
        std::thread::Builder::new()
            .name("nodedb-tls".to_owned())
            .spawn(move || {
                if let Err(error) = rustix::process::nice(NICE) {
                    tracing::warn!(%error, "the TLS thread keeps the ordinary priority");
                }
                self.run(&nudges);
            })?;
        Ok(Nudge(nudge))
    }

    fn run(mut self, nudges: &Receiver<()>) {
        loop {
            let told = match nudges.recv_timeout(LOOK_INTERVAL) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // Looked at before they are read: what changes meanwhile is seen at the next look.
            let stamps = self.files.stamps();
            let again = self.in_force.status().failure.is_some();
            if told || again || stamps != self.stamps {
                self.stamps = stamps;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match self.newest() {
            Ok(set) => {
                let certificate = set.certificate();
                tracing::info!(
                    subject = certificate.subject,
                    serial = certificate.serial,
                    "the TLS files have been read again and are in force"
                );
                let entry = Entry::new(Event::Certificates, Source::Server)
                    .with("outcome", "in force")
                    .with("subject", &*certificate.subject)
                    .with("serial", &*certificate.serial);
                self.audit.record_own(entry);
                self.in_force.replace(set, unix_micros());
                (self.changed)();
            }
            Err(fault) => {
                let reason = fault.to_string();
                if self.in_force.refuse(reason.clone(), unix_micros()) {
                    tracing::warn!(
                        reason,
                        "the TLS files cannot be taken into force: the old ones stay"
                    );
                    let entry = Entry::new(Event::Certificates, Source::Server)
                        .with("outcome", "refused")
                        .with("reason", reason);
                    self.audit.record_own(entry);
                }
            }
        }
    }

    fn newest(&self) -> Result<TlsSet, TlsFault> {
        let material = self.files.read()?;
        let before = self.in_force.current();
        Ok(TlsSet::new(
            &material,
            self.terms,
            Some(&before),
            UnixTime::now(),
        )?)
    }
}
