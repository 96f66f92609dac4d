//! sum and avg of many groups at once: a column of sums instead of an object for each group.
//!
//! For integers, and decimals of so few digits that no sum of them passes 128 bits.

use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::query::operators::decimal;
use crate::engine::types::number::Number;
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, Int64Array,
    LargeBinaryBuilder, PrimitiveArray, UInt64Array,
};
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Int16Type, Int32Type, Int64Type, UInt64Type,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use std::sync::Arc;

/// Digits of a decimal of which 10¹⁰ rows can be added in 128 bits.
const DIGITS_MAX: u8 = 28;

/// The type of a sum under way, in units of the input's scale; None for inputs whose sums are numbers or floats.
pub fn exact_sum_type(input: &DataType) -> Option<DataType> {
    match input {
        DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            Some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0))
        }
        DataType::Decimal128(precision, scale) if *precision <= DIGITS_MAX => {
            Some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, *scale))
        }
        _ => None,
    }
}

/// Whether the groups' sums or their averages are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// sum
    Sum,
    /// avg
    Average,
}

/// The sums of the groups.
#[derive(Debug)]
pub struct GroupTotals {
    wanted: Wanted,
    state: DataType,
    result: DataType,
    sums: Vec<i128>,
    counts: Vec<u64>,
}

impl GroupTotals {
    /// Over values of a type that has an [`exact_sum_type`], which is `state`.
    pub fn new(wanted: Wanted, state: DataType, result: DataType) -> GroupTotals {
        GroupTotals {
            wanted,
            state,
            result,
            sums: Vec::new(),
            counts: Vec::new(),
        }
    }

    fn grow(&mut self, groups: usize) {
        self.sums.resize(groups, 0);
        self.counts.resize(groups, 0);
    }

    fn add<T: ArrowPrimitiveType>(
        &mut self,
        values: &PrimitiveArray<T>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
    ) where
        T::Native: Into<i128>,
    {
        if values.null_count() == 0 && filter.is_none() {
            for (value, group) in values.values().iter().zip(groups) {
                self.sums[*group] += (*value).into();
                self.counts[*group] += 1;
            }
            return;
        }
        for (row, group) in groups.iter().enumerate() {
            if values.is_valid(row) && counted(filter, row) {
                self.sums[*group] += values.value(row).into();
                self.counts[*group] += 1;
            }
        }
    }

    fn add_any(&mut self, values: &ArrayRef, groups: &[usize], filter: Option<&BooleanArray>) {
        match values.data_type() {
            DataType::Int16 => self.add(values.as_primitive::<Int16Type>(), groups, filter),
            DataType::Int32 => self.add(values.as_primitive::<Int32Type>(), groups, filter),
            DataType::Int64 => self.add(values.as_primitive::<Int64Type>(), groups, filter),
            _ => self.add(values.as_primitive::<Decimal128Type>(), groups, filter),
        }
    }

    fn states(&self, sums: Vec<i128>, counts: Vec<u64>) -> Vec<ArrayRef> {
        let sums = Decimal128Array::from_iter_values(sums).with_data_type(self.state.clone());
        vec![Arc::new(sums), Arc::new(UInt64Array::from(counts))]
    }

    fn value(&self, sum: i128, count: u64) -> Result<Number> {
        let sum = Number::of_decimal(sum, decimal::scale(&self.state));
        match self.wanted {
            Wanted::Sum => Ok(sum),
            Wanted::Average => {
                let count = Number::of_integer(i128::from(count));
                sum.over(&count).map_err(failure::external)
            }
        }
    }
}

