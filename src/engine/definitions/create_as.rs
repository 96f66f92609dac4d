//! CREATE TABLE AS and SELECT INTO: a table of a query's columns, filled with its rows.
//!
//! The rows come by an INSERT of the query, so that grants and row policies hold for what it reads.

use super::create_table::{self, FIRST_LAYOUT};
use super::enumeration;
use super::temporary;
use super::work::{Claim, Work};
use crate::catalog::definition::{Column, Relation, RelationBody, Table};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::outcome::{CommandTag, Outcome};
use crate::engine::types;
use crate::sql::create_as::NO_DATA_OPTION;
use crate::sql::parse;
use sqlparser::ast::{self, SetExpr, Statement};
use std::pin::Pin;
use std::sync::Arc;

/// The table to be made and the query that fills it.
pub struct CreateAs<'s> {
    name: &'s ast::ObjectName,
    if_not_exists: bool,
    /// Of its columns; where there are fewer, the rest are called as the query calls them.
    names: Vec<String>,
    options: ast::CreateTableOptions,
    data: Data,
    query: ast::Query,
    temporary: bool,
    on_commit: Option<ast::OnCommit>,
}

/// WITH [NO] DATA
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    With,
    Without,
}

impl CreateAs<'_> {
    /// What the statement makes, if it is one of these.
    ///
    /// # Errors
    /// 0A000 for a temporary table.
    pub fn of(statement: &Statement) -> Result<Option<CreateAs<'_>>, Diagnostic> {
        match statement {
            Statement::CreateTable(table) => {
                let Some(query) = &table.query else {
                    return Ok(None);
                };
                create_table::refuse_unsupported(table)?;
                let (options, data) = data_of(&table.table_options);
                Ok(Some(CreateAs {
                    name: &table.name,
                    if_not_exists: table.if_not_exists,
                    names: table
                        .columns
                        .iter()
                        .map(|it| super::name::fold(&it.name))
                        .collect(),
                    options,
                    data,
                    query: ast::Query::clone(query),
                    temporary: table.temporary,
                    on_commit: table.on_commit,
                }))
            }
            Statement::Query(query) => of_select(query),
            _ => Ok(None),
        }
    }

    /// Whether a query is SELECT INTO.
    pub fn is_select_into(query: &ast::Query) -> bool {
        matches!(&*query.body, SetExpr::Select(select) if select.into.is_some())
    }

    /// Makes the table and fills it; the tag counts its rows.
    ///
    /// # Errors
    /// 42P07, 42701, 42501; 0A000 for a type that no column has; what the query gives.
    pub async fn create(self, work: &mut Work<'_>) -> Result<CommandTag, Diagnostic> {
        let temporary = temporary::is(self.temporary, self.name, self.on_commit)?;
        let new = match temporary {
            true => temporary::new_name(work, self.name)?,
            false => work.new_name(self.name)?,
        };
        if let Claim::Taken(relation) = work.claim(&new).await? {
            super::already_exists(work, &relation, self.if_not_exists)?;
            return Ok(CommandTag::Plain("CREATE TABLE AS"));
        }
        enumeration::demand_free(work, &new)?;
        let mut options = create_table::options_of(&self.options)?;
        options.extend(temporary::option(self.on_commit));
        let columns = self.columns(work).await?;
        for column in &columns {
            enumeration::hold(work, column.sql_type).await?;
        }
        let relation = Relation {
            oid: work.new_oid()?,
            database: work.database(),
            schema: new.schema.as_str().into(),
            name: new.name.as_str().into(),
            owner: work.context.owner_of_new(),
            grants: match temporary {
                true => temporary::grants(work),
                false => Vec::new(),
            },
            comment: None,
            body: RelationBody::Table(Table {
                store: work.transaction.storage.create_relation()?,
                layout_version: FIRST_LAYOUT,
                columns,
                primary_key: Vec::new(),
                primary_index: None,
                indexes: Vec::new(),
                constraints: Vec::new(),
                referenced_by: Vec::new(),
                options,
                comments: Vec::new(),
                constraint_comments: Vec::new(),
            }),
            row_security: Default::default(),
        };
        work.define(relation)?;
        if self.data == Data::Without {
            return Ok(CommandTag::Plain("CREATE TABLE AS"));
        }
        self.fill(work, [&*new.schema, &*new.name]).await
    }

    async fn columns(&self, work: &mut Work<'_>) -> Result<Vec<Column>, Diagnostic> {
        let query = Statement::Query(Box::new(self.query.clone()));
        let text: Arc<str> = Arc::from(self.query.to_string());
        let plan = work.engine.analyze(query, text, &[], work.context).await?;
        if !plan.parameters.is_empty() {
            return Err(Diagnostic::error(
                SqlState::UNDEFINED_PARAMETER,
                "there is no parameter $1",
            ));
        }
        let mut columns: Vec<Column> = Vec::new();
        let fields = plan.fields.as_deref().unwrap_or_default();
        if self.names.len() > fields.len() {
            return Err(Diagnostic::error(
                SqlState::SYNTAX_ERROR,
                "too many column names were specified",
            ));
        }
        for (place, field) in fields.iter().enumerate() {
            let name = self.names.get(place).unwrap_or(&field.name).as_str();
            if columns.iter().any(|column| &*column.name == name) {
                return Err(Diagnostic::error(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{name}\" specified more than once"),
                ));
            }
            columns.push(Column {
                name: Arc::from(name),
                sql_type: kept_type(field.sql_type, name)?,
                not_null: false,
                default: None,
                generated: false,
                identity: None,
                sequence: None,
                added_in: FIRST_LAYOUT,
                missing: None,
                dropped: false,
            });
        }
        Ok(columns)
    }

    async fn fill(self, work: &mut Work<'_>, name: [&str; 2]) -> Result<CommandTag, Diagnostic> {
        let name = name.map(super::name::quoted).join(".");
        let text: Arc<str> = Arc::from(self.query.to_string());
        let mut insert = parse::parse_one(&format!("INSERT INTO {name} SELECT 1"))?;
        if let Statement::Insert(insert) = &mut insert {
            insert.source = Some(Box::new(self.query));
        }
        let context = StatementContext {
            snapshot: work.transaction.snapshot(&work.context.snapshot),
            ..work.context.clone()
        };
        loop {
            let analyzed = work
                .engine
                .analyze(insert.clone(), text.clone(), &[], &context);
            let plan = analyzed.await?;
            // The engine's door leads here, too.
            let running: Pin<Box<dyn Future<Output = Result<Outcome, Diagnostic>>>> =
                Box::pin(work.engine.execute(&plan, &[], work.transaction, &context));
            match running.await? {
                Outcome::Done(tag) => {
                    return Ok(CommandTag::Select(tag.count().unwrap_or_default()));
                }
                Outcome::Stale => {}
                Outcome::Rows(_) => {
                    return Err(Diagnostic::internal(
                        "an INSERT without RETURNING gave rows",
                    ));
                }
            }
        }
    }
}

