//! CREATE, DROP and COMMENT ON EXTENSION: what scripts say of extensions that are built in, and an answer for the others.

use super::name;
use super::work::Work;
use crate::diagnostic::{Diagnostic, Severity, SqlState};
use crate::engine::extensions::{self, Extension, PLPGSQL};
use sqlparser::ast;

/// CREATE EXTENSION: there already.
///
/// # Errors
/// 0A000 for one that NodeDB has not, 42710 for the one that every database of PostgreSQL has, too.
pub fn create(work: &Work<'_>, statement: &ast::CreateExtension) -> Result<(), Diagnostic> {
    let name = name::fold(&statement.name);
    let found = extensions::find(&name).ok_or_else(|| unavailable(&name))?;
    let exists = format!("extension \"{name}\" already exists");
    match (statement.if_not_exists, found.name) {
        (false, PLPGSQL) => {
            return Err(Diagnostic::error(SqlState::DUPLICATE_OBJECT, exists));
        }
        (true, PLPGSQL) => work.context.notices.push(Diagnostic::new(
            Severity::Notice,
            SqlState::DUPLICATE_OBJECT,
            format!("{exists}, skipping"),
        )),
        _ => work.context.notices.push(Diagnostic::notice(format!(
            "extension \"{name}\" is built in: its functions are in every database"
        ))),
    }
    Ok(())
}

/// DROP EXTENSION: none is ever dropped.
///
/// # Errors
/// 42704 for one that is not there, 0A000 for one that is.
pub fn drop(work: &Work<'_>, statement: &ast::DropExtension) -> Result<(), Diagnostic> {
    for name in statement.names.iter().map(name::fold) {
        if extensions::find(&name).is_some() {
            return Err(Diagnostic::unsupported(format!(
                "DROP EXTENSION \"{name}\", which is built in"
            )));
        }
        let absent = format!("extension \"{name}\" does not exist");
        if !statement.if_exists {
            return Err(Diagnostic::error(SqlState::UNDEFINED_OBJECT, absent));
        }
        let skipped = format!("{absent}, skipping");
        work.context.notices.push(Diagnostic::notice(skipped));
    }
    Ok(())
}

/// COMMENT ON EXTENSION, as a dump has it: its own comment.
///
/// # Errors
/// 42704 for one that is not there, 0A000 for another comment.
pub fn comment(given: &ast::ObjectName, text: Option<&str>) -> Result<(), Diagnostic> {
    let (_, name) = name::parts(given)?;
    let Some(found) = extensions::find(&name) else {
        return Err(Diagnostic::error(
            SqlState::UNDEFINED_OBJECT,
            format!("extension \"{name}\" does not exist"),
        ));
    };
    match text == Some(found.comment) {
        true => Ok(()),
        false => Err(Diagnostic::unsupported(
            "a comment of one's own on an extension that is built in",
        )),
    }
}

fn unavailable(name: &str) -> Diagnostic {
    let names = extensions::EXTENSIONS.iter().map(|it: &Extension| it.name);
    let names: Vec<_> = names.collect();
    Diagnostic::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("extension \"{name}\" is not available"),
    )
    .with_hint(format!("There are: {}.", names.join(", ")))
}
