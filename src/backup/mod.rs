//! `nodedb backup DIR`: a copy of everything a start needs, taken while the server serves.
//!
//! ```text
//!   nodedb backup DIR                        server
//!   connects to <data_dir>/backup.socket ──▶ accepts (service)
//!   hello, version                       ──▶ one backup at a time
//!                                            control core, between two epochs:
//!                                              the principals as they are (a pointer)
//!                                              LMDB's snapshot, between two groups of commits
//!   DIR.unfinished-<pid>/…               ◀── files in frames (contents)
//!   synced, `lock` made, renamed to DIR  ◀── end
//! ```
//!
//! The socket lies in the data directory and is its owner's alone: whoever may read the data may back
//! it up, no password is asked for, and the server writes nowhere but where it always does. The command
//! writes, with its own user's rights, where it was told to.
//!
//! **One moment.** The two kinds of truth (DESIGN §6) are taken together on the control thread, which
//! orders every change of principals: no user, role or database comes or goes between the two. Whoever a
//! definition in LMDB names is there: control holds those that a transaction being committed names
//! (`control/held.rs`), and drops nobody who owns something. A database that is there has its relations:
//! control removes them itself, later than it drops the database; and relations whose database is gone
//! are what each start clears away anyway.
//!
//! **Whole or nothing.** A directory without `lock` is not taken for a data directory
//! ([`crate::data_dir`]); `lock` is made when all else is on the disk, and the directory has another name until then.

mod command;
mod contents;
mod destination;
mod error;
mod frame;
mod progress;
mod service;

pub use command::{Outcome, run};
pub use contents::Source;
pub use error::BackupError;
pub use service::Service;

/// The socket, in the data directory.
pub const SOCKET_FILE: &str = "backup.socket";

/// What a backup says of itself, in its directory.
pub const LABEL_FILE: &str = "backup_label";
