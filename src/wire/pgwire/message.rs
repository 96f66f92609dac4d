//! The messages a client sends once its session has begun, by their type byte.

use super::body::{Body, BodyError};
use super::extended::{Bind, Close, Describe, Execute, Parse};
use crate::diagnostic::{Diagnostic, SqlState};

/// One decoded message; borrows from its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text of statements, each run at once.
    Query(&'a str),
    /// Makes a prepared statement.
    Parse(Parse<'a>),
    /// Makes a portal.
    Bind(Bind<'a>),
    /// Asks what a statement or portal takes and gives.
    Describe(Describe<'a>),
    /// Runs a portal.
    Execute(Execute<'a>),
    /// Drops a statement or portal.
    Close(Close<'a>),
    /// Ends an extended-query cycle.
    Sync,
    /// Asks for the replies so far.
    Flush,
    /// Ends the session.
    Terminate,
    /// A piece of COPY … FROM STDIN.
    CopyData(&'a [u8]),
    /// The end of COPY … FROM STDIN.
    CopyDone,
    /// The client gives COPY … FROM STDIN up.
    CopyFail(&'a str),
    /// Calls a function by OID; not supported.
    FunctionCall,
}

/// A message that cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// No message has this type; the stream cannot be trusted any more.
    #[error("invalid frontend message type {0}")]
    UnknownType(u8),
    /// The body does not hold what its type demands; the message is skipped.
    #[error("{0}")]
    Body(#[from] BodyError),
}

impl MessageError {
    /// The code it is reported under.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            MessageError::UnknownType(_) => SqlState::PROTOCOL_VIOLATION,
            MessageError::Body(error) => error.sqlstate(),
        }
    }
}

impl From<MessageError> for Diagnostic {
    fn from(error: MessageError) -> Diagnostic {
        match error {
            MessageError::UnknownType(_) => Diagnostic::fatal(error.sqlstate(), error.to_string()),
            MessageError::Body(error) => error.into(),
        }
    }
}

/// Decodes the body of a whole frame.
///
/// # Errors
/// [`MessageError`]; with `Body` the next frame can still be read.
pub fn decode(tag: u8, body: &[u8]) -> Result<Message<'_>, MessageError> {
    let mut cursor = Body::new(body);
    let message = match tag {
        b'Q' => Message::Query(cursor.text()?),
        b'P' => Message::Parse(Parse::decode(&mut cursor)?),
        b'B' => Message::Bind(Bind::decode(&mut cursor)?),
        b'D' => Message::Describe(Describe::decode(&mut cursor)?),
        b'E' => Message::Execute(Execute::decode(&mut cursor)?),
        b'C' => Message::Close(Close::decode(&mut cursor)?),
        b'S' => Message::Sync,
        b'H' => Message::Flush,
        b'X' => Message::Terminate,
        b'd' => Message::CopyData(cursor.rest()),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(cursor.text()?),
        b'F' => {
            cursor.rest();
            Message::FunctionCall
        }
        other => return Err(MessageError::UnknownType(other)),
    };
    cursor.end()?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::pgwire::frame::{self, Front};
    use bytes::BytesMut;
    use pgwire::messages::{Message as _, extendedquery, simplequery};
    use proptest::prelude::*;

    fn body(bytes: &BytesMut) -> (u8, &[u8]) {
        let Ok(Front::Whole(frame)) = frame::front(bytes, 1 << 20) else {
            panic!("the encoder writes whole frames");
        };
        assert_eq!(frame.bytes, bytes.len());
        (frame.tag, &bytes[frame::HEADER_BYTES..])
    }

    #[test]
    fn a_query_is_its_text() {
        let mut bytes = BytesMut::new();
        simplequery::Query::new("SELECT 'é'".to_owned())
            .encode(&mut bytes)
            .expect("encodes");
        let (tag, body) = body(&bytes);
        assert_eq!(decode(tag, body), Ok(Message::Query("SELECT 'é'")));
    }

    #[test]
    fn text_after_the_end_of_a_message_is_refused() {
        assert_eq!(
            decode(b'Q', b"a\0b"),
            Err(MessageError::Body(BodyError::Trailing))
        );
        assert_eq!(
            decode(b'S', b"x"),
            Err(MessageError::Body(BodyError::Trailing))
        );
    }

    #[test]
    fn an_unknown_type_ends_the_session_and_a_bad_body_does_not() {
        use crate::diagnostic::Severity;
        let unknown: Diagnostic = decode(b'~', b"").expect_err("no such type").into();
        assert_eq!(unknown.fields().severity, Severity::Fatal);
        assert_eq!(unknown.sqlstate(), SqlState::PROTOCOL_VIOLATION);
        assert_eq!(unknown.message(), "invalid frontend message type 126");
        let short: Diagnostic = decode(b'Q', b"a").expect_err("no zero byte").into();
        assert_eq!(short.fields().severity, Severity::Error);
        assert_eq!(short.sqlstate(), SqlState::PROTOCOL_VIOLATION);
    }

    #[test]
    fn bind_and_parse_round_trip_through_another_encoder() {
        let mut bytes = BytesMut::new();
        extendedquery::Parse::new(Some("s".into()), "SELECT $1".into(), vec![23, 0])
            .encode(&mut bytes)
            .expect("encodes");
        let (tag, parse_body) = body(&bytes);
        let Ok(Message::Parse(parse)) = decode(tag, parse_body) else {
            panic!("a Parse");
        };
        assert_eq!((parse.statement, parse.text), ("s", "SELECT $1"));
        assert_eq!(parse.parameter_types().collect::<Vec<_>>(), [23, 0]);

        let mut bytes = BytesMut::new();
        extendedquery::Bind::new(
            None,
            Some("s".into()),
            vec![0, 1],
            vec![Some(bytes::Bytes::from_static(b"7")), None],
            vec![1],
        )
        .encode(&mut bytes)
        .expect("encodes");
        let (tag, bind_body) = body(&bytes);
        let Ok(Message::Bind(bind)) = decode(tag, bind_body) else {
            panic!("a Bind");
        };
        assert_eq!((bind.portal, bind.statement), ("", "s"));
        let parameters: Vec<_> = bind.parameters().collect();
        assert_eq!(parameters.len(), 2);
        assert_eq!(parameters[0].1, Some(&b"7"[..]));
        assert_eq!(parameters[1].1, None);
    }

    proptest! {
        #[test]
        fn any_body_of_any_type_decodes_or_is_refused(tag in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(Message::Bind(bind)) = decode(tag, &body) {
                prop_assert_eq!(bind.parameters().count(), bind.parameter_count());
            }
        }
    }
}
