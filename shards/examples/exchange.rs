//! What the runtime itself costs: server CPU for each request and reply over the loopback.
//!
//! Starts itself a second time as a server that answers every 40 bytes with 80, drives it with
//! so many connections for so many seconds, and prints the exchanges a second and the server's
//! CPU time for each:
//!
//! ```text
//! cargo run --release -p shards --example exchange -- [connections] [seconds] [cores] [threads] [kept|new]
//! ```
//!
//! With `new` every exchange has a connection of its own.

use rustix::event::epoll;
use shards::{Listener, ListenerId, Options, Runtime, Shard, Stream};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const REQUEST: [u8; 40] = [b'q'; 40];
const REPLY: [u8; 80] = [b'r'; 80];

struct Server;

impl Shard for Server {
    type Message = ();

    fn accepted(self: &Rc<Self>, _: ListenerId, stream: Stream) {
        shards::spawn(session(stream));
    }

    fn message(self: &Rc<Self>, (): ()) {}

    fn drain(self: &Rc<Self>) {}
}

async fn session(stream: Stream) {
    while let Ok(1..) = stream.fill().await {
        let mut inbox = stream.inbox();
        while inbox.len() >= REQUEST.len() {
            bytes::Buf::advance(&mut *inbox, REQUEST.len());
            stream.outbox().extend_from_slice(&REPLY);
        }
        drop(inbox);
        stream.flush();
    }
    stream.close().await;
}

/// Serves until standard input ends.
fn serve(cores: usize) {
    let options = Options {
        cores: Some(cores),
        listeners: vec![Listener {
            name: "exchange",
            addresses: vec!["127.0.0.1:0".parse().expect("an address")],
        }],
        ..Options::default()
    };
    let runtime = Runtime::start(options, |_| Server).expect("the runtime starts");
    println!("{}", runtime.addresses(ListenerId(0))[0]);
    let _ = std::io::stdin().read(&mut [0]);
    for core in runtime.metrics().collect() {
        eprintln!("{core:?}");
    }
    runtime.join();
}

/// One thread's connections, driven by epoll; counts exchanges.
fn drive(address: SocketAddr, connections: usize, exchanges: &AtomicU64, stop: &AtomicBool) {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
    let mut streams = Vec::new();
    for index in 0..connections {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a socket option");
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&poll, &stream, data, epoll::EventFlags::IN).expect("watched");
        streams.push((stream, 0));
    }
    for (stream, _) in &mut streams {
        stream.write_all(&REQUEST).expect("written");
    }
    let mut events = Vec::with_capacity(256);
    let timeout = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    while !stop.load(Ordering::Relaxed) {
        events.clear();
        let room = rustix::buffer::spare_capacity(&mut events);
        epoll::wait(&poll, room, Some(&timeout)).expect("waited");
        for event in &events {
            let (stream, received) = &mut streams[event.data.u64() as usize];
            let mut buffer = [0; 4096];
            *received += stream.read(&mut buffer).expect("answered");
            if *received >= REPLY.len() {
                *received -= REPLY.len();
                exchanges.fetch_add(1, Ordering::Relaxed);
                stream.write_all(&REQUEST).expect("written");
            }
        }
    }
}

/// One thread that connects, exchanges once and closes, over and over.
fn drive_new(address: SocketAddr, exchanges: &AtomicU64, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.write_all(&REQUEST).expect("written");
        stream.read_exact(&mut [0; REPLY.len()]).expect("answered");
        exchanges.fetch_add(1, Ordering::Relaxed);
        // By a reset, so that ports do not wait for minutes.
        let socket = socket2::SockRef::from(&stream);
        socket
            .set_linger(Some(Duration::ZERO))
            .expect("a socket option");
    }
}

/// CPU time that a process has used.
fn cpu_time(process: &Child) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id())).expect("procfs");
    let nanoseconds = tasks.flatten().map(|task| {
        let statistics = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let first = statistics.split(' ').next().unwrap_or_default();
        first.parse::<u64>().unwrap_or(0)
    });
    Duration::from_nanos(nanoseconds.sum())
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| {
        let argument = arguments.next();
        argument.map_or(default, |text| text.parse().expect("a number"))
    };
    if std::env::var_os("EXCHANGE_SERVE").is_some() {
        return serve(number(2));
    }
    let (connections, seconds, cores, threads) = (number(100), number(5), number(2), number(2));
    let connect_anew = arguments.next().as_deref() == Some("new");
    let mut server = Command::new(std::env::current_exe().expect("this program"))
        .arg(cores.to_string())
        .env("EXCHANGE_SERVE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut address = String::new();
    let output = server.stdout.take().expect("piped");
    BufReader::new(output)
        .read_line(&mut address)
        .expect("an address");
    let address = address.trim().parse().expect("an address");
    let (exchanges, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let share = connections / threads + usize::from(thread < connections % threads);
            let (exchanges, stop) = (&exchanges, &stop);
            scope.spawn(move || match connect_anew {
                false => drive(address, share, exchanges, stop),
                true => drive_new(address, exchanges, stop),
            });
        }
        std::thread::sleep(Duration::from_secs(1));
        let (begun, count, used) = (
            Instant::now(),
            exchanges.load(Ordering::Relaxed),
            cpu_time(&server),
        );
        std::thread::sleep(Duration::from_secs(seconds as u64));
        let count = exchanges.load(Ordering::Relaxed) - count;
        let (used, elapsed) = (cpu_time(&server) - used, begun.elapsed());
        stop.store(true, Ordering::Relaxed);
        println!(
            "{connections} connections, {cores} cores: {:.0} exchanges/s, {:.2} µs server CPU each, server at {:.0} %",
            count as f64 / elapsed.as_secs_f64(),
            used.as_secs_f64() * 1e6 / count as f64,
            100.0 * used.as_secs_f64() / elapsed.as_secs_f64(),
        );
    });
    drop(server.stdin.take());
    server.wait().expect("the server ends");
}
