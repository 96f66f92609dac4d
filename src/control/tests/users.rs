//! Users, roles and memberships.

use super::*;
use crate::catalog::principal::PrincipalKind;
use crate::catalog::role::Ladder;

#[test]
fn the_first_start_is_durable_and_makes_the_superuser_in_its_database() {
    let bench = Bench::new();
    let recovered = bench.recovered();
    let root = recovered.principals.principal_named("nodedb").expect("it");
    assert_eq!(root.id, PrincipalId::FIRST_SUPERUSER);
    assert_eq!(root.ladder, [Ladder::Superuser]);
    let tenant = recovered.principals.tenant(TenantId::SYSTEM).expect("it");
    assert_eq!(&*tenant.name, "system");
    let database = recovered
        .principals
        .database_named(TenantId::SYSTEM, "nodedb")
        .expect("it");
    assert_eq!(database.id, tenant.default_database);
}

#[test]
fn a_user_is_readwrite_unless_a_role_is_named_and_is_durable_when_answered() {
    let bench = Bench::new();
    assert_eq!(bench.run(create_user("alice", None)).tag, "CREATE ROLE");
    bench.run(create_user("bob", Some("readonly")));
    for principals in [&bench.snapshot().principals, &bench.recovered().principals] {
        let alice = principals.principal_named("alice").expect("she is there");
        assert_eq!(alice.ladder, [Ladder::ReadWrite]);
        let bob = principals.principal_named("bob").expect("he is there");
        assert_eq!(bob.ladder, [Ladder::ReadOnly]);
        assert!(alice.id < bob.id);
    }
}

#[test]
fn a_name_that_is_taken_or_reserved_is_refused() {
    let bench = Bench::new();
    bench.run(create_user("alice", None));
    bench.run(create_role("analyst", None));
    let mut again = create_user("alice", None);
    let (code, message) = bench.refused(bench.root, again.clone());
    assert_eq!(code, "42710");
    assert_eq!(message, "role \"alice\" already exists");
    if let Request::CreateUser { if_exists, .. } = &mut again {
        *if_exists = IfExists::Skip;
    }
    let reply = bench.run(again);
    assert_eq!(
        reply.notices[0].message(),
        "role \"alice\" already exists, skipping"
    );
    for (name, expected) in [
        ("analyst", "42710"),
        ("readonly", "42939"),
        ("public", "42939"),
        ("pg_monitor", "42939"),
        ("", "42602"),
        ("a\nb", "42602"),
        (&"x".repeat(64), "42622"),
    ] {
        assert_eq!(
            bench.refused(bench.root, create_user(name, None)).0,
            expected
        );
    }
    bench.run(create_user(&"x".repeat(63), None));
    assert_eq!(
        bench.refused(bench.root, create_role("alice", None)).0,
        "42710"
    );
}

#[test]
fn a_missing_role_carries_the_missing_statement_as_a_hint() {
    let bench = Bench::new();
    bench.run(create_user("alice", None));
    for (request, hint) in [
        (
            create_user("bob", Some("Analyst")),
            "CREATE ROLE \"Analyst\"",
        ),
        (grant_role("analyst", "alice"), "CREATE ROLE analyst"),
        (drop_role("analyst"), "CREATE ROLE analyst"),
        (drop_user("bob"), "CREATE USER bob WITH PASSWORD '…'"),
        (
            grant_role("admin", "bob"),
            "CREATE USER bob WITH PASSWORD '…'",
        ),
    ] {
        let error = bench.ask(bench.root, request).expect_err("it is missing");
        assert_eq!(error.sqlstate(), SqlState::UNDEFINED_OBJECT);
        assert_eq!(error.fields().hint.as_deref(), Some(hint));
    }
    let error = bench
        .ask(bench.root, grant_connect("prod", "alice"))
        .expect_err("it is missing");
    assert_eq!(error.sqlstate(), SqlState::INVALID_CATALOG_NAME);
    assert_eq!(error.fields().hint.as_deref(), Some("CREATE DATABASE prod"));
}

#[test]
fn below_tenant_admin_nobody_changes_users_and_roles() {
    let bench = Bench::new();
    bench.run(create_user("victim", None));
    for rung in ["readonly", "readwrite", "admin"] {
        let by = bench.user(&format!("u_{rung}"), rung);
        for request in [
            create_user("x", None),
            alter_user("victim", UserChange::Disable),
            alter_user("victim", set_password(None)),
            alter_user(
                &format!("u_{rung}"),
                UserChange::Role("superuser".to_owned()),
            ),
            alter_user(&format!("u_{rung}"), UserChange::ValidUntil(None)),
            drop_user("victim"),
            create_role("r", None),
            drop_role("r"),
            grant_role("readonly", "victim"),
            revoke_role("readwrite", "victim"),
            grant_connect("nodedb", "victim"),
            create_tenant("t", None),
            drop_tenant("system", true),
        ] {
            assert_eq!(bench.refused(by, request.clone()).0, "42501", "{request:?}");
        }
    }
}

