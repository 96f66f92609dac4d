//! The audit log: who came in and who did not, what was changed of anybody's credentials, what was refused
//! (REFERENCE §1 SHOW AUDIT LOG, VERIFY AUDIT CHAIN; §6 `[audit]`; §9).
//!
//! ```text
//! <data_dir>/audit_key                         32 random bytes: the key of the chain
//! <data_dir>/audit/audit-<first seq>.jsonl     one entry a line, at most 64 MiB a file
//! <data_dir>/audit/head                        the anchor: where the chain ends
//! <data_dir>/audit/torn-<seq>                  what a crash left of entries that were never durable
//!
//! {"seq":7,"timestamp":"…","event":"login","tenant_id":0,"database":"nodedb","source":"127.0.0.1:51234",
//!  "detail":{"user":"alice",…},"hash":"…"}
//! ```
//!
//! The hash of a line is HMAC-SHA-256 over the hash of the line before and the line's own bytes up to it
//! (`chain`). It is keyed, so that whoever can change a copy of the files, but has not got the key, cannot make
//! a chain of their own. A file's first line carries the last hash of the one before; the head says where the
//! chain ends, so that a tail that is cut off is missed (`verify`).
//!
//! One thread writes (`writer`): in groups, with one fsync each. Whoever records waits for a place in its queue
//! (`queue`), by a future, so that a slow disk slows logins down and loses nothing; a full one refuses them.
//!
//! This room knows nothing of sessions and statements: the rooms above say what has happened by an [`Entry`].
//! Entries are built from what was asked for as types, never from texts of statements: a secret has no way in.

mod chain;
mod entry;
mod event;
mod head;
mod journal;
mod line;
mod medium;
mod names;
mod queue;
mod read;
mod recovery;
#[cfg(test)]
pub mod tests;
mod unwritable;
pub mod verify;
mod writer;

pub use chain::ChainKey;
pub use entry::{Entry, Source};
pub use event::{Event, Level};
pub use head::Head;
pub use journal::{AuditError, Options};
pub use line::{LINE_BYTES_MAX, fuzz};
pub use names::files;
pub use queue::{Audit, Ticket};
pub use read::{Row, SCANNED_BYTES_MAX, newest};
pub use unwritable::Unwritable;
pub use writer::Thread;
