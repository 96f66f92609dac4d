//! Logs and metrics.

mod logs;
pub mod metrics;

pub use logs::{LogError, start_logs};
pub use metrics::Metrics;
