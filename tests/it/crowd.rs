//! Ten thousand connections on two cores: each logs in, stays, and answers.

use crate::server::{SUPERUSER_PASSWORD, TestServer};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac, pbkdf2};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

const CROWD: u64 = 10_000;

/// Threads that log in.
const WORKERS: u64 = 4;

/// Descriptors of the test and of the server besides the connections.
const DESCRIPTORS_BESIDES: u64 = 500;

/// What an idle connection may cost the server, in a build without optimisation. The aim of
/// perf/ is 4 KiB; this is there to find a buffer that is not given back.
const BYTES_A_CONNECTION_MAX: u64 = 16 * 1024;

/// The keys of a password, derived once for a salt: what a pool does.
#[derive(Clone)]
struct Keys {
    challenge: String,
    client: hmac::Tag,
    stored: digest::Digest,
}

impl Keys {
    /// Of `s=…,i=…`.
    fn derive(challenge: &str) -> Keys {
        let (salt, iterations) = challenge
            .strip_prefix("s=")
            .and_then(|rest| rest.split_once(",i="))
            .expect("salt and iterations");
        let salt = BASE64_STANDARD.decode(salt).expect("base64");
        let iterations: NonZeroU32 = iterations.parse().expect("a number");
        let mut salted = [0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            &salt,
            SUPERUSER_PASSWORD.as_bytes(),
            &mut salted,
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client = hmac::sign(&key, b"Client Key");
        Keys {
            challenge: challenge.to_owned(),
            stored: digest::digest(&digest::SHA256, client.as_ref()),
            client,
        }
    }

    fn proof(&self, signed: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.stored.as_ref());
        let signature = hmac::sign(&key, signed.as_bytes());
        let proof: Vec<u8> = self
            .client
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(key, signature)| key ^ signature)
            .collect();
        BASE64_STANDARD.encode(proof)
    }
}

fn send(stream: &mut TcpStream, tag: &[u8], body: &[u8]) {
    let length = (body.len() as u32 + 4).to_be_bytes();
    stream
        .write_all(&[tag, &length, body].concat())
        .expect("the server reads");
}

fn receive(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 5];
    stream.read_exact(&mut head).expect("the server answers");
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).expect("a whole message");
    assert_ne!(head[0], b'E', "{}", String::from_utf8_lossy(&body));
    (head[0], body)
}

fn until_ready(stream: &mut TcpStream) -> Vec<(u8, Vec<u8>)> {
    let mut replies = Vec::new();
    loop {
        let reply = receive(stream);
        let ready = reply.0 == b'Z';
        replies.push(reply);
        if ready {
            return replies;
        }
    }
}

/// A session that is logged in.
fn log_in(server: &TestServer, keys: &Mutex<Option<Keys>>) -> TcpStream {
    let mut stream = TcpStream::connect(server.pgwire()).expect("the server accepts");
    stream
        .set_read_timeout(Some(Duration::from_secs(120)))
        .expect("a timeout can be set");
    send(&mut stream, b"", b"\0\x03\0\0user\0nodedb\0\0");
    receive(&mut stream);
    let first = "n=,r=abcdefghijklmnopqrstuvwx";
    let mut initial = b"SCRAM-SHA-256\0".to_vec();
    initial.extend_from_slice(&(first.len() as u32 + 3).to_be_bytes());
    initial.extend_from_slice(format!("n,,{first}").as_bytes());
    send(&mut stream, b"p", &initial);
    let (_, challenge) = receive(&mut stream);
    let challenge = std::str::from_utf8(&challenge[4..]).expect("text");
    let (nonce, parameters) = challenge.split_once(',').expect("a nonce, then the rest");
    let keys = {
        let mut known = keys.lock().expect("no worker panicked");
        if known
            .as_ref()
            .is_none_or(|keys| keys.challenge != parameters)
        {
            *known = Some(Keys::derive(parameters));
        }
        known.clone().expect("just derived")
    };
    let bare = format!("c=biws,{nonce}");
    let proof = keys.proof(&format!("{first},{challenge},{bare}"));
    send(&mut stream, b"p", format!("{bare},p={proof}").as_bytes());
    until_ready(&mut stream);
    stream
}

fn answers(stream: &mut TcpStream, number: u64) {
    send(stream, b"Q", format!("SELECT {number}\0").as_bytes());
    let replies = until_ready(stream);
    let row = replies.iter().find(|(tag, _)| *tag == b'D').expect("a row");
    assert!(row.1.ends_with(number.to_string().as_bytes()), "{row:?}");
}

/// Ends a session; its place is free once the server has closed its end.
fn leaves(mut stream: TcpStream) {
    send(&mut stream, b"X", b"");
    let rest = stream.read_to_end(&mut Vec::new());
    rest.expect("the server closes");
}

/// The server's proportional share of memory, in bytes.
fn memory_of(server: &TestServer) -> u64 {
    let path = format!("/proc/{}/smaps_rollup", server.pid());
    let text = std::fs::read_to_string(path).expect("its memory can be looked at");
    let anonymous = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .expect("the kernel tells it");
    let kib: u64 = anonymous
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kib * 1024
}

/// How many connections fit: both processes need a descriptor for each.
fn crowd_that_fits() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let fits = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let fits = fits.map_or(CROWD, |fits| fits.saturating_sub(DESCRIPTORS_BESIDES));
    // A session takes a loopback port of its own, too, of the 28,000 there usually are.
    if fits < CROWD {
        let message = format!(
            "REDUCED: RLIMIT_NOFILE is too low for {CROWD} connections, {fits} are tried; raise it with ulimit -Hn\n"
        );
        let _ = std::io::stderr().write_all(message.as_bytes());
    }
    fits.min(CROWD)
}

#[test]
fn ten_thousand_sessions_stay_and_each_answers() {
    let crowd = crowd_that_fits();
    // Room for more than the crowd: whoever looks whether the server is up may still be leaving.
    let settings = [("NODEDB_CORES", "2"), ("NODEDB_MAX_CONNECTIONS", "10100")];
    let server = TestServer::start_with(&settings);
    let keys = Mutex::new(None);
    let mut first: Vec<TcpStream> = (0..100).map(|_| log_in(&server, &keys)).collect();
    let before = memory_of(&server);
    let mut sessions: Vec<TcpStream> = thread::scope(|scope| {
        let (server, keys) = (&server, &keys);
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                scope.spawn(move || {
                    let share = (crowd - 100) / WORKERS;
                    (0..share).map(|_| log_in(server, keys)).collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("every login succeeds"))
            .collect()
    });
    let each = memory_of(&server).saturating_sub(before) / sessions.len() as u64;
    assert!(
        each <= BYTES_A_CONNECTION_MAX,
        "{each} bytes a connection, {} of them",
        sessions.len()
    );
    sessions.append(&mut first);
    for (number, stream) in sessions.iter_mut().enumerate() {
        answers(stream, number as u64);
    }
    leaves(sessions.pop().expect("there are many"));
    answers(&mut log_in(&server, &keys), 7);
}
