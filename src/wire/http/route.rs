//! What each path answers.

use super::cors::{self, Origins};
use super::error::{HEALTH_METHODS, HttpError};
use super::forwarded::TrustedProxies;
use super::head::{Body, Head, Method};
use super::readiness::{Phase, Readiness};
use super::response::{Headers, Response, Status};
use crate::telemetry::Metrics;
use std::net::IpAddr;
use std::sync::Arc;

/// prometheus-client prints OpenMetrics 1.0, which Prometheus reads as its own text format too.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where the metrics are.
pub const METRICS_PATH: &str = "/metrics";

/// What a client can ask for, as OpenAPI 3.1; the drivers' tests hold the server to it.
const DESCRIPTION: &str = include_str!("openapi.json");

/// What the HTTP port shows. One for the whole server.
#[derive(Clone, Debug)]
pub struct Service {
    /// What /metrics prints.
    pub metrics: Metrics,
    /// What the health endpoints say.
    pub readiness: Arc<Readiness>,
    /// Which pages may ask.
    pub origins: Origins,
    /// Which proxies say where requests come from.
    pub proxies: TrustedProxies,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// This machine.
    Loopback,
    /// Anywhere else.
    Elsewhere,
    /// Anywhere else, by somebody who may look at the whole server.
    Operator,
}

impl Peer {
    /// From the peer's address; IPv4 in IPv6 counts as what it is.
    pub fn of(address: IpAddr) -> Peer {
        if address.to_canonical().is_loopback() {
            Peer::Loopback
        } else {
            Peer::Elsewhere
        }
    }
}

/// The answer to a request.
///
/// # Errors
///
/// [`HttpError`]; see [`HttpError::response`].
pub fn answer(head: &Head, peer: Peer, service: &Service) -> Result<Response, HttpError> {
    let endpoint = match head.path.as_str() {
        "/health/live" => Endpoint::Live,
        "/health/ready" | "/healthz" => Endpoint::Ready,
        METRICS_PATH => Endpoint::Metrics,
        "/v1/openapi.json" => Endpoint::Description,
        _ => return Err(HttpError::NotFound),
    };
    match head.method {
        Method::Get | Method::Head => {}
        Method::Options => return Ok(cors::options(HEALTH_METHODS, &Headers::new())),
        Method::Post | Method::Other => return Err(HttpError::MethodNotAllowed),
    }
    match head.body {
        Body::Empty => {}
        Body::Length(_) => return Err(HttpError::BodyTooLarge),
        Body::Chunked => return Err(HttpError::ChunkedBody),
    }
    match endpoint {
        // Whoever reads this answer sees a process whose cores run.
        Endpoint::Live => Ok(health(Status::OK, Phase::Serving)),
        Endpoint::Ready => match service.readiness.phase() {
            Phase::Serving => Ok(health(Status::OK, Phase::Serving)),
            phase @ (Phase::Starting | Phase::Draining) => {
                Ok(health(Status::SERVICE_UNAVAILABLE, phase))
            }
        },
        Endpoint::Description => Ok(Response::json(Status::OK, DESCRIPTION.to_owned())),
        Endpoint::Metrics => match peer {
            Peer::Loopback | Peer::Operator => {
                let text = service.metrics.render().map_err(|error| {
                    tracing::error!(%error, "the metrics cannot be printed");
                    HttpError::Internal
                })?;
                Ok(Response::new(Status::OK, METRICS_TYPE, text))
            }
            Peer::Elsewhere => Err(HttpError::NotLoopback),
        },
    }
}

enum Endpoint {
    Live,
    Ready,
    Metrics,
    Description,
}

