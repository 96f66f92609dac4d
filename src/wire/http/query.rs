//! `/v1/query` and `/v1/query/stream` (REFERENCE §4): a text of statements in, the rows of the last
//! one as JSON out.
//!
//! Each request is a session of its own, from its credential to its end. What ordinary statements
//! stand in one text are one transaction. A credential is proved before the body is read: a
//! stranger's costs no memory.

use super::asked::{Asked, Query, Refused};
use super::body::{self, BODY_BYTES_MAX};
use super::cors::{self, Origins};
use super::credential::{self, Presenter};
use super::error::{HttpError, QUERY_METHODS, STREAM_METHODS};
use super::gzip::{self, Coding};
use super::head::{Head, Method};
use super::lines::Lines;
use super::output::Output;
use super::refusal::refusal;
use super::reply::Reply;
use super::response::{Headers, KeepAlive, Response};
use super::run;
use super::send::{WithBody, send};
use crate::auth::Authenticated;
use crate::auth::identity::Method as ProvedBy;
use crate::auth::presented::Presented;
use crate::diagnostic::Diagnostic;
use crate::session::login::{self, Who, Wish};
use crate::session::{CoreServices, Protocol, Session};
use crate::wire::attended::attended;
use shards::Stream;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The reply is one JSON object.
    Query,
    /// The reply is one row a line.
    Stream,
}

impl Endpoint {
    /// By its path.
    pub fn of(path: &str) -> Option<Endpoint> {
        match path {
            "/v1/query" => Some(Endpoint::Query),
            "/v1/query/stream" => Some(Endpoint::Stream),
            _ => None,
        }
    }

    fn methods(self) -> &'static str {
        match self {
            Endpoint::Query => QUERY_METHODS,
            Endpoint::Stream => STREAM_METHODS,
        }
    }

    fn demand_method(self, method: Method) -> Result<(), HttpError> {
        match (self, method) {
            (Endpoint::Query, Method::Get | Method::Head | Method::Post) => Ok(()),
            (Endpoint::Query, _) => Err(HttpError::QueryMethod),
            (Endpoint::Stream, Method::Post) => Ok(()),
            (Endpoint::Stream, _) => Err(HttpError::StreamMethod),
        }
    }
}

/// One request and what answers it.
pub struct Exchange<'a> {
    /// Its connection.
    pub stream: &'a Stream,
    /// Where it comes from, by what trusted proxies say.
    pub client: SocketAddr,
    /// Its head; the body is still to be read.
    pub head: &'a Head,
    /// What it is for.
    pub endpoint: Endpoint,
    /// The client certificate of its connection, if any.
    pub certificate: Option<&'a Rc<Presented>>,
    /// Whose the session of the request before it on this connection was.
    pub earlier: &'a Rc<Cell<Option<Who>>>,
    /// Which pages may ask.
    pub origins: &'a Origins,
    /// What its core works with.
    pub services: &'a Rc<CoreServices>,
}

/// What has come of a request.
enum Answered {
    /// This is to be sent, and then the connection goes on, or not.
    With(Response, KeepAlive),
    /// It has been; the connection goes on, or not.
    Streamed(KeepAlive),
}

