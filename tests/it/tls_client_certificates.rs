//! Client certificates on a real server: what is refused, with which reason, and what a new revocation
//! list ends.

use crate::authority::{Authority, Issued, named};
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use crate::tls_reload::{hang_up, until_psql};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SerialNumber, date_time_ymd};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const SECTION: &str =
    "[server.tls]\ncert = \"server.crt\"\nkey = \"server.key\"\nclient_ca = \"ca.crt\"\n";

fn client(name: &str, serial: u64) -> CertificateParams {
    let mut parameters = named(name);
    parameters.serial_number = Some(SerialNumber::from(serial));
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}

fn write_list(authority: &Authority, directory: &Path, revoked: &[u64], until: i32) {
    let list = authority.list(revoked, until);
    fs::write(directory.join("ca.crl"), list.pem().expect("PEM")).expect("written");
}

/// A server with client certificates, and their authority; an empty list is in `ca.crl`.
fn start(more: &str) -> (TestServer, Authority) {
    let directory = TempDir::new().expect("a temporary directory");
    let authority = Authority::new("Test CA");
    authority.write_server_files(directory.path());
    write_list(&authority, directory.path(), &[], 2040);
    let server = TestServer::start_in_directory(directory, &format!("{SECTION}{more}"));
    (server, authority)
}

fn psql_command(server: &TestServer, with: &str) -> Command {
    let mut command = server.client("psql", "nodedb", SUPERUSER_PASSWORD);
    let files = match with {
        "" => "sslcert=none".to_owned(),
        name => format!("sslcert={name}.crt sslkey={name}.key"),
    };
    let address =
        format!("host=127.0.0.1 dbname=nodedb sslmode=verify-full sslrootcert=ca.crt {files}");
    command.args(["-X", "-A", "-t", "-q", &address]);
    command
}

fn psql(server: &TestServer, with: &str) -> Output {
    let mut command = psql_command(server, with);
    command
        .args(["-c", "SELECT 1"])
        .output()
        .expect("psql is installed")
}

