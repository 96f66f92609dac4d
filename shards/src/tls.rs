//! Making a connection a TLS one, and what its session may know of that.

use crate::Stream;
use crate::net::{Connection, Receiving, Tls};
use rustls::pki_types::CertificateDer;
use rustls::server::ServerConfig;
use rustls::{HandshakeKind, ProtocolVersion};
use std::cell::Ref;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Why a connection did not become a TLS one.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The peer does not follow the protocol, or offers nothing that is taken here. The alert that
    /// says so is sent by [`Stream::close`].
    #[error("{0}")]
    Refused(rustls::Error),
    /// The peer ended its side in the middle of the handshake.
    #[error("the peer has gone")]
    PeerGone,
    /// The connection has failed.
    #[error("{0}")]
    Io(io::Error),
}

impl Stream {
    /// Plays the server's part of a TLS handshake; what is in the inbox is its beginning. From then
    /// on inbox and outbox hold what is said inside. The caller bounds the time.
    ///
    /// Costs the core one signature and one key exchange, without a pause: 100 to 300 µs with
    /// elliptic curves, 1 ms more with an RSA key; resumed a tenth of it.
    ///
    /// # Errors
    ///
    /// [`TlsError`]: nothing can be said on the connection any more.
    ///
    /// # Panics
    ///
    /// When it is a TLS connection already, or something is still to be sent in plain.
    pub async fn accept_tls(&self, config: Arc<ServerConfig>) -> Result<(), TlsError> {
        self.become_tls(config)?;
        poll_fn(|context| self.poll_handshake(context)).await
    }

    fn become_tls(&self, config: Arc<ServerConfig>) -> Result<(), TlsError> {
        let connection = &self.connection;
        assert!(
            connection.tls.borrow().is_none(),
            "TLS inside TLS is a mistake"
        );
        assert!(
            connection.outbox.borrow().is_empty(),
            "what is said in plain is sent before the handshake"
        );
        connection.unseen.set(0);
        let begun = std::mem::take(&mut *connection.inbox.borrow_mut());
        let tls = Tls::new(config, begun).map_err(TlsError::Refused)?;
        *connection.tls.borrow_mut() = Some(Box::new(tls));
        Ok(())
    }

    fn poll_handshake(&self, context: &Context<'_>) -> Poll<Result<(), TlsError>> {
        let connection = &self.connection;
        if let Some(error) = connection.failure.get() {
            let error = io::Error::from_raw_os_error(error);
            return Poll::Ready(Err(TlsError::Io(error)));
        }
        self.open_received().map_err(TlsError::Refused)?;
        if self.tls().is_some_and(|tls| !tls.0.is_handshaking()) {
            return Poll::Ready(Ok(()));
        }
        if connection.receiving.get() == Receiving::Ended {
            return Poll::Ready(Err(TlsError::PeerGone));
        }
        self.wait_for_bytes(context);
        Poll::Pending
    }

    /// What the handshake has agreed on; None of a plain connection. Not to be held over an await.
    pub fn tls(&self) -> Option<TlsSession<'_>> {
        let connection: &Connection = &self.connection;
        let found = Ref::filter_map(connection.tls.borrow(), |tls| {
            tls.as_ref().map(|tls| tls.connection())
        });
        found.ok().map(TlsSession)
    }
}

/// What a handshake has agreed on.
pub struct TlsSession<'a>(Ref<'a, rustls::ServerConnection>);

impl TlsSession<'_> {
    /// Such as `TLSv1.3`.
    pub fn version(&self) -> &'static str {
        match self.0.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "unknown",
        }
    }

    /// The suite, as the standard names it: `TLS13_AES_128_GCM_SHA256`.
    pub fn cipher_suite(&self) -> &'static str {
        let suite = self.0.negotiated_cipher_suite();
        suite
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("unknown")
    }

    /// The application protocol agreed on, where the client named any.
    pub fn application_protocol(&self) -> Option<&[u8]> {
        self.0.alpn_protocol()
    }

    /// Whether an earlier session goes on: its certificates come out of a ticket, and nobody has
    /// judged them again.
    pub fn is_resumed(&self) -> bool {
        self.0.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// What the peer has presented, its own certificate first.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.0.peer_certificates().unwrap_or_default()
    }

    /// The channel binding `tls-exporter` (RFC 9266 §2). None before TLS 1.3: there two sessions may
    /// be made to agree on the same keys, unless both ends use an extension against it (§3).
    pub fn exporter_binding(&self) -> Option<[u8; 32]> {
        match self.0.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => {
                self.export_keying_material(b"EXPORTER-Channel-Binding", Some(b""))
            }
            _ => None,
        }
    }

    /// Bytes that both ends, and nobody else, derive from the session (RFC 5705). None for a length of 0, or before the handshake is over.
    pub fn export_keying_material<const BYTES: usize>(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Option<[u8; BYTES]> {
        let exported = self.0.export_keying_material([0; BYTES], label, context);
        exported.ok()
    }
}
