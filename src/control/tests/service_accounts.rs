//! CREATE, ALTER and DROP SERVICE ACCOUNT.

use super::*;
use crate::catalog::principal::PrincipalKind;

fn create(name: &str, database: &str, role: Option<&str>) -> Request {
    Request::CreateServiceAccount {
        if_exists: IfExists::Fail,
        name: name.to_owned(),
        database: database.to_owned(),
        role: role.map(str::to_owned),
        tenant: None,
    }
}

fn set_databases(name: &str, databases: &[&str]) -> Request {
    Request::AlterServiceAccount {
        name: name.to_owned(),
        databases: databases.iter().map(|it| (*it).to_owned()).collect(),
    }
}

fn drop_account(name: &str, if_exists: IfExists) -> Request {
    Request::DropServiceAccount {
        if_exists,
        name: name.to_owned(),
    }
}

fn databases_of(bench: &Bench, name: &str) -> Vec<String> {
    let snapshot = bench.snapshot();
    let account = snapshot
        .principals
        .principal_named(name)
        .expect("it is there");
    let PrincipalKind::ServiceAccount { databases } = &account.kind else {
        panic!("{name} is a user");
    };
    let name = |id: &DatabaseId| snapshot.principals.database(*id).unwrap().name.to_string();
    databases.iter().map(name).collect()
}

#[test]
fn an_account_has_the_databases_that_it_was_last_given() {
    let bench = Bench::new();
    for database in ["analytics", "logs"] {
        bench.run(create_database(database));
    }
    bench.run(create("batch-processor", "analytics", None));
    assert_eq!(databases_of(&bench, "batch-processor"), ["analytics"]);
    bench.run(set_databases(
        "batch-processor",
        &["logs", "analytics", "logs"],
    ));
    assert_eq!(
        databases_of(&bench, "batch-processor"),
        ["logs", "analytics"]
    );
    bench.run(drop_database("logs"));
    assert_eq!(databases_of(&bench, "batch-processor"), ["analytics"]);
    bench.run(drop_account("batch-processor", IfExists::Fail));
    let gone = bench.snapshot();
    assert!(gone.principals.principal_named("batch-processor").is_none());
}

#[test]
fn users_and_accounts_share_one_name_space_and_are_not_each_other() {
    let bench = Bench::new();
    bench.user("alice", "readwrite");
    bench.run(create("bot", "nodedb", None));
    let root = bench.root;
    assert_eq!(
        bench.refused(root, create("alice", "nodedb", None)).0,
        "42710"
    );
    assert_eq!(bench.refused(root, create_user("bot", None)).0, "42710");
    for request in [
        set_databases("alice", &["nodedb"]),
        drop_account("alice", IfExists::Fail),
        drop_account("alice", IfExists::Skip),
        drop_user("bot"),
        alter_user("bot", set_password(Some(verifier()))),
        grant_connect("nodedb", "bot"),
    ] {
        assert_eq!(
            bench.refused(root, request.clone()).0,
            "42809",
            "{request:?}"
        );
    }
}

#[test]
fn if_exists_and_if_not_exists_skip_with_a_notice() {
    let bench = Bench::new();
    let skipping = Request::CreateServiceAccount {
        if_exists: IfExists::Skip,
        name: "bot".to_owned(),
        database: "nodedb".to_owned(),
        role: None,
        tenant: None,
    };
    assert!(bench.run(skipping.clone()).notices.is_empty());
    assert_eq!(bench.run(skipping).notices.len(), 1);
    bench.run(drop_account("bot", IfExists::Skip));
    assert_eq!(
        bench.run(drop_account("bot", IfExists::Skip)).notices.len(),
        1
    );
    let refused = bench.refused(bench.root, drop_account("bot", IfExists::Fail));
    assert_eq!(refused.0, "42704");
}

#[test]
fn accounts_are_made_by_tenant_admins_with_no_more_than_they_hold() {
    let bench = Bench::new();
    let admin = bench.user("anna", "admin");
    let tenant_admin = bench.user("tom", "tenant_admin");
    assert_eq!(
        bench.refused(admin, create("bot", "nodedb", None)).0,
        "42501"
    );
    let above = create("bot", "nodedb", Some("superuser"));
    assert_eq!(bench.refused(tenant_admin, above).0, "42501");
    let missing = create("bot", "nowhere", None);
    assert_eq!(bench.refused(tenant_admin, missing).0, "3D000");
    let made = bench.ask(tenant_admin, create("bot", "nodedb", Some("tenant_admin")));
    assert!(made.is_ok(), "{made:?}");
    assert_eq!(
        bench.refused(admin, drop_account("bot", IfExists::Fail)).0,
        "42501"
    );
}

#[test]
fn what_an_account_makes_belongs_to_the_owner_of_its_database() {
    let bench = Bench::new();
    bench.run(create("bot", "nodedb", Some("admin")));
    let bot = bench.caller("bot");
    bench
        .ask(bot, create_database("made"))
        .expect("an admin may");
    let snapshot = bench.snapshot();
    let made = snapshot
        .principals
        .database_named(TenantId::SYSTEM, "made")
        .expect("it was made");
    assert_eq!(made.owner, PrincipalId::FIRST_SUPERUSER);
    bench.run(drop_account("bot", IfExists::Fail));
}
