//! nodedb.toml and the environment (REFERENCE §6).
