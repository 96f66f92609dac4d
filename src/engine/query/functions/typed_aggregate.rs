//! min, max and array_agg, whose results are of their argument's type where Arrow's does not say it: the
//! library keeps no metadata of an aggregate's argument. And string_agg in any number of orders.

use super::label;
use crate::catalog::sql_type::{SqlType, TypeKind};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature, StatisticsArgs,
};
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
        self.library.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.library.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.library.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.library.create_groups_accumulator(args)
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
