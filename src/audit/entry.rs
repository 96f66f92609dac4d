//! One entry, as the rooms above make it.

use super::event::Event;
use crate::catalog::TenantId;
use chrono::{Datelike, Timelike};
use std::fmt::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The longest value of a detail, in characters; the rest is cut off. Names and reasons are shorter: what is
/// longer was sent by somebody who tries how much the log takes.
pub const VALUE_CHARS_MAX: usize = 512;

/// Details of one entry.
pub const DETAILS_MAX: usize = 16;

/// Where something came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The server itself.
    Server,
    /// A client.
    Peer(SocketAddr),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Server => f.write_str("server"),
            Source::Peer(peer) => peer.fmt(f),
        }
    }
}

/// What has happened, when, about whom.
#[derive(Clone, Debug)]
pub struct Entry {
    event: Event,
    /// Unix microseconds.
    at: i64,
    tenant: Option<TenantId>,
    database: Option<Arc<str>>,
    source: Source,
    detail: Vec<(&'static str, String)>,
}

impl Entry {
    /// It has happened now. Allocates; some hundred nanoseconds.
    pub fn new(event: Event, source: Source) -> Entry {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = since.map_or(0, |since| since.as_micros());
        Entry {
            event,
            at: i64::try_from(at).unwrap_or(i64::MAX),
            tenant: None,
            database: None,
            source,
            detail: Vec::new(),
        }
    }

    /// Whose administrators may read it, besides superusers. None: nobody's, as for a name that nobody has.
    pub fn of_tenant(mut self, tenant: Option<TenantId>) -> Entry {
        self.tenant = tenant;
        self
    }

    /// The database that it is about.
    pub fn in_database(mut self, database: Option<Arc<str>>) -> Entry {
        self.database = database.map(|name| match end_of_shown(&name) {
            Some(_) => Arc::from(shortened(name.to_string())),
            None => name,
        });
        self
    }

    /// Something to be known about it. Never a secret: values are shown to whoever reads the log. Cut here, and
    /// not when it is written: thousands of entries may wait.
    ///
    /// # Panics
    /// Past [`DETAILS_MAX`]: a mistake of ours.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Entry {
        assert!(self.detail.len() < DETAILS_MAX, "an entry has few details");
        self.detail.push((name, shortened(value.into())));
        self
    }

    /// [`Entry::with`], where there is something.
    pub fn with_some(self, name: &'static str, value: Option<impl Into<String>>) -> Entry {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// What kind it is.
    pub fn event(&self) -> Event {
        self.event
    }

    /// Its JSON object, still open: its hash closes it.
    pub fn body(&self, seq: u64) -> String {
        let mut body = String::with_capacity(256);
        let ok = "a String takes everything";
        write!(body, "{{\"seq\":{seq},\"timestamp\":\"").expect(ok);
        push_timestamp(&mut body, self.at);
        for part in ["\",\"event\":\"", self.event.as_str(), "\""] {
            body.push_str(part);
        }
        match self.tenant {
            Some(tenant) => write!(body, ",\"tenant_id\":{tenant}").expect(ok),
            None => body.push_str(",\"tenant_id\":null"),
        }
        body.push_str(",\"database\":");
        match &self.database {
            Some(database) => push_json(&mut body, database),
            None => body.push_str("null"),
        }
        write!(body, ",\"source\":\"{}\",\"detail\":{{", self.source).expect(ok);
        for (index, (name, value)) in self.detail.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            for part in [comma, "\"", name, "\":"] {
                body.push_str(part);
            }
            push_json(&mut body, value);
        }
        body.push('}');
        body
    }
}

/// Unix microseconds in 27 characters, such as `2026-11-29T13:00:00.000000Z`. By hand: every entry has one, and
/// chrono's own takes longer than all the rest of it.
fn push_timestamp(text: &mut String, microseconds: i64) {
    // The clock of a machine stays within the years that have four digits.
    let at = chrono::DateTime::from_timestamp_micros(microseconds).unwrap_or_default();
    let (date, time) = (at.date_naive(), at.time());
    push_digits(text, date.year().unsigned_abs(), 1_000);
    for (before, part) in [
        ('-', date.month()),
        ('-', date.day()),
        ('T', time.hour()),
        (':', time.minute()),
        (':', time.second()),
    ] {
        text.push(before);
        push_digits(text, part, 10);
    }
    text.push('.');
    push_digits(text, time.nanosecond() / 1_000 % 1_000_000, 100_000);
    text.push('Z');
}

