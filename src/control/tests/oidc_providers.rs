//! CREATE, ALTER and DROP OIDC PROVIDER, those of the configuration, and users made of tokens.

use super::*;
use crate::catalog::port::TokenOfCaller;
use crate::catalog::principal::{Parent, PrincipalKind};
use crate::catalog::provider::{ClaimValue, FirstSight, Provider};
use crate::catalog::provider_request::RuleWanted;
use crate::catalog::role::Ladder;
use serde_json::json;
use std::collections::BTreeMap;

const ISSUER: &str = "https://acme.example/";

fn wanted(name: &str) -> ProviderWanted {
    ProviderWanted {
        name: name.to_owned(),
        issuer: ISSUER.to_owned(),
        audience: Some(format!("{name}-api")),
        ..ProviderWanted::default()
    }
}

fn create(wanted: ProviderWanted) -> Request {
    Request::CreateProvider {
        if_exists: IfExists::Fail,
        wanted: Box::new(wanted),
    }
}

fn drop_provider(name: &str, if_exists: IfExists) -> Request {
    Request::DropProvider {
        if_exists,
        name: name.to_owned(),
    }
}

fn gives(role: &str, database: Option<&str>) -> RuleWanted {
    RuleWanted {
        claim: "groups".to_owned(),
        value: ClaimValue::Any,
        default_database: database.map(str::to_owned),
        add_databases: Vec::new(),
        add_roles: vec![role.to_owned()],
    }
}

fn set_mapping(name: &str, mapping: Vec<RuleWanted>) -> Request {
    Request::SetClaimMapping {
        name: name.to_owned(),
        mapping,
    }
}

impl Bench {
    fn provider(&self, name: &str) -> Option<Arc<Provider>> {
        let snapshot = self.snapshot();
        let found = snapshot.principals.provider_named(TenantId::SYSTEM, name);
        found.cloned()
    }
}

#[test]
fn a_provider_is_made_mapped_dropped_and_kept() {
    let bench = Bench::new();
    bench.run(create_database("prod"));
    bench.run(create(ProviderWanted {
        mapping: vec![gives("readwrite", Some("prod"))],
        ..wanted("acme")
    }));
    let made = bench.provider("acme").expect("it is there");
    assert_eq!(made.default_role, Parent::Ladder(Ladder::ReadOnly));
    let kept = bench.recovered().principals;
    assert_eq!(kept.provider_named(TenantId::SYSTEM, "acme"), Some(&made));
    bench.run(set_mapping("acme", Vec::new()));
    assert!(bench.provider("acme").expect("it is").mapping.is_empty());
    bench.run(drop_provider("acme", IfExists::Fail));
    assert_eq!(bench.provider("acme"), None);
    let missing = bench.refused(bench.root, drop_provider("acme", IfExists::Fail));
    assert_eq!(missing.0, "42704");
    let skipped = bench.run(drop_provider("acme", IfExists::Skip));
    assert_eq!(skipped.notices.len(), 1);
    bench.run(create(wanted("acme")));
    let again = bench.provider("acme").expect("it is there");
    assert!(again.id > made.id, "an id is never given twice");
}

#[test]
fn only_a_superuser_says_who_people_are() {
    let bench = Bench::new();
    let lead = bench.user("lead", "tenant_admin");
    bench.run(create(wanted("acme")));
    for request in [
        create(wanted("other")),
        set_mapping("acme", Vec::new()),
        drop_provider("acme", IfExists::Fail),
        drop_provider("nothing", IfExists::Skip),
    ] {
        assert_eq!(bench.refused(lead, request).0, "42501");
    }
}

#[test]
fn nothing_gives_superuser() {
    let bench = Bench::new();
    bench.run(Request::CreateRole {
        if_exists: IfExists::Fail,
        name: "root".to_owned(),
        parent: Some("superuser".to_owned()),
    });
    bench.run(create(wanted("acme")));
    for role in ["superuser", "root"] {
        let by_rule = ProviderWanted {
            mapping: vec![gives(role, None)],
            ..wanted("other")
        };
        let by_default = ProviderWanted {
            default_role: Some(role.to_owned()),
            ..wanted("other")
        };
        for request in [
            create(by_rule),
            create(by_default),
            set_mapping("acme", vec![gives(role, None)]),
        ] {
            let refused = bench.refused(bench.root, request);
            assert_eq!(refused.0, "42501", "{}", refused.1);
            assert!(refused.1.contains("superuser"), "{}", refused.1);
        }
    }
}

