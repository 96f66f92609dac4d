//! TLS as its users' programs see it: psql, curl and openssl on a real server.

use crate::authority::Authority;
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Names the files that [`Authority::write_server_files`] writes.
pub const SECTION: &str = "[server.tls]\ncert = \"server.crt\"\nkey = \"server.key\"\n";

/// A server with a certificate of an authority of its own, whose certificate is `ca.crt`.
pub fn start(more: &str) -> TestServer {
    let directory = TempDir::new().expect("a temporary directory");
    Authority::new("Test CA").write_server_files(directory.path());
    TestServer::start_in_directory(directory, &format!("{SECTION}{more}"))
}

/// psql with more connection parameters.
fn psql(server: &TestServer, parameters: &str, sql: &str) -> Output {
    let address = format!("host=127.0.0.1 dbname=nodedb {parameters}");
    server
        .client("psql", "nodedb", SUPERUSER_PASSWORD)
        .args(["-X", "-A", "-t", "-q", &address, "-c", sql])
        .output()
        .expect("psql is installed")
}

fn curl(server: &TestServer, scheme: &str, path: &str, arguments: &[&str]) -> (u16, String) {
    let done = Command::new("curl")
        .args(["-sS", "-w", "\n%{http_code}"])
        .args(arguments)
        .arg(format!("{scheme}://{}{path}", server.http()))
        .current_dir(server.directory())
        .output()
        .expect("curl runs");
    let text = String::from_utf8(done.stdout).expect("curl prints text");
    let (body, status) = text.rsplit_once('\n').expect("the status is the last line");
    let complaint = String::from_utf8_lossy(&done.stderr).into_owned();
    (
        status.parse().expect("a status"),
        format!("{body}{complaint}"),
    )
}

