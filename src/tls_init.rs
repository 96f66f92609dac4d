//! `nodedb tls init`: an authority, a server's certificate and a client's, to try TLS and mutual TLS with.
//!
//! For development: whoever has `ca.key` can be anybody. It is done when it is asked for and never
//! otherwise, and overwrites nothing.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Years until the authority's certificate ends, and until the others do.
const YEARS: [i32; 2] = [10, 2];

/// Why nothing, or not all of it, was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// One of the files is there: nothing was made.
    #[error("{} is there already, and nothing is overwritten; name another directory with --dir", .0.display())]
    Exists(PathBuf),
    /// A name that no file could have, or one of the others' names.
    #[error(
        "\"{0}\" cannot be a user here: a name of letters, digits, '.', '_' and '-' is needed, other than ca and server"
    )]
    Name(String),
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] Error),
    /// The system gives no randomness.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// Whether a file is for its owner's eyes only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrecy {
    Open,
    Secret,
}

/// Makes the files in a directory, which is made where it is not there; gives what to do with them.
///
/// # Errors
/// [`InitError`]
pub fn init(directory: &Path, user: &str) -> Result<String, InitError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_taken = matches!(user, "ca" | "server") || user.starts_with('.');
    if user.is_empty() || is_taken || !user.bytes().all(fits) {
        return Err(InitError::Name(user.to_owned()));
    }
    let files = made(user)?;
    let path = |name: &str| directory.join(name);
    if let Some((name, ..)) = files.iter().find(|(name, ..)| path(name).exists()) {
        return Err(InitError::Exists(path(name)));
    }
    fs::create_dir_all(directory).map_err(|source| InitError::Write {
        path: directory.to_owned(),
        source,
    })?;
    for (name, text, secrecy) in &files {
        write(&path(name), text, *secrecy)?;
    }
    Ok(advice(directory, user))
}

type Files = Vec<(String, String, Secrecy)>;

fn made(user: &str) -> Result<Files, InitError> {
    let [authority_years, years] = YEARS;
    let mut authority = parameters("NodeDB development CA", authority_years)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?.pem();
    let authority_key_text = authority_key.serialize_pem();
    let issuer = Issuer::new(authority, authority_key);

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut server = parameters("localhost", years)?;
    server.subject_alt_names = CertificateParams::new(names.to_vec())?.subject_alt_names;
    let mut client = parameters(user, years)?;
    let mut files = vec![
        ("ca.crt".to_owned(), authority_certificate, Secrecy::Open),
        ("ca.key".to_owned(), authority_key_text, Secrecy::Secret),
    ];
    for (name, parameters, purpose) in [
        ("server", &mut server, ExtendedKeyUsagePurpose::ServerAuth),
        (user, &mut client, ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        parameters.extended_key_usages = vec![purpose];
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &issuer)?.pem();
        files.push((format!("{name}.crt"), certificate, Secrecy::Open));
        files.push((format!("{name}.key"), key.serialize_pem(), Secrecy::Secret));
    }
    Ok(files)
}

/// With this common name, from yesterday on: clocks differ.
fn parameters(name: &str, years: i32) -> Result<CertificateParams, InitError> {
    use chrono::Datelike;
    let yesterday = chrono::Utc::now() - chrono::Duration::days(1);
    let date = |years: i32| {
        // A 29th of February has no counterpart in most years.
        let day = yesterday.day().min(28);
        let month = u8::try_from(yesterday.month()).expect("twelve of them");
        let day = u8::try_from(day).expect("at most 28");
        date_time_ymd(yesterday.year() + years, month, day)
    };
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = date(0);
    parameters.not_after = date(years);
    let mut serial = [0; 16];
    SystemRandom::new()
        .fill(&mut serial)
        .map_err(|_| InitError::NoRandomness)?;
    // Positive, and of its full length.
    serial[0] = serial[0] & 0x7f | 0x40;
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(parameters)
}

fn write(path: &Path, text: &str, secrecy: Secrecy) -> Result<(), InitError> {
    let mode = match secrecy {
        Secrecy::Open => 0o644,
        Secrecy::Secret => 0o600,
    };
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let written = opened.and_then(|mut file: File| file.write_all(text.as_bytes()));
    written.map_err(|source| InitError::Write {
        path: path.to_owned(),
        source,
    })
}

fn advice(directory: &Path, user: &str) -> String {
    let directory = directory.display();
    format!(
        "\
Made {directory}/ca.crt, server.crt, {user}.crt and their keys: for development, not for production.

In nodedb.toml:

    [server.tls]
    cert = \"{directory}/server.crt\"
    key = \"{directory}/server.key\"
    client_ca = \"{directory}/ca.crt\"

Then:

    psql \"host=localhost port=6432 dbname=nodedb user={user} sslmode=verify-full \\
          sslrootcert={directory}/ca.crt sslcert={directory}/{user}.crt sslkey={directory}/{user}.key\"
    curl --cacert {directory}/ca.crt --cert {directory}/{user}.crt --key {directory}/{user}.key https://localhost:6480/v1/query
"
    )
}
