//! What storage costs: a statement that reads one row, and commits that share an fsync.
//!
//! `grouped` runs pgbench's TPC-B transaction on 32 sessions of two cores; its figure is wall time a
//! commit, fsync included, on the disk of the temporary directory.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use nodedb::catalog::RelationId;
use nodedb::storage::{Isolation, LockMode, LockWait, Options, Storage, Transaction};
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BRANCHES: RelationId = RelationId(1_000);
const TELLERS: RelationId = RelationId(1_001);
const ACCOUNTS: RelationId = RelationId(1_002);
const HISTORY: RelationId = RelationId(1_003);

const ACCOUNT_COUNT: u32 = 100_000;
const CORES: usize = 2;
const SESSIONS_PER_CORE: usize = 16;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn store(branches: u32) -> (Storage, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let storage = Storage::open(Options {
        map_size_bytes: 4 << 30,
        ..Options::new(directory.path(), CORES)
    })
    .expect("the store opens");
    let mut load = storage.begin(0, Isolation::ReadCommitted);
    let mut put = |relation, count: u32| {
        for key in 0..count {
            load.put(relation, &key.to_be_bytes(), &[7; 100])
                .expect("a put");
        }
    };
    put(BRANCHES, branches);
    put(TELLERS, branches * 10);
    put(ACCOUNTS, ACCOUNT_COUNT);
    wait(load.commit()).expect("the load commits");
    (storage, directory)
}

fn read(criterion: &mut Criterion) {
    let (storage, _directory) = store(1);
    let mut key = 0u32;
    let mut next_key = move || {
        key = (key + 7_919) % ACCOUNT_COUNT;
        key.to_be_bytes()
    };
    criterion.bench_function("begin_get_end", |bencher| {
        bencher.iter(|| {
            let mut transaction = storage.begin(0, Isolation::ReadCommitted);
            transaction.begin_statement().expect("a snapshot");
            let row = transaction.get(ACCOUNTS, &next_key()).expect("a get");
            black_box(row.map(|row| row.len()));
            transaction.end_statement();
        });
    });
    let mut key = 0u32;
    criterion.bench_function("lock_newest_put_rollback", |bencher| {
        bencher.iter(|| {
            key = (key + 7_919) % ACCOUNT_COUNT;
            let mut transaction = storage.begin(0, Isolation::ReadCommitted);
            wait(change(&mut transaction, ACCOUNTS, key));
        });
    });
}

async fn change(transaction: &mut Transaction, relation: RelationId, key: u32) {
    let key = key.to_be_bytes();
    let locked = transaction.lock(relation, &key, LockMode::NoKeyUpdate, LockWait::Block);
    locked.await.expect("a lock");
    let newest = transaction
        .newest(relation, &key)
        .expect("the newest version");
    let row = newest.row.expect("the row is there");
    transaction.put(relation, &key, &row).expect("a put");
}

async fn tpcb(storage: &Storage, core: usize, branches: u32, number: u32) {
    let mut transaction = storage.begin(core, Isolation::ReadCommitted);
    change(
        &mut transaction,
        ACCOUNTS,
        number.wrapping_mul(2_654_435_761) % ACCOUNT_COUNT,
    )
    .await;
    change(&mut transaction, TELLERS, number % (branches * 10)).await;
    change(&mut transaction, BRANCHES, number % branches).await;
    let row = storage
        .allocate_row_numbers(HISTORY, 1)
        .expect("a row number")
        .start;
    transaction
        .put(HISTORY, &row.to_be_bytes(), &[7; 50])
        .expect("a put");
    transaction.commit().await.expect("a commit");
}

/// Runs so many transactions on 32 sessions.
fn run_sessions(storage: &Storage, branches: u32, transactions: u64) -> Duration {
    let begun = AtomicU64::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for core in 0..CORES {
            let begun = &begun;
            scope.spawn(move || {
                let sessions: FuturesUnordered<_> = (0..SESSIONS_PER_CORE)
                    .map(|_| async move {
                        loop {
                            let number = begun.fetch_add(1, Ordering::Relaxed);
                            if number >= transactions {
                                return;
                            }
                            tpcb(storage, core, branches, number as u32).await;
                        }
                    })
                    .collect();
                wait(sessions.collect::<Vec<()>>());
            });
        }
    });
    start.elapsed()
}

fn grouped(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tpcb_32_sessions");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    group.measurement_time(Duration::from_secs(5));
    for branches in [1, 10] {
        let (storage, _directory) = store(branches);
        group.bench_function(format!("scale_{branches}"), |bencher| {
            bencher.iter_custom(|count| run_sessions(&storage, branches, count));
        });
        let metrics = storage.metrics();
        println!(
            "commits a group: {:.1}",
            metrics.commits as f64 / metrics.groups as f64
        );
    }
    group.finish();
    // One session alone: an fsync each.
    let (storage, _directory) = store(1);
    criterion.bench_function("tpcb_1_session", |bencher| {
        bencher.iter(|| wait(join_all([tpcb(&storage, 0, 1, 1)])));
    });
}

criterion_group!(benches, read, grouped);
criterion_main!(benches);
