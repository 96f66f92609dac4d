//! From a provider to its keys: where they are said to lie, or where the issuer says so (REFERENCE §6).

use crate::auth::jwks::{
    Document, Fetched, Followed, KeySet, Reply, Source, SourceError, discovery_url, fallback_url,
    max_age,
};
use std::time::{Duration, Instant};

/// All of a fetch, discovery counted.
pub const FETCH_TIME_MAX: Duration = Duration::from_secs(5);

/// A set that was fetched, and the document it was read from.
#[derive(Debug)]
pub struct Found {
    /// The set.
    pub fetched: Fetched,
    /// To be kept.
    pub document: Vec<u8>,
}

/// Fetches a provider's keys: from its `jwks_url`, else from where its issuer's discovery document
/// says, else, where there is no such document, from the usual place. Blocks, up to
/// [`FETCH_TIME_MAX`].
///
/// # Errors
/// Why there are none, for the log and SHOW OIDC PROVIDERS.
pub fn fetch(source: &dyn Source, provider: &Followed) -> Result<Found, String> {
    let until = Instant::now() + FETCH_TIME_MAX;
    let ask = |url: &str| source.fetch(url, until.saturating_duration_since(Instant::now()));
    let text = |error: SourceError| error.to_string();
    let url = match &provider.jwks_url {
        Some(url) => url.clone(),
        None => {
            let discovery = discovery_url(&provider.issuer);
            match ask(&discovery) {
                Ok(reply) => {
                    let document = Document::read(&reply.body, &provider.issuer);
                    let document = document.map_err(|unfit| format!("{discovery}: {unfit}"))?;
                    document.jwks_url
                }
                Err(SourceError::Missing { .. }) => fallback_url(&provider.issuer),
                Err(failed) => return Err(failed.to_string()),
            }
        }
    };
    let Reply {
        body,
        cache_control,
    } = ask(&url).map_err(text)?;
    let keys = KeySet::parse(&body).map_err(|unfit| format!("{url}: {unfit}"))?;
    let max_age = cache_control.as_deref().and_then(max_age);
    Ok(Found {
        fetched: Fetched { keys, max_age },
        document: body,
    })
}