fn of_select(query: &ast::Query) -> Result<Option<CreateAs<'_>>, Diagnostic> {
    let SetExpr::Select(select) = &*query.body else {
        return Ok(None);
    };
    let Some(into) = &select.into else {
        return Ok(None);
    };
    if into.unlogged {
        return Err(Diagnostic::unsupported("SELECT INTO UNLOGGED"));
    }
    let mut without = query.clone();
    if let SetExpr::Select(select) = &mut *without.body {
        select.into = None;
    }
    Ok(Some(CreateAs {
        name: &into.name,
        if_not_exists: false,
        names: Vec::new(),
        options: ast::CreateTableOptions::None,
        data: Data::With,
        query: without,
        temporary: into.temporary,
        on_commit: None,
    }))
}

/// WITH NO DATA, and the options that are about storage.
fn data_of(given: &ast::CreateTableOptions) -> (ast::CreateTableOptions, Data) {
    let ast::CreateTableOptions::With(options) = given else {
        return (given.clone(), Data::With);
    };
    let says_no = |option: &ast::SqlOption| matches!(option, ast::SqlOption::KeyValue { key, .. } if key.value == NO_DATA_OPTION);
    let data = match options.iter().any(says_no) {
        true => Data::Without,
        false => Data::With,
    };
    let kept = options.iter().filter(|option| !says_no(option)).cloned();
    (ast::CreateTableOptions::With(kept.collect()), data)
}

/// The type of a column for the query's: what nothing has decided is text.
///
/// # Errors
/// 42P16 for a pseudo-type.
fn kept_type(found: SqlType, column: &str) -> Result<SqlType, Diagnostic> {
    match found.kind {
        TypeKind::Unknown => Ok(SqlType::scalar(TypeKind::Text)),
        TypeKind::Void | TypeKind::Record => Err(Diagnostic::error(
            SqlState::INVALID_TABLE_DEFINITION,
            format!(
                "column \"{column}\" has pseudo-type {}",
                types::format_type(found)
            ),
        )),
        _ => Ok(found),
    }
}
