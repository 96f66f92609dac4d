//! percentile_cont(), percentile_disc() and mode(): of the values of a group in their order, which are an
//! array here (`rewrite::ordered_sets`).
//!
//! Source: PostgreSQL 15, §9.21 "Ordered-Set Aggregate Functions", and `orderedsetaggs.c`.

use super::array::list;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::query::operators::datetime;
use crate::engine::query::{cast, failure};
use crate::engine::types;
use crate::engine::types::number::array::{Numbers, is_exact};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, IntervalMonthDayNanoArray, ListArray, UInt32Array,
    new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{self, take};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

/// The functions over the array of a group, by the names of the aggregates; nobody can write theirs.
pub const OF_ARRAYS: [(&str, &str); 3] = [
    ("percentile_cont", "\u{1}percentile_cont"),
    ("percentile_disc", "\u{1}percentile_disc"),
    ("mode", "\u{1}mode"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Continuous,
    Discrete,
    Mode,
}

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let kinds = [Kind::Continuous, Kind::Discrete, Kind::Mode];
    let named = OF_ARRAYS.iter().zip(kinds);
    named
        .map(|((aggregate, name), kind)| {
            Arc::new(ScalarUDF::new_from_impl(OrderedSet {
                aggregate,
                name,
                kind,
                signature: Signature::user_defined(Volatility::Immutable),
            }))
        })
        .collect()
}

/// Whether it is one of these.
pub fn is(function: &ScalarUDF) -> bool {
    let inner: &dyn std::any::Any = function.inner().as_ref();
    inner.is::<OrderedSet>()
}

