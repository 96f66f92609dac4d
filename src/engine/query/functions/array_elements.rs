//! What puts elements into an array, takes them out or finds them: `array_append` and its like.
//!
//! PostgreSQL §9.19. The library's own know neither NULL elements nor numerics of any scale, and
//! count in bigint.

use super::{array::list, float, one_type};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::query::operators::is_text;
use crate::engine::query::{cast, failure};
use crate::engine::types::Input;
use crate::engine::types::number::array::{Numbers, is_exact};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, LargeBinaryArray, ListArray, Scalar,
    new_empty_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::kernels::{boolean, cmp, zip};
use datafusion::arrow::compute::{cast as cast_array, concat, filter};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int32Type};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

/// What each does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Append,
    Prepend,
    Concatenate,
    Remove,
    Replace,
    Position,
    Positions,
}

const KINDS: &[(&str, Kind)] = &[
    ("array_append", Kind::Append),
    ("array_prepend", Kind::Prepend),
    ("array_cat", Kind::Concatenate),
    ("array_remove", Kind::Remove),
    ("array_replace", Kind::Replace),
    ("array_position", Kind::Position),
    ("array_positions", Kind::Positions),
];

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    KINDS
        .iter()
        .map(|(name, kind)| function(name, *kind))
        .collect()
}

