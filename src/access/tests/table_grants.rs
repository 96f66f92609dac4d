//! GRANT and REVOKE ON TABLE.

use super::*;
use crate::access::grants;
use crate::diagnostic::Diagnostic;
use crate::sql::credential::{CredentialStatement, TableGrant, parse};

fn statement(text: &str) -> TableGrant {
    match parse(text) {
        Some(Ok(CredentialStatement::Table(grant))) => grant,
        other => panic!("{text} gave {other:?}"),
    }
}

fn apply(world: &World, by: &str, relation: &Relation, text: &str) -> Result<Relation, Diagnostic> {
    grants::apply(
        relation,
        &statement(text),
        &world.0,
        &world.rights(by, NODEDB),
    )
}

#[test]
fn grants_add_up_and_revokes_take_away() {
    let mut world = World::new();
    world.role(32_000, "analyst", None);
    let t = table("t", &[]);
    let t = apply(
        &world,
        "tenant_admin",
        &t,
        "GRANT SELECT ON t TO readonly, analyst",
    )
    .expect("a tenant_admin grants");
    let t = apply(&world, "superuser", &t, "GRANT INSERT ON t TO analyst").expect("granted");
    let held: Vec<_> = t
        .grants
        .iter()
        .map(|grant| {
            (
                grant.grantee.0,
                grant.privileges.names().collect::<Vec<_>>(),
            )
        })
        .collect();
    assert_eq!(
        held,
        [(30_000, vec!["SELECT"]), (32_000, vec!["INSERT", "SELECT"])]
    );
    let t = apply(
        &world,
        "superuser",
        &t,
        "REVOKE ALL ON t FROM readonly, analyst",
    )
    .expect("revoked");
    assert!(t.grants.is_empty());
}

#[test]
fn below_tenant_admin_nobody_grants() {
    let world = World::new();
    for by in ["readonly", "readwrite", "admin", "stranger"] {
        let refused = apply(
            &world,
            by,
            &table("t", &[]),
            "GRANT SELECT ON t TO readonly",
        )
        .expect_err("they may not");
        assert_eq!(
            refused.to_string(),
            "ERROR 42501: permission denied for table t"
        );
    }
}

#[test]
fn grantees_are_of_the_tenant_and_no_rungs() {
    let world = World::new();
    let t = table("t", &[]);
    for (name, code) in [
        ("stranger", "42704"),
        ("nobody", "42704"),
        ("public", "0A000"),
    ] {
        let text = format!("GRANT SELECT ON t TO {name}");
        let refused = apply(&world, "superuser", &t, &text).expect_err("no such grantee");
        assert_eq!(refused.sqlstate().as_str(), code, "{name}");
        assert!(refused.fields().hint.is_some());
    }
    let mut plain = World(world.0.clone());
    plain.change(Change::DropPrincipal(PrincipalId(30_000)));
    let refused = apply(&plain, "superuser", &t, "GRANT SELECT ON t TO readonly")
        .expect_err("a rung takes no grants");
    assert_eq!(refused.sqlstate().as_str(), "42809");
}