/// The call with its fractions as float8.
///
/// # Errors
/// What a quoted literal's value gives.
pub fn of_floats(
    mut call: ScalarFunction,
    schema: &DFSchema,
    input: types::Input<'_>,
) -> Result<Expr> {
    if let Some(fractions) = call.args.get_mut(1) {
        let from = cast::type_of(fractions, schema)?;
        let to = SqlType {
            array: from.array,
            ..SqlType::scalar(TypeKind::Float8)
        };
        let number = matches!(
            from.kind,
            TypeKind::Unknown
                | TypeKind::Int2
                | TypeKind::Int4
                | TypeKind::Int8
                | TypeKind::Numeric
        );
        if number {
            *fractions = cast::explicit(std::mem::take(fractions), from, to, input)?;
        }
    }
    Ok(Expr::ScalarFunction(call))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OrderedSet {
    aggregate: &'static str,
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

impl OrderedSet {
    /// 42883, of the types that the aggregate was given.
    fn none(&self, arg_types: &[DataType]) -> DataFusionError {
        let of = |data_type: &DataType| match data_type {
            DataType::List(element) => element.data_type().clone(),
            other => other.clone(),
        };
        let (values, fractions) = arg_types.split_at(1);
        let given = fractions.iter().cloned().chain(values.iter().map(of));
        let given: Vec<_> = given.collect();
        super::aggregate::no_such(self.aggregate, &given)
    }

    /// The values of a group that are there.
    fn values(&self, lists: &ListArray, row: usize) -> Result<Option<ArrayRef>> {
        if lists.is_null(row) {
            return Ok(None);
        }
        let values = lists.value(row);
        let present: UInt32Array = (0..values.len())
            .filter(|at| values.is_valid(*at))
            .map(|at| at as u32)
            .collect();
        Ok(match present.is_empty() {
            true => None,
            false => Some(take(&values, &present, None)?),
        })
    }

    fn modes(&self, lists: &ListArray, of: &DataType) -> Result<ArrayRef> {
        let mut found = Vec::with_capacity(lists.len());
        for row in 0..lists.len() {
            found.push(match self.values(lists, row)? {
                Some(values) => Some(values.slice(most_frequent(&values)?, 1)),
                None => None,
            });
        }
        joined(found, of)
    }

    /// The value at each fraction of a group.
    fn at(&self, values: &ArrayRef, fractions: &Float64Array) -> Result<ArrayRef> {
        for fraction in fractions.iter().flatten() {
            if !(0.0..=1.0).contains(&fraction) {
                return Err(failure::error(
                    SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                    format!("percentile value {fraction} is not between 0 and 1"),
                ));
            }
        }
        let last = values.len() - 1;
        match self.kind {
            Kind::Continuous => interpolated(values, fractions),
            _ => {
                let place = |fraction: f64| {
                    let row = (fraction * values.len() as f64).ceil() as usize;
                    row.saturating_sub(1).min(last) as u32
                };
                let places: UInt32Array = fractions
                    .iter()
                    .map(|fraction| fraction.map(place))
                    .collect();
                Ok(take(values, &places, None)?)
            }
        }
    }

    fn percentiles(
        &self,
        lists: &ListArray,
        fractions: &ArrayRef,
        of: &DataType,
    ) -> Result<ArrayRef> {
        let DataType::List(element) = of else {
            let fractions = fractions.as_primitive::<Float64Type>();
            let mut found = Vec::with_capacity(lists.len());
            for row in 0..lists.len() {
                found.push(match self.values(lists, row)? {
                    Some(values) => Some(self.at(&values, &fractions.slice(row, 1))?),
                    None => None,
                });
            }
            return joined(found, of);
        };
        let fractions = fractions.as_list::<i32>();
        let mut found = Vec::with_capacity(lists.len());
        for row in 0..lists.len() {
            let values = self.values(lists, row)?;
            found.push(match values.filter(|_| fractions.is_valid(row)) {
                Some(values) => {
                    let fractions = fractions.value(row);
                    Some(self.at(&values, fractions.as_primitive::<Float64Type>())?)
                }
                None => None,
            });
        }
        let lengths = found
            .iter()
            .map(|one| one.as_ref().map_or(0, |one| one.len()));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let nulls: NullBuffer = found.iter().map(Option::is_some).collect();
        let parts: Vec<&dyn Array> = found.iter().flatten().map(|one| one.as_ref()).collect();
        let values = match parts.is_empty() {
            true => new_null_array(element.data_type(), 0),
            false => compute::concat(&parts)?,
        };
        let lists = ListArray::try_new(element.clone(), offsets, values, Some(nulls))?;
        Ok(Arc::new(lists))
    }
}

impl ScalarUDFImpl for OrderedSet {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let fraction = |data_type: &DataType| match data_type {
            // `semantics` has made a float8 of it, or will.
            DataType::LargeBinary => Ok(data_type.clone()),
            DataType::List(element) if is_exact(element.data_type()) => Ok(data_type.clone()),
            other if other.is_numeric() || other.is_null() => Ok(DataType::Float64),
            DataType::List(element) if element.data_type().is_numeric() => Ok(DataType::List(
                Arc::new(Field::new_list_field(DataType::Float64, true)),
            )),
            _ => Err(self.none(arg_types)),
        };
        match (self.kind, arg_types) {
            (Kind::Mode, [values]) => Ok(vec![values.clone()]),
            (Kind::Continuous | Kind::Discrete, [values, of]) => {
                Ok(vec![values.clone(), fraction(of)?])
            }
            _ => Err(self.none(arg_types)),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal(
            "it is of its arguments' fields".to_owned(),
        ))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let values = &args.arg_fields[0];
        let types: Vec<_> = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let element = match values.data_type() {
            DataType::List(element) => element.data_type().clone(),
            DataType::Null => DataType::Null,
            _ => return Err(self.none(&types)),
        };
        let many = matches!(types.get(1), Some(DataType::List(_)));
        let result = match (self.kind, &element) {
            (Kind::Continuous, DataType::Interval(_)) => SqlType::scalar(TypeKind::Interval),
            (Kind::Continuous, found) if is_exact(found) || found.is_numeric() => {
                SqlType::scalar(TypeKind::Float8)
            }
            (Kind::Continuous, _) => return Err(self.none(&types)),
            _ => {
                let array = super::label::type_of(values)?;
                let of_element = cast::field(
                    self.aggregate,
                    SqlType {
                        array: false,
                        ..array
                    },
                );
                let data_type = match many {
                    true => DataType::List(Arc::new(Field::new_list_field(element, true))),
                    false => element,
                };
                return Ok(Arc::new(match many {
                    true => values.as_ref().clone().with_data_type(data_type),
                    false => of_element.with_data_type(data_type),
                }));
            }
        };
        Ok(Arc::new(cast::field(
            self.aggregate,
            SqlType {
                array: many,
                ..result
            },
        )))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let of = args.return_field.data_type();
        let values = args.args[0].to_array(rows)?;
        let Some(lists) = list(&values)? else {
            return Ok(ColumnarValue::Array(new_null_array(of, rows)));
        };
        let found = match args.args.get(1) {
            None => self.modes(lists, of)?,
            Some(fractions) => self.percentiles(lists, &fractions.to_array(rows)?, of)?,
        };
        Ok(ColumnarValue::Array(found))
    }
}

/// One value of each row, NULL where there is none.
fn joined(found: Vec<Option<ArrayRef>>, of: &DataType) -> Result<ArrayRef> {
    let none = new_null_array(of, 1);
    let parts: Vec<&dyn Array> = found
        .iter()
        .map(|one| one.as_ref().unwrap_or(&none).as_ref())
        .collect();
    Ok(match parts.is_empty() {
        true => new_null_array(of, 0),
        false => compute::concat(&parts)?,
    })
}

/// The place of the value that comes most often; of several that do, the first.
fn most_frequent(values: &ArrayRef) -> Result<usize> {
    // Equal numbers may be of different scales.
    let keys: ArrayRef = match is_exact(values.data_type()) {
        true => Arc::new(Numbers::new(values).keys()),
        false => values.clone(),
    };
    let field = SortField::new(keys.data_type().clone());
    let rows = RowConverter::new(vec![field])?.convert_columns(&[keys])?;
    let (mut best, mut most) = (0, 0);
    let mut start = 0;
    for at in 1..=values.len() {
        if at == values.len() || rows.row(at) != rows.row(start) {
            if at - start > most {
                (best, most) = (start, at - start);
            }
            start = at;
        }
    }
    Ok(best)
}

/// Between the two values that stand around each fraction.
fn interpolated(values: &ArrayRef, fractions: &Float64Array) -> Result<ArrayRef> {
    let last = (values.len() - 1) as f64;
    let around = |fraction: f64| {
        let (first, second) = ((fraction * last).floor(), (fraction * last).ceil());
        (first as usize, second as usize, fraction * last - first)
    };
    if let DataType::Interval(_) = values.data_type() {
        let values = values.as_primitive::<IntervalMonthDayNanoType>();
        let mut out = Vec::with_capacity(fractions.len());
        for fraction in fractions {
            out.push(match fraction.map(around) {
                None => None,
                Some((first, second, part)) => {
                    Some(between(values.value(first), values.value(second), part)?)
                }
            });
        }
        return Ok(Arc::new(IntervalMonthDayNanoArray::from(out)));
    }
    let float8 = SqlType::scalar(TypeKind::Float8);
    let floats: ArrayRef = match values.data_type() {
        DataType::Decimal128(..) | DataType::LargeBinary => {
            let settings = crate::engine::settings::Settings::default();
            let input = types::Input {
                settings: &settings,
                transaction_time: 0,
                variables: None,
                types: None,
            };
            let from = types::name::ANY_NUMERIC;
            types::assign_array(values, from, float8, input).map_err(failure::external)?
        }
        _ => compute::cast(values, &DataType::Float64)?,
    };
    let floats = floats.as_primitive::<Float64Type>();
    let found: Float64Array = fractions
        .iter()
        .map(|fraction| {
            let (first, second, part) = around(fraction?);
            let (low, high) = (floats.value(first), floats.value(second));
            Some(match first == second {
                true => low,
                false => low + part * (high - low),
            })
        })
        .collect();
    Ok(Arc::new(found))
}

/// `low + (high - low) * part`
fn between(
    low: IntervalMonthDayNano,
    high: IntervalMonthDayNano,
    part: f64,
) -> Result<IntervalMonthDayNano> {
    let difference = datetime::interval_plus(high, datetime::negate_if(low, true)?)?;
    datetime::interval_plus(low, datetime::interval_times(difference, part)?)
}
