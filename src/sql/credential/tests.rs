//! The statements of REFERENCE §1 and of SEED.txt as they are pasted, and what is refused.

use super::*;
use crate::catalog::TenantId;
use crate::catalog::definition::Privileges;
use crate::catalog::request::{IfExists, Request, TenantRef, UserChange};
use crate::catalog::row_policy::{PolicyCommand, PolicyMode};
use crate::catalog::schema::SchemaPrivileges;
use crate::diagnostic::SqlState;
use proptest::prelude::*;

fn ok(text: &str) -> CredentialStatement {
    match parse(text) {
        Some(Ok(statement)) => statement,
        other => panic!("{text} gave {other:?}"),
    }
}

fn error(text: &str) -> Diagnostic {
    match parse(text) {
        Some(Err(error)) => error,
        other => panic!("{text} gave {other:?}"),
    }
}

/// A statement without secrets, as its debug form: what the tables below compare.
fn shown(text: &str) -> String {
    format!("{:?}", ok(text))
}

fn user(text: &str) -> CreateUser {
    match ok(text) {
        CredentialStatement::CreateUser(user) => user,
        other => panic!("{text} gave {other:?}"),
    }
}

fn password(user: &CreateUser) -> Option<&str> {
    user.password.as_ref().map(|password| password.expose())
}

#[test]
fn the_seeds_users_are_taken_as_they_are_pasted() {
    let alice = user("CREATE USER alice WITH PASSWORD 'strong_password_here';");
    assert_eq!(alice.name, "alice");
    assert_eq!(password(&alice), Some("strong_password_here"));
    assert_eq!((alice.role, alice.tenant), (None, None));
    let bob = user("CREATE USER bob WITH PASSWORD 'secret' ROLE readonly;");
    assert_eq!(bob.role.as_deref(), Some("readonly"));
    let bot = user("CREATE USER service_bot WITH PASSWORD 'key' ROLE readwrite TENANT 42;");
    assert_eq!(bot.tenant, Some(TenantRef::Id(TenantId(42))));
    assert_eq!(shown("SHOW USERS;"), "Show(Users)");
}

#[test]
fn names_may_be_bare_quoted_or_literals() {
    for (text, name) in [
        ("create user Alice password 'x'", "alice"),
        ("CREATE USER \"Alice\" PASSWORD 'x'", "Alice"),
        ("CREATE USER 'Alice' PASSWORD 'x'", "Alice"),
        ("CREATE USER \"a\"\"b\" PASSWORD 'x'", "a\"b"),
        ("CREATE USER 'it''s' PASSWORD 'x'", "it's"),
        ("CREATE USER überall PASSWORD 'x'", "überall"),
        ("CREATE USER password PASSWORD 'x'", "password"),
        ("CREATE USER a$1_b PASSWORD 'x'", "a$1_b"),
    ] {
        assert_eq!(user(text).name, name, "{text}");
    }
}

#[test]
fn passwords_are_decoded_as_postgresql_decodes_literals() {
    for (text, expected) in [
        ("CREATE USER a PASSWORD 'it''s'", Some("it's")),
        ("CREATE USER a PASSWORD 'back\\slash'", Some("back\\slash")),
        ("CREATE USER a PASSWORD E'a\\\\b\\'c'", Some("a\\b'c")),
        ("CREATE USER a PASSWORD $$it's$$", Some("it's")),
        ("CREATE USER a PASSWORD $t$a$$b$t$", Some("a$$b")),
        ("CREATE USER a ENCRYPTED PASSWORD 'x'", Some("x")),
        ("CREATE USER a WITH PASSWORD ''", Some("")),
        ("CREATE USER a PASSWORD NULL", None),
        (
            "CREATE USER a /* b /* c */ */ PASSWORD -- d\n 'x'",
            Some("x"),
        ),
    ] {
        assert_eq!(password(&user(text)), expected, "{text}");
    }
}

