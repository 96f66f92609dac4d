//! Schemas from outside: whose they are, that what is planned for one search_path serves no other, that
//! they outlive the server, and that they go in one piece.

use crate::server::TestServer;
use crate::wire::{Wire, bind, execute, parse, query, startup, sync};

fn log_in(server: &TestServer, user: &str) -> Wire {
    log_in_with(server, user, &[])
}

fn log_in_with(server: &TestServer, user: &str, more: &[(&str, &str)]) -> Wire {
    let mut wire = Wire::connect(server.pgwire());
    let own = [("user", user), ("database", "nodedb")];
    wire.send(&startup(0, &[&own[..], more].concat()));
    wire.authenticate("pw").expect("the password is right");
    wire
}

/// The first row's first value of a simple query, or its SQLSTATE and message.
fn value(wire: &mut Wire, sql: &str) -> String {
    wire.send(&query(sql));
    first(wire)
}

fn first(wire: &mut Wire) -> String {
    let replies = wire.until_ready();
    if let Some(error) = replies.iter().find(|reply| reply.tag == 'E') {
        let field = |code| error.field(code).unwrap_or_default();
        return format!("{} {}", field(b'C'), field(b'M'));
    }
    let row = replies.iter().find(|reply| reply.tag == 'D');
    row.map_or_else(String::new, |row| row.row()[0].clone().unwrap_or_default())
}

#[test]
fn who_has_no_role_of_the_ladder_uses_the_schemas_granted_to_it_and_no_others() {
    let server = TestServer::start();
    for sql in [
        "CREATE ROLE clerks",
        "CREATE USER carol PASSWORD 'pw' ROLE clerks",
        "CREATE USER reader PASSWORD 'pw' ROLE readonly",
        "CREATE SCHEMA one; CREATE SCHEMA two",
        "CREATE TABLE one.t (id int PRIMARY KEY, a text); INSERT INTO one.t VALUES (1, 'one')",
        "CREATE TABLE two.t (id int PRIMARY KEY, a text); INSERT INTO two.t VALUES (1, 'two')",
        "CREATE VIEW public.v AS SELECT a FROM one.t",
        "GRANT ALL ON one.t TO clerks; GRANT SELECT ON two.t TO clerks; GRANT SELECT ON v TO clerks",
    ] {
        server.psql(sql);
    }
    let mut carol = log_in(&server, "carol");
    for sql in [
        "SELECT a FROM one.t",
        "SELECT a FROM one.t WHERE id = 1",
        "INSERT INTO one.t VALUES (2, 'x')",
        "UPDATE one.t SET a = 'x' WHERE id = 1",
        "DELETE FROM one.t",
        "SELECT a FROM one.t FOR UPDATE",
        "COPY one.t TO STDOUT",
        "SELECT 'one.t'::regclass",
        "TRUNCATE one.t",
    ] {
        let refused = "42501 permission denied for schema one";
        assert_eq!(value(&mut carol, sql), refused, "{sql}");
    }
    // A view reads with its owner's rights.
    assert_eq!(value(&mut carol, "SELECT a FROM v"), "one");
    assert_eq!(
        value(&mut carol, "SELECT has_schema_privilege('one', 'USAGE')"),
        "f"
    );
    // Who may not use a schema does not see it on its path either.
    value(&mut carol, "SET search_path = one, two, public");
    assert_eq!(
        value(&mut carol, "SELECT a FROM t"),
        "42P01 relation \"t\" does not exist"
    );
    server.psql("GRANT USAGE ON SCHEMA two TO clerks");
    let mut reader = log_in(&server, "reader");
    value(&mut reader, "SET search_path = one, two, public");
    for _ in 0..3 {
        assert_eq!(value(&mut reader, "SELECT a FROM t WHERE id = 1"), "one");
        assert_eq!(value(&mut carol, "SELECT a FROM t WHERE id = 1"), "two");
    }
    server.psql("GRANT USAGE ON SCHEMA one TO carol");
    assert_eq!(value(&mut carol, "SELECT a FROM t WHERE id = 1"), "one");
    assert_eq!(
        value(&mut carol, "SELECT has_schema_privilege('one', 'USAGE')"),
        "t"
    );
    // CREATE is the schema's, not the ladder's.
    let refused = "42501 permission denied for schema one";
    assert_eq!(value(&mut carol, "CREATE TABLE one.mine (a int)"), refused);
    server.psql("GRANT CREATE ON SCHEMA one TO clerks");
    assert_eq!(value(&mut carol, "CREATE TABLE one.mine (a int)"), "");
    server.psql("REVOKE ALL ON SCHEMA one FROM clerks, carol");
    assert_eq!(value(&mut carol, "SELECT a FROM one.t"), refused);
    // Of public, everybody has the use, until it is taken from them.
    server.psql("CREATE TABLE public.p (a text); INSERT INTO p VALUES ('public')");
    server.psql("GRANT SELECT ON public.p TO clerks");
    assert_eq!(value(&mut carol, "SELECT a FROM p"), "public");
    server.psql("REVOKE USAGE ON SCHEMA public FROM PUBLIC");
    let refused = "42501 permission denied for schema public";
    assert_eq!(value(&mut carol, "SELECT a FROM public.p"), refused);
    assert_eq!(value(&mut reader, "SELECT a FROM public.p"), "public");
    let shown = server.psql("SHOW GRANTS FOR clerks");
    assert!(shown.contains("schema|two|USAGE"), "{shown}");
    assert!(!shown.contains("schema|one"), "{shown}");
}

