//! Functions that return sets.
//!
//! In the select list they are lists that the planner unnests; in FROM a large generate_series is
//! a table that makes its rows as they are read (`table_function`).

use super::definition::{Argument, Call, Function, INT4, INT8, REGCLASS, TEXT};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::types::number::Number;
use crate::engine::types::number::array::{Numbers, is_exact};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, LargeBinaryBuilder, ListArray, ListBuilder, PrimitiveBuilder,
    StringBuilder,
};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, FieldRef, Int32Type, Int64Type, UInt32Type,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::{Arc, LazyLock};

/// The longest list that a set-returning function may make in a select list or beside LATERAL;
/// in FROM with constant bounds there is no bound.
pub const LIST_ROWS_MAX: usize = 1 << 22;

/// Whether a function of this name returns a set.
pub fn is(name: &str) -> bool {
    NAMES.contains(&name)
}

const NAMES: &[&str] = &[
    "generate_series",
    "generate_subscripts",
    "json_array_elements",
    "json_array_elements_text",
    "json_object_keys",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_object_keys",
    "pg_listening_channels",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
];

/// The functions, each giving the list of its rows.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Arc::new(ScalarUDF::new_from_impl(Series {
            signature: Signature::user_defined(Volatility::Stable),
        })),
        Function::immutable(
            "generate_series_int4",
            &[&[INT4, INT4], &[INT4, INT4, INT4]],
            SqlType::array_of(TypeKind::Int4),
            |call| series::<Int32Type>(call, |call, at, row| call.int4(at, row)),
        ),
        Function::immutable(
            "generate_series_int8",
            &[&[INT8, INT8], &[INT8, INT8, INT8]],
            SqlType::array_of(TypeKind::Int8),
            |call| series::<Int64Type>(call, |call, at, row| call.int8(at, row)),
        ),
        Function::immutable(
            "generate_series_numeric",
            &[
                &[Argument::Any, Argument::Any],
                &[Argument::Any, Argument::Any, Argument::Any],
            ],
            SqlType::array_of(TypeKind::Numeric),
            numbers,
        ),
        Function::immutable(
            "generate_subscripts",
            &[&[Argument::Any, INT4]],
            SqlType::array_of(TypeKind::Int4),
            subscripts,
        ),
        Function::stable(
            "pg_listening_channels",
            &[&[]],
            SqlType::array_of(TypeKind::Text),
            listening_channels,
        ),
        Function::stable(
            "pg_partition_ancestors",
            &[&[REGCLASS]],
            SqlType::array_of(TypeKind::Regclass),
            itself,
        ),
        Function::stable(
            "pg_partition_tree",
            &[&[REGCLASS]],
            SqlType::array_of(TypeKind::Regclass),
            itself,
        ),
        Function::immutable(
            "string_to_table",
            &[&[TEXT, TEXT], &[TEXT, TEXT, TEXT]],
            SqlType::array_of(TypeKind::Text),
            string_to_table,
        ),
    ]
}

/// generate_series(): of integers, of numerics, or of moments an interval apart.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    signature: Signature,
}

/// What a series is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Integers,
    Numbers,
    Timestamps,
    Zoned,
}

impl Series {
    fn of(arg_types: &[DataType]) -> Of {
        let is = |of: fn(&DataType) -> bool| arg_types.iter().any(of);
        if is(|one| matches!(one, DataType::Timestamp(_, Some(_)) | DataType::Date32)) {
            Of::Zoned
        } else if is(|one| matches!(one, DataType::Timestamp(_, None))) {
            Of::Timestamps
        } else if is(|one| matches!(one, DataType::Decimal128(..) | DataType::LargeBinary)) {
            Of::Numbers
        } else {
            Of::Integers
        }
    }

    fn function(of: Of) -> &'static Arc<ScalarUDF> {
        static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 4]> = LazyLock::new(|| {
            let all = functions().into_iter().chain(super::moments::functions());
            let all: Vec<_> = all.collect();
            let named = |name: &str| {
                let found = all.iter().find(|function| function.name() == name);
                found.cloned().expect("it is in the list")
            };
            [
                named("generate_series_int8"),
                named("generate_series_numeric"),
                named("generate_series_timestamp"),
                named("generate_series_timestamptz"),
            ]
        });
        &FUNCTIONS[of as usize]
    }
}

impl ScalarUDFImpl for Series {
    fn name(&self) -> &str {
        "generate_series"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let no_such = || super::aggregate::no_such("generate_series", arg_types);
        let of = Series::of(arg_types);
        if of == Of::Numbers && !arg_types.iter().all(is_exact) {
            return Err(no_such());
        }
        let coerced = Series::function(of).coerce_types(arg_types);
        coerced.map_err(|_| no_such())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Series::function(Series::of(arg_types)).return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        Series::function(Series::of(&types)).return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<_> = args.args.iter().map(ColumnarValue::data_type).collect();
        Series::function(Series::of(&types)).invoke_with_args(args)
    }
}