#[test]
fn the_verifier_that_psql_sends_is_a_password_like_any_other() {
    let verifier = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$AAAA:BBBB";
    match ok(&format!("ALTER USER \"alice\" PASSWORD '{verifier}'")) {
        CredentialStatement::AlterPassword(alter) => {
            assert_eq!(alter.name, "alice");
            let PasswordWanted::Set(Some(password)) = alter.wanted else {
                panic!("it is not NULL");
            };
            assert_eq!(password.expose(), verifier);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_debug_text_and_no_error_repeats_a_password() {
    for text in [
        "CREATE USER a WITH PASSWORD 'hunter2'",
        "ALTER USER a WITH PASSWORD 'hunter2'",
        "CREATE USER a PASSWORD 'hunter2' 'hunter2'",
        "CREATE USER a PASSWORD 'hunter2' ROLE",
        "CREATE USER a 'hunter2'",
        "CREATE USER a PASSWORD 'x' PASSWORD 'hunter2'",
        "CREATE USER a PASSWORD 'hunter2",
        "ALTER USER a PASSWORD 'hunter2' VALID UNTIL 'hunter2'",
        "ALTER USER a 'hunter2'",
        "CREATE ROLE a PASSWORD 'hunter2'",
        "ALTER USER a PASSWORD E'hunter2\\x41'",
        "ALTER USER a PASSWORD $x$hunter2",
    ] {
        let shown = format!("{:?}", parse(text));
        assert!(!shown.contains("hunter2"), "{text}: {shown}");
    }
}

#[test]
fn alter_user_takes_every_form_of_the_reference() {
    let change = |text: &str| match ok(text) {
        CredentialStatement::Change(Request::AlterUser { name, change }) => {
            assert_eq!(name, "a", "{text}");
            format!("{change:?}")
        }
        other => panic!("{text} gave {other:?}"),
    };
    for (text, expected) in [
        ("ALTER USER a ROLE admin", "Role(\"admin\")"),
        ("ALTER USER a SET ROLE admin", "Role(\"admin\")"),
        ("ALTER USER a WITH ROLE admin", "Role(\"admin\")"),
        (
            "ALTER USER a SET DEFAULT DATABASE d",
            "DefaultDatabase(\"d\")",
        ),
        ("ALTER USER a DISABLE", "Disable"),
        ("alter role a enable;", "Enable"),
        ("ALTER USER a VALID UNTIL 'infinity'", "ValidUntil(None)"),
        (
            "ALTER USER a VALID UNTIL '1970-01-01'",
            "ValidUntil(Some(0))",
        ),
        (
            "ALTER USER a VALID UNTIL '1970-01-01 00:00:01'",
            "ValidUntil(Some(1000000))",
        ),
        (
            "ALTER USER a VALID UNTIL '1970-01-01 01:00:00+01'",
            "ValidUntil(Some(0))",
        ),
        (
            "ALTER USER a VALID UNTIL '1970-01-01T00:00:00.5Z'",
            "ValidUntil(Some(500000))",
        ),
        (
            "ALTER USER a VALID UNTIL '1969-12-31 19:00:00-05:00'",
            "ValidUntil(Some(0))",
        ),
    ] {
        assert_eq!(change(text), expected, "{text}");
    }
    for text in [
        "ALTER USER a PASSWORD 'x'",
        "ALTER USER a WITH PASSWORD 'x'",
        "ALTER USER a SET PASSWORD 'x'",
        "ALTER USER a WITH ENCRYPTED PASSWORD 'x'",
        "ALTER ROLE a PASSWORD NULL",
    ] {
        assert!(
            matches!(ok(text), CredentialStatement::AlterPassword(_)),
            "{text}"
        );
    }
    assert!(matches!(UserChange::Disable, UserChange::Disable));
}

#[test]
fn roles_databases_and_tenants_parse_to_requests() {
    for (text, expected) in [
        (
            "CREATE ROLE IF NOT EXISTS analyst INHERIT readonly",
            "CreateRole { if_exists: Skip, name: \"analyst\", parent: Some(\"readonly\") }",
        ),
        (
            "DROP ROLE analyst",
            "DropRole { if_exists: Fail, name: \"analyst\" }",
        ),
        (
            "DROP USER IF EXISTS a",
            "DropUser { if_exists: Skip, name: \"a\" }",
        ),
        (
            "GRANT analyst TO bob",
            "GrantRole { role: \"analyst\", to: \"bob\" }",
        ),
        (
            "GRANT 'admin' TO 'bob'",
            "GrantRole { role: \"admin\", to: \"bob\" }",
        ),
        (
            "REVOKE analyst FROM bob",
            "RevokeRole { role: \"analyst\", from: \"bob\" }",
        ),
        (
            "GRANT CONNECT ON DATABASE prod TO alice",
            "GrantConnect { database: \"prod\", to: \"alice\" }",
        ),
        (
            "REVOKE CONNECT ON DATABASE prod FROM alice",
            "RevokeConnect { database: \"prod\", from: \"alice\" }",
        ),
        (
            "CREATE DATABASE logs",
            "CreateDatabase { if_exists: Fail, name: \"logs\" }",
        ),
        (
            "CREATE DATABASE logs WITH ENCODING = 'UTF8' TEMPLATE template0",
            "CreateDatabase { if_exists: Fail, name: \"logs\" }",
        ),
        (
            "DROP DATABASE IF EXISTS logs",
            "DropDatabase { if_exists: Skip, name: \"logs\" }",
        ),
        (
            "DROP DATABASE logs WITH (FORCE)",
            "DropDatabase { if_exists: Fail, name: \"logs\" }",
        ),
        (
            "CREATE TENANT acme ID 7",
            "CreateTenant { if_exists: Fail, name: \"acme\", id: Some(TenantId(7)) }",
        ),
        (
            "ALTER TENANT 42 RENAME TO acme",
            "RenameTenant { tenant: Id(TenantId(42)), name: \"acme\" }",
        ),
        (
            "DROP TENANT IF EXISTS acme CASCADE",
            "DropTenant { if_exists: Skip, tenant: Name(\"acme\"), cascade: true }",
        ),
    ] {
        assert_eq!(shown(text), format!("Change({expected})"), "{text}");
    }
    assert_eq!(IfExists::Skip, IfExists::Skip);
}

#[test]
fn table_grants_carry_privileges_tables_and_grantees() {
    let grant = |text: &str| match ok(text) {
        CredentialStatement::Table(grant) => grant,
        other => panic!("{text} gave {other:?}"),
    };
    let one = grant("GRANT SELECT ON t TO bob");
    assert_eq!(one.privileges.names().collect::<Vec<_>>(), ["SELECT"]);
    assert_eq!(
        one.tables[0],
        TableName {
            schema: None,
            name: "t".to_owned()
        }
    );
    assert_eq!(one.grantees, ["bob"]);
    let many = grant("REVOKE INSERT, UPDATE, DELETE ON TABLE public.t, \"U\" FROM bob, analyst");
    assert_eq!(many.direction, Direction::Revoke);
    assert_eq!(many.tables[0].schema.as_deref(), Some("public"));
    assert_eq!(many.tables[1].name, "U");
    assert_eq!(many.grantees, ["bob", "analyst"]);
    assert_eq!(grant("GRANT ALL ON t TO bob").privileges, Privileges::ALL);
    assert_eq!(
        grant("GRANT ALL PRIVILEGES ON schema TO b").tables[0].name,
        "schema"
    );
}

#[test]
fn schema_grants_carry_privileges_schemas_and_grantees() {
    let grant = |text: &str| match ok(text) {
        CredentialStatement::Schema(grant) => grant,
        other => panic!("{text} gave {other:?}"),
    };
    let one = grant("GRANT USAGE ON SCHEMA s TO bob");
    assert_eq!(one.privileges, SchemaPrivileges::USAGE);
    assert_eq!(one.schemas, ["s"]);
    assert_eq!(one.grantees, ["bob"]);
    let many = grant("revoke create, usage on schema public, \"S\" from PUBLIC, analyst");
    assert_eq!(many.direction, Direction::Revoke);
    assert_eq!(many.privileges, SchemaPrivileges::ALL);
    assert_eq!(many.schemas, ["public", "S"]);
    assert_eq!(many.grantees, ["public", "analyst"]);
    let all = grant("GRANT ALL PRIVILEGES ON SCHEMA s TO bob");
    assert_eq!(all.privileges, SchemaPrivileges::ALL);
    let CredentialStatement::Table(tables) =
        ok("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA s, t TO bob")
    else {
        panic!("a grant on tables");
    };
    assert_eq!(tables.all_in, ["s", "t"]);
    assert!(tables.tables.is_empty());
}

#[test]
fn a_list_past_its_limit_is_54000() {
    let names = vec!["t"; LIST_NAMES_MAX].join(", ");
    assert!(matches!(
        ok(&format!("GRANT SELECT ON {names} TO bob")),
        CredentialStatement::Table(_)
    ));
    let refused = error(&format!("GRANT SELECT ON {names}, t TO bob"));
    assert_eq!(refused.sqlstate().as_str(), "54000");
}

#[test]
fn show_statements_are_told_from_settings() {
    for (text, expected) in [
        ("SHOW ROLES", "Show(Roles)"),
        ("show databases;", "Show(Databases)"),
        ("SHOW TENANTS", "Show(Tenants)"),
        ("SHOW GRANTS", "Show(Grants { of: None })"),
        ("SHOW GRANTS FOR bob", "Show(Grants { of: Some(\"bob\") })"),
        ("SHOW PERMISSIONS", "Show(Permissions)"),
        ("SHOW SESSION", "Show(Session)"),
        ("SHOW SESSIONS", "Show(Sessions)"),
    ] {
        assert_eq!(shown(text), expected);
    }
    for text in [
        "SHOW search_path",
        "SHOW SESSION AUTHORIZATION",
        "SHOW role",
        "SHOW tenant",
        "SHOW ALL",
    ] {
        assert!(parse(text).is_none(), "{text} is a setting");
    }
}

#[test]
fn other_statements_are_left_to_the_sql_parser() {
    for text in [
        "",
        ";",
        "SELECT 1",
        "CREATE TABLE users (id int)",
        "CREATE INDEX ON t (a)",
        "ALTER TABLE t ADD c int",
        "DROP TABLE t",
        "CREATE",
        "EXPLAIN SELECT 1",
        "UPDATE t SET a = 'x'",
        "'unterminated",
        "CREATE SCHEMA s",
        "CREATE POLICY p ON t",
    ] {
        assert!(parse(text).is_none(), "{text}");
    }
}

#[test]
fn service_accounts_have_a_database_and_no_password() {
    let made =
        parse("CREATE SERVICE ACCOUNT IF NOT EXISTS 'b-1' FOR DATABASE d ROLE admin TENANT 7");
    let Some(Ok(CredentialStatement::Change(Request::CreateServiceAccount {
        if_exists: IfExists::Skip,
        name,
        database,
        role: Some(role),
        tenant: Some(TenantRef::Id(TenantId(7))),
    }))) = made
    else {
        panic!("{made:?}");
    };
    assert_eq!((&*name, &*database, &*role), ("b-1", "d", "admin"));
    let altered = parse("ALTER SERVICE ACCOUNT b SET DATABASES (d, \"E\", 'f');");
    let Some(Ok(CredentialStatement::Change(Request::AlterServiceAccount { databases, .. }))) =
        altered
    else {
        panic!("{altered:?}");
    };
    assert_eq!(databases, ["d", "E", "f"]);
    for wrong in [
        "CREATE SERVICE ACCOUNT b",
        "CREATE SERVICE ACCOUNT b FOR DATABASE d PASSWORD 'x'",
        "CREATE SERVICE ACCOUNT b FOR DATABASE d ROLE r ROLE s",
        "CREATE SERVICE ACCOUNT b FOR DATABASE d TENANT 1 TENANT 2",
        "ALTER SERVICE ACCOUNT b SET DATABASES ()",
        "ALTER SERVICE ACCOUNT b SET DATABASES (d",
        "ALTER SERVICE ACCOUNT b SET DATABASES d",
        "DROP SERVICE ACCOUNT",
    ] {
        assert_eq!(error(wrong).sqlstate(), SqlState::SYNTAX_ERROR, "{wrong}");
    }
}

#[test]
fn what_is_not_there_yet_is_0a000_and_names_the_feature() {
    for (text, feature) in [
        ("CREATE ROLE x LOGIN PASSWORD 'y'", "CREATE ROLE with LOGIN"),
        (
            "CREATE USER x SUPERUSER PASSWORD 'y'",
            "CREATE USER with SUPERUSER",
        ),
        (
            "CREATE USER x PASSWORD 'y' VALID UNTIL 'z'",
            "CREATE USER with VALID",
        ),
        (
            "ALTER USER x SET work_mem = '1'",
            "ALTER USER with WORK_MEM",
        ),
        ("ALTER USER x NOLOGIN", "ALTER USER with NOLOGIN"),
        ("GRANT SELECT (a) ON t TO b", "GRANT on columns"),
        ("GRANT TRUNCATE ON t TO b", "GRANT TRUNCATE"),
        ("GRANT USAGE ON SEQUENCE s TO b", "GRANT USAGE"),
        ("GRANT SELECT ON SCHEMA public TO b", "GRANT on SCHEMA"),
        (
            "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO b",
            "GRANT on ALL",
        ),
        (
            "GRANT SELECT ON t TO b WITH GRANT OPTION",
            "GRANT with WITH",
        ),
        ("CREATE DATABASE d OWNER x", "CREATE DATABASE with OWNER"),
        (
            "CREATE DATABASE d ENCODING 'LATIN1'",
            "CREATE DATABASE with ENCODING \"LATIN1\"",
        ),
        ("DROP USER a, b", "DROP USER of several names"),
    ] {
        let refused = error(text);
        assert_eq!(refused.sqlstate().as_str(), "0A000", "{text}: {refused}");
        assert_eq!(
            refused.message(),
            format!("{feature} is not supported"),
            "{text}"
        );
    }
}

#[test]
fn syntax_errors_say_where_in_characters() {
    for (text, message, position) in [
        ("CREATE USER", "syntax error at end of input", 12),
        ("CREATE USER alice", "syntax error at end of input", 18),
        (
            "CREATE USER WITH PASSWORD 'x'",
            "syntax error at or near \"WITH\"",
            13,
        ),
        (
            "CREATE USER a PASSWORD x",
            "syntax error at or near \"x\"",
            24,
        ),
        (
            "CREATE USER ü PASSWORD x",
            "syntax error at or near \"x\"",
            24,
        ),
        (
            "CREATE USER a PASSWORD 'x' ROLE",
            "syntax error at end of input",
            32,
        ),
        (
            "CREATE USER a PASSWORD 'x' TENANT -1",
            "syntax error at or near \"-\"",
            35,
        ),
        (
            "CREATE USER a PASSWORD 'x",
            "unterminated quoted string",
            24,
        ),
        (
            "CREATE USER \"\" PASSWORD 'x'",
            "zero-length delimited identifier",
            13,
        ),
        (
            "CREATE USER a PASSWORD 'x' ROLE b ROLE c",
            "conflicting or redundant options",
            35,
        ),
        ("DROP USER a b", "syntax error at or near \"b\"", 13),
        ("GRANT FOO ON t TO b", "syntax error at or near \"FOO\"", 7),
        (
            "GRANT a TO b; DROP USER c",
            "syntax error at or near \"DROP\"",
            15,
        ),
        ("SHOW USERS now", "syntax error at or near \"now\"", 12),
        ("/* open", "", 0),
    ] {
        if position == 0 {
            assert!(parse(text).is_none());
            continue;
        }
        let refused = error(text);
        assert_eq!(refused.sqlstate().as_str(), "42601", "{text}: {refused}");
        assert_eq!(refused.message(), message, "{text}");
        assert_eq!(refused.fields().position, Some(position), "{text}");
    }
}

#[test]
fn values_out_of_range_have_codes_of_their_own() {
    assert_eq!(
        error("CREATE USER a PASSWORD 'x' TENANT 99999999999")
            .sqlstate()
            .as_str(),
        "22023"
    );
    assert_eq!(
        error("ALTER USER a VALID UNTIL 'soon'").sqlstate().as_str(),
        "22007"
    );
    assert_eq!(error("DROP USER ''").sqlstate().as_str(), "42602");
}

#[test]
fn which_statements_stand_alone() {
    for text in [
        "CREATE USER a PASSWORD 'x'",
        "ALTER USER a PASSWORD 'x'",
        "ALTER USER a DISABLE",
        "GRANT admin TO a",
        "GRANT CONNECT ON DATABASE d TO a",
        "CREATE DATABASE d",
        "DROP TENANT t",
    ] {
        assert!(ok(text).stands_alone(), "{text}");
    }
    for text in [
        "GRANT SELECT ON t TO a",
        "SHOW USERS",
        "REVOKE ALL ON t FROM a",
    ] {
        assert!(!ok(text).stands_alone(), "{text}");
    }
    let refused = ok("CREATE DATABASE d").refused_in_transaction();
    assert_eq!(
        refused.to_string(),
        "ERROR 25001: CREATE DATABASE cannot run inside a transaction block"
    );
}

#[test]
fn a_message_is_split_at_semicolons_outside_quotes_and_comments() {
    let text = "SELECT ';' ; -- ü;\n CREATE USER a PASSWORD $$;$$;; /* ; */ SELECT \";\"";
    let pieces = split(text).expect("it is well-formed");
    let texts: Vec<_> = pieces.iter().map(|piece| piece.text).collect();
    assert_eq!(
        texts,
        [
            "SELECT ';' ",
            "CREATE USER a PASSWORD $$;$$",
            "SELECT \";\""
        ]
    );
    for piece in pieces {
        let before: String = text
            .chars()
            .take(piece.characters_before as usize)
            .collect();
        assert!(text[before.len()..].starts_with(piece.text), "{piece:?}");
    }
    assert!(split("SELECT 'open").is_err());
    assert_eq!(split(" ; ;; -- nothing").expect("it is empty"), []);
}

proptest! {
    #[test]
    fn any_text_is_answered_without_a_panic(text in "\\PC{0,80}") {
        fuzz(&text);
    }

    #[test]
    fn any_words_of_the_grammar_are_answered_without_a_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "CREATE", "USER", "ROLE", "GRANT", "REVOKE", "ON", "TO", "FROM", "DATABASE", "a",
            "\"B\"", "'c'", "PASSWORD", "NULL", "IF", "NOT", "EXISTS", "TENANT", "42", ",", ";",
            "(", ")", "WITH", "SELECT", "ALL", "CONNECT", "ALTER", "DROP", "SET", "SHOW",
            "GRANTS", "FOR", "$$x$$", "E'\\n'", "--", "/*", "*/", "VALID", "UNTIL", ".",
        ]), 0..14),
    ) {
        fuzz(&words.join(" "));
    }

    #[test]
    fn any_quoted_name_and_password_come_through_unchanged(
        name in "[^\u{0}]{1,20}",
        secret in "[^\u{0}]{0,40}",
    ) {
        let text = format!(
            "CREATE USER \"{}\" WITH PASSWORD '{}' ROLE readonly;",
            name.replace('"', "\"\""),
            secret.replace('\'', "''"),
        );
        let made = user(&text);
        prop_assert_eq!(&made.name, &name);
        prop_assert_eq!(password(&made), Some(secret.as_str()));
    }
}

