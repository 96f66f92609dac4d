//! regclass, regtype and regproc: OIDs that are written and read as names.

use super::text::quote_ident;
use crate::catalog::Oid;
use crate::catalog::definition::Relation;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::pg_catalog;
use crate::engine::query::failure;
use crate::engine::query::resolve::{self, Resolved};
use crate::engine::query::statement::Statement;
use crate::engine::search_path;
use crate::engine::types;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray, UInt32Array};
use datafusion::arrow::compute;
use datafusion::arrow::datatypes::{DataType, UInt32Type};
use datafusion::error::Result;
use std::sync::Arc;

/// Casts where one side is a name of the catalog.
pub fn cast_array(
    array: &ArrayRef,
    from: SqlType,
    to: SqlType,
    statement: &Statement,
) -> Result<ArrayRef> {
    if from.array && to.array {
        let lists = array.as_list::<i32>();
        let one = |sql_type: SqlType| SqlType {
            array: false,
            ..sql_type
        };
        let elements = cast_array(lists.values(), one(from), one(to), statement)?;
        let DataType::List(field) = types::data_type(to) else {
            return Ok(array.clone());
        };
        return Ok(Arc::new(ListArray::try_new(
            field,
            lists.offsets().clone(),
            elements,
            lists.nulls().cloned(),
        )?));
    }
    let reg = |kind| {
        matches!(
            kind,
            TypeKind::Regclass | TypeKind::Regtype | TypeKind::Regproc
        )
    };
    match array.data_type() {
        DataType::Utf8 => {
            let texts: &StringArray = array.as_string();
            let oids = (0..texts.len()).map(|row| {
                if texts.is_null(row) {
                    return Ok(None);
                }
                to_oid(texts.value(row), to.kind, &statement.context)
                    .map(|oid| Some(oid.0))
                    .map_err(failure::external)
            });
            let oids: UInt32Array = oids.collect::<Result<Vec<_>>>()?.into_iter().collect();
            Ok(Arc::new(oids))
        }
        _ if reg(from.kind) && crate::engine::query::operators::is_text(to.kind) => {
            let oids = array.as_primitive::<UInt32Type>();
            let names: StringArray = oids
                .iter()
                .map(|oid| oid.map(|oid| to_name(Oid(oid), from.kind, &statement.context)))
                .collect();
            Ok(Arc::new(names))
        }
        _ => Ok(compute::cast(array, &types::data_type(to))?),
    }
}

/// What a regclass, regtype or regproc of this text is.
///
/// # Errors
/// 42P01, 42704, 42883 for a name of nothing, 42602 for a text that is no name.
pub fn to_oid(
    text: &str,
    kind: TypeKind,
    context: &StatementContext,
) -> std::result::Result<Oid, Diagnostic> {
    let text = text.trim();
    if text == "-" {
        return Ok(Oid(0));
    }
    if let Ok(oid) = text.parse() {
        return Ok(Oid(oid));
    }
    match kind {
        TypeKind::Regtype => type_oid(text, context),
        TypeKind::Regproc => pg_catalog::procedures::oid_of(text).ok_or_else(|| {
            Diagnostic::error(
                SqlState::UNDEFINED_FUNCTION,
                format!("function \"{text}\" does not exist"),
            )
        }),
        _ => match resolved(text, context)? {
            Resolved::Relation(relation) => Ok(relation.oid),
            Resolved::System(table) => Ok(table.oid),
        },
    }
}

/// What a text names, if there is such a thing: an OID written out is no name here.
///
/// # Errors
/// 42602 for a text that is no name.
pub fn find(
    text: &str,
    kind: TypeKind,
    context: &StatementContext,
) -> std::result::Result<Option<Oid>, Diagnostic> {
    let oid = match kind {
        TypeKind::Regtype => type_oid(text, context),
        TypeKind::Regproc => return Ok(pg_catalog::procedures::sole_oid_of(text)),
        _ => resolved(text, context).map(|found| match found {
            Resolved::Relation(relation) => relation.oid,
            Resolved::System(table) => table.oid,
        }),
    };
    match oid {
        Ok(oid) => Ok(Some(oid)),
        Err(error) if error.sqlstate() == SqlState::INVALID_NAME => Err(error),
        Err(_) => Ok(None),
    }
}

fn type_oid(text: &str, context: &StatementContext) -> std::result::Result<Oid, Diagnostic> {
    let word = text.trim().to_ascii_lowercase();
    let word = word.strip_prefix("pg_catalog.").unwrap_or(&word);
    if let Some(oid) = types::pseudo_type::oid_of(word) {
        return Ok(Oid(oid));
    }
    let dialect = sqlparser::dialect::PostgreSqlDialect {};
    let parsed = sqlparser::parser::Parser::new(&dialect)
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_data_type());
    match parsed {
        Ok(data_type) => Ok(types::oid(types::from_ast(&data_type, context.input())?)),
        Err(_) => Err(Diagnostic::error(
            SqlState::UNDEFINED_OBJECT,
            format!("type \"{text}\" does not exist"),
        )),
    }
}

/// As the type's output function prints the OID.
pub fn to_name(oid: Oid, kind: TypeKind, context: &StatementContext) -> String {
    if oid.0 == 0 {
        return "-".to_owned();
    }
    let name = match kind {
        TypeKind::Regtype => match type_of_oid(oid, context) {
            Some(found) => Some(type_shown(found, context)),
            None => types::pseudo_type::name_of(oid.0).map(str::to_owned),
        },
        TypeKind::Regproc => pg_catalog::procedures::name_of(oid).map(str::to_owned),
        _ => match relation_of_oid(oid, context) {
            Some(relation) => Some(shown(relation, context)),
            None => pg_catalog::table_of_oid(oid).map(|table| table.name.to_owned()),
        },
    };
    name.unwrap_or_else(|| oid.to_string())
}

