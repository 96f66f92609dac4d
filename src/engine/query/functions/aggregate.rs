//! Aggregates with PostgreSQL's types and errors: sum, avg, and single_value of scalar subqueries.

use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::failure;
use crate::engine::query::functions::group_totals::{GroupTotals, Wanted, exact_sum_type};
use crate::engine::query::functions::interval_total::Intervals;
use crate::engine::query::functions::number_sum::NumberSum;
use crate::engine::query::operators::decimal;
use crate::engine::query::rewrite::subqueries::SINGLE_VALUE;
use crate::engine::types::number::Number;
use crate::engine::types::number::array::Numbers;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, UInt64Type,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};
use std::sync::Arc;

/// The aggregates.
pub fn functions() -> Vec<Arc<AggregateUDF>> {
    let of = |of| {
        Arc::new(AggregateUDF::new_from_impl(Total {
            of,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    };
    vec![
        of(Of::Sum),
        of(Of::Average),
        Arc::new(AggregateUDF::new_from_impl(SingleValue {
            signature: Signature::any(1, Volatility::Immutable),
        })),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Of {
    Sum,
    Average,
}

/// sum and avg.
///
/// | of | sum | avg |
/// |---|---|---|
/// | int2, int4 | int8 | numeric |
/// | int8, numeric | numeric | numeric |
/// | interval | interval | interval |
/// | float4 | float4 | float8 |
/// | float8 | float8 | float8 |
#[derive(Debug, PartialEq, Eq, Hash)]
struct Total {
    of: Of,
    signature: Signature,
}

impl AggregateUDFImpl for Total {
    fn name(&self) -> &str {
        match self.of {
            Of::Sum => "sum",
            Of::Average => "avg",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [argument] = arg_types else {
            return Err(no_such(self.name(), arg_types));
        };
        // Coercion must leave its own results as they are: it is asked again later.
        Ok(vec![match argument {
            DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Decimal128(..)
            | DataType::LargeBinary
            | DataType::Interval(_)
            | DataType::Float32
            | DataType::Float64 => argument.clone(),
            // `semantics` says of an enumeration that it has none, and what it is called.
            DataType::BinaryView => argument.clone(),
            DataType::Int8 => DataType::Int16,
            DataType::UInt32 | DataType::UInt64 | DataType::Null => DataType::Int64,
            _ => return Err(no_such(self.name(), arg_types)),
        }])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match (self.of, &arg_types[0]) {
            (Of::Sum, DataType::Int16 | DataType::Int32) => DataType::Int64,
            (Of::Sum, DataType::Int64 | DataType::Decimal128(..)) => DataType::LargeBinary,
            (_, DataType::Interval(_)) => arg_types[0].clone(),
            (Of::Sum, other) => other.clone(),
            (Of::Average, DataType::Float64 | DataType::Float32) => DataType::Float64,
            (Of::Average, _) => DataType::LargeBinary,
        })
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if let DataType::Interval(_) = args.expr_fields[0].data_type() {
            if args.is_distinct {
                return Err(failure::unsupported(format!(
                    "{}(DISTINCT …) of interval",
                    self.name()
                )));
            }
            return Ok(Box::new(Intervals::new(self.of == Of::Average)));
        }
        if args.is_distinct {
            return Ok(Box::new(DistinctTotals {
                inner: Totals::new(self.of, args.expr_fields[0].data_type(), args.return_type()),
                seen: Default::default(),
            }));
        }
        Ok(Box::new(Totals::new(
            self.of,
            args.expr_fields[0].data_type(),
            args.return_type(),
        )))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct && exact_sum_type(args.expr_fields[0].data_type()).is_some()
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let input = args.expr_fields[0].data_type();
        let state = exact_sum_type(input).ok_or_else(|| {
            failure::external(Diagnostic::internal(format!("sums of {input} by groups")))
        })?;
        let wanted = match self.of {
            Of::Sum => Wanted::Sum,
            Of::Average => Wanted::Average,
        };
        let result = args.return_type().clone();
        Ok(Box::new(GroupTotals::new(wanted, state, result)))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if args.is_distinct {
            let element = Field::new_list_field(args.input_fields[0].data_type().clone(), true);
            return Ok(vec![Arc::new(Field::new_list("seen", element, true))]);
        }
        let sum = sum_type(args.input_fields[0].data_type());
        Ok(vec![
            Arc::new(Field::new("sum", sum, true)),
            Arc::new(Field::new("count", DataType::UInt64, false)),
        ])
    }
}

/// 42883 of an aggregate.
pub(super) fn no_such(name: &str, arg_types: &[DataType]) -> DataFusionError {
    let given: Vec<_> = arg_types
        .iter()
        .filter_map(|data_type| crate::engine::types::arrow::from_data_type(data_type).ok())
        .collect();
    failure::external(failure::no_function(name, &given))
}

/// What a sum under way is kept as, for whoever adds the sums of parts.
fn sum_type(input: &DataType) -> DataType {
    if let Some(exact) = exact_sum_type(input) {
        return exact;
    }
    match input {
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Interval(_) => Intervals::STATE,
        _ => DataType::LargeBinary,
    }
}

/// A running sum; integers and decimals in 128 bits, and what they have no room for as numbers.
#[derive(Debug)]
struct Totals {
    of: Of,
    input: DataType,
    result: DataType,
    /// In units of the input's scale.
    exact: i128,
    numbers: NumberSum,
    float: f64,
    count: u64,
}

impl Totals {
    fn new(of: Of, input: &DataType, result: &DataType) -> Totals {
        Totals {
            of,
            input: input.clone(),
            result: result.clone(),
            exact: 0,
            numbers: NumberSum::default(),
            float: 0.0,
            count: 0,
        }
    }

    fn apply(&mut self, values: &ArrayRef, sign: i128) -> Result<()> {
        let present = (values.len() - values.null_count()) as u64;
        let mut exact = 0i128;
        match values.data_type() {
            DataType::Int16 => {
                for value in values.as_primitive::<Int16Type>().iter().flatten() {
                    exact += i128::from(value);
                }
            }
            DataType::Int32 => {
                for value in values.as_primitive::<Int32Type>().iter().flatten() {
                    exact += i128::from(value);
                }
            }
            DataType::Int64 => {
                for value in values.as_primitive::<Int64Type>().iter().flatten() {
                    exact += i128::from(value);
                }
            }
            DataType::Decimal128(..) => {
                for value in values.as_primitive::<Decimal128Type>().iter().flatten() {
                    match exact.checked_add(value) {
                        Some(sum) => exact = sum,
                        None => {
                            self.carry(exact * sign)?;
                            exact = value;
                        }
                    }
                }
            }
            DataType::Float32 => {
                for value in values.as_primitive::<Float32Type>().iter().flatten() {
                    self.float += f64::from(value) * sign as f64;
                }
            }
            DataType::Float64 => {
                for value in values.as_primitive::<Float64Type>().iter().flatten() {
                    self.float += value * sign as f64;
                }
            }
            _ => {
                let numbers = Numbers::new(values);
                for row in 0..values.len() {
                    if let Some(number) = numbers.get(row) {
                        self.numbers.add(number, sign > 0)?;
                    }
                }
            }
        }
        match self.exact.checked_add(exact * sign) {
            Some(sum) => self.exact = sum,
            None => {
                self.carry(exact * sign)?;
            }
        }
        self.count = if sign > 0 {
            self.count + present
        } else {
            self.count - present
        };
        Ok(())
    }

    fn carry(&mut self, exact: i128) -> Result<()> {
        let number = Number::of_decimal(exact, decimal::scale(&self.input));
        self.numbers.add(number, true)
    }

    fn total(&self) -> Result<Number> {
        let mut numbers = self.numbers.clone();
        // Of numbers alone nothing is left to add, nor its scale.
        if self.input != DataType::LargeBinary {
            numbers.add(
                Number::of_decimal(self.exact, decimal::scale(&self.input)),
                true,
            )?;
        }
        Ok(numbers.value())
    }

    fn average(&self) -> Result<ScalarValue> {
        if self.result == DataType::Float64 {
            return Ok(ScalarValue::Float64(Some(self.float / self.count as f64)));
        }
        let count = Number::of_integer(i128::from(self.count));
        let value = self.total()?.over(&count).map_err(failure::external)?;
        Ok(value.to_scalar())
    }

    fn sum(&self) -> Result<ScalarValue> {
        Ok(match &self.result {
            DataType::Float32 => ScalarValue::Float32(Some(self.float as f32)),
            DataType::Float64 => ScalarValue::Float64(Some(self.float)),
            DataType::LargeBinary => self.total()?.to_scalar(),
            _ => {
                let sum = self.total()?.to_integer();
                let sum = sum.and_then(|sum| i64::try_from(sum).ok()).ok_or_else(|| {
                    failure::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range")
                })?;
                ScalarValue::Int64(Some(sum))
            }
        })
    }
}

impl Accumulator for Totals {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.apply(&values[0], 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.apply(&values[0], -1)
    }

    fn supports_retract_batch(&self) -> bool {
        // Taking floats away again does not give what adding the rest would.
        !matches!(self.input, DataType::Float32 | DataType::Float64)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 {
            return ScalarValue::try_from(&self.result);
        }
        match self.of {
            Of::Sum => self.sum(),
            Of::Average => self.average(),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sum = match sum_type(&self.input) {
            DataType::Float64 => ScalarValue::Float64(Some(self.float)),
            DataType::Decimal128(precision, scale) => {
                ScalarValue::Decimal128(Some(self.exact), precision, scale)
            }
            _ => self.total()?.to_scalar(),
        };
        Ok(vec![sum, ScalarValue::UInt64(Some(self.count))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[1].as_primitive::<UInt64Type>();
        let before = self.count;
        self.apply(&states[0], 1)?;
        self.count = before + counts.iter().flatten().sum::<u64>();
        Ok(())
    }
}

/// DISTINCT: each value once.
#[derive(Debug)]
struct DistinctTotals {
    inner: Totals,
    seen: std::collections::HashSet<ScalarValue>,
}

impl Accumulator for DistinctTotals {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for row in 0..values[0].len() {
            if values[0].is_valid(row) {
                let value = ScalarValue::try_from_array(&values[0], row)?;
                // Numbers are equal whatever their scales.
                self.seen.insert(match (&value, Number::of_scalar(&value)) {
                    (ScalarValue::LargeBinary(_), Some(number)) => number.trimmed().to_scalar(),
                    _ => value,
                });
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if !self.seen.is_empty() {
            let values = ScalarValue::iter_to_array(self.seen.iter().cloned())?;
            self.inner.numbers = NumberSum::default();
            self.inner.exact = 0;
            self.inner.float = 0.0;
            self.inner.count = 0;
            self.inner.apply(&values, 1)?;
        }
        self.inner.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.seen.len() * size_of::<ScalarValue>() * 2
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<_> = self.seen.iter().cloned().collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list_nullable(
            &values,
            &self.inner.input,
        ))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states[0].as_list::<i32>();
        for row in 0..lists.len() {
            if lists.is_valid(row) {
                self.update_batch(&[lists.value(row)])?;
            }
        }
        Ok(())
    }
}

/// The value of a scalar subquery: NULL of no rows, 21000 of more than one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleValue {
    signature: Signature,
}

impl AggregateUDFImpl for SingleValue {
    fn name(&self) -> &str {
        SINGLE_VALUE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        // With its metadata, which says the SQL type.
        Ok(Arc::new(
            arg_fields[0]
                .as_ref()
                .clone()
                .with_name(self.name())
                .with_nullable(true),
        ))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One {
            value: ScalarValue::try_from(args.return_type())?,
            rows: 0,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![
            Arc::new(Field::new(
                "value",
                args.input_fields[0].data_type().clone(),
                true,
            )),
            Arc::new(Field::new("rows", DataType::UInt64, false)),
        ])
    }
}

#[derive(Debug)]
struct One {
    value: ScalarValue,
    rows: u64,
}

impl One {
    fn check(&self) -> Result<()> {
        if self.rows <= 1 {
            return Ok(());
        }
        Err(failure::external(Diagnostic::error(
            SqlState::CARDINALITY_VIOLATION,
            "more than one row returned by a subquery used as an expression",
        )))
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values[0].len();
        self.rows += rows as u64;
        self.check()?;
        if rows == 1 {
            self.value = ScalarValue::try_from_array(&values[0], 0)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            self.value.clone(),
            ScalarValue::UInt64(Some(self.rows)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states[1].as_primitive::<UInt64Type>();
        for row in 0..rows.len() {
            if rows.value(row) > 0 {
                self.rows += rows.value(row);
                self.value = ScalarValue::try_from_array(&states[0], row)?;
            }
        }
        self.check()
    }
}
