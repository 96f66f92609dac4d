//! The replies a session sees once or seldom, by crate pgwire's message types.

use bytes::{Bytes, BytesMut};
use pgwire::messages::Message;
use pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};
use pgwire::messages::response::NotificationResponse;
use pgwire::messages::startup::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey,
};

use super::extended::format_code;
use crate::session::format::Format;
use crate::session::notification::Delivered;

fn put(outbox: &mut BytesMut, message: &impl Message) {
    message
        .encode(outbox)
        .expect("the message is far below its type's limit");
}

/// AuthenticationSASL: the mechanisms offered, the best first.
pub fn authentication_sasl(outbox: &mut BytesMut, mechanisms: &[&str]) {
    let mechanisms = mechanisms.iter().map(|name| (*name).to_owned()).collect();
    put(outbox, &Authentication::SASL(mechanisms));
}

/// AuthenticationSASLContinue
pub fn authentication_sasl_continue(outbox: &mut BytesMut, server_first: &[u8]) {
    let data = Bytes::copy_from_slice(server_first);
    put(outbox, &Authentication::SASLContinue(data));
}

/// AuthenticationSASLFinal
pub fn authentication_sasl_final(outbox: &mut BytesMut, server_final: &[u8]) {
    let data = Bytes::copy_from_slice(server_final);
    put(outbox, &Authentication::SASLFinal(data));
}

/// AuthenticationOk
pub fn authentication_ok(outbox: &mut BytesMut) {
    put(outbox, &Authentication::Ok);
}

/// ParameterStatus
pub fn parameter_status(outbox: &mut BytesMut, name: &str, value: &str) {
    put(
        outbox,
        &ParameterStatus::new(name.to_owned(), value.to_owned()),
    );
}

/// BackendKeyData: what a CancelRequest must repeat.
pub fn backend_key_data(outbox: &mut BytesMut, backend_pid: i32, key: &[u8]) {
    let key = SecretKey::Bytes(Bytes::copy_from_slice(key));
    put(outbox, &BackendKeyData::new(backend_pid, key));
}

/// NegotiateProtocolVersion: the newest minor version and the extensions that are not known.
pub fn negotiate_protocol_version<'a>(
    outbox: &mut BytesMut,
    minor: u16,
    unknown: impl Iterator<Item = &'a str>,
) {
    // The whole version number, as PostgreSQL 18 and libpq have it.
    let version = (3 << 16) | i32::from(minor);
    let unknown = unknown.map(str::to_owned).collect();
    put(outbox, &NegotiateProtocolVersion::new(version, unknown));
}

/// CopyInResponse: the client may send.
pub fn copy_in(outbox: &mut BytesMut, format: Format, columns: usize) {
    let (format, columns, formats) = copy_formats(format, columns);
    put(outbox, &CopyInResponse::new(format, columns, formats));
}

/// CopyOutResponse: rows follow.
pub fn copy_out(outbox: &mut BytesMut, format: Format, columns: usize) {
    let (format, columns, formats) = copy_formats(format, columns);
    put(outbox, &CopyOutResponse::new(format, columns, formats));
}

/// CopyDone
pub fn copy_done(outbox: &mut BytesMut) {
    put(outbox, &CopyDone::new());
}

/// NotificationResponse: what another session, or this one, has told by NOTIFY.
pub fn notification(outbox: &mut BytesMut, delivered: &Delivered) {
    let told = &delivered.notification;
    let (channel, payload) = (told.channel.to_string(), told.payload.to_string());
    put(
        outbox,
        &NotificationResponse::new(delivered.pid, channel, payload),
    );
}

fn copy_formats(format: Format, columns: usize) -> (i8, i16, Vec<i16>) {
    let count = i16::try_from(columns).expect("a table has at most 1,600 columns");
    let code = format_code(format);
    (code as i8, count, vec![code; columns])
}

#[cfg(test)]
mod tests {
    use super::notification as notification_of;
    use super::*;
    use crate::engine::notification::Notification;

    #[test]
    fn login_replies_are_laid_out_as_the_protocol_says() {
        let mut outbox = BytesMut::new();
        authentication_sasl(&mut outbox, &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
        let expected = b"R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
        assert_eq!(&outbox[..], expected);
        outbox.clear();
        authentication_ok(&mut outbox);
        assert_eq!(&outbox[..], b"R\0\0\0\x08\0\0\0\0");
        outbox.clear();
        backend_key_data(&mut outbox, 7, &[1, 2, 3, 4]);
        assert_eq!(&outbox[..], b"K\0\0\0\x0c\0\0\0\x07\x01\x02\x03\x04");
        outbox.clear();
        parameter_status(&mut outbox, "TimeZone", "UTC");
        assert_eq!(&outbox[..], b"S\0\0\0\x11TimeZone\0UTC\0");
        outbox.clear();
        negotiate_protocol_version(&mut outbox, 2, ["_pq_.x"].into_iter());
        assert_eq!(&outbox[..], b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0");
    }

    #[test]
    fn a_notification_says_who_where_and_what() {
        let mut outbox = BytesMut::new();
        let notification = Notification::new("news", "hello").expect("within the limits");
        let delivered = Delivered {
            pid: 7,
            notification,
        };
        notification_of(&mut outbox, &delivered);
        assert_eq!(&outbox[..], b"A\0\0\0\x13\0\0\0\x07news\0hello\0");
    }

    #[test]
    fn copy_responses_name_a_format_for_each_column() {
        let mut outbox = BytesMut::new();
        copy_in(&mut outbox, Format::Text, 2);
        assert_eq!(&outbox[..], b"G\0\0\0\x0b\0\0\x02\0\0\0\0");
    }
}
