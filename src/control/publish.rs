//! How control reaches the cores.

use crate::catalog::{Epoch, Snapshot};
use shards::Publisher;
use std::sync::Arc;
use std::time::Duration;

/// Publishing to the cores: `shards::Publisher<Snapshot>`, or a test's.
pub trait Publish: Send {
    /// Makes it the newest; cores adopt it between two slices.
    fn publish(&self, snapshot: Arc<Snapshot>);

    /// Waits until every core has adopted the epoch or the bound has passed; gives the numbers
    /// of the cores that have not. Blocks.
    fn wait_adopted(&self, epoch: Epoch, bound: Duration) -> Vec<u16>;
}

impl Publish for Arc<Publisher<Snapshot>> {
    fn publish(&self, snapshot: Arc<Snapshot>) {
        Publisher::publish(self, snapshot.epoch.0, snapshot);
    }

    fn wait_adopted(&self, epoch: Epoch, bound: Duration) -> Vec<u16> {
        let late = Publisher::wait_adopted(self, epoch.0, bound);
        late.into_iter().map(|core| core.0).collect()
    }
}
