//! Receive buffers that the kernel chooses from.
//!
//! One ring of buffers a core serves all its connections: an idle connection holds none. What
//! arrives is copied to the connection's inbox at once and the buffer given back, so a buffer
//! is out only between a completion and its pass of the driver.

use io_uring::{IoUring, types::BufRingEntry};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// How many. More than a pass usually collects; when they run out, receiving is armed again
/// after the pass has given them back.
const BUFFERS: u16 = 512;
/// How large each is.
const BUFFER_BYTES: usize = 4096;
/// The group's number in requests.
pub(crate) const BUFFER_GROUP: u16 = 0;

const _: () = assert!(BUFFERS.is_power_of_two() && BUFFERS <= 1 << 15);

/// Anonymous memory, page-aligned, touched only as far as it is used.
struct Mapping {
    start: NonNull<c_void>,
    bytes: usize,
}

impl Mapping {
    fn new(bytes: usize) -> io::Result<Self> {
        // SAFETY: a fresh anonymous mapping overlaps nothing.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let start = NonNull::new(start).expect("a mapping is never at address 0");
        Ok(Self { start, bytes })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing refers to it any more. It cannot fail for an
        // exact range, and there would be nothing to do about it.
        let _ = unsafe { munmap(self.start.as_ptr(), self.bytes) };
    }
}

pub(crate) struct Buffers {
    entries: Mapping,
    memory: Mapping,
    /// Where the next buffer goes; what the kernel sees lags behind until `publish`.
    tail: u16,
}

impl Buffers {
    /// Registers the buffers with the ring, all of them free.
    pub(crate) fn register(ring: &IoUring) -> io::Result<Self> {
        let entries = Mapping::new(usize::from(BUFFERS) * size_of::<BufRingEntry>())?;
        let memory = Mapping::new(usize::from(BUFFERS) * BUFFER_BYTES)?;
        // SAFETY: the entries are page-aligned, zeroed, of the length given, and outlive the
        // ring: `Ring` drops its ring first.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                entries.start.as_ptr() as u64,
                BUFFERS,
                BUFFER_GROUP,
                0,
            )
        }?;
        let mut buffers = Self {
            entries,
            memory,
            tail: 0,
        };
        for buffer in 0..BUFFERS {
            buffers.give_back(buffer);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// What the kernel has put into a buffer. To be given back after use.
    pub(crate) fn received(&self, buffer: u16, bytes: usize) -> &[u8] {
        assert!(buffer < BUFFERS && bytes <= BUFFER_BYTES);
        // SAFETY: inside the mapping by the assertion; the kernel does not touch a buffer
        // between its completion and `publish`, for which `&mut self` is needed.
        unsafe {
            let start = self.memory.start.cast::<u8>();
            let start = start.add(usize::from(buffer) * BUFFER_BYTES);
            std::slice::from_raw_parts(start.as_ptr(), bytes)
        }
    }

    /// Gives a buffer back; the kernel sees it after `publish`.
    pub(crate) fn give_back(&mut self, buffer: u16) {
        assert!(buffer < BUFFERS);
        let place = usize::from(self.tail & (BUFFERS - 1));
        // SAFETY: both offsets are inside their mappings. The entry at the tail is ours to
        // write: at most BUFFERS buffers exist, so the kernel has taken what stood there. Only
        // address, length and id are written: the tail word shares the first entry's last field.
        unsafe {
            let entry = self.entries.start.cast::<BufRingEntry>().add(place);
            let memory = self.memory.start.cast::<u8>();
            let memory = memory.add(usize::from(buffer) * BUFFER_BYTES);
            let entry = &mut *entry.as_ptr();
            entry.set_addr(memory.as_ptr() as u64);
            entry.set_len(BUFFER_BYTES as u32);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what has been given back.
    pub(crate) fn publish(&mut self) {
        // SAFETY: the mapping begins with the entries, so this is the ring's tail word, which
        // user space alone writes, by a 16-bit store.
        let tail = unsafe {
            let tail = BufRingEntry::tail(self.entries.start.cast::<BufRingEntry>().as_ptr());
            AtomicU16::from_ptr(tail.cast_mut())
        };
        // Release: the entries first.
        tail.store(self.tail, Ordering::Release);
    }
}
