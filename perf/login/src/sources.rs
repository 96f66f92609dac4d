//! Where connections come from: this machine has all of 127.0.0.0/8, so that one driver can be as many
//! addresses as a flood has.

use rustix::net::{self, AddressFamily, SocketType};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

/// The most addresses: those of 127.16.0.0/12.
pub const SOURCES_MAX: u32 = 1 << 20;

/// Addresses that are used in turn.
#[derive(Debug)]
pub struct Sources {
    count: u32,
    next: AtomicU32,
}

impl Sources {
    /// So many, at most [`SOURCES_MAX`].
    pub fn new(count: u32) -> Sources {
        Sources {
            count: count.clamp(1, SOURCES_MAX),
            next: AtomicU32::new(0),
        }
    }

    /// Connects from the next one.
    ///
    /// # Errors
    /// The operating system's.
    pub fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.count;
        let first = u32::from(Ipv4Addr::new(127, 16, 0, 0));
        let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(first + number)), 0);
        let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        net::bind(&socket, &from)?;
        net::connect(&socket, &to)?;
        Ok(TcpStream::from(socket))
    }
}
