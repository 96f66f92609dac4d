//! min, max and array_agg, whose results are of their argument's type where Arrow's does not say it: the
//! library keeps no metadata of an aggregate's argument. And string_agg in any number of orders, and the least and the greatest
//! float of each group, NaN above infinity as PostgreSQL has it (§8.1.3): the library's begin with the largest finite number.

use super::label;
use super::ordered_arrays::{OrderedArray, OrderedArrays};
use crate::catalog::sql_type::{SqlType, TypeKind};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, FieldRef, Float32Type, Float64Type,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature, StatisticsArgs,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;
use std::cmp::Ordering;
use std::sync::Arc;

/// The library's, or one in its place.
pub fn typed(library: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    match library.name() {
        "min" | "max" | "array_agg" | "string_agg" => {
            Arc::new(AggregateUDF::new_from_impl(Typed { library }))
        }
        _ => library,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Typed {
    library: Arc<AggregateUDF>,
}

impl Typed {
    /// What gathers the values where they have an order.
    fn ordered(&self, args: &AccumulatorArgs<'_>) -> Result<Option<OrderedArrays>> {
        match self.name() {
            "array_agg" | "string_agg" => OrderedArrays::of(args),
            _ => Ok(None),
        }
    }
}

impl AggregateUDFImpl for Typed {
    fn name(&self) -> &str {
        self.library.name()
    }

    fn signature(&self) -> &Signature {
        self.library.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.library.return_type(arg_types)
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        let found = self.library.return_field(arg_fields)?;
        let Some(Ok(argument)) = arg_fields.first().map(|field| label::type_of(field)) else {
            return Ok(found);
        };
        let of_enumeration = matches!(argument.kind, TypeKind::Enum(_));
        let result = match self.name() {
            // json, a name or a row is nothing of its own to Arrow.
            "array_agg" if of_enumeration || !argument.array => Some(SqlType {
                array: true,
                ..argument
            }),
            "min" | "max" => {
                (of_enumeration || argument.kind == TypeKind::Bpchar).then_some(argument)
            }
            _ => None,
        };
        Ok(label::kept(found, result))
    }

    fn is_nullable(&self) -> bool {
        self.library.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match self.ordered(&args)? {
            Some(arrays) => Ok(Box::new(OrderedArray::new(arrays))),
            None => self.library.accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.library.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        matches!(self.ordered(&args), Ok(Some(_)))
            || self.library.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        if let Some(arrays) = self.ordered(&args)? {
            return Ok(Box::new(arrays));
        }
        let kept = match self.name() {
            "min" => Ordering::Less,
            "max" => Ordering::Greater,
            _ => return self.library.create_groups_accumulator(args),
        };
        match args.return_field.data_type() {
            DataType::Float32 => Ok(extreme::<Float32Type>(kept, f32::INFINITY, f32::NAN)),
            DataType::Float64 => Ok(extreme::<Float64Type>(kept, f64::INFINITY, f64::NAN)),
            _ => self.library.create_groups_accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.library.create_sliding_accumulator(args)
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        beneficial_ordering: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let library = AggregateUDF::clone(&self.library);
        if self.name() == "string_agg" {
            return Ok(Some(self));
        }
        let ordered = library.with_beneficial_ordering(beneficial_ordering)?;
        Ok(ordered.map(|library| {
            let library = Arc::new(library);
            Arc::new(Typed { library }) as Arc<dyn AggregateUDFImpl>
        }))
    }

    /// string_agg sorts by itself, as array_agg does, whose work it is: several may want their values each in
    /// an order of its own.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        match self.name() {
            "string_agg" => AggregateOrderSensitivity::SoftRequirement,
            _ => self.library.order_sensitivity(),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.library.reverse_udf() {
            ReversedUDAF::Reversed(library) => ReversedUDAF::Reversed(typed(library)),
            other => other,
        }
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.library.coerce_types(arg_types)
    }

    fn is_descending(&self) -> Option<bool> {
        self.library.is_descending()
    }

    fn value_from_stats(&self, statistics_args: &StatisticsArgs) -> Option<ScalarValue> {
        self.library.value_from_stats(statistics_args)
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.library.default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.library.supports_null_handling_clause()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.library.inner().set_monotonicity(data_type)
    }
}

/// The least or the greatest float of each group.
fn extreme<T: ArrowPrimitiveType + Send>(
    kept: Ordering,
    infinity: T::Native,
    nan: T::Native,
) -> Box<dyn GroupsAccumulator>
where
    T::Native: PartialOrd + std::ops::Neg<Output = T::Native>,
{
    let start = match kept {
        Ordering::Less => nan,
        _ => -infinity,
    };
    let keep = move |found: &mut T::Native, new: T::Native| {
        if float_order(*found, new) != kept {
            *found = new;
        }
    };
    Box::new(
        PrimitiveGroupsAccumulator::<T, _>::new(&T::DATA_TYPE, keep).with_starting_value(start),
    )
}

/// PostgreSQL's order of floats (§8.1.3): NaN equals itself and is greater than all others.
fn float_order<T: PartialOrd>(one: T, other: T) -> Ordering {
    let is_nan = |value: &T| value.partial_cmp(value).is_none();
    let by_nan = || is_nan(&one).cmp(&is_nan(&other));
    one.partial_cmp(&other).unwrap_or_else(by_nan)
}
