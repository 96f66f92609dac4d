//! /metrics: who may read it, and that the dashboard of `docs/grafana` asks for nothing that it has not got.

use crate::authority::Authority;
use crate::http_client::{Client, as_superuser, basic, status};
use crate::server::TestServer;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use tempfile::TempDir;

/// Names that an expression asks for.
fn asked_for(dashboard: &Value) -> BTreeSet<String> {
    let names = Regex::new("nodedb_[a-z0-9_]+").expect("an expression");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let expressions = targets
        .flatten()
        .map(|it| it["expr"].as_str().expect("a text"));
    expressions
        .flat_map(|text| names.find_iter(text).map(|it| it.as_str().to_owned()))
        .collect()
}

/// The names that /metrics announces, with those that each kind's samples have.
fn shown(server: &TestServer) -> BTreeSet<String> {
    let mut http = TcpStream::connect(server.http()).expect("the HTTP port listens");
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    http.write_all(request.as_bytes()).expect("it reads");
    let mut text = String::new();
    http.read_to_string(&mut text).expect("it answers");
    let announced = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let samples = announced.flat_map(|line| {
        let (name, kind) = line.split_once(' ').expect("a name and its kind");
        let endings: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_count", "_sum"],
            _ => &[""],
        };
        endings.iter().map(move |ending| format!("{name}{ending}"))
    });
    samples.collect()
}

#[test]
fn the_dashboard_asks_for_nothing_that_is_not_there() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/grafana/nodedb.json");
    let dashboard = fs::read_to_string(path).expect("it is there");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("it is JSON");
    let directory = TempDir::new().expect("a temporary directory");
    Authority::new("authority").write_server_files(directory.path());
    let file = "[server.tls]\ncert = \"server.crt\"\nkey = \"server.key\"\n";
    let server = TestServer::start_in_directory(directory, file);
    let (asked, shown) = (asked_for(&dashboard), shown(&server));
    assert!(asked.len() > 30, "{asked:?}");
    let missing: Vec<&String> = asked.difference(&shown).collect();
    assert!(missing.is_empty(), "{missing:?} of\n{shown:#?}");
}

#[test]
fn from_beyond_this_machine_it_takes_an_admin_of_the_first_tenant() {
    let server = TestServer::start_configured("[server.http]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    for statement in [
        "CREATE USER overseer WITH PASSWORD 'pw' ROLE admin",
        "CREATE USER clerk WITH PASSWORD 'pw'",
        "CREATE USER far WITH PASSWORD 'pw' ROLE tenant_admin TENANT 42",
    ] {
        server.psql(statement);
    }
    let answered = |forwarded: &str, authorization: &str| {
        let mut client = Client::of(&server);
        client.send(&format!(
            "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{forwarded}{authorization}\r\n"
        ));
        status(&client.read_to_end()).to_owned()
    };
    let elsewhere = "X-Forwarded-For: 192.0.2.7\r\n";
    assert_eq!(answered("", ""), "HTTP/1.1 200 OK");
    assert_eq!(answered(elsewhere, ""), "HTTP/1.1 401 Unauthorized");
    assert_eq!(
        answered(elsewhere, &basic("overseer:wrong")),
        "HTTP/1.1 401 Unauthorized"
    );
    for (who, expected) in [
        (basic(&as_superuser()), "HTTP/1.1 200 OK"),
        (basic("overseer:pw"), "HTTP/1.1 200 OK"),
        (basic("clerk:pw"), "HTTP/1.1 403 Forbidden"),
        (basic("far:pw"), "HTTP/1.1 403 Forbidden"),
    ] {
        assert_eq!(answered(elsewhere, &who), expected, "{who}");
    }
}
