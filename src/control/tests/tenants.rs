//! Tenants, and that one sees nothing of another.

use super::*;

/// A tenant 7 with a tenant_admin `boss`; gives the boss's session.
fn with_tenant(bench: &Bench) -> Caller {
    bench.run(create_tenant("acme", Some(7)));
    bench.run(create_user_in(
        "boss",
        Some("tenant_admin"),
        Some(TenantRef::Id(TenantId(7))),
    ));
    bench.caller("boss")
}

#[test]
fn tenant_n_is_made_when_a_user_is_put_in_it_with_a_notice() {
    let bench = Bench::new();
    let request = create_user_in("service_bot", None, Some(TenantRef::Id(TenantId(42))));
    let reply = bench.run(request);
    assert_eq!(
        reply.notices[0].message(),
        "tenant 42 did not exist and was created as \"tenant_42\""
    );
    let snapshot = bench.snapshot();
    let tenant = snapshot.principals.tenant_named("tenant_42").expect("it");
    assert_eq!(tenant.id, TenantId(42));
    let bot = snapshot
        .principals
        .principal_named("service_bot")
        .expect("it");
    assert_eq!(bot.tenant, TenantId(42));
    let database = snapshot
        .principals
        .database_named(TenantId(42), "nodedb")
        .expect("every tenant has one");
    assert_eq!(database.id, tenant.default_database);
    let by_name = create_user_in("x", None, Some(TenantRef::Name("nowhere".to_owned())));
    assert_eq!(bench.refused(bench.root, by_name).0, "42704");
}

#[test]
fn tenants_are_numbered_renamed_and_refused_twice() {
    let bench = Bench::new();
    assert_eq!(
        bench.run(create_tenant("acme", Some(7))).tag,
        "CREATE TENANT"
    );
    bench.run(create_tenant("next", None));
    let next = bench
        .snapshot()
        .principals
        .tenant_named("next")
        .expect("it")
        .id;
    assert_eq!(next, TenantId(8));
    assert_eq!(
        bench.refused(bench.root, create_tenant("acme", None)).0,
        "42710"
    );
    assert_eq!(
        bench.refused(bench.root, create_tenant("x", Some(7))).0,
        "42710"
    );
    assert_eq!(
        bench
            .refused(bench.root, create_tenant("x", Some(u32::MAX)))
            .0,
        "22023"
    );
    let rename = |tenant, name: &str| Request::RenameTenant {
        tenant,
        name: name.to_owned(),
    };
    let renamed = bench.run(rename(TenantRef::Id(TenantId(7)), "apex"));
    assert_eq!(renamed.tag, "ALTER TENANT");
    assert!(bench.snapshot().principals.tenant_named("acme").is_none());
    let taken = rename(TenantRef::Id(TenantId(8)), "apex");
    assert_eq!(bench.refused(bench.root, taken).0, "42710");
    let system = rename(TenantRef::Id(TenantId::SYSTEM), "x");
    assert_eq!(bench.refused(bench.root, system).0, "2BP01");
    let missing = rename(TenantRef::Id(TenantId(99)), "x");
    assert_eq!(bench.refused(bench.root, missing).0, "42704");
}

#[test]
fn users_of_another_tenant_are_as_if_they_did_not_exist() {
    let bench = Bench::new();
    let boss = with_tenant(&bench);
    bench.run(create_user("alice", None));
    bench.run(create_database("prod"));
    for (request, code) in [
        (alter_user("alice", UserChange::Disable), "42704"),
        (drop_user("alice"), "42704"),
        (grant_role("readonly", "alice"), "42704"),
        (drop_database("prod"), "3D000"),
        (grant_connect("prod", "boss"), "3D000"),
        (grant_connect("nodedb", "alice"), "42704"),
        // A login name is unique in the whole server.
        (create_user("alice", None), "42710"),
        (create_tenant("t", None), "42501"),
    ] {
        assert_eq!(bench.refused(boss, request.clone()).0, code, "{request:?}");
    }
    let elsewhere = Caller {
        tenant: TenantId::SYSTEM,
        ..boss
    };
    assert_eq!(bench.refused(elsewhere, create_user("x", None)).0, "42501");
    bench
        .ask(boss, create_user("carol", None))
        .expect("at home");
    assert_eq!(bench.caller("carol").tenant, TenantId(7));
    bench
        .ask(boss, create_database("prod"))
        .expect("database names are unique in a tenant only");
}

