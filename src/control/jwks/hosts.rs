//! `allow_http_hosts`: hosts that are trusted to be a provider's whatever their address, and without
//! TLS (REFERENCE §9).

use std::fmt;

/// A list of them. An entry without a port is for every port.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AllowedHosts(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    host: String,
    port: Option<u16>,
}

/// What is neither `host` nor `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a host or host:port (such as \"localhost\", \"10.1.2.3:8080\" or \"[::1]:8080\")"
)]
pub struct NotAHost(pub String);

impl AllowedHosts {
    /// Reads the entries.
    ///
    /// # Errors
    /// [`NotAHost`]: the first that is not one.
    pub fn parse<T: AsRef<str>>(entries: &[T]) -> Result<AllowedHosts, NotAHost> {
        let entries = entries.iter().map(|entry| Entry::parse(entry.as_ref()));
        entries.collect::<Result<_, _>>().map(AllowedHosts)
    }

    /// Whether this host is listed, with its port; as a URL writes it.
    pub fn lists(&self, host: &str, port: u16) -> bool {
        self.0.iter().any(|entry| {
            entry.host.eq_ignore_ascii_case(host) && entry.port.is_none_or(|it| it == port)
        })
    }
}

impl Entry {
    /// By the rules of URLs, so that what is listed and what is asked for are written alike.
    fn parse(text: &str) -> Result<Entry, NotAHost> {
        let refused = || NotAHost(text.to_owned());
        // Of a scheme without a default port: a port that is written is a port that is told.
        let url = url::Url::parse(&format!("ws://{text}")).map_err(|_| refused())?;
        let host = url.host_str().ok_or_else(refused)?;
        let port = match text.strip_suffix(":80") {
            Some(_) => Some(80),
            None => url.port(),
        };
        let entry = Entry {
            host: host.to_owned(),
            port,
        };
        // Nothing else may stand in it: no path, no user, no second host.
        let plain = entry.to_string();
        plain
            .eq_ignore_ascii_case(text)
            .then_some(entry)
            .ok_or_else(refused)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_listed_for_every_port_and_a_host_with_a_port_for_that_one() {
        let hosts = [
            "localhost",
            "10.1.2.3:8080",
            "[::1]:80",
            "Keycloak.internal",
        ];
        let hosts = AllowedHosts::parse(&hosts).expect("hosts");
        for (host, port) in [
            ("localhost", 1),
            ("localhost", 443),
            ("LOCALHOST", 443),
            ("10.1.2.3", 8_080),
            ("[::1]", 80),
            ("keycloak.internal", 8_443),
        ] {
            assert!(hosts.lists(host, port), "{host}:{port}");
        }
        for (host, port) in [
            ("10.1.2.3", 80),
            ("[::1]", 81),
            ("localhost.example", 443),
            ("evil-localhost", 443),
            ("127.0.0.1", 443),
        ] {
            assert!(!hosts.lists(host, port), "{host}:{port}");
        }
        assert!(!AllowedHosts::default().lists("localhost", 80));
    }

    #[test]
    fn what_is_not_a_host_is_an_error() {
        for entry in [
            "",
            "http://localhost",
            "localhost/",
            "user@host",
            "host:",
            "host:x",
            "host:99999",
            "a b",
            "::1",
            "host/path",
            "host?x",
        ] {
            let refused = AllowedHosts::parse(&[entry]);
            assert_eq!(refused, Err(NotAHost(entry.to_owned())), "{entry}");
        }
    }
}