/// openssl s_client with alice's certificate, asking /healthz; what it prints on both outputs.
fn s_client(server: &TestServer, arguments: &[&str]) -> String {
    let address = format!("127.0.0.1:{}", server.http().port());
    let mut child = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &address,
            "-cert",
            "alice.crt",
            "-key",
            "alice.key",
        ])
        .args(["-CAfile", "ca.crt", "-ign_eof"])
        .args(arguments)
        .current_dir(server.directory())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    let mut stdin = child.stdin.take().expect("a pipe");
    let request = "GET /healthz HTTP/1.0\r\n\r\n";
    // It may have ended already, refused.
    let _ = std::io::Write::write_all(&mut stdin, request.as_bytes());
    drop(stdin);
    let done = child.wait_with_output().expect("it ends");
    text(&[done.stdout, done.stderr].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

#[test]
fn certificates_that_are_not_believed_are_refused_with_the_reason_in_the_log() {
    let (server, authority) = start("crl = \"ca.crl\"\nrequire_client_cert = true\n");
    let write = |issued: Issued, name: &str| issued.write(server.directory(), name);
    write(authority.issue(&client("alice", 1)), "good");
    let mut expired = client("expired", 2);
    expired.not_after = date_time_ymd(2020, 1, 1);
    write(authority.issue(&expired), "expired");
    let mut early = client("early", 3);
    early.not_before = date_time_ymd(2090, 1, 1);
    write(authority.issue(&early), "early");
    let mut for_servers = client("for_servers", 4);
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    write(authority.issue(&for_servers), "for_servers");
    write(
        Authority::new("Other CA").issue(&client("stranger", 5)),
        "stranger",
    );

    let done = psql(&server, "good");
    assert_eq!(text(&done.stdout), "1", "{}", text(&done.stderr));
    for (name, told, reason) in [
        ("expired", "certificate expired", "refusal=expired"),
        ("early", "", "refusal=not yet valid"),
        (
            "for_servers",
            "",
            "refusal=not meant for clients (extended key usage)",
        ),
        (
            "stranger",
            "unknown ca",
            "refusal=issued by nobody who is trusted",
        ),
        ("", "certificate required", "peer sent no certificates"),
    ] {
        let refused = psql(&server, name);
        let complaint = text(&refused.stderr);
        assert!(!refused.status.success(), "{name}");
        assert!(complaint.contains(told), "{name}: {complaint}");
        let log = server.log();
        let mut lines = log.lines();
        assert!(
            lines.any(
                |line| line.contains(reason) && line.contains(&format!("CN={name}"))
                    || name.is_empty() && line.contains(reason)
            ),
            "{name}: {log}"
        );
    }
}

#[test]
fn where_a_certificate_is_required_nobody_comes_in_plain() {
    let (server, authority) = start("require_client_cert = true\n");
    let mut plain = server.client("psql", "nodedb", SUPERUSER_PASSWORD);
    let plain = plain.args(["-X", "host=127.0.0.1 sslmode=disable", "-c", "SELECT 1"]);
    let refused = text(&plain.output().expect("psql is installed").stderr);
    assert!(refused.contains("this server requires TLS"), "{refused}");
    let issued = authority.issue(&client("alice", 1));
    issued.write(server.directory(), "alice");
    assert_eq!(text(&psql(&server, "alice").stdout), "1");
}

#[test]
fn a_certificate_that_is_revoked_ends_its_sessions_and_opens_no_more() {
    let (server, authority) = start("crl = \"ca.crl\"\n");
    authority
        .issue(&client("alice", 1))
        .write(server.directory(), "alice");
    authority
        .issue(&client("bob", 2))
        .write(server.directory(), "bob");
    // Live sessions, busy and idle, one with a certificate that stays good.
    let spawn = |with: &str| {
        psql_command(&server, with)
            .args([
                "-c",
                "SELECT count(*) FROM generate_series(1, 100000000000)",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql is installed")
    };
    let (mut alice, mut bob) = (spawn("alice"), spawn("bob"));
    let told = s_client(&server, &["-sess_out", "session.pem"]);
    assert!(told.contains("{\"status\":\"ok\"}"), "{told}");
    let told = s_client(&server, &["-sess_in", "session.pem"]);
    assert!(told.contains("Reused, TLSv1.3"), "{told}");
    std::thread::sleep(Duration::from_millis(500));
    assert!(alice.try_wait().expect("a state").is_none(), "it runs");

    write_list(&authority, server.directory(), &[1], 2040);
    hang_up(&server);
    until_psql(&server, "SHOW TLS", Duration::from_secs(5), |shown| {
        shown.split('|').nth(7) == Some("1")
    });
    let begun = Instant::now();
    let mut complaint = String::new();
    let mut stderr = alice.stderr.take().expect("a pipe");
    std::io::Read::read_to_string(&mut stderr, &mut complaint).expect("it ends");
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        complaint.contains("terminating connection because its client certificate was revoked"),
        "{complaint}"
    );
    alice.wait().expect("it ends");
    assert!(
        bob.try_wait().expect("a state").is_none(),
        "the other goes on"
    );

    let refused = text(&psql(&server, "alice").stderr);
    assert!(refused.contains("certificate revoked"), "{refused}");
    let told = s_client(&server, &["-sess_in", "session.pem"]);
    assert!(!told.contains("Reused"), "{told}");
    assert!(told.contains("certificate revoked"), "{told}");
    assert_eq!(text(&psql(&server, "bob").stdout), "1");
    bob.kill().expect("it runs");
    bob.wait().expect("it ends");
}

#[test]
fn a_resumed_session_is_refused_once_its_certificate_has_expired() {
    // rustls takes the certificate of a resumed session out of the ticket and judges it no more.
    let (server, authority) = start("");
    let mut brief = client("brief", 1);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("past 1970");
    let lifetime = Duration::from_secs(8);
    brief.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(now.as_secs()) + lifetime;
    authority.issue(&brief).write(server.directory(), "alice");
    let kept = s_client(&server, &["-sess_out", "session.pem"]);
    assert!(kept.contains("{\"status\":\"ok\"}"), "{kept}");
    let resumed = s_client(&server, &["-sess_in", "session.pem"]);
    assert!(resumed.contains("Reused, TLSv1.3"), "{resumed}");
    assert!(resumed.contains("{\"status\":\"ok\"}"), "{resumed}");
    std::thread::sleep(lifetime + Duration::from_secs(1));
    let resumed = s_client(&server, &["-sess_in", "session.pem"]);
    assert!(!resumed.contains("status"), "{resumed}");
    let log = server.log();
    assert!(log.contains("refusal=expired"), "{log}");
    let refused = "login refused";
    let line = log
        .lines()
        .find(|line| line.contains(refused))
        .expect("it is noted");
    assert!(
        line.contains("method=\"certificate\" reason=expired"),
        "{line}"
    );
}

#[test]
fn lists_that_cannot_be_used_stop_the_start_and_leave_the_old_ones_in_force_later() {
    let (server, authority) = start("crl = \"ca.crl\"\ncrl_strict = true\n");
    let refusal = |change: &dyn Fn()| {
        change();
        let done = server.command().output().expect("the built program runs");
        assert!(!done.status.success());
        server.log().lines().last().unwrap_or_default().to_owned()
    };
    let old = refusal(&|| write_list(&authority, server.directory(), &[], 2025));
    let complaint =
        "[server.tls] `crl`: the list of CN=Test CA is out of date, and crl_strict is set";
    assert_eq!(old, format!("nodedb: {complaint}"));
    hang_up(&server);
    until_psql(&server, "SHOW TLS", Duration::from_secs(5), |shown| {
        shown.contains(complaint)
    });
    let forged = refusal(&|| {
        write_list(&Authority::new("Test CA"), server.directory(), &[], 2040);
    });
    assert_eq!(
        forged,
        "nodedb: [server.tls] `crl`: the list of CN=Test CA is not signed by it"
    );
    let missing = refusal(&|| fs::remove_file(server.directory().join("ca.crl")).expect("there"));
    assert!(missing.contains("`crl`: cannot read ca.crl"), "{missing}");
    let no_list = refusal(&|| {
        fs::write(server.directory().join("ca.crl"), "no list").expect("written");
    });
    assert!(
        no_list.contains("`crl` holds no revocation list in PEM form"),
        "{no_list}"
    );
    let der = || {
        let list = authority.list(&[], 2040);
        fs::write(server.directory().join("ca.crl"), list.der().as_ref()).expect("written");
    };
    der();
    hang_up(&server);
    until_psql(&server, "SHOW TLS", Duration::from_secs(15), |shown| {
        !shown.contains("`crl`")
    });
}
