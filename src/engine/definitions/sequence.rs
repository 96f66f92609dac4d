//! CREATE SEQUENCE, and the sequences of serial and identity columns.

use super::name;
use super::work::{Claim, NewName, Work, missing, position_of};
use crate::catalog::Oid;
use crate::catalog::definition::{Relation, RelationBody, Sequence};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::types;
use crate::storage::Use;
use sqlparser::ast::{self, SequenceOptions};

/// What a sequence is to count.
#[derive(Clone, Debug)]
pub struct SequencePlan {
    sql_type: SqlType,
    start: i64,
    increment: i64,
    min: i64,
    max: i64,
    cycle: bool,
}

fn invalid(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The values of the type.
fn limits(kind: TypeKind) -> (i64, i64) {
    match kind {
        TypeKind::Int2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        TypeKind::Int4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

impl SequencePlan {
    /// From its type and options.
    ///
    /// # Errors
    /// 22023 for values that do not fit together.
    pub fn new(sql_type: SqlType, options: &[SequenceOptions]) -> Result<SequencePlan, Diagnostic> {
        if !matches!(
            sql_type.kind,
            TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8
        ) {
            return Err(invalid(
                "sequence type must be smallint, integer, or bigint",
            ));
        }
        let (mut increment, mut min, mut max, mut start, mut cycle) = (1, None, None, None, false);
        for option in options {
            match option {
                SequenceOptions::IncrementBy(value, _) => increment = integer(value)?,
                SequenceOptions::MinValue(value) => {
                    min = value.as_ref().map(integer).transpose()?
                }
                SequenceOptions::MaxValue(value) => {
                    max = value.as_ref().map(integer).transpose()?
                }
                SequenceOptions::StartWith(value, _) => start = Some(integer(value)?),
                // Values are logged in steps of 32 whatever is asked for (REFERENCE §8).
                SequenceOptions::Cache(value) => {
                    if integer(value)? < 1 {
                        return Err(invalid(format!(
                            "CACHE ({value}) must be greater than zero"
                        )));
                    }
                }
                // sqlparser's flag is of NO CYCLE.
                SequenceOptions::Cycle(no) => cycle = !no,
            }
        }
        if increment == 0 {
            return Err(invalid("INCREMENT must not be zero"));
        }
        let (least, most) = limits(sql_type.kind);
        let (default_min, default_max) = if increment > 0 {
            (1, most)
        } else {
            (least, -1)
        };
        let plan = SequencePlan {
            sql_type,
            increment,
            min: min.unwrap_or(default_min),
            max: max.unwrap_or(default_max),
            start: 0,
            cycle,
        };
        plan.starting(start, least, most)
    }

    fn starting(
        mut self,
        start: Option<i64>,
        least: i64,
        most: i64,
    ) -> Result<SequencePlan, Diagnostic> {
        let type_name = types::format_type(self.sql_type);
        let (min, max) = (self.min, self.max);
        if max > most {
            let text =
                format!("MAXVALUE ({max}) is out of range for sequence data type {type_name}");
            return Err(invalid(text));
        }
        if min < least {
            let text =
                format!("MINVALUE ({min}) is out of range for sequence data type {type_name}");
            return Err(invalid(text));
        }
        if min >= max {
            return Err(invalid(format!(
                "MINVALUE ({min}) must be less than MAXVALUE ({max})"
            )));
        }
        self.start = start.unwrap_or(if self.increment > 0 { min } else { max });
        let start = self.start;
        if start < min {
            return Err(invalid(format!(
                "START value ({start}) cannot be less than MINVALUE ({min})"
            )));
        }
        if start > max {
            return Err(invalid(format!(
                "START value ({start}) cannot be greater than MAXVALUE ({max})"
            )));
        }
        Ok(self)
    }

    /// Makes the sequence of this (claimed) name; gives its OID.
    ///
    /// # Errors
    /// What storage gives.
    pub fn create(
        &self,
        work: &mut Work<'_>,
        name: NewName,
        owned_by: Option<(Oid, u16)>,
    ) -> Result<Oid, Diagnostic> {
        let oid = work.new_oid()?;
        let store = work.transaction.storage.create_relation()?;
        work.define(Relation {
            oid,
            database: work.database(),
            schema: name.schema.into(),
            name: name.name.into(),
            owner: work.context.owner_of_new(),
            grants: Vec::new(),
            comment: None,
            body: RelationBody::Sequence(Sequence {
                store,
                sql_type: self.sql_type,
                start: self.start,
                increment: self.increment,
                min: self.min,
                max: self.max,
                cycle: self.cycle,
                owned_by,
            }),
            row_security: Default::default(),
        })?;
        Ok(oid)
    }
}

/// An integer literal, with its sign.
fn integer(expression: &ast::Expr) -> Result<i64, Diagnostic> {
    expression
        .to_string()
        .replace(' ', "")
        .parse()
        .map_err(|_| invalid(format!("invalid value for a sequence: {expression}")))
}

/// The statement's own fields.
pub struct CreateSequence<'a> {
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// As given.
    pub name: &'a ast::ObjectName,
    /// AS
    pub data_type: Option<&'a ast::DataType>,
    /// The rest.
    pub options: &'a [SequenceOptions],
    /// OWNED BY
    pub owned_by: Option<&'a ast::ObjectName>,
}

/// CREATE SEQUENCE
///
/// # Errors
/// 42P07, 22023, 42501; 42P01 and 42703 for OWNED BY.
pub async fn create(work: &mut Work<'_>, statement: CreateSequence<'_>) -> Result<(), Diagnostic> {
    let new = work.new_name(statement.name)?;
    if let Claim::Taken(relation) = work.claim(&new).await? {
        return super::already_exists(work, &relation, statement.if_not_exists);
    }
    let sql_type = match statement.data_type {
        Some(given) => types::from_ast(given)?,
        None => SqlType::scalar(TypeKind::Int8),
    };
    let plan = SequencePlan::new(sql_type, statement.options)?;
    let owned_by = match statement.owned_by {
        Some(column) => owner_of(work, column).await?,
        None => None,
    };
    plan.create(work, new, owned_by)?;
    Ok(())
}

/// ALTER SEQUENCE … OWNED BY, of a sequence that is taken; for anything else in the option's place only
/// that it is a sequence.
///
/// # Errors
/// 42809; 55000 where owners differ; 0A000 for an identity column's; 42P01 and 42703.
pub async fn belong(
    work: &mut Work<'_>,
    relation: &mut Relation,
    column: &ast::Expr,
) -> Result<(), Diagnostic> {
    let name = relation.name.clone();
    let RelationBody::Sequence(sequence) = &mut relation.body else {
        return Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{name}\" is not a sequence"),
        ));
    };
    let ast::Expr::CompoundIdentifier(parts) = column else {
        return Ok(());
    };
    let definitions = work.definitions();
    let before = sequence.owned_by.and_then(|(table, column)| {
        let table = definitions.get(table)?.table()?;
        table.columns.get(usize::from(column))
    });
    if before.is_some_and(|column| column.identity.is_some()) {
        return Err(Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot change ownership of identity sequence",
        ));
    }
    let parts = parts.iter().cloned().map(ast::ObjectNamePart::Identifier);
    sequence.owned_by = owner_of(work, &ast::ObjectName(parts.collect())).await?;
    if let Some((table, _)) = sequence.owned_by
        && let Some(table) = definitions.get(table)
        && table.owner != relation.owner
    {
        return Err(Diagnostic::error(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            "sequence must have same owner as table it is linked to",
        ));
    }
    Ok(())
}

