//! `& | # << >> ~` of integers (PostgreSQL 15, section 9.3 "Mathematical Functions and Operators").
//!
//! Functions, and not the planner's own operators: its optimizer takes `x # x` for 0 where x is NULL, and
//! shifts widen what they shift. A count of places is taken modulo the bits of what is shifted, as the
//! processor of PostgreSQL does, 32 for int2.

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::query::failure;
use crate::engine::types;
use datafusion::arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use datafusion::arrow::compute::binary;
use datafusion::arrow::datatypes::{DataType, Int16Type, Int32Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use sqlparser::ast::BinaryOperator;
use std::sync::Arc;

/// The function that `~` is.
pub const NOT: &str = "bitwise_not";

/// An operator of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bits {
    /// &
    And,
    /// |
    Or,
    /// #
    Xor,
    /// <<
    ShiftLeft,
    /// >>
    ShiftRight,
}

impl Bits {
    /// The operator that is meant.
    pub fn of(operator: &BinaryOperator) -> Option<Bits> {
        Some(match operator {
            BinaryOperator::BitwiseAnd => Bits::And,
            BinaryOperator::BitwiseOr => Bits::Or,
            BinaryOperator::PGBitwiseXor => Bits::Xor,
            BinaryOperator::PGBitwiseShiftLeft => Bits::ShiftLeft,
            BinaryOperator::PGBitwiseShiftRight => Bits::ShiftRight,
            _ => return None,
        })
    }

    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Bits::And => "&",
            Bits::Or => "|",
            Bits::Xor => "#",
            Bits::ShiftLeft => "<<",
            Bits::ShiftRight => ">>",
        }
    }

    /// Whether its right operand is a count of places.
    pub fn shifts(self) -> bool {
        matches!(self, Bits::ShiftLeft | Bits::ShiftRight)
    }

    /// The function that computes it.
    pub fn function(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(OfTwo {
            operator: self,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    }

    /// What both operands are computed as.
    fn operands(self, left: &DataType, right: &DataType) -> Option<[DataType; 2]> {
        let (wide, narrow) = (rank(left)?, rank(right)?);
        match self.shifts() {
            true => (narrow <= 1).then(|| [of_rank(wide), DataType::Int32]),
            false => {
                let both = of_rank(wide.max(narrow));
                Some([both.clone(), both])
            }
        }
    }

    fn int2(self, left: i16, right: i16) -> i16 {
        match self {
            Bits::And => left & right,
            Bits::Or => left | right,
            _ => left ^ right,
        }
    }

    fn int4(self, left: i32, right: i32) -> i32 {
        match self {
            Bits::And => left & right,
            Bits::Or => left | right,
            Bits::Xor => left ^ right,
            Bits::ShiftLeft => left.wrapping_shl(right as u32),
            Bits::ShiftRight => left.wrapping_shr(right as u32),
        }
    }

    fn int8(self, left: i64, right: i64) -> i64 {
        match self {
            Bits::And => left & right,
            Bits::Or => left | right,
            _ => left ^ right,
        }
    }

    fn shifted(self, left: i64, places: i32) -> i64 {
        match self {
            Bits::ShiftLeft => left.wrapping_shl(places as u32),
            _ => left.wrapping_shr(places as u32),
        }
    }
}

fn rank(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::Int16 => Some(0),
        DataType::Int32 | DataType::Null => Some(1),
        DataType::Int64 => Some(2),
        _ => None,
    }
}

fn of_rank(rank: u8) -> DataType {
    match rank {
        0 => DataType::Int16,
        1 => DataType::Int32,
        _ => DataType::Int64,
    }
}

/// Whether values of the type have bits.
pub fn has_bits(sql_type: SqlType) -> bool {
    let integer = matches!(
        sql_type.kind,
        TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8
    );
    integer && !sql_type.array
}

fn named(data_type: &DataType) -> SqlType {
    types::arrow::from_data_type(data_type).unwrap_or(SqlType::scalar(TypeKind::Unknown))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfTwo {
    operator: Bits,
    signature: Signature,
}

impl ScalarUDFImpl for OfTwo {
    fn name(&self) -> &str {
        self.operator.symbol()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = arg_types else {
            return Err(DataFusionError::Internal("two operands".to_owned()));
        };
        let operands = self.operator.operands(left, right).ok_or_else(|| {
            let symbol = self.operator.symbol();
            failure::external(failure::no_operator(symbol, named(left), named(right)))
        })?;
        Ok(operands.to_vec())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.coerce_types(arg_types)?.remove(0))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let operator = self.operator;
        of_arrays(&args, |arrays| {
            let (left, right) = (&arrays[0], &arrays[1]);
            Ok(match (left.data_type(), operator.shifts()) {
                (DataType::Int16, false) => {
                    both::<Int16Type, Int16Type>(left, right, |l, r| operator.int2(l, r))?
                }
                (DataType::Int16, true) => both::<Int16Type, Int32Type>(left, right, |l, r| {
                    operator.int4(i32::from(l), r) as i16
                })?,
                (DataType::Int32, _) => {
                    both::<Int32Type, Int32Type>(left, right, |l, r| operator.int4(l, r))?
                }
                (_, false) => {
                    both::<Int64Type, Int64Type>(left, right, |l, r| operator.int8(l, r))?
                }
                (_, true) => {
                    both::<Int64Type, Int32Type>(left, right, |l, r| operator.shifted(l, r))?
                }
            })
        })
    }
}

fn both<L: ArrowPrimitiveType, R: ArrowPrimitiveType>(
    left: &ArrayRef,
    right: &ArrayRef,
    of: impl Fn(L::Native, R::Native) -> L::Native,
) -> Result<ArrayRef> {
    let result: PrimitiveArray<L> =
        binary(left.as_primitive::<L>(), right.as_primitive::<R>(), of)?;
    Ok(Arc::new(result))
}

/// Over arrays of one length; a result of constants is constant again.
fn of_arrays(
    args: &ScalarFunctionArgs,
    compute: impl Fn(&[ArrayRef]) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let result = compute(&ColumnarValue::values_to_arrays(&args.args)?)?;
    super::arithmetic::back(result, &args.args)
}

/// `~`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Not {
    signature: Signature,
}

/// The function that `~` is.
pub fn not() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Not {
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

impl ScalarUDFImpl for Not {
    fn name(&self) -> &str {
        NOT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [of] if rank(of).is_some() => Ok(vec![of_rank(rank(of).unwrap_or(1))]),
            [of] => Err(failure::external(failure::no_prefix_operator(
                "~",
                named(of),
            ))),
            _ => Err(DataFusionError::Internal("one operand".to_owned())),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.coerce_types(arg_types)?.remove(0))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        of_arrays(&args, |arrays| {
            let of = &arrays[0];
            Ok(match of.data_type() {
                DataType::Int16 => {
                    Arc::new(of.as_primitive::<Int16Type>().unary::<_, Int16Type>(|n| !n))
                }
                DataType::Int32 => {
                    Arc::new(of.as_primitive::<Int32Type>().unary::<_, Int32Type>(|n| !n))
                }
                _ => Arc::new(of.as_primitive::<Int64Type>().unary::<_, Int64Type>(|n| !n)),
            })
        })
    }
}