#[test]
fn issuer_and_audience_belong_to_one_provider_of_the_server() {
    let bench = Bench::new();
    bench.run(create(wanted("acme")));
    let same_name = ProviderWanted {
        audience: Some("other".to_owned()),
        ..wanted("acme")
    };
    let same_source = ProviderWanted {
        name: "other".to_owned(),
        tenant: Some(TenantRef::Id(TenantId(7))),
        ..wanted("acme")
    };
    for duplicate in [same_name.clone(), same_source.clone()] {
        assert_eq!(bench.refused(bench.root, create(duplicate)).0, "42710");
    }
    let other_audience = ProviderWanted {
        audience: None,
        ..same_source
    };
    let made = bench.run(create(other_audience));
    let told: Vec<_> = made.notices.iter().map(|it| it.message()).collect();
    assert_eq!(
        told.len(),
        2,
        "tenant 7 was made, and there is no audience: {told:?}"
    );
    let skipped = bench.run(Request::CreateProvider {
        if_exists: IfExists::Skip,
        wanted: Box::new(same_name),
    });
    assert_eq!(skipped.notices.len(), 1);
}

#[test]
fn what_a_mapping_names_must_be_there_and_stays_as_long_as_it_is_named() {
    let bench = Bench::new();
    bench.run(create_database("prod"));
    bench.run(create_role("analyst", None));
    let with = |rule| {
        create(ProviderWanted {
            mapping: vec![rule],
            ..wanted("acme")
        })
    };
    assert_eq!(
        bench.refused(bench.root, with(gives("nobody", None))).0,
        "42704"
    );
    let nowhere = with(gives("analyst", Some("nowhere")));
    assert_eq!(bench.refused(bench.root, nowhere).0, "3D000");
    bench.run(with(gives("analyst", Some("prod"))));
    assert_eq!(bench.refused(bench.root, drop_role("analyst")).0, "2BP01");
    bench.run(drop_database("prod"));
    let provider = bench.provider("acme").expect("it is there");
    assert_eq!(provider.databases().count(), 0, "ids are not given again");
    bench.run(set_mapping("acme", Vec::new()));
    bench.run(drop_role("analyst"));
}

#[test]
fn a_tenant_with_a_provider_is_not_empty() {
    let bench = Bench::new();
    bench.run(create(ProviderWanted {
        tenant: Some(TenantRef::Id(TenantId(7))),
        ..wanted("acme")
    }));
    let drop_tenant = |cascade| Request::DropTenant {
        if_exists: IfExists::Fail,
        tenant: TenantRef::Id(TenantId(7)),
        cascade,
    };
    assert_eq!(bench.refused(bench.root, drop_tenant(false)).0, "2BP01");
    bench.run(drop_tenant(true));
    assert_eq!(bench.snapshot().principals.providers().count(), 0);
}

#[test]
fn a_provider_of_the_configuration_stands_beside_the_others_and_is_not_sqls() {
    let mut bench = Bench::new();
    bench.run(create(wanted("sql")));
    let mut configured = wanted("configured");
    configured.default_role = Some("readwrite".to_owned());
    bench.restart_with(&[configured]);
    let provider = bench.provider("configured").expect("it is there");
    assert_eq!(provider.default_role, Parent::Ladder(Ladder::ReadWrite));
    assert!(bench.provider("sql").is_some());
    for request in [
        set_mapping("configured", Vec::new()),
        drop_provider("configured", IfExists::Fail),
        drop_provider("configured", IfExists::Skip),
    ] {
        assert_eq!(bench.refused(bench.root, request).0, "55000");
    }
    let duplicate = ProviderWanted {
        name: "again".to_owned(),
        ..wanted("configured")
    };
    assert_eq!(bench.refused(bench.root, create(duplicate)).0, "42710");
    let user = bench.user("later", "readonly");
    assert!(user.principal > provider.id, "no id is given to two");
    let kept = bench.recovered().principals;
    assert!(
        kept.provider_named(TenantId::SYSTEM, "configured")
            .is_none()
    );
}