/// The type with this OID: a built-in one, or one of the session's database.
pub fn type_of_oid(oid: Oid, context: &StatementContext) -> Option<SqlType> {
    types::from_oid(oid).or_else(|| context.user_types().of_oid(oid))
}

/// A type as `format_type` prints it: one that somebody has defined with its schema where the search_path
/// does not find it.
pub fn type_shown(sql_type: SqlType, context: &StatementContext) -> String {
    let TypeKind::Enum(type_id) = sql_type.kind else {
        return types::format_type(sql_type);
    };
    let Some(known) = context.user_types().get(type_id) else {
        return "???".to_owned();
    };
    let found = types::enumeration::named(None, &known.name, context.input());
    let visible = found.is_some_and(|found| found.type_id == type_id)
        && types::name::from_internal_name(&known.name).is_none();
    let name = match visible {
        true => quote_ident(&known.name),
        false => format!(
            "{}.{}",
            quote_ident(&known.schema),
            quote_ident(&known.name)
        ),
    };
    match sql_type.array {
        false => name,
        true => format!("{name}[]"),
    }
}

/// As messages and definitions print it: with its schema where the search_path does not find it.
pub fn shown(relation: &Relation, context: &StatementContext) -> String {
    match resolve::is_visible(relation, context) {
        true => quote_ident(&relation.name),
        false => qualified(relation),
    }
}

/// The relation of the session's database with this OID: another database's is not there.
pub fn relation_of_oid(oid: Oid, context: &StatementContext) -> Option<&Arc<Relation>> {
    context
        .snapshot
        .definitions
        .get(oid)
        .filter(|relation| relation.database == context.identity.database)
}

/// schema.name, each quoted where it must be.
pub fn qualified(relation: &Relation) -> String {
    format!(
        "{}.{}",
        quote_ident(&relation.schema),
        quote_ident(&relation.name)
    )
}

/// The user's relation that a text names, as `'schema.name'::regclass` reads it.
///
/// # Errors
/// 42P01; 42602 for a text that is no name.
pub fn relation<'a>(
    text: &str,
    context: &'a StatementContext,
) -> std::result::Result<&'a Arc<Relation>, Diagnostic> {
    let not_there = || {
        Diagnostic::error(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{text}\" does not exist"),
        )
    };
    match resolved(text, context)? {
        Resolved::Relation(relation) => {
            relation_of_oid(relation.oid, context).ok_or_else(not_there)
        }
        Resolved::System(_) => Err(not_there()),
    }
}

/// The user's relation that a stored text names: a bare name is one of `public`, whatever the
/// search_path.
///
/// # Errors
/// As [`relation`].
pub fn relation_in_public(
    text: &str,
    context: &StatementContext,
) -> std::result::Result<Arc<Relation>, Diagnostic> {
    let parts = split(text)?;
    let found = match parts.as_slice() {
        [name] => resolve::relation(Some(resolve::PUBLIC), name, context)?,
        [schema, name] => resolve::relation(Some(schema), name, context)?,
        _ => return Err(invalid_name()),
    };
    match found {
        Resolved::Relation(relation) => Ok(relation),
        Resolved::System(table) => Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{}\" is a catalog", table.name),
        )),
    }
}

fn resolved(text: &str, context: &StatementContext) -> std::result::Result<Resolved, Diagnostic> {
    let parts = split(text)?;
    match parts.as_slice() {
        [name] => resolve::relation(None, name, context),
        [schema, name] | [_, schema, name] => {
            search_path::demand_usage(schema, context)?;
            if !search_path::exists(schema, context) {
                return Err(search_path::no_schema(schema));
            }
            resolve::relation(Some(schema), name, context)
        }
        _ => Err(invalid_name()),
    }
}

/// 42602
pub fn invalid_name() -> Diagnostic {
    Diagnostic::error(SqlState::INVALID_NAME, "invalid name syntax")
}

/// The parts of a dotted name, quotes taken off and the rest folded.
///
/// # Errors
/// 42602
pub fn split(text: &str) -> std::result::Result<Vec<String>, Diagnostic> {
    let mut parts = Vec::new();
    let mut letters = text.trim().chars().peekable();
    loop {
        let mut part = String::new();
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next() {
                    Some('"') if letters.next_if_eq(&'"').is_some() => part.push('"'),
                    Some('"') => break,
                    Some(letter) => part.push(letter),
                    None => return Err(invalid_name()),
                }
            }
        } else {
            while let Some(letter) = letters.next_if(|letter| *letter != '.') {
                part.push(letter.to_ascii_lowercase());
            }
        }
        if part.is_empty() {
            return Err(invalid_name());
        }
        parts.push(part);
        match letters.next() {
            None => return Ok(parts),
            Some('.') => {}
            Some(_) => return Err(invalid_name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_dots_outside_quotes_and_folded() {
        assert_eq!(
            split("Public.T").ok(),
            Some(vec!["public".into(), "t".into()])
        );
        assert_eq!(
            split("\"A.b\".c").ok(),
            Some(vec!["A.b".into(), "c".into()])
        );
        assert_eq!(split("\"a\"\"b\"").ok(), Some(vec!["a\"b".into()]));
        assert!(split("\"open").is_err());
        assert!(split("a..b").is_err());
    }
}
