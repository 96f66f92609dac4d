//! A NodeDB of a test's own: the program that `NODEDB_BIN` names, on free loopback ports, ended by
//! its own process id.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The superuser's password.
pub const PASSWORD: &str = "correct horse battery staple";

/// How long a start may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; dropping it kills it.
pub struct Server {
    process: Child,
    native: u16,
}

impl Server {
    /// Starts one in a directory.
    ///
    /// # Panics
    /// When `NODEDB_BIN` is not set or the server does not listen.
    pub fn start(directory: &Path) -> Server {
        let program = std::env::var_os("NODEDB_BIN").expect("NODEDB_BIN names the server");
        let (pgwire, native, http) = (free_port(), free_port(), free_port());
        let process = Command::new(program)
            .current_dir(directory)
            .env("NODEDB_HOST", "127.0.0.1")
            .env("NODEDB_DATA_DIR", directory.join("data"))
            .env("NODEDB_PORT_PGWIRE", pgwire.to_string())
            .env("NODEDB_PORT_NATIVE", native.to_string())
            .env("NODEDB_PORT_HTTP", http.to_string())
            .env("NODEDB_SUPERUSER_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .spawn()
            .expect("the server starts");
        let server = Server { process, native };
        let deadline = Instant::now() + PATIENCE;
        while !server.answers() {
            assert!(Instant::now() < deadline, "the server does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Whether it acknowledges a hello. That a connection is taken says less: at the start the port
    /// is tried out first, and whoever connects then is let down.
    fn answers(&self) -> bool {
        let hello = *b"NDBH\0\x01\0\x01\0\0\0\0\0\0\0\0";
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.native)) else {
            return false;
        };
        let mut ack = [0; 4];
        stream.write_all(&hello).is_ok() && stream.read_exact(&mut ack).is_ok() && ack == *b"NDBA"
    }

    /// The native port's address.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.native)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    probe.local_addr().expect("it is bound").port()
}