#[test]
fn only_who_defines_makes_changes_and_drops_schemas_and_a_tenants_admin_grants_them() {
    let server = TestServer::start();
    server.psql("CREATE USER writer PASSWORD 'pw' ROLE readwrite");
    server.psql("CREATE USER maker PASSWORD 'pw' ROLE admin");
    server.psql("CREATE SCHEMA s");
    let mut writer = log_in(&server, "writer");
    for (sql, refused) in [
        (
            "CREATE SCHEMA mine",
            "permission denied for database nodedb",
        ),
        ("CREATE TABLE s.t (a int)", "permission denied for schema s"),
        ("DROP SCHEMA s", "must be owner of schema s"),
        ("ALTER SCHEMA s RENAME TO r", "must be owner of schema s"),
        ("COMMENT ON SCHEMA s IS 'x'", "must be owner of schema s"),
        (
            "GRANT USAGE ON SCHEMA s TO writer",
            "permission denied for schema s",
        ),
    ] {
        let refused = format!("42501 {refused}");
        assert_eq!(value(&mut writer, sql), refused, "{sql}");
    }
    let mut maker = log_in(&server, "maker");
    for sql in [
        "CREATE SCHEMA mine",
        "CREATE TABLE mine.t (a int)",
        "DROP SCHEMA s",
    ] {
        assert_eq!(value(&mut maker, sql), "", "{sql}");
    }
    let owner = "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'mine'";
    assert_eq!(value(&mut maker, owner), "maker");
    let refused = server.psql_error("DROP USER maker");
    assert!(refused.contains("owner of schema mine"), "{refused}");
}

/// Two sessions of one core say the same texts and mean their own tables, however often they take turns.
#[test]
fn what_is_planned_along_one_search_path_serves_no_other() {
    let server = TestServer::start_with(&[("NODEDB_CORES", "1")]);
    let schemas = ["one", "two", "three"];
    for schema in schemas {
        server.psql(&format!(
            "CREATE SCHEMA {schema}; CREATE TABLE {schema}.t (id int PRIMARY KEY, a text);
             INSERT INTO {schema}.t VALUES (1, '{schema}')"
        ));
        server.psql(&format!(
            "CREATE USER {schema} PASSWORD 'pw' ROLE readwrite"
        ));
    }
    let texts = [
        "SELECT a FROM t WHERE id = 1",
        "SELECT max(a) FROM t",
        "UPDATE t SET a = a WHERE id = 1 RETURNING a",
        "SELECT t.a FROM t JOIN t u USING (id) FOR UPDATE OF t",
    ];
    // By a parameter of the start-up, by SET, and by the schema that is named as the user.
    let mut sessions = [
        log_in_with(&server, "two", &[("search_path", "one")]),
        log_in_with(&server, "one", &[("options", "-c search_path=two")]),
        log_in(&server, "three"),
    ];
    for wire in &mut sessions {
        for (place, text) in texts.iter().enumerate() {
            wire.exchange(&[parse(&format!("s{place}"), text), sync()].concat());
        }
    }
    for _ in 0..4 {
        for (wire, schema) in sessions.iter_mut().zip(schemas) {
            for (place, text) in texts.iter().enumerate() {
                assert_eq!(value(wire, text), schema, "{text}");
                wire.send(&[bind("", &format!("s{place}")), execute("", 0), sync()].concat());
                assert_eq!(first(wire), schema, "{text}");
                wire.send(&[parse("", text), bind("", ""), execute("", 0), sync()].concat());
                assert_eq!(first(wire), schema, "{text}");
            }
        }
    }
}

