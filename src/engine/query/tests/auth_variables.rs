//! `$auth.*` in queries: present, missing and inconvertible, beside columns of every kind.

use super::World;
use crate::auth::claims::Claims;
use crate::auth::identity::{Identity, Method};
use crate::engine::context::StatementContext;
use serde_json::json;
use std::sync::Arc;

/// The world's user as somebody who came in by a token with these claims.
fn by_token(world: &World, subject: &str) -> StatementContext {
    let claimed =
        json!({"plan": "gold", "seats": 12, "beta": true, "groups": ["eng"], "none": null});
    let all = claimed.as_object().expect("an object").clone();
    let claims = Claims {
        provider: world.context.identity.principal,
        subject: subject.into(),
        role: Some("editor".into()),
        roles: Some(["editor".into(), "author".into()].into()),
        org_id: Some("7".into()),
        scopes: Some(["read:orders".into(), "write:orders".into()].into()),
        username: None,
        email: Some("al@acme.example".into()),
        all: all
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect(),
    };
    StatementContext {
        identity: Arc::new(Identity {
            method: Method::Jwt,
            claims: Some(Arc::new(claims)),
            ..Identity::clone(&world.context.identity)
        }),
        ..world.context.clone()
    }
}

fn answers(world: &World, context: &StatementContext, cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        let found = world.query_as(sql, &[], context);
        assert_eq!(found.expect(sql), *expected, "{sql}");
    }
}

#[test]
fn a_token_fills_the_variables_with_its_claims() {
    let world = World::new();
    let context = by_token(&world, "u1");
    answers(
        &world,
        &context,
        &[
            ("select $auth.id, $auth.role, $auth.org_id", "u1|editor|7"),
            (
                "select $auth.roles, $auth.scopes",
                "{editor,author}|{read:orders,write:orders}",
            ),
            (
                "select $auth.email, $auth.auth_method",
                "al@acme.example|jwt",
            ),
            (
                "select $auth.claims.plan, $auth.claims.seats, $auth.claims.beta",
                "gold|12|true",
            ),
            (
                "select $auth.claims.groups, $auth.claims.none, $auth.claims.missing",
                "null|null|null",
            ),
            (
                "select current_setting('auth.id'), auth.uid(), auth.role()",
                "u1|u1|editor",
            ),
            (
                "select upper($auth.role) || '!', $auth.id is null",
                "EDITOR!|f",
            ),
        ],
    );
}

#[test]
fn other_credentials_fill_them_from_the_user_record() {
    let world = World::new();
    let context = &world.context;
    let name = &context.identity.name;
    let id = context.identity.principal;
    let expected = format!("{id}|{name}|scram-sha-256|0");
    answers(
        &world,
        context,
        &[
            (
                "select $auth.id, $auth.username, $auth.auth_method, $auth.tenant_id",
                &expected,
            ),
            (
                "select $auth.email, $auth.org_id, $auth.scopes, $auth.claims.plan",
                "null|null|null|null",
            ),
            ("select $auth.role = any($auth.roles)", "t"),
        ],
    );
}

