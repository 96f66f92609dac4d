//! The handshake's question about a client certificate, put to [`certificate::verify`].

use crate::auth::certificate::{self, CertificateRefusal, Trust};
use crate::auth::x509::Certificate;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use std::sync::Arc;

/// Whether a client has to have a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Demand {
    /// Whoever has none proves itself otherwise.
    #[default]
    Requested,
    /// The handshake fails without.
    Required,
}

/// rustls' side of [`Trust`].
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) trust: Arc<Trust>,
    pub(super) demand: Demand,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// The authorities' names, from which a client chooses its certificate.
    pub(super) hints: Vec<DistinguishedName>,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.demand == Demand::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(own).chain(above).cloned().collect();
        match certificate::verify(&chain, &self.trust, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(refusal) => {
                log_refusal(own, &refusal);
                Err(Error::InvalidCertificate(told(refusal)))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The precise reason, with whose certificate it was.
pub fn log_refusal(own: &CertificateDer<'_>, refusal: &CertificateRefusal) {
    let shown = Certificate::parse(own);
    let (subject, serial) = match &shown {
        Ok(certificate) => (certificate.subject_text(), certificate.serial_text()),
        Err(_) => Default::default(),
    };
    tracing::info!(subject, serial, %refusal, "a client certificate is refused");
}

/// As rustls names it, for the alert that the client is told by.
fn told(refusal: CertificateRefusal) -> CertificateError {
    use CertificateRefusal as Refusal;
    match refusal {
        Refusal::Malformed => CertificateError::BadEncoding,
        Refusal::Expired => CertificateError::Expired,
        Refusal::NotYetValid => CertificateError::NotValidYet,
        Refusal::Revoked => CertificateError::Revoked,
        Refusal::UnknownIssuer | Refusal::SelfSigned => CertificateError::UnknownIssuer,
        Refusal::BadSignature => CertificateError::BadSignature,
        Refusal::NotForClients => CertificateError::InvalidPurpose,
        Refusal::RevocationUnknown => CertificateError::UnknownRevocationStatus,
        refusal @ (Refusal::ChainTooLong
        | Refusal::UnsupportedAlgorithm
        | Refusal::AuthorityAsClient
        | Refusal::IssuerNotAuthorized
        | Refusal::NameConstraint
        | Refusal::RevocationListExpired
        | Refusal::RevocationListForged
        | Refusal::Other(_)) => CertificateError::Other(OtherError(Arc::new(refusal))),
    }
}
