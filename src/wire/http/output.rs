//! Where the rows of a request's last statement go.

use super::lines::Lines;
use super::reply::Reply;
use crate::diagnostic::Diagnostic;
use crate::engine::outcome::ResultField;
use bytes::BytesMut;

/// A reply that is held until it is whole, or lines that are sent as they come.
pub enum Output<'s> {
    /// `/v1/query`
    Reply(Reply),
    /// `/v1/query/stream`
    Lines(Lines<'s>),
}

impl Output<'_> {
    /// Rows of these columns follow.
    pub fn begin(&mut self, fields: &[ResultField]) {
        match self {
            Output::Reply(reply) => reply.begin(fields),
            Output::Lines(_) => {}
        }
    }

    /// Where the next row is to be written; [`Output::end_row`] ends it.
    pub fn next_row(&mut self) -> &mut BytesMut {
        match self {
            Output::Reply(reply) => reply.next_row(),
            Output::Lines(lines) => lines.next_row(),
        }
    }

    /// The row is whole.
    pub fn end_row(&mut self) {
        match self {
            Output::Reply(_) => {}
            Output::Lines(lines) => lines.end_row(),
        }
    }

    /// Whether as much has been written as one slice should: then comes [`Output::end_piece`].
    pub fn is_piece_full(&self) -> bool {
        match self {
            Output::Reply(reply) => reply.is_piece_full(),
            Output::Lines(lines) => lines.is_piece_full(),
        }
    }

    /// Lets the core's other sessions have their turn, and a slow client catch up.
    ///
    /// # Errors
    /// 54000 for a reply past its limit, 08006 when nobody reads any more.
    pub async fn end_piece(&mut self) -> Result<(), Diagnostic> {
        match self {
            Output::Reply(reply) => reply.end_piece()?,
            Output::Lines(lines) => lines.end_piece().await?,
        }
        shards::yield_now().await;
        Ok(())
    }
}
