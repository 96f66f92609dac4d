//! A target for every parser of NodeDB that reads from a stranger or from the disk (DESIGN §7,
//! invariant 7): plain functions over bytes.
//!
//! `tests/smoke.rs` runs each over its seeds, over what was once found, and over a fixed number of
//! mutations, as an ordinary test; `tests/libfuzzer.rs` is the same under libFuzzer. README.md says how.

pub mod mutation;
mod targets;

/// One parser under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What `fuzz/run` calls it.
    pub name: &'static str,
    /// Inputs to begin with: well-formed ones, and ones that are wrong in an interesting way.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Takes any bytes; panics where the parser, or what it promises, fails.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            seeds: targets::$name::seeds,
            run: targets::$name::run,
        }),*];
    };
}

targets![
    startup,
    messages,
    scram,
    verifier,
    sql,
    template,
    credential_sql,
    copy,
    copy_binary,
    type_text,
    type_binary,
    settings,
    first_bytes,
    x509,
    jwt,
    jwks,
    http_head,
    http_body,
    native,
    proxied,
    rows,
    keys,
    definition,
    catalog_log,
    audit_lines,
    config,
];

/// The target of that name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
