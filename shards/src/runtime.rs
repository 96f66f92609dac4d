//! Starting and stopping the cores.

use crate::core::{Control, Core, CoreShared, Cores, Course};
use crate::driver::Driver;
use crate::mesh::Mailbox;
use crate::net::{ListeningSocket, Net, bind};
use crate::task::panic_text;
use crate::{
    CoreId, CoreMetrics, ListenerId, Mesh, Options, StartError, StartWarning, Stream, limits,
};
use glommio::{LocalExecutorBuilder, Placement};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The stack of a core's thread, as that of a process: a session's futures are large in a build
/// without optimization, where 2 MiB overflow at the first statement. Only what is touched
/// takes memory.
const CORE_STACK_BYTES: usize = 8 * 1024 * 1024;

/// What the program runs on each core. Built on the core's own thread.
pub trait Shard: 'static {
    /// What cores are told over the mesh.
    type Message: Send + 'static;

    /// A connection has been accepted: starts its task with [`spawn`](crate::spawn). Must not
    /// take long.
    fn accepted(self: &Rc<Self>, listener: ListenerId, stream: Stream);

    /// A message has arrived. Must not take long.
    fn message(self: &Rc<Self>, message: Self::Message);

    /// The runtime is being drained: nothing is accepted any more, and sessions should end as
    /// soon as what they are doing has ended.
    fn drain(self: &Rc<Self>);
}

/// What a shard is built with.
pub struct CoreContext<M> {
    /// The core it runs on.
    pub core: CoreId,
    /// How many there are.
    pub cores: usize,
    /// To all cores.
    pub mesh: Mesh<M>,
}

/// The running cores.
pub struct Runtime<M> {
    cores: Arc<Cores>,
    mesh: Mesh<M>,
    addresses: Vec<Vec<SocketAddr>>,
    warnings: Vec<StartWarning>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// The figures of the cores, from any thread.
#[derive(Clone)]
pub struct MetricsHandle {
    cores: Arc<Cores>,
}

impl MetricsHandle {
    /// Each core's figures now. Takes no part in what the cores do.
    pub fn collect(&self) -> Vec<CoreMetrics> {
        self.cores.all.iter().map(|core| core.metrics()).collect()
    }

    /// Connections on all cores.
    pub fn connections(&self) -> usize {
        self.cores.connections.load(Ordering::Relaxed)
    }
}

/// How often draining looks whether the last connection has ended.
const DRAIN_PERIOD: Duration = Duration::from_millis(5);

/// How long aborted connections may take to be closed.
const ABORT_BOUND: Duration = Duration::from_secs(2);

impl<M: Send + 'static> Runtime<M> {
    /// How many cores a runtime with these options will have.
    pub fn cores_of(options: &Options) -> usize {
        let processors = processors().len();
        options
            .cores
            .map_or(processors, |asked| asked.min(processors))
            .max(1)
    }

    /// Starts a thread for each core, pinned, and returns when all of them listen.
    ///
    /// # Errors
    ///
    /// What [`StartError`] says; nothing is left running then.
    pub fn start<S: Shard<Message = M>>(
        options: Options,
        make_shard: impl Fn(CoreContext<M>) -> S + Clone + Send + 'static,
    ) -> Result<Self, StartError> {
        let count = Self::cores_of(&options);
        if let Some(asked) = options.cores.filter(|&asked| asked != count) {
            tracing::warn!(
                asked,
                cores = count,
                "there are not as many processors as cores asked for"
            );
        }
        let limits = limits::check(&options, count)?;
        let bound = bind(&options.listeners, count)?;
        let all = (0..count)
            .map(|index| CoreShared::new(core_id(index)).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let mailboxes: Arc<[_]> = all
            .iter()
            .map(|core| Arc::new(Mailbox::new(Arc::clone(&core.doorbell))))
            .collect();
        let mut runtime = Self {
            cores: Arc::new(Cores {
                all,
                connections: AtomicUsize::new(0),
                connections_max: limits.connections_max,
            }),
            mesh: Mesh::new(Arc::clone(&mailboxes)),
            addresses: bound.addresses,
            warnings: limits.warnings,
            threads: Vec::new(),
        };
        let (report, reports) = mpsc::channel();
        for ((index, listeners), processor) in bound.cores.into_iter().enumerate().zip(processors())
        {
            let seed = Seed {
                shared: Arc::clone(&runtime.cores.all[index]),
                cores: Arc::clone(&runtime.cores),
                mailbox: Arc::clone(&mailboxes[index]),
                mesh: runtime.mesh.clone(),
                listeners,
                processor,
                options: options.clone(),
                report: report.clone(),
            };
            let make_shard = make_shard.clone();
            let thread = thread::Builder::new()
                .name(format!("core-{index}"))
                .stack_size(CORE_STACK_BYTES)
                .spawn(move || seed.grow(make_shard));
            let thread = thread.map_err(|error| StartError::Core {
                core: core_id(index).0,
                reason: format!("no thread: {error}"),
            });
            match thread {
                Ok(thread) => runtime.threads.push(thread),
                Err(error) => return Err(runtime.abandon(error)),
            }
        }
        drop(report);
        runtime.await_reports(&reports)
    }

    /// Waits until every core has said that it runs.
    fn await_reports(self, reports: &mpsc::Receiver<Report>) -> Result<Self, StartError> {
        for _ in 0..self.threads.len() {
            match reports.recv() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(self.abandon(error)),
                Err(mpsc::RecvError) => unreachable!("every core reports, in whatever way it ends"),
            }
        }
        Ok(self)
    }

