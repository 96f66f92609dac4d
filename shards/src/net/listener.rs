//! Listening sockets: one for each core and address, sharing the port.

use crate::{Listener, ListenerId, StartError};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Connections that may wait to be accepted, for each core; the kernel caps it by
/// net.core.somaxconn. Generous, because thousands of clients reconnect at once after a restart.
const BACKLOG_CONNECTIONS_MAX: i32 = 4096;

/// After this long without a sign of life a peer is asked for one.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(300);

/// One socket of one core.
pub(crate) struct ListeningSocket {
    pub(crate) listener: ListenerId,
    pub(crate) socket: OwnedFd,
}

/// The sockets of all cores, by core, and the addresses, by listener.
pub(crate) struct Bound {
    pub(crate) cores: Vec<Vec<ListeningSocket>>,
    pub(crate) addresses: Vec<Vec<SocketAddr>>,
}

/// Binds every address once for each core.
pub(crate) fn bind(listeners: &[Listener], cores: usize) -> Result<Bound, StartError> {
    let mut bound = Bound {
        cores: (0..cores).map(|_| Vec::new()).collect(),
        addresses: Vec::new(),
    };
    for (id, listener) in (0..).map(ListenerId).zip(listeners) {
        let mut addresses = Vec::new();
        for &asked in &listener.addresses {
            let failed = |source| StartError::Listen {
                listener: listener.name,
                address: asked,
                source,
            };
            probe(asked).map_err(failed)?;
            let mut address = asked;
            for core in &mut bound.cores {
                let socket = open(address).map_err(failed)?;
                // With port 0 the first core's socket chooses, and the others share.
                address = local(&socket).map_err(failed)?;
                core.push(ListeningSocket {
                    listener: id,
                    socket: socket.into(),
                });
            }
            addresses.push(address);
        }
        bound.addresses.push(addresses);
    }
    Ok(bound)
}

/// Fails when somebody listens there already. Without this another server of the same user would
/// be let in beside us, and each would get some of the connections.
fn probe(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = stream_socket(address)?;
    socket.bind(&address.into())?;
    socket.listen(1)
}

fn stream_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `::` beside `0.0.0.0` on one port would clash.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = stream_socket(address)?;
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit these two, which saves a system call for each connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(KEEPALIVE_IDLE))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG_CONNECTIONS_MAX)?;
    Ok(socket)
}

fn local(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    address
        .as_socket()
        .ok_or_else(|| io::Error::other("not an internet address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_listens_on_is_refused_although_ports_are_shared() {
        let listener = |address| Listener {
            name: "test",
            addresses: vec![address],
        };
        let first = bind(&[listener("127.0.0.1:0".parse().expect("an address"))], 2);
        let first = first.expect("a free port");
        let second = bind(&[listener(first.addresses[0][0])], 2);
        assert!(matches!(second, Err(StartError::Listen { .. })));
    }

    #[test]
    fn accepted_sockets_inherit_what_would_cost_a_call_for_each() {
        let address = "127.0.0.1:0".parse().expect("an address");
        let listening = open(address).expect("a free port");
        let address = local(&listening).expect("bound");
        let _peer = std::net::TcpStream::connect(address).expect("listening");
        let (accepted, _) = listening.accept().expect("connected");
        assert!(accepted.tcp_nodelay().expect("an option"));
        assert!(accepted.keepalive().expect("an option"));
    }

    #[test]
    fn cores_share_the_port_that_the_first_has_chosen() {
        let listener = Listener {
            name: "test",
            addresses: vec![
                "127.0.0.1:0".parse().expect("an address"),
                "[::1]:0".parse().expect("an address"),
            ],
        };
        let bound = bind(&[listener], 3).expect("free ports");
        assert!(bound.cores.iter().all(|core| core.len() == 2));
        assert!(bound.addresses[0].iter().all(|address| address.port() != 0));
    }
}
