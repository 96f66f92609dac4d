//! Where an issuer says that its keys lie (OpenID Connect Discovery 1.0 §4, RFC 8414 §3).

use crate::auth::strict_json::{self, Fault};
use serde_json::Value;

/// Members of a discovery document: the registries know about eighty.
const MEMBERS_MAX: usize = 512;

/// The longest address that is taken from a document.
const ADDRESS_BYTES_MAX: usize = 2_048;

/// `<issuer>/.well-known/openid-configuration`; a slash at the issuer's end is not doubled (§4.1).
pub fn discovery_url(issuer: &str) -> String {
    beneath(issuer, "openid-configuration")
}

/// Where many providers keep their keys, discovery document or not.
pub fn fallback_url(issuer: &str) -> String {
    beneath(issuer, "jwks.json")
}

fn beneath(issuer: &str, name: &str) -> String {
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    format!("{issuer}/.well-known/{name}")
}

/// What of it counts here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// `jwks_uri`
    pub jwks_url: String,
}

/// Why it does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitDocument {
    /// An error page, say.
    #[error("the discovery document cannot be read: {0}")]
    Unreadable(#[from] Fault),
    /// §4.3: it must be the issuer that was asked, to the letter.
    #[error("the discovery document is of another issuer")]
    Issuer,
    /// It is missing, too long, or has what no address has: it is shown in logs.
    #[error(
        "the discovery document has no jwks_uri that is an address of at most {ADDRESS_BYTES_MAX} bytes"
    )]
    NoKeys,
}

impl Document {
    /// Reads the document that an issuer's own address has answered.
    ///
    /// # Errors
    /// [`UnfitDocument`]
    pub fn read(document: &[u8], issuer: &str) -> Result<Document, UnfitDocument> {
        let document = strict_json::object(document, MEMBERS_MAX)?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        if text("issuer") != Some(issuer) {
            return Err(UnfitDocument::Issuer);
        }
        let is_address = |url: &&str| {
            url.len() <= ADDRESS_BYTES_MAX && url.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let jwks_url = text("jwks_uri").filter(is_address);
        let jwks_url = jwks_url.ok_or(UnfitDocument::NoKeys)?;
        Ok(Document {
            jwks_url: jwks_url.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_beneath_an_issuer_do_not_double_its_slash() {
        for issuer in [
            "https://id.example/realms/a",
            "https://id.example/realms/a/",
        ] {
            let expected = "https://id.example/realms/a/.well-known/openid-configuration";
            assert_eq!(discovery_url(issuer), expected);
            let expected = "https://id.example/realms/a/.well-known/jwks.json";
            assert_eq!(fallback_url(issuer), expected);
        }
    }

    #[test]
    fn a_document_counts_only_for_the_very_issuer_that_was_asked() {
        let text = br#"{"issuer":"https://id.example/","jwks_uri":"https://id.example/keys"}"#;
        let read = Document::read(text, "https://id.example/").expect("its own");
        assert_eq!(read.jwks_url, "https://id.example/keys");
        let other = Document::read(text, "https://id.example");
        assert_eq!(other, Err(UnfitDocument::Issuer), "without its slash");
        let nobodys = Document::read(br#"{"jwks_uri":"https://x"}"#, "https://id.example");
        assert_eq!(nobodys, Err(UnfitDocument::Issuer));
        let with = |url: String| {
            let text = format!("{{\"issuer\":\"a\",\"jwks_uri\":{url}}}");
            Document::read(text.as_bytes(), "a").map(|it| it.jwks_url.len())
        };
        let long = |length: usize| with(format!("\"https://{}\"", "k".repeat(length - 8)));
        assert_eq!(long(ADDRESS_BYTES_MAX), Ok(ADDRESS_BYTES_MAX));
        assert_eq!(long(ADDRESS_BYTES_MAX + 1), Err(UnfitDocument::NoKeys));
        for other in [
            "7",
            "\"https://k\\nFATAL\"",
            "\"https://k \"",
            "\"https://\u{e9}\"",
        ] {
            assert_eq!(
                with(other.to_owned()),
                Err(UnfitDocument::NoKeys),
                "{other}"
            );
        }
        let page = Document::read(b"<html>", "a");
        assert_eq!(page, Err(UnfitDocument::Unreadable(Fault::NotJson)));
    }
}
