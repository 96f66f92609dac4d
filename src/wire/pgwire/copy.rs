//! COPY in and out on the wire (PostgreSQL §55.2.7).

use super::connection::Connection;
use crate::diagnostic::Diagnostic;
use crate::engine::outcome::CommandTag;
use crate::session::copy::{CopyIn, CopyOut};

impl Connection {
    pub(super) async fn copy_in(&mut self, copy: CopyIn) -> Result<CommandTag, Diagnostic> {
        match copy {}
    }

    pub(super) async fn copy_out(&mut self, copy: CopyOut) -> Result<CommandTag, Diagnostic> {
        match copy {}
    }
}
