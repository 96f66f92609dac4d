//! A million users, a million service accounts and a million API keys: what each costs in memory,
//! how long the catalog takes to open with them, what one more costs, and what a presented key costs
//! a core (DESIGN §5).

use criterion::{BatchSize, Criterion};
use nodedb::audit::{self, Audit, ChainKey, Level};
use nodedb::auth::api_key::{self, NewSecret};
use nodedb::catalog::key::ApiKey;
use nodedb::catalog::key_usage::KeyUsage;
use nodedb::catalog::passwords::Passwords;
use nodedb::catalog::principal::{Database, Principal, PrincipalKind, Tenant};
use nodedb::catalog::request::{IfExists, KeyWanted};
use nodedb::catalog::revocation::{Reports, Revocations};
use nodedb::catalog::role::Ladder;
use nodedb::catalog::snapshot::Principals;
use nodedb::catalog::store::{Embedded, Store};
use nodedb::catalog::verifier::Verifier;
use nodedb::catalog::{Change, DatabaseId, Epoch, KeyId, PrincipalId, Request, Snapshot, TenantId};
use nodedb::catalog::{definition::Orphans, port};
use nodedb::control::{Control, Held, Publish, RowKeeper, Times, Usage};
use nodedb::diagnostic::Diagnostic;
use nodedb::telemetry::histogram::Histogram;
use ring::rand::SystemRandom;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The server's allocator: what objects cost depends on it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EACH: u32 = 1_000_000;
const FIRST: u32 = 20_000;
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn principal(number: u32, name: String, kind: PrincipalKind) -> Change {
    Change::PutPrincipal(Arc::new(Principal {
        id: PrincipalId(FIRST + number),
        name: Arc::from(name),
        tenant: TenantId::SYSTEM,
        ladder: vec![Ladder::ReadWrite],
        roles: Vec::new(),
        enabled: true,
        valid_until: None,
        created_at: 0,
        allowance: Default::default(),
        kind,
    }))
}

fn user(number: u32) -> Change {
    let kind = PrincipalKind::User {
        passwords: Passwords::from(Some(Verifier {
            iterations: 4_096,
            salt: vec![7; 16],
            stored_key: [1; 32],
            server_key: [2; 32],
        })),
        default_database: None,
        connect: Vec::new(),
    };
    principal(number, format!("user{number}"), kind)
}

fn account(number: u32) -> Change {
    let databases = vec![DatabaseId::FIRST];
    let kind = PrincipalKind::ServiceAccount { databases };
    principal(EACH + number, format!("account{number}"), kind)
}

fn key(number: u32, id: KeyId, secret: &NewSecret) -> Change {
    Change::PutKey(Arc::new(ApiKey {
        id,
        name: Arc::from(format!("key{number}")),
        tenant: TenantId::SYSTEM,
        owner: PrincipalId(FIRST + number),
        secret: secret.hash,
        generation: 0,
        previous: None,
        role: None,
        databases: None,
        scopes: None,
        networks: None,
        rate_per_second: None,
        allowance: Default::default(),
        created_at: 0,
        expires_at: None,
    }))
}

fn first() -> Principals {
    let mut principals = Principals::default();
    principals.apply(&Change::PutTenant(Arc::new(Tenant {
        id: TenantId::SYSTEM,
        name: Arc::from("system"),
        default_database: DatabaseId::FIRST,
        allowance: Default::default(),
    })));
    principals.apply(&Change::PutDatabase(Arc::new(Database {
        id: DatabaseId::FIRST,
        name: Arc::from("nodedb"),
        tenant: TenantId::SYSTEM,
        owner: PrincipalId::FIRST_SUPERUSER,
    })));
    principals.apply(&Change::PutPrincipal(Arc::new(Principal {
        id: PrincipalId::FIRST_SUPERUSER,
        name: Arc::from("nodedb"),
        tenant: TenantId::SYSTEM,
        ladder: vec![Ladder::Superuser],
        roles: Vec::new(),
        enabled: true,
        valid_until: None,
        created_at: 0,
        allowance: Default::default(),
        kind: PrincipalKind::ServiceAccount {
            databases: Vec::new(),
        },
    })));
    principals
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("the kernel tells it");
    let pages = statm.split(' ').nth(1).expect("the second is resident");
    pages.parse::<u64>().expect("a number") * rustix::param::page_size() as u64
}

/// Applies the changes; prints what each has cost in memory.
fn grow(principals: &mut Principals, what: &str, changes: impl Iterator<Item = Change>) {
    let before = resident();
    for change in changes {
        principals.apply(&change);
    }
    let each = resident().saturating_sub(before) / u64::from(EACH);
    println!("memory/{what:<40} {each} bytes each");
}

/// Cores that adopt at once.
struct NoCores;

impl Publish for NoCores {
    fn publish(&self, _: Arc<Snapshot>) {}

    fn wait_adopted(&self, _: Epoch, _: Duration) -> Vec<u16> {
        Vec::new()
    }
}

struct NoRows;

impl RowKeeper for NoRows {
    fn forget(&self, _: &Orphans) -> Result<(), Diagnostic> {
        Ok(())
    }
}

/// CPU time of this process, all its threads.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.try_into().expect("time goes on"),
        time.tv_nsec.try_into().expect("nanoseconds"),
    )
}

