//! Whether a client certificate is to be believed (REFERENCE §3 "mTLS"): a pure judgement over a chain,
//! what is trusted, and the time.
//!
//! webpki builds the path (RFC 5280 §6: signatures, dates, basic and name constraints, extended key
//! usage, revocation); this says what is trusted, bounds what a stranger may present, and names the
//! reason. The handshake asks it ([`tls`](super::tls)), and so does whoever resumes a session, whose
//! certificates come out of a ticket. For whom a certificate logs in is not its question.

use super::x509::Certificate;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
};

/// Certificates of one chain. Authorities of the world issue at most four in a row.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;

/// How much the revocation lists have to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strictness {
    /// A certificate that no list speaks of is good, and an old list is better than none.
    #[default]
    Lenient,
    /// Every certificate of the chain needs a list of its issuer's that is in date.
    Strict,
}

/// What client certificates are judged by.
pub struct Trust {
    anchors: Vec<TrustAnchor<'static>>,
    lists: Vec<CertRevocationList<'static>>,
    strictness: Strictness,
}

/// A chain that leads to an authority that is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a certificate that was verified for nobody is a mistake"]
pub struct Verified(());

/// Why a certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefusal {
    /// It, or one above it, cannot be read.
    #[error("malformed")]
    Malformed,
    /// More certificates than [`CHAIN_CERTIFICATES_MAX`], or more work than they are worth.
    #[error("its chain is too long")]
    ChainTooLong,
    /// Its time, or that of one above it, is over.
    #[error("expired")]
    Expired,
    /// Its time, or that of one above it, has not begun.
    #[error("not yet valid")]
    NotYetValid,
    /// No path leads to an authority that is trusted.
    #[error("issued by nobody who is trusted")]
    UnknownIssuer,
    /// It vouches for itself.
    #[error("self-signed, and not trusted")]
    SelfSigned,
    /// A signature of the path is wrong.
    #[error("a signature does not match")]
    BadSignature,
    /// Signed by an algorithm that is not trusted, such as SHA-1.
    #[error("signed by an algorithm that is not supported")]
    UnsupportedAlgorithm,
    /// Its extended key usage excludes clients, or that of one above it.
    #[error("not meant for clients (extended key usage)")]
    NotForClients,
    /// An authority's own certificate, presented as a client's.
    #[error("an authority's, not a client's")]
    AuthorityAsClient,
    /// One above it is no authority, or no longer one at this depth.
    #[error("issued by a certificate that may not issue it")]
    IssuerNotAuthorized,
    /// A name in it that an authority above may not give.
    #[error("outside the names that its authority may give")]
    NameConstraint,
    /// On a revocation list, or one above it is.
    #[error("revoked")]
    Revoked,
    /// No list speaks of it, and there must be one.
    #[error("no revocation list speaks of it")]
    RevocationUnknown,
    /// The list that speaks of it is out of date.
    #[error("its revocation list is out of date")]
    RevocationListExpired,
    /// The list that speaks of it was not signed by its issuer.
    #[error("its revocation list is not its issuer's")]
    RevocationListForged,
    /// Something that marks itself as critical and is not understood, or another rare fault.
    #[error("not acceptable: {0}")]
    Other(String),
}

/// Why trust cannot be built on what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Of the authorities, one is no certificate that could be trusted.
    #[error("certificate {0} of them cannot be an authority")]
    Anchor(usize),
    /// Of the lists, one cannot be read.
    #[error("list {0} of them cannot be read")]
    List(usize),
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust")
            .field("anchors", &self.anchors.len())
            .field("lists", &self.lists.len())
            .field("strictness", &self.strictness)
            .finish()
    }
}

impl Trust {
    /// These authorities, as their lists narrow them.
    ///
    /// # Errors
    /// [`TrustError`], counted from 1.
    pub fn new(
        authorities: &[CertificateDer<'_>],
        lists: &[CertificateRevocationListDer<'_>],
        strictness: Strictness,
    ) -> Result<Trust, TrustError> {
        let anchors = (1..).zip(authorities).map(|(number, authority)| {
            let anchor = webpki::anchor_from_trusted_cert(authority);
            let anchor = anchor.map_err(|_| TrustError::Anchor(number))?;
            Ok(anchor.to_owned())
        });
        let lists = (1..).zip(lists).map(|(number, list)| {
            let list = OwnedCertRevocationList::from_der(list);
            let list = list.map_err(|_| TrustError::List(number))?;
            Ok(CertRevocationList::from(list))
        });
        Ok(Trust {
            anchors: anchors.collect::<Result<_, _>>()?,
            lists: lists.collect::<Result<_, _>>()?,
            strictness,
        })
    }

    /// The names of the authorities: the contents of their SEQUENCEs.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.anchors.iter().map(|anchor| anchor.subject.as_ref())
    }

    /// How many authorities and lists there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.anchors.len(), self.lists.len())
    }