fn health(status: Status, phase: Phase) -> Response {
    Response::json(status, format!("{{\"status\":\"{}\"}}\n", phase.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::gzip::Coding;
    use super::super::head::{Page, Version};
    use super::super::response::KeepAlive;
    use super::*;

    fn service() -> Service {
        Service {
            metrics: Metrics::new(),
            readiness: Arc::new(Readiness::default()),
            origins: Origins::default(),
            proxies: TrustedProxies::default(),
        }
    }

    fn request(method: Method, path: &str) -> Head {
        Head {
            method,
            path: path.to_owned(),
            query: None,
            authorization: None,
            database: None,
            tenant: None,
            forwarded_for: None,
            page: Page::None,
            coding: Coding::Identity,
            expects_continue: false,
            version: Version::Http11,
            keep_alive: KeepAlive::Yes,
            body: Body::Empty,
        }
    }

    fn get(path: &str, peer: Peer, service: &Service) -> Result<(u16, String), HttpError> {
        let response = answer(&request(Method::Get, path), peer, service)?;
        let body = String::from_utf8(response.body().concat()).unwrap();
        Ok((response.status().code(), body))
    }

    #[test]
    fn health_follows_the_phases_of_the_server() {
        let service = service();
        let get = |path| get(path, Peer::Elsewhere, &service).unwrap();
        let live = (200, "{\"status\":\"ok\"}\n".to_owned());
        assert_eq!(get("/health/live"), live);
        assert_eq!(
            get("/health/ready"),
            (503, "{\"status\":\"starting\"}\n".to_owned())
        );
        service.readiness.enter(Phase::Serving);
        assert_eq!(get("/health/ready"), live);
        assert_eq!(get("/healthz"), live);
        service.readiness.enter(Phase::Draining);
        assert_eq!(
            get("/health/ready"),
            (503, "{\"status\":\"draining\"}\n".to_owned())
        );
        assert_eq!(get("/health/live"), live);
    }

    #[test]
    fn metrics_are_for_this_machine_and_for_operators() {
        let service = service();
        let loopback = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"];
        for address in loopback {
            let peer = Peer::of(address.parse().unwrap());
            assert_eq!(
                get("/metrics", peer, &service),
                Ok((200, "# EOF\n".to_owned())),
                "{address}"
            );
        }
        assert_eq!(
            get("/metrics", Peer::Operator, &service),
            Ok((200, "# EOF\n".to_owned()))
        );
        for address in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "0.0.0.0"] {
            let peer = Peer::of(address.parse().unwrap());
            assert_eq!(
                get("/metrics", peer, &service),
                Err(HttpError::NotLoopback),
                "{address}"
            );
        }
    }

    #[test]
    fn the_description_is_json_of_this_version() {
        let (status, body) = get("/v1/openapi.json", Peer::Elsewhere, &service()).unwrap();
        assert_eq!(status, 200);
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read["openapi"], "3.1.0");
        assert_eq!(read["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn everything_else_is_404() {
        let service = service();
        for path in [
            "/",
            "/v1/query/streams",
            "/metrics/",
            "/health",
            "//metrics",
            "*",
            "",
        ] {
            assert_eq!(
                get(path, Peer::Loopback, &service),
                Err(HttpError::NotFound),
                "{path}"
            );
        }
    }

    #[test]
    fn other_methods_are_405_and_bodies_are_refused() {
        let service = service();
        let post = request(Method::Other, "/metrics");
        assert_eq!(
            answer(&post, Peer::Loopback, &service),
            Err(HttpError::MethodNotAllowed)
        );
        for (body, error) in [
            (Body::Length(1), HttpError::BodyTooLarge),
            (Body::Chunked, HttpError::ChunkedBody),
        ] {
            let head = Head {
                body,
                ..request(Method::Get, "/healthz")
            };
            assert_eq!(answer(&head, Peer::Loopback, &service), Err(error));
        }
    }

    #[test]
    #[should_panic(expected = "a server does not go back a phase")]
    fn a_server_does_not_go_back_a_phase() {
        let readiness = Readiness::default();
        readiness.enter(Phase::Draining);
        readiness.enter(Phase::Serving);
    }
}
