//! Where one frame ends and the next begins: a length, a payload (REFERENCE §5).
//!
//! Nothing is consumed here: the caller takes a whole frame off the inbox once it is there.

use crate::diagnostic::{Diagnostic, SqlState};

/// The length word.
pub const HEADER_BYTES: usize = 4;

/// The longest payload, both ways.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// The longest payload of a client that has not proved who it is (DESIGN §7, invariant 7): room for
/// a token of 16 KiB in any encoding.
pub const LOGIN_FRAME_BYTES_MAX: usize = 64 << 10;

/// What the front of the inbox holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// A whole frame of so many bytes, its header counted.
    Whole(usize),
    /// A part of one.
    Partial,
}

/// A length word that no frame has. The connection cannot go on after either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Nothing to do, and nothing to answer to.
    #[error("a frame without a payload")]
    Empty,
    /// Longer than is taken.
    #[error("a frame of {bytes} bytes exceeds the limit of {bytes_max} bytes")]
    TooLong {
        /// What the client announced.
        bytes: usize,
        /// What is taken.
        bytes_max: usize,
    },
}

impl FrameError {
    /// The code it is reported under.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            FrameError::Empty => SqlState::PROTOCOL_VIOLATION,
            FrameError::TooLong { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
        }
    }
}

impl From<FrameError> for Diagnostic {
    fn from(error: FrameError) -> Diagnostic {
        Diagnostic::fatal(error.sqlstate(), error.to_string())
    }
}

/// Looks at the front of the inbox.
///
/// # Errors
/// [`FrameError`] as soon as the length word is there, before the payload is waited for.
pub fn front(inbox: &[u8], bytes_max: usize) -> Result<Front, FrameError> {
    let Some((length, payload)) = inbox.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(Front::Partial);
    };
    let bytes = u32::from_be_bytes(*length) as usize;
    if bytes == 0 {
        return Err(FrameError::Empty);
    }
    if bytes > bytes_max {
        return Err(FrameError::TooLong { bytes, bytes_max });
    }
    Ok(match payload.len() < bytes {
        true => Front::Partial,
        false => Front::Whole(HEADER_BYTES + bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_split_anywhere_is_partial() {
        let frame = [0, 0, 0, 2, b'{', b'}', 0, 0];
        for end in 0..6 {
            assert_eq!(front(&frame[..end], 2), Ok(Front::Partial), "{end}");
        }
        assert_eq!(front(&frame, 2), Ok(Front::Whole(6)));
    }

    #[test]
    fn a_frame_at_the_limit_is_taken_and_one_past_it_is_refused_at_once() {
        let length = |bytes: u32| bytes.to_be_bytes();
        let bytes_max = FRAME_BYTES_MAX;
        assert_eq!(front(&length(16 << 20), bytes_max), Ok(Front::Partial));
        let bytes = bytes_max + 1;
        assert_eq!(
            front(&length((16 << 20) + 1), bytes_max),
            Err(FrameError::TooLong { bytes, bytes_max })
        );
        assert_eq!(front(&length(0), bytes_max), Err(FrameError::Empty));
    }

    proptest! {
        #[test]
        fn whole_frames_move_on_and_stay_within_the_inbox(bytes: Vec<u8>, limit in 0_usize..64) {
            if let Ok(Front::Whole(frame)) = front(&bytes, limit) {
                prop_assert!(frame > HEADER_BYTES && frame <= bytes.len());
                prop_assert!(frame <= HEADER_BYTES + limit);
            }
        }
    }
}
