//! The control thread through its port: what each statement does, to whom it is refused, and
//! what is published when.

mod api_keys;
mod cores;
mod databases;
mod groups;
mod oidc_providers;
mod service_accounts;
mod tenants;
mod users;

use super::*;
use crate::auth::jwks;
use crate::catalog::allowance::AllowanceChange;
use crate::catalog::definition::{
    DefinitionChange, Definitions, Grant, Orphans, Privileges, Relation, RelationBody, Table,
};
use crate::catalog::key_usage::KeyUsage;
use crate::catalog::port::{self, Handle};
use crate::catalog::provider_request::ProviderWanted;
use crate::catalog::request::{IfExists, Named, PasswordChange, Request, TenantRef, UserChange};
use crate::catalog::revocation::{Reports, Revocations};
use crate::catalog::store::memory::{Faults, MemoryDirectory};
use crate::catalog::store::{Embedded, Recovered};
use crate::catalog::verifier::Verifier;
use crate::catalog::{DatabaseId, Epoch, KeyId, Oid, PrincipalId, RelationId, TenantId};
use crate::diagnostic::SqlState;
use crate::telemetry::histogram::Histogram;
use futures::executor::block_on;
use parking_lot::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;

/// Cores that adopt at once, or never.
#[derive(Clone, Default)]
struct Cores(Arc<Mutex<CoresState>>);

#[derive(Default)]
struct CoresState {
    newest: Option<Arc<Snapshot>>,
    published: usize,
    late: Vec<u16>,
}

impl Publish for Cores {
    fn publish(&self, snapshot: Arc<Snapshot>) {
        let mut state = self.0.lock();
        state.newest = Some(snapshot);
        state.published += 1;
    }

    fn wait_adopted(&self, epoch: Epoch, _bound: Duration) -> Vec<u16> {
        let state = self.0.lock();
        let newest = state.newest.as_ref().expect("published before waiting");
        assert_eq!(newest.epoch, epoch);
        state.late.clone()
    }
}

/// Remembers what it was asked to forget.
#[derive(Clone, Default)]
struct Rows(Arc<Mutex<Vec<Arc<Relation>>>>);

impl RowKeeper for Rows {
    fn forget(&self, orphans: &Orphans) -> Result<(), Diagnostic> {
        self.0.lock().extend_from_slice(&orphans.relations);
        Ok(())
    }
}

/// A caller that has no token.
#[derive(Clone, Copy)]
struct Caller {
    principal: PrincipalId,
    key: Option<KeyId>,
    tenant: TenantId,
    database: DatabaseId,
}

impl From<Caller> for port::Caller {
    fn from(caller: Caller) -> port::Caller {
        port::Caller {
            principal: caller.principal,
            key: caller.key,
            token: None,
            tenant: caller.tenant,
            database: caller.database,
            peer: "127.0.0.1:1".parse().expect("an address"),
        }
    }
}

/// A control thread with its surroundings.
struct Bench {
    handle: Option<Handle>,
    thread: Option<JoinHandle<()>>,
    cores: Cores,
    rows: Rows,
    directory: MemoryDirectory,
    audit: Audit,
    /// Held until the test has ended.
    _audit_directory: tempfile::TempDir,
    root: Caller,
    /// What the fetcher of keys would be asked.
    key_inbox: Option<crossbeam::channel::Receiver<jwks::Request>>,
}

impl Bench {
    fn new() -> Bench {
        Bench::with_definitions(Definitions::default())
    }

