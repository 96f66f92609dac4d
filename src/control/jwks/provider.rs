//! A provider as the fetcher has it, and what the log says of it.

use crate::audit::{Audit, Entry, Event, Source};
use crate::auth::jwks::{Circuit, Followed, Following, News, Outcome};
use futures::channel::oneshot;

/// One that is followed.
pub(super) struct Provider {
    /// Who.
    pub followed: Followed,
    /// What is known of its keys.
    pub following: Following,
    /// Tells it from one that had its id before.
    pub generation: u64,
    /// Whoever is told how the fetch under way ends.
    pub waiting: Vec<oneshot::Sender<Outcome>>,
}

impl Provider {
    /// How a fetch has ended.
    pub fn log(&self, news: News, reason: Option<&str>, audit: &Audit) {
        self.record(news, reason, audit);
        let (provider, issuer) = (&*self.followed.name, &*self.followed.issuer);
        let Some(keys) = self.following.keys() else {
            tracing::warn!(
                provider,
                issuer,
                reason,
                "a provider's keys cannot be fetched: there are none"
            );
            return;
        };
        let count = keys.len();
        match news {
            News::NewKeys => {
                tracing::info!(provider, issuer, ?keys, "a provider's keys are in force");
                for skipped in keys.skipped() {
                    let (place, reason) = (skipped.place, skipped.reason);
                    tracing::info!(provider, place, %reason, "a key is left out");
                }
            }
            News::SameKeys => {
                tracing::debug!(provider, issuer, count, "a provider's keys are the same")
            }
            News::Failed => {
                let text = "a provider's keys cannot be fetched: the old ones stay";
                tracing::warn!(provider, issuer, reason, count, "{text}");
            }
        }
    }

    /// New keys and failures; that a provider shows the same keys again every hour is no news.
    fn record(&self, news: News, reason: Option<&str>, audit: &Audit) {
        let outcome = match news {
            News::NewKeys => "in force",
            News::Failed => "failed",
            News::SameKeys => return,
        };
        let keys = self.following.keys().map_or(0, |keys| keys.len());
        let entry = Entry::new(Event::ProviderKeys, Source::Server)
            .with("provider", &*self.followed.name)
            .with("issuer", &*self.followed.issuer)
            .with("outcome", outcome)
            .with("keys", keys.to_string())
            .with_some("reason", reason);
        audit.record_own(entry);
    }

    /// What has become of the breaker, if anything has.
    pub fn log_circuit(&self, before: Circuit, audit: &Audit) {
        let now = self.following.circuit();
        if now == before {
            return;
        }
        if now.name() != before.name() {
            let entry = Entry::new(Event::ProviderCircuit, Source::Server)
                .with("provider", &*self.followed.name)
                .with("circuit", now.name())
                .with("was", before.name());
            audit.record_own(entry);
        }
        let (provider, circuit, was) = (&*self.followed.name, now.name(), before.name());
        match now {
            Circuit::Open { .. } => {
                tracing::warn!(
                    provider,
                    circuit,
                    was,
                    "a provider has failed too often: it is left alone"
                );
            }
            _ => tracing::info!(
                provider,
                circuit,
                was,
                "a provider's circuit breaker has changed"
            ),
        }
    }

    /// Its keys have been taken away.
    pub fn log_stale(&self) {
        let provider = &*self.followed.name;
        tracing::warn!(
            provider,
            "a provider's keys are too old: its tokens are refused from now on"
        );
    }
}
