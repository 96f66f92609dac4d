//! Asking a provider for a document, over HTTPS (REFERENCE §3 "JWKS").
//!
//! What may go wrong is bounded: whom it connects to, by address and not by name; where a redirect may
//! lead; how long each step takes; how much is read. Each fetch is a connection of its own: an expired
//! certificate is seen.

use super::addresses::is_public;
use super::hosts::AllowedHosts;
use crate::auth::jwks::{DOCUMENT_BYTES_MAX, Reply, Source, SourceError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::{Response, Uri, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use url::Url;

/// To be connected, TLS apart.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);

/// Redirects that are followed, on one host.
const REDIRECTS_MAX: usize = 3;

/// All headers of an answer.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// A reason may quote what was answered.
const REASON_BYTES_MAX: usize = 300;

/// Certificates of authorities that `ca` may hold in bytes.
const AUTHORITIES_BYTES_MAX: u64 = 4 << 20;

/// HTTPS, or HTTP where it is allowed.
pub struct HttpsSource {
    allowed: AllowedHosts,
    /// Of `ca`; the system's come beside them.
    authorities: Vec<Certificate<'static>>,
    /// Made with the first fetch: who has no providers never reads the system's authorities.
    agent: OnceLock<Agent>,
}

/// The file of `[auth.jwks] ca` is of no use.
#[derive(Debug, thiserror::Error)]
#[error("[auth.jwks] `ca`: {}: {reason}", path.display())]
pub struct UnfitAuthorities {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

impl HttpsSource {
    /// Trusts the system's authorities, and those of files in PEM beside them. Reads the files.
    ///
    /// # Errors
    /// [`UnfitAuthorities`]
    pub fn new(allowed: AllowedHosts, ca: &[PathBuf]) -> Result<HttpsSource, UnfitAuthorities> {
        let files = ca.iter().map(|path| read_authorities(path));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        Ok(HttpsSource {
            allowed,
            authorities: files.concat(),
            agent: OnceLock::new(),
        })
    }

    fn agent(&self) -> &Agent {
        self.agent.get_or_init(|| {
            let config = config(&self.authorities);
            let guard = Guard(self.allowed.clone());
            Agent::with_parts(config, DefaultConnector::default(), guard)
        })
    }

    /// An address that may be asked.
    fn admit(&self, url: &Url) -> Result<(), String> {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err("it is not the address of a host".to_owned());
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a user's name or password".to_owned());
        }
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.allowed.lists(host, port) => Ok(()),
            _ => Err("it is not https, and allow_http_hosts does not list its host".to_owned()),
        }
    }

    fn ask(&self, url: &Url, until: Instant) -> Result<Response<ureq::Body>, String> {
        self.admit(url)?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("it took too long".to_owned());
        }
        let request = self.agent().get(url.as_str()).config();
        let request = request.timeout_global(Some(left)).build();
        request.call().map_err(|error| error.to_string())
    }
}

impl Source for HttpsSource {
    fn fetch(&self, url: &str, within: Duration) -> Result<Reply, SourceError> {
        let until = Instant::now() + within;
        let failed = |mut reason: String| {
            reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
            let url = url.to_owned();
            SourceError::Failed { url, reason }
        };
        let first = Url::parse(url).map_err(|error| failed(error.to_string()))?;
        let mut at = first.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut answer = self.ask(&at, until).map_err(failed)?;
            let status = answer.status();
            if status.is_redirection() {
                at = redirected(&at, &first, &answer).map_err(failed)?;
                continue;
            }
            return match status.as_u16() {
                200 => read(&mut answer).map_err(failed),
                404 | 410 => Err(SourceError::Missing {
                    url: url.to_owned(),
                    status: status.as_u16(),
                }),
                status => Err(failed(format!("it answers with status {status}"))),
            };
        }
        Err(failed(format!(
            "it redirects more than {REDIRECTS_MAX} times"
        )))
    }
}

fn config(authorities: &[Certificate<'static>]) -> Config {
    let found = rustls_native_certs::load_native_certs();
    let system = found
        .certs
        .iter()
        .map(|it| Certificate::from_der(it).to_owned());
    let roots: Vec<_> = system.chain(authorities.iter().cloned()).collect();
    if roots.is_empty() {
        tracing::warn!(
            errors = ?found.errors,
            "this system trusts no certificate authority: no provider can be asked for its keys"
        );
    }
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::from(roots.into_iter()))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        // A proxy of the environment would be who connects, past the guard.
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .timeout_connect(Some(CONNECT_TIME_MAX))
        .max_response_header_size(HEADER_BYTES_MAX)
        .user_agent("NodeDB")
        .accept("application/json")
        .build()
}

/// Where the answer leads, on the host that was asked.
fn redirected(at: &Url, first: &Url, answer: &Response<ureq::Body>) -> Result<Url, String> {
    let location = answer.headers().get(header::LOCATION);
    let location = location.and_then(|it| it.to_str().ok());
    let url = location.and_then(|it| at.join(it).ok());
    let url = url.ok_or_else(|| "it redirects nowhere".to_owned())?;
    match url.origin() == first.origin() {
        true => Ok(url),
        false => Err("it redirects to another host, port or scheme".to_owned()),
    }
}

fn read(answer: &mut Response<ureq::Body>) -> Result<Reply, String> {
    let cache_control = answer.headers().get(header::CACHE_CONTROL);
    let cache_control = cache_control.and_then(|it| it.to_str().ok());
    let cache_control = cache_control.map(str::to_owned);
    let body = answer.body_mut().with_config();
    let body = body.limit(DOCUMENT_BYTES_MAX as u64).read_to_vec();
    Ok(Reply {
        body: body.map_err(|error| error.to_string())?,
        cache_control,
    })
}

fn read_authorities(path: &Path) -> Result<Vec<Certificate<'static>>, UnfitAuthorities> {
    let unfit = |reason: String| UnfitAuthorities {
        path: path.to_owned(),
        reason,
    };
    let bytes = || -> io::Result<Vec<u8>> {
        match fs::metadata(path)?.len() {
            0..=AUTHORITIES_BYTES_MAX => fs::read(path),
            _ => Err(io::Error::other("it is longer than 4 MiB")),
        }
    };
    let bytes = bytes().map_err(|error| unfit(error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates = certificates.map_err(|error| unfit(error.to_string()))?;
    if certificates.is_empty() {
        return Err(unfit("there is no certificate in it".to_owned()));
    }
    let owned = certificates
        .iter()
        .map(|it| Certificate::from_der(it).to_owned());
    Ok(owned.collect())
}

/// Finds the addresses of a name, and refuses those that no provider may have. What it gives is what
/// is connected to: a name that leads elsewhere a moment later leads nowhere here.
#[derive(Debug)]
struct Guard(AllowedHosts);

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
            Some("http") => 80,
            _ => 443,
        });
        if self.0.lists(uri.host().unwrap_or_default(), port) {
            return Ok(found);
        }
        match found.iter().find(|address| !is_public(address.ip())) {
            None => Ok(found),
            Some(address) => Err(ureq::Error::Io(io::Error::other(format!(
                "{} is not an address of the public internet, and allow_http_hosts does not list its host",
                address.ip()
            )))),
        }
    }
}
