//! A store, a catalog and a query engine made by hand.
//!
//! ```text
//! CREATE TABLE t (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'x', amount numeric(10,2),
//!                 at timestamptz DEFAULT now(), ok bool);
//! CREATE TABLE u (id int8 PRIMARY KEY, t_id int REFERENCES t ON DELETE CASCADE,
//!                 code varchar(10) UNIQUE, CHECK (id > 0));
//! CREATE INDEX u_t ON u (t_id);
//! CREATE VIEW v AS SELECT id, name FROM t;
//! CREATE SEQUENCE s;
//! CREATE TABLE c (k char(5), b bytea, d date);
//! ```

use crate::access;
use crate::auth::identity::{Identity, Method};
use crate::catalog::change::Change;
use crate::catalog::definition::{
    Column, Constraint, ConstraintBody, DefinitionChange, Index, IndexConstraint,
    ReferentialAction, Relation, RelationBody, Sequence, Table, View,
};
use crate::catalog::principal::{Database, Principal, PrincipalKind, Tenant};
use crate::catalog::role::Ladder;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::catalog::{DatabaseId, Oid, PrincipalId, RelationId, Snapshot, TenantId};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::outcome::{Outcome, Rows};
use crate::engine::query::{Options, QueryEngine};
use crate::engine::row::{IndexEntry, KeyLayout, RowLayout, encode_row_number};
use crate::engine::settings::Settings;
use crate::engine::transaction::Transaction;
use crate::engine::types::{self, Input};
use crate::storage::{self, Isolation, Storage, TransactionId};
use bytes::BytesMut;
use datafusion::common::ScalarValue;
use futures::executor::block_on;
use std::sync::Arc;
use tempfile::TempDir;

pub const DATABASE: DatabaseId = DatabaseId(16_384);
const OTHER_DATABASE: DatabaseId = DatabaseId(16_385);
const OWNER: PrincipalId = PrincipalId(16_390);
const STRANGER: PrincipalId = PrincipalId(16_391);
pub const T: Oid = Oid(16_400);
pub const U: Oid = Oid(16_402);

/// Everything a query needs.
pub struct World {
    pub engine: QueryEngine,
    pub storage: Storage,
    pub context: StatementContext,
    _directory: TempDir,
}

fn column(name: &str, sql_type: SqlType) -> Column {
    Column {
        name: name.into(),
        sql_type,
        not_null: false,
        default: None,
        generated: false,
        identity: None,
        sequence: None,
        added_in: 0,
        missing: None,
        dropped: false,
    }
}

fn of(kind: TypeKind) -> SqlType {
    SqlType::scalar(kind)
}

fn table(store: u32, columns: Vec<Column>, primary_key: Vec<u16>) -> Table {
    Table {
        store: RelationId(store),
        layout_version: 0,
        columns,
        primary_key,
        primary_index: None,
        indexes: Vec::new(),
        constraints: Vec::new(),
        referenced_by: Vec::new(),
        options: Vec::new(),
        comments: Vec::new(),
        constraint_comments: Vec::new(),
    }
}

fn index(store: u32, table: Oid, column: u16, constraint: Option<IndexConstraint>) -> RelationBody {
    RelationBody::Index(Index {
        store: RelationId(store),
        table,
        columns: vec![column],
        descending: vec![false],
        unique: constraint.is_some(),
        constraint,
        details: Default::default(),
    })
}

fn sequence(store: u32, owned_by: Option<(Oid, u16)>) -> RelationBody {
    RelationBody::Sequence(Sequence {
        store: RelationId(store),
        sql_type: of(TypeKind::Int8),
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cycle: false,
        owned_by,
    })
}

fn required(column: Column) -> Column {
    Column {
        not_null: true,
        ..column
    }
}

