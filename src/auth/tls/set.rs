//! One usable set: what a handshake needs, made of the files of one moment.

use super::client_certificates::{Demand, Verifier};
use super::material::{Material, Unusable};
use crate::auth::certificate::{Strictness, Trust};
use crate::auth::revocation_list::RevocationList;
use crate::auth::x509::Certificate;
use ring::digest;
use rustls::crypto::ring as provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, ProducesTickets, ServerConfig};
use rustls::{DistinguishedName, Error, InconsistentKeys, SupportedProtocolVersion};
use std::sync::Arc;

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum VersionMin {
    /// TLS 1.2, with forward secrecy and authenticated encryption only.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl VersionMin {
    fn spoken(self) -> &'static [&'static SupportedProtocolVersion] {
        const NEWEST: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        const BOTH: &[&SupportedProtocolVersion] =
            &[&rustls::version::TLS13, &rustls::version::TLS12];
        match self {
            VersionMin::Tls12 => BOTH,
            VersionMin::Tls13 => NEWEST,
        }
    }

    /// As the configuration says it.
    pub fn as_str(self) -> &'static str {
        match self {
            VersionMin::Tls12 => "1.2",
            VersionMin::Tls13 => "1.3",
        }
    }
}

/// What the configuration says beside the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Terms {
    /// `min_version`
    pub version_min: VersionMin,
    /// `require_client_cert`
    pub demand: Demand,
    /// `crl_strict`
    pub strictness: Strictness,
}

/// The server's own certificate, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    /// Whose it is.
    pub subject: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// Good until, Unix seconds.
    pub not_after: i64,
}

/// What a handshake needs, on each port.
pub struct TlsSet {
    pgwire: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    native: Arc<ServerConfig>,
    terms: Terms,
    certificate: ServerCertificate,
    server_end_point: Option<Box<[u8]>>,
    trust: Option<Arc<Trust>>,
    /// Of what the sessions of these tickets rest on.
    grounds: digest::Digest,
    tickets: Arc<dyn ProducesTickets>,
}

impl TlsSet {
    /// Made of the files. Costs a few milliseconds; reads nothing else. The sessions of `before` can
    /// be resumed unless something else is presented, or client certificates are judged by something
    /// else, since: the handshake that resumes a session looks at no certificate, and what its client
    /// binds a log-in to is the one that it was once shown.
    ///
    /// # Errors
    /// [`Unusable`]
    pub fn new(
        material: &Material,
        terms: Terms,
        before: Option<&TlsSet>,
        now: UnixTime,
    ) -> Result<TlsSet, Unusable> {
        let chain = material.chain()?;
        let own = Certificate::parse(&chain[0]).map_err(|_| Unusable::Malformed)?;
        let certificate = ServerCertificate {
            subject: own.subject_text(),
            serial: own.serial_text(),
            not_after: own.not_after,
        };
        let hash = own.signature_hash();
        let server_end_point = hash.map(|hash| digest::digest(hash, &chain[0]).as_ref().into());
        let trust = trust(material, terms.strictness, now)?.map(Arc::new);
        let grounds = grounds(material);
        let tickets = match before {
            Some(before) if before.grounds.as_ref() == grounds.as_ref() => before.tickets.clone(),
            // One for all cores and ports: whoever accepts can resume. Its keys change every six
            // hours.
            _ => provider::Ticketer::new().map_err(|_| Unusable::NoRandomness)?,
        };
        let mut base = base(chain, material.private_key()?, terms, trust.as_ref())?;
        base.ticketer = tickets.clone();
        Ok(TlsSet {
            pgwire: speaking(&base, &[PGWIRE]),
            http: speaking(&base, &[HTTP]),
            native: speaking(&base, &[]),
            terms,
            certificate,
            server_end_point,
            trust,
            grounds,
            tickets,
        })
    }

    /// For the PostgreSQL port.
    pub fn pgwire(&self) -> Arc<ServerConfig> {
        self.pgwire.clone()
    }

    /// For the HTTP port.
    pub fn http(&self) -> Arc<ServerConfig> {
        self.http.clone()
    }

    /// For the native port.
    pub fn native(&self) -> Arc<ServerConfig> {
        self.native.clone()
    }

    /// What the configuration said.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// The server's own certificate.
    pub fn certificate(&self) -> &ServerCertificate {
        &self.certificate
    }

    /// What client certificates are judged by; None where none is asked for.
    pub fn trust(&self) -> Option<&Trust> {
        self.trust.as_deref()
    }

    /// The channel binding `tls-server-end-point` (RFC 5929 §4.1): the hash of the server's
    /// certificate. None where its signature names no hash, as Ed25519.
    pub fn server_end_point(&self) -> Option<&[u8]> {
        self.server_end_point.as_deref()
    }
}

/// PostgreSQL 17's, registered with IANA.
pub(super) const PGWIRE: &[u8] = b"postgresql";
const HTTP: &[u8] = b"http/1.1";

