//! `x op ANY (array)` and `x op ALL (array)`: whether an element is there, or each is one, that a value compares so with;
//! NULL where none decides and one is not known (PostgreSQL §9.25.3 and §9.25.4).

use super::array::list;
use super::{float, time};
use crate::catalog::sql_type::TypeKind;
use crate::engine::query::failure;
use crate::engine::types;
use crate::engine::types::json_value::Json;
use crate::engine::types::number::array::{Numbers, is_exact};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Datum, ListArray, Scalar, UInt64Array,
};
use datafusion::arrow::compute::kernels::{boolean, cmp, comparison};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, IntervalMonthDayNanoType};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use sqlparser::ast::BinaryOperator;
use std::collections::HashSet;
use std::sync::Arc;

/// Elements of a constant array from which on they are looked up, and not compared one by one.
const LOOKED_UP_MIN: usize = 16;

/// How a value is compared with elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `LIKE`
    Like,
    /// `NOT LIKE`
    NotLike,
    /// `ILIKE`
    ILike,
    /// `NOT ILIKE`
    NotILike,
}

/// With how many of them it must compare so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// One.
    Any,
    /// Each.
    All,
}

/// The function of a value and an array that is `value = ANY (array)`.
pub const EQUALS_ANY: &str = "equals_any";

/// The functions' names: of ANY, and of ALL.
const NAMES: [(Comparison, &str, [&str; 2]); 10] = [
    (Comparison::Equal, "=", [EQUALS_ANY, "equals_all"]),
    (
        Comparison::Unequal,
        "<>",
        ["differs_from_any", "differs_from_all"],
    ),
    (Comparison::Less, "<", ["less_than_any", "less_than_all"]),
    (Comparison::AtMost, "<=", ["at_most_any", "at_most_all"]),
    (
        Comparison::Greater,
        ">",
        ["greater_than_any", "greater_than_all"],
    ),
    (Comparison::AtLeast, ">=", ["at_least_any", "at_least_all"]),
    (Comparison::Like, "~~", ["like_any", "like_all"]),
    (Comparison::NotLike, "!~~", ["not_like_any", "not_like_all"]),
    (Comparison::ILike, "~~*", ["ilike_any", "ilike_all"]),
    (
        Comparison::NotILike,
        "!~~*",
        ["not_ilike_any", "not_ilike_all"],
    ),
];

impl Comparison {
    /// The operator's; None of another one.
    pub fn of(operator: &BinaryOperator) -> Option<Comparison> {
        Some(match operator {
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::Unequal,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::AtMost,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::AtLeast,
            BinaryOperator::PGLikeMatch => Comparison::Like,
            BinaryOperator::PGNotLikeMatch => Comparison::NotLike,
            BinaryOperator::PGILikeMatch => Comparison::ILike,
            BinaryOperator::PGNotILikeMatch => Comparison::NotILike,
            _ => return None,
        })
    }

