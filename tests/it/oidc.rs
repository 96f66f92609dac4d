//! Signing in with an identity provider: an issuer on this machine that speaks OpenID discovery over TLS,
//! its tokens over HTTP and the native protocol, and what a provider's definition gives (REFERENCE §1, §3).

use crate::http_client::curl;
use crate::issuer::{Behaviour, Issuer, now};
use crate::native_wire::{CLIENT_CAPABILITIES, Native, frame};
use crate::server::{TestServer, UNTHROTTLED};
use crate::signer::{Kind, Signer, base64url};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server, and a provider on this machine that its operator has opened the way to.
struct Story {
    server: TestServer,
    issuer: Issuer,
    signer: Signer,
}

/// `more` stands under `[auth.jwks]`; ISSUER in it is the issuer.
fn begin(more: &str) -> Story {
    let (issuer, signer) = (Issuer::start(), Signer::new(Kind::Es256, "one"));
    issuer.publish(&[&signer]);
    let directory = TempDir::new().expect("a temporary directory");
    let ca = issuer.write_ca(directory.path());
    let file = format!(
        "{UNTHROTTLED}[auth.jwks]\nallow_http_hosts = [\"{}\"]\nca = [\"{}\"]\n{}",
        issuer.host(),
        ca.display(),
        more.replace("ISSUER", &issuer.url()),
    );
    Story {
        server: TestServer::start_in_directory(directory, &file),
        issuer,
        signer,
    }
}

impl Story {
    /// The seed's statement, with our issuer in the place of its own.
    fn create(&self, name: &str, options: &str) {
        let issuer = self.issuer.url();
        self.server.psql(&format!(
            "CREATE OIDC PROVIDER {name} WITH (issuer = '{issuer}'{options})"
        ));
    }

    /// A token of al's with these claims besides.
    fn token(&self, more: Value) -> String {
        let mut claims = self.issuer.claims("al", "nodedb-api");
        for (name, value) in more.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        self.signer.token(&claims)
    }

    /// The status and reply of a statement by this token.
    fn by_token(&self, token: &str, sql: &str) -> (u16, Value) {
        let bearer = format!("Authorization: Bearer {token}");
        let body = json!({ "sql": sql }).to_string();
        let (status, reply) = curl(&self.server, "/v1/query", &["-H", &bearer, "-d", &body]);
        let reply = serde_json::from_str(&reply);
        (status, reply.expect("a reply in JSON"))
    }

    /// The one row of SHOW SESSION by this token.
    fn session(&self, token: &str) -> Value {
        let (status, reply) = self.by_token(token, "SHOW SESSION");
        assert_eq!(status, 200, "{reply}\n{}", self.server.log());
        reply["rows"][0].clone()
    }

    fn native(&self, auth: Value, capabilities: u64) -> (Native, Value) {
        let mut client = Native::greeted(&self.server, capabilities);
        let reply = client.ask(1, json!({ "auth": auth }));
        (client, reply)
    }

    fn native_session(&self, token: &str, capabilities: u64) -> Native {
        let auth = json!({"method": "oidc_bearer", "token": token});
        let (client, reply) = self.native(auth, capabilities);
        assert_eq!(reply["status"], 0, "{reply}\n{}", self.server.log());
        client
    }
}

/// What whoever presents a bad token is told.
fn refused() -> (u16, Value) {
    let error = json!({"error": {"code": "28000", "message": "authentication failed"}});
    (401, error)
}

