//! nodedb.toml: not a stranger's, but an operator's typing error must not crash either.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nodedb::config::{Config, Environment};
use std::path::Path;

fuzz_target!(|text: &str| {
    if let Err(error) = Config::parse(text, Path::new("nodedb.toml"), &Environment::default()) {
        assert!(error.to_string().starts_with("nodedb.toml"));
    }
});
