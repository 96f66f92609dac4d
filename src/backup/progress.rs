//! How far a backup is, on standard error: on a terminal one line that is written over each second, else
//! a line every ten. A backup of a moment says nothing.

use bytesize::ByteSize;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const ON_TERMINAL: Duration = Duration::from_secs(1);
const IN_LOG: Duration = Duration::from_secs(10);

/// Counts bytes, and tells now and then.
pub struct Progress {
    total: u64,
    done: u64,
    began: Instant,
    next: Duration,
    terminal: bool,
    told: bool,
}

impl Progress {
    /// Of about so many bytes.
    pub fn new(total: u64) -> Progress {
        let terminal = io::stderr().is_terminal();
        Progress {
            total,
            done: 0,
            began: Instant::now(),
            next: interval(terminal),
            terminal,
            told: false,
        }
    }

    /// So many more.
    pub fn add(&mut self, bytes: u64) {
        self.done += bytes;
        let elapsed = self.began.elapsed();
        if elapsed >= self.next {
            self.next = elapsed + interval(self.terminal);
            self.tell(elapsed);
        }
    }

    /// Bytes so far.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn tell(&mut self, elapsed: Duration) {
        let line = line(self.done, self.total, elapsed);
        // Nobody reads: that is no reason to end.
        let _ = match self.terminal {
            true => write!(io::stderr(), "\r{line}\x1b[K"),
            false => writeln!(io::stderr(), "{line}"),
        };
        self.told = true;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal && self.told {
            let _ = writeln!(io::stderr());
        }
    }
}

fn interval(terminal: bool) -> Duration {
    match terminal {
        true => ON_TERMINAL,
        false => IN_LOG,
    }
}

fn line(done: u64, total: u64, elapsed: Duration) -> String {
    // The total is what there was when it began.
    let total = total.max(done);
    let percent = u128::from(done) * 100 / u128::from(total.max(1));
    format!(
        "{} of {} ({percent} %), {} a second",
        size(done),
        size(total),
        size(rate(done, elapsed))
    )
}

/// Bytes a second.
pub fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let milliseconds = elapsed.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1_000 / milliseconds).unwrap_or(u64::MAX)
}

/// Bytes for people: `1.5 GiB`.
pub fn size(bytes: u64) -> ByteSize {
    ByteSize(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_passes_the_whole() {
        let second = Duration::from_secs(2);
        assert_eq!(
            line(1 << 20, 4 << 20, second),
            "1.0 MiB of 4.0 MiB (25 %), 512.0 KiB a second"
        );
        assert_eq!(
            line(2048, 1024, second),
            "2.0 KiB of 2.0 KiB (100 %), 1.0 KiB a second"
        );
        assert_eq!(line(0, 0, Duration::ZERO), "0 B of 0 B (0 %), 0 B a second");
    }
}
