//! The targets, one file a parser. Each has `seeds` and `run`.

pub mod audit_lines;
pub mod catalog_log;
pub mod config;
pub mod copy;
pub mod copy_binary;
pub mod credential_sql;
pub mod definition;
pub mod first_bytes;
pub mod http_body;
pub mod http_head;
pub mod jwks;
pub mod jwt;
pub mod keys;
pub mod messages;
pub mod native;
pub mod proxied;
pub mod rows;
pub mod scram;
pub mod settings;
pub mod sql;
pub mod startup;
pub mod template;
pub mod type_binary;
pub mod type_text;
mod types;
pub mod verifier;
pub mod x509;

/// Texts as inputs.
fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
