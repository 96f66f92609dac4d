//! variance and stddev: numeric of integers and numerics, worked out exactly and rounded once;
//! double precision of floats. Source: PostgreSQL 15, `numeric_stddev_internal` and
//! `float8_accum` (Youngs and Cramer).

use super::number_sum::NumberSum;
use crate::diagnostic::Diagnostic;
use crate::engine::query::failure;
use crate::engine::query::operators::decimal;
use crate::engine::types::number::Number;
use crate::engine::types::number::array::Numbers;
use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// The aggregates.
pub fn functions() -> Vec<Arc<AggregateUDF>> {
    let of = |name, root, sample| {
        Arc::new(AggregateUDF::new_from_impl(Spread {
            name,
            root,
            sample,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    };
    use {Root::*, Sample::*};
    vec![
        of("variance", No, Of),
        of("var_samp", No, Of),
        of("var_pop", No, All),
        of("stddev", Yes, Of),
        of("stddev_samp", Yes, Of),
        of("stddev_pop", Yes, All),
    ]
}

/// Whether the square root is wanted: stddev.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Root {
    Yes,
    No,
}

/// Whether the values are a sample of more, or all there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sample {
    Of,
    All,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Spread {
    name: &'static str,
    root: Root,
    sample: Sample,
    signature: Signature,
}

impl AggregateUDFImpl for Spread {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let no_such = || super::aggregate::no_such(self.name, arg_types);
        let [argument] = arg_types else {
            return Err(no_such());
        };
        // Coercion must leave its own results as they are: it is asked again later.
        Ok(vec![match argument {
            DataType::Float32 | DataType::Float64 => DataType::Float64,
            DataType::Null => DataType::Float64,
            other => decimal::exact(other).ok_or_else(no_such)?,
        }])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match &arg_types[0] {
            DataType::Float64 => DataType::Float64,
            _ => DataType::LargeBinary,
        })
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return Err(failure::unsupported(format!("{}(DISTINCT …)", self.name)));
        }
        Ok(match args.return_type() {
            DataType::LargeBinary => Box::new(Exact {
                root: self.root,
                sample: self.sample,
                count: 0,
                sum: NumberSum::default(),
                squares: NumberSum::default(),
            }),
            _ => Box::new(Float {
                root: self.root,
                sample: self.sample,
                count: 0,
                sum: 0.0,
                deviation: 0.0,
            }),
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let sum = match args.input_fields[0].data_type() {
            DataType::Float64 => DataType::Float64,
            _ => DataType::LargeBinary,
        };
        Ok(vec![
            Arc::new(Field::new("count", DataType::UInt64, false)),
            Arc::new(Field::new("sum", sum.clone(), false)),
            Arc::new(Field::new("squares", sum, false)),
        ])
    }
}

/// How many the sum of squares is divided by; None: too few for a result.
fn divisor(count: u64, sample: Sample) -> Option<u64> {
    match sample {
        Sample::Of => count.checked_sub(1).filter(|divisor| *divisor > 0),
        Sample::All => Some(count).filter(|divisor| *divisor > 0),
    }
}

/// Sums of values and of their squares.
#[derive(Debug)]
struct Exact {
    root: Root,
    sample: Sample,
    count: u64,
    sum: NumberSum,
    squares: NumberSum,
}

impl Exact {
    fn apply(&mut self, values: &ArrayRef, more: bool) -> Result<()> {
        let numbers = Numbers::new(values);
        for row in 0..values.len() {
            let Some(number) = numbers.get(row) else {
                continue;
            };
            let square = number.times(&number).map_err(failure::external)?;
            self.sum.add(number, more)?;
            self.squares.add(square, more)?;
            self.count = if more { self.count + 1 } else { self.count - 1 };
        }
        Ok(())
    }

    /// (n·Σx² − (Σx)²) / (n·divisor), or its root, with the quotient's scale.
    fn result(&self, divisor: u64) -> std::result::Result<Number, Diagnostic> {
        let of = |count: u64| Number::of_integer(i128::from(count));
        let sum = self.sum.clone().value();
        let squares = self.squares.clone().value();
        let above = of(self.count).times(&squares)?.minus(&sum.times(&sum)?)?;
        // Rounding cannot make it negative, and nothing that is not a number compares.
        if above.is_negative() || above.is_zero() {
            return Ok(Number::of_integer(0));
        }
        let below = of(self.count).times(&of(divisor))?;
        let variance = above.over(&below)?;
        match (self.root, variance.scale()) {
            (Root::Yes, Some(scale)) => variance.square_root_to(scale),
            _ => Ok(variance),
        }
    }
}

impl Accumulator for Exact {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.apply(&values[0], true)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.apply(&values[0], false)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match divisor(self.count, self.sample) {
            None => Ok(ScalarValue::LargeBinary(None)),
            Some(divisor) => Ok(self.result(divisor).map_err(failure::external)?.to_scalar()),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::UInt64(Some(self.count)),
            self.sum.clone().value().to_scalar(),
            self.squares.clone().value().to_scalar(),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[0].as_primitive::<UInt64Type>();
        let (sums, squares) = (Numbers::new(&states[1]), Numbers::new(&states[2]));
        for row in 0..counts.len() {
            self.count += counts.value(row);
            if let (Some(sum), Some(square)) = (sums.get(row), squares.get(row)) {
                self.sum.add(sum, true)?;
                self.squares.add(square, true)?;
            }
        }
        Ok(())
    }
}

/// The sum, and the sum of squared deviations from the mean.
#[derive(Debug)]
struct Float {
    root: Root,
    sample: Sample,
    count: u64,
    sum: f64,
    deviation: f64,
}

impl Float {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        if self.count > 1 {
            let count = self.count as f64;
            let away = value * count - self.sum;
            self.deviation += away * away / (count * (count - 1.0));
        } else if !value.is_finite() {
            self.deviation = f64::NAN;
        }
    }

    fn merge(&mut self, count: u64, sum: f64, deviation: f64) {
        if count == 0 {
            return;
        }
        if self.count == 0 {
            (self.count, self.sum, self.deviation) = (count, sum, deviation);
            return;
        }
        let (own, other) = (self.count as f64, count as f64);
        let apart = self.sum / own - sum / other;
        self.deviation += deviation + own * other * apart * apart / (own + other);
        self.count += count;
        self.sum += sum;
    }
}

impl Accumulator for Float {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = cast(&values[0], &DataType::Float64)?;
        for value in values.as_primitive::<Float64Type>().iter().flatten() {
            self.add(value);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = divisor(self.count, self.sample).map(|divisor| {
            let variance = self.deviation / divisor as f64;
            match self.root {
                Root::Yes => variance.sqrt(),
                Root::No => variance,
            }
        });
        Ok(ScalarValue::Float64(value))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::UInt64(Some(self.count)),
            ScalarValue::Float64(Some(self.sum)),
            ScalarValue::Float64(Some(self.deviation)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[0].as_primitive::<UInt64Type>();
        let sums = states[1].as_primitive::<Float64Type>();
        let deviations = states[2].as_primitive::<Float64Type>();
        for row in 0..counts.len() {
            self.merge(counts.value(row), sums.value(row), deviations.value(row));
        }
        Ok(())
    }
}