    fn with_definitions(definitions: Definitions) -> Bench {
        let directory = MemoryDirectory::default();
        let (mut store, _) = Embedded::open_in(Box::new(directory.clone())).expect("it opens");
        let first = FirstStart {
            superuser_name: "nodedb".to_owned(),
            verifier: verifier(),
            now: 1,
        };
        let (epoch, principals) = first_start(&mut store, first).expect("the disk takes it");
        let current = Arc::new(Snapshot {
            epoch,
            principals,
            definitions,
        });
        let cores = Cores::default();
        cores.0.lock().newest = Some(current.clone());
        let rows = Rows::default();
        let (handle, inbox) = port::channel();
        let (key_requests, key_inbox) = Requests::channel();
        let audit_directory = tempfile::tempdir().expect("a directory");
        let audit = crate::audit::tests::audit(audit_directory.path());
        let control = Control {
            store: Box::new(store),
            current,
            publisher: Box::new(cores.clone()),
            rows: Box::new(rows.clone()),
            held: Held::default(),
            usage: Usage::new(KeyUsage::default(), None),
            key_requests,
            reports: Reports::default(),
            revocations: Revocations::default(),
            times: times(),
            audit: audit.clone(),
        };
        Bench {
            audit,
            _audit_directory: audit_directory,
            handle: Some(handle),
            thread: Some(control.spawn(inbox).expect("a thread")),
            cores,
            rows,
            directory,
            root: Caller {
                principal: PrincipalId::FIRST_SUPERUSER,
                key: None,
                tenant: TenantId::SYSTEM,
                database: DatabaseId::FIRST,
            },
            key_inbox: Some(key_inbox),
        }
    }

    /// The server ends and begins anew, with these providers in its configuration.
    fn restart_with(&mut self, configured: &[ProviderWanted]) {
        self.handle.take();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))));
        let directory = Box::new(self.directory.clone());
        let (store, recovered) = Embedded::open_in(directory).expect("it opens");
        let mut principals = recovered.principals;
        configured_providers::put(&mut principals, configured, 1).expect("they fit");
        let (key_requests, key_inbox) = Requests::channel();
        follow_all(&key_requests, &principals);
        let current = Arc::new(Snapshot {
            epoch: recovered.epoch,
            principals,
            definitions: Definitions::default(),
        });
        self.cores.0.lock().newest = Some(current.clone());
        let (handle, inbox) = port::channel();
        let control = Control {
            store: Box::new(store),
            current,
            publisher: Box::new(self.cores.clone()),
            rows: Box::new(self.rows.clone()),
            held: Held::default(),
            usage: Usage::new(KeyUsage::default(), None),
            key_requests,
            reports: Reports::default(),
            revocations: Revocations::default(),
            times: times(),
            audit: self.audit.clone(),
        };
        self.handle = Some(handle);
        self.thread = Some(control.spawn(inbox).expect("a thread"));
        self.key_inbox = Some(key_inbox);
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        let state = self.cores.0.lock();
        state.newest.clone().expect("there is one from the start")
    }

    fn handle(&self) -> &Handle {
        self.handle.as_ref().expect("until the end")
    }

    /// What the client is answered.
    fn ask(&self, by: Caller, request: Request) -> Result<Reply, Diagnostic> {
        block_on(self.handle().execute(by.into(), request))
    }

    /// As the superuser, successfully.
    fn run(&self, request: Request) -> Reply {
        let title = request.title();
        self.ask(self.root, request)
            .unwrap_or_else(|error| panic!("{title}: {error}"))
    }

    /// SQLSTATE and message of the refusal.
    fn refused(&self, by: Caller, request: Request) -> (String, String) {
        let title = request.title();
        match self.ask(by, request) {
            Err(error) => (error.sqlstate().to_string(), error.message().to_owned()),
            Ok(reply) => panic!("{title} gave {reply:?}"),
        }
    }

    /// A session of the user in the default database of its tenant.
    fn caller(&self, name: &str) -> Caller {
        let snapshot = self.snapshot();
        let user = snapshot.principals.principal_named(name).expect("a user");
        let tenant = snapshot.principals.tenant(user.tenant).expect("a tenant");
        Caller {
            principal: user.id,
            key: None,
            tenant: user.tenant,
            database: tenant.default_database,
        }
    }

    /// A user with this role; gives its session.
    fn user(&self, name: &str, role: &str) -> Caller {
        self.run(create_user(name, Some(role)));
        self.caller(name)
    }

    /// What a restart would find.
    fn recovered(&self) -> Recovered {
        let crashed = self.directory.after_crash(0);
        Embedded::open_in(Box::new(crashed)).expect("it opens").1
    }

    fn publish_relation(&self, relation: Relation) {
        let change = crate::catalog::definition::DefinitionChange::Put(Arc::new(relation));
        self.run(publish(vec![change]));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.handle.take();
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(
                matches!(ended, Some(Ok(()))),
                "the control thread ended well"
            );
        }
    }
}

