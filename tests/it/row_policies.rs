//! Row policies, from outside: as PostgreSQL applies its own, and by `$auth` (REFERENCE §3).

use crate::server::TestServer;
use crate::wire::{Wire, query, startup};
use std::process::Output;

const VECTORS: &str = include_str!("../vectors/row_policies.txt");

fn as_user(server: &TestServer, user: &str, sql: &str) -> Output {
    let password = match user {
        "nodedb" => crate::server::SUPERUSER_PASSWORD,
        _ => "pw",
    };
    let mut psql = server.client("psql", user, password);
    psql.args([
        "-X",
        "-A",
        "-t",
        "-v",
        "ON_ERROR_STOP=1",
        "-v",
        "VERBOSITY=verbose",
    ]);
    psql.args(["-P", "null=null", "-d", "nodedb", "-c", sql]);
    psql.output().expect("psql is installed")
}

/// What psql printed, or `! SQLSTATE message`.
fn answer(done: &Output) -> String {
    if done.status.success() {
        return String::from_utf8_lossy(&done.stdout).trim_end().to_owned();
    }
    let complaint = String::from_utf8_lossy(&done.stderr);
    let first = complaint.lines().find(|line| line.starts_with("ERROR:"));
    let error = first.unwrap_or(&complaint).trim_start_matches("ERROR:");
    match error.trim_start().split_once(": ") {
        Some((code, message)) => format!("! {code} {message}"),
        None => complaint.into_owned(),
    }
}

fn logged_in(server: &TestServer, user: &str) -> Wire {
    let mut wire = Wire::connect(server.pgwire());
    wire.send(&startup(0, &[("user", user), ("database", "nodedb")]));
    wire.authenticate("pw").expect("the password is right");
    wire
}

/// The first column of what a simple query gives.
fn rows(wire: &mut Wire, sql: &str) -> Vec<String> {
    wire.send(&query(sql));
    let replies = wire.until_ready();
    let rows = replies.iter().filter(|reply| reply.tag == 'D');
    rows.map(|row| row.row()[0].clone().unwrap_or_default())
        .collect()
}

fn server() -> TestServer {
    let server = TestServer::start();
    for user in ["alice", "bob"] {
        server.psql(&format!("CREATE USER {user} PASSWORD 'pw' ROLE readwrite"));
    }
    server
}