impl Exchange<'_> {
    /// Answers; says whether the connection goes on.
    pub async fn respond(self) -> KeepAlive {
        let admitted = match self.origins.admit(&self.head.page) {
            Ok(admitted) => admitted,
            Err(error) => {
                let keep_alive = body::pass_over(self.stream, self.head);
                return self.send(error.response(), keep_alive).await;
            }
        };
        if self.head.method == Method::Options {
            let keep_alive = body::pass_over(self.stream, self.head);
            let response = cors::options(self.endpoint.methods(), &admitted);
            let response = response.with_headers(&admitted);
            return self.send(response, keep_alive).await;
        }
        match self.answer(&admitted).await {
            Answered::With(response, keep_alive) => {
                self.send(response.with_headers(&admitted), keep_alive)
                    .await
            }
            Answered::Streamed(keep_alive) => keep_alive,
        }
    }

    async fn answer(&self, admitted: &Headers) -> Answered {
        let (asked, authenticated) = match self.before_body().await {
            Ok(asked) => asked,
            Err(refused) => {
                let keep_alive = body::pass_over(self.stream, self.head);
                return Answered::With(refused.response(), keep_alive);
            }
        };
        let epoch = self.services.parts.catalog.current().epoch();
        let limit = self.services.parts.limits.message_bytes_max;
        let body = match body::receive(self.stream, self.head, limit.min(BODY_BYTES_MAX)).await {
            Ok(Some(body)) => body,
            Ok(None) => return Answered::Streamed(KeepAlive::Close),
            Err(error) => return Answered::With(error.response(), KeepAlive::Close),
        };
        let ran = async {
            let query = asked.with_body(body, self.services).await?;
            let authenticated = self.confirm(authenticated, epoch).await?;
            self.run(authenticated, &query, admitted).await
        };
        ran.await
            .unwrap_or_else(|error| Answered::With(refusal(&error), self.head.keep_alive))
    }

    /// All that can be refused without the body.
    async fn before_body(&self) -> Result<(Asked, Authenticated), Refused> {
        let refused = Refused::Http;
        self.endpoint
            .demand_method(self.head.method)
            .map_err(refused)?;
        let asked = Asked::of(self.head).map_err(refused)?;
        login::admit(self.services).map_err(Refused::Statement)?;
        let presented = credential::present(self.head, self.presenter());
        let authenticated = presented.await.map_err(Refused::Statement)?;
        Ok((asked, authenticated))
    }

    /// What was proved before the body, if it is still so. A body may take a minute, and a password
    /// that has been changed meanwhile opens no session (DESIGN §2): where there is a newer catalog
    /// it is presented anew. Logins and keys that are gone are found by the log-in itself.
    async fn confirm(
        &self,
        proved: Authenticated,
        epoch: u64,
    ) -> Result<Authenticated, Diagnostic> {
        let now = self.services.parts.catalog.current().epoch();
        match proved.method() {
            // A password may stand behind a certificate.
            ProvedBy::Password | ProvedBy::Certificate if now != epoch => {}
            _ => return Ok(proved),
        }
        credential::present(self.head, self.presenter()).await
    }

    fn presenter(&self) -> Presenter<'_> {
        Presenter {
            stream: self.stream,
            client: self.client,
            certificate: self.certificate.map(|it| &**it),
            services: self.services,
        }
    }

    /// Runs the statements in a session of their own.
    async fn run(
        &self,
        authenticated: Authenticated,
        query: &Query,
        admitted: &Headers,
    ) -> Result<Answered, Diagnostic> {
        let wish = Wish {
            tenant: query.tenant,
            database: query.database.clone(),
            protocol: Protocol::Http,
            settings: Vec::new(),
            peer: self.client,
            // What came before it waited for the body.
            began: Instant::now(),
            certificate: self.certificate.cloned(),
            earlier: Some(self.earlier.clone()),
        };
        let mut session = Session::log_in(self.services.clone(), authenticated, wish).await?;
        let mut output = self.output(admitted);
        let handle = session.handle().clone();
        let running = Box::pin(run::run(&mut session, query, &mut output));
        let outcome = attended(self.stream, &handle, self.services, running).await;
        session.abandon();
        Box::pin(session.leave_nothing()).await;
        Ok(match output {
            Output::Reply(reply) => Answered::With(reply.finish(outcome?), self.head.keep_alive),
            Output::Lines(lines) => match outcome {
                Ok(_) => Answered::Streamed(lines.finish()),
                Err(error) => match lines.fail(&error) {
                    Some(response) => Answered::With(response, self.head.keep_alive),
                    None => Answered::Streamed(KeepAlive::Close),
                },
            },
        })
    }

    fn output(&self, admitted: &Headers) -> Output<'_> {
        match self.endpoint {
            Endpoint::Query => Output::Reply(Reply::default()),
            Endpoint::Stream => Output::Lines(Lines::new(
                self.stream,
                self.head.version,
                self.head.keep_alive,
                admitted.clone(),
                self.services.parts.limits.outbox_bytes_max,
            )),
        }
    }

    async fn send(&self, response: Response, keep_alive: KeepAlive) -> KeepAlive {
        let response = match self.head.coding {
            Coding::Identity => response,
            Coding::Gzip => Box::pin(gzip::encoded(response, self.services)).await,
        };
        let with_body = WithBody::to(self.head.method);
        send(self.stream, &response, keep_alive, with_body).await
    }
}
