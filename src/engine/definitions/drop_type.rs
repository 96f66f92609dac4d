//! DROP TYPE: with what depends on it, or not at all.

use super::alter::drop_column;
use super::drop::{Drop, refused, tell_lines};
use super::enumeration::{find, may_own, missing};
use super::relabel::{columns_of, names, text_names};
use super::work::{Work, table_of};
use super::{name, view};
use crate::catalog::Oid;
use crate::catalog::definition::{ConstraintBody, Relation, RelationBody};
use crate::catalog::enumeration::UserType;
use crate::catalog::sql_type::TypeKind;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::functions::names::{shown, type_shown};
use crate::engine::search_path;
use crate::engine::types;
use crate::storage::Use;
use std::sync::Arc;

/// DROP TYPE [IF EXISTS] name, … [CASCADE | RESTRICT]
///
/// # Errors
/// 42704, 3F000, 2BP01, 42501; 0A000 with CASCADE where an index or a policy names the type.
pub async fn drop(work: &mut Work<'_>, statement: &Drop<'_>) -> Result<(), Diagnostic> {
    let mut taken: Vec<UserType> = Vec::new();
    for given in statement.names {
        let (schema, bare) = name::parts(given)?;
        let absent_schema = schema.filter(|schema| !search_path::exists(schema, work.context));
        let found = match &absent_schema {
            Some(_) => None,
            None => find(work, given)?,
        };
        let found = match found {
            Some(found) => {
                may_own(work, &found)?;
                work.take_type(&found, Use::Exclusive).await?
            }
            None => None,
        };
        if let Some(found) = found {
            if !taken.iter().any(|known| known.type_id == found.type_id) {
                taken.push(found);
            }
            continue;
        }
        let error = match absent_schema {
            Some(schema) => search_path::no_schema(&schema),
            None => required(work, &bare).unwrap_or_else(|| missing(given)),
        };
        if !statement.if_exists || error.sqlstate() == SqlState::DEPENDENT_OBJECTS_STILL_EXIST {
            return Err(error);
        }
        work.notice(format!("{}, skipping", error.message()));
    }
    // Others may have made columns of them until they were taken.
    work.renew().await?;
    let mut dependents = Vec::new();
    for known in &taken {
        dependents_of(work, known, &mut dependents)?;
    }
    if !dependents.is_empty() {
        if !statement.cascade {
            let dropped: Vec<_> = taken.iter().map(|known| described(work, known)).collect();
            let details: Vec<_> = dependents.iter().map(Dependent::detail).collect();
            return Err(refused(&dropped, &details));
        }
        let lines: Vec<_> = dependents.iter().map(|it| it.described.clone()).collect();
        tell_lines(work, &lines);
        for dependent in &dependents {
            dependent.remove(work).await?;
        }
    }
    for known in &taken {
        work.undefine_type(known)?;
    }
    Ok(())
}

/// `type mood`, as messages tell it.
pub fn described(work: &Work<'_>, known: &UserType) -> String {
    format!("type {}", type_shown(known.sql_type(), work.context))
}

/// A name that is a built-in type's, or that of a table's rows.
fn required(work: &mut Work<'_>, name: &str) -> Option<Diagnostic> {
    let error = |message| Diagnostic::error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message);
    if let Some(found) = types::name::from_internal_name(name) {
        let shown = types::format_type(found);
        return Some(error(format!(
            "cannot drop type {shown} because it is required by the database system"
        )));
    }
    let relation = work.lookup(None, name)?;
    let word = match relation.body {
        RelationBody::Table(_) => "table",
        RelationBody::View(_) => "view",
        RelationBody::Index(_) | RelationBody::Sequence(_) => return None,
    };
    let message = format!("cannot drop type {name} because {word} {name} requires it");
    Some(error(message).with_hint(format!("You can drop {word} {name} instead.")))
}

/// Something that cannot stay when a type goes.
pub struct Dependent {
    relation: Arc<Relation>,
    part: Part,
    described: String,
    on: String,
}

enum Part {
    Column(Arc<str>),
    Default(Arc<str>),
    Constraint(Arc<str>),
    View,
    /// An index, or a policy of a table.
    Other,
}

impl Dependent {
    /// What it is, and on what it depends.
    pub fn detail(&self) -> String {
        format!("{} depends on {}", self.described, self.on)
    }

    /// What it is.
    pub fn described(&self) -> &str {
        &self.described
    }

    /// Whether it is one of these relations, or a part of one.
    pub fn is_within(&self, relations: &[Oid]) -> bool {
        relations.contains(&self.relation.oid)
    }

