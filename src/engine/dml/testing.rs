//! A store and a catalog made by hand, for the tests of point statements and of DML.

use crate::access;
use crate::auth::identity::{Identity, Method};
use crate::catalog::change::Change;
use crate::catalog::definition::{
    Column, Constraint, ConstraintBody, DefinitionChange, Definitions, Index, IndexConstraint,
    ReferentialAction, Relation, RelationBody, Table,
};
use crate::catalog::principal::{Database, Principal, PrincipalKind, Tenant};
use crate::catalog::role::Ladder;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::catalog::{DatabaseId, Oid, PrincipalId, RelationId, Snapshot, TenantId};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::outcome::{CommandTag, Outcome};
use crate::engine::point::Templates;
use crate::engine::settings::Settings;
use crate::engine::transaction::Transaction;
use crate::engine::types;
use crate::storage::{Isolation, Options, Storage, TransactionId};
use bytes::BytesMut;
use std::future::Future;
use std::sync::Arc;
use tempfile::TempDir;

/// The tables of the tests:
///
/// ```text
/// CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL, n int DEFAULT 7 CHECK (n >= 0),
///                 code text UNIQUE, b bigint);
/// CREATE TABLE child (id int PRIMARY KEY, t_id int REFERENCES t);
/// CREATE TABLE node (id int PRIMARY KEY, up int REFERENCES node ON DELETE CASCADE ON UPDATE CASCADE,
///                    t_id int REFERENCES t ON DELETE SET NULL);
/// CREATE TABLE history (tid int, mtime timestamp, note char(5));
/// ```
pub struct World {
    pub storage: Storage,
    pub context: StatementContext,
    _directory: TempDir,
}

const DATABASE: DatabaseId = DatabaseId(5);
const OWNER: PrincipalId = PrincipalId(10);
pub const T: Oid = Oid(20_000);
const T_PKEY: Oid = Oid(20_001);
const T_CODE: Oid = Oid(20_002);
const CHILD: Oid = Oid(20_010);
const CHILD_PKEY: Oid = Oid(20_011);
const HISTORY: Oid = Oid(20_020);
const NODE: Oid = Oid(20_030);
const NODE_PKEY: Oid = Oid(20_031);

/// Runs a future of the engine to its end on this thread.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be made")
        .block_on(future)
}

fn int4() -> SqlType {
    SqlType::scalar(TypeKind::Int4)
}

