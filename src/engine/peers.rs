//! The other sessions, as a statement may see and stop them: pg_stat_activity,
//! pg_terminate_backend, pg_cancel_backend. Sessions live on their cores; whoever knows how to ask
//! these implements [`Peers`].

use crate::access::Rights;
use crate::catalog::{DatabaseId, PrincipalId};
use std::net::SocketAddr;
use std::time::Duration;

/// One session.
#[derive(Clone, Debug)]
pub struct Peer {
    /// pg_backend_pid()
    pub pid: i32,
    /// Its database.
    pub database: DatabaseId,
    /// Its name.
    pub database_name: Option<String>,
    /// Who it is.
    pub user: PrincipalId,
    /// The name.
    pub user_name: String,
    /// Where its client is.
    pub client: SocketAddr,
    /// When it began, Unix microseconds.
    pub connected_at: i64,
    /// What it does, in PostgreSQL's words.
    pub state: &'static str,
}

/// What to do to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// Stop its statement.
    Cancel,
    /// End it.
    Terminate,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// It was told.
    Told,
    /// It was told, and is still there after the time that was given.
    StillThere,
    /// There is none of this number that the asker may see.
    NotThere,
    /// A superuser's, and the asker is none.
    Superuser,
}

/// The way to the other sessions. Its functions wait for the cores' answers, a second at most: they
/// are for threads that may block.
pub trait Peers: Send + Sync {
    /// The sessions that somebody with these rights may see.
    fn list(&self, rights: &Rights) -> Vec<Peer>;

    /// Stops a session's statement, or ends it and waits so long until it is gone.
    fn interrupt(
        &self,
        rights: &Rights,
        pid: i32,
        how: Interruption,
        wait: Option<Duration>,
    ) -> Interrupted;
}