fn table_u() -> Table {
    let code = SqlType {
        typmod: 14,
        ..of(TypeKind::Varchar)
    };
    let mut u = table(
        1_001,
        vec![
            required(column("id", of(TypeKind::Int8))),
            column("t_id", of(TypeKind::Int4)),
            column("code", code),
        ],
        vec![0],
    );
    u.primary_index = Some(Oid(16_403));
    u.indexes = vec![Oid(16_404), Oid(16_405)];
    u.constraints = vec![
        Constraint {
            oid: Oid(16_410),
            name: "u_id_check".into(),
            body: ConstraintBody::Check {
                expression: "id > 0".into(),
            },
            validated: true,
        },
        Constraint {
            oid: Oid(16_411),
            name: "u_t_id_fkey".into(),
            body: ConstraintBody::ForeignKey {
                columns: vec![1],
                table: T,
                referenced: vec![0],
                on_update: ReferentialAction::NoAction,
                on_delete: ReferentialAction::Cascade,
                deferral: Default::default(),
            },
            validated: true,
        },
    ];
    u
}

fn table_c() -> Table {
    let bpchar = SqlType {
        typmod: 9,
        ..of(TypeKind::Bpchar)
    };
    table(
        1_006,
        vec![
            column("k", bpchar),
            column("b", of(TypeKind::Bytea)),
            column("d", of(TypeKind::Date)),
        ],
        Vec::new(),
    )
}

fn relations() -> Vec<(u32, &'static str, RelationBody)> {
    let mut t = table(
        1_000,
        vec![
            Column {
                default: Some("nextval('t_id_seq'::regclass)".into()),
                sequence: Some(Oid(16_399)),
                ..required(column("id", of(TypeKind::Int4)))
            },
            Column {
                default: Some("'x'::text".into()),
                ..required(column("name", of(TypeKind::Text)))
            },
            column("amount", types::name::numeric_type(10, 2)),
            Column {
                default: Some("now()".into()),
                ..column("at", of(TypeKind::Timestamptz))
            },
            column("ok", of(TypeKind::Bool)),
        ],
        vec![0],
    );
    t.primary_index = Some(Oid(16_401));
    t.referenced_by = vec![U];
    let view = View {
        query: "SELECT t.id, t.name FROM t".into(),
        columns: vec![
            ("id".into(), of(TypeKind::Int4)),
            ("name".into(), of(TypeKind::Text)),
        ],
        comments: Vec::new(),
    };
    let primary = Some(IndexConstraint::PrimaryKey);
    vec![
        (16_399, "t_id_seq", sequence(1_004, Some((T, 0)))),
        (T.0, "t", RelationBody::Table(t)),
        (16_401, "t_pkey", index(1_000, T, 0, primary)),
        (U.0, "u", RelationBody::Table(table_u())),
        (16_403, "u_pkey", index(1_001, U, 0, primary)),
        (
            16_404,
            "u_code_key",
            index(1_002, U, 2, Some(IndexConstraint::Unique)),
        ),
        (16_405, "u_t", index(1_003, U, 1, None)),
        (16_406, "v", RelationBody::View(view)),
        (16_407, "s", sequence(1_005, None)),
        (16_408, "c", RelationBody::Table(table_c())),
    ]
}

/// The rows, each value as text; None is NULL.
const ROWS: &[(&str, &[&[Option<&str>]])] = &[
    (
        "t",
        &[
            &[
                Some("1"),
                Some("one"),
                Some("1.50"),
                Some("2024-01-01 10:00:00+00"),
                Some("t"),
            ],
            &[
                Some("2"),
                Some("two"),
                Some("20.00"),
                Some("2024-02-01 10:00:00+00"),
                Some("f"),
            ],
            &[Some("3"), Some("three"), None, None, None],
        ],
    ),
    (
        "u",
        &[
            &[Some("10"), Some("1"), Some("a")],
            &[Some("20"), Some("1"), Some("b")],
            &[Some("30"), Some("2"), Some("c")],
            &[Some("40"), None, None],
        ],
    ),
    (
        "c",
        &[
            &[Some("ab"), Some("\\x0102"), Some("2024-03-01")],
            &[Some("abc"), None, Some("2024-03-02")],
        ],
    ),
];

