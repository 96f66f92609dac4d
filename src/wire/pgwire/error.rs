//! ErrorResponse and NoticeResponse: a [`Diagnostic`] with every field a client may show.
//!
//! Source: PostgreSQL §55.8 "Error and Notice Message Fields".

use crate::diagnostic::{Diagnostic, Severity};
use bytes::BytesMut;
use pgwire::messages::Message;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};

/// Writes the message that the diagnostic's severity asks for.
pub fn diagnostic(outbox: &mut BytesMut, diagnostic: &Diagnostic) {
    let fields = fields(diagnostic);
    let written = match diagnostic.fields().severity {
        Severity::Error | Severity::Fatal => ErrorResponse::new(fields).encode(outbox),
        Severity::Warning | Severity::Notice | Severity::Info => {
            NoticeResponse::new(fields).encode(outbox)
        }
    };
    written.expect("an error message is far below PostgreSQL's 2 GiB");
}

fn fields(diagnostic: &Diagnostic) -> Vec<(u8, String)> {
    let given = diagnostic.fields();
    let severity = given.severity.as_str();
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', given.sqlstate.as_str().to_owned()),
        (b'M', text(&given.message)),
    ];
    let mut add = |code: u8, value: &Option<String>| {
        if let Some(value) = value {
            fields.push((code, text(value)));
        }
    };
    add(b'D', &given.detail);
    add(b'H', &given.hint);
    add(b'P', &given.position.map(|position| position.to_string()));
    add(b'W', &given.context);
    add(b's', &given.schema);
    add(b't', &given.table);
    add(b'c', &given.column);
    add(b'd', &given.data_type);
    add(b'n', &given.constraint);
    fields
}

/// A zero byte would end the field early, and what follows would be read as another one.
fn text(value: &str) -> String {
    value.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SqlState;

    #[test]
    fn an_error_carries_all_its_fields_in_postgres_order() {
        let error = Diagnostic::error(SqlState::UNIQUE_VIOLATION, "duplicate key")
            .with_detail("Key (a)=(1) already exists.")
            .with_hint("h")
            .with_position(8)
            .with_context("w")
            .with_schema("public")
            .with_table("t")
            .with_column("a")
            .with_data_type("int4")
            .with_constraint("t_pkey");
        let mut outbox = BytesMut::new();
        diagnostic(&mut outbox, &error);
        let expected: &[u8] = b"SERROR\0VERROR\0C23505\0Mduplicate key\0\
            DKey (a)=(1) already exists.\0Hh\0P8\0Ww\0spublic\0tt\0ca\0dint4\0nt_pkey\0\0";
        assert_eq!(outbox[0], b'E');
        assert_eq!(
            u32::from_be_bytes([outbox[1], outbox[2], outbox[3], outbox[4]]) as usize,
            expected.len() + 4
        );
        assert_eq!(&outbox[5..], expected);
    }

    #[test]
    fn a_notice_is_a_message_of_its_own_type() {
        let mut outbox = BytesMut::new();
        diagnostic(&mut outbox, &Diagnostic::notice("look"));
        assert_eq!(outbox[0], b'N');
        assert_eq!(&outbox[5..], b"SNOTICE\0VNOTICE\0C00000\0Mlook\0\0");
    }

    #[test]
    fn a_zero_byte_in_a_message_does_not_forge_a_field() {
        let mut outbox = BytesMut::new();
        diagnostic(&mut outbox, &Diagnostic::internal("a\0Hforged"));
        let body = String::from_utf8(outbox[5..].to_vec()).expect("UTF-8");
        assert!(body.contains("Ma\u{fffd}Hforged\0\0"), "{body:?}");
    }
}
