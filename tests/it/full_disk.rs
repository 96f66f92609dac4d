//! A full disk: statements fail with 53100, what was acknowledged stays, the server keeps reading,
//! and room that is made is used again.

use crate::server::TestServer;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Rows of one INSERT, each of 4 KiB. The store ends within one of them.
const ROWS_AT_ONCE: u64 = 200;

/// Inserts until the disk is full; gives how many rows were acknowledged, and the error.
fn fill(server: &TestServer) -> (u64, String) {
    server.psql("CREATE TABLE filler (id bigint PRIMARY KEY, body text)");
    let mut acknowledged = 0;
    loop {
        assert!(acknowledged < 100_000, "the disk does not fill");
        let insert = format!(
            "INSERT INTO filler SELECT n, repeat('x', 4000) FROM generate_series({}, {}) AS n",
            acknowledged + 1,
            acknowledged + ROWS_AT_ONCE
        );
        match server.try_psql(&insert) {
            Ok(_) => acknowledged += ROWS_AT_ONCE,
            Err(error) => return (acknowledged, error),
        }
    }
}

fn rows(server: &TestServer) -> u64 {
    let count = server.psql("SELECT count(*) FROM filler WHERE length(body) = 4000");
    count.parse().expect("a number")
}

/// Whatever writes now is told so, until nothing more fits, single rows too.
fn every_kind_of_write_is_refused(server: &TestServer, acknowledged: u64) {
    let (table, big) = ("filler", "repeat('y', 200000)");
    for write in [
        format!("INSERT INTO {table} SELECT -n, {big} FROM generate_series(1, 60) AS n"),
        format!("UPDATE {table} SET body = {big} WHERE id <= 60"),
        format!(
            "CREATE TABLE copied (b text); INSERT INTO copied SELECT {big} FROM generate_series(1, 60)"
        ),
    ] {
        let error = server.try_psql(&write).expect_err("there is no room");
        assert!(error.contains("53100"), "{write}: {error}");
    }
    let error = server
        .try_psql("COPY filler FROM PROGRAM 'true'")
        .expect_err("not supported");
    assert!(error.contains("0A000"), "{error}");
    let input = server.directory().join("input.csv");
    let lines: String = (0..200)
        .map(|n| format!("{},{}\n", n - 1_000_000, "z".repeat(100_000)))
        .collect();
    std::fs::write(&input, lines).expect("the test's own disk has room");
    let copy = format!("\\copy filler from '{}' csv", input.display());
    let error = server.try_psql(&copy).expect_err("there is no room");
    assert!(error.contains("53100"), "{error}");
    assert_eq!(rows(server), acknowledged, "nothing of those is there");
}

/// Deleting works on a full disk, and makes room.
fn room_that_is_made_is_used_again(server: &TestServer, acknowledged: u64) {
    server.psql(&format!(
        "DELETE FROM filler WHERE id > {}",
        acknowledged / 2
    ));
    assert_eq!(rows(server), acknowledged / 2);
    server.psql("INSERT INTO filler VALUES (-1, repeat('x', 4000))");
    server.psql("TRUNCATE filler");
    assert_eq!(rows(server), 0);
    // The old rows are cleared behind TRUNCATE's back.
    let again = format!(
        "INSERT INTO filler SELECT n, repeat('x', 4000) FROM generate_series(1, {}) AS n",
        acknowledged / 2
    );
    let mut attempts = 0;
    while let Err(error) = server.try_psql(&again) {
        assert!(error.contains("53100"), "{error}");
        attempts += 1;
        assert!(attempts < 200, "the room does not come back: {error}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(rows(server), acknowledged / 2);
}

fn story(server: &mut TestServer, hint: &str) {
    let (acknowledged, error) = fill(server);
    assert!(error.contains("53100"), "{error}");
    assert!(error.contains(hint), "{error}");
    assert!(acknowledged > 0);
    assert_eq!(rows(server), acknowledged, "what was acknowledged is read");
    every_kind_of_write_is_refused(server, acknowledged);
    server.kill();
    server.resume();
    assert_eq!(rows(server), acknowledged, "and after a restart");
    room_that_is_made_is_used_again(server, acknowledged);
    assert_eq!(server.terminate(), Some(0));
    server.resume();
    assert_eq!(rows(server), acknowledged / 2);
}

#[test]
fn a_full_map_refuses_writes_and_goes_on_reading() {
    let mut server = TestServer::start_configured("[storage]\nmap_size = \"64 MiB\"\n");
    story(
        &mut server,
        "Raise map_size in section [storage] and restart.",
    );
}

/// A file system of a few megabytes; dropped, it is gone.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A new one, of 48 MiB.
    pub fn mount(at: &Path) -> Result<SmallDisk, String> {
        std::fs::create_dir(at).map_err(|error| error.to_string())?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"])
            .arg(at)
            .output()
            .map_err(|error| error.to_string())?;
        if !mounted.status.success() {
            return Err(String::from_utf8_lossy(&mounted.stderr).into_owned());
        }
        Ok(SmallDisk(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Says so straight to the terminal, past the capture of tests' output.
pub fn skipped(error: &str) {
    use std::io::Write;
    let message = format!("SKIPPED: a full file system needs the right to mount: {error}\n");
    let _ = std::io::stderr().write_all(message.as_bytes());
}

#[test]
fn a_full_file_system_refuses_writes_and_goes_on_reading() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let disk = match SmallDisk::mount(&directory.path().join("disk")) {
        Ok(disk) => disk,
        Err(error) => return skipped(&error),
    };
    let data = disk.0.join("data");
    let data = data.to_str().expect("a temporary path is UTF-8");
    let mut server = TestServer::start_with(&[("NODEDB_DATA_DIR", data)]);
    story(&mut server, "Free some space on the data directory's disk.");
    server.terminate();
}