/// A series of numerics, each with the larger of the start's and the step's scales but the first.
fn numbers(call: &Call<'_>) -> Result<ArrayRef> {
    let args: Vec<_> = call.args.iter().map(Numbers::new).collect();
    let mut out = ListBuilder::new(LargeBinaryBuilder::new());
    let mut rows = 0;
    for row in 0..call.rows {
        let step = match args.get(2) {
            Some(steps) => steps.get(row),
            None => Some(Number::of_integer(1)),
        };
        if let (Some((start, stop)), Some(step)) = (args[0].get(row).zip(args[1].get(row)), step) {
            for (what, number) in [
                ("start value", &start),
                ("stop value", &stop),
                ("step size", &step),
            ] {
                demand_finite(what, number)?;
            }
            if step.is_zero() {
                return Err(no_step());
            }
            let mut value = start;
            while match step.is_negative() {
                true => value.compare(&stop).is_ge(),
                false => value.compare(&stop).is_le(),
            } {
                rows += 1;
                if rows > LIST_ROWS_MAX {
                    return Err(too_many_rows());
                }
                out.values().append_value(value.to_ordered());
                value = value.plus(&step).map_err(failure::external)?;
            }
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

fn demand_finite(what: &str, number: &Number) -> Result<()> {
    let kind = match number {
        Number::Finite(_) => return Ok(()),
        Number::NaN => "NaN",
        Number::Infinity(_) => "infinity",
    };
    Err(failure::error(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("{what} cannot be {kind}"),
    ))
}

fn no_step() -> DataFusionError {
    failure::error(
        SqlState::INVALID_PARAMETER_VALUE,
        "step size cannot equal zero",
    )
}

fn too_many_rows() -> DataFusionError {
    failure::error(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "set-returning function makes too many rows here",
    )
}

/// The values of a series, both ends included.
pub fn steps(start: i64, stop: i64, step: i64) -> Result<impl Iterator<Item = i64>> {
    if step == 0 {
        return Err(no_step());
    }
    let within = move |value: &i64| {
        if step > 0 {
            *value <= stop
        } else {
            *value >= stop
        }
    };
    Ok(std::iter::successors(Some(start), move |value| value.checked_add(step)).take_while(within))
}

fn series<T>(
    call: &Call<'_>,
    get: fn(&Call<'_>, usize, usize) -> Option<T::Native>,
) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64> + TryFrom<i64>,
{
    let mut out = ListBuilder::new(PrimitiveBuilder::<T>::new());
    let mut rows = 0;
    for row in 0..call.rows {
        let bounds = (get(call, 0, row), get(call, 1, row));
        let step = if call.args.len() == 3 {
            get(call, 2, row).map(Into::into)
        } else {
            Some(1)
        };
        if let ((Some(start), Some(stop)), Some(step)) = (bounds, step) {
            for value in steps(start.into(), stop.into(), step)? {
                rows += 1;
                if rows > LIST_ROWS_MAX {
                    return Err(too_many_rows());
                }
                out.values().append_option(T::Native::try_from(value).ok());
            }
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

fn subscripts(call: &Call<'_>) -> Result<ArrayRef> {
    let mut out = ListBuilder::new(PrimitiveBuilder::<Int32Type>::new());
    let lists = match call.args[0].data_type() {
        DataType::List(_) => Some(call.args[0].as_list::<i32>()),
        _ => None,
    };
    for row in 0..call.rows {
        if let Some(lists) = lists.filter(|lists: &&ListArray| lists.is_valid(row))
            && call.int4(1, row) == Some(1)
        {
            (1..=lists.value_length(row)).for_each(|index| out.values().append_value(index));
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

/// The channels of the session itself, as the last COMMIT left them.
fn listening_channels(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    let mut out = ListBuilder::new(StringBuilder::new());
    for _ in 0..call.rows {
        if let Some(objects) = &statement.context.objects {
            let channels = &objects.lock().channels;
            channels.iter().for_each(|it| out.values().append_value(it));
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

/// No table is partitioned: of each the list is empty, as PostgreSQL's is for an ordinary table.
fn itself(call: &Call<'_>) -> Result<ArrayRef> {
    let mut out = ListBuilder::new(PrimitiveBuilder::<UInt32Type>::new());
    (0..call.rows).for_each(|_| out.append(true));
    Ok(Arc::new(out.finish()))
}

/// The parts of a text; those that are the third argument are NULL.
fn string_to_table(call: &Call<'_>) -> Result<ArrayRef> {
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        let null = (call.args.len() > 2).then(|| call.text(2, row)).flatten();
        let mut push = |part: &str| match null {
            Some(null) if null == part => out.values().append_null(),
            _ => out.values().append_value(part),
        };
        match (call.text(0, row), call.text(1, row)) {
            (None | Some(""), _) => {}
            (Some(text), Some("")) => push(text),
            (Some(text), Some(separator)) => text.split(separator).for_each(push),
            (Some(text), None) => text
                .chars()
                .for_each(|letter| push(letter.encode_utf8(&mut [0; 4]))),
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_include_both_ends_and_stop_at_the_largest_integer() {
        let all = |start, stop, step| {
            steps(start, stop, step)
                .map(|values| values.collect::<Vec<_>>())
                .ok()
        };
        assert_eq!(all(1, 3, 1), Some(vec![1, 2, 3]));
        assert_eq!(all(3, 1, -2), Some(vec![3, 1]));
        assert_eq!(all(3, 1, 1), Some(vec![]));
        assert_eq!(all(i64::MAX - 1, i64::MAX, 1).map(|v| v.len()), Some(2));
        assert_eq!(all(1, 2, 0), None);
    }
}
