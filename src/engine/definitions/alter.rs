//! ALTER TABLE, ALTER INDEX … RENAME.

use super::column::{ColumnPlan, default_text};
use super::constraint::{self, Existing, Spec};
use super::create_table::{add_column, options_of};
use super::identity;
use super::sequence;
use super::verify;
use super::work::{Claim, NewName, Work, column_of, missing, position_of, table_of};
use super::{name, policy, view};
use crate::catalog::definition::{Column, ConstraintBody, Relation, RelationBody};
use crate::catalog::principal::PrincipalKind;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::value::{self, Row};
use crate::engine::query::expression::Scope;
use crate::engine::row::encode_missing;
use crate::engine::types;
use crate::sql::sequence::ALTER_OPTION;
use crate::storage::{ALL_KEYS, Use};
use sqlparser::ast::{self, AlterColumnOperation, AlterTableOperation};
use std::sync::Arc;

/// ALTER TABLE
///
/// # Errors
/// 42P01, 42809, 42501 and what each operation is refused for.
pub async fn table(work: &mut Work<'_>, statement: &ast::AlterTable) -> Result<(), Diagnostic> {
    let Some(found) = work.find(&statement.name)? else {
        let missing = missing("relation", &statement.name);
        if !statement.if_exists {
            return Err(missing);
        }
        work.notice(format!("{}, skipping", missing.message()));
        return Ok(());
    };
    work.context.rights.may_own(&found)?;
    let taken = work.take(found.oid, Use::Exclusive).await?;
    let mut relation = taken.ok_or_else(|| missing("relation", &statement.name))?;
    for operation in &statement.operations {
        if let AlterTableOperation::RenameTable { table_name } = operation {
            let (ast::RenameTableNameKind::As(new) | ast::RenameTableNameKind::To(new)) =
                table_name;
            let (_, new) = name::parts(new)?;
            return rename_relation(work, relation, &new).await;
        }
        if let AlterTableOperation::OwnerTo { new_owner } = operation {
            change_owner(work, &mut relation, new_owner)?;
            continue;
        }
        if let Some(column) = sequence_column(operation) {
            sequence::belong(work, &mut relation, column).await?;
            continue;
        }
        table_of(&mut relation).map_err(|_| wrong_type(&found))?;
        if let Some(switch) = policy::switch(operation) {
            if let Some(switch) = switch? {
                relation.row_security.switch = switch;
                table_of(&mut relation)?.layout_version += 1;
            }
            continue;
        }
        let mut change = Change {
            work: &mut *work,
            relation: &mut relation,
        };
        change.apply(operation).await?;
        // Others of the statement's operations look the table up.
        table_of(&mut relation)?.layout_version += 1;
        work.define(relation.clone())?;
    }
    work.define(relation)
}

/// Whether it was written as ALTER SEQUENCE.
pub fn is_of_sequence(statement: &ast::AlterTable) -> bool {
    let first = statement.operations.first();
    first.is_some_and(|operation| sequence_column(operation).is_some())
}

/// What ALTER SEQUENCE says of the column that it belongs to ([`ALTER_OPTION`]).
fn sequence_column(operation: &AlterTableOperation) -> Option<&ast::Expr> {
    let AlterTableOperation::SetOptionsParens { options } = operation else {
        return None;
    };
    match options.as_slice() {
        [ast::SqlOption::KeyValue { key, value }] if key.value == ALTER_OPTION => Some(value),
        _ => None,
    }
}

fn wrong_type(relation: &Relation) -> Diagnostic {
    let name = &relation.name;
    Diagnostic::error(
        SqlState::WRONG_OBJECT_TYPE,
        format!("ALTER action cannot be performed on relation \"{name}\""),
    )
}

