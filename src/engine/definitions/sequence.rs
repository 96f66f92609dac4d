//! CREATE SEQUENCE, and the sequences of serial and identity columns.

use super::name;
use super::work::{Claim, NewName, Work, missing, position_of};
use crate::catalog::Oid;
use crate::catalog::definition::{Relation, RelationBody, Sequence};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::target::steps_of;
use crate::engine::types;
use crate::sql::sequence::Extra;
use crate::storage::{SequenceState, Use};
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

/// The options of a sequence, each given once.
#[derive(Default)]
struct Given {
    sql_type: Option<SqlType>,
    increment: Option<i64>,
    /// Some(None) is NO MINVALUE.
    min: Option<Option<i64>>,
    max: Option<Option<i64>>,
    start: Option<i64>,
    cycle: Option<bool>,
    cache: Option<i64>,
    /// RESTART; Some(None) is at START.
    restart: Option<Option<i64>>,
}

/// # Errors
/// 42601 for the second of its kind.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Diagnostic> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            "conflicting or redundant options",
        )),
    }
}

impl Given {
    fn of(options: &[SequenceOptions]) -> Result<Given, Diagnostic> {
        let mut given = Given::default();
        for option in options {
            match Extra::of(option) {
                Some(Extra::Type(data_type)) => {
                    once(&mut given.sql_type, types::built_in(&data_type)?)?;
                    continue;
                }
                Some(Extra::Restart(value)) => {
                    let value = value.as_deref().map(integer).transpose()?;
                    once(&mut given.restart, value)?;
                    continue;
                }
                // An identity column's, which says where they belong.
                Some(Extra::Name(_) | Extra::Altered | Extra::Dropped { .. }) => continue,
                None => {}
            }
            match option {
                SequenceOptions::IncrementBy(value, _) => {
                    once(&mut given.increment, integer(value)?)?;
                }
                SequenceOptions::MinValue(value) => {
                    once(&mut given.min, value.as_ref().map(integer).transpose()?)?;
                }
                SequenceOptions::MaxValue(value) => {
                    once(&mut given.max, value.as_ref().map(integer).transpose()?)?;
                }
                SequenceOptions::StartWith(value, _) => {
                    once(&mut given.start, integer(value)?)?;
                }
                // Values are logged in steps of 32 whatever is asked for (REFERENCE §8).
                SequenceOptions::Cache(value) => {
                    let count = integer(value)?;
                    if count < 1 {
                        return Err(invalid(format!(
                            "CACHE ({count}) must be greater than zero"
                        )));
                    }
                    once(&mut given.cache, count)?;
                }
                // sqlparser's flag is of NO CYCLE.
                SequenceOptions::Cycle(no) => once(&mut given.cycle, !no)?,
            }
        }
        Ok(given)
    }
}

/// # Errors
/// 22023
fn demand_countable(sql_type: SqlType) -> Result<(), Diagnostic> {
    match sql_type.kind {
        TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8 if !sql_type.array => Ok(()),
        _ => Err(invalid(
            "sequence type must be smallint, integer, or bigint",
        )),
    }
}

impl SequencePlan {
    /// As another sequence counts, from its start.
    pub fn like(other: &Sequence) -> SequencePlan {
        SequencePlan {
            sql_type: other.sql_type,
            start: other.start,
            increment: other.increment,
            min: other.min,
            max: other.max,
            cycle: other.cycle,
        }
    }

    /// From its type and options.
    ///
    /// # Errors
    /// 22023 for values that do not fit together, 42601 for an option given twice.
    pub fn new(sql_type: SqlType, options: &[SequenceOptions]) -> Result<SequencePlan, Diagnostic> {
        demand_countable(sql_type)?;
        let given = Given::of(options)?;
        let increment = given.increment.unwrap_or(1);
        let (min, max) = bounds(sql_type, increment);
        let plan = SequencePlan {
            sql_type,
            increment,
            min: given.min.flatten().unwrap_or(min),
            max: given.max.flatten().unwrap_or(max),
            start: 0,
            cycle: given.cycle.unwrap_or(false),
        };
        plan.starting(given.start)
    }

