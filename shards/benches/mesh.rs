//! A message from one core to another and back: with both cores asleep in between, and with
//! both busy.

use criterion::{Criterion, criterion_group, criterion_main};
use shards::{CoreContext, CoreId, ListenerId, Options, Runtime, Shard, Stream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

enum Message {
    /// Goes back and forth until none are left.
    Round {
        left: u64,
        begun: Instant,
        done: mpsc::Sender<Duration>,
    },
    /// Keeps the core busy with yields until told to stop.
    Busy(Arc<AtomicBool>),
}

struct Player(CoreContext<Message>);

impl Shard for Player {
    type Message = Message;

    fn accepted(self: &Rc<Self>, _: ListenerId, _: Stream) {}

    fn message(self: &Rc<Self>, message: Message) {
        match message {
            Message::Round { left, begun, done } => self.play(left, begun, done),
            Message::Busy(stop) => shards::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    shards::yield_now().await;
                }
            }),
        }
    }

    fn drain(self: &Rc<Self>) {}
}

impl Player {
    fn play(&self, left: u64, begun: Instant, done: mpsc::Sender<Duration>) {
        let home = self.0.core == CoreId(0);
        if home && left == 0 {
            done.send(begun.elapsed()).expect("the bench waits");
            return;
        }
        let (to, left) = if home {
            (CoreId(1), left - 1)
        } else {
            (CoreId(0), left)
        };
        let round = Message::Round { left, begun, done };
        self.0.mesh.send(to, round).expect("taken");
    }
}

fn rounds(runtime: &Runtime<Message>, left: u64) -> Duration {
    let (done, answer) = mpsc::channel();
    let begun = Instant::now();
    let round = Message::Round { left, begun, done };
    runtime.mesh().send(CoreId(0), round).expect("taken");
    answer.recv().expect("answered")
}

fn mesh_round_trip(criterion: &mut Criterion) {
    let options = Options {
        cores: Some(2),
        ..Options::default()
    };
    let runtime = Runtime::start(options, Player).expect("the runtime starts");
    if runtime.mesh().cores() < 2 {
        return;
    }
    criterion.bench_function("mesh round trip, cores idle", |bencher| {
        bencher.iter_custom(|count| rounds(&runtime, count));
    });
    let stop = Arc::new(AtomicBool::new(false));
    for core in [CoreId(0), CoreId(1)] {
        let busy = Message::Busy(Arc::clone(&stop));
        runtime.mesh().send(core, busy).expect("taken");
    }
    criterion.bench_function("mesh round trip, cores busy", |bencher| {
        bencher.iter_custom(|count| rounds(&runtime, count));
    });
    stop.store(true, Ordering::Relaxed);
    runtime.join();
}

criterion_group!(benches, mesh_round_trip);
criterion_main!(benches);