#[test]
fn a_configured_provider_that_cannot_be_is_told() {
    let bench = Bench::new();
    bench.run(create(wanted("acme")));
    let principals = bench.snapshot().principals.clone();
    let elsewhere = ProviderWanted {
        tenant: Some(TenantRef::Id(TenantId(9))),
        ..wanted("elsewhere")
    };
    let same_source = ProviderWanted {
        name: "other".to_owned(),
        ..wanted("acme")
    };
    let same_name = ProviderWanted {
        audience: None,
        ..wanted("acme")
    };
    for (wanted, said) in [
        (elsewhere, "its tenant does not exist"),
        (same_source, "\"acme\" has the same issuer and audience"),
        (same_name, "another provider of that name"),
    ] {
        let fault = configured_providers::put(&mut principals.clone(), &[wanted], 0);
        let fault = fault.expect_err("it cannot be").to_string();
        assert!(fault.contains(said), "{fault}");
    }
}

#[test]
fn a_token_makes_the_user_that_its_provider_lets_it_make_and_nobody_else() {
    let bench = Bench::new();
    bench.run(create(ProviderWanted {
        username_claim: Some("email".to_owned()),
        first_sight: FirstSight::MakeUser,
        default_role: Some("readwrite".to_owned()),
        ..wanted("makes")
    }));
    bench.run(create(wanted("makes-none")));
    bench.user("taken", "readonly");
    bench.run(create_role("role", None));
    let ask = |provider: &str, name: &str| {
        let provider = bench.provider(provider).expect("it is there");
        let claims = BTreeMap::from([(Arc::from("groups"), json!("eng"))]);
        let caller = port::Caller {
            principal: provider.id,
            key: None,
            token: Some(Arc::new(TokenOfCaller {
                provider: provider.id,
                claims,
            })),
            tenant: TenantId::SYSTEM,
            database: DatabaseId::FIRST,
            peer: "127.0.0.1:1".parse().expect("an address"),
        };
        let name = Arc::from(name);
        let asked = bench
            .handle()
            .execute(caller, Request::MakeUserOfToken { name });
        block_on(asked)
            .map(|_| ())
            .map_err(|it| it.sqlstate().to_string())
    };
    assert_eq!(ask("makes", "al@acme.example"), Ok(()));
    let snapshot = bench.snapshot();
    let made = snapshot
        .principals
        .principal_named("al@acme.example")
        .expect("made");
    assert_eq!(made.ladder, [Ladder::ReadWrite]);
    assert!(matches!(
        made.kind,
        PrincipalKind::User { ref passwords, .. } if passwords.verifier().is_none()
    ));
    // Two first log-ins at once.
    assert_eq!(ask("makes", "al@acme.example"), Ok(()));
    assert_eq!(ask("makes", "taken"), Ok(()));
    for (name, code) in [("role", "42710"), ("superuser", "42939"), ("", "42602")] {
        assert_eq!(ask("makes", name), Err(code.to_owned()), "{name}");
    }
    let long = "x".repeat(64);
    assert_eq!(ask("makes", &long), Err("42622".to_owned()));
    assert_eq!(ask("makes-none", "bo"), Err("42501".to_owned()));
    let by_root = Request::MakeUserOfToken {
        name: Arc::from("bo"),
    };
    assert_eq!(bench.refused(bench.root, by_root).0, "42501");
}

#[test]
fn the_fetcher_is_told_who_comes_and_who_goes() {
    let mut bench = Bench::new();
    bench.run(create(wanted("before")));
    bench.restart_with(&[wanted("configured")]);
    let inbox = bench.key_inbox.take().expect("it is there");
    let follows = |name: &str| match inbox.try_recv() {
        Ok(jwks::Request::Follow(it)) => assert_eq!((&*it.name, &*it.issuer), (name, ISSUER)),
        other => panic!("{other:?}"),
    };
    follows("before");
    follows("configured");
    bench.run(create(wanted("acme")));
    follows("acme");
    bench.run(set_mapping("acme", vec![gives("readwrite", None)]));
    assert!(inbox.try_recv().is_err(), "its keys are the same");
    let id = bench.provider("acme").expect("it is there").id;
    bench.run(drop_provider("acme", IfExists::Fail));
    let gone = inbox.try_recv();
    assert!(
        matches!(gone, Ok(jwks::Request::Forget(it)) if it == id),
        "{gone:?}"
    );
}
