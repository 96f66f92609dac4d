//! What each SHOW shows, to whom.

use super::*;
use crate::access::show::{Table as Answer, rows};
use crate::catalog::key_usage::KeyUsage;
use crate::sql::credential::Show;

/// Unix microseconds.
const NOW: i64 = 100;

fn shown(world: &World, by: &str, show: Show) -> Answer {
    let identity = world.identity(by, world_database(world, by));
    let used = KeyUsage::default();
    rows(&show, &world.0, &identity, NOW, &used).unwrap_or_else(|error| panic!("{show:?}: {error}"))
}

fn world_database(world: &World, name: &str) -> DatabaseId {
    match world.principal(name).tenant {
        TenantId::SYSTEM => NODEDB,
        _ => OTHER,
    }
}

fn lines(answer: &Answer) -> Vec<String> {
    let line = |row: &Vec<Option<String>>| {
        let cells = row.iter().map(|cell| cell.as_deref().unwrap_or("∅"));
        cells.collect::<Vec<_>>().join(" | ")
    };
    answer.rows.iter().map(line).collect()
}

fn columns(answer: &Answer) -> Vec<&'static str> {
    answer.columns.iter().map(|(name, _)| *name).collect()
}

#[test]
fn users_are_listed_by_name_with_roles_and_status() {
    let mut world = World::new();
    world.role(32_000, "analyst", Some(Parent::Ladder(Ladder::ReadOnly)));
    world.edit("admin", |it| it.roles = vec![Arc::from("analyst")]);
    world.edit("readwrite", |it| it.enabled = false);
    world.edit("readonly", |it| it.valid_until = Some(NOW));
    world.edit("tenant_admin", |it| it.valid_until = Some(NOW + 1));
    let answer = shown(&world, "superuser", Show::Users);
    assert_eq!(
        columns(&answer),
        ["username", "tenant_id", "roles", "is_superuser", "status"]
    );
    assert_eq!(
        lines(&answer),
        [
            "admin | 0 | admin, analyst | f | active",
            "readonly | 0 | readonly | f | expired",
            "readwrite | 0 | readwrite | f | disabled",
            "stranger | 7 | tenant_admin | f | active",
            "superuser | 0 | superuser | t | active",
            "tenant_admin | 0 | tenant_admin | f | active",
        ]
    );
}

#[test]
fn a_tenant_sees_nothing_of_another() {
    let world = World::new();
    assert_eq!(
        lines(&shown(&world, "stranger", Show::Users)),
        ["stranger | 7 | tenant_admin | f | active"]
    );
    assert_eq!(
        lines(&shown(&world, "stranger", Show::Tenants)),
        ["7 | acme"]
    );
    assert_eq!(
        lines(&shown(&world, "stranger", Show::Databases)),
        ["nodedb | ∅ | 7"]
    );
    assert!(
        lines(&shown(&world, "admin", Show::Users))
            .iter()
            .all(|line| !line.contains("stranger"))
    );
}

#[test]
fn below_admin_credentials_are_not_shown_and_ones_own_grants_are() {
    let world = World::new();
    let identity = world.identity("readwrite", NODEDB);
    for show in [
        Show::Users,
        Show::Roles,
        Show::Tenants,
        Show::Grants { of: None },
        Show::Grants {
            of: Some("admin".to_owned()),
        },
    ] {
        let refused =
            rows(&show, &world.0, &identity, NOW, &KeyUsage::default()).expect_err("below admin");
        assert_eq!(refused.sqlstate().as_str(), "42501", "{show:?}");
    }
    let own = Show::Grants {
        of: Some("readwrite".to_owned()),
    };
    assert_eq!(
        lines(&shown(&world, "readwrite", own)),
        ["readwrite | role | readwrite | MEMBER"]
    );
    assert_eq!(
        lines(&shown(&world, "readwrite", Show::Databases)),
        ["nodedb | ∅ | 0"],
        "only what is in reach"
    );
}

#[test]
fn roles_are_the_ladder_and_the_tenants_own() {
    let mut world = World::new();
    world.role(32_000, "analyst", Some(Parent::Ladder(Ladder::ReadOnly)));
    let answer = shown(&world, "admin", Show::Roles);
    assert_eq!(columns(&answer), ["name", "tenant_id", "parent"]);
    assert_eq!(
        lines(&answer),
        [
            "readonly | ∅ | ∅",
            "readwrite | ∅ | readonly",
            "admin | ∅ | readwrite",
            "tenant_admin | ∅ | admin",
            "superuser | ∅ | tenant_admin",
            "analyst | 0 | readonly",
        ]
    );
    assert_eq!(shown(&world, "stranger", Show::Roles).rows.len(), 5);
}

#[test]
fn grants_name_roles_databases_and_tables() {
    let mut world = World::new();
    world.edit("readonly", |it| {
        it.kind = PrincipalKind::User {
            passwords: Default::default(),
            default_database: None,
            connect: vec![PROD],
        };
    });
    world.define(&table("t", &[(30_000, SELECT), (39_999, SELECT)]));
    let of = Show::Grants {
        of: Some("readonly".to_owned()),
    };
    let answer = shown(&world, "admin", of);
    assert_eq!(
        columns(&answer),
        ["grantee", "object_type", "object", "privilege"]
    );
    assert_eq!(
        lines(&answer),
        [
            "readonly | role | readonly | MEMBER",
            "readonly | database | prod | CONNECT",
            "readonly | table | public.t | SELECT",
        ]
    );
    let nobody = Show::Grants {
        of: Some("stranger".to_owned()),
    };
    let identity = world.identity("admin", NODEDB);
    let refused = rows(&nobody, &world.0, &identity, NOW, &KeyUsage::default())
        .expect_err("another tenant's");
    assert_eq!(refused.sqlstate().as_str(), "42704");
}

#[test]
fn permissions_say_what_and_why() {
    let mut world = World::new();
    let insert = Privileges {
        insert: true,
        ..Privileges::default()
    };
    world.define(&table("t", &[(30_000, insert)]));
    let answer = shown(&world, "readonly", Show::Permissions);
    assert_eq!(
        columns(&answer),
        ["object_type", "object", "privilege", "source"]
    );
    assert_eq!(
        lines(&answer),
        [
            "table | * | SELECT | readonly",
            "table | public.t | INSERT | readonly",
        ]
    );
    let all = shown(&world, "superuser", Show::Permissions);
    assert_eq!(all.rows.len(), 13);
}