#[test]
fn policies_hold_as_postgresql_applies_its_own() {
    let server = server();
    let mut lines = VECTORS.lines().peekable();
    let mut wrong = Vec::new();
    while let Some(line) = lines.next() {
        let Some((user, sql)) = line.split_once(": ").filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let mut expected = Vec::new();
        while let Some(answer) =
            lines.next_if(|line| line.starts_with("= ") || line.starts_with("! "))
        {
            expected.push(answer.strip_prefix("= ").unwrap_or(answer));
        }
        if user == "setup" {
            server.psql(sql);
            continue;
        }
        let found = answer(&as_user(&server, user, sql));
        if found != expected.join("\n") {
            wrong.push(format!(
                "{line}\n  PostgreSQL: {expected:?}\n  here:       {found:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_seeds_policies_work_as_pasted() {
    let server = server();
    server.psql(
        "CREATE TABLE orders (id int PRIMARY KEY, user_id text, org_id text);
         CREATE RLS POLICY own ON orders FOR ALL USING (user_id = $auth.id);
         CREATE RLS POLICY admins ON orders FOR READ USING ($auth.role = 'admin');
         CREATE RLS POLICY scoped ON orders FOR READ USING ($auth.scopes CONTAINS 'read:orders');",
    );
    let listed = server.psql("SHOW RLS POLICIES ON orders");
    let expected = "admins|orders|READ|permissive|$auth.role = 'admin'\n\
                    own|orders|ALL|permissive|user_id = $auth.id\n\
                    scoped|orders|READ|permissive|$auth.scopes CONTAINS 'read:orders'";
    assert_eq!(listed, expected);
    let id = server.psql("SELECT oid FROM pg_roles WHERE rolname = 'alice'");
    server.psql(&format!(
        "INSERT INTO orders VALUES (1, '{id}', '7'), (2, 'other', '7')"
    ));
    let rows = |user| answer(&as_user(&server, user, "SELECT id FROM orders ORDER BY id"));
    assert_eq!(rows("alice"), "1");
    assert_eq!(rows("bob"), "");
    server.psql("ALTER USER bob SET ROLE admin");
    assert_eq!(rows("bob"), "1\n2");
    server
        .psql("CREATE RLS POLICY org ON orders FOR ALL USING (org_id = $auth.org_id) RESTRICTIVE");
    assert_eq!(rows("alice"), "", "a password login has no org");
    server.psql("DROP RLS POLICY org ON orders; DROP RLS POLICY IF EXISTS org ON orders");
    assert_eq!(rows("alice"), "1");
}

#[test]
fn no_setting_of_a_client_changes_who_it_is() {
    let server = server();
    server.psql(
        "CREATE TABLE t (id int PRIMARY KEY, owner text);
         INSERT INTO t VALUES (1, 'alice'), (2, 'bob');
         CREATE RLS POLICY own ON t USING (owner = current_setting('auth.username'))",
    );
    for attempt in [
        "SET auth.username = 'bob'",
        "SET LOCAL auth.username = 'bob'",
        "SELECT set_config('auth.username', 'bob', false)",
    ] {
        let done = as_user(&server, "alice", &format!("{attempt}; SELECT id FROM t"));
        assert!(answer(&done).starts_with("! "), "{attempt}: {done:?}");
    }
    assert_eq!(answer(&as_user(&server, "alice", "SELECT id FROM t")), "1");
}

#[test]
fn a_policy_binds_whoever_is_connected_when_its_statement_has_returned() {
    let server = server();
    server.psql("CREATE TABLE t (id int PRIMARY KEY, owner text); INSERT INTO t VALUES (1, 'bob')");
    let mut alice = logged_in(&server, "alice");
    let point = "SELECT id FROM t WHERE id = 1";
    assert_eq!(rows(&mut alice, point), ["1"]);
    server.psql("CREATE RLS POLICY own ON t USING (owner = $auth.username)");
    assert!(rows(&mut alice, point).is_empty());
    assert!(rows(&mut alice, "SELECT id FROM t").is_empty());
    server.psql("DROP RLS POLICY own ON t");
    assert_eq!(rows(&mut alice, point), ["1"]);
}

#[test]
fn explain_says_which_policies_hide_rows_and_that_a_superuser_is_bound_by_none() {
    let server = server();
    server.psql(
        "CREATE TABLE t (id int PRIMARY KEY, owner text); CREATE INDEX by_owner ON t (owner);
         CREATE RLS POLICY own ON t USING (owner = $auth.username)",
    );
    let sql = "EXPLAIN SELECT * FROM t";
    let shown = answer(&as_user(&server, "alice", sql));
    assert_eq!(shown, "Index Scan using by_owner on t\n  Row Policies: own");
    assert_eq!(
        server.psql(sql),
        "Seq Scan on t\n  Row Policies: bypassed by superuser"
    );
    server.psql(
        "ALTER POLICY own ON t USING (owner = (current_setting('app.owner', true))::varchar)",
    );
    let asked = format!("SET app.owner = 'alice'; {sql}");
    let shown = answer(&as_user(&server, "alice", &asked));
    assert_eq!(
        shown,
        "SET\nIndex Scan using by_owner on t\n  Row Policies: own"
    );
    let shown = answer(&as_user(&server, "alice", sql));
    assert_eq!(
        shown,
        "Result (One-Time Filter: false)\n  Row Policies: own"
    );
    server.psql("DROP RLS POLICY own ON t; ALTER TABLE t ENABLE ROW LEVEL SECURITY");
    let shown = answer(&as_user(&server, "alice", sql));
    assert_eq!(
        shown,
        "Seq Scan on t\n  Row Policies: none applies, no row is shown"
    );
}

#[test]
fn a_policy_whose_setting_is_not_there_hides_rows_and_refuses_writes() {
    let server = server();
    server.psql(
        "CREATE TABLE t (id int PRIMARY KEY, tenant int); INSERT INTO t VALUES (1, 7), (2, 8);
         CREATE RLS POLICY own ON t USING (tenant = current_setting('app.tenant')::int)",
    );
    let ask = |sql: &str| answer(&as_user(&server, "alice", sql));
    assert_eq!(ask("SELECT id FROM t"), "");
    assert_eq!(ask("DELETE FROM t"), "DELETE 0");
    let refused = ask("INSERT INTO t VALUES (3, 7)");
    assert!(refused.starts_with("! 42501"), "{refused}");
    assert_eq!(ask("SET app.tenant = 'seven'; SELECT id FROM t"), "SET");
    assert_eq!(ask("SET app.tenant = '7'; SELECT id FROM t"), "SET\n1");
    assert_eq!(
        ask("SET app.tenant = '7'; INSERT INTO t VALUES (3, 7)"),
        "SET\nINSERT 0 1"
    );
}

#[test]
fn what_would_remove_rows_past_the_policies_takes_an_admin() {
    let server = server();
    server.psql(
        "CREATE TABLE t (id int PRIMARY KEY, owner text); INSERT INTO t VALUES (1, 'bob');
         CREATE RLS POLICY own ON t USING (owner = $auth.username)",
    );
    for sql in [
        "TRUNCATE t",
        "DROP TABLE t",
        "ALTER TABLE t ADD COLUMN more int",
    ] {
        assert!(
            answer(&as_user(&server, "alice", sql)).starts_with("! 42501"),
            "{sql}"
        );
    }
    server.psql("ALTER USER alice SET ROLE admin");
    assert_eq!(
        answer(&as_user(&server, "alice", "TRUNCATE t")),
        "TRUNCATE TABLE"
    );
}

#[test]
fn a_row_that_a_policy_hides_is_not_locked_by_whoever_guesses_its_key() {
    let server = server();
    server.psql(
        "CREATE TABLE t (id int PRIMARY KEY, owner text); INSERT INTO t VALUES (1, 'bob');
         CREATE RLS POLICY own ON t USING (owner = $auth.username)",
    );
    let mut alice = logged_in(&server, "alice");
    rows(&mut alice, "BEGIN");
    for sql in [
        "SELECT id FROM t WHERE id = 1 FOR UPDATE",
        "UPDATE t SET owner = owner WHERE id = 1",
        "DELETE FROM t WHERE id = 1",
    ] {
        assert!(rows(&mut alice, sql).is_empty());
    }
    let free = as_user(
        &server,
        "bob",
        "SELECT id FROM t WHERE id = 1 FOR UPDATE NOWAIT",
    );
    assert_eq!(answer(&free), "1");
}

#[test]
fn psql_describes_policies() {
    let server = server();
    server.psql(
        "CREATE TABLE t (id int PRIMARY KEY, owner text);
         CREATE RLS POLICY own ON t USING (owner = $auth.username);
         CREATE POLICY adds ON t AS RESTRICTIVE FOR INSERT TO alice WITH CHECK (id > 0)",
    );
    let mut psql = server.client("psql", "nodedb", crate::server::SUPERUSER_PASSWORD);
    let described = psql.args(["-X", "-d", "nodedb", "-c", "\\d t"]).output();
    let described = answer(&described.expect("psql is installed"));
    assert!(described.contains("Policies"), "{described}");
    assert!(described.contains("POLICY \"own\""), "{described}");
    assert!(
        described.contains("AS RESTRICTIVE FOR INSERT"),
        "{described}"
    );
    let listed =
        server.psql("SELECT policyname, permissive, roles, cmd FROM pg_policies ORDER BY 1");
    assert_eq!(
        listed,
        "adds|RESTRICTIVE|{alice}|INSERT\nown|PERMISSIVE|{public}|ALL"
    );
}

#[test]
fn a_predicate_that_cannot_be_asked_of_a_row_is_refused_when_it_is_made() {
    let server = server();
    server.psql("CREATE TABLE t (id int PRIMARY KEY); CREATE SEQUENCE s");
    let long = format!("id <> {}", "1 + ".repeat(5_000) + "1");
    for (predicate, code) in [
        ("id IN (SELECT id FROM t)", "0A000"),
        ("count(*) > 1", "42803"),
        ("rank() OVER () > 1", "0A000"),
        ("id = nextval('s')", "0A000"),
        (
            "set_config('app.tenant', '1', false) = '1' AND id > 0",
            "0A000",
        ),
        ("missing", "42703"),
        ("$auth.nothing = 'x'", "42704"),
        ("id = $1", "42P02"),
        ("id", "42804"),
        (&long, "54000"),
    ] {
        let error = server.psql_error(&format!("CREATE RLS POLICY p ON t USING ({predicate})"));
        assert!(
            error.contains(code),
            "{code}: {predicate:.40}: {error:.300}"
        );
    }
}

#[test]
fn a_policy_whose_expression_fails_hides_the_row_it_fails_on() {
    let server = server();
    server.psql(
        "CREATE TABLE t (id int PRIMARY KEY, divisor int);
         INSERT INTO t VALUES (1, 1), (2, 0), (3, 2);
         CREATE RLS POLICY p ON t USING (4 / divisor > 1)",
    );
    let rows = |sql: &str| answer(&as_user(&server, "alice", sql));
    assert_eq!(rows("SELECT id FROM t ORDER BY id"), "1\n3");
    assert_eq!(rows("SELECT id FROM t WHERE id = 2"), "");
    assert!(rows("INSERT INTO t VALUES (4, 0)").starts_with("! 42501"));
    assert_eq!(rows("INSERT INTO t VALUES (4, 1)"), "INSERT 0 1");
}

#[test]
fn explain_access_tells_the_grants_and_policies_that_decide() {
    let server = server();
    server.psql("CREATE USER carol PASSWORD 'pw' ROLE readonly");
    server.psql(
        "CREATE TABLE t (id int PRIMARY KEY, owner text);
         CREATE RLS POLICY own ON t FOR ALL USING (owner = $auth.username);
         CREATE RLS POLICY all_read ON t FOR READ USING (id > 0);
         CREATE RLS POLICY recent ON t FOR ALL USING (id > 5) RESTRICTIVE",
    );
    let asked = "EXPLAIN ACCESS SELECT ON t FOR USER carol";
    let expected = "login|pass|\"carol\" is enabled\n\
                    database|pass|CONNECT on \"nodedb\"\n\
                    role|pass|readonly; SELECT comes with readonly\n\
                    privilege|pass|SELECT on public.t\n\
                    policy all_read|applies|permissive FOR READ USING (id > 0)\n\
                    policy own|applies|permissive FOR ALL USING (owner = $auth.username)\n\
                    policy recent|applies|restrictive FOR ALL USING (id > 5)\n\
                    outcome|pass|rows of (all_read OR own) AND recent";
    assert_eq!(server.psql(asked), expected);
    let refused = server.psql("EXPLAIN ACCESS UPDATE ON t FOR USER carol");
    assert!(
        refused.contains("role|not enough|readonly; UPDATE comes with readwrite"),
        "{refused}"
    );
    assert!(
        refused.contains("policy all_read|does not apply"),
        "{refused}"
    );
    assert!(refused.ends_with("outcome|fail|refused"), "{refused}");
    server.psql("GRANT UPDATE ON t TO carol");
    let granted = server.psql("EXPLAIN ACCESS UPDATE ON t FOR USER carol");
    assert!(
        granted.contains("grant|pass|UPDATE granted to carol"),
        "{granted}"
    );
    assert!(
        granted.ends_with("outcome|pass|rows of (own) AND recent"),
        "{granted}"
    );
    assert!(answer(&as_user(&server, "carol", asked)).starts_with("! 42501"));
    assert!(
        server.log().contains("access is explained"),
        "who asks is noted"
    );
}

/// A point statement, a scan, an index, a join, a lock, a prepared statement and a write: whatever
/// reaches a row asks the same.
#[test]
fn every_path_to_a_row_sees_the_same_rows() {
    let server = server();
    server.psql(
        "CREATE TABLE t (id int PRIMARY KEY, owner text, amount int);
         CREATE INDEX by_amount ON t (amount);
         CREATE TABLE o (id int); INSERT INTO o VALUES (0);
         INSERT INTO t SELECT i, CASE i % 3 WHEN 0 THEN 'alice' WHEN 1 THEN 'bob' END, i * 7 % 10
           FROM generate_series(1, 12) i",
    );
    const PERMISSIVE: [&str; 4] = [
        "owner = $auth.username",
        "amount > 4",
        "10 / (amount - 5) > 0",
        "$auth.role = 'admin'",
    ];
    const RESTRICTIVE: [&str; 3] = ["true", "amount <> 7", "owner <> 'bob'"];
    for (number, permissive) in PERMISSIVE.iter().enumerate() {
        for restrictive in RESTRICTIVE {
            let other = PERMISSIVE[(number + 1) % PERMISSIVE.len()];
            server.psql(&format!(
                "CREATE RLS POLICY a ON t USING ({permissive});
                 CREATE RLS POLICY b ON t USING ({other});
                 CREATE RLS POLICY c ON t USING ({restrictive}) RESTRICTIVE"
            ));
            let mut alice = logged_in(&server, "alice");
            let seen = rows(&mut alice, "SELECT id FROM t ORDER BY id");
            let case = format!("({permissive} OR {other}) AND {restrictive}");
            assert_eq!(
                rows(&mut alice, "SELECT count(*) FROM t"),
                [seen.len().to_string()],
                "{case}"
            );
            rows(
                &mut alice,
                "PREPARE one (int) AS SELECT id FROM t WHERE id = $1",
            );
            for id in 1..=12 {
                let shown = seen.contains(&id.to_string());
                let expected: Vec<String> = shown.then(|| id.to_string()).into_iter().collect();
                for sql in [
                    format!("SELECT id FROM t WHERE id = {id}"),
                    format!("SELECT id FROM t WHERE id BETWEEN {id} AND {id}"),
                    format!("SELECT id FROM t WHERE amount = {id} * 7 % 10 AND id = {id} + 0"),
                    format!("SELECT t.id FROM t JOIN (VALUES ({id})) v (id) ON t.id = v.id"),
                    format!("SELECT id FROM t WHERE id = {id} FOR UPDATE"),
                    format!("SELECT id FROM t WHERE id IN ({id}, -1) FOR SHARE"),
                    format!("EXECUTE one ({id})"),
                    format!("UPDATE t SET amount = amount WHERE id = {id} RETURNING id"),
                    format!(
                        "UPDATE t SET amount = t.amount FROM t o WHERE t.id = o.id AND o.id = {id} RETURNING t.id"
                    ),
                    format!("WITH w AS (SELECT * FROM t) SELECT id FROM w WHERE id = {id}"),
                    format!(
                        "WITH w AS (UPDATE t SET amount = amount WHERE id = {id} RETURNING id) SELECT * FROM w"
                    ),
                    format!(
                        "UPDATE o SET id = o.id FROM t WHERE o.id = 0 AND t.id = {id} RETURNING t.id"
                    ),
                    format!(
                        "SELECT id FROM t WHERE (id, 0) IN (SELECT id, 0 FROM t WHERE id = {id})"
                    ),
                    format!("SELECT id FROM t WHERE id = {id} INTERSECT ALL SELECT {id}"),
                ] {
                    assert_eq!(rows(&mut alice, &sql), expected, "{case}: {sql}");
                }
                rows(&mut alice, "BEGIN");
                let deleted = rows(
                    &mut alice,
                    &format!("DELETE FROM t WHERE id = {id} RETURNING id"),
                );
                assert_eq!(deleted, expected, "{case}");
                rows(&mut alice, "ROLLBACK");
            }
            drop(alice);
            server.psql("DROP RLS POLICY a ON t; DROP RLS POLICY b ON t; DROP RLS POLICY c ON t");
        }
    }
}

#[test]
fn a_table_made_from_a_query_has_only_the_rows_that_its_maker_sees() {
    let server = server();
    server.psql("CREATE USER carol PASSWORD 'pw' ROLE admin");
    for sql in [
        "CREATE TABLE held (id int PRIMARY KEY, holder text)",
        "INSERT INTO held VALUES (1, 'carol'), (2, 'alice'), (3, 'carol')",
        "CREATE INDEX ON held (upper(holder)) WHERE id > 0",
        "ALTER TABLE held ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY own ON held USING (holder = current_user)",
    ] {
        server.psql(sql);
    }
    let answered = |sql| answer(&as_user(&server, "carol", sql));
    assert_eq!(
        answered("CREATE TABLE copied AS SELECT * FROM held"),
        "SELECT 2"
    );
    assert_eq!(answered("SELECT id INTO again FROM held"), "SELECT 2");
    assert_eq!(answered("SELECT id FROM copied ORDER BY id"), "1\n3");
    assert_eq!(
        answered("SELECT count(*) FROM held WHERE upper(holder) = 'ALICE' AND id > 0"),
        "0"
    );
}

/// What is dealt out to several threads, read by a range of keys, or written by the batch.
#[test]
fn of_many_rows_those_are_shown_that_the_policy_shows() {
    let server = server();
    server.psql(
        "CREATE TABLE parcels (id int PRIMARY KEY, owner text, weight int);
         CREATE INDEX parcels_weight ON parcels (weight);
         INSERT INTO parcels SELECT i, CASE i % 2 WHEN 0 THEN 'alice' ELSE 'bob' END, i % 100
           FROM generate_series(1, 50000) i;
         CREATE RLS POLICY own ON parcels FOR ALL USING (owner = $auth.username)",
    );
    for (sql, expected) in [
        (
            "SELECT count(*), count(DISTINCT owner), sum(id) FROM parcels",
            "25000|1|625025000",
        ),
        (
            "SELECT owner, count(*) FROM parcels GROUP BY owner",
            "alice|25000",
        ),
        (
            "SELECT count(*) FROM parcels a JOIN parcels b ON a.id = b.id + 1",
            "0",
        ),
        (
            "SELECT id FROM parcels ORDER BY weight, id DESC LIMIT 1",
            "50000",
        ),
        (
            "SELECT id FROM parcels WHERE id BETWEEN 10 AND 15",
            "10\n12\n14",
        ),
        ("SELECT id FROM parcels ORDER BY id LIMIT 2", "2\n4"),
        (
            "SELECT id FROM parcels ORDER BY id DESC LIMIT 1 OFFSET 1",
            "49998",
        ),
        ("SELECT id FROM parcels WHERE weight = 5", ""),
        (
            "SELECT id FROM parcels WHERE weight = 4 AND id < 200",
            "4\n104",
        ),
        // No predicate is asked of a hidden row: 1 / 0 would tell that it is there.
        (
            "SELECT id FROM parcels WHERE id > 49000 AND 1 / (id - 49001) > 5",
            "",
        ),
    ] {
        assert_eq!(answer(&as_user(&server, "alice", sql)), expected, "{sql}");
    }
    let values = |owner_of_last: &str| {
        let mut rows: Vec<String> = (60_001..60_100)
            .map(|id| format!("({id}, 'alice', 1)"))
            .collect();
        rows.push(format!("(60100, '{owner_of_last}', 1)"));
        format!("INSERT INTO parcels VALUES {}", rows.join(", "))
    };
    let refused = answer(&as_user(&server, "alice", &values("bob")));
    assert_eq!(
        refused,
        "! 42501 new row violates row-level security policy for table \"parcels\""
    );
    assert_eq!(
        answer(&as_user(&server, "alice", &values("alice"))),
        "INSERT 0 100"
    );
}

#[test]
fn rows_as_values_and_subqueries_in_returning_show_no_row_that_a_policy_hides() {
    let server = server();
    server.psql(
        "CREATE TABLE note (id int PRIMARY KEY, owner text, made date DEFAULT CURRENT_DATE + 1); \
         INSERT INTO note VALUES (1, 'alice'), (2, 'bob'), (3, 'bob'); \
         CREATE RLS POLICY own ON note FOR ALL USING (owner = current_user)",
    );
    let of_alice = |sql: &str| answer(&as_user(&server, "alice", sql));
    let object = of_alice("SELECT json_agg(note) FROM (SELECT id, owner FROM note) note");
    assert_eq!(object, r#"[{"id":1,"owner":"alice"}]"#);
    assert_eq!(of_alice("SELECT count(note) FROM note"), "1");
    assert_eq!(
        of_alice("SELECT (note).id FROM note WHERE note IS NOT NULL"),
        "1"
    );
    let seen = "(SELECT count(*) FROM note), ARRAY(SELECT id FROM note ORDER BY id)";
    let changed = of_alice(&format!("UPDATE note SET made = NULL RETURNING id, {seen}"));
    assert_eq!(changed, "1|1|{1}\nUPDATE 1");
    let made = format!("INSERT INTO note (id, owner) VALUES (9, 'alice') RETURNING id, {seen}");
    assert_eq!(of_alice(&made), "9|1|{1}\nINSERT 0 1");
    assert!(
        of_alice("INSERT INTO note VALUES (10, 'bob') RETURNING (SELECT 1)").starts_with("! 42501")
    );
    let gone = of_alice(&format!("DELETE FROM note RETURNING id, {seen}"));
    assert_eq!(gone, "1|2|{1,9}\n9|2|{1,9}\nDELETE 2");
    assert_eq!(
        of_alice("SELECT count(*) FROM note WHERE 'x' NOT IN (SELECT owner FROM note)"),
        "0"
    );
    let told = of_alice("EXPLAIN DELETE FROM note");
    assert_eq!(
        told,
        "Delete on note\n  ->  Seq Scan on note\n        Row Policies: own"
    );
}
