//! The ladder as a table: what each role may, in its own tenant and from another, statement by statement
//! (REFERENCE §2). The table is `tests/vectors/ladder.txt`.

use crate::server::TestServer;
use crate::wire::{Wire, startup};
use std::fs;
use std::path::Path;

const ROLES: [&str; 5] = [
    "readonly",
    "readwrite",
    "admin",
    "tenant_admin",
    "superuser",
];

/// One line's paragraph of the table.
#[derive(Default)]
struct Case {
    run: String,
    before: Option<String>,
    after: Option<String>,
    undo: Option<String>,
    own: Vec<String>,
    other: Vec<String>,
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/ladder.txt");
    let table = fs::read_to_string(path).expect("the table is there");
    let paragraphs = table.split("\n\n");
    let paragraphs = paragraphs.filter(|it| it.lines().any(|line| line.starts_with("run: ")));
    paragraphs.map(case).collect()
}

fn case(paragraph: &str) -> Case {
    let mut case = Case::default();
    for line in paragraph.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.split_once(": ").expect("a name and what it says");
        let words = || value.split(' ').map(str::to_owned).collect();
        match name {
            "run" => case.run = value.to_owned(),
            "before" => case.before = Some(value.to_owned()),
            "after" => case.after = Some(value.to_owned()),
            "undo" => case.undo = Some(value.to_owned()),
            "own" => case.own = words(),
            "other" => case.other = words(),
            _ => panic!("the table has no {name}"),
        }
    }
    assert_eq!(case.own.len(), ROLES.len(), "{}", case.run);
    assert!(matches!(case.other.len(), 0 | 4), "{}", case.run);
    case
}

fn log_in(server: &TestServer, user: &str) -> Wire {
    let mut wire = Wire::connect(server.pgwire());
    wire.send(&startup(0, &[("user", user), ("database", "nodedb")]));
    wire.authenticate("pw").expect("it is let in");
    wire
}

/// `ok`, or the SQLSTATE.
fn outcome(session: &mut Wire, sql: &str) -> String {
    let replies = session.run(sql);
    let error = replies.split(' ').find_map(|it| it.strip_prefix("E:"));
    error.unwrap_or("ok").to_owned()
}

fn must(root: &mut Wire, sql: &str) {
    let became = outcome(root, sql);
    assert_eq!(became, "ok", "{sql}");
}

#[test]
fn each_role_may_what_the_table_says_and_nothing_else() {
    let server = TestServer::start();
    let mut root = Wire::log_in(&server);
    for statement in [
        "CREATE TABLE t (id int PRIMARY KEY, n int)",
        "CREATE TABLE scrap (id int PRIMARY KEY, n int)",
        "CREATE TABLE guarded (id int PRIMARY KEY, n int)",
        "CREATE RLS POLICY p ON guarded FOR ALL USING (true)",
        "CREATE DATABASE spare",
        "CREATE ROLE clerks",
        "CREATE USER other_user WITH PASSWORD 'pw'",
    ] {
        must(&mut root, statement);
    }
    let mut own = Vec::new();
    let mut other = Vec::new();
    for role in ROLES {
        must(
            &mut root,
            &format!("CREATE USER own_{role} WITH PASSWORD 'pw' ROLE {role}"),
        );
        own.push(log_in(&server, &format!("own_{role}")));
        if role != "superuser" {
            let tenant = "TENANT 42";
            let name = format!("other_{role}");
            must(
                &mut root,
                &format!("CREATE USER {name} WITH PASSWORD 'pw' ROLE {role} {tenant}"),
            );
            other.push(log_in(&server, &name));
        }
    }
    let mut wrong = Vec::new();
    for case in cases() {
        let by_own = own.iter_mut().zip(&case.own).map(|it| (it, "own"));
        let by_other = other.iter_mut().zip(&case.other).map(|it| (it, "other"));
        let attempts = by_own.chain(by_other).enumerate();
        for (index, ((session, expected), place)) in attempts {
            if let Some(before) = &case.before {
                must(&mut root, before);
            }
            let became = outcome(session, &case.run);
            let undo = case.undo.iter().filter(|_| became == "ok");
            for after in undo.chain(&case.after) {
                must(&mut root, after);
            }
            if became != *expected {
                let role = ROLES[index % ROLES.len()];
                wrong.push(format!(
                    "{} by {role} ({place}): {became}, not {expected}",
                    case.run
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