#[test]
fn everybody_may_set_their_own_password() {
    let bench = Bench::new();
    let alice = bench.user("alice", "readonly");
    let reply = bench
        .ask(alice, alter_user("alice", set_password(None)))
        .expect("it is her own");
    assert_eq!(reply.tag, "ALTER ROLE");
    let snapshot = bench.snapshot();
    let alice = snapshot.principals.principal_named("alice").expect("she");
    assert!(matches!(
        alice.kind,
        PrincipalKind::User { ref passwords, .. } if passwords.verifier().is_none()
    ));
}

#[test]
fn nobody_gives_what_they_do_not_hold() {
    let bench = Bench::new();
    bench.run(create_role("powerful", Some("superuser")));
    let admin = bench.user("chief", "tenant_admin");
    for request in [
        create_user("x", Some("superuser")),
        create_user("x", Some("powerful")),
        create_role("r", Some("superuser")),
        create_role("r", Some("powerful")),
        grant_role("superuser", "chief"),
        grant_role("powerful", "chief"),
        alter_user("chief", UserChange::Role("superuser".to_owned())),
        alter_user("nodedb", set_password(None)),
        alter_user("nodedb", UserChange::Disable),
        revoke_role("superuser", "nodedb"),
        drop_user("nodedb"),
        create_user_in("x", None, Some(TenantRef::Id(TenantId(7)))),
        create_user_in("x", None, Some(TenantRef::Id(TenantId(0)))),
    ] {
        assert_eq!(
            bench.refused(admin, request.clone()).0,
            "42501",
            "{request:?}"
        );
    }
    bench
        .ask(admin, create_user("x", Some("tenant_admin")))
        .expect("what they hold they may give");
}

#[test]
fn roles_are_granted_and_revoked_and_say_when_nothing_changes() {
    let bench = Bench::new();
    bench.run(create_user("alice", Some("readonly")));
    bench.run(create_role("analyst", Some("readonly")));
    assert_eq!(bench.run(grant_role("analyst", "alice")).tag, "GRANT ROLE");
    let again = bench.run(grant_role("analyst", "alice"));
    assert_eq!(
        again.notices[0].message(),
        "role \"alice\" is already a member of role \"analyst\""
    );
    bench.run(grant_role("admin", "alice"));
    let snapshot = bench.snapshot();
    let alice = snapshot.principals.principal_named("alice").expect("she");
    assert_eq!(alice.ladder, [Ladder::ReadOnly, Ladder::Admin]);
    assert_eq!(alice.roles, [Arc::from("analyst")]);
    assert_eq!(bench.run(revoke_role("admin", "alice")).tag, "REVOKE ROLE");
    let nothing = bench.run(revoke_role("admin", "alice"));
    assert_eq!(nothing.notices[0].sqlstate(), SqlState::WARNING);
    bench.run(alter_user(
        "alice",
        UserChange::Role("readwrite".to_owned()),
    ));
    let snapshot = bench.snapshot();
    let alice = snapshot.principals.principal_named("alice").expect("she");
    assert_eq!(alice.ladder, [Ladder::ReadWrite]);
    assert!(alice.roles.is_empty(), "SET ROLE leaves exactly that role");
}

#[test]
fn a_role_with_heirs_or_grants_is_not_dropped_and_members_lose_it() {
    let bench = Bench::new();
    bench.run(create_user("alice", Some("readonly")));
    bench.run(create_role("base", None));
    bench.run(create_role("heir", Some("base")));
    bench.run(grant_role("base", "alice"));
    assert_eq!(bench.refused(bench.root, drop_role("base")).0, "2BP01");
    bench.run(drop_role("heir"));
    let id = bench
        .snapshot()
        .principals
        .role(TenantId::SYSTEM, "base")
        .expect("it")
        .id;
    let mut relation = table(20_000, DatabaseId::FIRST, PrincipalId::FIRST_SUPERUSER, "t");
    relation.grants.push(Grant {
        grantee: id,
        privileges: Privileges::ALL,
    });
    bench.publish_relation(relation.clone());
    let error = bench
        .ask(bench.root, drop_role("base"))
        .expect_err("it has grants");
    assert_eq!(
        error.fields().detail.as_deref(),
        Some("privileges for table t")
    );
    relation.grants.clear();
    bench.publish_relation(relation);
    assert_eq!(bench.run(drop_role("base")).tag, "DROP ROLE");
    let snapshot = bench.snapshot();
    let alice = snapshot.principals.principal_named("alice").expect("she");
    assert!(alice.roles.is_empty());
}

