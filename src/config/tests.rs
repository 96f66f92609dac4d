//! What a configuration file and the environment may say, and what is answered to the rest.

use super::*;
use crate::auth::certificate_map::{CertificateMap, Rule};
use crate::auth::x509::NameKind;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("nodedb.toml"), &Environment::default())
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::of(|name| {
        let found = variables.iter().find(|(given, _)| *given == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn the_annotated_file_says_the_defaults() {
    let annotated = include_str!("../../nodedb.toml");
    assert_eq!(parse(annotated).unwrap(), Config::default());
    assert_eq!(parse("").unwrap(), Config::default());
}

#[test]
fn the_annotated_file_shows_every_key() {
    // Moving each key's value away from the default must change what is read: a key that the file
    // does not show, or that nobody reads, would be noticed here.
    let annotated = include_str!("../../nodedb.toml");
    let assignments = annotated
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && line.contains(" = "))
        .count();
    let fields = format!("{:?}", Config::default());
    // The section of TLS is shown as a comment: it has no defaults to be read from.
    let nested = [
        "server: ",
        "audit: ",
        "ports: ",
        "http: ",
        "tls: ",
        "storage: ",
        "auth: ",
        "rules: ",
        "jwks: ",
        "throttle: ",
        "password: ",
    ]
    .len();
    assert_eq!(
        assignments,
        fields.matches(": ").count() - nested,
        "{fields}"
    );
}

#[test]
fn the_annotated_rules_for_certificates_are_good_once_they_are_no_comments() {
    let annotated = include_str!("../../nodedb.toml");
    let shown = annotated.replace("    #{", "    {");
    assert_eq!(annotated.matches("    #{").count(), 3 + 2);
    let rules = parse(&shown).expect("it reads").auth.certificate_map;
    assert_ne!(rules, CertificateMap::default());
}

#[test]
fn the_annotated_identity_provider_is_good_once_it_is_no_comment() {
    let annotated = include_str!("../../nodedb.toml");
    let shown = annotated.replace("    #{ issuer", "    { issuer");
    let providers = parse(&shown).expect("it reads").auth.jwks.providers;
    assert_eq!(providers.len(), 2);
}

#[test]
fn the_annotated_section_of_tls_is_good_once_it_is_no_comment() {
    let annotated = include_str!("../../nodedb.toml");
    let shown = annotated
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.is_empty() && !line.starts_with(' '));
    let shown: Vec<_> = shown.collect();
    let tls = parse(&shown.join("\n")).unwrap().server.tls;
    let fields = format!("{:?}", tls.expect("it is there"));
    assert_eq!(shown.len() - 1, fields.matches(": ").count(), "{fields}");
}

#[test]
fn every_key_is_read() {
    let config = parse(
        r#"
        [server]
        host = "0.0.0.0"
        data_dir = "/srv/nodedb"
        cores = 2
        max_connections = 7
        log_format = "json"
        login_deadline = "3s"
        drain_deadline = "1min"
        message_bytes_max = 1048576
        outbox_bytes_max = "64 KiB"
        prepared_statements_max = 5
        allow_plain_bearer = true
        ports = { pgwire = 1, native = 3, http = 2 }
        proxy_protocol = ["10.0.0.0/8"]
        http = { cors_origins = ["https://app.example", "http://[::1]:3000"], trusted_proxies = ["192.0.2.1"] }
        [server.tls]
        cert = "a.crt"
        key = "a.key"
        client_ca = "ca.crt"
        crl = "ca.crl"
        require_client_cert = true
        crl_strict = true
        min_version = "1.3"
        require_tls = true
        [storage]
        map_size = "1 GiB"
        snapshot_age_max = "5min"
        transaction_bytes_max = "8 MiB"
        [auth]
        superuser_name = "root"
        scram_iterations = 100_000
        [audit]
        level = "minimal"
        files_max = 4
        [auth.jwks]
        refresh_secs = 60
        [auth.cert]
        map = [{ uri = 'spiffe://example\.org/(\w+)', login = "$1" }, { login = "batch", cn = "Batch .*" }]
        "#,
    );
    let expected = Config {
        audit: Audit {
            level: Level::Minimal,
            files_max: 4,
        },
        server: Server {
            host: "0.0.0.0".to_owned(),
            data_dir: PathBuf::from("/srv/nodedb"),
            cores: Cores::Count(2),
            max_connections: 7,
            log_format: LogFormat::Json,
            login_deadline: Duration::from_secs(3),
            drain_deadline: Duration::from_secs(60),
            message_bytes_max: MIB,
            outbox_bytes_max: 64 * KIB,
            prepared_statements_max: 5,
            allow_plain_bearer: true,
            proxy_protocol: vec!["10.0.0.0/8".parse().expect("a network")],
            ports: Ports {
                pgwire: 1,
                native: 3,
                http: 2,
            },
            http: Http {
                cors_origins: vec![
                    "https://app.example".to_owned(),
                    "http://[::1]:3000".to_owned(),
                ],
                trusted_proxies: vec!["192.0.2.1/32".parse().expect("a network")],
            },
            tls: Some(Tls {
                cert: PathBuf::from("a.crt"),
                key: PathBuf::from("a.key"),
                client_ca: Some(PathBuf::from("ca.crt")),
                crl: Some(PathBuf::from("ca.crl")),
                demand: Demand::Required,
                strictness: Strictness::Strict,
                version_min: VersionMin::Tls13,
                require_tls: true,
            }),
        },
        storage: Storage {
            map_size: GIB,
            snapshot_age_max: Duration::from_secs(300),
            transaction_bytes_max: 8 * MIB,
        },
        auth: Auth {
            superuser_name: "root".to_owned(),
            scram_iterations: 100_000,
            certificate_map: CertificateMap::new(vec![
                Rule::new(NameKind::Uri, r"spiffe://example\.org/(\w+)", "$1").expect("a rule"),
                Rule::new(NameKind::Common, "Batch .*", "batch").expect("a rule"),
            ]),
            throttle: throttle::Limits::default(),
            password: PasswordRules::default(),
            jwks: Jwks {
                refresh: Duration::from_secs(60),
                ..Jwks::default()
            },
        },
    };
    assert_eq!(config.unwrap(), expected);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
    for (text, expected) in [
        (
            "[server]\nhost = \"localhost\"\nmax_conections = 5\n",
            "nodedb.toml, line 3: unknown key `server.max_conections`; \
             did you mean `server.max_connections`?",
        ),
        (
            "[server.ports]\npgwire = 1\npgwired = 2\n",
            "nodedb.toml, line 3: unknown key `server.ports.pgwired`; \
             did you mean `server.ports.pgwire`?",
        ),
        (
            "\n[sever]\nhost = \"x\"\n",
            "nodedb.toml, line 2: unknown key `sever`; did you mean `server`?",
        ),
    ] {
        assert_eq!(error(text), expected);
    }
}

#[test]
fn a_rule_for_certificates_has_one_kind_of_name_and_a_login() {
    for rules in [
        "'x'",
        "['x']",
        "[{ cn = 'a' }]",
        "[{ login = 'a' }]",
        "[{ cn = 'a', dns = 'b', login = 'c' }]",
        "[{ cn = 'a', login = 'c', more = 'd' }]",
        "[{ cn = 1, login = 'c' }]",
    ] {
        let message = error(&format!("[auth.cert]\nmap = {rules}\n"));
        let expected = "nodedb.toml, line 2: `auth.cert.map` must be a list of rules such as {";
        assert!(message.starts_with(expected), "{rules}: {message}");
    }
    let message =
        error("[auth.cert]\nmap = [{ cn = 'a', login = 'b' }, { cn = 'a', login = '$1' }]\n");
    assert_eq!(
        message,
        "nodedb.toml, line 2: `auth.cert.map` holds a rule that cannot be, number 2: `login` refers to $1, \
         and the expression has no such group"
    );
}

#[test]
fn the_audit_log_has_three_levels_and_keeps_as_many_files_as_it_is_told() {
    let read = |text: &str| {
        let config = Config::parse(text, Path::new("nodedb.toml"), &Environment::default());
        config.expect("it is good").audit
    };
    let standard = Audit {
        level: Level::Standard,
        files_max: 0,
    };
    assert_eq!(read(""), standard);
    for (word, level) in [
        ("minimal", Level::Minimal),
        ("standard", Level::Standard),
        ("full", Level::Full),
    ] {
        let text = format!("[audit]\nlevel = \"{word}\"\nfiles_max = 16\n");
        let files_max = 16;
        assert_eq!(read(&text), Audit { level, files_max });
    }
    assert_eq!(
        error("[audit]\nlevel = \"off\"\n"),
        "nodedb.toml, line 2: `audit.level` must be \"minimal\", \"standard\" or \"full\""
    );
}

#[test]
fn the_throttle_and_the_rules_of_passwords_are_read_within_their_bounds() {
    let read = parse(
        "[auth.throttle]\nper_name_failures = 3\nper_address_failures = 9\nwindow_secs = 10\n\
         [auth.password]\nmin_length = 12\nreuse = 5\ndenylist = \"common.txt\"\n\
         allow_verifiers = false\n",
    );
    let auth = read.expect("it is good").auth;
    let throttle = throttle::Limits {
        per_name_failures: 3,
        per_address_failures: 9,
        window_secs: 10,
    };
    assert_eq!(auth.throttle, throttle);
    let password = PasswordRules {
        min_length: 12,
        reuse: 5,
        denylist: Some(PathBuf::from("common.txt")),
        allow_verifiers: false,
    };
    assert_eq!(auth.password, password);
    for (text, key, range) in [
        (
            "[auth.throttle]\nper_name_failures = 0",
            "throttle.per_name_failures",
            "1 to 1000000",
        ),
        (
            "[auth.throttle]\nwindow_secs = 86401",
            "throttle.window_secs",
            "1 to 86400",
        ),
        (
            "[auth.password]\nmin_length = 0",
            "password.min_length",
            "1 to 128",
        ),
        ("[auth.password]\nreuse = 25", "password.reuse", "0 to 24"),
    ] {
        assert_eq!(
            error(text),
            format!("nodedb.toml, line 2: `auth.{key}` must be a whole number from {range}")
        );
    }
}

#[test]
fn tls_needs_its_files_and_takes_versions_by_name() {
    let files = "[server.tls]\ncert = \"a.crt\"\nkey = \"a.key\"\n";
    let tls = |rest: &str| parse(&format!("{files}{rest}")).map(|config| config.server.tls);
    let least = Tls {
        cert: PathBuf::from("a.crt"),
        key: PathBuf::from("a.key"),
        client_ca: None,
        crl: None,
        demand: Demand::Requested,
        strictness: Strictness::Lenient,
        version_min: VersionMin::Tls12,
        require_tls: false,
    };
    assert_eq!(tls("").unwrap(), Some(least.clone()));
    assert_eq!(
        tls("min_version = \"1.3\"\nrequire_tls = true\n").unwrap(),
        Some(Tls {
            version_min: VersionMin::Tls13,
            require_tls: true,
            ..least
        })
    );
    for (key, needed) in [
        (
            "crl = \"x\"",
            "`server.tls.crl` needs `server.tls.client_ca`",
        ),
        (
            "require_client_cert = true",
            "`server.tls.require_client_cert` needs `server.tls.client_ca`",
        ),
        (
            "client_ca = \"x\"\ncrl_strict = true",
            "`server.tls.crl_strict` needs `server.tls.crl`",
        ),
    ] {
        let message = error(&format!("{files}{key}\n"));
        assert_eq!(message, format!("nodedb.toml: {needed} beside it"));
    }
    assert_eq!(
        error("[server.tls]\ncert = \"a.crt\"\n"),
        "nodedb.toml: `server.tls.key` is missing"
    );
    assert_eq!(
        error(&format!("{files}min_version = 1.2\n")),
        "nodedb.toml, line 4: `server.tls.min_version` must be \"1.2\" or \"1.3\""
    );
}

#[test]
fn a_bad_value_says_what_it_must_be() {
    for (text, expected) in [
        (
            "[server]\nhost = 5\n",
            "`server.host` must be a text that is not empty",
        ),
        (
            "[server]\ndata_dir = \"\"\n",
            "`server.data_dir` must be a text that is not empty",
        ),
        (
            "[server]\ncores = 0\n",
            "`server.cores` must be \"all\" or a whole number from 1 to 1024",
        ),
        (
            "[server]\ncores = \"some\"\n",
            "`server.cores` must be \"all\" or a whole number from 1 to 1024",
        ),
        (
            "[server]\nmax_connections = -1\n",
            "`server.max_connections` must be a whole number from 1 to 1048576",
        ),
        (
            "[server]\nlog_format = \"xml\"\n",
            "`server.log_format` must be \"text\" or \"json\"",
        ),
        (
            "[server]\nlogin_deadline = 10\n",
            "`server.login_deadline` must be a time such as \"10s\" or \"10min\", from 1s to 1day",
        ),
        (
            "[server]\noutbox_bytes_max = \"1 KiB\"\n",
            "`server.outbox_bytes_max` must be a size such as \"64 MiB\", \
             from 16.0 KiB to 64.0 MiB",
        ),
        (
            "[server]\nports = { pgwire = 65536 }\n",
            "`server.ports.pgwire` must be a whole number from 0 to 65535",
        ),
        (
            "[auth]\nscram_iterations = 4095\n",
            "`auth.scram_iterations` must be a whole number from 4096 to 100000",
        ),
        (
            "[auth]\nscram_iterations = 100001\n",
            "`auth.scram_iterations` must be a whole number from 4096 to 100000",
        ),
    ] {
        assert_eq!(error(text), format!("nodedb.toml, line 2: {expected}"));
    }
    assert_eq!(
        error("server = 5\n"),
        "nodedb.toml, line 1: `server` must be a section"
    );
}

#[test]
fn what_is_not_toml_is_shown_with_its_line() {
    let message = error("[server\nhost = \"x\"\n");
    assert!(
        message.starts_with("nodedb.toml is not valid TOML:\n"),
        "{message}"
    );
    assert!(message.contains("line 1"), "{message}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let missing = Path::new("no/such/nodedb.toml");
    let error = Config::load(missing, &Environment::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read no/such/nodedb.toml: ")
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let variables = environment(&[
        ("NODEDB_HOST", "::1"),
        ("NODEDB_DATA_DIR", "/data"),
        ("NODEDB_PORT_PGWIRE", "5432"),
        ("NODEDB_PORT_NATIVE", "6543"),
        ("NODEDB_PORT_HTTP", "8080"),
        ("NODEDB_CORES", "3"),
        ("NODEDB_MAX_CONNECTIONS", "99"),
        ("NODEDB_LOG_FORMAT", "json"),
        ("NODEDB_SUPERUSER_PASSWORD", "secret"),
    ]);
    let text = "[server]\nhost = \"localhost\"\nports = { pgwire = 1 }\n";
    let config = Config::parse(text, Path::new("nodedb.toml"), &variables).unwrap();
    let expected = Server {
        host: "::1".to_owned(),
        data_dir: PathBuf::from("/data"),
        cores: Cores::Count(3),
        max_connections: 99,
        log_format: LogFormat::Json,
        ports: Ports {
            pgwire: 5432,
            native: 6543,
            http: 8080,
        },
        ..Server::default()
    };
    assert_eq!(config.server, expected);
    assert_eq!(
        variables.superuser_password(),
        Some(&crate::auth::secret::Password::new("secret".to_owned()))
    );
    assert!(!format!("{variables:?}").contains("secret"));
}

#[test]
fn an_empty_variable_is_not_set() {
    let variables = environment(&[("NODEDB_HOST", ""), ("NODEDB_SUPERUSER_PASSWORD", "")]);
    assert_eq!(Config::without_file(&variables).unwrap(), Config::default());
    assert!(variables.superuser_password().is_none());
}

#[test]
fn a_bad_variable_is_named_with_what_it_must_be() {
    for (name, value, expected) in [
        (
            "NODEDB_PORT_PGWIRE",
            "x",
            "must be a whole number from 0 to 65535",
        ),
        (
            "NODEDB_PORT_HTTP",
            "70000",
            "must be a whole number from 0 to 65535",
        ),
        ("NODEDB_CORES", "0", "must be a whole number from 1 to 1024"),
        (
            "NODEDB_MAX_CONNECTIONS",
            "0",
            "must be a whole number from 1 to 1048576",
        ),
        ("NODEDB_LOG_FORMAT", "xml", "must be \"text\" or \"json\""),
    ] {
        let error = Config::without_file(&environment(&[(name, value)])).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("environment variable {name} {expected}")
        );
    }
}

#[test]
fn an_origin_is_what_a_browser_would_write() {
    for wrong in [
        "*",
        "null",
        "app.example",
        "https://",
        "https://*",
        "https://app.example/",
        "https://App.example",
        "https://app.example:443",
        "http://app.example:80",
        "http://app.example:0",
        "http://app.example:x",
        "ftp://app.example",
        "https://user@app.example",
    ] {
        let message = error(&format!("[server.http]\ncors_origins = [\"{wrong}\"]"));
        assert!(message.contains("cors_origins"), "{wrong}: {message}");
        assert!(message.contains("origins such as"), "{wrong}: {message}");
    }
    assert!(error("[server.http]\ncors_origins = \"https://app.example\"").contains("a list"));
    for wrong in [
        "\"10.0.0.0/8\"",
        "[\"10.0.0.1/8\"]",
        "[\"proxy.example\"]",
        "[8]",
    ] {
        for key in ["[server]\nproxy_protocol", "[server.http]\ntrusted_proxies"] {
            let message = error(&format!("{key} = {wrong}"));
            assert!(message.contains("must be a list of networks"), "{message}");
        }
    }
}
