//! What a session by an API key may, where, and for how long: the key's ∩ its owner's, at each use.

use super::*;
use crate::access::{EndReason, login, narrows, rights, still_valid};
use crate::auth::identity::KeyUsed;
use crate::catalog::KeyId;
use crate::catalog::key::{ApiKey, PreviousSecret, SecretHash};

const KEY: KeyUsed = KeyUsed {
    id: KeyId::new([1; 8]),
    generation: 0,
};

impl World {
    /// The owner's key, as the closure makes it; replaces the one before.
    fn key(&mut self, owner: &str, edit: impl FnOnce(&mut ApiKey)) {
        let owner = self.principal(owner);
        let mut key = ApiKey {
            id: KEY.id,
            name: Arc::from("ci"),
            tenant: owner.tenant,
            owner: owner.id,
            secret: SecretHash([1; 32]),
            generation: 0,
            previous: None,
            role: None,
            databases: None,
            scopes: None,
            networks: None,
            rate_per_second: None,
            allowance: Default::default(),
            created_at: 0,
            expires_at: None,
        };
        edit(&mut key);
        self.change(Change::PutKey(Arc::new(key)));
    }

    fn by_key(&self, owner: &str, database: DatabaseId) -> Identity {
        Identity {
            method: Method::ApiKey,
            key: Some(KEY),
            ..self.identity(owner, database)
        }
    }

    fn key_rights(&self, owner: &str) -> crate::access::Rights {
        rights(&self.0, &self.by_key(owner, NODEDB))
    }

    fn login_by_key(&self, owner: &str, startup: Option<&str>) -> Result<DatabaseId, String> {
        let owner = self.principal(owner).id;
        login(&self.0, Grounds::new(owner, Some(KEY), None), None, startup)
            .map_err(|error| error.to_string())
    }
}

fn rung(rung: Ladder) -> Option<Parent> {
    Some(Parent::Ladder(rung))
}

#[test]
fn a_key_without_a_role_carries_all_of_its_owners() {
    let mut world = World::new();
    world.key("admin", |_| {});
    assert_eq!(world.key_rights("admin").rung(), Some(Ladder::Admin));
}

#[test]
fn a_role_narrows_and_never_widens() {
    let mut world = World::new();
    for (owner, role, in_force) in [
        ("superuser", Ladder::ReadOnly, Ladder::ReadOnly),
        ("admin", Ladder::ReadWrite, Ladder::ReadWrite),
        ("readonly", Ladder::Admin, Ladder::ReadOnly),
        ("readwrite", Ladder::Superuser, Ladder::ReadWrite),
    ] {
        world.key(owner, |key| key.role = rung(role));
        assert_eq!(world.key_rights(owner).rung(), Some(in_force), "{owner}");
    }
}

#[test]
fn table_grants_count_only_where_key_and_owner_both_may() {
    let mut world = World::new();
    world.role(32_000, "analyst", None);
    let owner = world.principal("readwrite").id.0;
    let (granted, other) = (
        table("t", &[(32_000, SELECT)]),
        table("u", &[(owner, SELECT)]),
    );
    let analyst = Some(Parent::Role(Arc::from("analyst")));
    // The key carries a role that its owner need not hold: the owner may all that it gives.
    world.key("readwrite", |key| key.role = analyst.clone());
    let rights = world.key_rights("readwrite");
    assert_eq!(rights.rung(), None);
    assert!(rights.may_select(&granted).is_ok());
    assert!(rights.may_insert(&granted).is_err());
    assert!(
        rights.may_select(&other).is_err(),
        "that is its owner's only"
    );
    // The owner has lost its rung: what the role gives is no longer the owner's to use.
    world.edit("readwrite", |it| it.ladder = Vec::new());
    assert!(world.key_rights("readwrite").may_select(&granted).is_err());
    assert!(!world.key_rights("readwrite").has_role(PrincipalId(32_000)));
    world.edit("readwrite", |it| it.roles = vec![Arc::from("analyst")]);
    assert!(world.key_rights("readwrite").may_select(&granted).is_ok());
    assert!(world.key_rights("readwrite").has_role(PrincipalId(32_000)));
    // A grant to the owner itself, under a key with a rung.
    world.key("readwrite", |key| key.role = rung(Ladder::ReadOnly));
    assert!(world.key_rights("readwrite").may_select(&other).is_ok());
    assert!(world.key_rights("readwrite").may_update(&other).is_err());
}

#[test]
fn a_role_that_is_gone_gives_nothing() {
    let mut world = World::new();
    world.key("admin", |key| {
        key.role = Some(Parent::Role(Arc::from("gone")))
    });
    let rights = world.key_rights("admin");
    assert_eq!(rights.rung(), None);
    assert!(rights.may_select(&table("t", &[])).is_err());
}

