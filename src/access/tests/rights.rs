//! The ladder, custom roles and table grants, on one table.

use super::*;
use crate::access::Rights;
use crate::catalog::schema::Schema;

/// Which of the checks pass, as letters: Select, Insert, Update, Delete, Truncate, Own, deFine.
fn letters(rights: &Rights, relation: &Relation) -> String {
    let checks = [
        ('S', rights.may_select(relation).is_ok()),
        ('I', rights.may_insert(relation).is_ok()),
        ('U', rights.may_update(relation).is_ok()),
        ('D', rights.may_delete(relation).is_ok()),
        ('T', rights.may_truncate(relation).is_ok()),
        ('O', rights.may_own(relation).is_ok()),
        (
            'F',
            rights
                .may_define(&Schema::public(rights.database()))
                .is_ok(),
        ),
    ];
    checks
        .into_iter()
        .filter_map(|(letter, passes)| passes.then_some(letter))
        .collect()
}

#[test]
fn each_rung_includes_those_before_it() {
    let world = World::new();
    for (name, expected) in [
        ("readonly", "S"),
        ("readwrite", "SIUDT"),
        ("admin", "SIUDTOF"),
        ("tenant_admin", "SIUDTOF"),
        ("superuser", "SIUDTOF"),
        ("stranger", ""),
    ] {
        let rights = world.rights(name, NODEDB);
        assert_eq!(letters(&rights, &table("t", &[])), expected, "{name}");
    }
}

#[test]
fn refusals_have_postgresqls_words() {
    let world = World::new();
    let rights = world.rights("readonly", NODEDB);
    let t = table("t", &[]);
    let message = |refusal: crate::diagnostic::Diagnostic| refusal.to_string();
    assert_eq!(
        message(rights.may_insert(&t).expect_err("readonly")),
        "ERROR 42501: permission denied for table t"
    );
    assert_eq!(
        message(rights.may_own(&t).expect_err("readonly")),
        "ERROR 42501: must be owner of table t"
    );
    assert_eq!(
        message(
            rights
                .may_define(&Schema::public(rights.database()))
                .expect_err("readonly")
        ),
        "ERROR 42501: permission denied for schema public"
    );
    assert_eq!(
        message(rights.may_define_schema(&world.0).expect_err("readonly")),
        "ERROR 42501: permission denied for database nodedb"
    );
}

#[test]
fn a_grant_extends_a_lower_rung_on_that_table_alone() {
    let mut world = World::new();
    world.user(31_000, "bob", 0, &[]);
    let granted = table("t", &[(31_000, SELECT)]);
    let rights = world.rights("bob", NODEDB);
    assert_eq!(rights.rung(), None);
    assert_eq!(letters(&rights, &granted), "S");
    assert_eq!(letters(&rights, &table("u", &[])), "");
    let all = table("t", &[(31_000, Privileges::ALL)]);
    assert_eq!(letters(&rights, &all), "SIUD", "no grant gives TRUNCATE");
}

#[test]
fn a_permit_names_the_relation_that_was_checked() {
    let world = World::new();
    let permit = world
        .rights("readonly", NODEDB)
        .may_select(&table("t", &[]))
        .expect("readonly reads");
    assert_eq!(permit.relation(), Oid(40_000));
}

#[test]
fn custom_roles_bring_their_grants_and_the_rung_they_inherit() {
    let mut world = World::new();
    world.role(32_000, "base", Some(Parent::Ladder(Ladder::ReadOnly)));
    world.role(32_001, "analyst", Some(Parent::Role(Arc::from("base"))));
    world.user(31_000, "bob", 0, &[]);
    world.edit("bob", |bob| bob.roles = vec![Arc::from("analyst")]);
    let rights = world.rights("bob", NODEDB);
    assert_eq!(rights.rung(), Some(Ladder::ReadOnly));
    let insert = Privileges {
        insert: true,
        ..Privileges::default()
    };
    assert_eq!(letters(&rights, &table("t", &[(32_000, insert)])), "SI");
}

#[test]
fn roles_that_inherit_in_a_circle_end() {
    let mut world = World::new();
    world.role(32_000, "a", Some(Parent::Role(Arc::from("b"))));
    world.role(32_001, "b", Some(Parent::Role(Arc::from("a"))));
    world.user(31_000, "bob", 0, &[]);
    world.edit("bob", |bob| bob.roles = vec![Arc::from("a")]);
    let bob = world.rights("bob", NODEDB);
    let held = [31_000_u32, 32_000, 32_001];
    assert!(held.iter().all(|id| bob.has_role(PrincipalId(*id))));
}

#[test]
fn a_grant_to_a_dropped_name_says_nothing_about_its_next_holder() {
    let mut world = World::new();
    world.user(31_000, "bob", 0, &[]);
    world.change(Change::DropPrincipal(PrincipalId(31_000)));
    world.user(31_001, "bob", 0, &[]);
    let rights = world.rights("bob", NODEDB);
    assert_eq!(letters(&rights, &table("t", &[(31_000, SELECT)])), "");
}

#[test]
fn ownership_gives_nothing_beyond_the_rung() {
    let mut world = World::new();
    let mut relation = table("t", &[]);
    world.user(31_000, "bob", 0, &[Ladder::ReadOnly]);
    relation.owner = PrincipalId(31_000);
    assert_eq!(letters(&world.rights("bob", NODEDB), &relation), "S");
}

#[test]
fn another_tenants_database_gives_nothing_but_to_a_superuser() {
    let mut world = World::new();
    let mut relation = table("t", &[(30_002, Privileges::ALL)]);
    relation.database = OTHER;
    assert_eq!(letters(&world.rights("admin", OTHER), &relation), "");
    assert_eq!(
        letters(&world.rights("superuser", OTHER), &relation),
        "SIUDTOF"
    );
    assert_eq!(letters(&world.rights("superuser", NODEDB), &relation), "F");
    world.change(Change::DropPrincipal(PrincipalId(30_002)));
}

#[test]
fn whoever_is_gone_has_no_rights() {
    let mut world = World::new();
    let identity = world.identity("superuser", NODEDB);
    world.change(Change::DropPrincipal(identity.principal));
    let rights = crate::access::rights(&world.0, &identity);
    assert_eq!(letters(&rights, &table("t", &[])), "");
}