#[test]
fn a_superuser_works_in_the_tenant_in_force() {
    let bench = Bench::new();
    with_tenant(&bench);
    let inside = Caller {
        tenant: TenantId(7),
        ..bench.root
    };
    bench
        .ask(inside, create_database("d7"))
        .expect("set tenant");
    bench
        .ask(inside, create_user("dave", None))
        .expect("set tenant");
    assert_eq!(bench.caller("dave").tenant, TenantId(7));
    let across = bench.refused(bench.root, grant_connect("nodedb", "dave"));
    assert_eq!(across.0, "42501");
    bench
        .ask(inside, grant_connect("d7", "dave"))
        .expect("both are in 7");
}

#[test]
fn a_tenant_is_dropped_empty_or_with_cascade() {
    let bench = Bench::new();
    let boss = with_tenant(&bench);
    bench.ask(boss, create_database("d7")).expect("allowed");
    bench.ask(boss, create_role("r7", None)).expect("allowed");
    bench.publish_relation(table(20_000, boss.database, boss.principal, "t"));
    let error = bench
        .ask(bench.root, drop_tenant("acme", false))
        .expect_err("it is not empty");
    assert_eq!(error.sqlstate(), SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
    assert_eq!(
        error.fields().detail.as_deref(),
        Some("user boss\nrole r7\ndatabase d7\nrelation t of database nodedb")
    );
    assert_eq!(bench.run(drop_tenant("acme", true)).tag, "DROP TENANT");
    for principals in [&bench.snapshot().principals, &bench.recovered().principals] {
        assert!(principals.tenant(TenantId(7)).is_none());
        assert!(principals.all().all(|it| it.tenant == TenantId::SYSTEM));
        assert!(
            principals
                .databases()
                .all(|it| it.tenant == TenantId::SYSTEM)
        );
        assert_eq!(principals.roles().count(), 0);
    }
    assert_eq!(bench.rows.0.lock().len(), 1);
    bench.run(create_tenant("empty", None));
    bench.run(drop_tenant("empty", false));
    assert_eq!(
        bench.refused(bench.root, drop_tenant("empty", false)).0,
        "42704"
    );
}

#[test]
fn the_system_tenant_and_the_sessions_own_stay() {
    let bench = Bench::new();
    assert_eq!(
        bench.refused(bench.root, drop_tenant("system", true)).0,
        "2BP01"
    );
    with_tenant(&bench);
    let inside = Caller {
        tenant: TenantId(7),
        ..bench.root
    };
    assert_eq!(bench.refused(inside, drop_tenant("acme", true)).0, "55006");
}

#[test]
fn what_users_own_in_other_tenants_stops_even_cascade() {
    let bench = Bench::new();
    bench.run(create_tenant("acme", Some(7)));
    bench.run(create_user_in(
        "visitor",
        Some("superuser"),
        Some(TenantRef::Id(TenantId(7))),
    ));
    let outside = Caller {
        tenant: TenantId::SYSTEM,
        database: DatabaseId::FIRST,
        ..bench.caller("visitor")
    };
    bench
        .ask(outside, create_database("theirs"))
        .expect("a superuser");
    assert_eq!(
        bench.refused(bench.root, drop_tenant("acme", true)).0,
        "2BP01"
    );
    bench.run(drop_database("theirs"));
    bench.run(drop_tenant("acme", true));
}