    /// The operator of which a function of that name is a quantified comparison.
    pub fn of_function(name: &str) -> Option<&'static str> {
        let found = NAMES.iter().find(|(_, _, names)| names.contains(&name));
        found.map(|(_, symbol, _)| *symbol)
    }

    /// What the function is called.
    pub fn function_name(self, quantifier: Quantifier) -> &'static str {
        let (_, _, [any, all]) = NAMES[self as usize];
        match quantifier {
            Quantifier::Any => any,
            Quantifier::All => all,
        }
    }

    /// What is true where this one is false.
    fn opposite(self) -> Comparison {
        match self {
            Comparison::Equal => Comparison::Unequal,
            Comparison::Unequal => Comparison::Equal,
            Comparison::Less => Comparison::AtLeast,
            Comparison::AtMost => Comparison::Greater,
            Comparison::Greater => Comparison::AtMost,
            Comparison::AtLeast => Comparison::Less,
            Comparison::Like => Comparison::NotLike,
            Comparison::NotLike => Comparison::Like,
            Comparison::ILike => Comparison::NotILike,
            Comparison::NotILike => Comparison::ILike,
        }
    }

    /// The function. A constant array is looked through for all rows at once.
    pub fn function(self, quantifier: Quantifier) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Quantified {
            comparison: self,
            quantifier,
            signature: Signature::any(2, Volatility::Immutable),
        }))
    }

    fn compare(self, values: &dyn Datum, elements: &dyn Datum) -> Result<BooleanArray> {
        let compared = match self {
            Comparison::Equal => cmp::eq(values, elements),
            Comparison::Unequal => cmp::neq(values, elements),
            Comparison::Less => cmp::lt(values, elements),
            Comparison::AtMost => cmp::lt_eq(values, elements),
            Comparison::Greater => cmp::gt(values, elements),
            Comparison::AtLeast => cmp::gt_eq(values, elements),
            Comparison::Like => comparison::like(values, elements),
            Comparison::NotLike => comparison::nlike(values, elements),
            Comparison::ILike => comparison::ilike(values, elements),
            Comparison::NotILike => comparison::nilike(values, elements),
        };
        Ok(compared?)
    }
}

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let both = [Quantifier::Any, Quantifier::All];
    let each = NAMES.iter();
    let each = each.flat_map(|(comparison, ..)| both.map(|both| comparison.function(both)));
    each.collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantified {
    comparison: Comparison,
    quantifier: Quantifier,
    signature: Signature,
}

