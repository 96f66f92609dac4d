//! What a token gives: with a user record and without, by the provider's default role and its mapping.

use super::*;
use crate::access::{EndReason, Variables, login, narrows, still_valid};
use crate::auth::claims::Claims;
use crate::auth::identity::TokenGrounds;
use crate::catalog::provider::{ClaimValue, FirstSight, MappingRule, Origin, Provider};
use crate::sql::auth_variable::Variable;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PROVIDER: PrincipalId = PrincipalId(35_000);
const ANALYST: u32 = 36_000;

fn rule(claim: &str, value: &str) -> MappingRule {
    MappingRule {
        claim: Arc::from(claim),
        value: ClaimValue::Is(Arc::from(value)),
        default_database: None,
        add_databases: Box::default(),
        add_roles: Box::default(),
    }
}

/// A provider of `system` with these rules.
fn provider(mapping: Vec<MappingRule>) -> Provider {
    Provider {
        id: PROVIDER,
        name: Arc::from("acme"),
        tenant: TenantId::SYSTEM,
        issuer: Arc::from("https://acme.example/"),
        jwks_url: None,
        audience: None,
        default_role: Parent::Ladder(Ladder::ReadOnly),
        mapping: mapping.into(),
        role_claim: None,
        org_claim: None,
        username_claim: None,
        first_sight: FirstSight::NoRecord,
        max_lifetime_seconds: 60,
        created_at: 0,
        origin: Origin::Sql,
    }
}

/// Rules for the group `eng`: the database prod, and the role analyst, which inherits readwrite.
fn eng() -> Vec<MappingRule> {
    vec![MappingRule {
        add_databases: Box::new([PROD]),
        add_roles: Box::new([Parent::Role(Arc::from("analyst"))]),
        ..rule("groups", "eng")
    }]
}

fn claims(groups: Value) -> Arc<Claims> {
    let all: BTreeMap<Arc<str>, Value> = BTreeMap::from([
        (Arc::from("sub"), json!("u1")),
        (Arc::from("groups"), groups),
        (Arc::from("role"), json!("superuser")),
    ]);
    Arc::new(crate::auth::claim_mapping::claims(&provider(Vec::new()), all).expect("it has a sub"))
}

impl World {
    fn with_provider(mapping: Vec<MappingRule>) -> World {
        let mut world = World::new();
        let parent = Some(Parent::Ladder(Ladder::ReadWrite));
        world.role(ANALYST, "analyst", parent);
        world.put(provider(mapping));
        world
    }

    fn put(&mut self, provider: Provider) {
        self.change(Change::PutProvider(Arc::new(provider)));
    }

    /// By a token; of this user record, or of none.
    fn by_token(&self, user: Option<&str>, claims: Arc<Claims>, database: DatabaseId) -> Identity {
        Identity {
            principal: user.map_or(PROVIDER, |user| self.principal(user).id),
            name: Arc::from("acme:u1"),
            tenant: TenantId::SYSTEM,
            database,
            method: Method::Jwt,
            key: None,
            claims: Some(claims),
            ends_at: Some(1_000),
        }
    }

    fn token_rights(&self, user: Option<&str>, groups: Value) -> crate::access::Rights {
        let identity = self.by_token(user, claims(groups), NODEDB);
        crate::access::rights(&self.0, &identity)
    }

    fn token_login(
        &self,
        user: Option<&str>,
        groups: Value,
        startup: Option<&str>,
    ) -> Result<DatabaseId, String> {
        let identity = self.by_token(user, claims(groups), NODEDB);
        login(&self.0, identity.grounds(), None, startup).map_err(|it| it.to_string())
    }
}

#[test]
fn claims_give_no_rights_but_the_default_role_and_rules_do() {
    let world = World::with_provider(eng());
    // The claim `role` says superuser.
    let stranger = world.token_rights(None, json!(["ops"]));
    assert_eq!(stranger.rung(), Some(Ladder::ReadOnly));
    assert!(!stranger.has_role(PrincipalId(ANALYST)));
    let engineer = world.token_rights(None, json!(["ops", "eng"]));
    assert_eq!(engineer.rung(), Some(Ladder::ReadWrite));
    assert!(engineer.has_role(PrincipalId(ANALYST)));
    assert_eq!(engineer.principal(), PROVIDER);
}

#[test]
fn a_rule_adds_to_the_record_that_a_token_leads_to() {
    let world = World::with_provider(eng());
    let reader = world.token_rights(Some("readonly"), json!("eng"));
    assert_eq!(reader.rung(), Some(Ladder::ReadWrite));
    assert!(reader.counts(world.principal("readonly").id));
    let admin = world.token_rights(Some("admin"), json!("ops"));
    assert_eq!(admin.rung(), Some(Ladder::Admin));
}

#[test]
fn no_token_amounts_to_superuser() {
    let mut world = World::with_provider(vec![MappingRule {
        add_roles: Box::new([
            Parent::Ladder(Ladder::Superuser),
            Parent::Role(Arc::from("root")),
        ]),
        ..rule("groups", "eng")
    }]);
    world.role(36_001, "root", Some(Parent::Ladder(Ladder::Superuser)));
    for user in [None, Some("superuser")] {
        let rights = world.token_rights(user, json!("eng"));
        assert_eq!(rights.rung(), Some(Ladder::TenantAdmin), "{user:?}");
        assert!(!rights.is_superuser());
        let identity = world.by_token(user, claims(json!("eng")), OTHER);
        let elsewhere = login(&world.0, identity.grounds(), Some(TenantId(7)), None);
        assert!(elsewhere.is_err(), "another tenant");
        assert_eq!(crate::access::rights(&world.0, &identity).rung(), None);
        let ended = still_valid(&world.0, &identity, 0);
        assert_eq!(ended, Err(EndReason::DatabaseOutOfReach));
    }
}

