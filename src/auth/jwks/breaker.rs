//! The circuit breaker of one provider (REFERENCE §3 "JWKS"): who has failed five times in a row is
//! left alone for a while, longer each time, and then asked once.

/// Failures in a row that open it.
pub const FAILURES_TO_OPEN: u32 = 5;

/// How long it stays open the first time, in microseconds.
pub const OPEN_FOR_MIN: i64 = 30 * 1_000_000;

/// And at most, after it has doubled a few times.
pub const OPEN_FOR_MAX: i64 = 600 * 1_000_000;

/// What it lets through. Times are Unix microseconds.
///
/// ```text
///          5 failures in a row            its time is over
///  Closed ────────────────────▶ Open ──────────────────────▶ HalfOpen
///    ▲  ▲                        ▲                           │    │
///    │  └──── success ───────────┼───────────────────────────┘    │
///    └─ success (failures = 0)   └──── failure: twice as long ────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// Everything.
    Closed,
    /// Nothing before then.
    Open {
        /// When one attempt is let through.
        until: i64,
    },
    /// One attempt, which is under way.
    HalfOpen,
}

impl Circuit {
    /// What it is called in SHOW OIDC PROVIDERS and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Circuit::Closed => "closed",
            Circuit::Open { .. } => "open",
            Circuit::HalfOpen => "half-open",
        }
    }
}

/// One provider's.
#[derive(Clone, Debug)]
pub struct Breaker {
    circuit: Circuit,
    failures: u32,
    open_for: i64,
}

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker {
            circuit: Circuit::Closed,
            failures: 0,
            open_for: OPEN_FOR_MIN,
        }
    }
}

impl Breaker {
    /// As it stands; an open one whose time is over still says so until it is asked.
    pub fn circuit(&self) -> Circuit {
        self.circuit
    }

    /// Failures since the last success.
    pub fn failures_in_a_row(&self) -> u32 {
        self.failures
    }

    /// Whether a fetch may begin now. An open breaker whose time is over lets one through, the probe.
    pub fn admits(&self, now: i64) -> bool {
        match self.circuit {
            Circuit::Closed => true,
            Circuit::HalfOpen => false,
            // A clock set back must not keep it open for longer than it ever is.
            Circuit::Open { until } => now >= until || until - now > self.open_for,
        }
    }

    /// A fetch begins: it was admitted, or an operator orders it all the same.
    pub fn begins(&mut self) {
        if let Circuit::Open { .. } = self.circuit {
            self.circuit = Circuit::HalfOpen;
        }
    }

    /// A fetch has brought keys.
    pub fn succeeded(&mut self) {
        *self = Breaker::default();
    }

    /// A fetch has failed.
    pub fn failed(&mut self, now: i64) {
        self.failures = self.failures.saturating_add(1);
        match self.circuit {
            Circuit::HalfOpen => {
                self.open_for = (self.open_for * 2).min(OPEN_FOR_MAX);
                self.open(now);
            }
            _ if self.failures >= FAILURES_TO_OPEN => self.open(now),
            _ => {}
        }
    }

    fn open(&mut self, now: i64) {
        let until = now + self.open_for;
        self.circuit = Circuit::Open { until };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for second in 0..5 {
            assert!(breaker.admits(second * SECOND));
            breaker.failed(second * SECOND);
        }
        breaker
    }

    #[test]
    fn four_failures_leave_it_closed_and_the_fifth_opens_it_for_thirty_seconds() {
        let mut breaker = Breaker::default();
        for second in 0..4 {
            breaker.failed(second * SECOND);
            assert_eq!(breaker.circuit(), Circuit::Closed);
        }
        breaker.failed(4 * SECOND);
        let until = 34 * SECOND;
        assert_eq!(breaker.circuit(), Circuit::Open { until });
        assert!(!breaker.admits(until - 1));
        assert!(breaker.admits(until));
        breaker.begins();
        assert_eq!(breaker.circuit(), Circuit::HalfOpen);
    }

    #[test]
    fn a_success_begins_the_count_anew() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            breaker.failed(0);
        }
        breaker.succeeded();
        for _ in 0..4 {
            breaker.failed(0);
        }
        assert_eq!(breaker.circuit(), Circuit::Closed);
        assert_eq!(breaker.failures_in_a_row(), 4);
    }

    #[test]
    fn half_open_it_lets_one_probe_through() {
        let mut breaker = opened();
        let now = 34 * SECOND;
        assert!(breaker.admits(now));
        breaker.begins();
        assert!(!breaker.admits(now), "one is under way");
        breaker.succeeded();
        assert_eq!(breaker.circuit(), Circuit::Closed);
        assert!(breaker.admits(now));
    }

    #[test]
    fn each_failed_probe_doubles_its_time_up_to_ten_minutes() {
        let mut breaker = opened();
        let mut lasted = Vec::new();
        let mut now = 4 * SECOND;
        for _ in 0..7 {
            let Circuit::Open { until } = breaker.circuit() else {
                panic!("it is open");
            };
            lasted.push((until - now) / SECOND);
            now = until;
            assert!(breaker.admits(now));
            breaker.begins();
            breaker.failed(now);
        }
        assert_eq!(lasted, [30, 60, 120, 240, 480, 600, 600]);
        breaker.succeeded();
        for _ in 0..5 {
            breaker.failed(now);
        }
        let until = now + OPEN_FOR_MIN;
        assert_eq!(breaker.circuit(), Circuit::Open { until }, "short again");
    }

    #[test]
    fn an_operators_fetch_is_the_probe_of_an_open_one() {
        let mut breaker = opened();
        breaker.begins();
        assert_eq!(breaker.circuit(), Circuit::HalfOpen);
        breaker.failed(10 * SECOND);
        let until = 70 * SECOND;
        assert_eq!(breaker.circuit(), Circuit::Open { until });
        breaker.begins();
        breaker.succeeded();
        assert_eq!(breaker.circuit(), Circuit::Closed);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let breaker = opened();
        assert!(breaker.admits(-3_600 * SECOND));
    }
}
