//! Errors of analysis point at the text: code, position, message, detail and hint of every
//! statement of `tests/vectors/query/positions.txt` are PostgreSQL 15's.
//!
//! A vector is a statement on one line (`\n` for a line break), then `! SQLSTATE position message`
//! (`-` for none), `d detail`, `h hint`. A line that begins with `~` follows where the answer
//! differs on purpose or for now: the same three, as they are here.

use crate::server::{SUPERUSER_PASSWORD, TestServer};
use crate::wire::{Reply, Wire, query, startup};

const VECTORS: &str = include_str!("../vectors/query/positions.txt");

const SCHEMA: &[&str] = &[
    "CREATE TABLE t (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'x', \
     amount numeric(10,2), at timestamptz DEFAULT now(), ok bool)",
    "CREATE TABLE u (id int8 PRIMARY KEY, t_id int REFERENCES t ON DELETE CASCADE, \
     code varchar(10) UNIQUE, CHECK (id > 0))",
    "CREATE VIEW v AS SELECT id, name FROM t",
    "CREATE SEQUENCE s",
];

fn run(wire: &mut Wire, statement: &str) -> Option<Reply> {
    wire.send(&query(statement));
    let replies = wire.until_ready();
    replies.into_iter().find(|reply| reply.tag == 'E')
}

fn told(error: Option<Reply>) -> String {
    let Some(error) = error else {
        return "ok".to_owned();
    };
    let field = |tag| error.field(tag);
    let mut lines = vec![format!(
        "! {} {} {}",
        field(b'C').unwrap_or_default(),
        field(b'P').unwrap_or_else(|| "-".to_owned()),
        field(b'M').unwrap_or_default()
    )];
    lines.extend(field(b'D').map(|detail| format!("d {detail}")));
    lines.extend(field(b'H').map(|hint| format!("h {hint}")));
    lines.join("\n")
}

#[test]
fn errors_of_analysis_point_where_postgresql_points() {
    let server = TestServer::start();
    let mut wire = Wire::connect(server.pgwire());
    wire.send(&startup(0, &[("user", "nodedb")]));
    wire.authenticate(SUPERUSER_PASSWORD).expect("logged in");
    for statement in SCHEMA {
        assert_eq!(told(run(&mut wire, statement)), "ok", "{statement}");
    }
    let mut wrong = Vec::new();
    for vector in VECTORS.split("\n\n") {
        let mut lines = vector.lines().filter(|line| !line.starts_with('#'));
        let Some(statement) = lines.next() else {
            continue;
        };
        let lines: Vec<&str> = lines.collect();
        let own: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("~ "))
            .collect();
        let expected = if own.is_empty() { lines } else { own }.join("\n");
        run(&mut wire, "BEGIN");
        let answer = told(run(&mut wire, &statement.replace("\\n", "\n")));
        run(&mut wire, "ROLLBACK");
        if answer != expected {
            wrong.push(format!("{statement}\n{expected}\nhere:\n{answer}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}
