//! A scalar function of ours: its name, the argument types it takes, its result, its body.

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::failure;
use crate::engine::query::statement::Statement;
use crate::engine::types;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, FieldRef, Int32Type, Int64Type, UInt32Type,
};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What a function computes its rows from.
pub struct Call<'a> {
    /// One array for each argument, all of [`Call::rows`] rows.
    pub args: Vec<ArrayRef>,
    /// How many rows.
    pub rows: usize,
    options: &'a ConfigOptions,
}

impl<'a> Call<'a> {
    /// Of the planner's arguments, as arrays of so many rows.
    ///
    /// # Errors
    /// What making arrays of constants gives.
    pub fn of(args: &'a ScalarFunctionArgs, rows: usize) -> Result<Call<'a>> {
        let arrays = args.args.iter().map(|arg| arg.to_array(rows));
        Ok(Call {
            args: arrays.collect::<Result<_>>()?,
            rows,
            options: &args.config_options,
        })
    }
}

impl Call<'_> {
    /// The statement that calls.
    ///
    /// # Errors
    /// XX000 outside a statement.
    pub fn statement(&self) -> Result<Arc<Statement>> {
        Statement::of(self.options)
    }

    /// A text argument of a row; None is NULL.
    pub fn text(&self, argument: usize, row: usize) -> Option<&str> {
        let array: &StringArray = self.args[argument].as_string();
        (!array.is_null(row)).then(|| array.value(row))
    }

    fn primitive<T: ArrowPrimitiveType>(&self, argument: usize, row: usize) -> Option<T::Native> {
        let array = self.args[argument].as_primitive::<T>();
        (!array.is_null(row)).then(|| array.value(row))
    }

    /// An int4 argument of a row.
    pub fn int4(&self, argument: usize, row: usize) -> Option<i32> {
        self.primitive::<Int32Type>(argument, row)
    }

    /// An int8 argument of a row.
    pub fn int8(&self, argument: usize, row: usize) -> Option<i64> {
        self.primitive::<Int64Type>(argument, row)
    }

    /// An OID argument of a row.
    pub fn oid(&self, argument: usize, row: usize) -> Option<u32> {
        self.primitive::<UInt32Type>(argument, row)
    }

    /// A boolean argument of a row.
    pub fn bool(&self, argument: usize, row: usize) -> Option<bool> {
        let array = self.args[argument].as_boolean();
        (!array.is_null(row)).then(|| array.value(row))
    }

    /// A text result, row by row.
    pub fn texts(&self, one: impl FnMut(usize) -> Result<Option<String>>) -> Result<ArrayRef> {
        let values = (0..self.rows).map(one).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(values.into_iter().collect::<StringArray>()))
    }

    /// A boolean result, row by row.
    pub fn bools(&self, one: impl FnMut(usize) -> Result<Option<bool>>) -> Result<ArrayRef> {
        let values = (0..self.rows).map(one).collect::<Result<Vec<_>>>()?;
        let array: datafusion::arrow::array::BooleanArray = values.into_iter().collect();
        Ok(Arc::new(array))
    }

    /// A result of a primitive type, row by row.
    pub fn values<T: ArrowPrimitiveType>(
        &self,
        one: impl FnMut(usize) -> Result<Option<T::Native>>,
    ) -> Result<ArrayRef> {
        let values = (0..self.rows).map(one).collect::<Result<Vec<_>>>()?;
        let array: datafusion::arrow::array::PrimitiveArray<T> = values.into_iter().collect();
        Ok(Arc::new(array))
    }
}

/// What a function does.
pub type Body = fn(&Call<'_>) -> Result<ArrayRef>;

/// A type of an argument: fixed, or whatever comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Converted to this type.
    Of(SqlType),
    /// Taken as it comes.
    Any,
    /// An array of whatever elements.
    AnyArray,
}

/// Shorthand for a scalar type.
pub const fn of(kind: TypeKind) -> Argument {
    Argument::Of(SqlType::scalar(kind))
}

/// A text argument.
pub const TEXT: Argument = of(TypeKind::Text);
/// An OID argument.
pub const OID: Argument = of(TypeKind::Oid);
/// An int4 argument.
pub const INT4: Argument = of(TypeKind::Int4);
/// A float8 argument.
pub const FLOAT8: Argument = of(TypeKind::Float8);
/// A timestamptz argument.
pub const TIMESTAMPTZ: Argument = of(TypeKind::Timestamptz);
/// An interval argument.
pub const INTERVAL: Argument = of(TypeKind::Interval);
/// A regclass argument.
pub const REGCLASS: Argument = of(TypeKind::Regclass);
/// An int8 argument.
pub const INT8: Argument = of(TypeKind::Int8);
/// A bool argument.
pub const BOOL: Argument = of(TypeKind::Bool);

/// A scalar function of ours.
pub struct Function {
    name: &'static str,
    forms: &'static [&'static [Argument]],
    returns: Returns,
    body: Body,
    signature: Signature,
}