/// openssl s_client on a port, with this to send; what it prints on both outputs.
fn s_client(server: &TestServer, port: u16, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
        .args(["-CAfile", "ca.crt", "-verify_return_error"])
        .args(arguments)
        .current_dir(server.directory())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may have ended already, refused.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let done = child.wait_with_output().expect("it ends");
    let both = [done.stdout, done.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

#[test]
fn psql_encrypts_and_verifies_the_servers_name() {
    let server = start("");
    for parameters in [
        "sslmode=require",
        "sslmode=verify-ca sslrootcert=ca.crt",
        "sslmode=verify-full sslrootcert=ca.crt",
        "sslmode=verify-full sslrootcert=ca.crt ssl_min_protocol_version=TLSv1.3",
        "sslmode=verify-full sslrootcert=ca.crt ssl_max_protocol_version=TLSv1.2",
        "sslmode=prefer",
        "sslmode=disable",
    ] {
        let done = psql(&server, parameters, "SELECT 1 + 1");
        assert_eq!(
            text(&done.stdout),
            "2",
            "{parameters}: {}",
            text(&done.stderr)
        );
    }
    let told = psql(&server, "sslmode=require", "\\conninfo");
    let told = text(&told.stdout);
    assert!(told.contains("SSL connection (protocol: TLSv1.3"), "{told}");

    Authority::new("Another CA").write_server_files(server.directory());
    let wrong = psql(
        &server,
        "sslmode=verify-full sslrootcert=ca.crt",
        "SELECT 1",
    );
    let wrong = text(&wrong.stderr);
    assert!(wrong.contains("certificate verify failed"), "{wrong}");
}

#[test]
fn psql_binds_its_password_to_the_connection() {
    let server = start("");
    for parameters in [
        "sslmode=require channel_binding=require",
        "sslmode=require channel_binding=prefer",
        "sslmode=require channel_binding=disable",
        "sslmode=verify-full sslrootcert=ca.crt channel_binding=require",
        "sslmode=require channel_binding=require ssl_max_protocol_version=TLSv1.2",
        "sslmode=disable channel_binding=prefer",
    ] {
        let done = psql(&server, parameters, "SELECT 1");
        let complaint = text(&done.stderr);
        assert_eq!(text(&done.stdout), "1", "{parameters}: {complaint}");
    }
    let refused = psql(
        &server,
        "sslmode=disable channel_binding=require",
        "SELECT 1",
    );
    let refused = text(&refused.stderr);
    let expected = "channel binding required, but SSL not in use";
    assert!(refused.contains(expected), "{refused}");

    let wrong = server
        .client("psql", "nodedb", "not the password")
        .args([
            "-X",
            "host=127.0.0.1 dbname=nodedb sslmode=require channel_binding=require",
        ])
        .output()
        .expect("psql is installed");
    let wrong = text(&wrong.stderr);
    let expected = "password authentication failed for user \"nodedb\"";
    assert!(wrong.contains(expected), "{wrong}");
}

/// libpq can hash no certificate that Ed25519 has signed, and takes -PLUS wherever it is offered.
#[test]
fn a_certificate_whose_signature_names_no_hash_is_not_bound_to() {
    let directory = TempDir::new().expect("a temporary directory");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let names = vec!["127.0.0.1".to_owned()];
    let parameters = rcgen::CertificateParams::new(names).expect("a name");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    crate::authority::Issued { certificate, key }.write(directory.path(), "server");
    let server = TestServer::start_in_directory(directory, SECTION);
    let done = psql(
        &server,
        "sslmode=require channel_binding=prefer",
        "SELECT 1",
    );
    assert_eq!(text(&done.stdout), "1", "{}", text(&done.stderr));
    let refused = psql(
        &server,
        "sslmode=require channel_binding=require",
        "SELECT 1",
    );
    let refused = text(&refused.stderr);
    let expected = "channel binding is required, but server did not offer an authentication method \
                    that supports channel binding";
    assert!(refused.contains(expected), "{refused}");
}

#[test]
fn a_large_result_and_a_large_copy_travel_whole_through_tls() {
    let server = start("");
    let sql = "CREATE TABLE t (id int PRIMARY KEY, body text); \
               INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 20000) n;";
    let made = psql(&server, "sslmode=require", sql);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let out = psql(&server, "sslmode=require", "COPY t TO STDOUT");
    assert_eq!(
        out.stdout.len(),
        20_000 * 1_002 + (1..=20_000).map(digits).sum::<usize>()
    );
    let rows = psql(&server, "sslmode=require", "SELECT * FROM t");
    assert_eq!(text(&rows.stdout).lines().count(), 20_000);
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

#[test]
fn a_cancel_request_reaches_a_statement_inside_tls() {
    let server = start("require_tls = true\n");
    let mut child = server
        .client("psql", "nodedb", SUPERUSER_PASSWORD)
        .args(["-X", "host=127.0.0.1 dbname=nodedb sslmode=require"])
        .args([
            "-c",
            "SELECT count(*) FROM generate_series(1, 100000000000)",
        ])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("psql is installed");
    std::thread::sleep(std::time::Duration::from_millis(700));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let mut complaint = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    std::io::Read::read_to_string(&mut stderr, &mut complaint).expect("it ends");
    child.wait().expect("it ends");
    assert!(complaint.contains("canceling statement"), "{complaint}");
}

#[test]
fn curl_asks_over_https_with_a_password() {
    let server = start("");
    let user = format!("nodedb:{SUPERUSER_PASSWORD}");
    let (status, body) = curl(
        &server,
        "https",
        "/v1/query?sql=SELECT+1",
        &["--cacert", "ca.crt", "-u", &user],
    );
    assert_eq!(status, 200, "{body}");
    let (status, _) = curl(&server, "https", "/healthz", &["--cacert", "ca.crt"]);
    assert_eq!(status, 200);
    let (status, _) = curl(&server, "http", "/healthz", &[]);
    assert_eq!(status, 200, "plain is told by its first bytes");
    let offers = ["--cacert", "ca.crt", "-v", "--http2"];
    let (status, told) = curl(&server, "https", "/healthz", &offers);
    assert_eq!(status, 200);
    assert!(told.contains("accepted http/1.1"), "{told}");
}

#[test]
fn where_tls_is_required_each_protocol_says_so() {
    let server = start("require_tls = true\n");
    let refused = psql(&server, "sslmode=disable", "SELECT 1");
    let refused = text(&refused.stderr);
    assert!(
        refused.contains("FATAL:  this server requires TLS"),
        "{refused}"
    );
    assert!(refused.contains("sslmode=require"), "{refused}");
    // libpq tries TLS where plain is refused.
    let allowed = psql(&server, "sslmode=allow", "SELECT 1");
    assert_eq!(text(&allowed.stdout), "1", "{}", text(&allowed.stderr));

    let (status, body) = curl(&server, "http", "/healthz", &[]);
    assert_eq!(status, 403);
    assert_eq!(
        body,
        "{\"error\":{\"code\":\"42501\",\"message\":\"this server requires TLS: use https\"}}\n"
    );
    let (status, _) = curl(&server, "https", "/healthz", &["--cacert", "ca.crt"]);
    assert_eq!(status, 200);
    let log = server.log();
    assert!(log.contains("a plain connection is refused: TLS is required"));
}

#[test]
fn openssl_speaks_both_versions_unless_the_older_is_excluded() {
    let both = start("");
    let newest = start("min_version = \"1.3\"\n");
    let (request, quiet) = ("GET /healthz HTTP/1.0\r\n\r\n", "-ign_eof");
    for (server, version, expected) in [
        (&both, "-tls1_2", "Protocol  : TLSv1.2"),
        (&both, "-tls1_3", "TLSv1.3, Cipher is"),
        (&newest, "-tls1_3", "TLSv1.3, Cipher is"),
        (&newest, "-tls1_2", "alert protocol version"),
    ] {
        let told = s_client(server, server.http().port(), &[version, quiet], request);
        assert!(told.contains(expected), "{version}: {told}");
        let answered = told.contains("{\"status\":\"ok\"}");
        assert_eq!(answered, !expected.contains("alert"), "{told}");
    }
    let log = newest.log();
    assert!(log.contains("a TLS handshake has failed"), "{log}");
}

#[test]
fn openssl_resumes_its_session_on_whichever_core_accepts() {
    let server = start("");
    let port = server.http().port();
    let told = s_client(&server, port, &["-tls1_2", "-reconnect"], "");
    assert_eq!(told.matches("Reused, TLSv1.2").count(), 5, "{told}");
    let request = "GET /healthz HTTP/1.0\r\n\r\n";
    let keep = ["-tls1_3", "-ign_eof", "-sess_out", "session.pem"];
    let told = s_client(&server, port, &keep, request);
    assert!(told.contains("New, TLSv1.3"), "{told}");
    for _ in 0..6 {
        let again = ["-tls1_3", "-ign_eof", "-sess_in", "session.pem"];
        let told = s_client(&server, port, &again, request);
        assert!(told.contains("Reused, TLSv1.3"), "{told}");
    }
}

#[test]
fn direct_tls_takes_the_application_protocol_postgresql_and_no_other() {
    let server = start("");
    let port = server.pgwire().port();
    let told = s_client(&server, port, &["-alpn", "postgresql"], "");
    assert!(told.contains("ALPN protocol: postgresql"), "{told}");
    let told = s_client(&server, port, &["-alpn", "http/1.1"], "");
    assert!(told.contains("no application protocol"), "{told}");
    let told = s_client(&server, port, &["-ign_eof"], "");
    assert!(
        told.contains("direct TLS needs the application protocol"),
        "{told}"
    );
    let told = s_client(&server, port, &["-starttls", "postgres"], "");
    assert!(told.contains("Verify return code: 0 (ok)"), "{told}");
}

#[test]
fn files_that_cannot_be_used_stop_the_start_and_are_named() {
    let server = start("");
    let refusal = |change: &dyn Fn()| {
        change();
        let done = server.command().output().expect("the built program runs");
        assert!(!done.status.success());
        let log = server.log();
        log.lines().last().unwrap_or_default().to_owned()
    };
    let path = |name: &str| server.directory().join(name);
    let other = Authority::new("Another CA").server();
    let wrong_key = refusal(&|| {
        std::fs::write(path("server.key"), other.key.serialize_pem()).expect("written");
    });
    // Before the data directory, which is another server's.
    assert_eq!(
        wrong_key,
        "nodedb: [server.tls] `key` is not the key of the certificate in `cert`"
    );
    let missing = refusal(&|| std::fs::remove_file(path("server.crt")).expect("it was there"));
    assert!(
        missing.starts_with("nodedb: [server.tls] `cert`: cannot read server.crt: No such file"),
        "{missing}"
    );
}

#[test]
fn tls_init_makes_what_it_says_and_overwrites_nothing() {
    let directory = TempDir::new().expect("a temporary directory");
    let nodedb = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_nodedb"))
            .args(arguments)
            .current_dir(directory.path())
            .output()
            .expect("the built program runs")
    };
    let made = nodedb(&["tls", "init", "--user", "alice"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let said = text(&made.stdout);
    let section: String = said
        .lines()
        .skip_while(|line| !line.contains("[server.tls]"))
        .take_while(|line| !line.is_empty())
        .map(|line| format!("{}\n", line.trim()))
        .collect();
    for key in ["server.key", "ca.key", "alice.key"] {
        use std::os::unix::fs::PermissionsExt;
        let file = std::fs::metadata(directory.path().join("nodedb-tls").join(key));
        let mode = file.expect("it was made").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let again = nodedb(&["tls", "init", "--user", "bob"]);
    assert!(!again.status.success());
    let complaint = text(&again.stderr);
    assert!(
        complaint.contains("nodedb-tls/ca.crt is there already"),
        "{complaint}"
    );
    assert!(!directory.path().join("nodedb-tls/bob.crt").exists());
    for name in ["", "../alice", "ca", "server", ".hidden"] {
        let refused = nodedb(&["tls", "init", "--dir", "other", "--user", name]);
        assert!(
            text(&refused.stderr).contains("cannot be a user here"),
            "{name}"
        );
    }

    let server = TestServer::start_in_directory(directory, &section);
    let address = "host=localhost hostaddr=127.0.0.1 dbname=nodedb sslmode=verify-full \
                   sslrootcert=nodedb-tls/ca.crt sslcert=nodedb-tls/alice.crt sslkey=nodedb-tls/alice.key";
    let done = server
        .client("psql", "nodedb", SUPERUSER_PASSWORD)
        .args(["-X", "-A", "-t", "-q", address, "-c", "SELECT 1"])
        .output()
        .expect("psql is installed");
    assert_eq!(text(&done.stdout), "1", "{}", text(&done.stderr));
    assert!(server.psql("SHOW TLS").contains("|requested|"));
}
