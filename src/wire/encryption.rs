//! From the first byte of a connection to the TLS session inside it, whatever the protocol (REFERENCE §9).

use crate::auth::certificate;
use crate::auth::identity::Method;
use crate::auth::scram::ChannelBinding;
use crate::auth::secret::TlsExporter;
use crate::auth::tls::{TlsSet, log_refusal};
use crate::session::attempt::{Attempt, Claim, LoginRefused, Reason};
use crate::session::services::PlainConnections;
use crate::session::{CoreServices, Protocol};
use rustls::pki_types::UnixTime;
use rustls::server::ServerConfig;
use shards::{Stream, TlsError};
use std::sync::Arc;
use std::time::Instant;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// A handshake record of TLS (RFC 8446 §5.1).
    Tls,
    /// Anything else.
    Plain,
}

impl Beginning {
    /// By the first byte. None of the protocols served here begins with a TLS record's: a start-up
    /// packet's length is below 64 KiB, a Hello begins with `N`, a request line with a letter.
    pub fn of(first: u8) -> Beginning {
        match first {
            0x16 => Beginning::Tls,
            _ => Beginning::Plain,
        }
    }
}

/// A fatal alert, `handshake_failure`, for whoever speaks TLS where there is none.
const NO_TLS_HERE: [u8; 7] = [0x15, 3, 1, 0, 2, 2, 40];

/// How a connection goes on.
pub enum Opened {
    /// In plain, which is taken.
    Plain,
    /// In TLS, which began with this: what a channel binding names stays with the connection,
    /// whatever is in force later.
    Tls(Arc<TlsSet>),
    /// It is plain, and that is not taken: to be said in the protocol's own way.
    PlainRefused,
    /// The peer has gone, or the handshake has failed: nothing is to be said but what waits to be
    /// sent.
    Closed,
}

/// The first byte, without consuming it; None when the peer has gone. The caller bounds the time.
pub async fn first_byte(stream: &Stream) -> Option<u8> {
    if stream.inbox().is_empty() && !matches!(stream.fill().await, Ok(1..)) {
        return None;
    }
    stream.inbox().first().copied()
}

/// Plays the handshake if the connection begins with one; says whether it may go on if not.
pub async fn open(
    stream: &Stream,
    services: &CoreServices,
    first: u8,
    protocol: Protocol,
) -> Opened {
    let encryption = &services.parts.encryption;
    match (Beginning::of(first), &encryption.tls) {
        (Beginning::Tls, Some(tls)) => accept(stream, services, tls.current(), protocol).await,
        (Beginning::Tls, None) => {
            tracing::info!(peer = %stream.peer(), "a TLS handshake is refused: no TLS is configured");
            stream.outbox().extend_from_slice(&NO_TLS_HERE);
            Opened::Closed
        }
        (Beginning::Plain, _) => match encryption.plain {
            PlainConnections::Taken => Opened::Plain,
            PlainConnections::Refused => {
                tracing::info!(peer = %stream.peer(), "a plain connection is refused: TLS is required");
                Opened::PlainRefused
            }
        },
    }
}

/// Plays the handshake, within the time of a log-in.
pub async fn accept(
    stream: &Stream,
    services: &CoreServices,
    set: Arc<TlsSet>,
    protocol: Protocol,
) -> Opened {
    let deadline = services.parts.limits.login_deadline;
    // Boxed, for it is over long before the connection is.
    let handshake = Box::pin(stream.accept_tls(config(&set, protocol)));
    let attempt = Attempt {
        protocol,
        peer: stream.peer(),
        began: Instant::now(),
    };
    match shards::timeout(deadline, handshake).await {
        Ok(Ok(())) => {
            if let Some(tls) = stream.tls() {
                tracing::debug!(
                    peer = %stream.peer(),
                    version = tls.version(),
                    cipher = tls.cipher_suite(),
                    resumed = tls.is_resumed(),
                    "a TLS session has begun"
                );
            }
            match judge_again(stream, &set) {
                Ok(()) => Opened::Tls(set),
                Err(refusal) => {
                    let reason = Reason::CertificateOfTicket(refusal);
                    attempt.refused(services, bad_certificate(reason)).await;
                    Opened::Closed
                }
            }
        }
        Ok(Err(TlsError::Refused(
            error @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented),
        ))) => {
            // Its alert waits to be sent: nothing else is told.
            let refused = bad_certificate(Reason::Handshake(Box::new(error)));
            attempt.refused(services, refused).await;
            Opened::Closed
        }
        Ok(Err(error)) => {
            tracing::info!(peer = %stream.peer(), %error, "a TLS handshake has failed");
            Opened::Closed
        }
        Err(shards::Elapsed) => {
            tracing::info!(peer = %stream.peer(), "a TLS handshake took too long");
            stream.abort();
            Opened::Closed
        }
    }
}

/// rustls takes a resumed session's certificates out of its ticket and judges them no more. Their time
/// may be over since; what has been revoked since is refused by the ticket's keys, which change.
fn judge_again(stream: &Stream, set: &TlsSet) -> Result<(), certificate::CertificateRefusal> {
    let resumed = stream.tls().filter(|tls| tls.is_resumed());
    match (resumed, set.trust()) {
        (Some(tls), Some(trust)) if !tls.peer_certificates().is_empty() => {
            let chain = tls.peer_certificates();
            let verified = certificate::verify(chain, trust, UnixTime::now());
            verified
                .map(|_| ())
                .inspect_err(|refusal| log_refusal(&chain[0], refusal))
        }
        _ => Ok(()),
    }
}

fn bad_certificate(reason: Reason) -> LoginRefused {
    LoginRefused::credential(Claim::by(Method::Certificate), reason)
}

/// What a handshake of the protocol's goes by.
fn config(set: &TlsSet, protocol: Protocol) -> Arc<ServerConfig> {
    match protocol {
        Protocol::Pgwire => set.pgwire(),
        Protocol::Http => set.http(),
        Protocol::Native => set.native(),
    }
}

/// What a log-in can be bound to on a connection that began with this set; costs two microseconds.
///
/// None where the certificate's signature names no hash, as Ed25519: `tls-exporter` could do
/// without, but libpq takes -PLUS wherever it is offered, knows no other type than
/// `tls-server-end-point`, and would fail.
pub fn channel_binding(stream: &Stream, set: &TlsSet) -> Option<ChannelBinding> {
    let end_point = set.server_end_point()?;
    let exporter = stream.tls()?.exporter_binding();
    Some(ChannelBinding::new(
        end_point,
        exporter.map(TlsExporter::new),
    ))
}
