//! sum and avg of intervals: months, days and microseconds each by themselves.

use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::query::operators::datetime;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, UInt64Type,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;

/// The running sum.
#[derive(Debug)]
pub struct Intervals {
    average: bool,
    months: i64,
    days: i64,
    nanoseconds: i128,
    count: u64,
}

impl Intervals {
    /// The type of its state.
    pub const STATE: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

    /// Of nothing.
    pub fn new(average: bool) -> Intervals {
        Intervals {
            average,
            months: 0,
            days: 0,
            nanoseconds: 0,
            count: 0,
        }
    }

    fn apply(&mut self, values: &ArrayRef, sign: i64) {
        for value in values
            .as_primitive::<IntervalMonthDayNanoType>()
            .iter()
            .flatten()
        {
            self.months += sign * i64::from(value.months);
            self.days += sign * i64::from(value.days);
            self.nanoseconds += i128::from(sign) * i128::from(value.nanoseconds);
        }
    }

    fn sum(&self) -> Result<IntervalMonthDayNano> {
        let parts = i32::try_from(self.months)
            .ok()
            .zip(i32::try_from(self.days).ok())
            .zip(i64::try_from(self.nanoseconds).ok());
        let ((months, days), nanoseconds) = parts.ok_or_else(|| {
            failure::error(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
        })?;
        Ok(IntervalMonthDayNano::new(months, days, nanoseconds))
    }
}

impl Accumulator for Intervals {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.apply(&values[0], 1);
        self.count += (values[0].len() - values[0].null_count()) as u64;
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.apply(&values[0], -1);
        self.count -= (values[0].len() - values[0].null_count()) as u64;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 {
            return ScalarValue::try_from(&Self::STATE);
        }
        let sum = self.sum()?;
        let value = match self.average {
            true => datetime::interval_times(sum, 1.0 / self.count as f64)?,
            false => sum,
        };
        Ok(ScalarValue::IntervalMonthDayNano(Some(value)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::IntervalMonthDayNano(Some(self.sum()?)),
            ScalarValue::UInt64(Some(self.count)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.apply(&states[0], 1);
        self.count += states[1]
            .as_primitive::<UInt64Type>()
            .iter()
            .flatten()
            .sum::<u64>();
        Ok(())
    }
}
