//! ALTER TABLE: columns and constraints, added, dropped and changed.

use super::super::build::null_found;
use super::super::column::{ColumnPlan, default_text, nextval_of};
use super::super::create_table::add_column;
use super::super::create_table::default_of;
use super::super::rewrite::{Counter, Source, rewrite};
use super::super::work::position_of;
use super::super::{drop, generated, identity, verify};
use super::*;
use crate::catalog::definition::{Column, ConstraintBody};
use crate::engine::dml::target::{sequence_of, steps_of};
use crate::engine::dml::value::{self, Row};
use crate::engine::query::expression::Scope;
use crate::engine::row::encode_missing;
use crate::storage::ALL_KEYS;
use std::sync::Arc;

/// One operation on one table.
pub struct Change<'w, 'a> {
    /// The statement.
    pub work: &'w mut Work<'a>,
    /// The table, which is taken.
    pub relation: &'w mut Relation,
}

impl Change<'_, '_> {
    /// Carries the operation out.
    ///
    /// # Errors
    /// What it is refused for.
    pub async fn apply(&mut self, operation: &AlterTableOperation) -> Result<(), Diagnostic> {
        match operation {
            AlterTableOperation::AddConstraint {
                constraint,
                not_valid,
            } => {
                let spec = Spec::of_table(constraint)?;
                let existing = match not_valid {
                    true => spec.unchecked()?,
                    false => Existing::Rows,
                };
                spec.add(self.work, self.relation, existing).await
            }
            AlterTableOperation::ValidateConstraint { name } => {
                constraint::validate(self.work, self.relation, &name::fold(name)).await
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
        let added_in = table.layout_version + 1;
        let mut plan = ColumnPlan::new(definition, &relation_name, added_in, self.work.input())?;
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
        let not_null = plan.column.not_null || constraints.iter().any(|spec| spec.is_primary_key());
        let has_rows = self.has_rows().await?;
        let generated = plan.default.clone().filter(|_| plan.column.generated);
        let mut each = match has_rows && generated.is_none() {
            true => self.fill_missing(&mut plan)?,
            false => None,
        };
        let of_each_row = plan.sequence.is_some() || each.is_some() || generated.is_some();
        if has_rows && not_null && !of_each_row && plan.column.missing.is_none() {
            return Err(null_found(self.relation, &column));
        }
        add_column(self.work, self.relation, plan).await?;
        if let Some(expression) = generated {
            let position = table_of(self.relation)?.columns.len() - 1;
            let value = generated::settle(self.work, self.relation, position, &expression)?;
            each = Some(Source::Value(value));
        }
        if has_rows && of_each_row {
            self.fill_rows(each).await?;
        }
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

    /// What existing rows have in the new column: its default, worked out once, or where it is another
    /// one for each row, how it is come by.
    fn fill_missing(&mut self, plan: &mut ColumnPlan) -> Result<Option<Source>, Diagnostic> {
        let Some(expression) = &plan.default else {
            return Ok(None);
        };
        if let Some(oid) = nextval_of(expression, self.work) {
            let definitions = self.work.definitions();
            let (_, sequence) = sequence_of(&definitions, oid)?;
            let source = Source::Sequence(sequence.store, steps_of(sequence));
            return Ok(Some(source));
        }
        let column = (&*plan.column.name, plan.column.sql_type);
        let input = self.work.input();
        let value = value::compile_asking_for_column(
            expression,
            &Scope::empty(),
            &mut Vec::new(),
            column,
            input,
        )?
        .without_parameters()?;
        let value = value.ready(self.work.context)?.into_owned();
        if !value.is_free_of_columns() {
            return Ok(Some(Source::Value(value)));
        }
        let value = value.evaluate(Row {
            columns: &[],
            parameters: &[],
            input,
        })?;
        plan.column.missing = encode_missing(plan.column.sql_type, &value)?;
        Ok(None)
    }

    /// Gives each row a value of its own in the column that has just been added.
    async fn fill_rows(&mut self, each: Option<Source>) -> Result<(), Diagnostic> {
        let definitions = self.work.definitions();
        // Rows of the new layout have the column, and those of the one before do not.
        table_of(self.relation)?.layout_version += 1;
        let next = table_of(self.relation)?.clone();
        let position = next.columns.len() as u16 - 1;
        let source = match (each, next.columns[usize::from(position)].sequence) {
            (Some(source), _) => source,
            (None, Some(oid)) => {
                let (_, sequence) = sequence_of(&definitions, oid)?;
                Source::Counter(Counter::new(sequence.store, steps_of(sequence)))
            }
            (None, None) => return Err(Diagnostic::internal("a column without values")),
        };
        let primary = next.primary_index.and_then(|oid| definitions.get(oid));
        let primary = primary.map_or_else(String::new, |index| index.name.to_string());
        let sources = vec![(position, source)];
        rewrite(self.work, self.relation, next, sources, &primary).await?;
        // The caller counts this operation's version.
        table_of(self.relation)?.layout_version -= 1;
        Ok(())
    }

    /// DROP COLUMN
    ///
    /// # Errors
    /// 42703 unless it need not be there, 2BP01.
    pub async fn drop_column(
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
        drop::free_column(self.work, self.relation, column, cascade).await?;
        self.drop_generated_with(column, cascade).await?;
        self.drop_policies_with(column, cascade)?;
        self.drop_keys_with(position, cascade).await?;
        self.drop_constraints_with(position, column).await?;
        let sequences =
            drop::sequences_of_column(self.work, self.relation, position, cascade).await?;
        let table = table_of(self.relation)?;
        let dropped = &mut table.columns[usize::from(position)];
        dropped.sequence = None;
        table
            .comments
            .retain(|(commented, _)| *commented != position);
        let dropped = &mut table.columns[usize::from(position)];
        *dropped = Column {
            not_null: false,
            default: None,
            generated: false,
            identity: None,
            dropped: true,
            ..dropped.clone()
        };
        for sequence in sequences {
            self.work.undefine(&sequence)?;
        }
        Ok(())
    }

    /// A generated column that names the column goes with it only where CASCADE says so.
    async fn drop_generated_with(&mut self, column: &str, cascade: bool) -> Result<(), Diagnostic> {
        let table = table_of(self.relation)?;
        let naming: Vec<String> = generated::naming(table, column)?
            .into_iter()
            .map(|position| table.columns[position].name.to_string())
            .collect();
        let table = self.relation.name.clone();
        if let (Some(_), false) = (naming.first(), cascade) {
            let details: Vec<String> = naming
                .iter()
                .map(|name| {
                    format!(
                        "column {name} of table {table} depends on column {column} of table {table}"
                    )
                })
                .collect();
            return Err(Diagnostic::error(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                format!(
                    "cannot drop column {column} of table {table} because other objects depend on it"
                ),
            )
            .with_detail(details.join("\n"))
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        for name in &naming {
            self.work
                .notice(format!("drop cascades to column {name} of table {table}"));
            // No generated column names another, so that this goes no deeper.
            Box::pin(self.drop_column(name, false, cascade)).await?;
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
                    .is_some_and(|index| constraint::index_names(table, index, position))
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
                demand_no_identity(&table.columns[at], &relation_name)?;
                if table.columns[at].generated {
                    return Err(is_generated(column, &relation_name));
                }
                let mut text = default_text(self.work, &table.columns[at].clone(), value)?;
                let sequence = nextval_of(value, self.work);
                if let Some(sequence) = sequence {
                    text = default_of(sequence, self.work);
                }
                let found = &mut table_of(self.relation)?.columns[at];
                found.default = text;
                found.sequence = sequence;
            }
            AlterColumnOperation::DropDefault => {
                demand_no_identity(&table.columns[at], &relation_name)?;
                if table.columns[at].generated {
                    return Err(is_generated(column, &relation_name).with_hint(
                        "Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead.",
                    ));
                }
                let found = &mut table.columns[at];
                found.default = None;
                found.sequence = None;
            }
            AlterColumnOperation::SetDataType { .. } => {
                return Err(Diagnostic::internal(
                    "types are changed in a pass of their own",
                ));
            }
            AlterColumnOperation::AddGenerated {
                generated_as: Some(ast::GeneratedAs::ExpStored),
                sequence_options,
            } => {
                let first = sequence_options.iter().flatten().next().and_then(Extra::of);
                let if_exists = matches!(first, Some(Extra::Dropped { if_exists: true }));
                generated::drop_expression(self.work, self.relation, position, if_exists)?;
            }
            AlterColumnOperation::AddGenerated {
                generated_as,
                sequence_options,
            } => {
                let options = sequence_options.as_deref().unwrap_or_default();
                identity::change(self.work, self.relation, position, *generated_as, options)
                    .await?;
            }
        }
        Ok(())
    }
}

/// 42601
fn is_generated(column: &str, relation: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::SYNTAX_ERROR,
        format!("column \"{column}\" of relation \"{relation}\" is a generated column"),
    )
}

/// # Errors
/// 42601: an identity column's default is its sequence.
fn demand_no_identity(column: &Column, relation: &str) -> Result<(), Diagnostic> {
    if column.identity.is_none() {
        return Ok(());
    }
    let name = &column.name;
    Err(Diagnostic::error(
        SqlState::SYNTAX_ERROR,
        format!("column \"{name}\" of relation \"{relation}\" is an identity column"),
    ))
}