fn text() -> SqlType {
    SqlType::scalar(TypeKind::Text)
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

fn not_null(column: Column) -> Column {
    Column {
        not_null: true,
        ..column
    }
}

fn relation(oid: Oid, name: &str, body: RelationBody) -> DefinitionChange {
    DefinitionChange::Put(Arc::new(Relation {
        oid,
        database: DATABASE,
        schema: "public".into(),
        name: name.into(),
        owner: OWNER,
        grants: Vec::new(),
        comment: None,
        body,
        row_security: Default::default(),
    }))
}

fn table(store: RelationId, columns: Vec<Column>) -> Table {
    Table {
        store,
        layout_version: 0,
        columns,
        primary_key: Vec::new(),
        primary_index: None,
        indexes: Vec::new(),
        constraints: Vec::new(),
        referenced_by: Vec::new(),
        options: Vec::new(),
        comments: Vec::new(),
        constraint_comments: Vec::new(),
    }
}

fn index(table: Oid, store: RelationId, column: u16, constraint: IndexConstraint) -> RelationBody {
    RelationBody::Index(Index {
        store,
        table,
        columns: vec![column],
        descending: vec![false],
        unique: true,
        constraint: Some(constraint),
        details: Default::default(),
    })
}

fn definitions() -> Definitions {
    let stores: Vec<RelationId> = (1_000..1_010).map(RelationId).collect();
    let mut t = table(
        stores[0],
        vec![
            not_null(column("id", int4())),
            not_null(column("name", text())),
            Column {
                default: Some("7".into()),
                ..column("n", int4())
            },
            column("code", text()),
            column("b", SqlType::scalar(TypeKind::Int8)),
        ],
    );
    t.primary_key = vec![0];
    t.primary_index = Some(T_PKEY);
    t.indexes = vec![T_CODE];
    t.referenced_by = vec![CHILD, NODE];
    t.constraints = vec![Constraint {
        oid: Oid(20_003),
        name: "t_n_check".into(),
        body: ConstraintBody::Check {
            expression: "n >= 0".into(),
        },
        validated: true,
    }];
    let mut child = table(
        stores[2],
        vec![not_null(column("id", int4())), column("t_id", int4())],
    );
    child.primary_key = vec![0];
    child.primary_index = Some(CHILD_PKEY);
    child.constraints = vec![Constraint {
        oid: Oid(20_013),
        name: "child_t_id_fkey".into(),
        body: ConstraintBody::ForeignKey {
            columns: vec![1],
            table: T,
            referenced: vec![0],
            on_update: ReferentialAction::NoAction,
            on_delete: ReferentialAction::NoAction,
            deferral: Default::default(),
        },
        validated: true,
    }];
    let mut node = table(
        stores[4],
        vec![
            not_null(column("id", int4())),
            column("up", int4()),
            column("t_id", int4()),
        ],
    );
    node.primary_key = vec![0];
    node.primary_index = Some(NODE_PKEY);
    node.referenced_by = vec![NODE];
    let points_at = |oid, name: &str, column, table, on_update, on_delete| Constraint {
        oid,
        name: name.into(),
        body: ConstraintBody::ForeignKey {
            columns: vec![column],
            table,
            referenced: vec![0],
            on_update,
            on_delete,
            deferral: Default::default(),
        },
        validated: true,
    };
    let (cascade, nothing) = (ReferentialAction::Cascade, ReferentialAction::NoAction);
    node.constraints = vec![
        points_at(Oid(20_033), "node_up_fkey", 1, NODE, cascade, cascade),
        points_at(
            Oid(20_034),
            "node_t_id_fkey",
            2,
            T,
            nothing,
            ReferentialAction::SetNull,
        ),
    ];
    let history = table(
        stores[3],
        vec![
            column("tid", int4()),
            column("mtime", SqlType::scalar(TypeKind::Timestamp)),
            column(
                "note",
                SqlType {
                    kind: TypeKind::Bpchar,
                    typmod: 9,
                    array: false,
                },
            ),
        ],
    );
    let primary = |table, store| index(table, store, 0, IndexConstraint::PrimaryKey);
    [
        relation(T, "t", RelationBody::Table(t)),
        relation(T_PKEY, "t_pkey", primary(T, stores[0])),
        relation(
            T_CODE,
            "t_code_key",
            index(T, stores[1], 3, IndexConstraint::Unique),
        ),
        relation(CHILD, "child", RelationBody::Table(child)),
        relation(CHILD_PKEY, "child_pkey", primary(CHILD, stores[2])),
        relation(NODE, "node", RelationBody::Table(node)),
        relation(NODE_PKEY, "node_pkey", primary(NODE, stores[4])),
        relation(HISTORY, "history", RelationBody::Table(history)),
    ]
    .iter()
    .fold(Definitions::default(), |all, change| all.with(change))
}

impl World {
    pub fn new() -> World {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let storage = Storage::open(Options {
            map_size_bytes: 256 << 20,
            readers_max: 64,
            ..Options::new(directory.path(), 2)
        })
        .expect("the store opens");
        let mut snapshot = Snapshot::default();
        for change in principals() {
            snapshot.principals.apply(&change);
        }
        snapshot.definitions = definitions();
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
        let context = StatementContext {
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
        };
        World {
            storage,
            context,
            _directory: directory,
        }
    }

    pub fn begin(&self, isolation: Isolation) -> Transaction {
        Transaction::new(self.storage.begin(0, isolation))
    }

    /// Runs a point statement in a transaction.
    pub async fn run_in(&self, text: &str, transaction: &mut Transaction) -> Answer {
        let mut templates = Templates::default();
        let (statement, values) = templates
            .find_or_compile(text, &self.context)
            .unwrap_or_else(|| panic!("no point statement: {text}"));
        transaction.storage.begin_statement()?;
        let outcome = statement
            .execute((&self.storage, None), &values, transaction, &self.context)
            .await;
        let answer = match outcome {
            Ok(outcome) => Ok(print(outcome).await),
            Err(error) => Err(error),
        };
        transaction.storage.end_statement();
        answer
    }

    /// Runs point statements in transactions of their own, until one fails.
    pub fn run(&self, texts: &[&str]) -> Answer {
        wait(async {
            let mut last = String::new();
            for text in texts {
                let mut transaction = self.begin(Isolation::ReadCommitted);
                last = self.run_in(text, &mut transaction).await?;
                transaction.commit().await?;
            }
            Ok(last)
        })
    }
}

/// The rows as `a|b`, one a line, then the tag.
pub type Answer = Result<String, Diagnostic>;

/// What a client would see of an outcome.
pub async fn print(outcome: Outcome) -> String {
    let mut rows = match outcome {
        Outcome::Done(tag) => return tag.to_string(),
        Outcome::Rows(rows) => rows,
        Outcome::Stale => panic!("a relation was being changed"),
    };
    let mut lines = Vec::new();
    let settings = Settings::default();
    while let Some(batch) = rows.next().await {
        let batch = batch.expect("the batch is good");
        for row in 0..batch.num_rows() {
            let values: Vec<String> = rows
                .fields
                .iter()
                .zip(batch.columns())
                .map(|(field, column)| {
                    if column.is_null(row) {
                        return "null".to_owned();
                    }
                    let mut out = BytesMut::new();
                    types::encode_text(column, row, field.sql_type, &settings, &mut out)
                        .expect("the value prints");
                    String::from_utf8(out.to_vec()).expect("text is UTF-8")
                })
                .collect();
            lines.push(values.join("|"));
        }
    }
    // How many rows a SELECT gave is counted by whoever sends them.
    let tag = match rows.tag {
        CommandTag::Select(_) => CommandTag::Select(lines.len() as u64),
        tag => tag,
    };
    lines.push(tag.to_string());
    lines.join("\n")
}

fn principals() -> [Change; 3] {
    [
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
    ]
}