/// A number with as many digits as `highest`, a power of ten, has.
fn push_digits(text: &mut String, number: u32, highest: u32) {
    let mut place = highest;
    while place > 0 {
        let digit = number / place % 10;
        text.push(char::from_digit(digit, 10).expect("below ten"));
        place /= 10;
    }
}

/// Where a value of more than [`VALUE_CHARS_MAX`] characters is cut; None for a shorter one.
fn end_of_shown(value: &str) -> Option<usize> {
    if value.len() <= VALUE_CHARS_MAX {
        return None;
    }
    let next = value.char_indices().nth(VALUE_CHARS_MAX);
    next.map(|(end, _)| end)
}

/// A value of at most [`VALUE_CHARS_MAX`] characters, with a mark where more followed; what was longer gives
/// its memory back.
fn shortened(mut value: String) -> String {
    if let Some(end) = end_of_shown(&value) {
        value.truncate(end);
        value.push('…');
        value.shrink_to_fit();
    }
    value
}

/// A JSON string.
fn push_json(body: &mut String, value: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if value.bytes().all(is_plain) {
        for part in ["\"", value, "\""] {
            body.push_str(part);
        }
        return;
    }
    body.push_str(&serde_json::to_string(value).expect("a text is JSON"));
}

#[cfg(test)]
mod tests {
    use super::super::line::LINE_BYTES_MAX;
    use super::*;

    #[test]
    fn an_entry_is_one_json_object_on_one_line_whatever_it_holds() {
        let entry = Entry::new(
            Event::LoginRefused,
            Source::Peer("[::1]:7".parse().expect("an address")),
        )
        .of_tenant(Some(TenantId(42)))
        .in_database(Some(Arc::from("a\"b")))
        .with("user", "al\nice\u{1}\"}")
        .with_some("key", None::<String>);
        let body = entry.body(9);
        assert!(!body.contains('\n'));
        let read: serde_json::Value = serde_json::from_str(&format!("{body}}}")).expect("JSON");
        assert_eq!(read["seq"], 9);
        assert_eq!(read["event"], "login_refused");
        assert_eq!(read["tenant_id"], 42);
        assert_eq!(read["database"], "a\"b");
        assert_eq!(read["source"], "[::1]:7");
        let detail = serde_json::json!({"user": "al\nice\u{1}\"}"});
        assert_eq!(read["detail"], detail);
    }

    #[test]
    fn the_longest_entry_is_shorter_than_the_longest_line() {
        let long = "\u{1}".repeat(10 * VALUE_CHARS_MAX);
        let mut entry =
            Entry::new(Event::Login, Source::Server).in_database(Some(Arc::from(long.as_str())));
        for _ in 0..DETAILS_MAX {
            entry = entry.with("a_name_of_twenty_four_xx", long.clone());
        }
        for (_, value) in &entry.detail {
            assert_eq!(value.chars().count(), VALUE_CHARS_MAX + 1);
            assert!(
                value.capacity() <= 4 * VALUE_CHARS_MAX,
                "nor does it keep the rest"
            );
        }
        let body = entry.body(u64::MAX);
        assert!(body.len() < LINE_BYTES_MAX - super::super::chain::SEAL_BYTES);
        assert!(body.contains('…'));
    }

    #[test]
    fn a_timestamp_is_what_chrono_makes_of_it_and_has_one_length() {
        for microseconds in [
            0,
            1,
            951_827_696_987_654,
            1_795_957_200_000_001,
            4_102_444_799_999_999,
        ] {
            let mut text = String::new();
            push_timestamp(&mut text, microseconds);
            let at = chrono::DateTime::from_timestamp_micros(microseconds).expect("in range");
            assert_eq!(text, at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
            assert_eq!(text.len(), 27);
        }
    }
}