#[test]
fn row_policies_hold_however_their_table_is_named() {
    let server = TestServer::start();
    for sql in [
        "CREATE USER alice PASSWORD 'pw' ROLE readwrite",
        "CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, who text)",
        "INSERT INTO s.t VALUES (1, 'alice'), (2, 'bob')",
        "CREATE RLS POLICY p ON s.t FOR ALL USING (who = $auth.username)",
        "CREATE TABLE public.t (id int PRIMARY KEY, who text); INSERT INTO t VALUES (2, 'bob')",
    ] {
        server.psql(sql);
    }
    let mut alice = log_in(&server, "alice");
    let counts = |alice: &mut Wire, table: &str| {
        [
            format!("SELECT count(*) FROM {table}"),
            format!("WITH d AS (DELETE FROM {table} WHERE id = 2 RETURNING 1) SELECT count(*) FROM d"),
            format!("WITH u AS (UPDATE {table} SET who = who WHERE id = 2 RETURNING 1) SELECT count(*) FROM u"),
        ]
        .map(|sql| value(alice, &sql))
    };
    assert_eq!(counts(&mut alice, "s.t"), ["1", "0", "0"]);
    value(&mut alice, "SET search_path = s");
    assert_eq!(counts(&mut alice, "t"), ["1", "0", "0"]);
    assert_eq!(value(&mut alice, "SELECT who FROM t WHERE id = 2"), "");
    assert_eq!(
        value(&mut alice, "SELECT count(*) FROM public.t WHERE id = 2"),
        "1"
    );
    server.psql("CREATE SCHEMA r; ALTER TABLE s.t SET SCHEMA r; ALTER SCHEMA r RENAME TO q");
    assert_eq!(counts(&mut alice, "q.t"), ["1", "0", "0"]);
    let refused = value(&mut alice, "INSERT INTO q.t VALUES (3, 'bob')");
    assert!(refused.starts_with("42501 "), "{refused}");
}

#[test]
fn schemas_are_there_again_after_a_crash() {
    let mut server = TestServer::start();
    for sql in [
        "CREATE SCHEMA s; COMMENT ON SCHEMA s IS 'kept'",
        "CREATE TABLE s.t (id serial PRIMARY KEY); INSERT INTO s.t DEFAULT VALUES",
        "CREATE SCHEMA gone; DROP SCHEMA gone",
        "CREATE USER u PASSWORD 'pw'",
        "GRANT CREATE ON SCHEMA s TO u; ALTER SCHEMA s OWNER TO u",
        "CREATE DATABASE d",
    ] {
        server.psql(sql);
    }
    let in_d = |server: &TestServer, sql: &str| {
        let password = crate::server::SUPERUSER_PASSWORD;
        let done = server.psql_as("nodedb", password, "d", sql);
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    };
    in_d(&server, "DROP SCHEMA public; CREATE SCHEMA s");
    let names = "SELECT string_agg(nspname, ',' ORDER BY nspname) FROM pg_namespace
                 WHERE nspname !~ '^(pg_|information)'";
    let kept = "SELECT nspname, pg_get_userbyid(nspowner), nspacl::text,
                obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 's'";
    for _ in 0..2 {
        assert_eq!(server.psql(names), "public,s");
        assert_eq!(server.psql(kept), "s|u|{u=UC/u,u=C/u}|kept");
        assert_eq!(server.psql("SELECT count(*) FROM s.t"), "1");
        assert_eq!(in_d(&server, names), "s");
        server.kill();
        server.resume();
    }
    server.psql("DROP DATABASE d");
    server.kill();
    server.resume();
    assert_eq!(server.psql(names), "public,s");
}

/// Whoever makes something in a schema that another is dropping waits, and then is told that it is gone;
/// nothing is left in a schema that is not there.
#[test]
fn nothing_is_made_in_a_schema_while_it_is_dropped_or_renamed() {
    let server = TestServer::start();
    server.psql("CREATE SCHEMA s; CREATE SCHEMA r");
    let mut dropper = Wire::log_in(&server);
    let mut maker = Wire::log_in(&server);
    for (change, schema) in [("DROP SCHEMA s", "s"), ("ALTER SCHEMA r RENAME TO q", "r")] {
        dropper.run("BEGIN");
        assert_eq!(value(&mut dropper, change), "");
        let waited = server.metric("storage_lock_waits");
        maker.send(&query(&format!("CREATE TABLE {schema}.t (a int)")));
        server.until_lock_waits(waited + 1);
        dropper.run("COMMIT");
        let gone = format!("3F000 schema \"{schema}\" does not exist");
        assert_eq!(first(&mut maker), gone);
    }
    // And the other way round: who drops it waits, and finds something in it.
    server.psql("CREATE SCHEMA s");
    maker.run("BEGIN");
    maker.run("CREATE TABLE s.t (a int)");
    let waited = server.metric("storage_lock_waits");
    dropper.send(&query("DROP SCHEMA s"));
    server.until_lock_waits(waited + 1);
    maker.run("COMMIT");
    let refused = first(&mut dropper);
    assert!(refused.starts_with("2BP01 "), "{refused}");
}
