//! Whose request it is, where proxies stand between (`[server.http] trusted_proxies`).
//!
//! Each proxy adds to X-Forwarded-For the address that it was asked from, at the right end; whatever stands
//! further left, a client may have written itself. So the list is read from the right, through the proxies
//! that are trusted, and the first address that is none of theirs is the client's. Where the connection is
//! of no trusted proxy the field is not looked at.

use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Addresses that are read of one list: no chain of proxies is as long.
const HOPS_MAX: usize = 32;

/// The networks whose word is taken.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Those that are listed.
    pub fn new(listed: &[IpNet]) -> TrustedProxies {
        TrustedProxies(listed.into())
    }

    /// The client behind a connection, by what the request's X-Forwarded-For fields say, one after another.
    ///
    /// What is no address ends the list: the client is whoever has passed that on. Its port is 0, which
    /// nobody has told.
    pub fn client(&self, connection: SocketAddr, forwarded_for: Option<&str>) -> SocketAddr {
        let Some(list) = forwarded_for.filter(|_| self.trusts(connection.ip())) else {
            return connection;
        };
        let mut client = connection;
        for hop in list.rsplit(',').take(HOPS_MAX) {
            let Some(address) = address_of(hop.trim_matches([' ', '\t'])) else {
                break;
            };
            client = SocketAddr::from((address, 0));
            if !self.trusts(address) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// An address as proxies write it: with a port or without, IPv6 in brackets or not.
fn address_of(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse().ok().map(|it: SocketAddr| it.ip());
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: Option<IpAddr> = hop.parse().ok();
    address.or_else(with_port).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(connection: &str, forwarded_for: Option<&str>) -> String {
        let listed = ["10.0.0.0/8", "127.0.0.1/32", "2001:db8:1::/48"];
        let listed = listed.map(|it| it.parse().expect("a network"));
        let connection = SocketAddr::new(connection.parse().expect("an address"), 5);
        let found = TrustedProxies::new(&listed).client(connection, forwarded_for);
        found.ip().to_string()
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_no_trusted_proxy() {
        for (connection, list, expected) in [
            ("10.0.0.1", Some("192.0.2.7"), "192.0.2.7"),
            ("10.0.0.1", Some("192.0.2.7, 10.9.9.9"), "192.0.2.7"),
            (
                "10.0.0.1",
                Some("1.1.1.1, 192.0.2.7,10.9.9.9 ,\t127.0.0.1"),
                "192.0.2.7",
            ),
            ("127.0.0.1", Some("192.0.2.7:4711"), "192.0.2.7"),
            ("127.0.0.1", Some("[2001:db8::7]:4711"), "2001:db8::7"),
            ("127.0.0.1", Some("[2001:db8::7]"), "2001:db8::7"),
            ("2001:db8:1::9", Some("2001:db8::7"), "2001:db8::7"),
            ("::ffff:10.0.0.1", Some("192.0.2.7"), "192.0.2.7"),
            // All of them are ours: the outermost has asked by itself.
            ("10.0.0.1", Some("10.0.0.3, 10.0.0.2"), "10.0.0.3"),
            ("10.0.0.1", None, "10.0.0.1"),
        ] {
            assert_eq!(client(connection, list), expected, "{list:?}");
        }
    }

    #[test]
    fn nobody_else_says_where_they_are() {
        for list in ["10.0.0.1", "127.0.0.1", "198.51.100.1, 10.0.0.1"] {
            assert_eq!(client("192.0.2.1", Some(list)), "192.0.2.1");
        }
    }

    #[test]
    fn what_is_no_address_ends_the_list() {
        for (list, expected) in [
            ("", "10.0.0.1"),
            ("unknown", "10.0.0.1"),
            ("192.0.2.7, _hidden", "10.0.0.1"),
            ("192.0.2.7, nonsense, 10.0.0.2", "10.0.0.2"),
            ("192.0.2.7,", "10.0.0.1"),
            ("999.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", Some(list)), expected, "{list}");
        }
    }

    #[test]
    fn a_list_without_an_end_is_read_no_further_than_a_chain_may_be_long() {
        let list = format!("192.0.2.7{}", ", 10.0.0.2".repeat(HOPS_MAX));
        assert_eq!(client("10.0.0.1", Some(&list)), "10.0.0.2");
        let list = format!("192.0.2.7{}", ", 10.0.0.2".repeat(HOPS_MAX - 1));
        assert_eq!(client("10.0.0.1", Some(&list)), "192.0.2.7");
    }
}