/// Of which type a function's result is.
#[derive(Clone, Copy)]
enum Returns {
    Type(SqlType),
    /// That of the argument at this place.
    AsArgument(usize),
}

impl Function {
    /// A function that depends on its arguments only, and gives a value of one's type.
    pub fn of_argument(
        name: &'static str,
        forms: &'static [&'static [Argument]],
        argument: usize,
        body: Body,
    ) -> Arc<ScalarUDF> {
        let returns = Returns::AsArgument(argument);
        Function::of_volatility(name, forms, returns, body, Volatility::Immutable)
    }

    /// A function that depends on its arguments only.
    pub fn immutable(
        name: &'static str,
        forms: &'static [&'static [Argument]],
        returns: SqlType,
        body: Body,
    ) -> Arc<ScalarUDF> {
        Function::of_volatility(
            name,
            forms,
            Returns::Type(returns),
            body,
            Volatility::Immutable,
        )
    }

    /// A function that depends on the statement too.
    pub fn stable(
        name: &'static str,
        forms: &'static [&'static [Argument]],
        returns: SqlType,
        body: Body,
    ) -> Arc<ScalarUDF> {
        Function::of_volatility(
            name,
            forms,
            Returns::Type(returns),
            body,
            Volatility::Stable,
        )
    }

    /// A function that gives something else each time, or has an effect.
    pub fn volatile(
        name: &'static str,
        forms: &'static [&'static [Argument]],
        returns: SqlType,
        body: Body,
    ) -> Arc<ScalarUDF> {
        Function::of_volatility(
            name,
            forms,
            Returns::Type(returns),
            body,
            Volatility::Volatile,
        )
    }

    fn of_volatility(
        name: &'static str,
        forms: &'static [&'static [Argument]],
        returns: Returns,
        body: Body,
        volatility: Volatility,
    ) -> Arc<ScalarUDF> {
        let signature = if forms.iter().all(|form| form.is_empty()) {
            Signature::nullary(volatility)
        } else {
            Signature::user_defined(volatility)
        };
        Arc::new(ScalarUDF::new_from_impl(Function {
            name,
            forms,
            returns,
            body,
            signature,
        }))
    }
}

impl Function {
    /// The types that arguments without one take, beside those that have theirs: of the first form
    /// that takes the latter, and float8 for a numeric. None where the argument stays as it is.
    pub fn wanted(&self, known: &[Option<SqlType>]) -> Option<Vec<Option<SqlType>>> {
        let takes = |form: &&&[Argument], exact: bool| {
            form.len() == known.len()
                && form
                    .iter()
                    .zip(known)
                    .all(|(argument, known)| match (argument, known) {
                        (Argument::Of(to), Some(from)) if exact => {
                            to.kind == from.kind && to.array == from.array
                        }
                        (Argument::Of(to), Some(from)) => passes(&types::data_type(*from), *to),
                        (Argument::AnyArray, Some(from)) => from.array,
                        _ => true,
                    })
        };
        let exact = self.forms.iter().find(|form| takes(form, true));
        let alike = |argument: &Argument, known: &Option<SqlType>| match (argument, known) {
            (Argument::Of(to), Some(from)) => to.kind == from.kind && to.array == from.array,
            _ => false,
        };
        let fitting = self.forms.iter().filter(|form| takes(form, false));
        let form = exact.or_else(|| nearest(fitting, known, alike))?;
        let wanted = form
            .iter()
            .zip(known)
            .map(|(argument, known)| match (argument, known) {
                (Argument::Of(to), None) => Some(*to),
                (Argument::Of(to), Some(from))
                    if to.kind == TypeKind::Float8 && from.kind == TypeKind::Numeric
                        || is_wider_moment(*to, *from) =>
                {
                    Some(*to)
                }
                _ => None,
            });
        Some(wanted.collect())
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// The form of which most arguments are of the types that are given; of several the first.
fn nearest<'f, T>(
    forms: impl Iterator<Item = &'f &'static [Argument]>,
    given: &[T],
    alike: impl Fn(&Argument, &T) -> bool,
) -> Option<&'f &'static [Argument]> {
    let alike_in = |form: &[Argument]| {
        let pairs = form.iter().zip(given);
        pairs.filter(|(argument, one)| alike(argument, one)).count()
    };
    forms
        .enumerate()
        .max_by_key(|(place, form)| (alike_in(form), std::cmp::Reverse(*place)))
        .map(|(_, form)| form)
}

/// Whether one is a moment that the other becomes by the session's time zone, or by midnight.
fn is_wider_moment(to: SqlType, from: SqlType) -> bool {
    use TypeKind::{Date, Timestamp, Timestamptz};
    !to.array
        && !from.array
        && matches!(
            (from.kind, to.kind),
            (Date, Timestamp | Timestamptz) | (Timestamp, Timestamptz)
        )
}

fn is_array(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::Null)
}