/// The column of OWNED BY; None for OWNED BY NONE.
async fn owner_of(
    work: &mut Work<'_>,
    column: &ast::ObjectName,
) -> Result<Option<(Oid, u16)>, Diagnostic> {
    let mut parts = column.0.clone();
    let last = parts.pop();
    let table = ast::ObjectName(parts);
    let last = ast::ObjectName(last.into_iter().collect());
    let (_, column_name) = name::parts(&last)?;
    if table.0.is_empty() {
        return match column_name.as_str() {
            "none" => Ok(None),
            _ => Err(
                Diagnostic::error(SqlState::SYNTAX_ERROR, "invalid OWNED BY option")
                    .with_hint("Specify OWNED BY table.column or OWNED BY NONE."),
            ),
        };
    }
    let found = work
        .find(&table)?
        .ok_or_else(|| missing("relation", &table))?;
    let relation = work
        .take(found.oid, Use::Shared)
        .await?
        .ok_or_else(|| missing("relation", &table))?;
    work.context.rights.may_own(&relation)?;
    let position = relation
        .table()
        .and_then(|table| position_of(table, &column_name))
        .ok_or_else(|| {
            Diagnostic::error(
                SqlState::UNDEFINED_COLUMN,
                format!(
                    "column \"{column_name}\" of relation \"{}\" does not exist",
                    relation.name
                ),
            )
        })?;
    Ok(Some((relation.oid, position)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: i64) -> ast::Expr {
        ast::Expr::value(ast::Value::Number(value.to_string(), false))
    }

    #[test]
    fn a_sequence_counts_within_its_type() {
        let int2 = SqlType::scalar(TypeKind::Int2);
        let plan = SequencePlan::new(int2, &[]).unwrap();
        assert_eq!((plan.start, plan.min, plan.max), (1, 1, 32_767));
        let down = [SequenceOptions::IncrementBy(number(-1), true)];
        let plan = SequencePlan::new(int2, &down).unwrap();
        assert_eq!((plan.start, plan.min, plan.max), (-1, -32_768, -1));
        for (options, message) in [
            (
                vec![SequenceOptions::IncrementBy(number(0), true)],
                "INCREMENT must not be zero",
            ),
            (
                vec![SequenceOptions::MaxValue(Some(number(40_000)))],
                "MAXVALUE (40000) is out of range for sequence data type smallint",
            ),
            (
                vec![SequenceOptions::StartWith(number(0), true)],
                "START value (0) cannot be less than MINVALUE (1)",
            ),
            (
                vec![
                    SequenceOptions::MinValue(Some(number(5))),
                    SequenceOptions::MaxValue(Some(number(5))),
                ],
                "MINVALUE (5) must be less than MAXVALUE (5)",
            ),
        ] {
            assert_eq!(
                SequencePlan::new(int2, &options).unwrap_err().message(),
                message
            );
        }
    }
}
