//! NodeDB: a thread-per-core database server with its own identity system.
//!
//! The rooms and their order (imports run downwards): `wire` → `session` → `engine` → `storage` →
//! `access` → `sql` → `catalog`; `auth` → `catalog`; `control` → `auth`, `catalog`. `server` alone
//! knows everybody. ARCHITECTURE.md tells the life of a login and of a query.

pub mod access;
pub mod audit;
pub mod audit_command;
pub mod auth;
pub mod backup;
pub mod catalog;
pub mod config;
pub mod control;
pub mod data_dir;
pub mod diagnostic;
pub mod engine;
pub mod exposition;
pub mod server;
pub mod session;
pub mod sql;
pub mod storage;
pub mod superuser;
pub mod telemetry;
pub mod tls_init;
pub mod wire;
