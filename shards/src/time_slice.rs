//! How long the system lets a thread run before it looks whether another one is due.
//!
//! A core's thread wakes for a message, works some microseconds and sleeps again. With the slice that
//! every thread has, 3 ms, it first waits until whoever runs on its processor has used that up: a query's
//! thread, or another program. A thread that asks for the shortest slice goes in front of those with
//! a longer one when it wakes, and still gets no more of the processor than its share.

use std::mem::{MaybeUninit, size_of};

/// The shortest slice that Linux gives.
const SLICE_NANOSECONDS: u64 = 100_000;

/// Asks for the shortest slice for the calling thread. Linux before 6.12 takes no notice; where the
/// system refuses, or the thread is scheduled in another way than usual, everything stays as it is.
///
/// Source: sched_setattr(2), `sched_runtime` of SCHED_OTHER.
pub(crate) fn shorten() {
    let Some(mut attributes) = attributes() else {
        return;
    };
    if attributes.sched_policy != libc::SCHED_OTHER as u32 {
        return;
    }
    attributes.sched_runtime = SLICE_NANOSECONDS;
    // SAFETY: the kernel reads `size` bytes of a structure that lives until the call returns.
    unsafe {
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
    }
}

/// How the calling thread is scheduled.
fn attributes() -> Option<libc::sched_attr> {
    let mut attributes = MaybeUninit::<libc::sched_attr>::zeroed();
    let size = size_of::<libc::sched_attr>();
    // SAFETY: the kernel writes at most `size` bytes, which are there.
    let answer =
        unsafe { libc::syscall(libc::SYS_sched_getattr, 0, attributes.as_mut_ptr(), size, 0) };
    // SAFETY: all its fields are integers, for which zeroes are values too.
    (answer == 0).then(|| unsafe { attributes.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_slice_leaves_policy_and_niceness_as_they_were() {
        let ended = std::thread::spawn(|| {
            let before = attributes().expect("it is told");
            shorten();
            let after = attributes().expect("it is told");
            assert_eq!(after.sched_policy, before.sched_policy);
            assert_eq!(after.sched_nice, before.sched_nice);
            // Older systems tell none.
            assert!([0, SLICE_NANOSECONDS].contains(&after.sched_runtime));
        });
        assert!(ended.join().is_ok());
    }
}
