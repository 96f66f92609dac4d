//! CREATE TABLE.

use super::column::{ColumnPlan, nextval_of};
use super::constraint::{Existing, Spec, choose_relation};
use super::enumeration;
use super::like::Like;
use super::temporary;
use super::work::{Claim, NewName, Work, table_of};
use crate::catalog::Oid;
use crate::catalog::definition::{Relation, RelationBody, Table};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::functions::text::quote_ident;
use crate::engine::search_path::PUBLIC;
use sqlparser::ast::{self, CreateTableOptions, SqlOption};
use std::sync::Arc;

/// PostgreSQL's MaxHeapAttributeNumber.
const COLUMNS_MAX: usize = 1_600;
/// The layout version of a new table.
pub const FIRST_LAYOUT: u32 = 1;

/// CREATE TABLE
///
/// # Errors
/// 42P07, 42701, 42P16 and whatever a column or constraint of it is refused for; 42501; 0A000.
pub async fn create(work: &mut Work<'_>, statement: &ast::CreateTable) -> Result<(), Diagnostic> {
    refuse_unsupported(statement)?;
    let temporary = temporary::is(statement.temporary, &statement.name, statement.on_commit)?;
    let new = match temporary {
        true => temporary::new_name(work, &statement.name)?,
        false => work.new_name(&statement.name)?,
    };
    if let Claim::Taken(relation) = work.claim(&new).await? {
        return super::already_exists(work, &relation, statement.if_not_exists);
    }
    enumeration::demand_free(work, &new)?;
    let mut options = options_of(&statement.table_options)?;
    options.extend(temporary::option(statement.on_commit));
    let mut specs = Vec::new();
    let mut columns = Vec::new();
    let mut likes = Vec::new();
    for definition in &statement.columns {
        if let Some((source, taken)) = crate::sql::like::of(definition) {
            let like = Like::new(work, source, &taken, columns.len() as u16)?;
            columns.extend(like.columns(work)?);
            specs.extend(like.constraints(work)?);
            likes.push(like);
            continue;
        }
        let mut plan = ColumnPlan::new(definition, &new.name, FIRST_LAYOUT, work.input())?;
        specs.append(&mut plan.constraints);
        columns.push(plan);
    }
    for constraint in &statement.constraints {
        specs.push(Spec::of_table(constraint)?);
    }
    check_columns(&columns)?;
    let mut relation = Relation {
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
            columns: Vec::new(),
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
    let mut generated = Vec::new();
    for (position, plan) in columns.into_iter().enumerate() {
        if let Some(expression) = plan.default.clone().filter(|_| plan.column.generated) {
            generated.push((position, expression));
        }
        add_column(work, &mut relation, plan).await?;
    }
    for (position, expression) in generated {
        super::generated::settle(work, &mut relation, position, &expression)?;
    }
    // The primary key first: a foreign key to the table itself may point at it.
    specs.sort_by_key(|spec| !spec.is_primary_key());
    for spec in specs {
        spec.add(work, &mut relation, Existing::None).await?;
    }
    for like in likes {
        like.finish(work, &mut relation).await?;
    }
    work.define(relation)
}

/// Adds a column and makes its sequence; the caller defines the table.
///
/// # Errors
/// What its DEFAULT is refused for.
pub async fn add_column(
    work: &mut Work<'_>,
    relation: &mut Relation,
    mut plan: ColumnPlan,
) -> Result<(), Diagnostic> {
    enumeration::hold(work, plan.column.sql_type).await?;
    plan.settle_default(work)?;
    if let Some(expression) = plan.default.as_ref().filter(|_| !plan.column.generated) {
        plan.column.sequence = nextval_of(expression, work);
        if let Some(sequence) = plan.column.sequence {
            plan.column.default = default_of(sequence, work);
        }
    }
    let position = table_of(relation)?.columns.len() as u16;
    if let Some(sequence) = &plan.sequence {
        let schema = relation.schema.to_string();
        let column = plan.column.name.to_string();
        let name = choose_relation(work, &schema, &relation.name, &[&column], "seq").await?;
        if plan.column.identity.is_none() {
            plan.column.default = Some(nextval_text(&schema, &name));
        }
        let new = NewName { schema, name };
        let owned_by = Some((relation.oid, position));
        plan.column.sequence = Some(sequence.create(work, new, owned_by)?);
    }
    table_of(relation)?.columns.push(plan.column);
    Ok(())
}

/// The default that takes the next value of the sequence; None for one that is gone.
pub fn default_of(sequence: Oid, work: &mut Work<'_>) -> Option<Arc<str>> {
    let definitions = work.definitions();
    let sequence = definitions.get(sequence)?;
    Some(nextval_text(&sequence.schema, &sequence.name))
}

/// A serial column's default, as it is kept: a sequence without a schema is one of `public`.
pub fn nextval_text(schema: &str, sequence: &str) -> Arc<str> {
    let mut name = quote_ident(sequence);
    if schema != PUBLIC {
        name = format!("{}.{name}", quote_ident(schema));
    }
    Arc::from(format!("nextval('{}'::regclass)", name.replace('\'', "''")))
}

fn check_columns(columns: &[ColumnPlan]) -> Result<(), Diagnostic> {
    if columns.len() > COLUMNS_MAX {
        return Err(Diagnostic::error(
            SqlState::new("54011"),
            format!("tables can have at most {COLUMNS_MAX} columns"),
        ));
    }
    for (at, plan) in columns.iter().enumerate() {
        let name = &plan.column.name;
        if columns[..at].iter().any(|other| other.column.name == *name) {
            return Err(Diagnostic::error(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{name}\" specified more than once"),
            ));
        }
    }
    Ok(())
}