fn times() -> Times {
    let nobody_looks = Histogram::new(1).observer(0);
    Times {
        adoption: nobody_looks.clone(),
        revocation: nobody_looks,
    }
}

fn verifier() -> Verifier {
    Verifier {
        iterations: 4096,
        salt: vec![1; 16],
        stored_key: [2; 32],
        server_key: [3; 32],
    }
}

fn create_user(name: &str, role: Option<&str>) -> Request {
    create_user_in(name, role, None)
}

fn create_user_in(name: &str, role: Option<&str>, tenant: Option<TenantRef>) -> Request {
    Request::CreateUser {
        if_exists: IfExists::Fail,
        name: name.to_owned(),
        verifier: Some(verifier()),
        role: role.map(str::to_owned),
        tenant,
        limits: AllowanceChange::default(),
    }
}

/// PASSWORD, of which none before is remembered.
fn set_password(verifier: Option<Verifier>) -> UserChange {
    UserChange::Password {
        change: PasswordChange::Set(verifier),
        remembered: 0,
    }
}

fn alter_user(name: &str, change: UserChange) -> Request {
    Request::AlterUser {
        name: name.to_owned(),
        change,
    }
}

fn publish(changes: Vec<DefinitionChange>) -> Request {
    Request::PublishDefinitions {
        changes,
        held: Named::default(),
    }
}

fn drop_user(name: &str) -> Request {
    Request::DropUser {
        if_exists: IfExists::Fail,
        name: name.to_owned(),
    }
}

fn create_role(name: &str, parent: Option<&str>) -> Request {
    Request::CreateRole {
        if_exists: IfExists::Fail,
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
    }
}

fn drop_role(name: &str) -> Request {
    Request::DropRole {
        if_exists: IfExists::Fail,
        name: name.to_owned(),
    }
}

fn grant_role(role: &str, to: &str) -> Request {
    Request::GrantRole {
        role: role.to_owned(),
        to: to.to_owned(),
    }
}

fn revoke_role(role: &str, from: &str) -> Request {
    Request::RevokeRole {
        role: role.to_owned(),
        from: from.to_owned(),
    }
}

fn grant_connect(database: &str, to: &str) -> Request {
    Request::GrantConnect {
        database: database.to_owned(),
        to: to.to_owned(),
    }
}

fn create_database(name: &str) -> Request {
    Request::CreateDatabase {
        if_exists: IfExists::Fail,
        name: name.to_owned(),
    }
}

fn drop_database(name: &str) -> Request {
    Request::DropDatabase {
        if_exists: IfExists::Fail,
        name: name.to_owned(),
    }
}

fn create_tenant(name: &str, id: Option<u32>) -> Request {
    Request::CreateTenant {
        if_exists: IfExists::Fail,
        name: name.to_owned(),
        id: id.map(TenantId),
    }
}

fn drop_tenant(name: &str, cascade: bool) -> Request {
    Request::DropTenant {
        if_exists: IfExists::Fail,
        tenant: TenantRef::Name(name.to_owned()),
        cascade,
    }
}

fn table(oid: u32, database: DatabaseId, owner: PrincipalId, name: &str) -> Relation {
    Relation {
        oid: Oid(oid),
        database,
        schema: Arc::from("public"),
        name: Arc::from(name),
        owner,
        grants: Vec::new(),
        comment: None,
        body: RelationBody::Table(Table {
            store: RelationId(oid),
            layout_version: 1,
            columns: Vec::new(),
            primary_key: Vec::new(),
            primary_index: None,
            indexes: Vec::new(),
            constraints: Vec::new(),
            referenced_by: Vec::new(),
            options: Vec::new(),
            comments: Vec::new(),
            constraint_comments: Vec::new(),
        }),
        row_security: Default::default(),
    }
}
