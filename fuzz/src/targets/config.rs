//! nodedb.toml: not a stranger's, but an operator's typing error must not crash either.

use nodedb::config::{Config, Environment};
use std::path::Path;

/// The default configuration, and some errors.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = super::texts(&[
        "[server]\nhost = \"localhost\"\ncores = 2\n[server.ports]\npgwire = 6432\n",
        "[storage]\nmap_size = \"1 TiB\"\nsnapshot_age_max = '10min'\ntransaction_bytes_max = 1_000\n",
        "[auth.jwks]\nproviders = [{ issuer = 'https://a', audience = 'b' }, { isuer = 1 }]\nallow_http_hosts = ['a:1']\n",
        "[servre]\nprot = 1\n",
        "server.ports.http = -1\n[auth]\nscram_iterations = 1e3\n",
    ]);
    seeds.push(include_bytes!("../../../nodedb.toml").to_vec());
    seeds
}

/// An error says which file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(error) = Config::parse(text, Path::new("nodedb.toml"), &Environment::default()) {
        assert!(error.to_string().starts_with("nodedb.toml"));
    }
}
