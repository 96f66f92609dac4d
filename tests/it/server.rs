//! A NodeDB of a test's own: the built program, in a temporary directory, on free loopback ports,
//! ended by its own process id.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The superuser's password in every test.
pub const SUPERUSER_PASSWORD: &str = "correct horse battery staple";

/// For tests whose log-ins are meant to fail, over and over.
pub const UNTHROTTLED: &str =
    "[auth.throttle]\nper_name_failures = 1_000_000\nper_address_failures = 1_000_000\n";

/// How long a start or an end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; dropping it kills it and removes its directory.
pub struct TestServer {
    directory: TempDir,
    settings: Vec<(String, String)>,
    pgwire: u16,
    native: u16,
    http: u16,
    process: Option<Child>,
}

/// A port that nobody listens on. Not one that the system hands out: another test's client could be
/// given it before the server takes it.
fn free_port() -> u16 {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    const BELOW_THE_SYSTEMS: std::ops::Range<u32> = 10_000..32_000;
    loop {
        // Tests run in processes of their own, at once: each begins elsewhere.
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id().wrapping_mul(37).wrapping_add(tried);
        let port = BELOW_THE_SYSTEMS.start + place % BELOW_THE_SYSTEMS.len() as u32;
        let port = u16::try_from(port).expect("below 32,000");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

impl TestServer {
    /// A fresh server with the defaults.
    pub fn start() -> TestServer {
        TestServer::start_with(&[])
    }

    /// A fresh server with a configuration file.
    pub fn start_configured(file: &str) -> TestServer {
        let directory = TempDir::new().expect("a temporary directory");
        std::fs::write(directory.path().join("nodedb.toml"), file).expect("it can be written");
        TestServer::start_in(directory, &[])
    }

    /// A fresh server with a configuration file, in a directory that has been prepared.
    pub fn start_in_directory(directory: TempDir, file: &str) -> TestServer {
        std::fs::write(directory.path().join("nodedb.toml"), file).expect("it can be written");
        TestServer::start_in(directory, &[])
    }

    /// A fresh server with more environment variables, such as `NODEDB_CORES`.
    pub fn start_with(settings: &[(&str, &str)]) -> TestServer {
        let directory = TempDir::new().expect("a temporary directory");
        TestServer::start_in(directory, settings)
    }

    fn start_in(directory: TempDir, settings: &[(&str, &str)]) -> TestServer {
        let mut server = TestServer {
            directory,
            settings: settings
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
            pgwire: free_port(),
            native: free_port(),
            http: free_port(),
            process: None,
        };
        server.resume();
        server
    }

    /// Starts it again on what is in its directory.
    pub fn resume(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        self.process = Some(self.command().spawn().expect("the built server starts"));
        let deadline = Instant::now() + PATIENCE;
        while !self.answers() {
            let process = self.process.as_mut().expect("just started");
            let ended = process.try_wait().expect("its state can be asked");
            assert!(
                ended.is_none(),
                "the server ended ({ended:?}):\n{}",
                self.log()
            );
            assert!(
                Instant::now() < deadline,
                "the server does not listen:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it answers an SSLRequest. That a connection is taken says less: at the start the
    /// port is tried out first, and whoever connects then is let down.
    fn answers(&self) -> bool {
        let request = [0, 0, 0, 8, 4, 210, 22, 47];
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.pgwire)) else {
            return false;
        };
        let patience = stream.set_read_timeout(Some(PATIENCE));
        patience.expect("a timeout can be set");
        stream.write_all(&request).is_ok() && stream.read_exact(&mut [0]).is_ok()
    }

    /// The command that starts it, for tests that expect it to refuse.
    pub fn command(&self) -> Command {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.directory.path().join("log"))
            .expect("the log can be written");
        // Another build of it can be tried, as tests/drivers can.
        let built =
            std::env::var_os("NODEDB_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_nodedb").into());
        let mut command = Command::new(built);
        command
            .current_dir(self.directory.path())
            .env("NODEDB_HOST", "127.0.0.1")
            .env("NODEDB_DATA_DIR", self.data_dir())
            .env("NODEDB_PORT_PGWIRE", self.pgwire.to_string())
            .env("NODEDB_PORT_NATIVE", self.native.to_string())
            .env("NODEDB_PORT_HTTP", self.http.to_string())
            .env("NODEDB_SUPERUSER_PASSWORD", SUPERUSER_PASSWORD)
            .envs(self.settings.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        command
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }

    /// The directory it runs in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The PostgreSQL port.
    pub fn pgwire(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.pgwire))
    }

    /// The native port.
    pub fn native(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.native))
    }

    /// The HTTP port.
    pub fn http(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.http))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it can be killed");
        process.wait().expect("it is gone");
    }

    /// SIGTERM, and waits for the end; gives the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let mut process = self.process.take().expect("it runs");
        let pid = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is there");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = process.try_wait().expect("its state can be asked") {
                return status.code();
            }
            assert!(
                Instant::now() < deadline,
                "SIGTERM did not end it:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A figure of /metrics, by its name without the prefix.
    ///
    /// # Panics
    /// When it is not there.
    pub fn metric(&self, name: &str) -> u64 {
        let mut http = TcpStream::connect(self.http()).expect("the HTTP port listens");
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        http.write_all(request.as_bytes()).expect("it reads");
        let mut text = String::new();
        http.read_to_string(&mut text).expect("it answers");
        let name = format!("nodedb_{name} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        let value = value.unwrap_or_else(|| panic!("no {name}in:\n{text}"));
        value.trim().parse().expect("a whole number")
    }

    /// Waits until a figure of /metrics is as wanted.
    ///
    /// # Panics
    /// When that never happens.
    pub fn until_metric(&self, name: &str, wanted: impl Fn(u64) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(self.metric(name)) {
            assert!(
                Instant::now() < deadline,
                "{name} stays {}",
                self.metric(name)
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until so many transactions wait for a lock.
    ///
    /// # Panics
    /// When that never happens.
    pub fn until_lock_waits(&self, count: u64) {
        self.until_metric("storage_lock_waits", |waits| waits == count);
    }

    /// A client program of PostgreSQL's, with host, port and password given.
    pub fn client(&self, program: &str, user: &str, password: &str) -> Command {
        let installed = Path::new("/usr/lib/postgresql/15/bin").join(program);
        let mut command = if installed.exists() {
            Command::new(installed)
        } else {
            Command::new(program)
        };
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.pgwire.to_string())
            .env("PGUSER", user)
            .env("PGPASSWORD", password)
            .env("PGCONNECT_TIMEOUT", "30")
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// psql as anybody: unaligned, rows only, stops at the first error.
    pub fn psql_as(&self, user: &str, password: &str, database: &str, sql: &str) -> Output {
        self.client("psql", user, password)
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                database,
                "-c",
                sql,
            ])
            .output()
            .expect("psql is installed")
    }

    /// psql as the superuser in `nodedb`; gives what it printed.
    ///
    /// # Panics
    /// When a statement fails.
    pub fn psql(&self, sql: &str) -> String {
        let done = self.psql_as("nodedb", SUPERUSER_PASSWORD, "nodedb", sql);
        let printed = String::from_utf8_lossy(&done.stdout).trim_end().to_string();
        let complaints = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{sql}\n{complaints}\n{}", self.log());
        printed
    }

    /// The error that psql shows for a statement of the superuser's, with its SQLSTATE.
    ///
    /// # Panics
    /// When the statement succeeds.
    pub fn psql_error(&self, sql: &str) -> String {
        self.try_psql(sql).expect_err(sql)
    }

    /// What psql prints for statements of the superuser's, or the error that it shows, with its
    /// SQLSTATE.
    pub fn try_psql(&self, sql: &str) -> Result<String, String> {
        let done = self
            .client("psql", "nodedb", SUPERUSER_PASSWORD)
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-v",
                "VERBOSITY=verbose",
                "-d",
                "nodedb",
                "-c",
                sql,
            ])
            .output()
            .expect("psql is installed");
        let text = |bytes| String::from_utf8_lossy(bytes).trim_end().to_string();
        match done.status.success() {
            true => Ok(text(&done.stdout)),
            false => Err(text(&done.stderr)),
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}
