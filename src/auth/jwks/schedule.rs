//! When a provider's keys are fetched again, and until when the old ones are good (REFERENCE §3 "JWKS").
//! Times are Unix microseconds, spans microseconds.

use std::ops::RangeInclusive;

const SECOND: i64 = 1_000_000;

/// What a provider's own Cache-Control may ask for.
pub const MAX_AGE: RangeInclusive<i64> = 300 * SECOND..=86_400 * SECOND;

/// Fetches for a `kid` that is not known: one in this time, for anybody can make one up.
pub const UNKNOWN_KID_WINDOW: i64 = 60 * SECOND;

/// Newer keys are due so long before the old ones are too old, or half of that time where it is less: a
/// provider that fails then is tried again before its tokens are refused.
pub const STALE_MARGIN: i64 = 3_600 * SECOND;

/// After a failure while the breaker is closed.
pub const RETRY_AFTER: i64 = 10 * SECOND;

/// `[auth.jwks]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// `refresh_secs`, where the provider says nothing.
    pub refresh: i64,
    /// `max_stale_secs`
    pub stale_after: i64,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms {
            refresh: 3_600 * SECOND,
            stale_after: 86_400 * SECOND,
        }
    }
}

/// One provider's.
#[derive(Clone, Debug)]
pub struct Schedule {
    terms: Terms,
    /// When it was last made, to see a clock that is set back.
    made_at: i64,
    next_at: i64,
    asked_for_kid_at: Option<i64>,
    fetched_at: Option<i64>,
}

impl Schedule {
    /// A first fetch is due at once.
    pub fn new(terms: Terms, now: i64) -> Schedule {
        Schedule {
            terms,
            made_at: now,
            next_at: now,
            asked_for_kid_at: None,
            fetched_at: None,
        }
    }

    /// Whether a fetch is due.
    pub fn is_due(&self, now: i64) -> bool {
        now >= self.next_at || now < self.made_at
    }

    /// When the next one is.
    pub fn next_at(&self) -> i64 {
        self.next_at
    }

    /// When the keys in use were fetched.
    pub fn fetched_at(&self) -> Option<i64> {
        self.fetched_at
    }

    /// Until when they verify; the past where there are none.
    pub fn good_until(&self) -> i64 {
        self.fetched_at
            .map_or(0, |at| at.saturating_add(self.terms.stale_after))
    }

    /// Keys have come; the provider lets them be kept so long.
    pub fn succeeded(&mut self, now: i64, max_age: Option<i64>) {
        let age = max_age.map(|age| age.clamp(*MAX_AGE.start(), *MAX_AGE.end()));
        let margin = STALE_MARGIN.min(self.terms.stale_after / 2);
        let age = age.unwrap_or(self.terms.refresh);
        self.fetched_at = Some(now);
        self.wait(now, age.min(self.terms.stale_after - margin));
    }

    /// Keys that were fetched earlier have been found on the disk: newer ones are due all the same.
    pub fn found(&mut self, fetched_at: i64) {
        self.fetched_at = Some(fetched_at);
    }

    /// None have come.
    pub fn failed(&mut self, now: i64) {
        self.wait(now, RETRY_AFTER);
    }

    /// Whether a fetch may be made for a `kid` that is not known.
    pub fn admits_unknown_kid(&self, now: i64) -> bool {
        self.asked_for_kid_at.is_none_or(|at| {
            let window = at..at + UNKNOWN_KID_WINDOW;
            !window.contains(&now)
        })
    }

    /// One is made.
    pub fn asks_for_kid(&mut self, now: i64) {
        self.asked_for_kid_at = Some(now);
    }

    fn wait(&mut self, now: i64, span: i64) {
        self.made_at = now;
        self.next_at = now.saturating_add(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000 * SECOND;

    fn schedule() -> Schedule {
        Schedule::new(Terms::default(), NOW)
    }

    #[test]
    fn the_first_fetch_is_due_at_once_and_the_next_in_an_hour() {
        let mut schedule = schedule();
        assert!(schedule.is_due(NOW));
        schedule.succeeded(NOW, None);
        assert!(!schedule.is_due(NOW + 3_600 * SECOND - 1));
        assert!(schedule.is_due(NOW + 3_600 * SECOND));
    }

    #[test]
    fn a_providers_cache_control_counts_between_five_minutes_and_a_day() {
        let terms = Terms {
            stale_after: 3 * 86_400 * SECOND,
            ..Terms::default()
        };
        let after = |max_age: i64| {
            let mut schedule = Schedule::new(terms, NOW);
            schedule.succeeded(NOW, Some(max_age));
            (schedule.next_at() - NOW) / SECOND
        };
        assert_eq!(after(0), 300);
        assert_eq!(after(299 * SECOND), 300);
        assert_eq!(after(301 * SECOND), 301);
        assert_eq!(after(86_399 * SECOND), 86_399);
        assert_eq!(after(86_401 * SECOND), 86_400);
        assert_eq!(after(i64::MAX), 86_400);
    }

    #[test]
    fn newer_keys_are_due_before_the_old_ones_are_too_old_whatever_the_provider_says() {
        let after = |stale_after: i64| {
            let refresh = 7_200 * SECOND;
            let stale_after = stale_after * SECOND;
            let terms = Terms {
                refresh,
                stale_after,
            };
            let mut schedule = Schedule::new(terms, NOW);
            schedule.succeeded(NOW, Some(i64::MAX));
            assert!(schedule.next_at() < schedule.good_until());
            (schedule.next_at() - NOW) / SECOND
        };
        assert_eq!(after(86_400), 86_400 - 3_600);
        assert_eq!(after(7_200), 3_600);
        assert_eq!(after(60), 30);
    }

    #[test]
    fn a_failure_is_tried_again_soon_and_the_old_keys_stay_good_for_a_day() {
        let mut schedule = schedule();
        assert_eq!(schedule.good_until(), 0, "there are none");
        schedule.succeeded(NOW, None);
        let later = NOW + 3_600 * SECOND;
        schedule.failed(later);
        assert_eq!(schedule.next_at(), later + RETRY_AFTER);
        assert_eq!(schedule.good_until(), NOW + 86_400 * SECOND);
    }

    #[test]
    fn an_unknown_kid_is_fetched_for_once_a_minute() {
        let mut schedule = schedule();
        assert!(schedule.admits_unknown_kid(NOW));
        schedule.asks_for_kid(NOW);
        assert!(!schedule.admits_unknown_kid(NOW));
        assert!(!schedule.admits_unknown_kid(NOW + 60 * SECOND - 1));
        assert!(schedule.admits_unknown_kid(NOW + 60 * SECOND));
    }

    #[test]
    fn a_clock_that_is_set_back_fetches_rather_than_waits() {
        let mut schedule = schedule();
        schedule.succeeded(NOW, None);
        schedule.asks_for_kid(NOW);
        let before = NOW - 7_200 * SECOND;
        assert!(schedule.is_due(before));
        assert!(schedule.admits_unknown_kid(before));
    }

    #[test]
    fn keys_from_the_disk_are_as_old_as_they_are_and_due() {
        let mut schedule = schedule();
        schedule.found(NOW - 80_000 * SECOND);
        assert!(schedule.is_due(NOW));
        assert_eq!(schedule.good_until(), NOW + 6_400 * SECOND);
    }
}
