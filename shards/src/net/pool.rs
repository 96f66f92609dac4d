//! Spare buffers of one core.
//!
//! An idle connection has no buffers at all; a busy one takes them from here and gives them
//! back several thousand times a second without going to the allocator.

use bytes::BytesMut;
use std::cell::RefCell;

/// What a fresh buffer holds: a request or a small reply.
const BUFFER_BYTES: usize = 2048;
/// A buffer that has grown past this is not kept.
const KEPT_BYTES_MAX: usize = 16 * 1024;
/// How many are kept.
const KEPT_MAX: usize = 256;

#[derive(Default)]
pub(crate) struct Pool(RefCell<Vec<BytesMut>>);

impl Pool {
    /// An empty buffer with room.
    pub(crate) fn take(&self) -> BytesMut {
        self.0
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| BytesMut::with_capacity(BUFFER_BYTES))
    }

    /// Takes a buffer's memory, leaving one without any.
    pub(crate) fn give_back(&self, buffer: &mut BytesMut) {
        let mut buffer = std::mem::take(buffer);
        buffer.clear();
        // Moves the buffer's start back over what has been consumed. A part that has been split
        // off and is still held keeps the memory: then this allocates, and so be it.
        buffer.reserve(BUFFER_BYTES);
        let mut kept = self.0.borrow_mut();
        if buffer.capacity() <= KEPT_BYTES_MAX && kept.len() < KEPT_MAX {
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;

    #[test]
    fn a_buffer_comes_back_empty_and_whole() {
        let pool = Pool::default();
        let mut buffer = pool.take();
        let start = buffer.as_ptr();
        buffer.extend_from_slice(&[7; 100]);
        buffer.advance(100);
        pool.give_back(&mut buffer);
        assert_eq!(buffer.capacity(), 0);
        let again = pool.take();
        assert!(again.is_empty() && again.capacity() >= BUFFER_BYTES);
        assert_eq!(again.as_ptr(), start);
    }

    #[test]
    fn a_buffer_that_has_grown_is_not_kept() {
        let pool = Pool::default();
        let mut buffer = pool.take();
        buffer.reserve(KEPT_BYTES_MAX + 1);
        pool.give_back(&mut buffer);
        assert!(pool.0.borrow().is_empty());
    }
}