/// Whether the aggregate's FILTER lets a row through.
fn counted(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

impl GroupsAccumulator for GroupTotals {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        self.add_any(&values[0], group_indices, opt_filter);
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = emit_to.take_needed(&mut self.sums);
        let counts = emit_to.take_needed(&mut self.counts);
        let groups = sums.into_iter().zip(counts);
        if self.result == DataType::Int64 {
            let sums = groups.map(|(sum, count)| match (count, i64::try_from(sum)) {
                (0, _) => Ok(None),
                (_, Ok(sum)) => Ok(Some(sum)),
                (_, Err(_)) => Err(failure::error(
                    SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                    "bigint out of range",
                )),
            });
            return Ok(Arc::new(sums.collect::<Result<Int64Array>>()?));
        }
        let mut numbers = LargeBinaryBuilder::new();
        for (sum, count) in groups {
            if count == 0 {
                numbers.append_null();
                continue;
            }
            match self.value(sum, count)?.to_scalar() {
                ScalarValue::LargeBinary(bytes) => numbers.append_option(bytes),
                other => {
                    return Err(failure::external(crate::diagnostic::Diagnostic::internal(
                        format!("a number became {}", other.data_type()),
                    )));
                }
            }
        }
        Ok(Arc::new(numbers.finish()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = emit_to.take_needed(&mut self.sums);
        let counts = emit_to.take_needed(&mut self.counts);
        Ok(self.states(sums, counts))
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let sums = values[0].as_primitive::<Decimal128Type>();
        let counts = values[1].as_primitive::<UInt64Type>();
        for (row, group) in group_indices.iter().enumerate() {
            self.sums[*group] += sums.value(row);
            self.counts[*group] += counts.value(row);
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values[0].len();
        let mut alone = GroupTotals::new(self.wanted, self.state.clone(), self.result.clone());
        alone.grow(rows);
        let groups: Vec<usize> = (0..rows).collect();
        alone.add_any(&values[0], &groups, opt_filter);
        Ok(alone.states(alone.sums.clone(), alone.counts.clone()))
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.counts.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Int32Array;

    fn totals(wanted: Wanted, result: DataType) -> GroupTotals {
        let state = exact_sum_type(&DataType::Int32).expect("integers have exact sums");
        GroupTotals::new(wanted, state, result)
    }

    #[test]
    fn groups_keep_apart_and_a_group_of_nulls_is_null() {
        let mut sums = totals(Wanted::Sum, DataType::Int64);
        let values: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(5), None]));
        let filter = BooleanArray::from(vec![true, true, false, true]);
        sums.update_batch(std::slice::from_ref(&values), &[0, 1, 2, 0], None, 3)
            .unwrap();
        sums.update_batch(&[values], &[0, 1, 2, 0], Some(&filter), 3)
            .unwrap();
        let found = sums.evaluate(EmitTo::All).unwrap();
        assert_eq!(
            found.as_primitive::<Int64Type>(),
            &Int64Array::from(vec![Some(2), None, Some(5)])
        );
    }

    #[test]
    fn what_partial_sums_keep_comes_to_the_same_when_merged() {
        let values: ArrayRef = Arc::new(Int32Array::from(vec![i32::MAX; 3]));
        let mut whole = totals(Wanted::Sum, DataType::Int64);
        let state = whole
            .convert_to_state(std::slice::from_ref(&values), None)
            .unwrap();
        whole.merge_batch(&state, &[0, 0, 1], 2).unwrap();
        let mut part = totals(Wanted::Sum, DataType::Int64);
        part.update_batch(&[values], &[0, 0, 1], None, 2).unwrap();
        let state = part.state(EmitTo::All).unwrap();
        whole.merge_batch(&state, &[0, 1], 2).unwrap();
        let found = whole.evaluate(EmitTo::All).unwrap();
        let largest = i64::from(i32::MAX);
        assert_eq!(
            found.as_primitive::<Int64Type>(),
            &Int64Array::from(vec![largest * 4, largest * 2])
        );
    }

    #[test]
    fn a_sum_past_bigint_is_refused() {
        let mut sums = totals(Wanted::Sum, DataType::Int64);
        sums.sums = vec![i128::from(i64::MAX) + 1];
        sums.counts = vec![1];
        let refused = sums.evaluate(EmitTo::All).unwrap_err();
        assert!(
            failure::diagnostic(refused)
                .message()
                .contains("bigint out of range")
        );
    }
}
