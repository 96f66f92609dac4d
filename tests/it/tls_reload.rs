//! Certificates that change while the server runs.

use crate::authority::Authority;
use crate::server::TestServer;
use crate::tls::start;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// SIGHUP.
pub fn hang_up(server: &TestServer) {
    let pid = Pid::from_raw(server.pid().cast_signed()).expect("a process");
    kill_process(pid, Signal::HUP).expect("it runs");
}

/// Waits until a statement of the superuser's gives this.
pub fn until_psql(
    server: &TestServer,
    sql: &str,
    patience: Duration,
    wanted: impl Fn(&str) -> bool,
) {
    let deadline = Instant::now() + patience;
    loop {
        let shown = server.psql(sql);
        if wanted(&shown) {
            return;
        }
        assert!(Instant::now() < deadline, "{sql} stays {shown}");
        thread::sleep(Duration::from_millis(50));
    }
}

const IN_FORCE: &str = "SHOW TLS";

fn serial(server: &TestServer, name: &str) -> String {
    let shown = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-serial", "-in", name])
        .current_dir(server.directory())
        .output()
        .expect("openssl is installed");
    let shown = String::from_utf8(shown.stdout).expect("text");
    shown.trim().trim_start_matches("serial=").to_owned()
}

/// The serial number of the certificate that a new connection is shown.
fn presented(server: &TestServer) -> String {
    let address = format!("127.0.0.1:{}", server.http().port());
    let shown = std::process::Command::new("sh")
        .args([
            "-c",
            "openssl s_client -connect \"$1\" </dev/null 2>/dev/null | openssl x509 -noout -serial",
            "-",
            &address,
        ])
        .output()
        .expect("openssl is installed");
    let shown = String::from_utf8(shown.stdout).expect("text");
    shown.trim().trim_start_matches("serial=").to_owned()
}

#[test]
fn new_files_are_in_force_at_once_by_sighup_and_soon_without() {
    let server = start("");
    let first = serial(&server, "server.crt");
    assert_eq!(presented(&server), first);
    assert!(
        server
            .psql(IN_FORCE)
            .starts_with(&format!("CN=localhost|{first}|"))
    );

    Authority::new("Test CA").write_server_files(server.directory());
    hang_up(&server);
    let second = serial(&server, "server.crt");
    assert_ne!(first, second);
    let shows = |wanted: &str| {
        let wanted = format!("|{wanted}|");
        move |shown: &str| shown.contains(&wanted)
    };
    until_psql(&server, IN_FORCE, Duration::from_secs(5), shows(&second));
    assert_eq!(presented(&server), second);
    assert_eq!(server.metric("tls_reloads_total"), 1);

    Authority::new("Test CA").write_server_files(server.directory());
    let third = serial(&server, "server.crt");
    until_psql(&server, IN_FORCE, Duration::from_secs(30), shows(&third));
    assert_eq!(presented(&server), third);
}

#[test]
fn files_that_cannot_be_used_leave_the_old_ones_in_force_and_say_why() {
    let server = start("");
    let first = serial(&server, "server.crt");
    let good = fs::read(server.directory().join("server.crt")).expect("it is there");
    fs::write(server.directory().join("server.crt"), "no certificate").expect("written");
    hang_up(&server);
    let why = "[server.tls] `cert` holds no certificate in PEM form";
    until_psql(&server, IN_FORCE, Duration::from_secs(5), |shown| {
        shown.contains(&format!("|{first}|")) && shown.contains(why)
    });
    assert_eq!(presented(&server), first);
    assert_eq!(server.metric("tls_files_refused"), 1);
    assert_eq!(server.metric("tls_reload_failures_total"), 1);
    assert!(
        server.log().contains("the old ones stay"),
        "{}",
        server.log()
    );

    fs::write(server.directory().join("server.crt"), good).expect("written");
    until_psql(&server, IN_FORCE, Duration::from_secs(30), |shown| {
        !shown.contains(why)
    });
    assert_eq!(server.metric("tls_files_refused"), 0);
}

#[test]
fn show_tls_is_for_admins_and_empty_without_tls_and_sighup_ends_nobody() {
    let server = TestServer::start();
    assert_eq!(server.psql(IN_FORCE), "");
    hang_up(&server);
    server.psql("CREATE USER reader PASSWORD 'secret' ROLE readonly");
    let refused = server.psql_as("reader", "secret", "nodedb", IN_FORCE);
    let refused = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.contains("permission denied to show TLS"),
        "{refused}"
    );
    assert!(server.log().contains("no files of TLS"), "{}", server.log());
}