#[test]
fn a_rule_opens_databases_and_says_where_a_session_goes() {
    let mut world = World::with_provider(eng());
    assert_eq!(world.token_login(None, json!("eng"), None), Ok(NODEDB));
    let prod = Some("prod");
    assert_eq!(world.token_login(None, json!("eng"), prod), Ok(PROD));
    let refused = world.token_login(None, json!("ops"), prod).unwrap_err();
    assert!(refused.contains("42501: permission denied for database \"prod\""));
    let missing = world.token_login(None, json!("eng"), Some("acme:u1"));
    assert!(missing.unwrap_err().contains("3D000"));
    world.put(provider(vec![MappingRule {
        default_database: Some(PROD),
        ..rule("groups", "eng")
    }]));
    assert_eq!(world.token_login(None, json!("eng"), None), Ok(PROD));
    assert_eq!(world.token_login(None, json!("ops"), None), Ok(NODEDB));
    let of_record = world.token_login(Some("readonly"), json!("eng"), None);
    assert_eq!(of_record, Ok(PROD));
    let asked = world.token_login(None, json!("eng"), Some("nodedb"));
    assert_eq!(asked, Ok(NODEDB));
}

#[test]
fn a_session_ends_with_its_provider_its_record_and_its_token() {
    let mut world = World::with_provider(eng());
    let nobody = world.by_token(None, claims(json!("eng")), PROD);
    let reader = world.by_token(Some("readonly"), claims(json!("eng")), PROD);
    for identity in [&nobody, &reader] {
        assert_eq!(still_valid(&world.0, identity, 999), Ok(()));
        let expired = still_valid(&world.0, identity, 1_000);
        assert_eq!(expired, Err(EndReason::Expired));
    }
    world.edit("readonly", |it| it.enabled = false);
    assert_eq!(still_valid(&world.0, &reader, 0), Err(EndReason::Disabled));
    assert_eq!(still_valid(&world.0, &nobody, 0), Ok(()));
    world.put(provider(Vec::new()));
    assert_eq!(
        still_valid(&world.0, &nobody, 0),
        Err(EndReason::DatabaseOutOfReach)
    );
    world.change(Change::DropPrincipal(world.principal("readonly").id));
    assert_eq!(still_valid(&world.0, &reader, 0), Err(EndReason::Dropped));
    world.change(Change::DropProvider(PROVIDER));
    for identity in [&nobody, &reader] {
        let ended = still_valid(&world.0, identity, 0);
        assert_eq!(ended, Err(EndReason::ProviderDropped));
        assert_eq!(crate::access::rights(&world.0, identity).rung(), None);
    }
}

#[test]
fn a_mapping_that_gives_less_narrows_whoever_it_concerns() {
    let before = World::with_provider(eng());
    let after = World::with_provider(Vec::new());
    let engineer = before.by_token(None, claims(json!("eng")), NODEDB);
    let other = before.by_token(None, claims(json!("ops")), NODEDB);
    assert!(narrows(&before.0, &after.0, &engineer));
    assert!(!narrows(&before.0, &after.0, &other));
    assert!(!narrows(&after.0, &before.0, &engineer));
}

#[test]
fn the_roles_that_are_shown_are_those_in_force() {
    let world = World::with_provider(eng());
    let names = |user: Option<&str>, groups: Value| {
        let claims = claims(groups);
        let grounds = Grounds {
            principal: user.map_or(PROVIDER, |user| world.principal(user).id),
            key: None,
            token: Some(TokenGrounds {
                provider: PROVIDER,
                claims: &claims.all,
            }),
        };
        let standing = crate::access::Standing::of(&world.0, grounds).expect("all is there");
        standing.role_names().join(", ")
    };
    assert_eq!(names(None, json!("ops")), "readonly");
    assert_eq!(names(None, json!("eng")), "readonly, analyst");
    assert_eq!(names(Some("admin"), json!("eng")), "admin, analyst");
    assert_eq!(names(Some("superuser"), json!("eng")), "analyst");
}

#[test]
fn claims_name_nobody_but_what_the_provider_never_gives_twice() {
    let world = World::with_provider(Vec::new());
    let claimed = BTreeMap::from([
        (Arc::from("sub"), json!("u1")),
        (Arc::from("preferred_username"), json!("alice")),
    ]);
    let claimed = crate::auth::claim_mapping::claims(&provider(Vec::new()), claimed);
    let identity = world.by_token(None, Arc::new(claimed.expect("it has a sub")), NODEDB);
    let rights = crate::access::rights(&world.0, &identity);
    let variables = Variables::new(&identity, &rights, &world.0);
    let told = |variable: Variable| variables.text(&variable).expect("it has one").into_owned();
    assert_eq!(told(Variable::Username), "alice");
    assert_eq!(told(Variable::CurrentUser), "acme:u1");
    assert_eq!(told(Variable::Id), "u1");
    assert_eq!(told(Variable::Role), "readonly", "the role in force");
}
