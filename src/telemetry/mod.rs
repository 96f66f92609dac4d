//! Logs and metrics.

pub mod histogram;
mod logs;
pub mod metrics;

pub use logs::{LogError, start_logs};
pub use metrics::Metrics;