/// Whether a value of this Arrow type may be passed where another is wanted.
fn passes(from: &DataType, to: SqlType) -> bool {
    let wanted = types::data_type(to);
    // Of an enumeration `semantics` says that it does not pass, and what it is called.
    if *from == wanted || from.is_null() || *from == DataType::BinaryView {
        return true;
    }
    match (from, &wanted) {
        (DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8, _) => true,
        (from, wanted) if from.is_numeric() && wanted.is_numeric() => true,
        // `semantics` has a cast of ours for it.
        (DataType::LargeBinary, DataType::Float64) => true,
        (DataType::Date32, DataType::Timestamp(..)) => true,
        (DataType::Timestamp(..), DataType::Timestamp(..)) => true,
        (DataType::List(from), DataType::List(to)) => {
            from.data_type() == to.data_type() || from.data_type().is_null()
        }
        _ => false,
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let fits = |form: &&&[Argument]| {
            form.len() == arg_types.len()
                && form
                    .iter()
                    .zip(arg_types)
                    .all(|(argument, from)| match argument {
                        Argument::Any => true,
                        Argument::AnyArray => is_array(from),
                        Argument::Of(to) => passes(from, *to),
                    })
        };
        let exact = |form: &&&[Argument]| {
            form.len() == arg_types.len()
                && form
                    .iter()
                    .zip(arg_types)
                    .all(|(argument, from)| match argument {
                        Argument::Any => true,
                        Argument::AnyArray => is_array(from),
                        Argument::Of(to) => types::data_type(*to) == *from,
                    })
        };
        let form = self.forms.iter().find(exact);
        let alike = |argument: &Argument, from: &DataType| match argument {
            Argument::Of(to) => types::data_type(*to) == *from,
            _ => false,
        };
        let fitting = self.forms.iter().filter(fits);
        let Some(form) = form.or_else(|| nearest(fitting, arg_types, alike)) else {
            let given: Vec<_> = arg_types
                .iter()
                .filter_map(|data_type| types::arrow::from_data_type(data_type).ok())
                .collect();
            return Err(failure::external(failure::no_function(self.name, &given)));
        };
        let convert = |(argument, from): (&Argument, &DataType)| match argument {
            Argument::Any | Argument::AnyArray => from.clone(),
            // Until `semantics` has made a float8 of it: the planner knows no cast.
            Argument::Of(_) if matches!(from, DataType::LargeBinary | DataType::BinaryView) => {
                from.clone()
            }
            Argument::Of(to) => types::data_type(*to),
        };
        Ok(form.iter().zip(arg_types).map(convert).collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match self.returns {
            Returns::Type(sql_type) => types::data_type(sql_type),
            Returns::AsArgument(place) => arg_types[place].clone(),
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let sql_type = match self.returns {
            Returns::Type(sql_type) => sql_type,
            Returns::AsArgument(place) => super::label::type_of(&args.arg_fields[place])?,
        };
        Ok(Arc::new(crate::engine::query::cast::field(
            self.name, sql_type,
        )))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)))
            && self.signature.volatility != Volatility::Volatile;
        let rows = if constant { 1 } else { args.number_rows };
        let call = Call::of(&args, rows)?;
        let result = (self.body)(&call)?;
        if result.data_type() != args.return_field.data_type() {
            return Err(DataFusionError::Internal(format!(
                "{} gave {}",
                self.name,
                result.data_type()
            )));
        }
        if constant {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &result, 0,
            )?))
        } else {
            Ok(ColumnarValue::Array(result))
        }
    }
}

/// A function that is not there: the error of its call has the argument types in it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Missing {
    name: String,
    signature: Signature,
}

impl Missing {
    /// The function that is not there.
    pub fn function(name: &str) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Missing {
            name: name.to_owned(),
            signature: Signature::one_of(
                vec![TypeSignature::VariadicAny, TypeSignature::Nullary],
                Volatility::Volatile,
            ),
        }))
    }
}

impl Missing {
    /// 0A000 for a function that PostgreSQL has, 42883 for one that nobody has.
    fn absent(&self, given: &[SqlType]) -> Diagnostic {
        let none = failure::no_function(&self.name, given);
        // Of rows it is (`rewrite::whole_rows`); of anything else nobody has it.
        if !super::postgresql::has(&self.name) || self.name == "row_to_json" {
            return none;
        }
        let call = none.message().strip_suffix(" does not exist");
        Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{} is not supported yet", call.unwrap_or("this function")),
        )
    }
}

impl ScalarUDFImpl for Missing {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Err(failure::external(self.absent(&[])))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given: Vec<_> = args
            .arg_fields
            .iter()
            .filter_map(|field| types::sql_type(field).ok())
            .collect();
        Err(failure::external(self.absent(&given)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(failure::external(self.absent(&[])))
    }
}