fn function(name: &'static str, kind: Kind) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Elements {
        name,
        kind,
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

/// `||` where one side is an array: of two arrays, or of an array and an element.
pub fn concatenation(left: (Expr, SqlType), right: (Expr, SqlType)) -> Expr {
    let (name, kind) = match (left.1.array, right.1.array) {
        (true, true) => ("array_cat", Kind::Concatenate),
        (true, false) => ("array_append", Kind::Append),
        _ => ("array_prepend", Kind::Prepend),
    };
    Expr::ScalarFunction(ScalarFunction::new_udf(
        function(name, kind),
        vec![left.0, right.0],
    ))
}

/// Whether it is one of these.
pub fn is(function: &ScalarUDF) -> bool {
    let inner: &dyn std::any::Any = function.inner().as_ref();
    inner.is::<Elements>()
}

/// The arguments, the arrays and what stands beside them of one type.
///
/// # Errors
/// 42883 where there is none; what a quoted literal's value gives.
pub fn of_one_type(
    call: ScalarFunction,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<ScalarFunction> {
    let inner: &dyn std::any::Any = call.func.inner().as_ref();
    let Some(elements) = inner.downcast_ref::<Elements>() else {
        return Ok(call);
    };
    let types: Result<Vec<_>> = call
        .args
        .iter()
        .map(|one| cast::type_of(one, schema))
        .collect();
    let types = types?;
    let wanted = elements.wanted(&types)?;
    let typed = call.args.into_iter().zip(types).zip(wanted);
    let args: Result<Vec<_>> = typed
        .map(|((arg, from), to)| cast::explicit(arg, from, to, input))
        .collect();
    Ok(ScalarFunction::new_udf(call.func, args?))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Elements {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for Elements {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal(
            "it is of its arguments' fields".to_owned(),
        ))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let most = if self.kind == Kind::Position { 3 } else { 2 };
        let wanted = if self.kind == Kind::Replace {
            3..=3
        } else {
            2..=most
        };
        if !wanted.contains(&args.arg_fields.len()) {
            let types: Result<Vec<_>> = args
                .arg_fields
                .iter()
                .map(|one| super::label::type_of(one))
                .collect();
            return Err(failure::external(failure::no_function(self.name, &types?)));
        }
        let result = match self.kind {
            Kind::Position => SqlType::scalar(TypeKind::Int4),
            Kind::Positions => SqlType::array_of(TypeKind::Int4),
            _ => return self.array_field(args.arg_fields),
        };
        Ok(Arc::new(cast::field(self.name, result)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays: Result<Vec<_>> = args.args.iter().map(|one| one.to_array(rows)).collect();
        let arrays = arrays?;
        let found = match self.kind {
            Kind::Position => self.positions(&arrays, rows, |found, row| {
                let from = arrays
                    .get(2)
                    .map_or(1, |one| one.as_primitive::<Int32Type>().value(row));
                found.into_iter().find(|place| *place >= from)
            })?,
            Kind::Positions => self.all_positions(&arrays, rows)?,
            _ => self.changed(&arrays, rows, args.return_field.data_type())?,
        };
        Ok(ColumnarValue::Array(found))
    }
}

impl Elements {
    /// The field of a changed array: of the array that is changed. Numerics that are kept in several
    /// ways, some by their scale, become those of any scale.
    fn array_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        let element = |field: &FieldRef| match field.data_type() {
            DataType::List(element) => element.data_type().clone(),
            other => other.clone(),
        };
        let known = |field: &&FieldRef| element(field) != DataType::Null;
        let array = fields.iter().enumerate().find(|(place, field)| {
            self.is_array(*place) && matches!(field.data_type(), DataType::List(_))
        });
        let Some((_, array)) = array else {
            return Ok(Arc::new(Field::new(self.name, DataType::Null, true)));
        };
        let of_array = element(array);
        let number = SqlType::array_of(TypeKind::Numeric);
        let differ = is_exact(&of_array)
            && fields
                .iter()
                .filter(known)
                .any(|field| element(field) != of_array);
        Ok(Arc::new(match differ {
            true => cast::field(self.name, number),
            false => array.as_ref().clone().with_nullable(true),
        }))
    }

    /// The type of each argument, where they are of these.
    fn wanted(&self, types: &[SqlType]) -> Result<Vec<SqlType>> {
        let none = || failure::external(failure::no_function(self.name, types));
        let known = types
            .iter()
            .enumerate()
            .filter(|(place, one)| one.kind != TypeKind::Unknown && !self.is_start(*place));
        let parts: Vec<_> = known
            .map(|(_, one)| SqlType {
                array: false,
                typmod: -1,
                ..*one
            })
            .collect();
        let text = SqlType::scalar(TypeKind::Text);
        let first = parts.first().copied().unwrap_or(text);
        let texts = parts.iter().all(|one| is_text(one.kind));
        let element = match one_type::common_type(&parts) {
            Some(number) => number,
            None if texts || parts.iter().all(|one| one.kind == first.kind) => first,
            None => return Err(none()),
        };
        let wanted = types.iter().enumerate().map(|(place, found)| {
            let array = self.is_array(place);
            if found.kind != TypeKind::Unknown && found.array != array {
                return Err(none());
            }
            Ok(match (self.is_start(place), array) {
                (true, _) => SqlType::scalar(TypeKind::Int4),
                (_, true) => SqlType::array_of(element.kind),
                (_, false) => element,
            })
        });
        wanted.collect()
    }

    fn is_array(&self, argument: usize) -> bool {
        match self.kind {
            Kind::Concatenate => true,
            Kind::Prepend => argument == 1,
            _ => argument == 0,
        }
    }

    /// `array_position(array, element, start)`
    fn is_start(&self, argument: usize) -> bool {
        self.kind == Kind::Position && argument == 2
    }

    /// A place of each row, counted from one; NULL where the array is NULL.
    fn positions(
        &self,
        arrays: &[ArrayRef],
        rows: usize,
        of: impl Fn(Vec<i32>, usize) -> Option<i32>,
    ) -> Result<ArrayRef> {
        let mut places = Vec::with_capacity(rows);
        for row in 0..rows {
            places.push(self.places(arrays, row)?.and_then(|found| of(found, row)));
        }
        Ok(Arc::new(Int32Array::from(places)))
    }

    fn all_positions(&self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let mut places = Vec::with_capacity(rows);
        for row in 0..rows {
            let found = self.places(arrays, row)?;
            places.push(found.map(|found| found.into_iter().map(Some).collect::<Vec<_>>()));
        }
        Ok(Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
            places,
        )))
    }

    fn places(&self, arrays: &[ArrayRef], row: usize) -> Result<Option<Vec<i32>>> {
        let Some(elements) = elements(&arrays[0], row)? else {
            return Ok(None);
        };
        let equal = equal(&elements, &arrays[1].slice(row, 1))?;
        let places = (1..).zip(equal.values()).filter(|(_, equal)| *equal);
        Ok(Some(places.map(|(place, _)| place).collect()))
    }

    fn changed(&self, arrays: &[ArrayRef], rows: usize, of: &DataType) -> Result<ArrayRef> {
        let DataType::List(field) = of else {
            return Ok(datafusion::arrow::array::new_null_array(of, rows));
        };
        let mut parts = Vec::with_capacity(rows);
        for row in 0..rows {
            parts.push(self.row(arrays, row, field.data_type())?);
        }
        let lengths = parts
            .iter()
            .map(|part| part.as_ref().map_or(0, |part| part.len()));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let nulls: NullBuffer = parts.iter().map(Option::is_some).collect();
        let parts: Vec<&dyn Array> = parts.iter().flatten().map(|part| part.as_ref()).collect();
        let values = match parts.is_empty() {
            true => new_empty_array(field.data_type()),
            false => concat(&parts)?,
        };
        let lists = ListArray::try_new(field.clone(), offsets, values, Some(nulls))?;
        Ok(Arc::new(lists))
    }

    /// The elements of one row of the result.
    fn row(&self, arrays: &[ArrayRef], row: usize, of: &DataType) -> Result<Option<ArrayRef>> {
        let one = |argument: usize| of_type(&arrays[argument].slice(row, 1), of);
        let elements = |array: &ArrayRef, row: usize| -> Result<Option<ArrayRef>> {
            let found = elements(array, row)?;
            found.map(|elements| of_type(&elements, of)).transpose()
        };
        let joined = |first: &dyn Array, second: &dyn Array| Ok(Some(concat(&[first, second])?));
        match self.kind {
            Kind::Append => match elements(&arrays[0], row)? {
                Some(elements) => joined(&elements, &one(1)?),
                None => one(1).map(Some),
            },
            Kind::Prepend => match elements(&arrays[1], row)? {
                Some(elements) => joined(&one(0)?, &elements),
                None => one(0).map(Some),
            },
            Kind::Concatenate => match (elements(&arrays[0], row)?, elements(&arrays[1], row)?) {
                (Some(first), Some(second)) => joined(&first, &second),
                (one, None) | (None, one) => Ok(one),
            },
            _ => {
                let Some(elements) = elements(&arrays[0], row)? else {
                    return Ok(None);
                };
                let equal = equal(&elements, &one(1)?)?;
                Ok(Some(match self.kind {
                    Kind::Remove => filter(&elements, &boolean::not(&equal)?)?,
                    _ => zip::zip(&equal, &Scalar::new(one(2)?), &elements)?,
                }))
            }
        }
    }
}

/// The elements of the array of a row; None where it is NULL.
fn elements(array: &ArrayRef, row: usize) -> Result<Option<ArrayRef>> {
    let lists = list(array)?;
    Ok(lists
        .filter(|lists| lists.is_valid(row))
        .map(|lists| lists.value(row)))
}

/// Which elements are not distinct from the one value: NULL is found, too.
fn equal(elements: &ArrayRef, value: &ArrayRef) -> Result<BooleanArray> {
    let numeric = |array: &ArrayRef| *array.data_type() == DataType::LargeBinary;
    let (elements, value): (ArrayRef, ArrayRef) = match numeric(elements) || numeric(value) {
        true => (
            Arc::new(Numbers::new(elements).keys()),
            Arc::new(Numbers::new(value).keys()),
        ),
        false => (
            float::keys(elements),
            float::keys(&of_type(value, elements.data_type())?),
        ),
    };
    Ok(cmp::not_distinct(&elements, &Scalar::new(value))?)
}

/// The values as those of the type: a kind of value can be kept in several ways.
fn of_type(values: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if values.data_type() == wanted {
        return Ok(values.clone());
    }
    if *wanted == DataType::LargeBinary && is_exact(values.data_type()) {
        let numbers = Numbers::new(values);
        let ordered = (0..values.len()).map(|row| numbers.get(row).map(|one| one.to_ordered()));
        return Ok(Arc::new(ordered.collect::<LargeBinaryArray>()));
    }
    Ok(cast_array(values, wanted)?)
}