    /// Takes it away.
    ///
    /// # Errors
    /// 0A000 for what can only be dropped by itself; what locking and storage give.
    pub async fn remove(&self, work: &mut Work<'_>) -> Result<(), Diagnostic> {
        if let Part::Other = self.part {
            return Err(Diagnostic::unsupported(format!(
                "DROP TYPE … CASCADE of a type that {} names",
                self.described
            )));
        }
        let Some(mut relation) = work.take(self.relation.oid, Use::Exclusive).await? else {
            return Ok(());
        };
        match &self.part {
            Part::View => return work.undefine(&relation),
            Part::Column(column) => drop_column(work, &mut relation, column).await?,
            Part::Default(column) => {
                let columns = table_of(&mut relation)?.columns.iter_mut();
                for found in columns.filter(|found| found.name == *column && !found.dropped) {
                    found.default = None;
                }
            }
            Part::Constraint(constraint) => {
                let constraints = &mut table_of(&mut relation)?.constraints;
                constraints.retain(|kept| kept.name != *constraint);
            }
            Part::Other => {}
        }
        table_of(&mut relation)?.layout_version += 1;
        work.define(relation)
    }
}

/// Adds what depends on the type, and the views that read what does.
///
/// # Errors
/// What parsing stored texts gives.
pub fn dependents_of(
    work: &mut Work<'_>,
    known: &UserType,
    found: &mut Vec<Dependent>,
) -> Result<(), Diagnostic> {
    let definitions = work.definitions();
    let relations: Vec<_> = definitions.of_database(known.database).cloned().collect();
    let on = described(work, known);
    let first = found.len();
    for relation in &relations {
        of_relation(work, relation, known, &on, found)?;
    }
    views_over(work, &relations, first, found)
}

fn of_relation(
    work: &Work<'_>,
    relation: &Arc<Relation>,
    known: &UserType,
    on: &str,
    found: &mut Vec<Dependent>,
) -> Result<(), Diagnostic> {
    let name = shown(relation, work.context);
    let mut add = |part, described: String, on: &str| {
        found.push(Dependent {
            relation: relation.clone(),
            part,
            described,
            on: on.to_owned(),
        });
    };
    let is = |sql_type: crate::catalog::sql_type::SqlType| {
        sql_type.kind == TypeKind::Enum(known.type_id)
    };
    match &relation.body {
        RelationBody::Table(table) => {
            for position in columns_of(relation, known.type_id) {
                let column = &table.columns[usize::from(position)];
                let on = format!("type {}", type_shown(column.sql_type, work.context));
                let described = format!("column {} of table {name}", column.name);
                add(Part::Column(column.name.clone()), described, &on);
            }
            for column in table.columns.iter().filter(|it| !it.dropped) {
                let names = |text: &Arc<str>| text_names(text, known);
                if is(column.sql_type) || !column.default.as_ref().is_some_and(names) {
                    continue;
                }
                let column_name = column.name.clone();
                let of = format!("column {column_name} of table {name}");
                match column.generated {
                    true => add(Part::Column(column_name), of, on),
                    false => {
                        let described = format!("default value for {of}");
                        add(Part::Default(column_name), described, on);
                    }
                }
            }
            for constraint in &table.constraints {
                if let ConstraintBody::Check { expression } = &constraint.body
                    && text_names(expression, known)
                {
                    let constraint = constraint.name.clone();
                    let described = format!("constraint {constraint} on table {name}");
                    add(Part::Constraint(constraint), described, on);
                }
            }
            for policy in &relation.row_security.policies {
                let mut texts = policy.using.iter().chain(&policy.check);
                if texts.any(|text| text_names(text, known)) {
                    let described = format!("policy {} on table {name}", policy.name);
                    add(Part::Other, described, on);
                }
            }
        }
        RelationBody::View(view) => {
            let of_type = view.columns.iter().any(|(_, sql_type)| is(*sql_type));
            if of_type && view::named(&view.query)?.is_empty() || text_names(&view.query, known) {
                add(Part::View, format!("view {name}"), on);
            }
        }
        RelationBody::Index(index) => {
            let of_type = index.details.expressions.iter().any(|it| is(it.sql_type));
            if of_type || names(&mut Relation::clone(relation), known) {
                add(Part::Other, format!("index {name}"), on);
            }
        }
        RelationBody::Sequence(_) => {}
    }
    Ok(())
}

/// The views that read columns and views that go, and so on.
fn views_over(
    work: &mut Work<'_>,
    relations: &[Arc<Relation>],
    first: usize,
    found: &mut Vec<Dependent>,
) -> Result<(), Diagnostic> {
    let mut at = first;
    while at < found.len() {
        let on = found[at].described.clone();
        let gone = found[at].relation.clone();
        let column = match &found[at].part {
            Part::Column(column) => Some(column.clone()),
            Part::View => None,
            Part::Default(_) | Part::Constraint(_) | Part::Other => {
                at += 1;
                continue;
            }
        };
        at += 1;
        for relation in relations {
            let known =
                |it: &Dependent| it.relation.oid == relation.oid && matches!(it.part, Part::View);
            if found.iter().any(known) {
                continue;
            }
            let reads = match &column {
                Some(column) => view::reads_column(work, relation, gone.oid, column)?,
                None => view::reads(work, relation, gone.oid)?,
            };
            if reads {
                found.push(Dependent {
                    relation: relation.clone(),
                    part: Part::View,
                    described: format!("view {}", shown(relation, work.context)),
                    on: on.clone(),
                });
            }
        }
    }
    Ok(())
}
