//! Grants in PostgreSQL's aclitem notation, and acldefault: what holds where none is written.
//!
//! Source: PostgreSQL 15, `acl.c` (`acldefault`, `putid`) and section 5.7 "Privileges".

use super::cell::{Cell, text};
use super::roles;
use crate::catalog::PrincipalId;
use crate::catalog::definition::{Relation, RelationBody};
use crate::catalog::schema::{PUBLIC_OID, Schema, SchemaPrivileges};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::context::StatementContext;
use crate::engine::query::failure;
use crate::engine::query::functions::definition::{Call, Function, OID, TEXT};
use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// pg_class.relacl: NULL where nothing was granted; of a sequence, whose grants are PostgreSQL's on a
/// table, always.
pub fn of_relation(relation: &Relation, context: &StatementContext) -> Cell {
    let is_sequence = matches!(relation.body, RelationBody::Sequence(_));
    if relation.grants.is_empty() || is_sequence {
        return Cell::Null;
    }
    let name = |id: PrincipalId| roles::name_of(id, context).map(|name| identifier(&name));
    let owner = name(relation.owner).unwrap_or_default();
    let mut items = vec![text(format!("{owner}=arwdDxt/{owner}"))];
    for grant in &relation.grants {
        let Some(grantee) = name(grant.grantee) else {
            continue;
        };
        let held = [
            (grant.privileges.insert, 'a'),
            (grant.privileges.select, 'r'),
            (grant.privileges.update, 'w'),
            (grant.privileges.delete, 'd'),
        ];
        let letters: String = held
            .into_iter()
            .filter(|(held, _)| *held)
            .map(|(_, letter)| letter)
            .collect();
        items.push(text(format!("{grantee}={letters}/{owner}")));
    }
    Cell::List(items)
}

/// pg_namespace.nspacl: NULL where nothing was granted.
pub fn of_schema(schema: &Schema, context: &StatementContext) -> Cell {
    let is_public = schema.oid == PUBLIC_OID;
    if schema.grants.is_empty() && schema.everyone.is_empty() && !is_public {
        return Cell::Null;
    }
    let name = |id: PrincipalId| roles::name_of(id, context).map(|name| identifier(&name));
    let owner = PrincipalId(super::databases::schema_owner(schema));
    let owner = name(owner).unwrap_or_default();
    let letters = |held: SchemaPrivileges| match (held.usage, held.create) {
        (true, true) => "UC",
        (true, false) => "U",
        (false, true) => "C",
        (false, false) => "",
    };
    let mut items = vec![text(format!("{owner}=UC/{owner}"))];
    if !schema.everyone.is_empty() {
        items.push(text(format!("={}/{owner}", letters(schema.everyone))));
    }
    for grant in &schema.grants {
        if let Some(grantee) = name(grant.grantee) {
            items.push(text(format!(
                "{grantee}={}/{owner}",
                letters(grant.privileges)
            )));
        }
    }
    Cell::List(items)
}

/// A role's name in an item, in quotes where it is more than letters, digits and underscores.
fn identifier(name: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || letter == '_';
    match name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// What PUBLIC and the owner of an object of this kind hold; None for a kind that is none.
fn default_privileges(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "c" => ("", ""),
        "r" => ("", "arwdDxt"),
        "s" => ("", "rwU"),
        "d" => ("Tc", "CTc"),
        "f" => ("X", "X"),
        "l" | "T" => ("U", "U"),
        "L" => ("", "rw"),
        "n" => ("", "UC"),
        "t" => ("", "C"),
        "F" | "S" => ("", "U"),
        "p" => ("", "sA"),
        _ => return None,
    })
}

fn default_items(kind: &str, owner: &str) -> Option<Vec<String>> {
    let (public, own) = default_privileges(kind)?;
    let owner = identifier(owner);
    let held = [(String::new(), public), (owner.clone(), own)];
    let items = held
        .into_iter()
        .filter(|(_, letters)| !letters.is_empty())
        .map(|(grantee, letters)| format!("{grantee}={letters}/{owner}"));
    Some(items.collect())
}

/// `acldefault("char", oid)`
pub fn acldefault() -> Arc<ScalarUDF> {
    let items = SqlType::array_of(TypeKind::Text);
    Function::stable("acldefault", &[&[TEXT, OID]], items, |call| {
        default_arrays(call)
    })
}

fn default_arrays(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        let (Some(kind), Some(owner)) = (call.text(0, row), call.oid(1, row)) else {
            lists.append_null();
            continue;
        };
        let name = roles::name_of(PrincipalId(owner), &statement.context);
        let name = name.unwrap_or_else(|| owner.to_string());
        let items = default_items(kind, &name).ok_or_else(|| {
            failure::error(
                crate::diagnostic::SqlState::INTERNAL_ERROR,
                format!("unrecognized object type abbreviation: {kind}"),
            )
        })?;
        lists.append_value(items.iter().map(Some));
    }
    Ok(Arc::new(lists.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_postgresqls() {
        let items = |kind| default_items(kind, "alice").map(|items| items.join(","));
        assert_eq!(items("r").as_deref(), Some("alice=arwdDxt/alice"));
        assert_eq!(items("f").as_deref(), Some("=X/alice,alice=X/alice"));
        assert_eq!(items("c").as_deref(), Some(""));
        assert_eq!(items("?"), None);
        let quoted = default_items("n", "a-b");
        assert_eq!(quoted, Some(vec!["\"a-b\"=UC/\"a-b\"".to_owned()]));
    }
}
