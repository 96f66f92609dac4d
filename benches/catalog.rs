//! The catalog among 100,000 users: a look-up by name as each login makes it, the rights that a
//! session works out when an epoch arrives, one change, and a record of the log.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use nodedb::access::Rights;
use nodedb::catalog::principal::{Database, Principal, PrincipalKind, Tenant};
use nodedb::catalog::role::Ladder;
use nodedb::catalog::store::record::{decode_record, encode_record};
use nodedb::catalog::{Change, DatabaseId, Epoch, PrincipalId, Snapshot, TenantId};
use std::hint::black_box;
use std::sync::Arc;

const USERS: u32 = 100_000;

fn user(number: u32) -> Change {
    Change::PutPrincipal(Arc::new(Principal {
        id: PrincipalId(20_000 + number),
        name: Arc::from(format!("user{number}")),
        tenant: TenantId::SYSTEM,
        ladder: vec![Ladder::ReadWrite],
        roles: Vec::new(),
        enabled: true,
        valid_until: None,
        created_at: 0,
        allowance: Default::default(),
        kind: PrincipalKind::User {
            passwords: Default::default(),
            default_database: None,
            connect: Vec::new(),
        },
    }))
}

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::default();
    let tenant = Change::PutTenant(Arc::new(Tenant {
        id: TenantId::SYSTEM,
        name: Arc::from("system"),
        default_database: DatabaseId::FIRST,
        allowance: Default::default(),
    }));
    let database = Change::PutDatabase(Arc::new(Database {
        id: DatabaseId::FIRST,
        name: Arc::from("nodedb"),
        tenant: TenantId::SYSTEM,
        owner: PrincipalId::FIRST_SUPERUSER,
    }));
    snapshot.principals.apply(&tenant);
    snapshot.principals.apply(&database);
    for number in 0..USERS {
        snapshot.principals.apply(&user(number));
    }
    snapshot
}

fn catalog(criterion: &mut Criterion) {
    let snapshot = snapshot();
    let names: Vec<_> = (0..1_024).map(|it| format!("user{}", it * 97)).collect();
    let mut next = 0;
    criterion.bench_function("catalog/look-up by name", |bench| {
        bench.iter(|| {
            next = (next + 1) % names.len();
            black_box(snapshot.principals.principal_named(&names[next]))
        });
    });
    let somebody = snapshot.principals.principal_named("user777");
    let somebody = somebody.expect("one of them").clone();
    criterion.bench_function("catalog/rights of a user", |bench| {
        bench.iter(|| black_box(Rights::of(&snapshot, &somebody, DatabaseId::FIRST)));
    });
    let change = user(USERS);
    criterion.bench_function("catalog/one change to the next snapshot", |bench| {
        bench.iter_batched(
            || snapshot.clone(),
            |mut next| {
                next.principals.apply(&change);
                next
            },
            BatchSize::SmallInput,
        );
    });
    let changes = [change.clone()];
    criterion.bench_function("catalog/a record written and read", |bench| {
        bench.iter(|| {
            let record = encode_record(Epoch(1), black_box(&changes)).expect("it fits");
            black_box(decode_record(&record).expect("it is whole"))
        });
    });
}

criterion_group!(benches, catalog);
criterion_main!(benches);