#[test]
fn the_seeds_provider_takes_its_tokens_and_no_others() {
    let story = begin("");
    let (issuer, keys) = (story.issuer.url(), story.issuer.keys_url());
    story.server.psql(&format!(
        "CREATE OIDC PROVIDER auth0 WITH (\nissuer = '{issuer}',\njwks_url = '{keys}',\n\
         audience = 'nodedb-api'\n);"
    ));
    let shown = story.server.psql("SHOW OIDC PROVIDERS");
    let expected = format!("auth0|{issuer}|{keys}|nodedb-api|0|1|");
    assert!(shown.starts_with(&expected), "{shown}");
    assert!(shown.contains("|closed||sql|readonly|"), "{shown}");
    let session = story.session(&story.token(json!({})));
    assert_eq!(session["username"], "auth0:al");
    assert_eq!(session["auth_method"], "jwt");
    assert_eq!(session["roles"], "readonly");
    let bearer = format!("Authorization: Bearer {}", story.token(json!({})));
    let (status, whose) = curl(&story.server, "/v1/query", &["-H", &bearer]);
    assert_eq!(status, 200, "{whose}");
    assert!(whose.contains("auth0:al"), "{whose}");
    let stranger = Signer::new(Kind::Es256, "one");
    let claims = story.issuer.claims("al", "nodedb-api");
    let without_slash = issuer.trim_end_matches('/').to_owned();
    let none = format!(
        "{}.{}.",
        base64url(r#"{"alg":"none"}"#),
        base64url(claims.to_string())
    );
    for (token, reason) in [
        (stranger.token(&claims), "signature is wrong"),
        (
            story.token(json!({"aud": "other"})),
            "token's aud is that of none",
        ),
        (
            story.token(json!({"aud": ["x", 1]})),
            "token's aud is that of none",
        ),
        (
            story.token(json!({"iss": without_slash})),
            "no known provider",
        ),
        (story.token(json!({"exp": now() - 61})), "has expired"),
        (
            story.token(json!({"exp": "9999999999"})),
            "exp is missing or of the wrong kind",
        ),
        (story.token(json!({"nbf": now() + 90})), "not valid yet"),
        (story.token(json!({"exp": now() + 90_000})), "lives longer"),
        (story.token(json!({"sub": ""})), "token's sub"),
        (none, "alg is not"),
        ("x".repeat(16 * 1024 + 1), "longer than"),
        ("a.b".to_owned(), "not three parts"),
    ] {
        assert_eq!(story.by_token(&token, "SELECT 1"), refused(), "{reason}");
        let log = story.server.log();
        assert!(log.contains(reason), "{reason}\n{log}");
    }
    let expired_by_skew = story.token(json!({"exp": now() - 30}));
    assert_eq!(story.by_token(&expired_by_skew, "SELECT 1").0, 200);
    let log = story.server.log();
    assert!(
        !log.contains(&story.token(json!({}))[..40]),
        "no token is logged"
    );
}

#[test]
fn claims_give_no_rights() {
    let story = begin("");
    story.create("acme", ", audience = 'nodedb-api'");
    story.server.psql("CREATE TABLE t (id int PRIMARY KEY)");
    let admin = story.token(json!({"role": "admin", "roles": ["superuser"]}));
    assert_eq!(story.by_token(&admin, "SELECT * FROM t").0, 200);
    for sql in [
        "INSERT INTO t VALUES (1)",
        "DROP TABLE t",
        "CREATE USER x WITH PASSWORD 'yy'",
        "SHOW USERS",
        "SET tenant = 1",
    ] {
        assert_eq!(story.by_token(&admin, sql).0, 403, "{sql}");
    }
    story.create("writers", ", audience = 'w', default_role = readwrite");
    let writer = story.token(json!({"aud": "w"}));
    assert_eq!(story.by_token(&writer, "INSERT INTO t VALUES (1)").0, 200);
}

#[test]
fn providers_of_the_file_and_of_sql_stand_side_by_side_and_outlive_an_outage() {
    let mut story = begin(
        "providers = [{ issuer = \"ISSUER\", audience = \"from-file\", name = \"file\", default_role = \"readwrite\" }]",
    );
    story.create("sql", ", audience = 'from-sql'");
    let of_file = story.token(json!({"aud": "from-file"}));
    let of_sql = story.token(json!({"aud": "from-sql"}));
    assert_eq!(story.session(&of_file)["username"], "file:al");
    assert_eq!(story.session(&of_file)["roles"], "readwrite");
    assert_eq!(story.session(&of_sql)["username"], "sql:al");
    for statement in [
        "DROP OIDC PROVIDER file",
        "ALTER OIDC PROVIDER file SET CLAIM MAPPING []",
    ] {
        let error = story.server.psql_error(statement);
        assert!(error.contains("55000"), "{error}");
        assert!(error.contains("nodedb.toml"), "{error}");
    }
    let issuer = story.issuer.url();
    let again = story.server.psql_error(&format!(
        "CREATE OIDC PROVIDER again WITH (issuer = '{issuer}', audience = 'from-file')"
    ));
    assert!(again.contains("42710"), "{again}");
    story.server.psql("ALTER OIDC PROVIDER file REFRESH JWKS");
    story.issuer.behave(Behaviour::Down);
    assert_eq!(story.server.terminate(), Some(0));
    story.server.resume();
    assert_eq!(story.session(&of_file)["username"], "file:al");
    assert_eq!(story.session(&of_sql)["username"], "sql:al");
}

#[test]
fn a_provider_out_of_reach_is_made_with_a_warning_and_works_once_it_is_back() {
    let story = begin("");
    story.issuer.behave(Behaviour::Status(500));
    let issuer = story.issuer.url();
    let create =
        format!("CREATE OIDC PROVIDER acme WITH (issuer = '{issuer}', audience = 'nodedb-api')");
    let made = story.server.psql_as(
        "nodedb",
        crate::server::SUPERUSER_PASSWORD,
        "nodedb",
        &create,
    );
    let told = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{told}");
    assert!(
        told.contains("WARNING:  the keys of the provider could not be fetched"),
        "{told}"
    );
    assert!(told.contains("status 500"), "{told}");
    let shown = story.server.psql("SHOW OIDC PROVIDERS");
    assert!(
        shown.contains("|0|0||closed|") && shown.contains("status 500"),
        "{shown}"
    );
    let token = story.token(json!({}));
    let error = story
        .server
        .psql_error("ALTER OIDC PROVIDER acme REFRESH JWKS");
    assert!(
        error.contains("08006") && error.contains("status 500"),
        "{error}"
    );
    story.issuer.behave(Behaviour::Well);
    story.server.psql("ALTER OIDC PROVIDER acme REFRESH JWKS");
    assert_eq!(story.session(&token)["username"], "acme:al");
}

#[test]
fn a_key_that_comes_into_use_is_fetched_while_its_first_token_waits() {
    let story = begin("");
    story.create("acme", ", audience = 'nodedb-api'");
    assert_eq!(
        story.session(&story.token(json!({})))["username"],
        "acme:al"
    );
    let newer = Signer::new(Kind::Rs256, "two");
    story.issuer.publish(&[&newer]);
    let token = newer.token(&story.issuer.claims("bo", "nodedb-api"));
    assert_eq!(story.session(&token)["username"], "acme:bo");
    // The old key has vanished from the set, and so has what was verified with it.
    assert_eq!(
        story.by_token(&story.token(json!({})), "SELECT 1"),
        refused()
    );
    let made_up = Signer::new(Kind::Es384, "three");
    let token = made_up.token(&story.issuer.claims("bo", "nodedb-api"));
    let asked = story.issuer.asked().len();
    let before = Instant::now();
    assert_eq!(story.by_token(&token, "SELECT 1"), refused());
    assert!(
        before.elapsed() < Duration::from_secs(4),
        "it does not wait"
    );
    assert_eq!(story.issuer.asked().len(), asked, "once a minute");
    story.issuer.publish(&[&made_up]);
    story.server.psql("ALTER OIDC PROVIDER acme REFRESH JWKS");
    assert_eq!(story.session(&token)["username"], "acme:bo");
}

#[test]
fn a_mapping_gives_databases_and_roles_and_takes_them_away() {
    let story = begin("");
    for statement in [
        "CREATE DATABASE prod",
        "CREATE ROLE analyst",
        "CREATE TABLE t (id int PRIMARY KEY)",
    ] {
        story.server.psql(statement);
    }
    story.create(
        "acme",
        ", audience = 'nodedb-api', claim_mapping = [ {claim_name = 'groups', claim_value = 'eng', \
         effect = {default_database = 'prod', add_databases = ['prod'], add_roles = ['analyst', 'readwrite']}} ]",
    );
    let engineer = story.token(json!({"groups": ["ops", "eng"]}));
    let other = story.token(json!({"groups": "ops"}));
    let session = story.session(&engineer);
    assert_eq!(session["database"], "prod");
    assert_eq!(session["roles"], "readwrite, readonly, analyst");
    assert_eq!(story.session(&other)["database"], "nodedb");
    let mut client = story.native_session(&engineer, CLIENT_CAPABILITIES);
    client.rows("USE DATABASE nodedb; INSERT INTO t VALUES (1)");
    story.server.psql(
        "ALTER OIDC PROVIDER acme SET CLAIM MAPPING WHEN groups = 'eng' ADD DATABASES [prod]",
    );
    assert_eq!(client.code("INSERT INTO t VALUES (2)"), "42501");
    assert_eq!(client.rows("SELECT id FROM t"), json!([[1]]));
    assert_eq!(story.session(&engineer)["database"], "nodedb");
    let superuser = story.server.psql_error(
        "ALTER OIDC PROVIDER acme SET CLAIM MAPPING WHEN groups = '*' ADD ROLES [superuser]",
    );
    assert!(superuser.contains("42501"), "{superuser}");
}

#[test]
fn two_bearers_of_one_provider_see_their_own_rows_however_they_ask() {
    let story = begin("");
    story.create(
        "acme",
        ", audience = 'nodedb-api', default_role = readwrite",
    );
    for statement in [
        "CREATE TABLE orders (id int PRIMARY KEY, user_id text, org_id text, v int)",
        "INSERT INTO orders VALUES (1, 'al', 'x', 0), (2, 'bo', 'x', 0), (3, 'bo', 'y', 0)",
        "CREATE RLS POLICY own ON orders FOR ALL USING (user_id = $auth.id)",
        "CREATE RLS POLICY admins ON orders FOR READ USING ($auth.role = 'admin')",
        "CREATE RLS POLICY scoped ON orders FOR READ USING ($auth.scopes CONTAINS 'read:orders')",
        "CREATE RLS POLICY org ON orders FOR ALL USING (org_id = $auth.org_id) RESTRICTIVE",
    ] {
        story.server.psql(statement);
    }
    let al = story.token(json!({"org_id": "x"}));
    let bo = story.token(json!({"org_id": "x", "sub": "bo"}));
    let admin = story.token(json!({"org_id": "x", "role": "admin"}));
    let reader = story.token(json!({"org_id": "y", "scope": "email read:orders"}));
    let nobody = story.token(json!({}));
    let seen = |token: &str, sql: &str| {
        let (status, reply) = story.by_token(token, sql);
        assert_eq!(status, 200, "{reply}");
        let rows = reply["rows"].as_array().expect("rows").iter();
        rows.map(|row| row["id"].as_i64().expect("an id"))
            .collect::<Vec<_>>()
    };
    // The same texts again and again: by now their plans are shared.
    for _ in 0..3 {
        for (token, expected) in [
            (&al, &[1][..]),
            (&bo, &[2]),
            (&admin, &[1, 2]),
            (&reader, &[3]),
            (&nobody, &[]),
        ] {
            assert_eq!(seen(token, "SELECT id FROM orders ORDER BY id"), expected);
            for id in 1..=3 {
                let by_key = seen(token, &format!("SELECT id FROM orders WHERE id = {id}"));
                assert_eq!(!by_key.is_empty(), expected.contains(&id));
            }
        }
    }
    let (_, updated) = story.by_token(&bo, "UPDATE orders SET v = 1 WHERE id = 1");
    assert_eq!(updated["row_count"], 0, "{updated}");
    let (_, updated) = story.by_token(&bo, "UPDATE orders SET v = 1 WHERE id = 2");
    assert_eq!(updated["row_count"], 1, "{updated}");
    let theirs = "INSERT INTO orders VALUES (4, 'al', 'x', 0)";
    assert_eq!(story.by_token(&bo, theirs).0, 403);
    assert_eq!(story.by_token(&al, theirs).0, 200);
}

#[test]
fn a_token_leads_to_the_user_that_it_names_or_makes_it() {
    let story = begin("");
    story
        .server
        .psql("CREATE USER al WITH PASSWORD 'xx' ROLE admin");
    story.create(
        "named",
        ", audience = 'named', username_claim = 'preferred_username'",
    );
    story.create(
        "makes",
        ", audience = 'makes', username_claim = 'email', auto_create = true, default_role = readwrite",
    );
    let al = story.token(json!({"aud": "named", "preferred_username": "al"}));
    let session = story.session(&al);
    assert_eq!(
        (&session["username"], &session["roles"]),
        (&json!("al"), &json!("admin"))
    );
    assert_eq!(
        story.by_token(&al, "CREATE TABLE t (id int PRIMARY KEY)").0,
        200
    );
    let nobody = story.token(json!({"aud": "named", "preferred_username": "bo"}));
    assert_eq!(story.session(&nobody)["username"], "named:al");
    let root = story.token(json!({"aud": "named", "preferred_username": "nodedb"}));
    assert_eq!(story.session(&root)["username"], "nodedb");
    assert_eq!(
        story.by_token(&root, "CREATE TENANT x").0,
        403,
        "no token is a superuser's"
    );
    let password = "ALTER USER nodedb WITH PASSWORD 'mine'";
    assert_eq!(story.by_token(&root, password).0, 403, "nor becomes one");
    let new =
        story.token(json!({"aud": "makes", "email": "cy@acme.example", "email_verified": true}));
    let session = story.session(&new);
    assert_eq!(session["username"], "cy@acme.example");
    assert_eq!(session["roles"], "readwrite");
    assert!(
        story
            .server
            .psql("SHOW USERS")
            .contains("cy@acme.example|0|readwrite|f|active")
    );
    let unverified = json!({"aud": "makes", "email": "dy@acme.example", "email_verified": false});
    assert_eq!(
        story.by_token(&story.token(unverified), "SELECT 1"),
        refused()
    );
    story.server.psql("ALTER USER \"cy@acme.example\" DISABLE");
    assert_eq!(story.by_token(&new, "SELECT 1"), refused());
    let nameless = story.token(json!({"aud": "makes"}));
    assert_eq!(story.by_token(&nameless, "SELECT 1"), refused());
}

#[test]
fn what_whoever_has_no_user_makes_belongs_to_the_owner_of_the_database() {
    let story = begin("");
    story.create(
        "acme",
        ", audience = 'nodedb-api', default_role = tenant_admin",
    );
    let token = story.token(json!({}));
    for sql in ["CREATE TABLE t (id int PRIMARY KEY)", "CREATE DATABASE d"] {
        let (status, reply) = story.by_token(&token, sql);
        assert_eq!(status, 200, "{reply}");
    }
    let owner = story
        .server
        .psql("SELECT tableowner FROM pg_tables WHERE tablename = 't'");
    assert_eq!(owner, "nodedb");
    assert!(story.server.psql("SHOW DATABASES").contains("d|nodedb|0"));
    let (status, reply) = story.by_token(&token, "CREATE API KEY k");
    assert_eq!(
        (status, &reply["error"]["code"]),
        (400, &json!("42809")),
        "{reply}"
    );
    assert_eq!(
        story
            .by_token(&token, "CREATE USER bo WITH PASSWORD 'xx'")
            .0,
        200
    );
    story.server.psql("DROP OIDC PROVIDER acme");
    assert_eq!(story.server.psql("SELECT count(*) FROM t"), "0");
}

#[test]
fn dropping_a_provider_ends_its_sessions_and_refuses_its_tokens() {
    let story = begin("");
    story.create("acme", ", audience = 'nodedb-api'");
    let token = story.token(json!({}));
    let mut client = story.native_session(&token, CLIENT_CAPABILITIES);
    assert_eq!(client.rows("SELECT 1"), json!([[1]]));
    assert_eq!(story.session(&token)["username"], "acme:al");
    story.server.psql("DROP OIDC PROVIDER acme");
    assert_eq!(story.by_token(&token, "SELECT 1"), refused());
    let end = client.reply();
    assert_eq!(end["error"]["code"], "57P01", "{end}");
    let message = end["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("identity provider was dropped"),
        "{message}"
    );
    assert!(client.payload().is_none(), "the connection is closed");
}

#[test]
fn the_native_protocol_takes_tokens_in_both_encodings_and_a_providers_name() {
    let story = begin("");
    story.create("acme", ", audience = 'nodedb-api'");
    story.create("everybody", "");
    let token = story.token(json!({}));
    let other = story.token(json!({"aud": "mobile"}));
    assert_eq!(story.session(&other)["username"], "everybody:al");
    story.create("mobile", ", audience = 'mobile'");
    assert_eq!(story.session(&other)["username"], "mobile:al");
    for (provider, username) in [
        (json!(null), Some("acme:al")),
        (json!("acme"), Some("acme:al")),
        (json!("everybody"), Some("everybody:al")),
        (json!("other"), None),
        (json!("acme"), Some("acme:al")),
    ] {
        let auth = json!({"method": "oidc_bearer", "token": token, "provider": provider});
        let (_, reply) = story.native(auth, CLIENT_CAPABILITIES);
        match username {
            Some(username) => assert_eq!(reply["auth"]["username"], username, "{reply}"),
            None => assert_eq!(reply["error"]["code"], "28000", "{reply}"),
        }
    }
    let mut client = Native::greeted(&story.server, CLIENT_CAPABILITIES);
    let length = u16::try_from(token.len()).expect("a short token");
    let mut payload = b"\x93\x01\x01\x92\x01\x81\x01\x92\xaaOidcBearer\x92\xda".to_vec();
    payload.extend(length.to_be_bytes());
    payload.extend(token.as_bytes());
    payload.push(0xc0);
    client.send(&frame(&payload));
    let reply = client.reply();
    assert_eq!(reply["auth"], json!(["acme:al", 0]), "{reply}");
}

#[test]
fn a_session_is_reminded_of_its_tokens_end_and_ends_there() {
    /// The server's bit for replies that nobody has asked for.
    const NOTICES: u64 = 1 << 40;
    let story = begin("");
    story.create("acme", ", audience = 'nodedb-api'");
    let token = story.token(json!({"exp": now() + 4}));
    let mut asking = story.native_session(&token, CLIENT_CAPABILITIES);
    let mut waiting = story.native_session(&token, CLIENT_CAPABILITIES | NOTICES);
    let reminder = waiting.reply();
    assert_eq!(
        (&reminder["seq"], &reminder["status"]),
        (&json!(0), &json!(0))
    );
    let told = |reply: &Value| {
        reply["warnings"]
            .to_string()
            .contains("ends within a minute")
    };
    assert!(told(&reminder), "{reminder}");
    let first = asking.sql("SELECT 1");
    assert!(told(&first), "{first}");
    assert!(!told(&asking.sql("SELECT 1")), "once");
    for client in [&mut asking, &mut waiting] {
        let end = client.reply();
        assert_eq!(end["error"]["code"], "57P01", "{end}");
        assert!(client.payload().is_none(), "the connection is closed");
    }
    assert!(now() >= 4, "the clock runs");
}

#[test]
fn each_recipe_takes_a_token_as_its_provider_publishes_it() {
    let story = begin("");
    let recipes = include_str!("../../docs/identity-providers.md");
    let keys = story.issuer.keys_url();
    let mut names = Vec::new();
    for section in recipes.split("\n## ").skip(1) {
        let block = |language: &str| {
            let (_, rest) = section.split_once(&format!("```{language}\n"))?;
            rest.split_once("```").map(|(block, _)| block.to_owned())
        };
        let (Some(statement), Some(claims)) = (block("sql"), block("json")) else {
            continue;
        };
        // Its keys are ours; all else is as it is pasted.
        let (front, options) = statement.split_once('(').expect("options");
        let options: Vec<_> = options
            .lines()
            .map(
                |line| match line.trim_start().strip_prefix("jwks_url = '") {
                    Some(rest) => rest.split_once("',").map_or("", |(_, rest)| rest),
                    None => line,
                },
            )
            .collect();
        let options = options.join("\n");
        story
            .server
            .psql(&format!("{front}(jwks_url = '{keys}', {options}"));
        let mut claims: Value = serde_json::from_str(&claims).expect("claims");
        (claims["iat"], claims["exp"]) = (json!(now()), json!(now() + 60));
        let token = story.signer.token(&claims);
        let name = section.lines().next().unwrap_or_default().to_lowercase();
        let subject = claims["sub"].as_str().expect("a sub");
        assert_eq!(
            story.session(&token)["username"],
            format!("{name}:{subject}")
        );
        let explained = story
            .server
            .psql(&format!("EXPLAIN AUTHENTICATION TOKEN '{token}'"));
        let role = "variable|$auth.role|info|admin";
        assert!(explained.contains(role), "{name}: {explained}");
        let has_org = section.contains("org_claim") || section.contains("\"org_id\"");
        let without = "$auth.org_id|info|no claim fills it";
        assert_eq!(!explained.contains(without), has_org, "{name}: {explained}");
        names.push(name);
    }
    let expected = [
        "auth0", "clerk", "supabase", "firebase", "keycloak", "cognito",
    ];
    assert_eq!(names, expected);
    let writer = story.server.psql("SHOW OIDC PROVIDERS");
    assert!(
        writer.contains("WHEN resource_access.nodedb.roles = 'writer'"),
        "{writer}"
    );
}

#[test]
fn authentication_is_explained_to_those_who_look_after_it() {
    let story = begin("");
    story
        .server
        .psql("CREATE USER al WITH PASSWORD 'xx' ROLE admin");
    story.server.psql("CREATE API KEY k FOR al");
    story.create(
        "acme",
        ", audience = 'nodedb-api', username_claim = 'preferred_username', \
         claim_mapping = [ {claim_name = 'groups', claim_value = 'eng', effect = {add_roles = ['readwrite']}} ]",
    );
    let explain = |token: &str| {
        story
            .server
            .psql(&format!("EXPLAIN AUTHENTICATION TOKEN '{token}'"))
    };
    let good = explain(&story.token(json!({"preferred_username": "al", "groups": ["eng"]})));
    for row in [
        "jwt|shape|pass|ES256, kid one",
        "jwt|provider|pass|\"acme\", by its iss and aud",
        "jwt|keys|pass|1 at hand",
        "jwt|audience|pass|",
        "jwt|signature|pass|",
        "jwt|subject|pass|al",
        "mapping|WHEN groups = 'eng' ADD ROLES [readwrite]|pass|applies",
        "jwt|user record|pass|al",
        "identity|roles|info|admin, readwrite",
        "identity|database|info|nodedb",
        "variable|$auth.id|info|al",
    ] {
        assert!(good.lines().any(|line| line == row), "{row}\n{good}");
    }
    let bad = explain(&story.token(json!({"exp": now() - 100, "iat": now() + 100})));
    assert!(
        bad.contains("jwt|expiry|fail|the token has expired"),
        "{bad}"
    );
    assert!(bad.contains("jwt|issued at|fail|"), "{bad}");
    assert!(
        bad.contains("jwt|signature|pass|"),
        "each check is made: {bad}"
    );
    assert!(!bad.contains("identity|"), "{bad}");
    let shapeless = explain("a.b");
    assert_eq!(shapeless, "jwt|shape|fail|the token has not three parts");
    let user = story
        .server
        .psql("EXPLAIN AUTHENTICATION FOR USER al DATABASE nodedb");
    for row in [
        "account|enabled|pass|",
        "2 jwt|token of \"acme\"|pass|a token whose preferred_username is \"al\" logs in",
        "4 scram-sha-256|password|pass|it has one, of 4096 iterations",
        "identity|username|info|al",
        "identity|rung in force|info|admin",
    ] {
        assert!(user.lines().any(|line| line == row), "{row}\n{user}");
    }
    assert!(user.contains("3 api_key|API key \"k\""), "{user}");
    let nowhere = story
        .server
        .psql("EXPLAIN AUTHENTICATION FOR USER al DATABASE nowhere");
    assert!(nowhere.contains("identity|database|fail|database \"nowhere\" does not exist"));
    let missing = story
        .server
        .psql_error("EXPLAIN AUTHENTICATION FOR USER bo");
    assert!(missing.contains("42704"), "{missing}");
    let denied = story
        .server
        .psql_as("al", "xx", "nodedb", "EXPLAIN AUTHENTICATION FOR USER al");
    let told = String::from_utf8_lossy(&denied.stderr);
    assert!(
        told.contains("permission denied to explain authentication"),
        "{told}"
    );
    assert!(story.server.log().contains("authentication is explained"));
}
