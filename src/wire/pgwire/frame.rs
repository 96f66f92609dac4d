//! Where one message ends and the next begins: a type byte, a length, a body.
//!
//! Source: PostgreSQL §55.2 "Message Flow", §55.7 "Message Formats". The length counts itself but
//! not the type byte. Start-up packets have no type byte; `startup` reads those. Nothing is
//! consumed here: the caller takes `Frame::bytes` off the inbox once it holds them all.

use crate::diagnostic::{Diagnostic, SqlState};

/// The type byte and the length word.
pub const HEADER_BYTES: usize = 5;

/// The longest message of a client that has not proved who it is (DESIGN §7, invariant 7).
pub const LOGIN_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// A whole message at the front of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The message type.
    pub tag: u8,
    /// Type byte, length and body together.
    pub bytes: usize,
}

/// What the front of the inbox holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// A whole message.
    Whole(Frame),
    /// A part of one; so many bytes in all are needed before it can be looked at again.
    Partial {
        /// Known lower bound of the message's bytes, its header counted.
        bytes_needed: usize,
    },
}

/// A length word that cannot be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than the length word itself.
    #[error("invalid message length")]
    TooShort,
    /// Longer than this server takes.
    #[error("message of {bytes} bytes exceeds the limit of {bytes_max} bytes")]
    TooLong {
        /// What the client announced.
        bytes: usize,
        /// What is taken.
        bytes_max: usize,
    },
}

impl FrameError {
    /// The code it is reported under; the connection cannot go on after either.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            FrameError::TooShort => SqlState::PROTOCOL_VIOLATION,
            FrameError::TooLong { .. } => SqlState::PROTOCOL_VIOLATION,
        }
    }
}

impl From<FrameError> for Diagnostic {
    fn from(error: FrameError) -> Diagnostic {
        let diagnostic = Diagnostic::fatal(error.sqlstate(), error.to_string());
        match error {
            FrameError::TooShort => diagnostic,
            FrameError::TooLong { .. } => diagnostic
                .with_hint("Send large data with COPY, or raise message_bytes_max in [server]."),
        }
    }
}

/// Looks at the front of the inbox.
///
/// # Errors
/// [`FrameError`] as soon as the length word is there, before the body is waited for.
pub fn front(inbox: &[u8], message_bytes_max: usize) -> Result<Front, FrameError> {
    let Some((header, _)) = inbox.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(Front::Partial {
            bytes_needed: HEADER_BYTES,
        });
    };
    let [tag, length @ ..] = *header;
    let length = u32::from_be_bytes(length) as usize;
    if length < 4 {
        return Err(FrameError::TooShort);
    }
    if length > message_bytes_max {
        return Err(FrameError::TooLong {
            bytes: length,
            bytes_max: message_bytes_max,
        });
    }
    let bytes = length + 1;
    if inbox.len() < bytes {
        return Ok(Front::Partial {
            bytes_needed: bytes,
        });
    }
    Ok(Front::Whole(Frame { tag, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_split_anywhere_is_partial() {
        let sync = [b'S', 0, 0, 0, 4];
        for end in 0..5 {
            assert_eq!(
                front(&sync[..end], 100),
                Ok(Front::Partial { bytes_needed: 5 })
            );
        }
        assert_eq!(
            front(&sync, 100),
            Ok(Front::Whole(Frame {
                tag: b'S',
                bytes: 5
            }))
        );
    }

    #[test]
    fn length_at_the_limit_is_taken_and_one_past_it_refused_before_the_body() {
        let at = [b'Q', 0, 0, 0, 100];
        assert_eq!(front(&at, 100), Ok(Front::Partial { bytes_needed: 101 }));
        let past = [b'Q', 0, 0, 0, 101];
        assert_eq!(
            front(&past, 100),
            Err(FrameError::TooLong {
                bytes: 101,
                bytes_max: 100
            })
        );
        assert_eq!(front(&[b'Q', 0, 0, 0, 3], 100), Err(FrameError::TooShort));
        assert_eq!(
            front(&[b'Q', 255, 255, 255, 255], 100),
            Err(FrameError::TooLong {
                bytes: u32::MAX as usize,
                bytes_max: 100
            })
        );
    }

    proptest! {
        #[test]
        fn a_frame_never_reaches_past_what_was_given(inbox in proptest::collection::vec(any::<u8>(), 0..64)) {
            match front(&inbox, 48) {
                Ok(Front::Whole(frame)) => prop_assert!(frame.bytes <= inbox.len() && frame.bytes >= HEADER_BYTES),
                Ok(Front::Partial { bytes_needed }) => prop_assert!(bytes_needed > inbox.len()),
                Err(_) => {}
            }
        }
    }
}
