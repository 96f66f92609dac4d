//! The loop: threads that wait for all of their connections at once, as pgbench's do.

use crate::error::DriveError;
use crate::protocol::Protocol;
use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// The longest latency that the histogram tells apart, in microseconds.
const LATENCY_US_MAX: u64 = 60_000_000;

/// How long a server may say nothing over all of a thread's connections.
const SILENCE_MAX: Timespec = Timespec {
    tv_sec: 30,
    tv_nsec: 0,
};

/// Bytes that are read at once; a reply is far shorter.
const READ_BYTES: usize = 4096;

/// How much load, and for how long.
pub struct Plan {
    /// Accounts are 1 to this.
    pub accounts: u32,
    /// Over so many connections.
    pub connections: u16,
    /// Served by so many threads.
    pub threads: u16,
    /// Requests are sent for so long; the last are waited for.
    pub time: Duration,
}

/// Runs the load; the latencies of all requests, in microseconds.
///
/// # Errors
/// What the first connection that failed has failed with.
pub fn run(protocol: &dyn Protocol, plan: &Plan) -> Result<Histogram<u64>, DriveError> {
    let streams = (0..plan.connections)
        .map(|_| protocol.connect())
        .collect::<Result<Vec<_>, _>>()?;
    let end = Instant::now() + plan.time;
    let threads = usize::from(plan.threads);
    let share = streams.len().div_ceil(threads);
    let outcomes = thread::scope(|scope| {
        let workers: Vec<_> = streams
            .chunks(share)
            .map(|streams| scope.spawn(move || drive(protocol, streams, plan.accounts, end)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"))
            .collect::<Vec<_>>()
    });
    let mut latencies_us = histogram();
    for outcome in outcomes {
        latencies_us
            .add(outcome?)
            .expect("all histograms have the same bounds");
    }
    Ok(latencies_us)
}

/// What a connection waits for.
struct Waiting {
    since: Instant,
    received: Vec<u8>,
}

fn drive(
    protocol: &dyn Protocol,
    streams: &[TcpStream],
    accounts: u32,
    end: Instant,
) -> Result<Histogram<u64>, DriveError> {
    let mut random = fastrand::Rng::new();
    let mut request = Vec::new();
    let mut send = |stream: &TcpStream| -> io::Result<Instant> {
        request.clear();
        protocol.request(random.u32(1..=accounts), &mut request);
        let since = Instant::now();
        let mut stream = stream;
        stream.write_all(&request)?;
        Ok(since)
    };
    let mut waiting = Vec::new();
    for stream in streams {
        waiting.push(Waiting {
            since: send(stream)?,
            received: Vec::with_capacity(READ_BYTES),
        });
    }
    let mut polled: Vec<_> = streams
        .iter()
        .map(|stream| PollFd::new(stream, PollFlags::IN))
        .collect();
    let mut latencies_us = histogram();
    let mut open = streams.len();
    let mut buffer = [0; READ_BYTES];
    while open > 0 {
        if poll(&mut polled, Some(&SILENCE_MAX)).map_err(io::Error::from)? == 0 {
            return Err(DriveError::Unexpected("nothing for too long"));
        }
        for index in 0..streams.len() {
            if polled[index].revents().is_empty() {
                continue;
            }
            let mut stream = &streams[index];
            let waiting = &mut waiting[index];
            match stream.read(&mut buffer)? {
                0 => return Err(DriveError::Unexpected("the end of the connection")),
                count => waiting.received.extend_from_slice(&buffer[..count]),
            }
            let Some(length) = protocol.reply(&waiting.received)? else {
                continue;
            };
            if length != waiting.received.len() {
                return Err(DriveError::Unexpected("more than was asked for"));
            }
            waiting.received.clear();
            let now = Instant::now();
            let took_us = u64::try_from((now - waiting.since).as_micros()).unwrap_or(u64::MAX);
            latencies_us.saturating_record(took_us);
            if now < end {
                waiting.since = send(stream)?;
            } else {
                open -= 1;
            }
        }
    }
    Ok(latencies_us)
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_US_MAX, 3).expect("3 digits up to a minute fit")
}
