//! A PostgreSQL 15 beside the server under test: the oracle for SQL.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A PostgreSQL 15 of a test's own, at a socket in a temporary directory.
pub struct Postgresql {
    directory: TempDir,
}

/// Where Debian puts its programs.
pub const INSTALLED: &str = "/usr/lib/postgresql/15/bin";

impl Postgresql {
    /// Starts it, empty.
    pub fn start() -> Postgresql {
        let directory = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp");
        let directory = directory.expect("a temporary directory");
        let server = Postgresql { directory };
        let path = server.directory.path().to_owned();
        if let Some((user, group)) = server_user() {
            std::os::unix::fs::chown(&path, Some(user), Some(group)).expect("it is ours to give");
        }
        let data = path.join("data");
        let data = data.to_str().expect("a temporary path is UTF-8");
        server.own(
            "initdb",
            &[
                "-D",
                data,
                "-A",
                "trust",
                "-U",
                "nodedb",
                "-E",
                "UTF8",
                "--no-sync",
                "--locale=C",
            ],
        );
        let options = format!("-c listen_addresses= -c fsync=off -k {}", path.display());
        server.own(
            "pg_ctl",
            &["-D", data, "-o", &options, "-w", "-l", "/dev/null", "start"],
        );
        server
    }

    /// Where its socket is: nobody else has it.
    pub fn socket_directory(&self) -> &Path {
        self.directory.path()
    }

    /// One of its own programs, which must succeed; it does not run as root.
    fn own(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(Path::new(INSTALLED).join(program));
        command.args(arguments).current_dir(self.directory.path());
        // pg_ctl leaves the server its own output: nobody may wait for the end of it.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if let Some((user, group)) = server_user() {
            command.uid(user).gid(group);
        }
        let status = command.status().expect("postgresql-15 is installed");
        assert!(status.success(), "{program} {arguments:?}");
    }
}

/// The system's postgres, where the tests run as root.
fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::getuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("it can be read");
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line
        .expect("postgresql-15 makes its user")
        .split(':')
        .skip(2);
    let mut number = || fields.next().and_then(|field| field.parse().ok());
    Some((number().expect("a user id"), number().expect("a group id")))
}

impl Drop for Postgresql {
    fn drop(&mut self) {
        let data = self.directory.path().join("data");
        let data = data.to_str().expect("a temporary path is UTF-8");
        self.own("pg_ctl", &["-D", data, "-m", "immediate", "stop"]);
    }
}
