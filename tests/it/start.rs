//! The start of a server: configuration, data directory, first password, command line.

use crate::server::{SUPERUSER_PASSWORD, TestServer};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

const MADE_AT_START: &[(&str, &str)] = &[("NODEDB_SUPERUSER_PASSWORD", "")];

/// `nodedb` with these arguments, in the environment of this server, to its end.
fn nodedb(server: &TestServer, arguments: &[&str]) -> Output {
    let as_served = server.command();
    let mut command = Command::new(as_served.get_program());
    command.current_dir(server.directory()).args(arguments);
    for (name, value) in as_served.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.output().expect("the built program runs")
}

fn complaint(done: &Output) -> String {
    assert!(!done.status.success(), "{done:?}");
    String::from_utf8_lossy(&done.stderr).into_owned()
}

#[test]
fn the_first_start_writes_the_password_to_a_file_and_logs_only_its_path() {
    let server = TestServer::start_with(MADE_AT_START);
    let path = server.data_dir().join("superuser_password");
    let mode = fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mode = fs::metadata(server.data_dir())
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);

    let text = fs::read_to_string(&path).expect("its owner reads it");
    let password = text.trim_end();
    assert_eq!(password.len(), 24);
    let log = server.log();
    assert!(log.contains(&path.display().to_string()), "{log}");
    assert!(!log.contains(password), "{log}");

    let done = server.psql_as("nodedb", password, "nodedb", "SHOW USERS");
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn a_given_password_is_written_nowhere() {
    let server = TestServer::start();
    assert!(server.psql("SHOW USERS").starts_with("nodedb|0|superuser|"));
    assert!(!server.data_dir().join("superuser_password").exists());
    assert!(!server.log().contains(SUPERUSER_PASSWORD));
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_told_who_has_it() {
    let server = TestServer::start();
    let error = complaint(&nodedb(&server, &[]));
    let expected = format!("is in use by process {};", server.pid());
    assert!(error.contains(&expected), "{error}");
    assert!(
        server.psql("SHOW USERS").starts_with("nodedb|"),
        "the first goes on"
    );
}

#[test]
fn a_forgotten_superuser_password_is_reset_with_the_server_stopped() {
    let mut server = TestServer::start_with(MADE_AT_START);
    let reset = ["reset-superuser-password"];
    let error = complaint(&nodedb(&server, &reset));
    assert!(error.contains("is in use by process"), "{error}");

    let path = server.data_dir().join("superuser_password");
    let old = fs::read_to_string(&path).expect("its owner reads it");
    server.terminate();
    let done = nodedb(&server, &reset);
    assert!(done.status.success(), "{done:?}");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(
        said,
        format!("nodedb has a new password: in {}\n", path.display())
    );
    let new = fs::read_to_string(&path).expect("its owner reads it");
    assert_ne!(old, new);

    server.resume();
    let log_in = |password: &str| server.psql_as("nodedb", password, "nodedb", "SHOW USERS");
    assert!(log_in(new.trim_end()).status.success());
    let refused = complaint(&log_in(old.trim_end()));
    assert!(
        refused.contains("password authentication failed for user \"nodedb\""),
        "{refused}"
    );
}

#[test]
fn check_says_whether_a_file_is_good() {
    let server = TestServer::start();
    let file = server.directory().join("mine.toml");
    fs::write(&file, "[server]\nmax_connections = 5\n").expect("it is written");
    let done = nodedb(&server, &["check", "mine.toml"]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "mine.toml is good\n");

    fs::write(&file, "[server]\nmax_conections = 5\n").expect("it is written");
    for arguments in [["check", "mine.toml"], ["--config", "mine.toml"]] {
        assert_eq!(
            complaint(&nodedb(&server, &arguments)),
            "nodedb: mine.toml, line 2: unknown key `server.max_conections`; \
             did you mean `server.max_connections`?\n"
        );
    }
}

#[test]
fn the_annotated_configuration_is_good() {
    let server = TestServer::start();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/nodedb.toml");
    let done = nodedb(&server, &["check", file]);
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn json_logs_are_one_object_a_line() {
    let server = TestServer::start_with(&[("NODEDB_LOG_FORMAT", "json")]);
    let log = server.log();
    assert!(log.lines().count() > 0);
    for line in log.lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
        assert!(value["message"].is_string(), "{line}");
    }
}