fn principal(id: PrincipalId, name: &str, tenant: TenantId, rung: Ladder) -> Change {
    Change::PutPrincipal(Arc::new(Principal {
        id,
        name: name.into(),
        tenant,
        ladder: vec![rung],
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
    for (tenant, name, database, owner) in [
        (TenantId::SYSTEM, "system", DATABASE, OWNER),
        (TenantId(42), "tenant_42", OTHER_DATABASE, STRANGER),
    ] {
        snapshot
            .principals
            .apply(&Change::PutTenant(Arc::new(Tenant {
                id: tenant,
                name: name.into(),
                default_database: database,
                allowance: Default::default(),
            })));
        snapshot
            .principals
            .apply(&Change::PutDatabase(Arc::new(Database {
                id: database,
                name: "nodedb".into(),
                tenant,
                owner,
            })));
    }
    for change in [
        principal(OWNER, "owner", TenantId::SYSTEM, Ladder::Admin),
        principal(STRANGER, "stranger", TenantId(42), Ladder::Admin),
    ] {
        snapshot.principals.apply(&change);
    }
    for (oid, name, body) in relations() {
        let change = DefinitionChange::Put(Arc::new(Relation {
            oid: Oid(oid),
            database: DATABASE,
            schema: "public".into(),
            name: name.into(),
            owner: OWNER,
            grants: Vec::new(),
            comment: None,
            body,
            row_security: Default::default(),
        }));
        snapshot.definitions = snapshot.definitions.with(&change);
    }
    snapshot
}

fn settings() -> Settings {
    let values = [
        ("TimeZone", "UTC"),
        ("server_version", "15.0"),
        ("search_path", "\"$user\", public"),
        ("application_name", "test"),
    ];
    Settings {
        values: values
            .into_iter()
            .map(|(name, value)| (Arc::from(name), Arc::from(value)))
            .collect(),
        ..Settings::default()
    }
}

impl World {
    /// With all rows in place.
    pub fn new() -> World {
        World::with(|options| options)
    }

    /// With all rows in place, and an engine of options that are changed.
    pub fn with(change: impl FnOnce(Options) -> Options) -> World {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let mut options = storage::Options::new(directory.path().join("rows"), 1);
        options.map_size_bytes = 1 << 30;
        options.readers_max = 200;
        let storage = Storage::open(options).expect("the store opens");
        let spill = directory.path().join("spill");
        std::fs::create_dir_all(&spill).expect("the spill directory can be made");
        let options = change(Options::new(2, spill));
        let engine = QueryEngine::start(options, storage.clone()).expect("the pool starts");
        let snapshot = Arc::new(snapshot());
        let context = context_of(&snapshot, OWNER, TenantId::SYSTEM, DATABASE);
        let world = World {
            engine,
            storage,
            context,
            _directory: directory,
        };
        world.fill();
        world
    }

    /// What a user of another tenant has.
    pub fn stranger(&self) -> StatementContext {
        context_of(
            &self.context.snapshot,
            STRANGER,
            TenantId(42),
            OTHER_DATABASE,
        )
    }

    fn fill(&self) {
        let mut transaction = self.storage.begin(0, Isolation::ReadCommitted);
        transaction.begin_statement().expect("a snapshot");
        for (name, rows) in ROWS {
            let relation = self
                .context
                .snapshot
                .definitions
                .find(DATABASE, "public", name)
                .expect("a table of the world")
                .clone();
            for (number, row) in rows.iter().enumerate() {
                self.put(&mut transaction, &relation, number as u64, row);
            }
        }
        transaction.end_statement();
        block_on(transaction.commit()).expect("the rows are kept");
    }

    fn put(
        &self,
        transaction: &mut storage::Transaction,
        relation: &Relation,
        number: u64,
        row: &[Option<&str>],
    ) {
        let table = relation.table().expect("a table");
        let input = Input {
            settings: &self.context.settings,
            transaction_time: 0,
            variables: None,
            types: None,
        };
        let values: Vec<ScalarValue> = table
            .columns
            .iter()
            .zip(row)
            .map(|(column, text)| match text {
                Some(text) => {
                    types::decode_text(text, column.sql_type, input).expect("a value of the world")
                }
                None => types::null_scalar(column.sql_type),
            })
            .collect();
        let pick = |columns: &[u16]| -> Vec<ScalarValue> {
            columns
                .iter()
                .map(|position| values[usize::from(*position)].clone())
                .collect()
        };
        let mut key = Vec::new();
        match KeyLayout::of_table(table).expect("keys of the world") {
            Some(layout) => layout
                .encode(&pick(layout.columns()), &mut key)
                .expect("a key"),
            None => key.extend(encode_row_number(number)),
        }
        let mut bytes = Vec::new();
        RowLayout::new(table)
            .encode(&values, &mut bytes)
            .expect("a row");
        transaction
            .put(table.store, &key, &bytes)
            .expect("a row is put");
        for oid in &table.indexes {
            let index = self.context.snapshot.definitions.get(*oid);
            let index = index
                .and_then(|relation| relation.index())
                .expect("an index");
            let layout = KeyLayout::of_index(table, index).expect("keys of the world");
            let entry = IndexEntry::new(&layout, index.unique, &pick(&index.columns), &key)
                .expect("an entry");
            transaction
                .put(index.store, &entry.key, &entry.value)
                .expect("an entry is put");
        }
    }

    /// A result as `psql -A -t -P null=null` prints it: values between bars, a row a line.
    pub fn query(&self, sql: &str) -> Result<String, Diagnostic> {
        self.query_as(sql, &[], &self.context)
    }

    /// As [`World::query`], with parameters as text.
    pub fn query_as(
        &self,
        sql: &str,
        parameters: &[&str],
        context: &StatementContext,
    ) -> Result<String, Diagnostic> {
        let (mut rows, transaction) = self.start(sql, parameters, context)?;
        let answer = block_on(print(&mut rows, &context.settings));
        drop(transaction);
        answer
    }

    /// Starts a query; the transaction must live as long as its rows.
    pub fn start(
        &self,
        sql: &str,
        parameters: &[&str],
        context: &StatementContext,
    ) -> Result<(Rows, Transaction), Diagnostic> {
        let mut statements = crate::sql::parse::parse(sql)?;
        let statement = statements.pop().expect("one statement").ast;
        let plan = Arc::new(self.engine.analyze(&statement, &[], context)?);
        let input = Input {
            settings: &context.settings,
            transaction_time: context.transaction_time,
            variables: None,
            types: None,
        };
        let values = plan
            .parameters
            .iter()
            .zip(parameters)
            .map(|(sql_type, text)| types::decode_text(text, *sql_type, input))
            .collect::<Result<Vec<_>, _>>()?;
        let mut transaction = Transaction::new(self.storage.begin(0, Isolation::ReadCommitted));
        transaction.storage.begin_statement()?;
        match self
            .engine
            .execute(&plan, &values, &mut transaction, context)?
        {
            Outcome::Rows(rows) => Ok((rows, transaction)),
            Outcome::Done(_) | Outcome::Stale => panic!("a query gives rows"),
        }
    }
}

fn context_of(
    snapshot: &Arc<Snapshot>,
    principal: PrincipalId,
    tenant: TenantId,
    database: DatabaseId,
) -> StatementContext {
    let known = snapshot
        .principals
        .principal(principal)
        .expect("a user of the world");
    let identity = Identity {
        principal,
        name: known.name.clone(),
        tenant,
        database,
        method: Method::Scram,
        key: None,
        claims: None,
        ends_at: None,
    };
    StatementContext {
        rights: Arc::new(access::rights(snapshot, &identity)),
        identity: Arc::new(identity),
        snapshot: snapshot.clone(),
        settings: Arc::new(settings()),
        transaction_time: 1_704_067_200_000_000,
        statement_time: 1_704_067_200_000_000,
        read_only: false,
        lock_timeout: None,
        backend_pid: 77,
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

async fn print(rows: &mut Rows, settings: &Settings) -> Result<String, Diagnostic> {
    let mut lines = Vec::new();
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let mut values = Vec::new();
            for (field, column) in rows.fields.iter().zip(batch.columns()) {
                let printed = types::Column::new(column, field.sql_type)?;
                if printed.is_null(row) {
                    values.push("null".to_owned());
                    continue;
                }
                let mut out = BytesMut::new();
                printed.text(row, settings, &mut out);
                values.push(String::from_utf8_lossy(&out).into_owned());
            }
            lines.push(values.join("|"));
        }
    }
    Ok(lines.join("\n"))
}
