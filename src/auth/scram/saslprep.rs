//! SASLprep of passwords (RFC 4013), with PostgreSQL's fallback.
//!
//! PostgreSQL and libpq take a password that SASLprep refuses as the bytes it is (pg_saslprep's
//! callers); a server that refused it would lock out users that PostgreSQL lets in.

use std::borrow::Cow;

/// The password in the form that is hashed.
pub fn prepare(password: &str) -> Cow<'_, str> {
    match stringprep::saslprep(password) {
        // PostgreSQL counts a password of which mapping leaves nothing as refused.
        Ok(prepared) if !prepared.is_empty() => prepared,
        Ok(_) | Err(_) => Cow::Borrowed(password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4013 §3.
    #[test]
    fn rfc_4013_section_3_examples() {
        assert_eq!(prepare("I\u{AD}X"), "IX", "soft hyphen mapped to nothing");
        assert_eq!(prepare("user"), "user", "no transformation");
        assert_eq!(prepare("USER"), "USER", "case preserved");
        assert_eq!(prepare("\u{AA}"), "a", "output is NFKC");
        assert_eq!(prepare("\u{2168}"), "IX", "output is NFKC");
    }

    /// RFC 4013 §3's last two examples are refused there; here they are taken as they are.
    #[test]
    fn what_saslprep_refuses_is_taken_as_it_is() {
        assert_eq!(prepare("\u{7}"), "\u{7}", "prohibited character");
        assert_eq!(prepare("\u{627}1"), "\u{627}1", "bidirectional check");
        assert_eq!(prepare("\u{AD}"), "\u{AD}", "nothing left");
    }

    #[test]
    fn other_spaces_become_plain_ones() {
        assert_eq!(prepare("a\u{A0}b\u{3000}c"), "a b c");
    }
}