#[test]
fn a_key_leads_to_the_first_of_its_list_and_nowhere_else() {
    let mut world = World::new();
    world.key("admin", |key| key.databases = Some(Box::new([PROD])));
    assert_eq!(world.login_by_key("admin", None), Ok(PROD));
    assert_eq!(world.login_by_key("admin", Some("prod")), Ok(PROD));
    assert_eq!(
        world.login_by_key("admin", Some("nodedb")),
        Err(
            "FATAL 42501: DATABASE_NOT_AUTHORIZED: database \"nodedb\" is not in the list of API key \"ci\""
                .to_owned()
        )
    );
    world.key("readonly", |key| key.databases = Some(Box::new([PROD])));
    let refused = world
        .login_by_key("readonly", None)
        .expect_err("out of its owner's reach");
    assert_eq!(
        refused,
        "FATAL 42501: DATABASE_NOT_AUTHORIZED: \"readonly\", the owner of API key \"ci\", may not connect to database \"prod\""
    );
    world.edit("readonly", |it| {
        it.kind = PrincipalKind::User {
            passwords: Default::default(),
            default_database: None,
            connect: vec![PROD],
        };
    });
    assert_eq!(world.login_by_key("readonly", None), Ok(PROD));
    world.key("admin", |key| key.databases = Some(Box::new([])));
    assert!(world.login_by_key("admin", Some("prod")).is_err());
}

#[test]
fn a_superusers_key_with_a_lower_role_stays_in_its_tenant() {
    let mut world = World::new();
    let elsewhere = |world: &World| {
        let owner = world.principal("superuser").id;
        let grounds = Grounds::new(owner, Some(KEY), None);
        login(&world.0, grounds, Some(TenantId(7)), None).map_err(|it| it.to_string())
    };
    world.key("superuser", |_| {});
    assert_eq!(elsewhere(&world), Ok(OTHER));
    world.key("superuser", |key| key.role = rung(Ladder::TenantAdmin));
    assert_eq!(
        elsewhere(&world),
        Err("FATAL 42501: permission denied to set parameter \"tenant\"".to_owned())
    );
    let identity = world.by_key("superuser", OTHER);
    assert_eq!(rights(&world.0, &identity).rung(), None);
    assert_eq!(world.login_by_key("superuser", Some("prod")), Ok(PROD));
}

#[test]
fn a_session_ends_with_its_key_its_secret_or_their_time() {
    let mut world = World::new();
    let now = 100;
    let valid = |world: &World| still_valid(&world.0, &world.by_key("admin", NODEDB), now);
    world.key("admin", |_| {});
    assert_eq!(valid(&world), Ok(()));
    world.key("admin", |key| key.expires_at = Some(now));
    assert_eq!(valid(&world), Err(EndReason::Expired));
    world.key("admin", |key| key.generation = 1);
    assert_eq!(valid(&world), Err(EndReason::SecretReplaced));
    let graced = |until: i64| {
        move |key: &mut ApiKey| {
            key.generation = 1;
            key.previous = Some(Box::new(PreviousSecret {
                secret: SecretHash([1; 32]),
                until,
            }));
        }
    };
    world.key("admin", graced(now + 1));
    assert_eq!(valid(&world), Ok(()));
    world.key("admin", graced(now));
    assert_eq!(valid(&world), Err(EndReason::Expired));
    world.key("admin", |key| key.databases = Some(Box::new([PROD])));
    assert_eq!(valid(&world), Err(EndReason::DatabaseOutOfReach));
    world.key("admin", |_| {});
    world.change(Change::DropKey(KEY.id));
    assert_eq!(valid(&world), Err(EndReason::KeyDropped));
    assert_eq!(world.key_rights("admin").rung(), None);
}

#[test]
fn whatever_narrows_owner_or_role_narrows_the_key() {
    let mut world = World::new();
    world.role(32_000, "analyst", Some(Parent::Ladder(Ladder::ReadWrite)));
    world.key("admin", |key| {
        key.role = Some(Parent::Role(Arc::from("analyst")))
    });
    let before = world.0.clone();
    let identity = world.by_key("admin", NODEDB);
    assert!(!narrows(&before, &world.0, &identity));
    world.role(32_000, "analyst", Some(Parent::Ladder(Ladder::ReadOnly)));
    assert!(narrows(&before, &world.0, &identity));
    assert!(!narrows(&world.0, &before, &identity));
    world.edit("admin", |it| it.ladder = vec![Ladder::ReadOnly]);
    assert!(narrows(&before, &world.0, &identity));
}
