//! Databases, CONNECT, and what goes with a dropped one.

use super::*;
use crate::catalog::principal::PrincipalKind;

fn database_id(bench: &Bench, name: &str) -> DatabaseId {
    let snapshot = bench.snapshot();
    let database = snapshot
        .principals
        .database_named(TenantId::SYSTEM, name)
        .expect("it is there");
    database.id
}

#[test]
fn admins_make_databases_and_others_do_not() {
    let bench = Bench::new();
    let admin = bench.user("chief", "admin");
    let reply = bench.ask(admin, create_database("logs")).expect("allowed");
    assert_eq!(reply.tag, "CREATE DATABASE");
    let (code, message) = bench.refused(admin, create_database("logs"));
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("42P04", "database \"logs\" already exists")
    );
    let writer = bench.user("writer", "readwrite");
    let (code, message) = bench.refused(writer, create_database("x"));
    assert_eq!(code, "42501");
    assert_eq!(message, "permission denied to create database");
    let (code, message) = bench.refused(writer, drop_database("logs"));
    assert_eq!(code, "42501");
    assert_eq!(message, "must be owner of database logs");
    assert_eq!(bench.refused(writer, drop_database("nothing")).0, "3D000");
}

#[test]
fn the_open_and_the_default_database_are_not_dropped() {
    let bench = Bench::new();
    let (code, message) = bench.refused(bench.root, drop_database("nodedb"));
    assert_eq!(code, "55006");
    assert_eq!(message, "cannot drop the currently open database");
    bench.run(create_database("logs"));
    let elsewhere = Caller {
        database: database_id(&bench, "logs"),
        ..bench.root
    };
    assert_eq!(bench.refused(elsewhere, drop_database("nodedb")).0, "2BP01");
}

#[test]
fn a_dropped_database_takes_its_relations_and_every_mention_along() {
    let bench = Bench::new();
    bench.run(create_database("logs"));
    let logs = database_id(&bench, "logs");
    bench.run(create_user("alice", None));
    bench.run(grant_connect("logs", "alice"));
    bench.run(alter_user(
        "alice",
        UserChange::DefaultDatabase("logs".to_owned()),
    ));
    bench.publish_relation(table(20_000, logs, PrincipalId::FIRST_SUPERUSER, "t"));
    bench.publish_relation(table(
        20_001,
        DatabaseId::FIRST,
        PrincipalId::FIRST_SUPERUSER,
        "stays",
    ));
    assert_eq!(bench.run(drop_database("logs")).tag, "DROP DATABASE");
    let snapshot = bench.snapshot();
    assert!(snapshot.principals.database(logs).is_none());
    let names: Vec<_> = snapshot
        .definitions
        .all()
        .map(|it| it.name.clone())
        .collect();
    assert_eq!(names, [Arc::from("stays")]);
    let alice = snapshot.principals.principal_named("alice").expect("she");
    match &alice.kind {
        PrincipalKind::User {
            default_database,
            connect,
            ..
        } => {
            assert_eq!(*default_database, None);
            assert!(connect.is_empty());
        }
        PrincipalKind::ServiceAccount { .. } => panic!("she is a user"),
    }
    let forgotten = bench.rows.0.lock();
    assert_eq!(forgotten.len(), 1);
    assert_eq!(forgotten[0].oid, Oid(20_000));
}

#[test]
fn definitions_of_a_database_dropped_meanwhile_are_removed_rather_than_published() {
    let bench = Bench::new();
    bench.run(create_database("logs"));
    let logs = database_id(&bench, "logs");
    bench.run(drop_database("logs"));
    bench.publish_relation(table(20_000, logs, PrincipalId::FIRST_SUPERUSER, "t"));
    assert_eq!(bench.snapshot().definitions.all().count(), 0);
    assert_eq!(bench.rows.0.lock().len(), 1);
}

#[test]
fn relations_that_a_crash_left_without_a_database_are_removed_at_the_start() {
    let orphan = table(
        20_000,
        DatabaseId(99_999),
        PrincipalId::FIRST_SUPERUSER,
        "t",
    );
    let change = crate::catalog::definition::DefinitionChange::Put(Arc::new(orphan));
    let bench = Bench::with_definitions(Definitions::default().with(&change));
    bench.run(create_user("alice", None));
    assert_eq!(bench.snapshot().definitions.all().count(), 0);
    assert_eq!(bench.rows.0.lock().len(), 1);
}

#[test]
fn a_default_database_out_of_reach_is_taken_with_a_warning_that_helps() {
    let bench = Bench::new();
    bench.run(create_database("prod"));
    let alice = bench.user("alice", "readwrite");
    let request = alter_user("alice", UserChange::DefaultDatabase("prod".to_owned()));
    let reply = bench.ask(alice, request).expect("it is her own default");
    assert_eq!(
        reply.notices[0].fields().hint.as_deref(),
        Some("GRANT CONNECT ON DATABASE prod TO alice")
    );
    assert_eq!(bench.run(grant_connect("prod", "alice")).tag, "GRANT");
    let revoke = Request::RevokeConnect {
        database: "prod".to_owned(),
        from: "alice".to_owned(),
    };
    assert_eq!(bench.run(revoke).tag, "REVOKE");
}
