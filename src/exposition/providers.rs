//! What /metrics shows of identity providers and their keys: a line for each provider.

use crate::auth::jwks::{Circuit, InForce, KeySets};
use crate::catalog::PrincipalId;
use crate::telemetry::Metrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

/// Registers what is known of each provider's keys; `clock` tells Unix microseconds.
pub fn register(metrics: &Metrics, sets: KeySets, clock: fn() -> i64) {
    metrics.collect(Providers { sets, clock });
}

struct Providers {
    sets: KeySets,
    clock: fn() -> i64,
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Providers")
    }
}

/// One line of each provider: whose, and its value where there is one.
type Line = (&'static str, &'static str, fn(&InForce, i64) -> Option<i64>);

const GAUGES: [Line; 4] = [
    (
        "provider_keys",
        "Keys of a provider that verify",
        |it, now| {
            let fresh = it.keys.as_ref().filter(|_| now < it.good_until);
            Some(fresh.map_or(0, |keys| whole(keys.len())))
        },
    ),
    (
        "provider_keys_age_seconds",
        "Since a provider's keys were fetched",
        |it, now| {
            let fetched_at = it.status.last_refresh?;
            Some((now - fetched_at).max(0) / 1_000_000)
        },
    ),
    (
        "provider_circuit",
        "A provider's circuit breaker: 0 closed, 1 half-open, 2 open",
        |it, _| {
            Some(match it.status.circuit {
                Circuit::Closed => 0,
                Circuit::HalfOpen => 1,
                Circuit::Open { .. } => 2,
            })
        },
    ),
    (
        "provider_failures_in_a_row",
        "Fetches of a provider's keys that have failed since one has not",
        |it, _| Some(i64::from(it.status.failures_in_a_row)),
    ),
];

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Collector for Providers {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let (all, now) = (self.sets.all(), (self.clock)());
        let (name, help) = (
            "provider_fetches",
            "Fetches of a provider's keys by how they ended",
        );
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (id, it) in &all {
            let outcomes = [
                ("success", it.status.successes),
                ("failure", it.status.failures),
            ];
            for (outcome, count) in outcomes {
                print(
                    &mut metric,
                    *id,
                    it,
                    Some(outcome),
                    ConstCounter::new(count),
                )?;
            }
        }
        for (name, help, value) in GAUGES {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (id, it) in &all {
                if let Some(value) = value(it, now) {
                    print(&mut metric, *id, it, None, ConstGauge::new(value))?;
                }
            }
        }
        Ok(())
    }
}

/// One provider's line. Names are a tenant's own; the id tells two of one name apart.
fn print(
    metric: &mut MetricEncoder<'_>,
    id: PrincipalId,
    in_force: &InForce,
    outcome: Option<&str>,
    value: impl EncodeMetric,
) -> Result<(), fmt::Error> {
    let id = id.0.to_string();
    let [name, id] = [("provider", &*in_force.status.name), ("id", &*id)];
    match outcome {
        None => value.encode(metric.encode_family(&[name, id])?),
        Some(outcome) => value.encode(metric.encode_family(&[name, id, ("outcome", outcome)])?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwks::{KeySet, Status};
    use crate::auth::jwt::signer::{Kind, Signer, key_set};
    use std::sync::Arc;

    const NOW: i64 = 1_800_000_000_000_000;

    fn in_force(name: &str, circuit: Circuit, good_until: i64) -> InForce {
        let document = key_set(&[&Signer::new(Kind::Es256, "one")]);
        let keys = KeySet::parse(document.as_bytes()).expect("a key set");
        InForce {
            keys: Some(Arc::new(keys)),
            good_until,
            status: Status {
                name: Arc::from(name),
                last_refresh: Some(NOW - 90_000_000),
                next_refresh: NOW,
                circuit,
                failures_in_a_row: 5,
                successes: 7,
                failures: 9,
                reason: None,
                keys_skipped: 0,
            },
        }
    }

    #[test]
    fn each_provider_has_its_lines() {
        let (metrics, sets) = (Metrics::new(), KeySets::default());
        register(&metrics, sets.clone(), || NOW);
        sets.publish(PrincipalId(7), in_force("auth0", Circuit::Closed, NOW + 1));
        let open = Circuit::Open { until: NOW };
        sets.publish(PrincipalId(8), in_force("okta", open, NOW));
        let text = metrics.render().expect("it prints");
        let lines: Vec<&str> = text.lines().filter(|it| !it.starts_with('#')).collect();
        let expected = [
            "nodedb_provider_fetches_total{provider=\"auth0\",id=\"7\",outcome=\"success\"} 7",
            "nodedb_provider_fetches_total{provider=\"auth0\",id=\"7\",outcome=\"failure\"} 9",
            "nodedb_provider_fetches_total{provider=\"okta\",id=\"8\",outcome=\"success\"} 7",
            "nodedb_provider_fetches_total{provider=\"okta\",id=\"8\",outcome=\"failure\"} 9",
            "nodedb_provider_keys{provider=\"auth0\",id=\"7\"} 1",
            "nodedb_provider_keys{provider=\"okta\",id=\"8\"} 0",
            "nodedb_provider_keys_age_seconds{provider=\"auth0\",id=\"7\"} 90",
            "nodedb_provider_keys_age_seconds{provider=\"okta\",id=\"8\"} 90",
            "nodedb_provider_circuit{provider=\"auth0\",id=\"7\"} 0",
            "nodedb_provider_circuit{provider=\"okta\",id=\"8\"} 2",
            "nodedb_provider_failures_in_a_row{provider=\"auth0\",id=\"7\"} 5",
            "nodedb_provider_failures_in_a_row{provider=\"okta\",id=\"8\"} 5",
        ];
        assert_eq!(lines, expected);
    }
}
