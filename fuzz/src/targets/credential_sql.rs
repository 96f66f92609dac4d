//! The credential statements of REFERENCE §1, as a client sends them.

use super::texts;

/// One of each form.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "CREATE USER IF NOT EXISTS alice WITH PASSWORD 'strong''password' ROLE readonly TENANT 42;",
        "ALTER USER \"Al\" SET DEFAULT DATABASE d; ALTER USER 'bob' VALID UNTIL '2030-01-01 00:00:00+02'",
        "ALTER ROLE a PASSWORD NULL; DROP USER IF EXISTS a; SHOW USERS; SHOW GRANTS FOR a",
        "CREATE ROLE r INHERIT readonly; DROP ROLE IF EXISTS r; GRANT r TO a; REVOKE r FROM a",
        "GRANT SELECT, INSERT ON TABLE public.t, u TO a; REVOKE ALL PRIVILEGES ON t FROM a CASCADE",
        "GRANT CONNECT ON DATABASE d TO a; CREATE DATABASE IF NOT EXISTS d; DROP DATABASE d",
        "CREATE TENANT acme ID 7; ALTER TENANT 7 RENAME TO 'b'; DROP TENANT IF EXISTS acme CASCADE",
        "CREATE API KEY 'ci' ROLE r FOR a WITH DATABASES (d, e) EXPIRES IN 30 DAYS",
        "CREATE OIDC PROVIDER auth0 WITH (issuer = 'https://a.example/', jwks_url = 'https://a/k', audience = 'b')",
        "CREATE OIDC PROVIDER IF NOT EXISTS p WITH (issuer='x', claim_mapping = [ {claim_name='groups', claim_value='eng', effect={default_database='d', add_databases=['d', e], add_roles=[r]}}, {} ], tenant = 42, auto_create = true)",
        "CREATE OIDC PROVIDER p ISSUER 'x' JWKS_URI 'y' AUDIENCE 'z' TENANT n CLAIM MAPPING WHEN a.b = 'v' SET DEFAULT_DATABASE = d ADD DATABASES [d] ADD ROLES ['r'] WHEN c = '*' ADD ROLES []",
        "ALTER OIDC PROVIDER p REFRESH JWKS; ALTER OIDC PROVIDER p SET CLAIM MAPPING = []; DROP OIDC PROVIDER IF EXISTS p; SHOW OIDC PROVIDERS",
        "SELECT 1; -- a comment; with a semicolon\nSHOW USERS /* and ; another */",
        "CREATE USER a WITH PASSWORD E'\\x41' ROLE; CREATE USER U&\"a\" PASSWORD $$x$$",
    ])
}

/// No panic, and positions inside the text.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        nodedb::sql::credential::fuzz(text);
    }
}
