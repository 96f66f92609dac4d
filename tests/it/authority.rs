//! A certificate authority of a test's own, and the files of a server that it vouches for.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationList,
    CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Signs certificates.
pub struct Authority {
    pub certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub struct Issued {
    pub certificate: Certificate,
    pub key: KeyPair,
}

/// Parameters with this common name and no other.
pub fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

impl Authority {
    /// A new one of this name.
    pub fn new(name: &str) -> Authority {
        let mut parameters = named(name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        Authority {
            certificate,
            issuer: Issuer::new(parameters, key),
        }
    }

    /// Signs whatever it is asked to.
    pub fn issue(&self, parameters: &CertificateParams) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer);
        Issued {
            certificate: certificate.expect("a certificate"),
            key,
        }
    }

    /// Its list, naming these serial numbers, good until the year given.
    pub fn list(&self, revoked: &[u64], until: i32) -> CertificateRevocationList {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let parameters = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        parameters.signed_by(&self.issuer).expect("a list")
    }

    /// A certificate for this machine's loopback names.
    pub fn server(&self) -> Issued {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut parameters = CertificateParams::new(names.to_vec()).expect("names");
        parameters.distinguished_name = named("localhost").distinguished_name;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&parameters)
    }

    /// Writes ca.crt, server.crt and server.key.
    pub fn write_server_files(&self, directory: &Path) {
        let write = |name, text: String| fs::write(directory.join(name), text).expect("written");
        write("ca.crt", self.certificate.pem());
        self.server().write(directory, "server");
    }
}

impl Issued {
    /// Writes `name.crt` and `name.key`, the key for its owner's eyes only, as libpq demands.
    pub fn write(&self, directory: &Path, name: &str) {
        let path = |extension: &str| directory.join(format!("{name}.{extension}"));
        fs::write(path("crt"), self.certificate.pem()).expect("written");
        fs::write(path("key"), self.key.serialize_pem()).expect("written");
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(path("key"), mode).expect("a file of ours");
    }
}
