//! What a core counts.

use crate::CoreId;

/// One core's figures at one moment.
#[derive(Clone, Debug)]
pub struct CoreMetrics {
    /// Which core.
    pub core: CoreId,
    /// Connections it holds now.
    pub connections: u64,
    /// Connections accepted since the start (handed over ones count where they were accepted).
    pub accepted: u64,
    /// Connections handed to another core.
    pub handed_over: u64,
    /// Connections closed because the limit and its excess were reached.
    pub refused: u64,
    /// Bytes received from peers.
    pub received_bytes: u64,
    /// Bytes sent to peers.
    pub sent_bytes: u64,
    /// Messages taken from the mesh.
    pub messages: u64,
    /// Tasks that ended by a panic.
    pub panics: u64,
    /// Times the socket ring had no free receive buffer.
    pub buffers_exhausted: u64,
    /// Slices run.
    pub slices: u64,
    /// Slice lengths in microseconds: the median.
    pub slice_us_p50: u64,
    /// Slice lengths in microseconds: 99 of 100 are shorter.
    pub slice_us_p99: u64,
    /// Slice lengths in microseconds: 999 of 1,000 are shorter.
    pub slice_us_p999: u64,
    /// The longest slice in microseconds.
    pub slice_us_max: u64,
    /// Page faults that had to wait for the disk.
    pub major_faults: u64,
}