fn change_owner(
    work: &Work<'_>,
    relation: &mut Relation,
    owner: &ast::Owner,
) -> Result<(), Diagnostic> {
    let owner_name = match owner {
        ast::Owner::Ident(name) => name::fold(name),
        ast::Owner::CurrentRole | ast::Owner::CurrentUser | ast::Owner::SessionUser => {
            work.context.identity.name.to_string()
        }
    };
    let principal = work
        .context
        .snapshot
        .principals
        .principal_named(&owner_name)
        .filter(|principal| principal.tenant == work.context.rights.tenant())
        .ok_or_else(|| {
            Diagnostic::error(
                SqlState::UNDEFINED_OBJECT,
                format!("role \"{owner_name}\" does not exist"),
            )
        })?;
    if matches!(principal.kind, PrincipalKind::ServiceAccount { .. }) {
        return Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("service account \"{owner_name}\" cannot own tables"),
        ));
    }
    relation.owner = principal.id;
    Ok(())
}

/// Gives a relation, already taken, another name.
///
/// # Errors
/// 42P07
pub async fn rename_relation(
    work: &mut Work<'_>,
    mut relation: Relation,
    to: &str,
) -> Result<(), Diagnostic> {
    let new = NewName {
        schema: relation.schema.to_string(),
        name: to.to_owned(),
    };
    if let Claim::Taken(_) = work.claim(&new).await? {
        return Err(super::exists(to));
    }
    refuse_under_views(work, &relation, "renaming")?;
    work.release_name(&relation)?;
    relation.name = new.name.into();
    if let RelationBody::Table(table) = &mut relation.body {
        table.layout_version += 1;
    }
    work.define(relation)
}

/// Views keep their query as text, which a new name would make wrong.
fn refuse_under_views(
    work: &mut Work<'_>,
    relation: &Relation,
    what: &str,
) -> Result<(), Diagnostic> {
    let definitions = work.definitions();
    for other in definitions.of_database(relation.database) {
        if view::reads(work, other, relation.oid)? {
            return Err(Diagnostic::unsupported(format!(
                "{what} what view \"{}\" reads",
                other.name
            )));
        }
    }
    Ok(())
}

/// ALTER INDEX … RENAME TO
///
/// # Errors
/// 42P01, 42P07, 42501; 0A000 for anything else.
pub async fn index(
    work: &mut Work<'_>,
    given: &ast::ObjectName,
    operation: &ast::AlterIndexOperation,
) -> Result<(), Diagnostic> {
    let ast::AlterIndexOperation::RenameIndex { index_name } = operation;
    let found = work
        .find(given)?
        .ok_or_else(|| missing("relation", given))?;
    work.context.rights.may_own(&found)?;
    if let Some(index) = found.index() {
        work.take(index.table, Use::Exclusive).await?;
    }
    let taken = work.take(found.oid, Use::Exclusive).await?;
    let relation = taken.ok_or_else(|| missing("relation", given))?;
    let (_, to) = name::parts(index_name)?;
    rename_relation(work, relation, &to).await
}

/// One operation on one table.
struct Change<'w, 'a> {
    work: &'w mut Work<'a>,
    relation: &'w mut Relation,
}

impl Change<'_, '_> {
    async fn apply(&mut self, operation: &AlterTableOperation) -> Result<(), Diagnostic> {
        match operation {
            AlterTableOperation::AddConstraint {
                constraint,
                not_valid: false,
            } => {
                let spec = Spec::of_table(constraint)?;
                spec.add(self.work, self.relation, Existing::Rows).await
            }
            AlterTableOperation::AddColumn {
                if_not_exists,
                column_def,
                column_position: None,
                ..
            } => self.add_column(column_def, *if_not_exists).await,
            AlterTableOperation::DropColumn {
                column_names,
                if_exists,
                drop_behavior,
                ..
            } => {
                let cascade = matches!(drop_behavior, Some(ast::DropBehavior::Cascade));
                for column in column_names {
                    self.drop_column(&name::fold(column), *if_exists, cascade)
                        .await?;
                }
                Ok(())
            }
            AlterTableOperation::DropConstraint {
                if_exists,
                name,
                drop_behavior,
            } => {
                let cascade = matches!(drop_behavior, Some(ast::DropBehavior::Cascade));
                self.drop_constraint(&name::fold(name), *if_exists, cascade)
                    .await
            }
            AlterTableOperation::RenameColumn {
                old_column_name,
                new_column_name,
            } => self.rename_column(&name::fold(old_column_name), &name::fold(new_column_name)),
            AlterTableOperation::RenameConstraint { old_name, new_name } => {
                let (from, to) = (name::fold(old_name), name::fold(new_name));
                constraint::rename(self.work, self.relation, &from, &to).await
            }
            AlterTableOperation::AlterColumn { column_name, op } => {
                self.alter_column(&name::fold(column_name), op).await
            }
            AlterTableOperation::SetOptionsParens { options } => {
                let given = options_of(&ast::CreateTableOptions::With(options.clone()))?;
                let table = table_of(self.relation)?;
                for (key, value) in given {
                    table.options.retain(|(known, _)| *known != key);
                    table.options.push((key, value));
                }
                Ok(())
            }
            other => Err(Diagnostic::unsupported(format!("ALTER TABLE … {other}"))),
        }
    }

