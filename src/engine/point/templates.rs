//! The point statements of simple-protocol texts that a core has compiled, by their template.

use super::statement::Statement;
use crate::catalog::DatabaseId;
use crate::catalog::definition::Definitions;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::dml::filler::input_of;
use crate::engine::settings::Settings;
use crate::engine::types;
use crate::sql::parse;
use crate::sql::template::{Class, Lifter, Literal};
use datafusion::common::ScalarValue;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Templates kept by one core; past it all are forgotten, which costs their compilation once more.
pub const TEMPLATES_MAX: usize = 4_096;

/// Texts known not to be point statements, so that they are not compiled each time.
pub const REFUSED_MAX: usize = 1_024;

/// One core's templates.
#[derive(Debug, Default)]
pub struct Templates {
    lifter: Lifter,
    known: HashMap<Box<[u8]>, Template>,
    refused: HashSet<Box<[u8]>>,
    refused_at: Option<Place>,
}

#[derive(Debug)]
struct Template {
    place: Place,
    statement: Arc<Statement>,
}

/// What a template was compiled against: names mean the same only while it is the same.
#[derive(Clone, Debug)]
struct Place {
    definitions: Definitions,
    database: DatabaseId,
    settings: Arc<Settings>,
}

impl Templates {
    /// The point statement that a text is, with its literals as parameters. None: it is none, or one
    /// of its literals is wrong; then the text goes the general way, which says what is wrong.
    ///
    /// Costs under a microsecond for a text whose template is known, about 100 µs otherwise. Rights
    /// are no part of a template: they are checked at each execution.
    pub fn find(
        &mut self,
        text: &str,
        context: &StatementContext,
    ) -> Option<(Arc<Statement>, Vec<ScalarValue>)> {
        if !self.lifter.lift(text) {
            return None;
        }
        let key = self.lifter.key();
        let known = self
            .known
            .get(key)
            .filter(|template| template.place.is(context));
        let statement = match known {
            Some(template) => template.statement.clone(),
            None => self.compile(context)?,
        };
        let values = self
            .lifter
            .literals()
            .iter()
            .zip(&statement.parameters)
            .map(|(literal, sql_type)| value_of(literal, text, *sql_type, context))
            .collect::<Result<Vec<_>, _>>()
            .ok()?;
        Some((statement, values))
    }

    /// How many templates are kept.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn compile(&mut self, context: &StatementContext) -> Option<Arc<Statement>> {
        let same_place = self
            .refused_at
            .as_ref()
            .is_some_and(|place| place.is(context));
        if !same_place {
            self.refused.clear();
            self.refused_at = Some(Place::of(context));
        }
        let key = self.lifter.key();
        if self.refused.contains(key) {
            return None;
        }
        let declared: Vec<Option<SqlType>> = self
            .lifter
            .literals()
            .iter()
            .map(|literal| declared_type(literal.class))
            .collect();
        let statement = parse::parse_one(self.lifter.template())
            .ok()
            .and_then(|tree| Statement::plan(&tree, &declared, context))
            .filter(|statement| statement.parameters.len() == declared.len());
        match statement {
            Some(statement) => {
                if self.known.len() >= TEMPLATES_MAX {
                    self.known.clear();
                }
                let statement = Arc::new(statement);
                let template = Template {
                    place: Place::of(context),
                    statement: statement.clone(),
                };
                self.known.insert(key.into(), template);
                Some(statement)
            }
            None => {
                if self.refused.len() >= REFUSED_MAX {
                    self.refused.clear();
                }
                self.refused.insert(key.into());
                None
            }
        }
    }
}

impl Place {
    fn of(context: &StatementContext) -> Place {
        Place {
            definitions: context.snapshot.definitions.clone(),
            database: context.identity.database,
            settings: context.settings.clone(),
        }
    }

    fn is(&self, context: &StatementContext) -> bool {
        self.database == context.identity.database
            && self.definitions.same(&context.snapshot.definitions)
            && (Arc::ptr_eq(&self.settings, &context.settings)
                || self.settings.reads_alike(&context.settings))
    }
}

fn declared_type(class: Class) -> Option<SqlType> {
    match class {
        Class::Int4 => Some(SqlType::scalar(TypeKind::Int4)),
        Class::Int8 => Some(SqlType::scalar(TypeKind::Int8)),
        Class::Numeric { precision, scale } => {
            Some(types::name::numeric_type(precision, scale as i8))
        }
        Class::Unknown => None,
    }
}

fn value_of(
    literal: &Literal,
    text: &str,
    sql_type: SqlType,
    context: &StatementContext,
) -> Result<ScalarValue, Diagnostic> {
    match literal.class {
        Class::Int4 => Ok(ScalarValue::Int32(i32::try_from(literal.integer).ok())),
        Class::Int8 => Ok(ScalarValue::Int64(Some(literal.integer))),
        Class::Numeric { .. } | Class::Unknown => {
            types::decode_text(&literal.value(text), sql_type, input_of(context))
        }
    }
}
