//! Asking the sessions of every core from a thread that may block: what pg_stat_activity and
//! pg_terminate_backend work with. Who sees and ends whom is as with SHOW SESSIONS and KILL SESSION.

use super::cancel_key::BackendPid;
use super::live::{Interrupt, Killed, List, Sight};
use super::services::Signal;
use crate::access::Rights;
use crate::catalog::role::Ladder;
use crate::engine::peers::{Interrupted, Interruption, Peer, Peers};
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::executor::block_on_stream;
use shards::CoreId;
use std::time::{Duration, Instant};

/// How long cores have to answer: one that is this late hangs.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(1);

/// The way of one core's statements to all cores.
pub struct CorePeers {
    cores: u16,
    /// What the core itself hands on: only there is a way to the others.
    signals: UnboundedSender<(CoreId, Signal)>,
}

impl CorePeers {
    /// Over this channel.
    pub fn new(cores: u16, signals: UnboundedSender<(CoreId, Signal)>) -> CorePeers {
        CorePeers { cores, signals }
    }

    /// The core stops: whoever hands on need not wait for more.
    pub fn close(&self) {
        self.signals.close_channel();
    }

    fn send(&self, core: CoreId, signal: Signal) {
        // A core that stops answers nobody any more: the channel of the answer ends.
        let _ = self.signals.unbounded_send((core, signal));
    }
}

impl Peers for CorePeers {
    fn list(&self, rights: &Rights) -> Vec<Peer> {
        let (to, listed) = unbounded();
        let sight = Sight::of(rights, Ladder::Admin);
        for core in 0..self.cores {
            let to = to.clone();
            self.send(CoreId(core), Signal::List(List { sight, to }));
        }
        drop(to);
        let deadline = Instant::now() + ANSWER_WAIT_MAX;
        let mut peers: Vec<Peer> = Vec::new();
        let listed = listed.take_until(until(deadline));
        for some in block_on_stream(Box::pin(listed)) {
            peers.extend(some.into_iter().map(|it| it.peer));
        }
        peers.sort_by_key(|peer| (peer.connected_at, peer.pid));
        peers
    }

    fn interrupt(
        &self,
        rights: &Rights,
        pid: i32,
        how: Interruption,
        wait: Option<Duration>,
    ) -> Interrupted {
        let pid = BackendPid::from_number(pid).filter(|pid| pid.core < self.cores);
        let Some(pid) = pid else {
            return Interrupted::NotThere;
        };
        let (to, answer) = unbounded();
        let (gone, is_gone) = unbounded();
        let interrupt = Interrupt {
            pid,
            how,
            sight: Sight::of(rights, Ladder::TenantAdmin),
            by: rights.principal(),
            to,
            gone,
        };
        self.send(CoreId(pid.core), Signal::Interrupt(interrupt));
        let deadline = Instant::now() + ANSWER_WAIT_MAX;
        let answer = answer.take_until(until(deadline));
        match block_on_stream(Box::pin(answer)).next() {
            Some(Killed::Superuser) => Interrupted::Superuser,
            Some(Killed::NotThere) | None => Interrupted::NotThere,
            Some(Killed::Ending { .. }) => match wait {
                None => Interrupted::Told,
                Some(wait) => {
                    let ended = is_gone.map(|()| false).chain(futures::stream::iter([true]));
                    let ended = ended.take_until(until(Instant::now() + wait));
                    match block_on_stream(Box::pin(ended)).last() {
                        Some(true) => Interrupted::Told,
                        _ => Interrupted::StillThere,
                    }
                }
            },
        }
    }
}

/// Ready at this time, on a thread of the pool.
fn until(deadline: Instant) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(tokio::time::sleep_until(deadline.into()))
}