#[test]
fn wrong_kinds_are_42809() {
    let bench = Bench::new();
    bench.run(create_user("alice", None));
    bench.run(create_role("analyst", None));
    for request in [
        drop_user("analyst"),
        drop_role("alice"),
        drop_role("admin"),
        alter_user("analyst", UserChange::Disable),
        grant_role("alice", "alice"),
        grant_role("analyst", "analyst"),
        grant_connect("nodedb", "analyst"),
    ] {
        assert_eq!(
            bench.refused(bench.root, request.clone()).0,
            "42809",
            "{request:?}"
        );
    }
}

#[test]
fn an_owner_is_not_dropped_and_a_dropped_user_is_gone_for_good() {
    let bench = Bench::new();
    let alice = bench.user("alice", "admin");
    bench
        .ask(alice, create_database("hers"))
        .expect("she is an admin");
    bench.publish_relation(table(20_000, DatabaseId::FIRST, alice.principal, "t"));
    let error = bench
        .ask(bench.root, drop_user("alice"))
        .expect_err("she owns things");
    assert_eq!(error.sqlstate(), SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
    assert_eq!(
        error.message(),
        "role \"alice\" cannot be dropped because some objects depend on it"
    );
    assert_eq!(
        error.fields().detail.as_deref(),
        Some("owner of database hers\nowner of table t")
    );
    bench.run(drop_database("hers"));
    let gone = crate::catalog::definition::DefinitionChange::Drop(Oid(20_000));
    bench.run(publish(vec![gone]));
    assert_eq!(bench.run(drop_user("alice")).tag, "DROP ROLE");
    let again = bench.user("alice", "admin");
    assert!(again.principal > alice.principal, "ids are never reused");
    assert_eq!(bench.refused(alice, create_database("d")).0, "42501");
}

#[test]
fn oneself_and_the_last_superuser_stay() {
    let bench = Bench::new();
    let (code, message) = bench.refused(bench.root, drop_user("nodedb"));
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("55006", "current user cannot be dropped")
    );
    for change in [
        UserChange::Disable,
        UserChange::Role("admin".to_owned()),
        UserChange::ValidUntil(Some(5)),
    ] {
        assert_eq!(
            bench.refused(bench.root, alter_user("nodedb", change)).0,
            "55000"
        );
    }
    assert_eq!(
        bench
            .refused(bench.root, revoke_role("superuser", "nodedb"))
            .0,
        "55000"
    );
    let second = bench.user("second", "superuser");
    bench
        .ask(second, alter_user("nodedb", UserChange::Disable))
        .expect("there is another");
    assert_eq!(bench.refused(bench.root, create_user("x", None)).0, "42501");
}

#[test]
fn the_way_back_in_makes_the_superuser_usable_again() {
    let bench = Bench::new();
    let second = bench.user("second", "superuser");
    bench
        .ask(second, alter_user("nodedb", UserChange::Disable))
        .expect("there is another");
    let crashed = bench.directory.after_crash(0);
    let (mut store, found) = Embedded::open_in(Box::new(crashed.clone())).expect("it opens");
    let new = Verifier {
        iterations: 5000,
        ..verifier()
    };
    reset_superuser(&mut store, found.epoch, &found.principals, "nodedb", new)
        .expect("it is reset");
    let missing = reset_superuser(
        &mut store,
        found.epoch,
        &found.principals,
        "nobody",
        verifier(),
    );
    assert!(missing.is_err());
    drop(store);
    let (_, found) = Embedded::open_in(Box::new(crashed)).expect("it opens");
    let root = found.principals.principal_named("nodedb").expect("it");
    assert!(root.enabled);
    match &root.kind {
        PrincipalKind::User { passwords, .. } => {
            assert_eq!(passwords.verifier().expect("it has one").iterations, 5000);
        }
        PrincipalKind::ServiceAccount { .. } => panic!("it is a user"),
    }
}

#[test]
fn limits_are_changed_one_by_one_and_kept() {
    let bench = Bench::new();
    let alice = bench.user("alice", "readwrite");
    let change = |connections, statements| AllowanceChange {
        connections,
        statements,
    };
    for (limits, expected) in [
        (change(Some(Some(5)), None), (Some(5), None)),
        (change(None, Some(Some(2))), (Some(5), Some(2))),
        (change(Some(None), None), (None, Some(2))),
    ] {
        bench.run(alter_user("alice", UserChange::Limits(limits)));
        let recovered = bench.recovered();
        let user = recovered.principals.principal_named("alice").expect("she");
        let allowance = user.allowance;
        assert_eq!((allowance.connections, allowance.statements), expected);
    }
    let wider = alter_user("alice", UserChange::Limits(change(Some(None), Some(None))));
    let refused = bench.ask(alice, wider).expect_err("not her own");
    assert_eq!(refused.sqlstate(), SqlState::INSUFFICIENT_PRIVILEGE);
}
