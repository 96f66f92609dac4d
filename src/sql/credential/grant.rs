//! GRANT and REVOKE: roles, CONNECT on a database, privileges on tables and schemas.

use super::cursor::Cursor;
use super::statement::{CredentialStatement, Direction, SchemaGrant, TableGrant, TableName};
use crate::catalog::Request;
use crate::catalog::definition::Privileges;
use crate::catalog::schema::SchemaPrivileges;
use crate::diagnostic::{Diagnostic, SqlState};

type Parsed = Result<CredentialStatement, Diagnostic>;

/// Tables or grantees that one statement may name.
pub const LIST_NAMES_MAX: usize = 1_000;

/// What PostgreSQL grants privileges on besides tables and databases.
const OTHER_OBJECTS: [&str; 15] = [
    "all",
    "domain",
    "foreign",
    "function",
    "language",
    "large",
    "parameter",
    "procedure",
    "routine",
    "schema",
    "sequence",
    "tablespace",
    "type",
    "view",
    "materialized",
];

/// After GRANT or REVOKE.
pub fn parse(cursor: &mut Cursor<'_>, direction: Direction) -> Parsed {
    if direction == Direction::Revoke
        && (cursor.take(&["grant", "option", "for"]) || cursor.take(&["admin", "option", "for"]))
    {
        return Err(Diagnostic::unsupported("REVOKE … OPTION FOR"));
    }
    if at_role(cursor) {
        return role(cursor, direction);
    }
    if cursor.take(&["connect", "on", "database"]) {
        return connect(cursor, direction);
    }
    if let Some(privileges) = on_schema(cursor) {
        return schema(cursor, direction, privileges);
    }
    let privileges = privileges(cursor)?;
    cursor.expect(&["on"])?;
    if cursor.at("database") && !is_table_name(cursor) {
        return Err(Diagnostic::unsupported(
            "GRANT on a database of anything but CONNECT",
        ));
    }
    table(cursor, direction, privileges)
}

/// A name that TO or FROM follows, or a list of them.
fn at_role(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    while ahead.name().is_ok() {
        if ahead.at("to") || ahead.at("from") {
            return true;
        }
        if !ahead.take_symbol(',') {
            return false;
        }
    }
    false
}

fn role(cursor: &mut Cursor<'_>, direction: Direction) -> Parsed {
    let role = cursor.name()?;
    if cursor.take_symbol(',') {
        return Err(Diagnostic::unsupported(
            "GRANT or REVOKE of several roles in one statement",
        ));
    }
    preposition(cursor, direction)?;
    let name = one_grantee(cursor)?;
    Ok(CredentialStatement::Change(match direction {
        Direction::Grant => Request::GrantRole { role, to: name },
        Direction::Revoke => Request::RevokeRole { role, from: name },
    }))
}

fn connect(cursor: &mut Cursor<'_>, direction: Direction) -> Parsed {
    let database = cursor.name()?;
    if cursor.take_symbol(',') {
        return Err(Diagnostic::unsupported(
            "GRANT or REVOKE CONNECT on several databases in one statement",
        ));
    }
    preposition(cursor, direction)?;
    let name = one_grantee(cursor)?;
    Ok(CredentialStatement::Change(match direction {
        Direction::Grant => Request::GrantConnect { database, to: name },
        Direction::Revoke => Request::RevokeConnect {
            database,
            from: name,
        },
    }))
}

fn one_grantee(cursor: &mut Cursor<'_>) -> Result<String, Diagnostic> {
    let name = grantee(cursor)?;
    if cursor.take_symbol(',') {
        return Err(Diagnostic::unsupported(
            "GRANT to or REVOKE from several users in one statement",
        ));
    }
    ending(cursor)?;
    Ok(name)
}

/// `USAGE, CREATE ON SCHEMA`, taken where it is there; `ON schema TO` is of a table of that name.
fn on_schema(cursor: &mut Cursor<'_>) -> Option<SchemaPrivileges> {
    let mut ahead = cursor.clone();
    let mut sum = SchemaPrivileges::default();
    if ahead.take(&["all"]) {
        ahead.take(&["privileges"]);
        sum = SchemaPrivileges::ALL;
    } else {
        loop {
            if ahead.take(&["usage"]) {
                sum.usage = true;
            } else if ahead.take(&["create"]) {
                sum.create = true;
            } else {
                return None;
            }
            if !ahead.take_symbol(',') {
                break;
            }
        }
    }
    if !ahead.take(&["on"]) || !ahead.at("schema") || is_table_name(&ahead) {
        return None;
    }
    ahead.take(&["schema"]);
    *cursor = ahead;
    Some(sum)
}

fn schema(cursor: &mut Cursor<'_>, direction: Direction, privileges: SchemaPrivileges) -> Parsed {
    let schemas = list(cursor, |cursor| cursor.name())?;
    preposition(cursor, direction)?;
    let grantees = list(cursor, grantee)?;
    ending(cursor)?;
    Ok(CredentialStatement::Schema(SchemaGrant {
        direction,
        privileges,
        schemas,
        grantees,
    }))
}