fn row_policy(text: &str) -> NewRowPolicy {
    match ok(text) {
        CredentialStatement::RowPolicy(RowPolicyStatement::Create(policy)) => policy,
        other => panic!("{text} gave {other:?}"),
    }
}

#[test]
fn row_policies_are_taken_as_they_are_pasted() {
    let own = row_policy("CREATE RLS POLICY own ON orders FOR ALL USING (user_id = $auth.id);");
    assert_eq!((&*own.name, &*own.table.name), ("own", "orders"));
    assert_eq!(own.command, PolicyCommand::All);
    assert_eq!(own.mode, PolicyMode::Permissive);
    assert_eq!(own.using.as_deref(), Some("user_id = $auth.id"));
    let org = row_policy(
        "create rls policy 'org' on s.\"Orders\" for write using ((a = ')') or f(b)) restrictive",
    );
    assert_eq!(org.table.schema.as_deref(), Some("s"));
    assert_eq!(org.table.name, "Orders");
    assert_eq!(org.command, PolicyCommand::Write);
    assert_eq!(org.mode, PolicyMode::Restrictive);
    assert_eq!(org.using.as_deref(), Some("(a = ')') or f(b)"));
    let scoped =
        "CREATE RLS POLICY scoped ON orders FOR READ USING ($auth.scopes CONTAINS 'read:orders')";
    assert_eq!(row_policy(scoped).command, PolicyCommand::Read);
    assert_eq!(
        shown("DROP RLS POLICY IF EXISTS own ON orders"),
        "RowPolicy(Drop { if_exists: Skip, name: \"own\", \
         table: TableName { schema: None, name: \"orders\" } })"
    );
    assert_eq!(shown("SHOW RLS POLICIES"), "Show(RowPolicies { of: None })");
    assert_eq!(
        shown("SHOW RLS POLICIES ON orders;"),
        "Show(RowPolicies { of: Some(\"orders\") })"
    );
    assert_eq!(
        shown("EXPLAIN ACCESS SELECT ON orders FOR USER alice"),
        "Show(Access(ExplainAccess { access: Read, \
         table: TableName { schema: None, name: \"orders\" }, login: \"alice\" }))"
    );
    for wrong in [
        "CREATE RLS POLICY p ON t USING true",
        "CREATE RLS POLICY p ON t USING (true",
        "CREATE RLS POLICY p ON t FOR SELECT USING (true)",
        "CREATE RLS POLICY p USING (true)",
        "CREATE RLS POLICY p ON t FOR READ",
        "CREATE RLS POLICY p ON t USING (true) RESTRICTIVE RESTRICTIVE",
        "DROP RLS POLICY p",
        "EXPLAIN ACCESS ON t FOR USER u",
        "EXPLAIN ACCESS SELECT ON t",
    ] {
        assert_eq!(error(wrong).sqlstate(), SqlState::SYNTAX_ERROR, "{wrong}");
    }
}

#[test]
fn kill_session_takes_an_id_as_show_sessions_prints_it_and_nothing_else() {
    for text in ["KILL SESSION '200002.1b'", "kill session '200002.1b';"] {
        let parsed = parse(text);
        let Some(Ok(CredentialStatement::KillSession(id))) = &parsed else {
            panic!("{text}: {parsed:?}");
        };
        assert_eq!(id, "200002.1b");
        assert!(!parsed.expect("known").expect("read").stands_alone());
    }
    for text in ["KILL SESSION", "KILL SESSION 1 2", "KILL SESSION 200002.1b"] {
        let refused = parse(text).expect("its own").expect_err(text);
        assert_eq!(refused.sqlstate().as_str(), "42601", "{text}");
    }
}
