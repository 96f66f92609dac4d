//! Who may what: the ladder, roles, grants, reach, validity and what SHOW shows of it.

mod keys;
mod login;
mod rights;
mod show;
mod table_grants;
mod tokens;

use crate::auth::identity::{Grounds, Identity, Method};
use crate::catalog::definition::{
    DefinitionChange, Grant, Privileges, Relation, RelationBody, Table,
};
use crate::catalog::principal::{Database, Parent, Principal, PrincipalKind, Role, Tenant};
use crate::catalog::role::Ladder;
use crate::catalog::{Change, DatabaseId, Oid, PrincipalId, RelationId, Snapshot, TenantId};
use std::sync::Arc;

/// A catalog of two tenants to look at; ids are the same in every test.
struct World(Snapshot);

const NODEDB: DatabaseId = DatabaseId(5);
const PROD: DatabaseId = DatabaseId(20_000);
const OTHER: DatabaseId = DatabaseId(20_001);

impl World {
    /// `system` with databases nodedb (the default) and prod, `acme` (7) with its nodedb; one
    /// user a rung, named for it, and `stranger`, a tenant_admin of acme.
    fn new() -> World {
        let mut world = World(Snapshot::default());
        world.tenant(0, "system", NODEDB);
        world.tenant(7, "acme", OTHER);
        world.database(NODEDB, "nodedb", 0, 10);
        world.database(PROD, "prod", 0, 10);
        world.database(OTHER, "nodedb", 7, 10);
        for (index, rung) in Ladder::ALL.into_iter().enumerate() {
            world.user(30_000 + index as u32, rung.as_str(), 0, &[rung]);
        }
        world.user(30_010, "stranger", 7, &[Ladder::TenantAdmin]);
        world
    }

    fn change(&mut self, change: Change) {
        self.0.principals.apply(&change);
    }

    fn tenant(&mut self, id: u32, name: &str, default_database: DatabaseId) {
        self.change(Change::PutTenant(Arc::new(Tenant {
            id: TenantId(id),
            name: Arc::from(name),
            default_database,
            allowance: Default::default(),
        })));
    }

    fn database(&mut self, id: DatabaseId, name: &str, tenant: u32, owner: u32) {
        self.change(Change::PutDatabase(Arc::new(Database {
            id,
            name: Arc::from(name),
            tenant: TenantId(tenant),
            owner: PrincipalId(owner),
        })));
    }

    fn user(&mut self, id: u32, name: &str, tenant: u32, ladder: &[Ladder]) {
        self.change(Change::PutPrincipal(Arc::new(Principal {
            id: PrincipalId(id),
            name: Arc::from(name),
            tenant: TenantId(tenant),
            ladder: ladder.to_vec(),
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
        })));
    }

    fn role(&mut self, id: u32, name: &str, parent: Option<Parent>) {
        self.change(Change::PutRole(Arc::new(Role {
            id: PrincipalId(id),
            name: Arc::from(name),
            tenant: TenantId(0),
            parent,
        })));
    }

    fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Principal)) {
        let mut next = Principal::clone(self.principal(name));
        edit(&mut next);
        self.change(Change::PutPrincipal(Arc::new(next)));
    }

    fn principal(&self, name: &str) -> &Principal {
        let found = self.0.principals.principal_named(name);
        found.expect("a user of the world")
    }

    fn identity(&self, name: &str, database: DatabaseId) -> Identity {
        let principal = self.principal(name);
        Identity {
            principal: principal.id,
            name: principal.name.clone(),
            tenant: principal.tenant,
            database,
            method: Method::Scram,
            key: None,
            claims: None,
            ends_at: None,
        }
    }

    fn rights(&self, name: &str, database: DatabaseId) -> super::Rights {
        super::rights(&self.0, &self.identity(name, database))
    }

    fn define(&mut self, relation: &Relation) {
        let change = DefinitionChange::Put(Arc::new(relation.clone()));
        self.0.definitions = self.0.definitions.with(&change);
    }
}

fn table(name: &str, grants: &[(u32, Privileges)]) -> Relation {
    Relation {
        oid: Oid(40_000),
        database: NODEDB,
        schema: Arc::from("public"),
        name: Arc::from(name),
        owner: PrincipalId(10),
        grants: grants
            .iter()
            .map(|(grantee, privileges)| Grant {
                grantee: PrincipalId(*grantee),
                privileges: *privileges,
            })
            .collect(),
        comment: None,
        body: RelationBody::Table(Table {
            store: RelationId(40_000),
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

const SELECT: Privileges = Privileges {
    select: true,
    insert: false,
    update: false,
    delete: false,
};
