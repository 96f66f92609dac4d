//! CREATE DATABASE: of the tenant in force, owned by who makes it.

use crate::catalog::Change;
use crate::catalog::principal::Database;
use crate::catalog::request::IfExists;
use crate::catalog::role::Ladder;
use crate::control::draft::Draft;
use crate::control::resolve::new_name;
use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;

pub fn carry_out(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
) -> Result<&'static str, Diagnostic> {
    let tag = "CREATE DATABASE";
    let by = draft.by.clone();
    by.require(Ladder::Admin, "permission denied to create database")?;
    let name = new_name(name)?;
    let principals = &draft.snapshot().principals;
    if principals.database_named(by.tenant, &name).is_some() {
        if if_exists == IfExists::Skip {
            let notice = format!("database \"{name}\" already exists, skipping");
            draft.notice(Diagnostic::notice(notice));
            return Ok(tag);
        }
        return Err(Diagnostic::error(
            SqlState::DUPLICATE_DATABASE,
            format!("database \"{name}\" already exists"),
        ));
    }
    let database = Database {
        id: draft.next_database()?,
        name,
        tenant: by.tenant,
        owner: (draft.snapshot().principals).owner_of_new(by.principal, by.database),
    };
    draft.change(Change::PutDatabase(Arc::new(database)));
    Ok(tag)
}