    async fn add_column(
        &mut self,
        definition: &ast::ColumnDef,
        if_not_exists: bool,
    ) -> Result<(), Diagnostic> {
        let relation_name = self.relation.name.clone();
        let table = table_of(self.relation)?;
        // The version the table has when this operation is through.
        let mut plan = ColumnPlan::new(definition, &relation_name, table.layout_version + 1)?;
        let column = plan.column.name.clone();
        if position_of(table, &column).is_some() {
            let message =
                format!("column \"{column}\" of relation \"{relation_name}\" already exists");
            if if_not_exists {
                self.work.notice(format!("{message}, skipping"));
                return Ok(());
            }
            return Err(Diagnostic::error(SqlState::DUPLICATE_COLUMN, message));
        }
        let constraints = std::mem::take(&mut plan.constraints);
        let filled = plan.default.is_some() || plan.sequence.is_some();
        let not_null = plan.column.not_null || constraints.iter().any(|spec| spec.is_primary_key());
        let has_rows = self.has_rows().await?;
        if has_rows {
            if plan.sequence.is_some() || plan.default.as_ref().is_some_and(is_volatile) {
                return Err(Diagnostic::unsupported(
                    "ADD COLUMN with a sequence's values for existing rows",
                ));
            }
            self.fill_missing(&mut plan)?;
            if not_null && (!filled || plan.column.missing.is_none()) {
                return Err(null_values(&column, &relation_name));
            }
        }
        add_column(self.work, self.relation, plan).await?;
        for spec in constraints {
            // The rows that are there have the new column only by its layout version.
            table_of(self.relation)?.layout_version += 1;
            let added = spec.add(self.work, self.relation, Existing::Rows).await;
            table_of(self.relation)?.layout_version -= 1;
            added?;
        }
        Ok(())
    }

    async fn has_rows(&mut self) -> Result<bool, Diagnostic> {
        let store = table_of(self.relation)?.store;
        let storage = &mut self.work.transaction.storage;
        storage.bulk_finish().await?;
        Ok(!storage.newest_range(store, ALL_KEYS, 1)?.is_empty())
    }

    /// What existing rows have in the new column: its default, worked out once.
    fn fill_missing(&mut self, plan: &mut ColumnPlan) -> Result<(), Diagnostic> {
        let Some(expression) = &plan.default else {
            return Ok(());
        };
        let column = (&*plan.column.name, plan.column.sql_type);
        let input = self.work.input();
        let value =
            value::compile_for_column(expression, &Scope::empty(), &mut Vec::new(), column, input)?
                .without_parameters()?
                .evaluate(Row {
                    columns: &[],
                    parameters: &[],
                    input,
                })?;
        plan.column.missing = encode_missing(plan.column.sql_type, &value)?;
        Ok(())
    }

