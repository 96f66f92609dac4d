//! The point statements of simple-protocol texts that a core has compiled, by their template.

use super::statement::Statement;
use crate::catalog::DatabaseId;
use crate::catalog::definition::Definitions;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::dml::filler::input_of;
use crate::engine::search_path::Standpoint;
use crate::engine::types;
use crate::sql::parse;
use crate::sql::template::{Class, Lifter, Literal};
use datafusion::common::ScalarValue;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Templates kept by one core; past it all are forgotten, which costs their compilation once more.
pub const TEMPLATES_MAX: usize = 4_096;

/// Places that one template is kept for: databases, and search_paths of one schema each. The one kept first
/// goes.
pub const PLACES_MAX: usize = 8;

/// Texts known not to be point statements, so that they are not compiled each time.
pub const REFUSED_MAX: usize = 1_024;

/// One core's templates.
#[derive(Debug, Default)]
pub struct Templates {
    lifter: Lifter,
    known: HashMap<Box<[u8]>, Vec<Template>>,
    refused: HashSet<Box<[u8]>>,
    refused_at: Option<Place>,
}

/// What a text is, as far as a core knows.
pub enum Found {
    /// This point statement, with these values.
    Statement(Arc<Statement>, Vec<ScalarValue>),
    /// Its template has yet to be compiled, elsewhere, and then to be kept.
    Unknown(Box<Compilation>),
    /// No point statement, or one of its literals is wrong: the text goes the general way, which
    /// says what is wrong.
    No,
}

/// A template to be compiled, on whichever thread.
pub struct Compilation {
    key: Box<[u8]>,
    template: String,
    declared: Vec<Option<SqlType>>,
    context: StatementContext,
}

/// What a template was compiled to.
pub struct Compiled {
    key: Box<[u8]>,
    context: StatementContext,
    /// None: it is no point statement.
    statement: Option<Arc<Statement>>,
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
    standpoint: Standpoint,
}

impl Templates {
    /// The point statement that a text is, with its literals as parameters.
    ///
    /// Costs under a microsecond for a text whose template is known. Rights are no part of a
    /// template: they are checked at each execution.
    pub fn find(&mut self, text: &str, context: &StatementContext) -> Found {
        if !self.lifter.lift(text) {
            return Found::No;
        }
        let key = self.lifter.key();
        let known = self
            .known
            .get(key)
            .and_then(|places| places.iter().find(|known| known.place.is(context)));
        let Some(template) = known else {
            return self.unknown(context);
        };
        let statement = template.statement.clone();
        let values = self
            .lifter
            .literals()
            .iter()
            .zip(&statement.parameters)
            .map(|(literal, sql_type)| value_of(literal, text, *sql_type, context))
            .collect::<Result<Vec<_>, _>>();
        match values {
            Ok(values) => Found::Statement(statement, values),
            Err(_) => Found::No,
        }
    }

    fn unknown(&mut self, context: &StatementContext) -> Found {
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
            return Found::No;
        }
        let literals = self.lifter.literals().iter();
        Found::Unknown(Box::new(Compilation {
            key: key.into(),
            template: self.lifter.template().to_owned(),
            declared: literals
                .map(|literal| declared_type(literal.class))
                .collect(),
            context: context.clone(),
        }))
    }

    /// Keeps what a compilation has come to, for the texts of its template.
    pub fn keep(&mut self, compiled: Compiled) {
        let Compiled {
            key,
            context,
            statement,
        } = compiled;
        let place = Place::of(&context);
        match statement {
            Some(statement) => {
                if self.known.len() >= TEMPLATES_MAX {
                    self.known.clear();
                }
                let places = self.known.entry(key).or_default();
                // Of what has been defined anew nobody asks any more.
                places.retain(|known| {
                    known.place.definitions.same(&place.definitions) && !known.place.is(&context)
                });
                if places.len() == PLACES_MAX {
                    places.remove(0);
                }
                places.push(Template { place, statement });
            }
            None => {
                let same_place = self.refused_at.as_ref().is_some_and(|at| at.is(&context));
                if !same_place || self.refused.len() >= REFUSED_MAX {
                    self.refused.clear();
                    self.refused_at = Some(place);
                }
                self.refused.insert(key);
            }
        }
    }

    /// As [`Templates::find`]; compiles on the calling thread what is not known.
    pub fn find_or_compile(
        &mut self,
        text: &str,
        context: &StatementContext,
    ) -> Option<(Arc<Statement>, Vec<ScalarValue>)> {
        let found = match self.find(text, context) {
            Found::Unknown(compilation) => {
                self.keep(compilation.compile());
                self.find(text, context)
            }
            found => found,
        };
        match found {
            Found::Statement(statement, values) => Some((statement, values)),
            Found::Unknown(_) | Found::No => None,
        }
    }

    /// How many templates are kept.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

impl Compilation {
    /// Parses and plans the template: some 100 µs, so not on a session core (DESIGN §2).
    pub fn compile(self) -> Compiled {
        let statement = parse::parse_one(&self.template)
            .ok()
            .and_then(|tree| Statement::plan(&tree, &self.declared, &self.context))
            .filter(|statement| statement.parameters.len() == self.declared.len());
        Compiled {
            key: self.key,
            context: self.context,
            statement: statement.map(Arc::new),
        }
    }
}

impl Place {
    fn of(context: &StatementContext) -> Place {
        Place {
            definitions: context.snapshot.definitions.clone(),
            database: context.identity.database,
            standpoint: Standpoint::of(context),
        }
    }

    fn is(&self, context: &StatementContext) -> bool {
        self.database == context.identity.database
            && self.definitions.same(&context.snapshot.definitions)
            && self.standpoint.is(context)
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