/// CREATE API KEY through the control core and its log.
fn create(store: Embedded, principals: Principals) {
    const STATEMENTS: u32 = 1_000;
    let (handle, inbox) = port::channel();
    let nobody_looks = Histogram::new(1).observer(0);
    let audit_directory = tempfile::tempdir().expect("a directory");
    let key = ChainKey::new(&[1; 32]);
    let audit = Audit::start(
        audit_directory.path(),
        key,
        Level::Standard,
        audit::Options::default(),
    );
    let (audit, audit_thread) = audit.expect("an audit log");
    let control = Control {
        store: Box::new(store),
        current: Arc::new(Snapshot {
            epoch: Epoch(1),
            principals,
            ..Snapshot::default()
        }),
        publisher: Box::new(NoCores),
        rows: Box::new(NoRows),
        held: Held::default(),
        usage: Usage::new(KeyUsage::default(), None),
        key_requests: nodedb::auth::jwks::Requests::channel().0,
        reports: Reports::default(),
        revocations: Revocations::default(),
        times: Times {
            adoption: nobody_looks.clone(),
            revocation: nobody_looks,
        },
        audit,
    };
    let thread = control.spawn(inbox).expect("a thread");
    let by = port::Caller {
        principal: PrincipalId::FIRST_SUPERUSER,
        key: None,
        token: None,
        tenant: TenantId::SYSTEM,
        database: DatabaseId::FIRST,
        peer: "127.0.0.1:1".parse().expect("an address"),
    };
    let random = SystemRandom::new();
    let (began, cpu_before) = (Instant::now(), cpu());
    for number in 0..STATEMENTS {
        let request = Request::CreateApiKey {
            id: api_key::random_id(&random),
            secret: NewSecret::random(&random).hash,
            key: KeyWanted {
                name: Some(format!("new{number}")),
                ..KeyWanted::default()
            },
        };
        let made = futures::executor::block_on(handle.execute(by.clone(), request));
        made.expect("it is made");
    }
    let (took, used) = (
        began.elapsed() / STATEMENTS,
        (cpu() - cpu_before) / STATEMENTS,
    );
    println!("create/CREATE API KEY {used:?} of CPU each, {took:?} with its fsync");
    let account = Request::CreateServiceAccount {
        if_exists: IfExists::Fail,
        name: "one-more".to_owned(),
        database: "nodedb".to_owned(),
        role: None,
        tenant: None,
    };
    let cpu_before = cpu();
    let made = futures::executor::block_on(handle.execute(by, account));
    made.expect("it is made");
    println!(
        "create/CREATE SERVICE ACCOUNT {:?} of CPU",
        cpu() - cpu_before
    );
    drop(handle);
    thread.join().expect("it ends");
    audit_thread.close();
}

fn main() {
    let random = SystemRandom::new();
    let mut tokens: Vec<Zeroizing<String>> = Vec::with_capacity(EACH as usize);
    let keys: Vec<Change> = (0..EACH)
        .map(|number| {
            let (id, secret) = (api_key::random_id(&random), NewSecret::random(&random));
            tokens.push(secret.expose_token(id));
            key(number, id, &secret)
        })
        .collect();
    let mut principals = first();
    grow(&mut principals, "user with a password", (0..EACH).map(user));
    grow(&mut principals, "service account", (0..EACH).map(account));
    // The objects themselves were made before: their part is measured on a copy.
    let copies = keys.iter().map(|change| match change {
        Change::PutKey(key) => Change::PutKey(Arc::new(ApiKey {
            name: Arc::from(&*key.name),
            ..ApiKey::clone(key)
        })),
        _ => unreachable!("they are keys"),
    });
    grow(&mut principals, "API key", copies);
    drop(keys);

    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut store, _) = Embedded::open(directory.path()).expect("it opens");
    let part = principals.all().cloned().map(Change::PutPrincipal);
    let part: Vec<_> = part.take(100_000).collect();
    // Large enough a log to be compacted at once.
    store.append(Epoch(1), &part).expect("it is kept");
    let began = Instant::now();
    store.settle(Epoch(1), &principals).expect("it compacts");
    println!("store/snapshot written in {:?}", began.elapsed());
    drop(store);
    let began = Instant::now();
    let (store, recovered) = Embedded::open(directory.path()).expect("it opens");
    println!("store/opened in {:?}", began.elapsed());
    create(store, recovered.principals);

    let mut criterion = Criterion::default().configure_from_args();
    let mut next = 0;
    // A prime step: each presented key is cold.
    criterion.bench_function("api key/verify, among a million", |bench| {
        bench.iter_batched(
            || {
                next = (next + 611_953) % tokens.len();
                // A token comes from the network a moment before: it is not cold.
                tokens[next].clone()
            },
            |token| black_box(api_key::verify(&principals, &token, 100, HERE)),
            BatchSize::SmallInput,
        );
    });
    let hot = &tokens[17];
    criterion.bench_function("api key/verify, the same again", |bench| {
        bench.iter(|| black_box(api_key::verify(&principals, hot, 100, HERE)));
    });
    let unknown = NewSecret::random(&random).expose_token(KeyId::new([9; 8]));
    criterion.bench_function("api key/refuse an unknown one", |bench| {
        bench.iter(|| black_box(api_key::verify(&principals, &unknown, 100, HERE)));
    });
    criterion.final_summary();
}