    fn abandon(self, error: StartError) -> StartError {
        self.join();
        error
    }

    /// Limits of the system that were too low for the options.
    pub fn warnings(&self) -> &[StartWarning] {
        &self.warnings
    }

    /// How many connections are served at most.
    pub fn connections_max(&self) -> usize {
        self.cores.connections_max
    }

    /// The mesh.
    pub fn mesh(&self) -> Mesh<M> {
        self.mesh.clone()
    }

    /// The addresses a listener is bound to.
    ///
    /// # Panics
    ///
    /// When there is no such listener.
    pub fn addresses(&self, listener: ListenerId) -> &[SocketAddr] {
        &self.addresses[usize::from(listener.0)]
    }

    /// For `/metrics`: usable from any thread, also when the runtime has ended.
    pub fn metrics(&self) -> MetricsHandle {
        MetricsHandle {
            cores: Arc::clone(&self.cores),
        }
    }

    /// Stops accepting, tells the shards to drain, waits at most so long for connections to
    /// end, and aborts those that are left. Returns how many were aborted. Blocks.
    pub fn drain(&self, bound: Duration) -> usize {
        self.tell(|| Control::Drain);
        if self.wait_for_no_connections(bound) {
            return 0;
        }
        let left = self.cores.connections.load(Ordering::Relaxed);
        self.tell(|| Control::AbortAll);
        self.wait_for_no_connections(ABORT_BOUND);
        left
    }

    /// Stops the cores, aborting what connections there are, and waits for their threads.
    pub fn join(self) {
        self.tell(|| Control::Stop);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a core ended by a panic");
            }
        }
    }

    fn tell(&self, control: impl Fn() -> Control) {
        for core in &self.cores.all {
            core.tell(control());
        }
    }

    fn wait_for_no_connections(&self, bound: Duration) -> bool {
        let end = Instant::now() + bound;
        while self.cores.connections.load(Ordering::Relaxed) > 0 {
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(DRAIN_PERIOD);
        }
        true
    }
}

type Report = Result<(), StartError>;

/// What a core's thread is started with.
struct Seed<M> {
    shared: Arc<CoreShared>,
    cores: Arc<Cores>,
    mailbox: Arc<Mailbox<M>>,
    mesh: Mesh<M>,
    listeners: Vec<ListeningSocket>,
    processor: usize,
    options: Options,
    report: mpsc::Sender<Report>,
}

impl<M: Send + 'static> Seed<M> {
    /// Runs the core on this thread until it is told to stop.
    fn grow<S: Shard<Message = M>>(self, make_shard: impl Fn(CoreContext<M>) -> S) {
        let id = self.shared.id;
        let executor = LocalExecutorBuilder::new(Placement::Fixed(self.processor))
            .name("core")
            .io_memory(self.options.io_memory_bytes)
            .make();
        let executor = match executor {
            Ok(executor) => executor,
            Err(error) => {
                let reason = error.to_string();
                let core = id.0;
                // The runtime waits for this report: it cannot have gone.
                let _ = self.report.send(Err(StartError::Core { core, reason }));
                return;
            }
        };
        crate::time_slice::shorten();
        let report = self.report.clone();
        let raised = AtomicBool::new(false);
        let life = catch_unwind(AssertUnwindSafe(|| {
            executor.run(async {
                match self.raise(make_shard) {
                    Ok(driver) => {
                        raised.store(true, Ordering::Relaxed);
                        let _ = report.send(Ok(()));
                        driver.run().await;
                    }
                    Err(error) => {
                        let _ = report.send(Err(error));
                    }
                }
            });
        }));
        if let Err(panic) = life {
            let reason = panic_text(&*panic);
            if raised.into_inner() {
                // A core that is gone would leave its connections hanging and every credential
                // statement waiting: better no server, and a restart by whoever supervises it.
                tracing::error!(core = id.0, reason, "a core has failed, the server ends");
                std::process::abort();
            }
            let core = id.0;
            let reason = reason.to_owned();
            let _ = report.send(Err(StartError::Core { core, reason }));
        }
        // After the executor has gone, because its tasks use it.
        drop(executor);
        Core::install(None);
    }

    fn raise<S: Shard<Message = M>>(
        self,
        make_shard: impl Fn(CoreContext<M>) -> S,
    ) -> Result<Driver<S>, StartError> {
        let id = self.shared.id;
        let net = Net::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.cores),
            self.listeners,
            &self.options,
        )?;
        let core = Rc::new(Core {
            shared: self.shared,
            net: Rc::new(net),
            followers: RefCell::default(),
            yielded: RefCell::default(),
            places: crate::waker::Places::default(),
            course: Cell::new(Course::Running),
            tasks: Cell::new(0),
        });
        Core::install(Some(Rc::clone(&core)));
        let shard = make_shard(CoreContext {
            core: id,
            cores: self.cores.all.len(),
            mesh: self.mesh,
        });
        Driver::new(core, Rc::new(shard), self.mailbox).map_err(|error| StartError::Core {
            core: id.0,
            reason: error.to_string(),
        })
    }
}

/// The processors that the process may run on.
fn processors() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..rustix::thread::CpuSet::MAX_CPU)
            .filter(|&processor| set.is_set(processor))
            .collect(),
        Err(_) => vec![0],
    }
}

fn core_id(index: usize) -> CoreId {
    CoreId(u16::try_from(index).expect("fewer cores than 65,536"))
}
