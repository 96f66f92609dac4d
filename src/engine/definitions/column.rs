//! A column definition of CREATE TABLE and ADD COLUMN.

use super::constraint::Spec;
use super::enumeration;
use super::name;
use super::sequence::SequencePlan;
use super::work::Work;
use crate::catalog::Oid;
use crate::catalog::definition::{Column, Identity, SYSTEM_COLUMNS};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::filler;
use crate::engine::dml::value;
use crate::engine::query::expression::Scope;
use crate::engine::types::{self, Input};
use sqlparser::ast::{self, ColumnOption};
use std::sync::Arc;

/// A column to be made, and what belongs to it.
pub struct ColumnPlan {
    /// The column, without a sequence yet.
    pub column: Column,
    /// DEFAULT, as parsed.
    pub default: Option<ast::Expr>,
    /// The sequence that a serial or identity column is to get.
    pub sequence: Option<SequencePlan>,
    /// Constraints that stand with the column.
    pub constraints: Vec<Spec>,
}

/// PostgreSQL's words for a column that has both.
const DEFAULT_AND_GENERATED: &str = "both default and generation expression specified";

/// serial and its like: the integer type that is meant.
fn serial_type(data_type: &ast::DataType) -> Option<SqlType> {
    let ast::DataType::Custom(name, modifiers) = data_type else {
        return None;
    };
    let [ast::ObjectNamePart::Identifier(word)] = &name.0[..] else {
        return None;
    };
    let kind = match word.value.to_ascii_lowercase().as_str() {
        "serial" | "serial4" => TypeKind::Int4,
        "bigserial" | "serial8" => TypeKind::Int8,
        "smallserial" | "serial2" => TypeKind::Int2,
        _ => return None,
    };
    modifiers.is_empty().then_some(SqlType::scalar(kind))
}

/// The type of a column, which every value of must fit.
///
/// # Errors
/// 42P16 for a pseudo-type.
pub fn column_type(
    data_type: &ast::DataType,
    column: &str,
    input: Input<'_>,
) -> Result<SqlType, Diagnostic> {
    let sql_type = types::from_ast(data_type, input)?;
    match sql_type.kind {
        TypeKind::Void | TypeKind::Unknown | TypeKind::Record => Err(Diagnostic::error(
            SqlState::INVALID_TABLE_DEFINITION,
            format!(
                "column \"{column}\" has pseudo-type {}",
                types::format_type(sql_type)
            ),
        )),
        _ => Ok(sql_type),
    }
}

impl ColumnPlan {
    /// From its definition, in a table of this name.
    ///
    /// # Errors
    /// 42601, 42701, 42704, 42P16, 42804; 0A000 for what is not there.
    pub fn new(
        definition: &ast::ColumnDef,
        table: &str,
        added_in: u32,
        input: Input<'_>,
    ) -> Result<ColumnPlan, Diagnostic> {
        let column_name = name::fold(&definition.name);
        if SYSTEM_COLUMNS.contains(&column_name.as_str()) {
            return Err(Diagnostic::error(
                SqlState::DUPLICATE_COLUMN,
                format!("column name \"{column_name}\" conflicts with a system column name"),
            ));
        }
        let serial = serial_type(&definition.data_type);
        let sql_type = match serial {
            Some(sql_type) => sql_type,
            None => column_type(&definition.data_type, &column_name, input)?,
        };
        let mut plan = ColumnPlan {
            column: Column {
                name: Arc::from(column_name),
                sql_type,
                not_null: serial.is_some(),
                default: None,
                generated: false,
                identity: None,
                sequence: None,
                added_in,
                missing: None,
                dropped: false,
            },
            default: None,
            sequence: None,
            constraints: Vec::new(),
        };
        if serial.is_some() {
            plan.sequence = Some(SequencePlan::new(sql_type, &[])?);
        }
        let mut null_given = false;
        for option in &definition.options {
            match &option.option {
                ColumnOption::Null => null_given = true,
                other => plan.apply(other, option.name.as_ref(), table)?,
            }
        }
        if null_given && plan.column.not_null {
            return Err(plan.conflict(table, "conflicting NULL/NOT NULL declarations"));
        }
        Ok(plan)
    }