fn base(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    terms: Terms,
    trust: Option<&Arc<Trust>>,
) -> Result<ServerConfig, Unusable> {
    let provider = provider::default_provider();
    let algorithms = provider.signature_verification_algorithms;
    let verifier: Arc<dyn ClientCertVerifier> = match trust {
        None => Arc::new(NoClientAuth),
        Some(trust) => Arc::new(Verifier {
            trust: trust.clone(),
            demand: terms.demand,
            algorithms,
            hints: trust.names().map(DistinguishedName::in_sequence).collect(),
        }),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(terms.version_min.spoken())
        .map_err(|error| Unusable::Rejected(error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(rejected)?;
    // Sessions live in their tickets only: a store would be shared between the cores.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // Each costs a send's worth of bytes, and most clients never come back with any.
    config.send_tls13_tickets = 1;
    // What comes before the handshake is over could be played again (RFC 8446 §8).
    config.max_early_data_size = 0;
    Ok(config)
}

/// What client certificates are judged by. The lists of the authorities themselves are held to their
/// signatures and, when strict, to their dates at once; those of authorities below them when a
/// certificate is judged, since their certificates come with it.
fn trust(
    material: &Material,
    strictness: Strictness,
    now: UnixTime,
) -> Result<Option<Trust>, Unusable> {
    let Some(authorities) = material.authorities()? else {
        return Ok(None);
    };
    let lists = material.lists()?;
    let trust = Trust::new(&authorities, &lists, strictness)?;
    for list in &lists {
        let list = RevocationList::parse(list).map_err(|_| Unusable::Malformed)?;
        let mut issuers = authorities.iter().filter(|authority| {
            Certificate::parse(authority).is_ok_and(|authority| authority.subject == list.issuer)
        });
        let is_known = issuers.clone().next().is_some();
        if is_known && !issuers.any(|authority| list.is_signed_by(authority)) {
            return Err(Unusable::ForgedList(list.issuer_text()));
        }
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if list.next_update.is_some_and(|until| until <= now) {
            let issuer = list.issuer_text();
            if strictness == Strictness::Strict {
                return Err(Unusable::OldList(issuer));
            }
            tracing::warn!(
                issuer,
                "a revocation list is out of date and is used all the same"
            );
        }
    }
    Ok(Some(trust))
}

/// A hash of what is presented and of what client certificates are judged by.
fn grounds(material: &Material) -> digest::Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    let files = [&material.client_ca, &material.revocation_lists];
    let files = files.map(|file| file.as_deref().unwrap_or_default());
    for bytes in std::iter::once(&material.certificate[..]).chain(files) {
        hash.update(&bytes.len().to_le_bytes());
        hash.update(bytes);
    }
    hash.finish()
}

fn rejected(error: Error) -> Unusable {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Unusable::OtherKey,
        error => Unusable::Rejected(error.to_string()),
    }
}

fn speaking(base: &ServerConfig, protocols: &[&[u8]]) -> Arc<ServerConfig> {
    let mut config = base.clone();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use super::super::material::Kind;
    use super::*;
    use zeroize::Zeroizing;

    fn made(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]);
        let parameters = parameters.expect("a name");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    fn material(certificate: &str, key: &str) -> Material {
        Material {
            certificate: certificate.as_bytes().to_vec(),
            key: Zeroizing::new(key.as_bytes().to_vec()),
            client_ca: None,
            revocation_lists: None,
        }
    }

    fn unusable(certificate: &str, key: &str) -> Unusable {
        let made = TlsSet::new(
            &material(certificate, key),
            Terms::default(),
            None,
            UnixTime::now(),
        );
        made.err().expect("not usable")
    }

    #[test]
    fn what_cannot_be_used_is_said_with_the_name_of_the_file() {
        let (certificate, key) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
        let (_, other) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(unusable(&certificate, &other), Unusable::OtherKey);
        for (certificate, key, kind) in [
            ("", &*key, Kind::Certificate),
            ("not PEM at all", &key, Kind::Certificate),
            (&key, &key, Kind::Certificate),
            (&certificate, "", Kind::Key),
            (&certificate, &certificate, Kind::Key),
        ] {
            let found = unusable(certificate, key);
            assert!(
                matches!(found, Unusable::NotPem { kind: found, .. } if found == kind),
                "{found}"
            );
            assert!(
                found
                    .to_string()
                    .starts_with(&format!("`{}`", kind.as_str()))
            );
        }
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(unusable(&certificate, encrypted), Unusable::EncryptedKey);
        let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert_eq!(unusable(broken, &key), Unusable::Malformed);
    }

    #[test]
    fn the_end_point_is_hashed_as_the_certificate_is_signed() {
        for (algorithm, bytes) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let (certificate, key) = made(algorithm);
            let set = TlsSet::new(
                &material(&certificate, &key),
                Terms::default(),
                None,
                UnixTime::now(),
            );
            let set = set.expect("usable");
            assert_eq!(set.server_end_point().map(<[u8]>::len), bytes);
        }
    }

    #[test]
    fn no_key_is_printed() {
        let (certificate, key) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(
            format!("{:?}", material(&certificate, &key)),
            "Material(***)"
        );
    }
}
