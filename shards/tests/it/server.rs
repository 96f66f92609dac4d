//! A server to test with: its sessions run a closure, its messages are closures too.

use shards::{
    CoreContext, CoreId, Listener, ListenerId, Mesh, MetricsHandle, Options, Runtime, Shard, Stream,
};
use std::cell::RefCell;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

/// Something to run on a core.
pub type Job = Box<dyn FnOnce(&Rc<TestShard>) + Send>;

type Session = fn(Rc<TestShard>, Stream) -> std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct TestShard {
    pub context: CoreContext<Job>,
    session: Session,
    /// Woken when draining begins.
    pub draining: RefCell<Vec<futures::channel::oneshot::Sender<()>>>,
}

impl Shard for TestShard {
    type Message = Job;

    fn accepted(self: &Rc<Self>, _listener: ListenerId, stream: Stream) {
        shards::spawn((self.session)(Rc::clone(self), stream));
    }

    fn message(self: &Rc<Self>, message: Job) {
        message(self);
    }

    fn drain(self: &Rc<Self>) {
        self.draining.take().into_iter().for_each(|one| {
            let _ = one.send(());
        });
    }
}

pub struct Server {
    pub runtime: Option<Runtime<Job>>,
    pub address: SocketAddr,
    pub metrics: MetricsHandle,
}

/// Two cores, unless there is only one.
pub fn options() -> Options {
    Options {
        cores: Some(2),
        listeners: vec![Listener {
            name: "test",
            addresses: vec![
                "127.0.0.1:0".parse().expect("an address"),
                "[::1]:0".parse().expect("an address"),
            ],
        }],
        ..Options::default()
    }
}

impl Server {
    pub fn start(session: Session) -> Self {
        Self::start_with(options(), session)
    }

    pub fn start_with(options: Options, session: Session) -> Self {
        let runtime = Runtime::start(options, move |context| TestShard {
            context,
            session,
            draining: RefCell::default(),
        });
        let runtime = runtime.expect("the runtime starts");
        Self {
            address: runtime.addresses(ListenerId(0))[0],
            metrics: runtime.metrics(),
            runtime: Some(runtime),
        }
    }

    pub fn runtime(&self) -> &Runtime<Job> {
        self.runtime.as_ref().expect("not joined yet")
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Runs something on a core and waits for its result.
    pub fn on_core<T: Send + 'static>(
        &self,
        core: CoreId,
        job: impl FnOnce(&Rc<TestShard>) -> T + Send + 'static,
    ) -> T {
        on_core(&self.runtime().mesh(), core, job)
    }

    /// Waits until a condition about the server's figures holds.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&MetricsHandle) -> bool) {
        let begun = std::time::Instant::now();
        while !condition(&self.metrics) {
            assert!(begun.elapsed() < PATIENCE, "{what} did not come about");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.join();
        }
    }
}

pub fn on_core<T: Send + 'static>(
    mesh: &Mesh<Job>,
    core: CoreId,
    job: impl FnOnce(&Rc<TestShard>) -> T + Send + 'static,
) -> T {
    let (answer, answers) = mpsc::channel();
    let job = move |shard: &Rc<TestShard>| {
        let _ = answer.send(job(shard));
    };
    mesh.send(core, Box::new(job)).expect("the core takes it");
    answers.recv_timeout(PATIENCE).expect("the core answers")
}

/// Sends back what it receives until the peer ends its side.
pub fn echo(_shard: Rc<TestShard>, stream: Stream) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        while let Ok(1..) = stream.fill().await {
            let received = stream.inbox().split();
            stream.outbox().extend_from_slice(&received);
            drop(received);
            if stream.drained(64 * 1024).await.is_err() {
                return;
            }
        }
        stream.close().await;
    })
}

/// Everything up to the end of the stream, and how it ended.
pub fn read_to_end(stream: &mut TcpStream) -> (Vec<u8>, std::io::Result<()>) {
    let mut all = Vec::new();
    let ended = stream.read_to_end(&mut all).map(|_| ());
    (all, ended)
}

/// The descriptors that this process has open, as what they are.
pub fn open_descriptors() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("procfs");
    let link = |entry: std::io::Result<std::fs::DirEntry>| {
        let link = std::fs::read_link(entry.expect("procfs").path()).unwrap_or_default();
        // Sockets are numbered: what counts is how many there are.
        let link = link.to_string_lossy().into_owned();
        if link.starts_with("socket:") {
            "socket".to_owned()
        } else {
            link
        }
    };
    let mut all: Vec<_> = entries.map(link).collect();
    all.sort();
    all
}
