//! Connections that come through a proxy which says whose they are: the PROXY protocol, version 2
//! (HAProxy, doc/proxy-protocol.txt §2.2), of the networks that `[server] proxy_protocol` lists.
//!
//! ```text
//!  0 12  signature
//! 12  1  version 2 in the upper half; 0 LOCAL: the proxy itself asks, 1 PROXY: somebody behind it
//! 13  1  0x11 TCP over IPv4, 0x21 TCP over IPv6, anything else: not told
//! 14  2  how many bytes follow, big endian
//! 16  n  source and destination address, their ports, and what else the proxy says
//! ```
//!
//! Who comes from such a network must begin so, and whoever comes from elsewhere must not: a header that is
//! optional could be written by anybody (§2, "must not guess"). It comes before everything, TLS included.

use ipnet::IpNet;
use shards::Stream;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The header before the addresses.
const FIXED_BYTES: usize = 16;

/// The longest header that is taken. Proxies send some hundred bytes, with a certificate's names.
pub const HEADER_BYTES_MAX: usize = 4 * 1024;

/// How long a header may take: a proxy sends it with its first packet.
pub const HEADER_DEADLINE: Duration = Duration::from_secs(5);

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The connection is of this client.
    Client(SocketAddr),
    /// It is the proxy's own, or it does not tell whose.
    Proxy,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Something else.
    #[error("the connection does not begin with a header of the PROXY protocol, version 2")]
    Signature,
    /// A version or a command that there is not.
    #[error("a PROXY header of an unknown version or command: {0:#04x}")]
    Command(u8),
    /// Longer than [`HEADER_BYTES_MAX`].
    #[error("a PROXY header of {0} bytes")]
    TooLong(usize),
    /// Addresses that end too soon.
    #[error("a PROXY header without its addresses")]
    Addresses,
}

/// Reads the header at the beginning of the bytes, and how many it takes; None while it goes on.
///
/// # Errors
/// What stands there is none, as soon as that can be told.
pub fn parse(bytes: &[u8]) -> Result<Option<(Source, usize)>, HeaderError> {
    let begun = bytes.len().min(SIGNATURE.len());
    if bytes[..begun] != SIGNATURE[..begun] {
        return Err(HeaderError::Signature);
    }
    let Some(fixed) = bytes.get(..FIXED_BYTES) else {
        return Ok(None);
    };
    let length = FIXED_BYTES + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > HEADER_BYTES_MAX {
        return Err(HeaderError::TooLong(length));
    }
    let is_local = match fixed[12] {
        0x20 => true,
        0x21 => false,
        other => return Err(HeaderError::Command(other)),
    };
    let Some(addresses) = bytes.get(FIXED_BYTES..length) else {
        return Ok(None);
    };
    let source = match (is_local, fixed[13]) {
        (false, 0x11) => client::<4, 12>(addresses, |it| Ipv4Addr::from(it).into())?,
        (false, 0x21) => client::<16, 36>(addresses, |it| Ipv6Addr::from(it).into())?,
        // §2.2: what is not known is passed over, and the connection's own address counts.
        (true, _) | (false, _) => Source::Proxy,
    };
    Ok(Some((source, length)))
}

/// Two addresses of so many bytes and two ports, the client's first.
fn client<const ADDRESS: usize, const ALL: usize>(
    addresses: &[u8],
    address: impl Fn([u8; ADDRESS]) -> IpAddr,
) -> Result<Source, HeaderError> {
    let addresses = addresses.get(..ALL).ok_or(HeaderError::Addresses)?;
    let (source, _) = addresses
        .split_first_chunk::<ADDRESS>()
        .ok_or(HeaderError::Addresses)?;
    let port = u16::from_be_bytes([addresses[2 * ADDRESS], addresses[2 * ADDRESS + 1]]);
    Ok(Source::Client(SocketAddr::new(address(*source), port)))
}

/// The networks whose connections begin with a header.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[IpNet]>);

impl Proxies {
    /// Those that are listed.
    pub fn new(listed: &[IpNet]) -> Proxies {
        Proxies(listed.into())
    }

