//! The per-core runtime (DESIGN §4): one executor pinned to each core, the core's own socket
//! ring beside it, listeners on every core, TLS on their connections, a mesh of typed messages
//! between the cores, snapshot replicas with an adoption fence, timers, and a graceful drain.
//!
//! It knows no SQL and no credentials: the program above implements [`Shard`] and is handed
//! accepted connections and messages. The types of the executor and of the ring never leave
//! this crate, so that a change of runtime touches it alone.

mod balance;
mod core;
mod core_id;
mod doorbell;
mod driver;
mod error;
mod limits;
mod mesh;
mod metrics;
mod net;
mod options;
mod replica;
mod runtime;
pub mod sim;
mod stream;
mod task;
mod time_slice;
mod timer;
mod tls;
mod waker;

pub use core_id::{CoreId, core};
pub use error::{StartError, StartWarning};
pub use mesh::{MAILBOX_MESSAGES_MAX, Mesh, SendError};
pub use metrics::CoreMetrics;
pub use options::{Listener, ListenerId, Options};
pub use replica::{Acknowledge, Adopted, Publisher, Replica};
pub use runtime::{CoreContext, MetricsHandle, Runtime, Shard};
pub use stream::{Admission, CLOSE_FLUSH_MAX, Stream};
pub use task::{spawn, yield_now};
pub use timer::{Elapsed, Timeout, sleep, timeout};
pub use tls::{TlsError, TlsSession};