    /// Whether a list names one of these certificates, whatever else may be said of them. A look-up
    /// by serial number, under a microsecond each: for sessions that go on.
    pub fn revokes(&self, chain: &[CertificateDer<'_>]) -> bool {
        chain.iter().any(|certificate| {
            let Ok(certificate) = Certificate::parse(certificate) else {
                return false;
            };
            let of_its_issuer =
                |list: &&CertRevocationList<'_>| list.issuer() == certificate.issuer;
            let names_it = |list: &CertRevocationList<'_>| {
                matches!(list.find_serial(certificate.serial), Ok(Some(_)))
            };
            self.lists.iter().filter(of_its_issuer).any(names_it)
        })
    }
}

/// Judges a chain, the client's own certificate first. Costs 50 to 100 µs for each signature of the
/// path, with elliptic curves.
///
/// # Errors
/// [`CertificateRefusal`]: for the log; the client is told by an alert.
pub fn verify(
    chain: &[CertificateDer<'_>],
    trust: &Trust,
    now: UnixTime,
) -> Result<Verified, CertificateRefusal> {
    let [own, above @ ..] = chain else {
        return Err(CertificateRefusal::Malformed);
    };
    if chain.len() > CHAIN_CERTIFICATES_MAX {
        return Err(CertificateRefusal::ChainTooLong);
    }
    let certificate = EndEntityCert::try_from(own).map_err(|error| refusal(error, own))?;
    let lists: Vec<&CertRevocationList<'_>> = trust.lists.iter().collect();
    let revocation = match RevocationOptionsBuilder::new(&lists) {
        Ok(options) => Some(
            options
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(match trust.strictness {
                    Strictness::Lenient => UnknownStatusPolicy::Allow,
                    Strictness::Strict => UnknownStatusPolicy::Deny,
                })
                .with_expiration_policy(match trust.strictness {
                    Strictness::Lenient => ExpirationPolicy::Ignore,
                    Strictness::Strict => ExpirationPolicy::Enforce,
                })
                .build(),
        ),
        // There are none; that strict trust has some was seen to when it was built.
        Err(_) => None,
    };
    let path = certificate.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &trust.anchors,
        above,
        now,
        KeyUsage::client_auth(),
        revocation,
        None,
    );
    path.map(|_| Verified(()))
        .map_err(|error| refusal(error, own))
}

fn refusal(error: Error, own: &CertificateDer<'_>) -> CertificateRefusal {
    use CertificateRefusal as Refusal;
    match error {
        Error::CertExpired { .. } | Error::InvalidCertValidity => Refusal::Expired,
        Error::CertNotValidYet { .. } => Refusal::NotYetValid,
        Error::CertRevoked => Refusal::Revoked,
        Error::CaUsedAsEndEntity if is_self_signed(own) => Refusal::SelfSigned,
        Error::CaUsedAsEndEntity => Refusal::AuthorityAsClient,
        Error::UnknownIssuer if is_self_signed(own) => Refusal::SelfSigned,
        Error::UnknownIssuer => Refusal::UnknownIssuer,
        Error::EndEntityUsedAsCa | Error::PathLenConstraintViolated => Refusal::IssuerNotAuthorized,
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Refusal::NotForClients,
        Error::NameConstraintViolation => Refusal::NameConstraint,
        Error::InvalidSignatureForPublicKey => Refusal::BadSignature,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | Error::SignatureAlgorithmMismatch => Refusal::UnsupportedAlgorithm,
        Error::UnknownRevocationStatus => Refusal::RevocationUnknown,
        Error::CrlExpired { .. } => Refusal::RevocationListExpired,
        Error::InvalidCrlSignatureForPublicKey
        | Error::IssuerNotCrlSigner
        | Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
            Refusal::RevocationListForged
        }
        Error::MaximumPathBuildCallsExceeded
        | Error::MaximumPathDepthExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => Refusal::ChainTooLong,
        Error::BadDer
        | Error::BadDerTime
        | Error::ExtensionValueInvalid
        | Error::InvalidSerialNumber
        | Error::MalformedExtensions
        | Error::MalformedDnsIdentifier
        | Error::MalformedNameConstraint
        | Error::TrailingData(_)
        | Error::UnsupportedCertVersion => Refusal::Malformed,
        other => Refusal::Other(other.to_string()),
    }
}

fn is_self_signed(own: &CertificateDer<'_>) -> bool {
    Certificate::parse(own).is_ok_and(|own| own.issuer == own.subject)
}
