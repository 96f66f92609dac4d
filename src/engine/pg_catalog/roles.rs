//! Roles: the ladder's rungs, and the users, service accounts and custom roles of the tenant.

use super::cell::{Cell, number, row, text};
use super::relations::catalog;
use super::{Row, SystemTable};
use crate::catalog::principal::{Parent, Principal, PrincipalKind, Role};
use crate::catalog::role::Ladder;
use crate::catalog::{PrincipalId, TenantId};
use crate::engine::context::StatementContext;
use std::sync::Arc;

/// pg_roles.oid of the lowest rung; the others follow.
const RUNG_OID_FIRST: u32 = 4_201;

/// Who owns the schema public: PostgreSQL's name for a database's owner, whoever that is.
pub const DATABASE_OWNER: (u32, &str) = (6_171, "pg_database_owner");

/// Who owns the catalogs.
const CATALOG_OWNER: (u32, &str) = (super::relations::CATALOG_OWNER, "nodedb");

fn rung_oid(rung: Ladder) -> u32 {
    let place = Ladder::ALL.iter().position(|known| *known == rung);
    RUNG_OID_FIRST + place.unwrap_or_default() as u32
}

/// The tenant whose roles are shown: that of the session's database.
fn tenant(context: &StatementContext) -> TenantId {
    context.rights.tenant()
}

fn principals(context: &StatementContext) -> impl Iterator<Item = &Arc<Principal>> {
    let (tenant, all) = (tenant(context), context.rights.is_superuser());
    context
        .snapshot
        .principals
        .all()
        .filter(move |principal| all || principal.tenant == tenant)
}

fn custom(context: &StatementContext) -> impl Iterator<Item = &Arc<Role>> {
    let tenant = tenant(context);
    context
        .snapshot
        .principals
        .roles()
        .filter(move |role| role.tenant == tenant)
}

/// The name of a role that the session may see.
pub fn name_of(id: PrincipalId, context: &StatementContext) -> Option<String> {
    let named = [CATALOG_OWNER, DATABASE_OWNER].into_iter();
    if let Some((_, name)) = named.into_iter().find(|(oid, _)| *oid == id.0) {
        return Some(name.to_owned());
    }
    let rung = Ladder::ALL.iter().find(|rung| rung_oid(**rung) == id.0);
    if let Some(rung) = rung {
        return Some(rung.as_str().to_owned());
    }
    let principal = principals(context)
        .find(|principal| principal.id == id)
        .map(|principal| principal.name.to_string());
    principal.or_else(|| {
        custom(context)
            .find(|role| role.id == id)
            .map(|role| role.name.to_string())
    })
}

/// The role of this name that the session may see.
pub fn id_of(name: &str, context: &StatementContext) -> Option<PrincipalId> {
    let rung = Ladder::ALL.iter().find(|rung| rung.as_str() == name);
    if let Some(rung) = rung {
        return Some(PrincipalId(rung_oid(*rung)));
    }
    let principal = principals(context)
        .find(|principal| &*principal.name == name)
        .map(|principal| principal.id);
    principal.or_else(|| {
        custom(context)
            .find(|role| &*role.name == name)
            .map(|role| role.id)
    })
}

/// What the role catalogs show of one role.
struct Shown<'a> {
    oid: u32,
    name: &'a str,
    rung: Option<Ladder>,
    login: bool,
    /// CONNECTION LIMIT
    connections: Option<u32>,
}

fn shown(context: &StatementContext) -> Vec<Shown<'_>> {
    let mut all: Vec<_> = Ladder::ALL
        .iter()
        .map(|rung| Shown {
            oid: rung_oid(*rung),
            name: rung.as_str(),
            rung: Some(*rung),
            login: false,
            connections: None,
        })
        .collect();
    all.extend(principals(context).map(|principal| Shown {
        oid: principal.id.0,
        name: &principal.name,
        rung: principal.ladder.iter().max().copied(),
        login: principal.enabled && matches!(principal.kind, PrincipalKind::User { .. }),
        connections: principal.allowance.connections,
    }));
    all.extend(custom(context).map(|role| Shown {
        oid: role.id.0,
        name: &role.name,
        rung: None,
        login: false,
        connections: None,
    }));
    // Clients look up every owner that they read of, and the bootstrap superuser may be another tenant's.
    for (oid, name) in [CATALOG_OWNER, DATABASE_OWNER] {
        if all.iter().all(|role| role.oid != oid) {
            all.push(Shown {
                oid,
                name,
                rung: None,
                login: false,
                connections: None,
            });
        }
    }
    all
}

fn role_rows(shape: &SystemTable, context: &StatementContext) -> Vec<Row> {
    let columns = |role: &Shown<'_>| {
        let at_least = |rung| Cell::Bool(role.rung >= Some(rung));
        vec![
            ("oid", number(role.oid)),
            ("rolname", text(role.name)),
            ("rolsuper", at_least(Ladder::Superuser)),
            ("rolinherit", Cell::Bool(true)),
            ("rolcreaterole", at_least(Ladder::TenantAdmin)),
            ("rolcreatedb", at_least(Ladder::Admin)),
            ("rolcanlogin", Cell::Bool(role.login)),
            ("rolbypassrls", at_least(Ladder::Superuser)),
            ("rolconnlimit", role.connections.map_or(number(-1), number)),
        ]
    };
    shown(context)
        .iter()
        .map(|role| row(shape, &columns(role)))
        .collect()
}

/// pg_authid; a verifier is never shown, not even to a superuser.
pub fn pg_authid(context: &StatementContext) -> Vec<Row> {
    role_rows(catalog("pg_authid"), context)
}

/// pg_roles
pub fn pg_roles(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_roles");
    let mut rows = role_rows(shape, context);
    let password = shape
        .columns
        .iter()
        .position(|(name, _)| *name == "rolpassword");
    if let Some(password) = password {
        for row in &mut rows {
            row[password] = text("********");
        }
    }
    rows
}

/// pg_user
pub fn pg_user(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_user");
    shown(context)
        .iter()
        .filter(|role| role.login)
        .map(|role| {
            let superuser = Cell::Bool(role.rung >= Some(Ladder::Superuser));
            row(
                shape,
                &[
                    ("usename", text(role.name)),
                    ("usesysid", number(role.oid)),
                    ("usecreatedb", Cell::Bool(role.rung >= Some(Ladder::Admin))),
                    ("usesuper", superuser.clone()),
                    ("usebypassrls", superuser),
                    ("passwd", text("********")),
                ],
            )
        })
        .collect()
}

/// pg_auth_members
pub fn pg_auth_members(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_auth_members");
    let mut pairs = Vec::new();
    for principal in principals(context) {
        for rung in &principal.ladder {
            pairs.push((rung_oid(*rung), principal.id.0));
        }
        for role in &principal.roles {
            if let Some(id) = custom(context).find(|known| known.name == *role) {
                pairs.push((id.id.0, principal.id.0));
            }
        }
    }
    for role in custom(context) {
        let parent = match &role.parent {
            None => None,
            Some(Parent::Ladder(rung)) => Some(rung_oid(*rung)),
            Some(Parent::Role(name)) => custom(context)
                .find(|known| known.name == *name)
                .map(|known| known.id.0),
        };
        pairs.extend(parent.map(|parent| (parent, role.id.0)));
    }
    pairs
        .into_iter()
        .map(|(role, member)| {
            row(
                shape,
                &[
                    ("roleid", number(role)),
                    ("member", number(member)),
                    ("grantor", number(super::relations::CATALOG_OWNER)),
                ],
            )
        })
        .collect()
}
