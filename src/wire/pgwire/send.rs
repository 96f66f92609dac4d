//! Rows on their way out: encoded in small portions, held back by a client that reads slowly.

use super::connection::Connection;
use super::reply;
use super::rows::BatchRows;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::session::cursor::Cursor;
use crate::session::format::ResultFormats;
use crate::session::run::interruptible;
use std::pin::pin;

/// Rows encoded before the core's other sessions have their turn: well within a slice.
const ROWS_A_SLICE: usize = 256;

/// Whether the rows are described before the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Description {
    /// RowDescription comes first: the simple protocol.
    First,
    /// Describe has told already.
    Told,
}

impl Connection {
    /// Sends rows, at most `rows_max`; gives how many there were.
    pub(super) async fn send_rows(
        &mut self,
        cursor: &mut Cursor,
        formats: &ResultFormats,
        rows_max: Option<u64>,
        description: Description,
    ) -> Result<u64, Diagnostic> {
        if description == Description::First {
            let format = |index| formats.of(index);
            reply::row_description(&mut self.stream.outbox(), cursor.fields(), format);
        }
        let handle = self.session.handle().clone();
        let encoding = self.encode_rows(cursor, formats, rows_max);
        interruptible(&handle, pin!(encoding)).await
    }

    async fn encode_rows(
        &mut self,
        cursor: &mut Cursor,
        formats: &ResultFormats,
        rows_max: Option<u64>,
    ) -> Result<u64, Diagnostic> {
        let outbox_bytes_max = self.session.services().parts.limits.outbox_bytes_max;
        let settings = self.session.current_settings().clone();
        let fields = cursor.fields().clone();
        let mut sent = 0_u64;
        loop {
            let wanted = rows_max.map_or(u64::MAX, |max| max - sent);
            if wanted == 0 {
                return Ok(sent);
            }
            let portion =
                usize::try_from(wanted).map_or(ROWS_A_SLICE, |rows| rows.min(ROWS_A_SLICE));
            let Some(next) = cursor.next(portion).await else {
                return Ok(sent);
            };
            let (batch, range) = next?;
            // What was said while the rows were made comes before them.
            self.send_notices();
            let full = range.len() == ROWS_A_SLICE;
            let rows = BatchRows::new(&batch, &fields, formats, &settings)?;
            for row in range {
                let waiting = {
                    let mut outbox = self.stream.outbox();
                    rows.write(&mut outbox, row)?;
                    outbox.len()
                };
                sent += 1;
                if waiting > outbox_bytes_max {
                    self.drained(outbox_bytes_max / 2).await?;
                }
            }
            if full {
                shards::yield_now().await;
            }
        }
    }

    /// Waits until the client has read all but so many bytes of what is to be sent.
    pub(super) async fn drained(&self, bytes: usize) -> Result<(), Diagnostic> {
        self.stream.drained(bytes).await.map_err(|_| {
            // Nobody reads it; the next wait for bytes ends the session.
            Diagnostic::error(SqlState::CONNECTION_FAILURE, "connection to client lost")
        })
    }
}