    async fn drop_column(
        &mut self,
        column: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<(), Diagnostic> {
        let relation_name = self.relation.name.clone();
        let table = table_of(self.relation)?;
        let position = match column_of(table, &relation_name, column) {
            Ok(position) => position,
            Err(error) if if_exists => {
                self.work.notice(format!("{}, skipping", error.message()));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        refuse_under_views(self.work, self.relation, "dropping a column of")?;
        self.drop_policies_with(column, cascade)?;
        self.drop_keys_with(position, cascade).await?;
        self.drop_constraints_with(position, column).await?;
        let table = table_of(self.relation)?;
        let dropped = &mut table.columns[usize::from(position)];
        let sequence = dropped.sequence.take();
        *dropped = Column {
            not_null: false,
            default: None,
            identity: None,
            dropped: true,
            ..dropped.clone()
        };
        let definitions = self.work.definitions();
        if let Some(sequence) = sequence.and_then(|oid| definitions.get(oid)) {
            self.work.undefine(sequence)?;
        }
        Ok(())
    }

    /// A policy that names the column goes with it only where CASCADE says so.
    fn drop_policies_with(&mut self, column: &str, cascade: bool) -> Result<(), Diagnostic> {
        let naming = policy::naming(self.relation, column)?;
        if let (Some(policy), false) = (naming.first(), cascade) {
            let table = &self.relation.name;
            return Err(Diagnostic::error(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                format!(
                    "cannot drop column {column} of table {table} because other objects depend on it"
                ),
            )
            .with_detail(format!(
                "policy {policy} on table {table} depends on column {column} of table {table}"
            ))
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        for policy in &naming {
            let table = &self.relation.name;
            self.work
                .notice(format!("drop cascades to policy {policy} on table {table}"));
        }
        let policies = &mut self.relation.row_security.policies;
        policies.retain(|policy| !naming.contains(&policy.name));
        Ok(())
    }

    /// Indexes over the column go with it.
    async fn drop_keys_with(&mut self, position: u16, cascade: bool) -> Result<(), Diagnostic> {
        let definitions = self.work.definitions();
        let table = table_of(self.relation)?;
        let indexes: Vec<Arc<Relation>> = table
            .indexes
            .iter()
            .chain(&table.primary_index)
            .filter_map(|oid| definitions.get(*oid))
            .filter(|relation| {
                relation
                    .index()
                    .is_some_and(|index| index.columns.contains(&position))
            })
            .cloned()
            .collect();
        for index in indexes {
            if index
                .index()
                .is_some_and(|index| index.constraint.is_some())
            {
                constraint::drop(self.work, self.relation, &index.name, cascade).await?;
            } else {
                let table = table_of(self.relation)?;
                table.indexes.retain(|oid| *oid != index.oid);
                self.work.undefine(&index)?;
            }
        }
        Ok(())
    }

    async fn drop_constraints_with(
        &mut self,
        position: u16,
        column: &str,
    ) -> Result<(), Diagnostic> {
        let table = table_of(self.relation)?.clone();
        for constraint in &table.constraints {
            let concerns = match &constraint.body {
                ConstraintBody::ForeignKey { columns, .. } => columns.contains(&position),
                ConstraintBody::Check { expression } => {
                    let tree = crate::sql::parse::parse_expression(expression)?;
                    constraint::columns_named(&table, &tree)
                        .iter()
                        .any(|named| named == column)
                }
            };
            if concerns {
                constraint::drop(self.work, self.relation, &constraint.name, false).await?;
            }
        }
        Ok(())
    }

    async fn drop_constraint(
        &mut self,
        constraint: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<(), Diagnostic> {
        if constraint::drop(self.work, self.relation, constraint, cascade).await? {
            return Ok(());
        }
        let undefined = constraint::undefined(constraint, &self.relation.name);
        if !if_exists {
            return Err(undefined);
        }
        self.work
            .notice(format!("{}, skipping", undefined.message()));
        Ok(())
    }

    fn rename_column(&mut self, from: &str, to: &str) -> Result<(), Diagnostic> {
        let relation_name = self.relation.name.clone();
        refuse_under_views(self.work, self.relation, "renaming a column of")?;
        let table = table_of(self.relation)?;
        let position = position_of(table, from).ok_or_else(|| {
            Diagnostic::error(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{from}\" does not exist"),
            )
        })?;
        if position_of(table, to).is_some() {
            return Err(Diagnostic::error(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{to}\" of relation \"{relation_name}\" already exists"),
            ));
        }
        for constraint in &table.constraints {
            if let ConstraintBody::Check { expression } = &constraint.body {
                let tree = crate::sql::parse::parse_expression(expression)?;
                if constraint::columns_named(table, &tree)
                    .iter()
                    .any(|named| named == from)
                {
                    return Err(Diagnostic::unsupported(format!(
                        "renaming a column that check constraint \"{}\" names",
                        constraint.name
                    )));
                }
            }
        }
        if let Some(policy) = policy::naming(self.relation, from)?.first() {
            return Err(Diagnostic::unsupported(format!(
                "renaming a column that row policy \"{policy}\" names"
            )));
        }
        table_of(self.relation)?.columns[usize::from(position)].name = Arc::from(to);
        Ok(())
    }

    async fn alter_column(
        &mut self,
        column: &str,
        operation: &AlterColumnOperation,
    ) -> Result<(), Diagnostic> {
        let relation_name = self.relation.name.clone();
        let table = table_of(self.relation)?;
        let position = column_of(table, &relation_name, column)?;
        let at = usize::from(position);
        match operation {
            AlterColumnOperation::SetNotNull => {
                verify::not_null(self.work, self.relation, position).await?;
                table_of(self.relation)?.columns[at].not_null = true;
            }
            AlterColumnOperation::DropNotNull => {
                if table.primary_key.contains(&position) {
                    return Err(Diagnostic::error(
                        SqlState::INVALID_TABLE_DEFINITION,
                        format!("column \"{column}\" is in a primary key"),
                    ));
                }
                if table.columns[at].identity.is_some() {
                    return Err(Diagnostic::error(
                        SqlState::SYNTAX_ERROR,
                        format!(
                            "column \"{column}\" of relation \"{relation_name}\" is an identity column"
                        ),
                    ));
                }
                table.columns[at].not_null = false;
            }
            AlterColumnOperation::SetDefault { value } => {
                let text = default_text(self.work, &table.columns[at].clone(), value)?;
                let found = &mut table_of(self.relation)?.columns[at];
                found.default = text;
                found.sequence = None;
            }
            AlterColumnOperation::DropDefault => {
                let found = &mut table.columns[at];
                found.default = None;
                if found.identity.is_none() {
                    found.sequence = None;
                }
            }
            AlterColumnOperation::SetDataType {
                data_type, using, ..
            } => {
                // Its type is part of what the policy says, as in PostgreSQL.
                if let Some(policy) = policy::naming(self.relation, column)?.first() {
                    return Err(Diagnostic::error(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "cannot alter type of a column used in a policy definition",
                    )
                    .with_detail(format!("policy {policy} on table {relation_name}")));
                }
                let table = table_of(self.relation)?;
                let to = super::column::column_type(data_type, column)?;
                let from = table.columns[at].sql_type;
                if using.is_some() || !keeps_bytes(from, to) {
                    return Err(Diagnostic::unsupported(format!(
                        "changing column \"{column}\" from {} to {}",
                        types::format_type(from),
                        types::format_type(to)
                    )));
                }
                table.columns[at].sql_type = to;
            }
            AlterColumnOperation::AddGenerated {
                generated_as,
                sequence_options,
            } => {
                let options = sequence_options.as_deref().unwrap_or_default();
                identity::add(self.work, self.relation, position, *generated_as, options).await?;
            }
        }
        Ok(())
    }
}

/// Whether every value of the one type is stored as the same value of the other.
fn keeps_bytes(
    from: crate::catalog::sql_type::SqlType,
    to: crate::catalog::sql_type::SqlType,
) -> bool {
    use crate::catalog::sql_type::TypeKind::{Text, Varchar};
    let longer = |of: crate::catalog::sql_type::SqlType| match of.typmod {
        4.. => of.typmod,
        _ => i32::MAX,
    };
    from == to
        || (from.array == to.array
            && matches!(from.kind, Text | Varchar)
            && match to.kind {
                Text => true,
                Varchar => from.kind == Varchar && longer(to) >= longer(from),
                _ => false,
            })
}

fn is_volatile(expression: &ast::Expr) -> bool {
    super::column::is_nextval(expression)
}

fn null_values(column: &str, relation: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::NOT_NULL_VIOLATION,
        format!("column \"{column}\" of relation \"{relation}\" contains null values"),
    )
    .with_table(relation)
    .with_column(column)
}
