//! The seam to whatever fetches a provider's documents (DESIGN §3): HTTPS now.

use std::time::Duration;

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// At most [`super::DOCUMENT_BYTES_MAX`].
    pub body: Vec<u8>,
    /// The header Cache-Control.
    pub cache_control: Option<String>,
}

/// Why nothing came, for the log and SHOW OIDC PROVIDERS. Names the address, not what it answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Whoever answers there says that there is no such thing.
    #[error("{url}: there is nothing there (status {status})")]
    Missing {
        /// What was asked for.
        url: String,
        /// 404 or 410.
        status: u16,
    },
    /// Anything else.
    #[error("{url}: {reason}")]
    Failed {
        /// What was asked for.
        url: String,
        /// What went wrong.
        reason: String,
    },
}

/// Fetches.
pub trait Source: Send + Sync {
    /// What lies at this address, within that time. Blocks for as long: never on a session core.
    ///
    /// # Errors
    /// [`SourceError`]: out of reach, not allowed, too long, or not answered with success.
    fn fetch(&self, url: &str, within: Duration) -> Result<Reply, SourceError>;
}
