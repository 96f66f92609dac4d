//! Who may read /metrics from beyond this machine (REFERENCE §4): an admin of the first tenant, or a superuser.
//! Its lines name all tenants' providers, which another tenant's admin never sees (REFERENCE §2).

use super::credential::{self, Presenter};
use super::head::Head;
use crate::auth::presented::Presented;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::session::login::{self, Who, Wish};
use crate::session::{CoreServices, Protocol, Session};
use shards::Stream;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

/// A request for /metrics from elsewhere.
pub struct Scrape<'a> {
    /// Its connection.
    pub stream: &'a Stream,
    /// Where it comes from, by what trusted proxies say.
    pub client: SocketAddr,
    /// Its head.
    pub head: &'a Head,
    /// The client certificate of its connection, if any.
    pub certificate: Option<&'a Rc<Presented>>,
    /// Whose the last request on this connection was.
    pub earlier: &'a Rc<Cell<Option<Who>>>,
    /// What its core works with.
    pub services: &'a Rc<CoreServices>,
}

impl Scrape<'_> {
    /// Whether it may have them. A log-in like any other: counted, recorded, throttled.
    ///
    /// # Errors
    /// What a log-in is refused with; 42501 for who is no operator.
    pub async fn admit(self) -> Result<(), Diagnostic> {
        let began = Instant::now();
        login::admit(self.services)?;
        let presenter = Presenter {
            stream: self.stream,
            client: self.client,
            certificate: self.certificate.map(|it| &**it),
            services: self.services,
        };
        let proved = credential::present(self.head, presenter).await?;
        let wish = Wish {
            tenant: None,
            database: None,
            protocol: Protocol::Http,
            settings: Vec::new(),
            peer: self.client,
            began,
            certificate: self.certificate.cloned(),
            earlier: Some(self.earlier.clone()),
        };
        let session = Session::log_in(self.services.clone(), proved, wish).await?;
        match session.is_operators() {
            true => Ok(()),
            false => Err(Diagnostic::error(
                SqlState::INSUFFICIENT_PRIVILEGE,
                "permission denied for metrics",
            )
            .with_detail("From beyond this machine they are for admins of the first tenant.")),
        }
    }
}
