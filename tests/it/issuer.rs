//! An identity provider on this machine: discovery and key sets over TLS, and every way to fail at it.

use crate::authority::{Authority, named};
use crate::signer::{Signer, key_set};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How it answers from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// As a provider should.
    Well,
    /// Connections end at once.
    Down,
    /// Nothing is answered for so long.
    Slow(Duration),
    /// A byte now and then, and never the last one.
    Drip,
    /// This status, with a page for people.
    Status(u16),
    /// Success, and a page for people.
    Page,
    /// So many bytes of spaces, before what is right.
    Huge(usize),
    /// To this address, for whatever is asked but `/moved`, which is answered with the keys.
    Redirect(String),
    /// The discovery document is of this issuer.
    Impostor(String),
    /// With a certificate that has ended years ago.
    ExpiredTls,
}

struct State {
    behaviour: Behaviour,
    /// What lies at `/keys` and at the usual place.
    keys: String,
    cache_control: Option<String>,
    discovery: bool,
    asked: Vec<String>,
}

/// It runs until it is dropped.
pub struct Issuer {
    address: SocketAddr,
    scheme: &'static str,
    authority: String,
    state: Arc<Mutex<State>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Unix seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs() as i64
}

impl Issuer {
    /// Over TLS, with an authority of its own, and no keys yet.
    pub fn start() -> Issuer {
        let authority = Authority::new("provider's authority");
        let (good, ended) = (tls(&authority, 2099), tls(&authority, 2021));
        Issuer::serve("https", authority.certificate.pem(), Some((good, ended)))
    }

    /// Without TLS.
    pub fn start_plain() -> Issuer {
        Issuer::serve("http", String::new(), None)
    }

    fn serve(scheme: &'static str, authority: String, tls: Option<Tls>) -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(Mutex::new(State {
            behaviour: Behaviour::Well,
            keys: key_set(&[]),
            cache_control: None,
            discovery: true,
            asked: Vec::new(),
        }));
        let ends = Arc::new(AtomicBool::new(false));
        let issuer = format!("{scheme}://localhost:{}/", address.port());
        let (its_state, its_end) = (state.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if its_end.load(Ordering::SeqCst) {
                    return;
                }
                let (state, tls, issuer) = (its_state.clone(), tls.clone(), issuer.clone());
                // What a client gives up halfway is its own matter.
                std::thread::spawn(move || stream.and_then(|it| serve(it, &state, tls, &issuer)));
            }
        });
        Issuer {
            address,
            scheme,
            authority,
            state,
            ends,
            thread: Some(thread),
        }
    }

    /// `iss` of its tokens, with its slash.
    pub fn url(&self) -> String {
        format!("{}://{}/", self.scheme, self.host())
    }

    /// For `allow_http_hosts`: this machine's addresses are private ones.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// Where its keys lie, for `jwks_url`.
    pub fn keys_url(&self) -> String {
        format!("{}keys", self.url())
    }

    /// Writes its authority's certificate, for `[auth.jwks] ca`.
    pub fn write_ca(&self, directory: &Path) -> PathBuf {
        let path = directory.join("provider_ca.crt");
        fs::write(&path, &self.authority).expect("written");
        path
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody has panicked with it")
    }

    /// From now on its key set holds these and no others.
    pub fn publish(&self, signers: &[&Signer]) {
        self.state().keys = key_set(signers);
    }

    /// From now on it answers so.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state().behaviour = behaviour;
    }

    /// With this header beside the keys.
    pub fn cache(&self, cache_control: &str) {
        self.state().cache_control = Some(cache_control.to_owned());
    }

    /// Without a discovery document: its keys lie at the usual place only.
    pub fn without_discovery(&self) {
        self.state().discovery = false;
    }

    /// The paths it has been asked for.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// The claims that every token has: of this issuer, for ten minutes.
    pub fn claims(&self, subject: &str, audience: &str) -> Value {
        json!({"iss": self.url(), "sub": subject, "aud": audience, "iat": now(), "exp": now() + 600})
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// With a certificate that is good, and with one that is not.
type Tls = (Arc<ServerConfig>, Arc<ServerConfig>);

fn tls(authority: &Authority, until: i32) -> Arc<ServerConfig> {
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let mut parameters = CertificateParams::new(names.to_vec()).expect("names");
    parameters.distinguished_name = named("provider").distinguished_name;
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(until, 1, 1);
    let issued = authority.issue(&parameters);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![issued.certificate.der().clone()], key);
    Arc::new(config.expect("a certificate and its key"))
}

fn serve(
    stream: TcpStream,
    state: &Mutex<State>,
    tls: Option<Tls>,
    issuer: &str,
) -> std::io::Result<()> {
    let behaviour = state.lock().expect("unharmed").behaviour.clone();
    if behaviour == Behaviour::Down {
        return Ok(());
    }
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let Some((good, ended)) = tls else {
        return answer(stream, state, &behaviour, issuer);
    };
    let config = match behaviour {
        Behaviour::ExpiredTls => ended,
        _ => good,
    };
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    answer(&mut stream, state, &behaviour, issuer)?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn answer(
    mut stream: impl Read + Write,
    state: &Mutex<State>,
    behaviour: &Behaviour,
    issuer: &str,
) -> std::io::Result<()> {
    let path = asked_for(&mut stream)?;
    let (found, cache_control) = {
        let mut state = state.lock().expect("unharmed");
        state.asked.push(path.clone());
        let impostor = match behaviour {
            Behaviour::Impostor(other) => Some(other.as_str()),
            _ => None,
        };
        (
            document(&state, &path, impostor.unwrap_or(issuer), issuer),
            state.cache_control.clone(),
        )
    };
    let (mut status, mut body) = match found {
        Some(body) => (200, body),
        None => (404, "<html>There is nothing here.</html>".to_owned()),
    };
    let mut headers = String::new();
    if let Some(value) = cache_control {
        headers.push_str(&format!("Cache-Control: {value}\r\n"));
    }
    match behaviour {
        Behaviour::Slow(span) => std::thread::sleep(*span),
        Behaviour::Status(other) => status = *other,
        Behaviour::Page => body = "<html>Welcome.</html>".to_owned(),
        Behaviour::Huge(bytes) => body.insert_str(0, &" ".repeat(*bytes)),
        Behaviour::Redirect(to) if path != "/moved" => {
            status = 302;
            headers.push_str(&format!("Location: {to}\r\n"));
        }
        _ => {}
    }
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\n{headers}\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    if *behaviour == Behaviour::Drip {
        for byte in body.bytes().take(length - 1) {
            stream.write_all(&[byte])?;
            stream.flush()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_secs(20));
    }
    stream.write_all(body.as_bytes())?;
    stream.flush()
}

/// What lies at a path, of an issuer that calls itself so.
fn document(state: &State, path: &str, called: &str, issuer: &str) -> Option<String> {
    match path {
        "/.well-known/openid-configuration" if state.discovery => {
            let document = json!({"issuer": called, "jwks_uri": format!("{issuer}keys"),
                "id_token_signing_alg_values_supported": ["RS256", "ES256"]});
            Some(document.to_string())
        }
        "/keys" | "/moved" | "/.well-known/jwks.json" => Some(state.keys.clone()),
        _ => None,
    }
}

/// The path of a GET; its headers are read and nothing is made of them.
fn asked_for(stream: &mut impl Read) -> std::io::Result<String> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    Ok(first.split(' ').nth(1).unwrap_or_default().to_owned())
}