impl ScalarUDFImpl for Quantified {
    fn name(&self) -> &str {
        self.comparison.function_name(self.quantifier)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [values, arrays] = args.args.as_slice() else {
            return Err(DataFusionError::Internal("two arguments".to_owned()));
        };
        let rows = args.number_rows;
        let values = values.to_array(rows)?;
        let is_jsonb = is_jsonb(&args.arg_fields[0]);
        // Each compares so where none compares the other way.
        let sought = match self.quantifier {
            Quantifier::Any => self.comparison,
            Quantifier::All => self.comparison.opposite(),
        };
        let found = match arrays {
            ColumnarValue::Scalar(array) => {
                let array = array.to_array()?;
                match list(&array)?.filter(|array| array.is_valid(0)) {
                    None => BooleanArray::new_null(rows),
                    Some(array) => {
                        let (elements, ends) = elements(array);
                        let elements = elements.slice(ends[0], ends[1] - ends[0]);
                        sought.in_one(comparable(&values, &elements, is_jsonb)?)?
                    }
                }
            }
            ColumnarValue::Array(arrays) => match list(arrays)? {
                None => BooleanArray::new_null(rows),
                Some(arrays) => sought.in_each(&values, arrays, is_jsonb)?,
            },
        };
        let found = match self.quantifier {
            Quantifier::Any => found,
            Quantifier::All => boolean::not(&found)?,
        };
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

impl Comparison {
    /// Of each value with the elements of one array.
    fn in_one(self, (values, elements): (ArrayRef, ArrayRef)) -> Result<BooleanArray> {
        if self == Comparison::Equal && elements.len() >= LOOKED_UP_MIN {
            return looked_up(&values, &elements);
        }
        let mut found = BooleanArray::from(vec![false; values.len()]);
        for place in 0..elements.len() {
            let element = Scalar::new(elements.slice(place, 1));
            let compared = self.compare(&values, &element)?;
            found = boolean::or_kleene(&found, &compared)?;
        }
        Ok(found)
    }

    /// Of each value with the elements of its own array.
    fn in_each(self, values: &ArrayRef, arrays: &ListArray, jsonb: bool) -> Result<BooleanArray> {
        let (elements, ends) = elements(arrays);
        let lengths: Vec<usize> = ends.windows(2).map(|ends| ends[1] - ends[0]).collect();
        let rows = lengths.iter().enumerate();
        let of_row = rows.flat_map(|(row, length)| std::iter::repeat_n(row as u64, *length));
        let (first, last) = (ends[0], ends[lengths.len()]);
        let elements = elements.slice(first, last - first);
        let (values, elements) = comparable(values, &elements, jsonb)?;
        let repeated = take(&values, &UInt64Array::from_iter_values(of_row), None)?;
        let compared = self.compare(&repeated, &elements)?;
        let found = lengths.iter().zip(&ends).enumerate();
        let found = found.map(|(row, (length, end))| {
            if arrays.is_null(row) {
                return None;
            }
            let compared = compared.slice(end - first, *length);
            match compared.true_count() {
                0 => (compared.null_count() == 0).then_some(false),
                _ => Some(true),
            }
        });
        Ok(found.collect())
    }
}

/// Which values are among the elements.
fn looked_up(values: &ArrayRef, elements: &ArrayRef) -> Result<BooleanArray> {
    let field = SortField::new(values.data_type().clone());
    let converter = RowConverter::new(vec![field])?;
    let known = converter.convert_columns(std::slice::from_ref(elements))?;
    let known = known.iter().enumerate();
    let known = known.filter(|(place, _)| elements.is_valid(*place));
    let known: HashSet<_> = known.map(|(_, row)| row).collect();
    let otherwise = (elements.null_count() == 0).then_some(false);
    let looked_for = converter.convert_columns(std::slice::from_ref(values))?;
    let found = looked_for.iter().enumerate().map(|(row, value)| {
        if values.is_null(row) {
            return None;
        }
        match known.contains(&value) {
            true => Some(true),
            false => otherwise,
        }
    });
    Ok(found.collect())
}

/// The elements of arrays of any number of dimensions, and where each array's end and the next one's begin.
fn elements(arrays: &ListArray) -> (ArrayRef, Vec<usize>) {
    let ends = arrays.offsets().iter();
    let mut ends: Vec<usize> = ends.map(|end| *end as usize).collect();
    let mut elements = arrays.values().clone();
    while let Some(inner) = elements.as_list_opt::<i32>() {
        for end in &mut ends {
            *end = inner.offsets()[*end] as usize;
        }
        elements = inner.values().clone();
    }
    (elements, ends)
}

fn is_jsonb(field: &Field) -> bool {
    let sql_type = types::sql_type(field);
    sql_type.is_ok_and(|sql_type| sql_type.kind == TypeKind::Jsonb && !sql_type.array)
}

/// Values and elements of one type whose bytes are equal where they are, and in order where they have one.
fn comparable(values: &ArrayRef, elements: &ArrayRef, jsonb: bool) -> Result<(ArrayRef, ArrayRef)> {
    let (value, element) = (values.data_type(), elements.data_type());
    if is_exact(value) && is_exact(element) && (value != element || *value == DataType::LargeBinary)
    {
        let key = |numbers| -> ArrayRef { Arc::new(Numbers::new(numbers).keys()) };
        return Ok((key(values), key(elements)));
    }
    let (values, elements) = match (value, element) {
        _ if value == element => (values.clone(), elements.clone()),
        (_, DataType::Null) => (values.clone(), cast(elements, value)?),
        _ => (cast(values, element)?, elements.clone()),
    };
    if jsonb {
        return Ok((jsonb_keys(&values)?, jsonb_keys(&elements)?));
    }
    Ok((keys(&values)?, keys(&elements)?))
}

fn keys(values: &ArrayRef) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::Interval(_) => {
            time::interval_keys(values.as_primitive::<IntervalMonthDayNanoType>())
        }
        DataType::Struct(_) => Err(failure::unsupported("ANY and ALL of an array of rows")),
        _ => Ok(float::keys(values)),
    }
}

fn jsonb_keys(values: &ArrayRef) -> Result<ArrayRef> {
    let texts = values.as_string_opt::<i32>();
    let texts = texts.ok_or_else(|| DataFusionError::Internal("jsonb as text".to_owned()))?;
    let keys: BinaryArray = texts
        .iter()
        .map(|text| text.map(|text| Json::new(text).key()))
        .collect();
    Ok(Arc::new(keys))
}
