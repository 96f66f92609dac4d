//! Point statements on a warmed template: finding the template for a text, reading a row, changing
//! one (DESIGN §6: about 1 µs each).

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use nodedb::access;
use nodedb::auth::identity::{Identity, Method};
use nodedb::catalog::change::Change;
use nodedb::catalog::definition::{Column, DefinitionChange, Relation, RelationBody, Table};
use nodedb::catalog::principal::{Database, Principal, PrincipalKind, Tenant};
use nodedb::catalog::role::Ladder;
use nodedb::catalog::sql_type::{SqlType, TypeKind};
use nodedb::catalog::{DatabaseId, Oid, PrincipalId, RelationId, Snapshot, TenantId};
use nodedb::engine::context::StatementContext;
use nodedb::engine::point::Templates;
use nodedb::engine::settings::Settings;
use nodedb::engine::transaction::Transaction;
use nodedb::sql::template::Lifter;
use nodedb::storage::{Isolation, Options, Storage, TransactionId};
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

const DATABASE: DatabaseId = DatabaseId(5);
const OWNER: PrincipalId = PrincipalId(10);
const ROWS: usize = 10_000;

/// Runs a future that never has to wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a point statement waits for nothing here"),
    }
}

fn column(name: &str, kind: TypeKind, not_null: bool) -> Column {
    Column {
        name: name.into(),
        sql_type: SqlType::scalar(kind),
        not_null,
        default: None,
        identity: None,
        sequence: None,
        added_in: 0,
        missing: None,
        dropped: false,
        generated: false,
    }
}

fn accounts() -> DefinitionChange {
    let table = Table {
        store: RelationId(1_000),
        layout_version: 0,
        columns: vec![
            column("aid", TypeKind::Int4, true),
            column("bid", TypeKind::Int4, false),
            column("abalance", TypeKind::Int4, false),
            column("filler", TypeKind::Bpchar, false),
        ],
        primary_key: vec![0],
        primary_index: None,
        indexes: Vec::new(),
        constraints: Vec::new(),
        referenced_by: Vec::new(),
        options: Vec::new(),
        comments: Default::default(),
        constraint_comments: Vec::new(),
    };
    DefinitionChange::Put(Arc::new(Relation {
        oid: Oid(20_000),
        database: DATABASE,
        schema: "public".into(),
        name: "pgbench_accounts".into(),
        owner: OWNER,
        grants: Vec::new(),
        comment: None,
        body: RelationBody::Table(table),
        row_security: Default::default(),
    }))
}

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::default();
    let changes = [
        Change::PutTenant(Arc::new(Tenant {
            id: TenantId::SYSTEM,
            name: "system".into(),
            default_database: DATABASE,
            allowance: Default::default(),
        })),
        Change::PutDatabase(Arc::new(Database {
            id: DATABASE,
            name: "nodedb".into(),
            tenant: TenantId::SYSTEM,
            owner: OWNER,
        })),
        Change::PutPrincipal(Arc::new(Principal {
            id: OWNER,
            name: "owner".into(),
            tenant: TenantId::SYSTEM,
            ladder: vec![Ladder::Admin],
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
        })),
    ];
    for change in &changes {
        snapshot.principals.apply(change);
    }
    snapshot.definitions = snapshot.definitions.with(&accounts());
    snapshot
}

fn context() -> StatementContext {
    let snapshot = snapshot();
    let identity = Identity {
        principal: OWNER,
        name: "owner".into(),
        tenant: TenantId::SYSTEM,
        database: DATABASE,
        method: Method::Scram,
        key: None,
        claims: None,
        ends_at: None,
    };
    StatementContext {
        rights: Arc::new(access::rights(&snapshot, &identity)),
        identity: Arc::new(identity),
        snapshot: Arc::new(snapshot),
        settings: Arc::new(Settings::default()),
        transaction_time: 1_700_000_000_000_000,
        statement_time: 1_700_000_000_000_000,
        read_only: false,
        lock_timeout: None,
        backend_pid: 1,
        cancel: Default::default(),
        effects: Default::default(),
        notices: Default::default(),
        parts: None,
        turn: 0,
        transaction: TransactionId(0),
        peers: None,
        objects: None,
        query: None,
    }
}

struct World {
    storage: Storage,
    context: StatementContext,
    templates: Templates,
}

impl World {
    fn filled(directory: &tempfile::TempDir) -> World {
        let storage = Storage::open(Options {
            map_size_bytes: 1 << 30,
            readers_max: 64,
            ..Options::new(directory.path(), 1)
        })
        .expect("the store opens");
        let mut world = World {
            storage,
            context: context(),
            templates: Templates::default(),
        };
        let mut transaction = world.begin();
        for aid in 1..=ROWS {
            let text = format!("INSERT INTO pgbench_accounts VALUES ({aid}, 1, 0, '')");
            world.run(&text, &mut transaction);
        }
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime can be made")
            .block_on(transaction.commit())
            .expect("the rows are committed");
        world
    }

    fn begin(&self) -> Transaction {
        Transaction::new(self.storage.begin(0, Isolation::ReadCommitted))
    }

    fn run(&mut self, text: &str, transaction: &mut Transaction) {
        let (statement, values) = self
            .templates
            .find_or_compile(text, &self.context)
            .expect("a point statement");
        transaction
            .storage
            .begin_statement()
            .expect("a snapshot can be taken");
        let outcome =
            now(statement.execute((&self.storage, None), &values, transaction, &self.context));
        black_box(outcome.expect("the statement is good"));
        transaction.storage.end_statement();
    }
}

const SELECT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 7777;";
const UPDATE: &str = "UPDATE pgbench_accounts SET abalance = abalance + -3421 WHERE aid = 7777;";

fn lifting(criterion: &mut Criterion) {
    let mut lifter = Lifter::default();
    criterion.bench_function("template/lift_select", |bench| {
        bench.iter(|| lifter.lift(black_box(SELECT)));
    });
    criterion.bench_function("template/lift_update", |bench| {
        bench.iter(|| lifter.lift(black_box(UPDATE)));
    });
}

fn point(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut world = World::filled(&directory);
    criterion.bench_function("point/find_template", |bench| {
        bench.iter(|| {
            let found = world
                .templates
                .find_or_compile(black_box(SELECT), &world.context);
            black_box(found.is_some())
        });
    });
    let mut transaction = world.begin();
    criterion.bench_function("point/select", |bench| {
        bench.iter(|| world.run(SELECT, &mut transaction));
    });
    let storage = world.storage.clone();
    criterion.bench_function("point/update", |bench| {
        bench.iter_batched_ref(
            || Transaction::new(storage.begin(0, Isolation::ReadCommitted)),
            |transaction| world.run(UPDATE, transaction),
            // One at a time: the transaction holds the row until it is dropped.
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, lifting, point);
criterion_main!(benches);
