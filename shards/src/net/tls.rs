//! TLS between the bytes that the ring moves and the bytes that a session sees.
//!
//! rustls without I/O: what has been received is deciphered when the session asks for more, in its
//! own slice; what the session has flushed is enciphered when the send begins, so that several
//! flushes of a slice share records, and one send.
//!
//! A stranger's handshake messages (64 KiB at most), renegotiations, empty records and key updates
//! are bounded by rustls itself.

use bytes::{Buf, BufMut, BytesMut};
use rustls::server::ServerConfig;
use rustls::{Error, ServerConnection};
use std::io::{self, BufRead, Write};
use std::sync::Arc;

/// What one send enciphers at most; the rest follows when it is done. Four records, about 30 µs.
const SEALED_BYTES_A_SEND_MAX: usize = 64 * 1024;

/// What records are longer by than what they carry, in a usual send.
const RECORD_BYTES_AROUND: usize = 256;

/// rustls takes in so much at once, and keeps as much room when nothing is waiting.
const DEFRAMER_IDLE_BYTES: usize = 4096;

/// One connection's records.
pub(crate) struct Tls {
    connection: ServerConnection,
    /// As it came, and not yet deciphered.
    pub(crate) received: BytesMut,
    /// Bytes of the outbox that may be sent: its front.
    flushed: usize,
    peer_has_closed: bool,
    /// The most that has been taken in since the connection was idle.
    taken_in: usize,
    end: End,
}

/// How far our side has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It has not.
    Open,
    /// close_notify follows what is in the outbox.
    Asked,
    /// It has been said, or an error instead.
    Said,
}

impl Tls {
    /// A connection whose client has begun, or will begin, with what is in `received`.
    pub(crate) fn new(config: Arc<ServerConfig>, received: BytesMut) -> Result<Tls, Error> {
        let mut connection = ServerConnection::new(config)?;
        // What waits is bounded by SEALED_BYTES_A_SEND_MAX.
        connection.set_buffer_limit(None);
        Ok(Tls {
            connection,
            received,
            flushed: 0,
            peer_has_closed: false,
            taken_in: 0,
            end: End::Open,
        })
    }

    pub(crate) fn connection(&self) -> &ServerConnection {
        &self.connection
    }

    /// Deciphers what has been received; returns how many bytes the inbox has grown by.
    ///
    /// # Errors
    ///
    /// The peer does not follow the protocol, or a record is not what it sent. The alert that says
    /// so is ready to be sent.
    pub(crate) fn open(&mut self, inbox: &mut BytesMut) -> Result<usize, Error> {
        let before = inbox.len();
        self.taken_in = self.taken_in.max(self.received.len());
        while !self.received.is_empty() {
            let mut received = (&mut self.received).reader();
            let taken = self.connection.read_tls(&mut received);
            let taken = taken.map_err(|_| Error::PeerSentOversizedRecord)?;
            let progress = self.connection.process_new_packets();
            if progress.is_err() {
                self.end = End::Said;
            }
            let progress = progress?;
            self.peer_has_closed = progress.peer_has_closed();
            self.take_plaintext(progress.plaintext_bytes_to_read(), inbox);
            if taken == 0 {
                // After close_notify nothing is looked at any more.
                self.received.clear();
            }
        }
        Ok(inbox.len() - before)
    }

    fn take_plaintext(&mut self, mut bytes: usize, inbox: &mut BytesMut) {
        let mut reader = self.connection.reader();
        while bytes > 0 {
            let chunk = reader.fill_buf().expect("there are bytes to read");
            let length = chunk.len();
            inbox.extend_from_slice(chunk);
            reader.consume(length);
            bytes -= length;
        }
    }

    /// Whether the peer has said close_notify.
    pub(crate) fn peer_has_closed(&self) -> bool {
        self.peer_has_closed
    }

    /// The connection waits: rustls lets go of what it had to hold for a long record.
    pub(crate) fn release_buffers(&mut self) {
        if std::mem::take(&mut self.taken_in) > DEFRAMER_IDLE_BYTES {
            // A read that gives nothing is refused, after the room for it has been fitted.
            let _ = self.connection.read_tls(&mut Nothing);
        }
    }

    /// So much of the outbox's front may be sent.
    pub(crate) fn flush(&mut self, bytes: usize) {
        if !self.connection.is_handshaking() {
            self.flushed = bytes;
        }
    }

    /// close_notify is to follow what is in the outbox.
    pub(crate) fn ask_end(&mut self) {
        if self.end == End::Open {
            self.end = End::Asked;
        }
    }

    /// Whether records of its own wait to be sent: of the handshake, tickets, an alert, the end.
    pub(crate) fn has_own_records(&self) -> bool {
        self.connection.wants_write() || self.end == End::Asked
    }

    /// Whether a send would have anything to send.
    pub(crate) fn has_to_send(&self) -> bool {
        self.flushed > 0 || self.has_own_records()
    }

    /// Enciphers what may be sent of the outbox, and says the end after the last of it. More may be
    /// left: see [`has_to_send`](Self::has_to_send).
    pub(crate) fn seal(&mut self, outbox: &mut BytesMut, flight: &mut BytesMut) {
        let bytes = self.flushed.min(outbox.len()).min(SEALED_BYTES_A_SEND_MAX);
        match self.connection.writer().write(&outbox[..bytes]) {
            Ok(written) => outbox.advance(written),
            // After an error of the peer's nothing can be said any more but the alert.
            Err(_) => outbox.clear(),
        }
        self.flushed = self.flushed.saturating_sub(bytes).min(outbox.len());
        if self.end == End::Asked && outbox.is_empty() {
            self.end = End::Said;
            self.connection.send_close_notify();
        }
        flight.reserve(bytes + RECORD_BYTES_AROUND);
        while self.connection.wants_write() {
            let written = self.connection.write_tls(&mut (&mut *flight).writer());
            debug_assert!(written.is_ok(), "memory takes what it is given");
        }
    }
}

/// Has nothing yet.
struct Nothing;

impl io::Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}
