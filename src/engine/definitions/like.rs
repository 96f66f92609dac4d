//! CREATE TABLE … (LIKE other INCLUDING …): what is taken over of another table or view (PostgreSQL 15,
//! CREATE TABLE, LIKE).

use super::column::ColumnPlan;
use super::constraint::{Spec, choose_relation, define_index};
use super::create_table::FIRST_LAYOUT;
use super::sequence::SequencePlan;
use super::work::{Work, missing, table_of};
use crate::catalog::definition::{Column, ConstraintBody, Index, Relation, RelationBody, Table};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::row::KeyLayout;
use crate::sql::like::Taken;
use crate::sql::parse;
use sqlparser::ast;
use std::sync::Arc;

/// One LIKE of a new table.
pub struct Like {
    source: Arc<Relation>,
    taken: Included,
    /// Where the source's columns are in the new table; None for dropped ones.
    places: Vec<Option<u16>>,
}

/// What beside names, types and NOT NULL is taken over.
#[derive(Clone, Copy, Debug, Default)]
struct Included {
    comments: bool,
    constraints: bool,
    defaults: bool,
    generated: bool,
    identity: bool,
    indexes: bool,
}

impl Included {
    fn of(taken: &[Taken<'_>]) -> Included {
        let mut included = Included::default();
        for Taken { including, kind } in taken {
            let all = *kind == "ALL";
            let mut set = |name: &str, place: fn(&mut Included) -> &mut bool| {
                if all || *kind == name {
                    *place(&mut included) = *including;
                }
            };
            set("COMMENTS", |it| &mut it.comments);
            set("CONSTRAINTS", |it| &mut it.constraints);
            set("DEFAULTS", |it| &mut it.defaults);
            set("GENERATED", |it| &mut it.generated);
            set("IDENTITY", |it| &mut it.identity);
            set("INDEXES", |it| &mut it.indexes);
            // COMPRESSION, STATISTICS and STORAGE say what no table here has.
        }
        included
    }
}

impl Like {
    /// Of the relation of this name, for a table that has so many columns before.
    ///
    /// # Errors
    /// 42P01, 42809, 42501.
    pub fn new(
        work: &mut Work<'_>,
        source: &ast::ObjectName,
        taken: &[Taken<'_>],
        before: u16,
    ) -> Result<Like, Diagnostic> {
        let found = work.find(source)?;
        let source = found.ok_or_else(|| missing("relation", source))?;
        let dropped: Vec<bool> = match &source.body {
            RelationBody::Table(table) => table.columns.iter().map(|it| it.dropped).collect(),
            RelationBody::View(view) => view.columns.iter().map(|_| false).collect(),
            RelationBody::Index(_) | RelationBody::Sequence(_) => {
                let what = match source.index() {
                    Some(_) => "indexes",
                    None => "sequences",
                };
                return Err(Diagnostic::error(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("relation \"{}\" is invalid in LIKE clause", source.name),
                )
                .with_detail(format!("This operation is not supported for {what}.")));
            }
        };
        work.context.rights.may_select(&source)?;
        let mut next = before;
        let places = dropped.into_iter().map(|dropped| {
            let place = next;
            next += u16::from(!dropped);
            (!dropped).then_some(place)
        });
        Ok(Like {
            places: places.collect(),
            taken: Included::of(taken),
            source,
        })
    }

    /// The columns that it stands for.
    ///
    /// # Errors
    /// What parsing a default gives.
    pub fn columns(&self, work: &mut Work<'_>) -> Result<Vec<ColumnPlan>, Diagnostic> {
        let definitions = work.definitions();
        if let RelationBody::View(view) = &self.source.body {
            let columns = view.columns.iter();
            return Ok(columns
                .map(|(name, sql_type)| plan(plain(name, *sql_type, false)))
                .collect());
        }
        let mut plans = Vec::new();
        for column in self.table()?.columns.iter().filter(|it| !it.dropped) {
            let mut plan = plan(plain(&column.name, column.sql_type, column.not_null));
            let wanted = match column.generated {
                true => self.taken.generated,
                false => self.taken.defaults,
            };
            if let Some(text) = column.default.as_deref().filter(|_| wanted) {
                plan.default = Some(parse::parse_expression(text)?);
                plan.column.generated = column.generated;
            }
            if self.taken.identity && column.identity.is_some() {
                plan.column.identity = column.identity;
                let sequence = column.sequence.and_then(|oid| definitions.get(oid));
                plan.sequence = sequence.and_then(|found| match &found.body {
                    RelationBody::Sequence(sequence) => Some(SequencePlan::like(sequence)),
                    _ => None,
                });
            }
            plans.push(plan);
        }
        Ok(plans)
    }

    /// The checks and keys that are taken over.
    ///
    /// # Errors
    /// What parsing a check gives.
    pub fn constraints(&self, work: &mut Work<'_>) -> Result<Vec<Spec>, Diagnostic> {
        let definitions = work.definitions();
        let mut specs = Vec::new();
        let RelationBody::Table(table) = &self.source.body else {
            return Ok(specs);
        };
        for constraint in &table.constraints {
            if let ConstraintBody::Check { expression } = &constraint.body
                && self.taken.constraints
            {
                specs.push(Spec::check_like(&constraint.name, expression)?);
            }
        }
        let keys = table.primary_index.iter().chain(&table.indexes);
        for index in keys.filter_map(|oid| definitions.get(*oid)?.index()) {
            if let Some(constraint) = index.constraint.filter(|_| self.taken.indexes) {
                let columns = index.columns.iter();
                let names = columns.map(|at| table.columns[usize::from(*at)].name.to_string());
                specs.push(Spec::key_like(constraint, names.collect()));
            }
        }
        Ok(specs)
    }

    /// Once the table has its columns and constraints: the other indexes, and comments.
    ///
    /// # Errors
    /// 23505 where a name is taken meanwhile; storage's.
    pub async fn finish(
        &self,
        work: &mut Work<'_>,
        relation: &mut Relation,
    ) -> Result<(), Diagnostic> {
        if let RelationBody::Table(table) = &self.source.body
            && self.taken.indexes
        {
            let definitions = work.definitions();
            for found in table.indexes.iter().filter_map(|oid| definitions.get(*oid)) {
                if let Some(index) = found.index().filter(|index| index.constraint.is_none()) {
                    self.index(work, relation, found, index).await?;
                }
            }
        }
        if self.taken.comments {
            let made = table_of(relation)?;
            for (position, text) in self.source.column_comments() {
                if let Some(place) = self.places[usize::from(*position)] {
                    made.comments.push((place, text.clone()));
                }
            }
            self.comments_on_checks(made);
        }
        Ok(())
    }

    fn comments_on_checks(&self, made: &mut Table) {
        let Some(table) = self.source.table().filter(|_| self.taken.constraints) else {
            return;
        };
        for (oid, text) in &table.constraint_comments {
            let mut theirs = table.constraints.iter();
            let name = theirs.find(|it| it.oid == *oid).map(|it| &it.name);
            let mut own = made.constraints.iter();
            if let Some(own) = own.find(|it| Some(&it.name) == name) {
                made.constraint_comments.push((own.oid, text.clone()));
            }
        }
    }

    async fn index(
        &self,
        work: &mut Work<'_>,
        relation: &mut Relation,
        found: &Relation,
        index: &Index,
    ) -> Result<(), Diagnostic> {
        let place = |position: u16| match index.expression(position) {
            Some(_) => Ok(position),
            None => self.places[usize::from(position)]
                .ok_or_else(|| Diagnostic::internal("an index over a column that is gone")),
        };
        let columns = index.columns.iter().map(|at| place(*at));
        let include = index.details.include.iter().map(|at| place(*at));
        let mut copy = Index {
            store: work.transaction.storage.create_relation()?,
            table: relation.oid,
            columns: columns.collect::<Result<_, _>>()?,
            ..index.clone()
        };
        copy.details.include = include.collect::<Result<_, _>>()?;
        let table = table_of(relation)?;
        KeyLayout::of_index(table, &copy)?;
        let names: Vec<String> = copy
            .columns
            .iter()
            .map(|position| match copy.expression(*position) {
                Some(expression) => expression.name.to_string(),
                None => table.columns[usize::from(*position)].name.to_string(),
            })
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let schema = relation.schema.to_string();
        let name = choose_relation(work, &schema, &relation.name, &names, "idx").await?;
        let oid = work.new_oid()?;
        define_index(work, relation, oid, name, copy)?;
        table_of(relation)?.indexes.push(oid);
        if let (Some(comment), true) = (&found.comment, self.taken.comments)
            && let Some(made) = work.definitions().get(oid)
        {
            work.define(Relation {
                comment: Some(comment.clone()),
                ..Relation::clone(made)
            })?;
        }
        Ok(())
    }

    fn table(&self) -> Result<&Table, Diagnostic> {
        let table = self.source.table();
        table.ok_or_else(|| Diagnostic::internal("LIKE of what has no columns"))
    }
}

fn plain(name: &Arc<str>, sql_type: SqlType, not_null: bool) -> Column {
    Column {
        name: name.clone(),
        sql_type,
        not_null,
        default: None,
        generated: false,
        identity: None,
        sequence: None,
        added_in: FIRST_LAYOUT,
        missing: None,
        dropped: false,
    }
}

fn plan(column: Column) -> ColumnPlan {
    ColumnPlan {
        column,
        default: None,
        sequence: None,
        constraints: Vec::new(),
    }
}
