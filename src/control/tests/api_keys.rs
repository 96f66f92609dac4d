//! CREATE API KEY, ALTER API KEY … ROTATE and DROP API KEY: who may, and what becomes of keys when
//! what they stand on goes.

use super::*;
use crate::catalog::KeyId;
use crate::catalog::key::{ApiKey, SecretHash};
use crate::catalog::principal::Parent;
use crate::catalog::request::{Expires, KeyWanted};
use crate::catalog::role::Ladder;

fn create_as(number: u8, wanted: KeyWanted) -> Request {
    Request::CreateApiKey {
        id: KeyId::new([number; 8]),
        secret: SecretHash([number; 32]),
        key: wanted,
    }
}

fn named(name: &str) -> KeyWanted {
    KeyWanted {
        name: Some(name.to_owned()),
        ..KeyWanted::default()
    }
}

fn of(name: &str, owner: &str) -> KeyWanted {
    KeyWanted {
        owner: Some(owner.to_owned()),
        ..named(name)
    }
}

fn rotate(number: u8, secret: u8, grace_minutes: Option<u32>) -> Request {
    Request::RotateApiKey {
        id: KeyId::new([number; 8]),
        secret: SecretHash([secret; 32]),
        grace_minutes,
    }
}

fn drop_key(name: &str, if_exists: IfExists) -> Request {
    Request::DropApiKey {
        if_exists,
        name: name.to_owned(),
    }
}

fn account(name: &str, database: &str) -> Request {
    Request::CreateServiceAccount {
        if_exists: IfExists::Fail,
        name: name.to_owned(),
        database: database.to_owned(),
        role: None,
        tenant: None,
    }
}

fn key(bench: &Bench, name: &str) -> Option<Arc<ApiKey>> {
    let snapshot = bench.snapshot();
    let key = snapshot.principals.key_named(TenantId::SYSTEM, name);
    key.cloned()
}

