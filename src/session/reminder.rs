//! A session that came in by a token ends at the token's end (REFERENCE §3): its client is told a minute
//! before, once, so that it can come again with another.

use super::Session;
use super::services::now_microseconds;
use crate::auth::identity::{Identity, Method};
use crate::diagnostic::{Diagnostic, SqlState};
use std::time::Duration;

/// How long before the end.
const BEFORE_THE_END: Duration = Duration::from_secs(60);

/// When a session is to be reminded, Unix microseconds. None: not, or it has been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reminder(Option<i64>);

impl Reminder {
    /// For an identity that has just come in.
    pub(super) fn of(identity: &Identity) -> Reminder {
        let by_token = identity.method == Method::Jwt;
        let before = i64::try_from(BEFORE_THE_END.as_micros()).expect("a minute");
        let at = identity.ends_at.map(|end| end.saturating_sub(before));
        Reminder(at.filter(|_| by_token))
    }

    fn due_in(self, now: i64) -> Option<Duration> {
        let left = self.0?.saturating_sub(now);
        Some(Duration::from_micros(u64::try_from(left).unwrap_or(0)))
    }

    /// Whether it is time; asked until it is.
    fn take(&mut self, now: i64) -> bool {
        self.0.take_if(|at| *at <= now).is_some()
    }
}

impl Session {
    /// How long an idle session may sleep before it is to be reminded; None: for ever.
    pub fn reminder_due_in(&self) -> Option<Duration> {
        self.reminder.due_in(now_microseconds())
    }

    /// Adds the reminder to what the client is told next, if it is time.
    pub fn remind(&mut self) {
        if !self.reminder.take(now_microseconds()) {
            return;
        }
        let message = "this session ends within a minute, with the token that it came in by";
        self.notices.push(
            Diagnostic::warning(SqlState::WARNING, message)
                .with_hint("Connect again with a newer token."),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{DatabaseId, PrincipalId, TenantId};
    use std::sync::Arc;

    fn identity(method: Method, ends_at: Option<i64>) -> Identity {
        Identity {
            principal: PrincipalId(7),
            name: Arc::from("acme:u1"),
            tenant: TenantId::SYSTEM,
            database: DatabaseId(5),
            method,
            key: None,
            claims: None,
            ends_at,
        }
    }

    #[test]
    fn a_token_is_reminded_of_once_a_minute_before_its_end() {
        let minute = 60_000_000;
        let mut reminder = Reminder::of(&identity(Method::Jwt, Some(10 * minute)));
        let nine = Duration::from_secs(9 * 60);
        assert_eq!(reminder.due_in(0), Some(nine));
        assert!(!reminder.take(9 * minute - 1));
        assert_eq!(reminder.due_in(20 * minute), Some(Duration::ZERO));
        assert!(reminder.take(9 * minute));
        assert!(!reminder.take(9 * minute), "once");
        assert_eq!(reminder.due_in(0), None);
    }

    #[test]
    fn nothing_else_is_reminded_of() {
        for other in [
            identity(Method::Jwt, None),
            identity(Method::Certificate, Some(1)),
            identity(Method::ApiKey, Some(1)),
        ] {
            assert_eq!(Reminder::of(&other), Reminder(None));
        }
    }
}
