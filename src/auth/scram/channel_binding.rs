//! What a proof is bound to: something that both ends of one TLS connection know, and that nobody who
//! stands between two of them can show to both (RFC 5056; RFC 5802 §6).
//!
//! | type | what it is |
//! |---|---|
//! | `tls-server-end-point` | the hash of the server's certificate (RFC 5929 §4.1) |
//! | `tls-exporter` | bytes derived from the session's keys, in TLS 1.3 (RFC 9266) |

use super::error::ScramError;
use crate::auth::secret::TlsExporter;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fmt;
use subtle::ConstantTimeEq;

/// What one TLS connection can be told from any other by, taken when its handshake was over:
/// certificates that come into force later change nothing.
#[derive(Debug)]
pub struct ChannelBinding {
    end_point: Box<[u8]>,
    exporter: Option<TlsExporter>,
}

impl ChannelBinding {
    /// `end_point` is the hash of the certificate that the client was shown; `exporter` is None before
    /// TLS 1.3, where two sessions may agree on the same keys (RFC 9266 §3).
    pub fn new(end_point: &[u8], exporter: Option<TlsExporter>) -> ChannelBinding {
        ChannelBinding {
            end_point: end_point.into(),
            exporter,
        }
    }

    /// The data of the type that the client names; None for one that this connection does not have.
    fn data(&self, name: &[u8]) -> Option<&[u8]> {
        match name {
            b"tls-server-end-point" => Some(&self.end_point),
            b"tls-exporter" => self.exporter.as_ref().map(|bytes| &bytes.expose()[..]),
            _ => None,
        }
    }
}

/// What `c=` of client-final-message has to be: the base64 of the GS2 header, as it came, and of the
/// data of what is bound to.
pub(super) struct Repeated {
    text: String,
    otherwise: ScramError,
}

impl Repeated {
    /// For a client that does not bind.
    pub(super) fn unbound(header: &[u8]) -> Repeated {
        Repeated {
            text: BASE64_STANDARD.encode(header),
            otherwise: ScramError::ChannelBindingMismatch,
        }
    }

    /// For one that binds to the type of this name.
    ///
    /// # Errors
    ///
    /// [`ScramError::UnsupportedChannelBinding`]
    pub(super) fn bound(
        header: &[u8],
        name: &[u8],
        binding: &ChannelBinding,
    ) -> Result<Repeated, ScramError> {
        let data = binding.data(name);
        let data = data.ok_or(ScramError::UnsupportedChannelBinding)?;
        Ok(Repeated {
            text: BASE64_STANDARD.encode([header, data].concat()),
            otherwise: ScramError::ChannelBindingFailed,
        })
    }

    /// Whether this is it; the time tells nothing but lengths.
    ///
    /// # Errors
    ///
    /// The client is bound to another connection, or its first message is not the one that arrived.
    pub(super) fn check(&self, presented: &[u8]) -> Result<(), ScramError> {
        match bool::from(self.text.as_bytes().ct_eq(presented)) {
            true => Ok(()),
            false => Err(self.otherwise),
        }
    }
}

impl fmt::Debug for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Repeated(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_does_not_have_is_not_bound_to() {
        let older = ChannelBinding::new(&[1; 48], None);
        let newer = ChannelBinding::new(&[1; 48], Some(TlsExporter::new([2; 32])));
        for (name, in_older, in_newer) in [
            (&b"tls-server-end-point"[..], Some(48), Some(48)),
            (b"tls-exporter", None, Some(32)),
            (b"tls-unique", None, None),
            (b"TLS-EXPORTER", None, None),
            (b"", None, None),
        ] {
            assert_eq!(older.data(name).map(<[u8]>::len), in_older, "{name:?}");
            assert_eq!(newer.data(name).map(<[u8]>::len), in_newer, "{name:?}");
        }
    }

    #[test]
    fn what_is_exported_is_not_printed() {
        let binding = ChannelBinding::new(&[1], Some(TlsExporter::new([2; 32])));
        assert_eq!(
            format!("{binding:?}"),
            "ChannelBinding { end_point: [1], exporter: Some(TlsExporter(***)) }"
        );
        let repeated = Repeated::bound(b"p=tls-exporter,,", b"tls-exporter", &binding);
        assert_eq!(format!("{repeated:?}"), "Ok(Repeated(***))");
    }
}