    fn starting(mut self, start: Option<i64>) -> Result<SequencePlan, Diagnostic> {
        if self.increment == 0 {
            return Err(invalid("INCREMENT must not be zero"));
        }
        let (least, most) = limits(self.sql_type.kind);
        let type_name = types::format_type(self.sql_type);
        let (min, max) = (self.min, self.max);
        if max > most || max < least {
            let text =
                format!("MAXVALUE ({max}) is out of range for sequence data type {type_name}");
            return Err(invalid(text));
        }
        if min < least || min > most {
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
        within("START", self.start, min, max)?;
        Ok(self)
    }

    /// This sequence with other options.
    fn altered(sequence: &Sequence, given: &Given) -> Result<SequencePlan, Diagnostic> {
        let sql_type = given.sql_type.unwrap_or(sequence.sql_type);
        demand_countable(sql_type)?;
        let increment = given.increment.unwrap_or(sequence.increment);
        let (least, most) = limits(sequence.sql_type.kind);
        let (default_min, default_max) = bounds(sql_type, increment);
        // A bound that was the old type's is the new one's (PostgreSQL 15, ALTER SEQUENCE … AS).
        let retyped = given.sql_type.is_some();
        let min = match given.min {
            Some(min) => min.unwrap_or(default_min),
            None if retyped && sequence.min == least => default_min,
            None => sequence.min,
        };
        let max = match given.max {
            Some(max) => max.unwrap_or(default_max),
            None if retyped && sequence.max == most => default_max,
            None => sequence.max,
        };
        let plan = SequencePlan {
            sql_type,
            increment,
            min,
            max,
            start: 0,
            cycle: given.cycle.unwrap_or(sequence.cycle),
        };
        plan.starting(Some(given.start.unwrap_or(sequence.start)))
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

/// MINVALUE and MAXVALUE where none are given.
fn bounds(sql_type: SqlType, increment: i64) -> (i64, i64) {
    let (least, most) = limits(sql_type.kind);
    if increment < 0 {
        (least, -1)
    } else {
        (1, most)
    }
}

/// # Errors
/// 22023 in PostgreSQL's words.
fn within(what: &str, value: i64, min: i64, max: i64) -> Result<(), Diagnostic> {
    let (how, bound, limit) = if value < min {
        ("less", "MINVALUE", min)
    } else if value > max {
        ("greater", "MAXVALUE", max)
    } else {
        return Ok(());
    };
    Err(invalid(format!(
        "{what} value ({value}) cannot be {how} than {bound} ({limit})"
    )))
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
        Some(given) => types::built_in(given)?,
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

/// The options of ALTER SEQUENCE, of a sequence that is taken. It goes on from where it stands; with
/// RESTART it gets a counter of its own, so that a rollback finds the old one as it was.
///
/// # Errors
/// 22023 for values that do not fit together, with the one given out last too; 42601.
pub async fn alter(
    work: &mut Work<'_>,
    relation: &mut Relation,
    options: &[SequenceOptions],
) -> Result<(), Diagnostic> {
    let given = Given::of(options)?;
    let RelationBody::Sequence(sequence) = &mut relation.body else {
        return Err(Diagnostic::internal("a sequence that is none"));
    };
    let plan = SequencePlan::altered(sequence, &given)?;
    let stands = work
        .storage()
        .sequence_state(sequence.store, steps_of(sequence))?;
    let next = match given.restart {
        Some(value) => SequenceState {
            last_value: value.unwrap_or(plan.start),
            is_called: false,
        },
        None => stands,
    };
    within("RESTART", next.last_value, plan.min, plan.max)?;
    // A counter that has given nothing out stands at START unless it is told where.
    if next != stands || sequence.start != plan.start {
        let store = work.transaction.storage.create_relation()?;
        work.storage().sequence_set(store, next).await?;
        work.transaction.storage.drop_relation(sequence.store);
        sequence.store = store;
    }
    sequence.sql_type = plan.sql_type;
    sequence.start = plan.start;
    sequence.increment = plan.increment;
    sequence.min = plan.min;
    sequence.max = plan.max;
    sequence.cycle = plan.cycle;
    Ok(())
}

/// Has a sequence, which is taken, count in another type.
///
/// # Errors
/// 22023 for bounds that the type does not hold.
pub fn retype(relation: &mut Relation, sql_type: SqlType) -> Result<(), Diagnostic> {
    let RelationBody::Sequence(sequence) = &mut relation.body else {
        return Err(Diagnostic::internal("a sequence that is none"));
    };
    let given = Given {
        sql_type: Some(sql_type),
        ..Given::default()
    };
    let plan = SequencePlan::altered(sequence, &given)?;
    sequence.sql_type = plan.sql_type;
    sequence.min = plan.min;
    sequence.max = plan.max;
    Ok(())
}

/// ALTER SEQUENCE … OWNED BY, of a sequence that is taken.
///
/// # Errors
/// 55000 where owners differ; 0A000 for an identity column's; 42P01 and 42703.
pub async fn belong(
    work: &mut Work<'_>,
    relation: &mut Relation,
    column: &[ast::Ident],
) -> Result<(), Diagnostic> {
    let RelationBody::Sequence(sequence) = &mut relation.body else {
        return Err(Diagnostic::internal("a sequence that is none"));
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
    let parts = column.iter().cloned().map(ast::ObjectNamePart::Identifier);
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
