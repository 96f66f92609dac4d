//! variance and stddev: numeric of integers and numerics, worked out exactly and rounded once;
//! double precision of floats. Source: PostgreSQL 15, `numeric_stddev_internal` and
//! `float8_accum` (Youngs and Cramer).

use crate::engine::query::failure;
use crate::engine::query::operators::decimal;
use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Field, FieldRef, Float64Type, UInt64Type, i256,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// Digits of the sums.
const SUM_DIGITS: u8 = 76;

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
            DataType::Decimal128(..) => argument.clone(),
            DataType::Null => DataType::Float64,
            other => decimal::of(other).ok_or_else(no_such)?,
        }])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match &arg_types[0] {
            DataType::Float64 => DataType::Float64,
            other => DataType::Decimal128(
                decimal::DIGITS_MAX,
                decimal::scale(other).max(decimal::QUOTIENT_SCALE),
            ),
        })
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return Err(failure::unsupported(format!("{}(DISTINCT …)", self.name)));
        }
        Ok(match args.return_type() {
            DataType::Decimal128(_, scale) => Box::new(Exact {
                root: self.root,
                sample: self.sample,
                input_scale: decimal::scale(args.expr_fields[0].data_type()),
                scale: *scale,
                count: 0,
                sum: i256::ZERO,
                squares: i256::ZERO,
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
            _ => DataType::Decimal256(SUM_DIGITS, 0),
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

/// Sums of values and of their squares, as integers.
#[derive(Debug)]
struct Exact {
    root: Root,
    sample: Sample,
    input_scale: i8,
    scale: i8,
    count: u64,
    sum: i256,
    squares: i256,
}

impl Exact {
    fn apply(&mut self, values: &ArrayRef, retract: bool) -> Result<()> {
        let overflow = || failure::external(failure::numeric_overflow());
        for value in values.as_primitive::<Decimal128Type>().iter().flatten() {
            let value = i256::from_i128(value);
            let square = value.checked_mul(value).ok_or_else(overflow)?;
            let (sum, squares) = if retract {
                self.count -= 1;
                (
                    self.sum.checked_sub(value),
                    self.squares.checked_sub(square),
                )
            } else {
                self.count += 1;
                (
                    self.sum.checked_add(value),
                    self.squares.checked_add(square),
                )
            };
            self.sum = sum.ok_or_else(overflow)?;
            self.squares = squares.ok_or_else(overflow)?;
        }
        Ok(())
    }

    /// (n·Σx² − (Σx)²) / (n·divisor), or its root, with so many decimals.
    fn with_decimals(&self, divisor: u64, decimals: u32) -> Option<i256> {
        let of = |count: u64| i256::from_i128(i128::from(count));
        let squared = self.sum.checked_mul(self.sum)?;
        let above = of(self.count)
            .checked_mul(self.squares)?
            .checked_sub(squared)?;
        let below = of(self.count).checked_mul(of(divisor))?;
        let input = 2 * u32::try_from(self.input_scale).ok()?;
        // Of a root one more decimal is taken, to round by.
        let wanted = match self.root {
            Root::No => decimals,
            Root::Yes => 2 * (decimals + 1),
        };
        let ten = i256::from_i128(10);
        let quotient = if wanted >= input {
            let above = above.checked_mul(ten.checked_pow(wanted - input)?)?;
            decimal::divide_rounded(above, below)
        } else {
            decimal::divide_rounded(above, below.checked_mul(ten.checked_pow(input - wanted)?)?)
        };
        Some(match self.root {
            Root::No => quotient,
            Root::Yes => decimal::divide_rounded(root(quotient), ten),
        })
    }
}

/// The integer square root, rounded down.
fn root(value: i256) -> i256 {
    if value <= i256::ZERO {
        return i256::ZERO;
    }
    let two = i256::from_i128(2);
    // Above the root to begin with, Newton's steps go down to it.
    let bits = 256 - value.leading_zeros();
    let mut guess = i256::ONE << u8::try_from(bits.div_ceil(2)).unwrap_or(127);
    loop {
        let next = guess
            .wrapping_add(value.wrapping_div(guess))
            .wrapping_div(two);
        if next >= guess {
            return guess;
        }
        guess = next;
    }
}

impl Accumulator for Exact {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.apply(&values[0], false)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.apply(&values[0], true)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let result = |value| ScalarValue::Decimal128(value, decimal::DIGITS_MAX, self.scale);
        let Some(divisor) = divisor(self.count, self.sample) else {
            return Ok(result(None));
        };
        let overflow = || failure::external(failure::numeric_overflow());
        let scale = u32::try_from(self.scale).map_err(|_| overflow())?;
        // Where the numbers are too large for all decimals, fewer say as much of them.
        for decimals in [scale, scale / 2, scale / 4, 0] {
            let Some(value) = self.with_decimals(divisor, decimals) else {
                continue;
            };
            let padding = i256::from_i128(10).checked_pow(scale - decimals);
            let padded = padding.and_then(|padding| value.checked_mul(padding));
            return decimal::narrow(padded.ok_or_else(overflow)?).map(|value| result(Some(value)));
        }
        Err(overflow())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::UInt64(Some(self.count)),
            ScalarValue::Decimal256(Some(self.sum), SUM_DIGITS, 0),
            ScalarValue::Decimal256(Some(self.squares), SUM_DIGITS, 0),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let overflow = || failure::external(failure::numeric_overflow());
        let counts = states[0].as_primitive::<UInt64Type>();
        let sums = states[1].as_primitive::<Decimal256Type>();
        let squares = states[2].as_primitive::<Decimal256Type>();
        for row in 0..counts.len() {
            self.count += counts.value(row);
            let sum = self.sum.checked_add(sums.value(row));
            self.sum = sum.ok_or_else(overflow)?;
            let squares = self.squares.checked_add(squares.value(row));
            self.squares = squares.ok_or_else(overflow)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_rounded_down() {
        for (value, expected) in [
            (0, 0),
            (1, 1),
            (3, 1),
            (4, 2),
            (99, 9),
            (100, 10),
            (101, 10),
        ] {
            assert_eq!(
                root(i256::from_i128(value)),
                i256::from_i128(expected),
                "{value}"
            );
        }
        let large = i256::from_i128(10).wrapping_pow(70);
        assert_eq!(root(large), i256::from_i128(10).wrapping_pow(35));
    }
}