    /// Whether a connection from there begins with a header.
    pub fn send_headers(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Takes the header of such a connection, which is its client's from then on. None: there was none,
    /// and the connection has been aborted.
    pub async fn unwrap(&self, stream: Stream) -> Option<Stream> {
        let mut stream = stream;
        let Ok(header) = shards::timeout(HEADER_DEADLINE, header(&stream)).await else {
            tracing::info!(proxy = %stream.hop(), "a proxy has sent no PROXY header in time");
            stream.abort();
            return None;
        };
        match header {
            Some(Ok(Source::Client(client))) => stream.set_peer(client),
            Some(Ok(Source::Proxy)) => {}
            Some(Err(error)) => {
                tracing::info!(proxy = %stream.hop(), %error, "a proxied connection is refused");
                stream.abort();
                return None;
            }
            None => {
                stream.abort();
                return None;
            }
        }
        Some(stream)
    }
}

/// None: the proxy has gone.
async fn header(stream: &Stream) -> Option<Result<Source, HeaderError>> {
    loop {
        // On a line of its own: the inbox is not to be held while it is consumed.
        let parsed = parse(&stream.inbox());
        match parsed {
            Err(error) => return Some(Err(error)),
            Ok(Some((source, length))) => {
                let _ = stream.inbox().split_to(length);
                return Some(Ok(source));
            }
            Ok(None) => {}
        }
        if !matches!(stream.fill().await, Ok(1..)) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend((addresses.len() as u16).to_be_bytes());
        bytes.extend(addresses);
        bytes
    }

    fn of_ipv4() -> Vec<u8> {
        vec![192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x34, 0x19, 0x20]
    }

    fn told(source: &str) -> Source {
        Source::Client(source.parse().expect("an address"))
    }

    #[test]
    fn the_first_address_is_the_clients() {
        let bytes = header(0x21, 0x11, &of_ipv4());
        let expected = (told("192.0.2.7:4660"), bytes.len());
        assert_eq!(parse(&bytes), Ok(Some(expected)));
        let mut addresses = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7)
            .octets()
            .to_vec();
        addresses.extend([0; 16]);
        addresses.extend([0, 80, 0, 0]);
        let bytes = header(0x21, 0x21, &addresses);
        let expected = (told("[2001:db8::7]:80"), bytes.len());
        assert_eq!(parse(&bytes), Ok(Some(expected)));
    }

    #[test]
    fn what_else_a_proxy_says_is_passed_over_and_what_follows_is_left() {
        let mut addresses = of_ipv4();
        addresses.extend([3, 0, 4, 1, 2, 3, 4]);
        let mut bytes = header(0x21, 0x11, &addresses);
        let length = bytes.len();
        bytes.extend(b"GET / HTTP/1.1\r\n");
        assert_eq!(parse(&bytes), Ok(Some((told("192.0.2.7:4660"), length))));
    }

    #[test]
    fn a_proxys_own_connection_and_what_is_not_told_count_as_the_proxys() {
        for (command, family) in [(0x20, 0), (0x20, 0x11), (0x21, 0), (0x21, 0x31)] {
            let bytes = header(command, family, &[]);
            assert_eq!(parse(&bytes), Ok(Some((Source::Proxy, 16))));
        }
    }

    #[test]
    fn a_header_is_read_the_same_wherever_it_is_split() {
        let bytes = header(0x21, 0x11, &of_ipv4());
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_can_be_told() {
        for bytes in [
            &b"\0\0\0\x08"[..],
            b"\x16\x03\x01",
            b"PROXY TCP4 ",
            b"\r\n\r\nX",
        ] {
            assert_eq!(parse(bytes), Err(HeaderError::Signature));
        }
        let version_1 = header(0x11, 0x11, &of_ipv4());
        assert_eq!(parse(&version_1), Err(HeaderError::Command(0x11)));
        let command_2 = header(0x22, 0x11, &of_ipv4());
        assert_eq!(parse(&command_2), Err(HeaderError::Command(0x22)));
        let short = header(0x21, 0x11, &[1; 11]);
        assert_eq!(parse(&short), Err(HeaderError::Addresses));
        let short = header(0x21, 0x21, &[1; 35]);
        assert_eq!(parse(&short), Err(HeaderError::Addresses));
    }

    #[test]
    fn a_header_at_the_limit_is_taken_and_one_byte_more_is_not() {
        let of = |length: usize| {
            let mut addresses = of_ipv4();
            addresses.resize(length - FIXED_BYTES, 0);
            parse(&header(0x21, 0x11, &addresses))
        };
        let expected = (told("192.0.2.7:4660"), HEADER_BYTES_MAX);
        assert_eq!(of(HEADER_BYTES_MAX), Ok(Some(expected)));
        let past = HEADER_BYTES_MAX + 1;
        assert_eq!(of(past), Err(HeaderError::TooLong(past)));
    }
}