/// # Errors
/// 0A000 for what no CREATE TABLE here makes.
pub fn refuse_unsupported(statement: &ast::CreateTable) -> Result<(), Diagnostic> {
    let refused = [
        (statement.or_replace, "CREATE OR REPLACE TABLE"),
        (
            statement.like.is_some(),
            "CREATE TABLE … LIKE without parentheses",
        ),
        (statement.inherits.is_some(), "INHERITS"),
        (
            statement.partition_by.is_some() || statement.partition_of.is_some(),
            "a partitioned table",
        ),
        (
            statement.external || statement.clone.is_some(),
            "this form of CREATE TABLE",
        ),
    ];
    match refused.iter().find(|(given, _)| *given) {
        Some((_, feature)) => Err(Diagnostic::unsupported(feature)),
        None => Ok(()),
    }
}

/// Storage parameters that are taken, kept for the catalogs, and have no effect (REFERENCE §8).
const STORAGE_PARAMETERS: &[&str] = &[
    "fillfactor",
    "toast_tuple_target",
    "parallel_workers",
    "autovacuum_enabled",
    "autovacuum_vacuum_threshold",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_analyze_threshold",
    "autovacuum_analyze_scale_factor",
    "vacuum_truncate",
    "user_catalog_table",
];

/// Storage parameters and their values.
pub type TableOptions = Vec<(Arc<str>, Arc<str>)>;

/// `WITH (fillfactor = 100)`, and the mark of UNLOGGED that the parser leaves.
///
/// # Errors
/// 22023 for a parameter that PostgreSQL does not know, or out of its range.
pub fn options_of(options: &CreateTableOptions) -> Result<TableOptions, Diagnostic> {
    let given = match options {
        CreateTableOptions::None => return Ok(Vec::new()),
        CreateTableOptions::With(given) | CreateTableOptions::Plain(given) => given,
        other => return Err(Diagnostic::unsupported(format!("table options {other}"))),
    };
    given.iter().map(storage_parameter).collect()
}

fn storage_parameter(option: &SqlOption) -> Result<(Arc<str>, Arc<str>), Diagnostic> {
    let (key, value) = match option {
        SqlOption::KeyValue { key, value } => (key, value.to_string()),
        SqlOption::Ident(key) => (key, "true".to_owned()),
        other => return Err(Diagnostic::unsupported(format!("table option {other}"))),
    };
    let name = super::name::fold(key);
    let value = value.trim_matches('\'').to_owned();
    if name == crate::sql::utility::UNLOGGED_OPTION {
        return Ok((name.into(), value.into()));
    }
    if !STORAGE_PARAMETERS.contains(&name.as_str()) {
        return Err(Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("unrecognized parameter \"{name}\""),
        ));
    }
    if name == "fillfactor"
        && !value
            .parse()
            .is_ok_and(|percent| (10..=100).contains(&percent))
    {
        return Err(Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("value {value} out of bounds for option \"fillfactor\""),
        )
        .with_detail("Valid values are between \"10\" and \"100\"."));
    }
    Ok((name.into(), value.into()))
}

/// The sequences that belong to a column of the table.
pub fn owned_sequences(work: &mut Work<'_>, table: Oid) -> Vec<Arc<Relation>> {
    work.definitions()
        .all()
        .filter(|relation| match &relation.body {
            RelationBody::Sequence(sequence) => {
                sequence.owned_by.is_some_and(|(owner, _)| owner == table)
            }
            RelationBody::Table(_) | RelationBody::Index(_) | RelationBody::View(_) => false,
        })
        .cloned()
        .collect()
}
