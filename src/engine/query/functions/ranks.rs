//! row_number(), rank(), dense_rank() and ntile() with PostgreSQL's types (§9.22): the library's are
//! unsigned, which no operator or function of SQL takes.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::{self, SortOptions};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{
    ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs,
};
use datafusion::logical_expr::window_state::WindowAggState;
use datafusion::logical_expr::{
    LimitEffect, PartitionEvaluator, ReversedUDWF, Signature, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;
use std::ops::Range;
use std::sync::Arc;

/// The function as PostgreSQL has it: one of these with its type, any other as it is.
pub fn typed(library: Arc<WindowUDF>) -> Arc<WindowUDF> {
    let data_type = match library.name() {
        "row_number" | "rank" | "dense_rank" => DataType::Int64,
        "ntile" => DataType::Int32,
        _ => return library,
    };
    Arc::new(WindowUDF::new_from_impl(Signed { library, data_type }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Signed {
    library: Arc<WindowUDF>,
    data_type: DataType,
}

impl WindowUDFImpl for Signed {
    fn name(&self) -> &str {
        self.library.name()
    }

    fn signature(&self) -> &Signature {
        self.library.signature()
    }

    fn expressions(&self, args: ExpressionArgs) -> Vec<Arc<dyn PhysicalExpr>> {
        self.library.expressions(args)
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(SignedEvaluator {
            library: self.library.partition_evaluator_factory(args)?,
            data_type: self.data_type.clone(),
        }))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let field = self.library.field(args)?;
        let typed = field
            .as_ref()
            .clone()
            .with_data_type(self.data_type.clone());
        Ok(Arc::new(typed))
    }

    fn sort_options(&self) -> Option<SortOptions> {
        self.library.sort_options()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.library.coerce_types(arg_types)
    }

    fn reverse_expr(&self) -> ReversedUDWF {
        // Backwards it would be the library's own again.
        ReversedUDWF::NotSupported
    }

    fn limit_effect(&self, args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        self.library.inner().limit_effect(args)
    }
}

#[derive(Debug)]
struct SignedEvaluator {
    library: Box<dyn PartitionEvaluator>,
    data_type: DataType,
}

impl SignedEvaluator {
    /// A rank is never past what the type holds: so many rows are in no partition.
    fn signed(&self, ranks: ArrayRef) -> Result<ArrayRef> {
        Ok(compute::cast(&ranks, &self.data_type)?)
    }
}

impl PartitionEvaluator for SignedEvaluator {
    fn memoize(&mut self, state: &mut WindowAggState) -> Result<()> {
        self.library.memoize(state)
    }

    fn get_range(&self, row: usize, rows: usize) -> Result<Range<usize>> {
        self.library.get_range(row, rows)
    }

    fn is_causal(&self) -> bool {
        self.library.is_causal()
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let ranks = self.library.evaluate_all(values, rows)?;
        self.signed(ranks)
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        self.library
            .evaluate(values, range)?
            .cast_to(&self.data_type)
    }

    fn evaluate_all_with_rank(&self, rows: usize, peers: &[Range<usize>]) -> Result<ArrayRef> {
        self.signed(self.library.evaluate_all_with_rank(rows, peers)?)
    }

    fn supports_bounded_execution(&self) -> bool {
        self.library.supports_bounded_execution()
    }

    fn uses_window_frame(&self) -> bool {
        self.library.uses_window_frame()
    }

    fn include_rank(&self) -> bool {
        self.library.include_rank()
    }
}
