//! What TLS connections are begun with (REFERENCE §3, §6 `[server.tls]`).
//!
//! `material` is the files' text, `set` what has been made of it and is fit for use, `in_force` where every
//! core finds the newest set. Nothing here reads a file: `control` does, at the start and again when
//! they change.

mod client_certificates;
mod in_force;
mod material;
mod set;

pub use client_certificates::{Demand, log_refusal};
pub use in_force::{Failure, InForce, Status};
pub use material::{Kind, Material, Unusable};
pub use set::{ServerCertificate, Terms, TlsSet, VersionMin};