    fn conflict(&self, table: &str, what: &str) -> Diagnostic {
        Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            format!(
                "{what} for column \"{}\" of table \"{table}\"",
                self.column.name
            ),
        )
    }

    fn apply(
        &mut self,
        option: &ColumnOption,
        constraint: Option<&ast::Ident>,
        table: &str,
    ) -> Result<(), Diagnostic> {
        let own = [self.column.name.to_string()];
        let named = constraint.map(name::fold);
        match option {
            ColumnOption::NotNull => self.column.not_null = true,
            ColumnOption::Default(expression) => {
                if self.column.generated {
                    return Err(self.conflict(table, DEFAULT_AND_GENERATED));
                }
                if self.default.is_some() || self.sequence.is_some() {
                    return Err(self.conflict(table, "multiple default values specified"));
                }
                self.default = Some(expression.clone());
            }
            ColumnOption::PrimaryKey(given) => {
                self.constraints
                    .push(Spec::primary_key(named, own.to_vec(), given)?);
            }
            ColumnOption::Unique(given) => {
                self.constraints
                    .push(Spec::unique(named, own.to_vec(), given)?);
            }
            ColumnOption::Check(given) => self.constraints.push(Spec::check(named, given)?),
            ColumnOption::ForeignKey(given) => {
                self.constraints
                    .push(Spec::foreign_key(named, own.to_vec(), given)?);
            }
            ColumnOption::Generated {
                generated_as,
                sequence_options,
                generation_expr: None,
                ..
            } => self.generated(*generated_as, sequence_options.as_deref(), table)?,
            ColumnOption::Generated {
                generated_as: ast::GeneratedAs::ExpStored,
                generation_expr: Some(expression),
                generated_keyword: true,
                ..
            } => {
                if self.column.identity.is_some() {
                    let what = "both identity and generation expression specified";
                    return Err(self.conflict(table, what));
                }
                if self.default.is_some() || self.sequence.is_some() {
                    let what = match self.column.generated {
                        true => "multiple generation clauses specified",
                        false => DEFAULT_AND_GENERATED,
                    };
                    return Err(self.conflict(table, what));
                }
                self.column.generated = true;
                self.default = Some(expression.clone());
            }
            ColumnOption::Generated { .. } => {
                return Err(Diagnostic::unsupported(
                    "a generated column that is not STORED",
                ));
            }
            ColumnOption::Collation(collation) => check_collation(collation)?,
            other => return Err(Diagnostic::unsupported(format!("column option {other}"))),
        }
        Ok(())
    }

    fn generated(
        &mut self,
        how: ast::GeneratedAs,
        options: Option<&[ast::SequenceOptions]>,
        table: &str,
    ) -> Result<(), Diagnostic> {
        let identity = match how {
            ast::GeneratedAs::Always => Identity::Always,
            ast::GeneratedAs::ByDefault => Identity::ByDefault,
            ast::GeneratedAs::ExpStored => {
                return Err(Diagnostic::internal("an identity with an expression"));
            }
        };
        if self.column.generated {
            let what = "both identity and generation expression specified";
            return Err(self.conflict(table, what));
        }
        if self.column.identity.is_some() {
            return Err(self.conflict(table, "multiple identity specifications"));
        }
        if self.default.is_some() || self.sequence.is_some() {
            return Err(self.conflict(table, "both default and identity specified"));
        }
        let kind = self.column.sql_type.kind;
        if !matches!(kind, TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8) {
            return Err(Diagnostic::error(
                SqlState::INVALID_PARAMETER_VALUE,
                "identity column type must be smallint, integer, or bigint",
            ));
        }
        self.column.identity = Some(identity);
        self.column.not_null = true;
        self.sequence = Some(SequencePlan::new(
            self.column.sql_type,
            options.unwrap_or_default(),
        )?);
        Ok(())
    }

    /// Checks DEFAULT against the column's type and keeps its text; what generates a column waits for
    /// the table's other columns ([`super::generated::settle`]).
    ///
    /// # Errors
    /// As [`default_text`].
    pub fn settle_default(&mut self, work: &Work<'_>) -> Result<(), Diagnostic> {
        if let Some(expression) = self.default.as_ref().filter(|_| !self.column.generated) {
            self.column.default = default_text(work, &self.column, expression)?;
        }
        Ok(())
    }
}

/// The canonical text of a DEFAULT; None for DEFAULT NULL.
///
/// # Errors
/// 42804 in PostgreSQL's words; what compiling the expression finds; 0A000 for a column in it.
pub fn default_text(
    work: &Work<'_>,
    column: &Column,
    expression: &ast::Expr,
) -> Result<Option<Arc<str>>, Diagnostic> {
    let mut text = expression.to_string();
    if text.eq_ignore_ascii_case("null") {
        return Ok(None);
    }
    if matches!(expression, ast::Expr::Value(_))
        && let Some(known) = enumeration::of_type(column.sql_type, work.input())
    {
        // As PostgreSQL shows it: what the literal is says its type.
        let brackets = if column.sql_type.array { "[]" } else { "" };
        text = format!("{text}::{}{brackets}", enumeration::stored(known));
    }
    if !is_nextval(expression) {
        let value = value::compile_asking_for_column(
            expression,
            &Scope::empty(),
            &mut Vec::new(),
            (&column.name, column.sql_type),
            work.input(),
        )
        .map_err(in_default)?
        .without_parameters()?;
        // What cannot be worked out for a row alone is found now.
        value.ready(work.context)?;
    }
    Ok(Some(Arc::from(text)))
}

/// An error in a DEFAULT, in the words PostgreSQL has for that place.
pub fn in_default(error: Diagnostic) -> Diagnostic {
    match error.sqlstate() {
        SqlState::UNDEFINED_COLUMN => Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot use column reference in DEFAULT expression",
        ),
        SqlState::DATATYPE_MISMATCH => {
            let message = error
                .message()
                .replace("but expression is", "but default expression is");
            Diagnostic::error(SqlState::DATATYPE_MISMATCH, message)
                .with_hint("You will need to rewrite or cast the expression.")
        }
        _ => error,
    }
}

/// A sequence's next value, which is looked up when a row is made.
pub fn is_nextval(expression: &ast::Expr) -> bool {
    match expression {
        ast::Expr::Function(function) => function
            .name
            .0
            .last()
            .and_then(|part| part.as_ident())
            .is_some_and(|name| name.value.eq_ignore_ascii_case("nextval")),
        ast::Expr::Nested(inner) => is_nextval(inner),
        ast::Expr::Cast { expr, .. } => is_nextval(expr),
        _ => false,
    }
}

/// The sequence whose next value a default is, and nothing else.
pub fn nextval_of(expression: &ast::Expr, work: &mut Work<'_>) -> Option<Oid> {
    let definitions = work.definitions();
    filler::nextval_of(expression, &definitions, work.context)
}

/// One collation is there, C (REFERENCE §8).
///
/// # Errors
/// 0A000 for any other.
pub fn check_collation(collation: &ast::ObjectName) -> Result<(), Diagnostic> {
    let last = collation.0.last().and_then(|part| part.as_ident());
    match last.map(|name| name.value.as_str()) {
        Some("C" | "POSIX" | "default" | "ucs_basic") => Ok(()),
        _ => Err(Diagnostic::unsupported(format!("collation {collation}"))),
    }
}
