//! Pages of other origins that may ask from a browser (Fetch standard, "HTTP extensions").
//!
//! A browser adds the credentials that its user has typed to whatever any page asks for. So a
//! request for a page is answered only where `cors_origins` lists the page's origin: by default
//! none is, and a page from elsewhere cannot even have a statement run whose answer it could not
//! read, neither by a script nor as the address of an image. Programs name no page.

use super::error::HttpError;
use super::head::Page;
use super::response::{Headers, Response};
use std::borrow::Cow;
use std::sync::Arc;

/// How long a browser may remember the answer to a preflight request.
const MAX_AGE_SECONDS: &str = "600";

/// `[server.http] cors_origins`
#[derive(Clone, Debug, Default)]
pub struct Origins(Arc<[String]>);

impl Origins {
    /// Those that are listed, as browsers write them: scheme, host, and port where it is not the
    /// scheme's own.
    pub fn new(listed: &[String]) -> Origins {
        Origins(listed.into())
    }

    /// What the answer for this page carries; nothing where there is none.
    ///
    /// # Errors
    /// 403 for a page whose origin is not listed, or not told.
    pub fn admit(&self, page: &Page) -> Result<Headers, HttpError> {
        let origin = match page {
            Page::None => return Ok(Headers::new()),
            Page::Elsewhere => return Err(HttpError::Origin),
            Page::Of(origin) => origin,
        };
        if !self.0.iter().any(|listed| listed == origin) {
            return Err(HttpError::Origin);
        }
        Ok(vec![
            ("access-control-allow-origin", Cow::from(origin.clone())),
            ("access-control-allow-credentials", "true".into()),
            ("access-control-expose-headers", "retry-after".into()),
            ("vary", "origin".into()),
        ])
    }
}

/// The answer to OPTIONS, which is a browser's preflight request where it names an origin.
pub fn options(methods: &'static str, admitted: &Headers) -> Response {
    let response = Response::no_content().with_header("allow", methods);
    if admitted.is_empty() {
        return response;
    }
    response
        .with_header("access-control-allow-methods", methods)
        .with_header(
            "access-control-allow-headers",
            "authorization, content-type, x-nodedb-database, x-nodedb-tenant",
        )
        .with_header("access-control-max-age", MAX_AGE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_origin_itself_is_admitted() {
        let origins = Origins::new(&["https://app.example".to_owned()]);
        let of = |origin: &str| Page::Of(origin.to_owned());
        let admitted = origins.admit(&of("https://app.example"));
        let admitted = admitted.expect("listed");
        assert_eq!(admitted[0].1, "https://app.example");
        for other in [
            "https://app.example:8443",
            "http://app.example",
            "https://app.example.org",
            "https://app.exampl",
            "null",
            "*",
            "",
        ] {
            assert_eq!(origins.admit(&of(other)), Err(HttpError::Origin), "{other}");
        }
        assert_eq!(origins.admit(&Page::None), Ok(Vec::new()));
        assert_eq!(origins.admit(&Page::Elsewhere), Err(HttpError::Origin));
        let none = Origins::default();
        assert_eq!(none.admit(&of("null")), Err(HttpError::Origin));
    }
}
