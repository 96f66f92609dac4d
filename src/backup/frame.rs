//! What goes over the socket: a hello from the command, then frames from the server.
//!
//! ```text
//! hello   8 bytes  "NDBBKUP", version 1
//! frame   1 byte   kind
//!         4 bytes  length of what follows, big endian, at most FRAME_BYTES_MAX
//!         n bytes  begin: bytes of all files, about, as 8 bytes big endian
//!                  file: its path in the data directory, UTF-8; data frames of it follow
//!                  data
//!                  close: the file's length, as 8 bytes big endian
//!                  end: nothing; every file was sent
//!                  refused: why there is no backup, UTF-8
//! ```

use std::io::{self, Read, Write};

/// What the command says first; its last byte is the version.
pub const HELLO: [u8; 8] = *b"NDBBKUP\x01";

/// The longest payload.
pub const FRAME_BYTES_MAX: usize = 256 << 10;

const HEAD_BYTES: usize = 5;

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'f> {
    /// Files follow; so many bytes, about.
    Begin(u64),
    /// A file begins.
    File(&'f str),
    /// Bytes of it.
    Data(&'f [u8]),
    /// It ends, and is so long.
    Close(u64),
    /// All files were sent.
    End,
    /// There is no backup.
    Refused(&'f str),
}

impl Frame<'_> {
    fn kind(&self) -> u8 {
        match self {
            Frame::Begin(_) => 1,
            Frame::File(_) => 2,
            Frame::Data(_) => 3,
            Frame::Close(_) => 4,
            Frame::End => 5,
            Frame::Refused(_) => 6,
        }
    }

    /// Sends it.
    ///
    /// # Errors
    /// The socket's.
    ///
    /// # Panics
    /// For a payload past [`FRAME_BYTES_MAX`].
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let number;
        let payload: &[u8] = match self {
            Frame::Begin(value) | Frame::Close(value) => {
                number = value.to_be_bytes();
                &number
            }
            Frame::File(text) | Frame::Refused(text) => text.as_bytes(),
            Frame::Data(bytes) => bytes,
            Frame::End => &[],
        };
        assert!(payload.len() <= FRAME_BYTES_MAX, "a frame has its bound");
        let length = u32::try_from(payload.len()).expect("the bound is below 4 GiB");
        let mut head = [self.kind(); HEAD_BYTES];
        head[1..].copy_from_slice(&length.to_be_bytes());
        to.write_all(&head)?;
        to.write_all(payload)
    }
}

/// Reads frames.
pub struct Frames<R> {
    input: R,
    payload: Vec<u8>,
}

impl<R: Read> Frames<R> {
    /// From the beginning.
    pub fn new(input: R) -> Frames<R> {
        Frames {
            input,
            payload: Vec::new(),
        }
    }

    /// The next one.
    ///
    /// # Errors
    /// The socket's; `UnexpectedEof` when it ended; `InvalidData` for what is no frame.
    pub fn next(&mut self) -> io::Result<Frame<'_>> {
        let mut head = [0; HEAD_BYTES];
        self.input.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(no_frame());
        }
        self.payload.resize(length, 0);
        self.input.read_exact(&mut self.payload)?;
        let number = || {
            let bytes = <[u8; 8]>::try_from(self.payload.as_slice());
            bytes.map(u64::from_be_bytes).map_err(|_| no_frame())
        };
        let text = || std::str::from_utf8(&self.payload).map_err(|_| no_frame());
        Ok(match kind {
            1 => Frame::Begin(number()?),
            2 => Frame::File(text()?),
            3 => Frame::Data(&self.payload),
            4 => Frame::Close(number()?),
            5 if length == 0 => Frame::End,
            6 => Frame::Refused(text()?),
            _ => return Err(no_frame()),
        })
    }
}

fn no_frame() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "what it sent is no frame of a backup",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Frame<'static>; 6] = [
        Frame::Begin(u64::MAX),
        Frame::File("rows/data.mdb"),
        Frame::Data(b"\0\xff"),
        Frame::Close(2),
        Frame::End,
        Frame::Refused("later"),
    ];

    #[test]
    fn every_frame_reads_as_it_was_written() {
        let mut bytes = Vec::new();
        for frame in ALL {
            frame.write(&mut bytes).unwrap();
        }
        let mut frames = Frames::new(bytes.as_slice());
        for frame in ALL {
            assert_eq!(frames.next().unwrap(), frame);
        }
        let end = frames.next().unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_payload_at_the_limit_is_read_and_one_past_it_is_refused_unread() {
        let mut bytes = Vec::new();
        Frame::Data(&[7; FRAME_BYTES_MAX])
            .write(&mut bytes)
            .unwrap();
        let read = Frames::new(bytes.as_slice())
            .next()
            .map(|frame| matches!(frame, Frame::Data(_)));
        assert!(read.unwrap());
        let past = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_be_bytes();
        let head = [&[3], &past[..]].concat();
        let refused = Frames::new(head.as_slice()).next().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn bytes_that_are_no_frame_are_refused() {
        let bad: [&[u8]; 6] = [
            &[0, 0, 0, 0, 0],
            &[7, 0, 0, 0, 0],
            &[1, 0, 0, 0, 1, 0],
            &[4, 0, 0, 0, 0],
            &[2, 0, 0, 0, 1, 0xff],
            &[5, 0, 0, 0, 1, 0],
        ];
        for bytes in bad {
            let refused = Frames::new(bytes).next().unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
    }
}