fn names(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_key_belongs_to_whoever_is_named_or_makes_it() {
    let bench = Bench::new();
    let lead = bench.user("lead", "tenant_admin");
    bench.user("alice", "readwrite");
    bench.ask(lead, create_as(1, named("own"))).expect("it may");
    bench
        .ask(lead, create_as(2, of("hers", "alice")))
        .expect("it may");
    assert_eq!(key(&bench, "own").expect("made").owner, lead.principal);
    let hers = key(&bench, "hers").expect("made");
    assert_eq!(hers.owner, bench.caller("alice").principal);
    assert_eq!((hers.role.clone(), hers.databases.clone()), (None, None));
    // A key without a name is known by its id.
    let nameless = KeyWanted {
        name: None,
        ..of("", "alice")
    };
    bench.run(create_as(3, nameless));
    let id = KeyId::new([3; 8]).to_string();
    assert_eq!(&*key(&bench, &id).expect("made").name, id);
    // What was answered is there after a crash.
    let recovered = bench.recovered();
    assert_eq!(recovered.principals.keys().count(), 3);
}

#[test]
fn nobody_makes_a_key_with_more_than_they_hold() {
    let bench = Bench::new();
    let lead = bench.user("lead", "tenant_admin");
    let admin = bench.user("admin_user", "admin");
    let with_role = |role: &str| KeyWanted {
        role: Some(role.to_owned()),
        ..named("k")
    };
    let (code, message) = bench.refused(lead, create_as(1, with_role("superuser")));
    assert_eq!(code, "42501");
    assert_eq!(message, "must be superuser to create superusers");
    let (code, _) = bench.refused(lead, create_as(1, of("k", "nodedb")));
    assert_eq!(code, "42501", "nor one of a superuser");
    let (code, message) = bench.refused(admin, create_as(1, named("k")));
    assert_eq!(
        (&*code, &*message),
        ("42501", "permission denied to create API key")
    );
    bench.run(create_as(1, named("root-key")));
    let (code, _) = bench.refused(lead, drop_key("root-key", IfExists::Fail));
    assert_eq!(code, "42501");
    let (code, _) = bench.refused(lead, rotate(1, 9, None));
    assert_eq!(code, "42501");
    bench
        .ask(lead, create_as(2, with_role("tenant_admin")))
        .expect("it holds that");
}

#[test]
fn a_session_by_a_key_may_no_more_than_the_key() {
    let bench = Bench::new();
    let narrow = KeyWanted {
        role: Some("admin".to_owned()),
        ..named("narrow")
    };
    bench.run(create_as(1, narrow));
    bench.run(create_as(2, named("wide")));
    let by = |number: u8| Caller {
        key: Some(KeyId::new([number; 8])),
        ..bench.root
    };
    let (code, _) = bench.refused(by(1), create_user("x", None));
    assert_eq!(code, "42501");
    bench
        .ask(by(2), create_user("x", None))
        .expect("it carries all of its owner's");
    bench.run(drop_key("wide", IfExists::Fail));
    let (code, message) = bench.refused(by(2), create_user("y", None));
    assert_eq!(code, "42501");
    assert!(message.contains("has been dropped"), "{message}");
}

#[test]
fn names_are_unique_in_the_tenant_and_missing_things_are_named() {
    let bench = Bench::new();
    bench.run(create_as(1, named("ci")));
    let (code, message) = bench.refused(bench.root, create_as(2, named("ci")));
    assert_eq!(
        (&*code, &*message),
        ("42710", "API key \"ci\" already exists")
    );
    let error = bench
        .ask(bench.root, create_as(2, of("k", "nobody")))
        .expect_err("there is none");
    assert_eq!(error.sqlstate().as_str(), "42704");
    let hint = error.fields().hint.clone().expect("with the statement");
    assert!(hint.starts_with("CREATE SERVICE ACCOUNT nobody"), "{hint}");
    let nowhere = KeyWanted {
        databases: names(&["nowhere"]),
        ..named("k")
    };
    let error = bench.ask(bench.root, create_as(2, nowhere)).unwrap_err();
    assert_eq!(error.sqlstate().as_str(), "3D000");
    assert_eq!(
        error.fields().hint.as_deref(),
        Some("CREATE DATABASE nowhere")
    );
    for name in ["none", &KeyId::new([9; 8]).to_string()] {
        let (code, _) = bench.refused(bench.root, drop_key(name, IfExists::Fail));
        assert_eq!(code, "42704", "{name}");
    }
    let reply = bench.run(drop_key("none", IfExists::Skip));
    assert_eq!(
        reply.notices[0].message(),
        "API key \"none\" does not exist, skipping"
    );
    let id = KeyId::new([1; 8]).to_string();
    bench.run(drop_key(&id, IfExists::Fail));
    assert_eq!(key(&bench, "ci"), None);
}

#[test]
fn a_list_beyond_the_owners_reach_is_taken_with_a_warning_that_says_what_opens_it() {
    let bench = Bench::new();
    bench.user("alice", "readonly");
    for database in ["prod", "logs"] {
        bench.run(create_database(database));
    }
    bench.run(account("batch", "logs"));
    let listed = |name: &str, owner: &str| KeyWanted {
        databases: names(&["prod", "nodedb", "prod"]),
        ..of(name, owner)
    };
    let reply = bench.run(create_as(1, listed("prod-reader", "alice")));
    let hints: Vec<_> = reply
        .notices
        .iter()
        .map(|notice| notice.fields().hint.clone().unwrap_or_default())
        .collect();
    assert_eq!(hints, ["GRANT CONNECT ON DATABASE prod TO alice"]);
    assert_eq!(
        key(&bench, "prod-reader")
            .unwrap()
            .databases
            .as_ref()
            .unwrap()
            .len(),
        2
    );
    let reply = bench.run(create_as(2, listed("batch-key", "batch")));
    assert_eq!(reply.notices.len(), 2, "{:?}", reply.notices);
    let hint = reply.notices[0].fields().hint.clone().unwrap();
    assert_eq!(hint, "ALTER SERVICE ACCOUNT batch SET DATABASES (…, prod)");
}

#[test]
fn keys_go_with_their_owner() {
    let bench = Bench::new();
    bench.user("alice", "readwrite");
    bench.run(account("batch", "nodedb"));
    bench.run(create_as(1, of("a", "alice")));
    bench.run(create_as(2, of("b", "alice")));
    bench.run(create_as(3, of("c", "batch")));
    bench.run(create_as(4, named("root-key")));
    bench.run(drop_user("alice"));
    assert_eq!((key(&bench, "a"), key(&bench, "b")), (None, None));
    bench.run(Request::DropServiceAccount {
        if_exists: IfExists::Fail,
        name: "batch".to_owned(),
    });
    assert_eq!(key(&bench, "c"), None);
    assert!(key(&bench, "root-key").is_some());
    assert_eq!(bench.recovered().principals.keys().count(), 1);
}

#[test]
fn a_dropped_tenant_leaves_no_keys() {
    let bench = Bench::new();
    bench.run(create_user_in(
        "tess",
        Some("admin"),
        Some(TenantRef::Id(TenantId(42))),
    ));
    bench.run(create_as(1, of("hers", "tess")));
    assert!(key(&bench, "hers").is_none(), "it is of her tenant");
    assert_eq!(bench.snapshot().principals.keys().count(), 1);
    bench.run(Request::DropTenant {
        if_exists: IfExists::Fail,
        tenant: TenantRef::Id(TenantId(42)),
        cascade: true,
    });
    assert_eq!(bench.snapshot().principals.keys().count(), 0);
}

#[test]
fn a_dropped_database_leaves_every_list_and_opens_none() {
    let bench = Bench::new();
    bench.run(create_database("prod"));
    let only = KeyWanted {
        databases: names(&["prod"]),
        ..named("only")
    };
    bench.run(create_as(1, only));
    bench.run(create_as(2, named("all")));
    bench.run(drop_database("prod"));
    let list = key(&bench, "only").unwrap().databases.clone();
    assert_eq!(list.as_deref(), Some(&[][..]), "not none: that opens all");
    assert_eq!(key(&bench, "all").unwrap().databases, None);
}

#[test]
fn a_role_stays_while_a_key_carries_it() {
    let bench = Bench::new();
    bench.run(create_role("analyst", Some("readonly")));
    let carries = KeyWanted {
        role: Some("analyst".to_owned()),
        ..named("k")
    };
    bench.run(create_as(1, carries));
    let error = bench.ask(bench.root, drop_role("analyst")).unwrap_err();
    assert_eq!(error.sqlstate().as_str(), "2BP01");
    assert_eq!(
        error.fields().detail.as_deref(),
        Some("API key k carries it")
    );
    bench.run(drop_key("k", IfExists::Fail));
    bench.run(drop_role("analyst"));
}

#[test]
fn a_rotation_keeps_the_old_secret_for_its_grace_and_everything_else() {
    let bench = Bench::new();
    let wanted = KeyWanted {
        role: Some("readonly".to_owned()),
        expires: Some(Expires::InDays(30)),
        ..named("ci")
    };
    bench.run(create_as(1, wanted));
    let made = key(&bench, "ci").unwrap();
    assert_eq!(made.role, Some(Parent::Ladder(Ladder::ReadOnly)));
    let day = 24 * 60 * 60 * 1_000_000;
    assert_eq!(made.expires_at, Some(made.created_at + 30 * day));
    bench.run(rotate(1, 2, Some(15)));
    let rotated = key(&bench, "ci").unwrap();
    assert_eq!(
        (rotated.secret, rotated.generation),
        (SecretHash([2; 32]), 1)
    );
    let previous = rotated.previous.as_ref().expect("a grace");
    assert_eq!(previous.secret, SecretHash([1; 32]));
    assert!(previous.until > made.created_at);
    assert_eq!(rotated.expires_at, made.expires_at);
    for no_grace in [None, Some(0)] {
        bench.run(rotate(1, 3, no_grace));
        assert_eq!(key(&bench, "ci").unwrap().previous, None);
    }
    let (code, _) = bench.refused(bench.root, rotate(9, 3, None));
    assert_eq!(code, "42704");
}

#[test]
fn a_key_cannot_expire_before_it_is_made() {
    let bench = Bench::new();
    let past = KeyWanted {
        expires: Some(Expires::At(1)),
        ..named("k")
    };
    assert_eq!(bench.refused(bench.root, create_as(1, past)).0, "22023");
}
