//! Databases in reach, the database a login leads to, and when a session ends.

use super::*;
use crate::access::{EndReason, login, still_valid};

fn login_as(world: &World, name: &str, startup: Option<&str>) -> Result<DatabaseId, String> {
    let grounds = Grounds::new(world.principal(name).id, None, None);
    login(&world.0, grounds, None, startup).map_err(|error| error.to_string())
}

#[test]
fn no_name_or_ones_own_name_lead_to_the_default_database() {
    let mut world = World::new();
    for startup in [None, Some(""), Some("readonly")] {
        assert_eq!(login_as(&world, "readonly", startup), Ok(NODEDB));
    }
    assert_eq!(login_as(&world, "stranger", None), Ok(OTHER));
    world.edit("readonly", |it| {
        it.kind = PrincipalKind::User {
            passwords: Default::default(),
            default_database: Some(PROD),
            connect: vec![PROD],
        };
    });
    assert_eq!(login_as(&world, "readonly", None), Ok(PROD));
    assert_eq!(login_as(&world, "readonly", Some("nodedb")), Ok(NODEDB));
}

#[test]
fn a_database_of_ones_own_name_is_that_database() {
    let mut world = World::new();
    world.database(DatabaseId(21_000), "admin", 0, 10);
    assert_eq!(
        login_as(&world, "admin", Some("admin")),
        Ok(DatabaseId(21_000))
    );
}

#[test]
fn an_unknown_database_is_3d000_and_another_tenants_is_unknown() {
    let world = World::new();
    for (user, startup) in [
        ("admin", "nothing"),
        ("stranger", "prod"),
        ("readonly", "admin"),
    ] {
        assert_eq!(
            login_as(&world, user, Some(startup)),
            Err(format!(
                "FATAL 3D000: database \"{startup}\" does not exist"
            ))
        );
    }
}

#[test]
fn reach_is_the_default_the_owned_the_granted_and_for_admins_the_tenant() {
    let mut world = World::new();
    for (user, allowed) in [
        ("readonly", false),
        ("readwrite", false),
        ("admin", true),
        ("tenant_admin", true),
        ("superuser", true),
    ] {
        assert_eq!(
            login_as(&world, user, Some("prod")).is_ok(),
            allowed,
            "{user}"
        );
    }
    assert_eq!(
        login_as(&world, "readonly", Some("prod")),
        Err("FATAL 42501: permission denied for database \"prod\"".to_owned())
    );
    world.edit("readonly", |it| {
        it.kind = PrincipalKind::User {
            passwords: Default::default(),
            default_database: None,
            connect: vec![PROD],
        };
    });
    assert_eq!(login_as(&world, "readonly", Some("prod")), Ok(PROD));
    world.database(PROD, "prod", 0, 30_001);
    assert_eq!(login_as(&world, "readwrite", Some("prod")), Ok(PROD));
}

#[test]
fn a_service_account_reaches_its_list_and_nothing_else() {
    let mut world = World::new();
    world.user(31_000, "batch", 0, &[Ladder::Admin]);
    world.edit("batch", |it| {
        it.kind = PrincipalKind::ServiceAccount {
            databases: vec![PROD],
        };
    });
    assert_eq!(login_as(&world, "batch", None), Ok(PROD));
    let refused = login_as(&world, "batch", Some("nodedb")).expect_err("not in its list");
    assert!(
        refused.contains("42501: DATABASE_NOT_AUTHORIZED"),
        "{refused}"
    );
}

#[test]
fn a_superuser_may_name_a_tenant_and_nobody_else_may() {
    let world = World::new();
    let of = |name: &str| {
        let grounds = Grounds::new(world.principal(name).id, None, None);
        login(&world.0, grounds, Some(TenantId(7)), None)
            .map_err(|error| error.sqlstate().to_string())
    };
    assert_eq!(of("superuser"), Ok(OTHER));
    assert_eq!(of("admin"), Err("42501".to_owned()));
    assert_eq!(of("stranger"), Ok(OTHER), "their own tenant they may name");
}

#[test]
fn a_session_ends_for_each_reason_and_not_before() {
    let world = World::new();
    let identity = world.identity("readonly", NODEDB);
    assert_eq!(still_valid(&world.0, &identity, 100), Ok(()));

    let mut dropped = World(world.0.clone());
    dropped.change(Change::DropPrincipal(identity.principal));
    assert_eq!(
        still_valid(&dropped.0, &identity, 100),
        Err(EndReason::Dropped)
    );

    let mut disabled = World(world.0.clone());
    disabled.edit("readonly", |it| it.enabled = false);
    assert_eq!(
        still_valid(&disabled.0, &identity, 100),
        Err(EndReason::Disabled)
    );

    let mut expiring = World(world.0.clone());
    expiring.edit("readonly", |it| it.valid_until = Some(101));
    assert_eq!(still_valid(&expiring.0, &identity, 100), Ok(()));
    assert_eq!(
        still_valid(&expiring.0, &identity, 101),
        Err(EndReason::Expired)
    );
    let token = Identity {
        ends_at: Some(50),
        ..identity.clone()
    };
    assert_eq!(still_valid(&world.0, &token, 49), Ok(()));
    assert_eq!(still_valid(&world.0, &token, 100), Err(EndReason::Expired));

    let mut gone = World(world.0.clone());
    gone.change(Change::DropDatabase(NODEDB));
    assert_eq!(
        still_valid(&gone.0, &identity, 100),
        Err(EndReason::DatabaseDropped)
    );

    let far = world.identity("readonly", PROD);
    assert_eq!(
        still_valid(&world.0, &far, 100),
        Err(EndReason::DatabaseOutOfReach)
    );
}

#[test]
fn every_end_is_57p01_and_fatal() {
    for reason in EndReason::ALL {
        let told = reason.diagnostic().to_string();
        assert!(
            told.starts_with("FATAL 57P01: terminating connection because"),
            "{told}"
        );
    }
}