fn table(cursor: &mut Cursor<'_>, direction: Direction, privileges: Privileges) -> Parsed {
    let all_in = match cursor.take(&["all", "tables", "in", "schema"]) {
        true => list(cursor, |cursor| cursor.name())?,
        false => Vec::new(),
    };
    if !all_in.is_empty() {
        preposition(cursor, direction)?;
        let grantees = list(cursor, grantee)?;
        ending(cursor)?;
        return Ok(CredentialStatement::Table(TableGrant {
            direction,
            privileges,
            tables: Vec::new(),
            all_in,
            grantees,
        }));
    }
    if !cursor.take(&["table"]) {
        let other = cursor
            .word()
            .filter(|word| OTHER_OBJECTS.contains(&word.as_str()) && !is_table_name(cursor));
        if let Some(other) = other {
            let other = other.to_ascii_uppercase();
            return Err(Diagnostic::unsupported(format!("GRANT on {other}")));
        }
    }
    let tables = list(cursor, table_name)?;
    preposition(cursor, direction)?;
    let grantees = list(cursor, grantee)?;
    ending(cursor)?;
    Ok(CredentialStatement::Table(TableGrant {
        direction,
        privileges,
        tables,
        all_in: Vec::new(),
        grantees,
    }))
}

/// Whether the next word is a table's name for all that it looks like a kind of object.
fn is_table_name(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    ahead.name().is_ok()
        && (ahead.at("to") || ahead.at("from") || ahead.take_symbol(',') || ahead.take_symbol('.'))
}

/// `[schema.]table`
pub fn table_name(cursor: &mut Cursor<'_>) -> Result<TableName, Diagnostic> {
    let first = cursor.name()?;
    if !cursor.take_symbol('.') {
        return Ok(TableName {
            schema: None,
            name: first,
        });
    }
    Ok(TableName {
        schema: Some(first),
        name: cursor.name()?,
    })
}

/// PostgreSQL allows the noise word GROUP.
fn grantee(cursor: &mut Cursor<'_>) -> Result<String, Diagnostic> {
    cursor.take(&["group"]);
    cursor.name()
}

fn list<T>(
    cursor: &mut Cursor<'_>,
    item: impl Fn(&mut Cursor<'_>) -> Result<T, Diagnostic>,
) -> Result<Vec<T>, Diagnostic> {
    let mut items = vec![item(cursor)?];
    while cursor.take_symbol(',') {
        if items.len() == LIST_NAMES_MAX {
            return Err(cursor.error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "a GRANT or REVOKE names too many tables or users",
            ));
        }
        items.push(item(cursor)?);
    }
    Ok(items)
}

fn privileges(cursor: &mut Cursor<'_>) -> Result<Privileges, Diagnostic> {
    if cursor.take(&["all"]) {
        cursor.take(&["privileges"]);
        column_list(cursor)?;
        return Ok(Privileges::ALL);
    }
    let mut sum = Privileges::default();
    loop {
        let place = match cursor.word().as_deref() {
            Some("select") => &mut sum.select,
            Some("insert") => &mut sum.insert,
            Some("update") => &mut sum.update,
            Some("delete") => &mut sum.delete,
            Some(
                word @ ("truncate" | "references" | "trigger" | "create" | "connect" | "temporary"
                | "temp" | "usage" | "execute" | "set" | "maintain"),
            ) => {
                let word = word.to_ascii_uppercase();
                return Err(Diagnostic::unsupported(format!("GRANT {word}")));
            }
            Some(_) | None => return Err(cursor.unexpected()),
        };
        *place = true;
        take_word(cursor)?;
        column_list(cursor)?;
        if !cursor.take_symbol(',') {
            return Ok(sum);
        }
    }
}

/// Takes the keyword that [`Cursor::word`] has shown; `select` is reserved and no name.
fn take_word(cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
    match cursor.word() {
        Some(word) => cursor.expect(&[&word]),
        None => Err(cursor.unexpected()),
    }
}

fn column_list(cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
    if cursor.take_symbol('(') {
        return Err(Diagnostic::unsupported("GRANT on columns"));
    }
    Ok(())
}

fn preposition(cursor: &mut Cursor<'_>, direction: Direction) -> Result<(), Diagnostic> {
    cursor.expect(match direction {
        Direction::Grant => &["to"],
        Direction::Revoke => &["from"],
    })
}

fn ending(cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
    if cursor.at("with") || cursor.at("granted") {
        return Err(cursor.unsupported_option("GRANT"));
    }
    if cursor.at("cascade") {
        return Err(cursor.unsupported_option("REVOKE"));
    }
    cursor.take(&["restrict"]);
    Ok(())
}
