//! Aggregates over frames whose start moves: `avg(x) OVER (ORDER BY t ROWS 6 PRECEDING)`.
//!
//! What an aggregate cannot take back from its total is computed anew over each frame, as PostgreSQL does (xagg.sgml, "Moving-
//! Aggregate Mode"): for floats also so that nothing is lost by taking back. It costs the frame's length for each row.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, WindowFrame,
    WindowFunctionDefinition,
};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use std::sync::Arc;

/// The function as it works in a window with this frame.
pub fn over(function: WindowFunctionDefinition, frame: &WindowFrame) -> WindowFunctionDefinition {
    match function {
        WindowFunctionDefinition::AggregateUDF(library) if !frame.start_bound.is_unbounded() => {
            let sliding = AggregateUDF::new_from_impl(Sliding { library });
            WindowFunctionDefinition::AggregateUDF(Arc::new(sliding))
        }
        other => other,
    }
}

/// An aggregate that knows what to do where it cannot take back.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Sliding {
    library: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Sliding {
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
        self.library.return_field(arg_fields)
    }

    fn is_nullable(&self) -> bool {
        self.library.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.library.accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let call = Call::of(&args);
        let own = self.library.create_sliding_accumulator(args)?;
        if own.supports_retract_batch() {
            return Ok(own);
        }
        let library = self.library.clone();
        Ok(Box::new(OfFrame {
            library,
            call,
            columns: Vec::new(),
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.library.state_fields(args)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.library.coerce_types(arg_types)
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.library.default_value(data_type)
    }
}

/// What an accumulator is made from, kept to make more.
#[derive(Debug)]
struct Call {
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl Call {
    fn of(args: &AccumulatorArgs) -> Call {
        Call {
            return_field: args.return_field.clone(),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            is_distinct: args.is_distinct,
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        }
    }

    fn args(&self) -> AccumulatorArgs<'_> {
        AccumulatorArgs {
            return_field: self.return_field.clone(),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        }
    }
}

/// The arguments of the rows of a frame.
#[derive(Debug)]
struct OfFrame {
    library: Arc<AggregateUDF>,
    call: Call,
    columns: Vec<ArrayRef>,
}

impl Accumulator for OfFrame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if self.columns.is_empty() {
            self.columns = values.to_vec();
            return Ok(());
        }
        for (column, more) in self.columns.iter_mut().zip(values) {
            *column = concat(&[column.as_ref(), more.as_ref()])?;
        }
        Ok(())
    }

    /// The oldest rows are those that a frame leaves behind.
    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let gone = values.first().map_or(0, |values| values.len());
        for column in &mut self.columns {
            let rest = column.len().checked_sub(gone).ok_or_else(|| {
                DataFusionError::Internal("more rows left a frame than were in it".to_owned())
            })?;
            *column = column.slice(gone, rest);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut total = self.library.accumulator(self.call.args())?;
        if !self.columns.is_empty() {
            total.update_batch(&self.columns)?;
        }
        total.evaluate()
    }

    fn size(&self) -> usize {
        let columns = self.columns.iter();
        size_of_val(self) + columns.map(|it| it.get_array_memory_size()).sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Err(DataFusionError::Internal(
            "a window's total is not put together with others".to_owned(),
        ))
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        Err(DataFusionError::Internal(
            "a window's total is not put together with others".to_owned(),
        ))
    }
}