#[test]
fn a_variable_is_converted_to_the_type_of_what_it_is_compared_with() {
    let world = World::new();
    let uuid = "3f333df6-90a4-4fda-8dd3-9485d27cee36";
    let rows = |values: &str, condition: &str| {
        format!("select x from (values {values}) v(x) where {condition} order by x")
    };
    let number = by_token(&world, "2");
    let ints = "(1), (2), (null)";
    let texts = "('1'), ('2'), (null)";
    let bigints = "(1::bigint), (2::bigint)";
    let lists = "('{1,2}'::int[]), ('{1}'::int[])";
    for (values, condition, expected) in [
        (ints, "x = $auth.id", "2"),
        (ints, "$auth.id = x", "2"),
        (ints, "x <> $auth.id", "1"),
        (ints, "not x = $auth.id", "1"),
        (ints, "x in ($auth.id, 5)", "2"),
        (ints, "x between $auth.id and 9", "2"),
        (ints, "x = $auth.id::int", "2"),
        (ints, "x < $auth.claims.seats", "1\n2"),
        (texts, "x = $auth.id", "2"),
        (texts, "x <> $auth.id", "1"),
        (texts, "not (x = $auth.id)", "1"),
        (texts, "x in ('7', $auth.id)", "2"),
        (bigints, "x = $auth.id", "2"),
        (lists, "x contains $auth.id", "{1,2}"),
        (lists, "$auth.id = any(x)", "{1,2}"),
        (lists, "not (x contains $auth.id)", "{1}"),
        (
            texts,
            "$auth.scopes contains 'read:orders' and x = '1'",
            "1",
        ),
        (texts, "$auth.scopes contains 'read:order'", ""),
        (
            texts,
            "not $auth.scopes contains 'read:order' and x = '1'",
            "1",
        ),
        (texts, "'a bc' contains 'a' and x = '1'", "1"),
        (texts, "'a bc' contains 'b'", ""),
    ] {
        let sql = rows(values, condition);
        answers(&world, &number, &[(&sql, expected)]);
    }
    let by_uuid = by_token(&world, uuid);
    let uuids = format!("('{uuid}'::uuid), ('00000000-0000-0000-0000-000000000000'::uuid)");
    answers(&world, &by_uuid, &[(&rows(&uuids, "x = $auth.id"), uuid)]);
}

#[test]
fn one_that_cannot_be_converted_or_is_missing_is_null_so_that_nothing_holds() {
    let world = World::new();
    let context = by_token(&world, "no number");
    let uuid = "3f333df6-90a4-4fda-8dd3-9485d27cee36";
    let uuids = format!("('{uuid}'::uuid)");
    for values in ["(1), (2)", &uuids, "('{1}'::int[])"] {
        let conditions: &[&str] = match values {
            "('{1}'::int[])" => &["x contains $auth.id", "not x contains $auth.id"],
            _ => &[
                "x = $auth.id",
                "x <> $auth.id",
                "not x = $auth.id",
                "x in ($auth.id)",
                "x not in ($auth.id)",
                "x = $auth.claims.missing",
                "x <> $auth.claims.missing",
                "not x = $auth.claims.missing",
            ],
        };
        for condition in conditions {
            let sql = format!("select x from (values {values}) v(x) where {condition}");
            answers(&world, &context, &[(&sql, "")]);
        }
    }
    answers(&world, &context, &[("select $auth.id::int is null", "t")]);
}

#[test]
fn a_column_may_be_called_contains() {
    let world = World::new();
    answers(
        &world,
        &world.context,
        &[
            ("select 1 contains", "1"),
            ("select contains from (values (1)) v(contains)", "1"),
            (
                "select v.contains from (values (1)) as v(contains) where contains = 1",
                "1",
            ),
        ],
    );
}

#[test]
fn what_has_no_such_operator_or_variable_is_said() {
    let world = World::new();
    for (sql, code) in [
        ("select 1 contains 2", "42883"),
        ("select '{1}'::int[] contains 'a'", "22P02"),
        ("select $auth.idd", "42704"),
        ("select $auth", "42704"),
    ] {
        let error = world.query_as(sql, &[], &world.context).expect_err(sql);
        assert_eq!(error.sqlstate().as_str(), code, "{sql}: {error}");
    }
}

#[test]
fn a_column_is_called_by_the_variable_that_it_is() {
    let world = World::new();
    for (sql, expected) in [
        ("select $auth.id, $auth.claims.plan", ["id", "plan"]),
        (
            "select $auth.role::text, upper($auth.role)",
            ["role", "upper"],
        ),
    ] {
        let mut statements = crate::sql::parse::parse(sql).expect("it parses");
        let statement = statements.pop().expect("one statement").ast;
        let plan = world.engine.analyze(&statement, &[], &world.context);
        let fields = plan.expect("it plans").fields;
        let names: Vec<&str> = fields.iter().map(|field| &*field.name).collect();
        assert_eq!(names, expected, "{sql}");
    }
}
