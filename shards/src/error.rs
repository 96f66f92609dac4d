//! Why a runtime does not start, and what it starts in spite of.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why the runtime cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel has no io_uring, or it is switched off.
    #[error(
        "io_uring is not available ({reason}): NodeDB needs Linux 6.1 or newer with io_uring enabled"
    )]
    NoRing {
        /// What the kernel answered, and how to change it where that is known.
        reason: String,
    },
    /// The kernel is older than what the socket ring needs.
    #[error("Linux {found} is too old: the socket ring needs Linux 6.1 or newer")]
    KernelTooOld {
        /// The release that the kernel gives itself.
        found: String,
    },
    /// RLIMIT_MEMLOCK is under what the executor needs at all.
    #[error(
        "the limit of locked memory is {found_bytes} bytes, at least {needed_bytes} are needed: raise it with `ulimit -l`, or LimitMEMLOCK= in the unit file"
    )]
    MemlockTooLow {
        /// The soft limit found.
        found_bytes: u64,
        /// What is needed.
        needed_bytes: u64,
    },
    /// RLIMIT_NOFILE leaves no descriptor for a connection.
    #[error(
        "the limit of open files is {found}, at least {needed} are needed: raise it with `ulimit -Hn`, or LimitNOFILE= in the unit file"
    )]
    DescriptorsTooFew {
        /// The hard limit found.
        found: u64,
        /// What a single connection needs.
        needed: u64,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({listener}): {source}")]
    Listen {
        /// The listener's name.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system answered.
        source: io::Error,
    },
    /// The options contradict themselves.
    #[error("{0}")]
    Options(String),
    /// A core's thread did not come up.
    #[error("core {core} did not start: {reason}")]
    Core {
        /// Which one.
        core: u16,
        /// What was said.
        reason: String,
    },
}

/// A limit of the system that is too low for what was asked for. The runtime has started with
/// fewer connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartWarning {
    /// The limit's name, such as `RLIMIT_NOFILE`.
    pub limit: &'static str,
    /// What it is.
    pub found: u64,
    /// What would be enough.
    pub needed: u64,
    /// How many connections are served with it.
    pub connections_max: usize,
    /// How to raise it.
    pub hint: String,
}

impl fmt::Display for StartWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is {}, {} would be needed: at most {} connections are served; {}",
            self.limit, self.found, self.needed, self.connections_max, self.hint
        )
    }
}
