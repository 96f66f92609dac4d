//! What the cores count of their sessions, for /metrics: each in cells of its own.

use super::Protocol;
use crate::auth::identity::Method;
use crate::telemetry::Metrics;
use crate::telemetry::histogram::{Histogram, Labelled, Observer};
use crate::telemetry::metrics::{CoreCell, Family, Kind, PerCore};
use std::time::Duration;

const PROTOCOLS: [Protocol; 3] = [Protocol::Pgwire, Protocol::Http, Protocol::Native];

const METHODS: [Method; 5] = [
    Method::Certificate,
    Method::Jwt,
    Method::ApiKey,
    Method::Scram,
    Method::Password,
];

/// Of all cores. Cloning shares.
#[derive(Clone)]
pub struct Figures {
    sessions: [PerCore; 3],
    logins: [PerCore; 5],
    /// The last of those that presented nothing, or nothing of a kind that is known.
    refused: [PerCore; 6],
    login_time: [Histogram; 5],
    statement_time: [Histogram; 3],
}

/// One core's.
pub struct CoreFigures {
    sessions: [CoreCell; 3],
    logins: [CoreCell; 5],
    refused: [CoreCell; 6],
    login_time: [Observer; 5],
    statement_time: [Observer; 3],
}

impl Figures {
    /// Nothing yet, of so many cores.
    pub fn new(cores: usize) -> Figures {
        Figures {
            sessions: std::array::from_fn(|_| PerCore::new(cores)),
            logins: std::array::from_fn(|_| PerCore::new(cores)),
            refused: std::array::from_fn(|_| PerCore::new(cores)),
            login_time: std::array::from_fn(|_| Histogram::new(cores)),
            statement_time: std::array::from_fn(|_| Histogram::new(cores)),
        }
    }

    /// Those of a core, for it alone.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn of_core(&self, core: usize) -> CoreFigures {
        CoreFigures {
            sessions: self.sessions.each_ref().map(|cells| cells.cell(core)),
            logins: self.logins.each_ref().map(|cells| cells.cell(core)),
            refused: self.refused.each_ref().map(|cells| cells.cell(core)),
            login_time: self.login_time.each_ref().map(|it| it.observer(core)),
            statement_time: self.statement_time.each_ref().map(|it| it.observer(core)),
        }
    }

    /// Shows them.
    pub fn register(&self, metrics: &Metrics) {
        let sessions = self.sessions.clone();
        metrics.family(Family {
            kind: Kind::Gauge,
            name: "sessions",
            help: "Sessions by core and protocol",
            labels: ["protocol", "core"],
            read: Box::new(move || {
                let by_protocol = PROTOCOLS.iter().zip(&sessions);
                let lines = by_protocol.flat_map(|(protocol, cells)| {
                    let by_core = cells.values().enumerate();
                    by_core.map(|(core, count)| {
                        ([protocol.as_str().to_owned(), core.to_string()], count)
                    })
                });
                lines.collect()
            }),
        });
        let (logins, refused) = (self.logins.clone(), self.refused.clone());
        metrics.family(Family {
            kind: Kind::Counter,
            name: "logins",
            help: "Attempts to log in by method and outcome; the next request of one connection is none of its own",
            labels: ["method", "outcome"],
            read: Box::new(move || {
                let names = METHODS.map(|method| method.as_str());
                let of = |outcome: &str, cells: &[PerCore]| {
                    let names = names.iter().chain(&["none"]);
                    let lines = names.zip(cells).map(|(method, cells)| {
                        let labels = [(*method).to_owned(), outcome.to_owned()];
                        (labels, cells.values().sum())
                    });
                    lines.collect::<Vec<_>>()
                };
                [of("success", &logins), of("refused", &refused)].concat()
            }),
        });
        metrics.histograms(
            "login_seconds",
            "From a client's first word about who it is until its session; over HTTP the session alone",
            labelled("method", METHODS.map(|it| it.as_str()), &self.login_time),
        );
        metrics.histograms(
            "statement_seconds",
            "How long messages with statements took, the sending of their rows included",
            labelled(
                "protocol",
                PROTOCOLS.map(Protocol::as_str),
                &self.statement_time,
            ),
        );
    }
}

fn labelled<const COUNT: usize>(
    name: &'static str,
    values: [&'static str; COUNT],
    histograms: &[Histogram; COUNT],
) -> Vec<Labelled> {
    let each = values.into_iter().zip(histograms);
    let each = each.map(|(value, histogram)| Labelled {
        label: Some((name, value)),
        histogram: histogram.clone(),
    });
    each.collect()
}

impl CoreFigures {
    /// How many sessions of a protocol there are.
    pub(super) fn set_sessions(&self, protocol: Protocol, count: usize) {
        self.sessions[protocol as usize].set(count as u64);
    }

    /// Somebody has come in.
    pub(super) fn logged_in(&self, method: Method, took: Duration) {
        self.logins[method as usize].add(1);
        self.login_time[method as usize].observe(took);
    }

    /// Somebody has not.
    pub(super) fn refused(&self, method: Option<Method>) {
        self.refused[method.map_or(METHODS.len(), |method| method as usize)].add(1);
    }

    /// What a client asked for is done.
    pub fn statement(&self, protocol: Protocol, took: Duration) {
        self.statement_time[protocol as usize].observe(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_protocols_stand_where_their_cells_are() {
        for (place, method) in METHODS.into_iter().enumerate() {
            assert_eq!(method as usize, place, "{method:?}");
        }
        for (place, protocol) in PROTOCOLS.into_iter().enumerate() {
            assert_eq!(protocol as usize, place, "{protocol:?}");
        }
    }

    #[test]
    fn each_count_is_shown_under_its_own_labels() {
        let (figures, metrics) = (Figures::new(2), Metrics::new());
        figures.register(&metrics);
        let core = figures.of_core(1);
        core.set_sessions(Protocol::Native, 3);
        core.logged_in(Method::Scram, Duration::from_millis(1));
        core.refused(Some(Method::ApiKey));
        core.refused(None);
        core.statement(Protocol::Http, Duration::from_micros(30));
        let text = metrics.render().expect("it prints");
        for line in [
            "nodedb_sessions{protocol=\"native\",core=\"1\"} 3",
            "nodedb_sessions{protocol=\"native\",core=\"0\"} 0",
            "nodedb_logins_total{method=\"scram-sha-256\",outcome=\"success\"} 1",
            "nodedb_logins_total{method=\"api_key\",outcome=\"refused\"} 1",
            "nodedb_logins_total{method=\"none\",outcome=\"refused\"} 1",
            "nodedb_logins_total{method=\"jwt\",outcome=\"success\"} 0",
            "nodedb_login_seconds_count{method=\"scram-sha-256\"} 1",
            "nodedb_statement_seconds_count{protocol=\"http\"} 1",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
    }
}
