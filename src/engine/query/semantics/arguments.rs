//! What the arguments of a function are, where the planner would take them otherwise or not at all.

use super::*;

/// The function, where it is one of ours that says which types it takes.
fn of_ours(function: &ScalarUDF) -> Option<&Function> {
    let inner: &dyn std::any::Any = function.inner().as_ref();
    inner.downcast_ref::<Function>()
}

/// Whether an argument of a function of ours has no type, or is a numeric, which may stand where a
/// float8 is wanted, or a moment, which may stand where one with a time zone is.
pub(super) fn has_argument_to_type(function: &ScalarFunction, schema: &DFSchema) -> bool {
    let to_type = |arg: &Expr| {
        is_unknown(arg)
            || matches!(
                arg.get_type(schema),
                Ok(DataType::LargeBinary | DataType::Date32 | DataType::Timestamp(_, None))
            )
    };
    of_ours(&function.func).is_some() && function.args.iter().any(to_type)
}

/// Literals, parameters and numerics take the types that the function has for them.
pub(super) fn typed_arguments(
    args: Vec<Expr>,
    function: &ScalarUDF,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Vec<Expr>> {
    let known = args.iter().map(|arg| match is_unknown(arg) {
        true => None,
        false => type_of(arg, schema).ok(),
    });
    let known: Vec<_> = known.collect();
    let Some(wanted) = of_ours(function).and_then(|function| function.wanted(&known)) else {
        return Ok(args);
    };
    let unknown = SqlType::scalar(TypeKind::Unknown);
    let typed = args.into_iter().zip(known).zip(wanted);
    let typed = typed.map(|((arg, known), wanted)| match wanted {
        Some(to) => explicit(arg, known.unwrap_or(unknown), to, input),
        None => Ok(arg),
    });
    typed.collect()
}

/// Whether a bound of a series has no type, or is a date, which is its midnight in the session's time zone.
pub(super) fn has_series_to_type(function: &ScalarFunction, schema: &DFSchema) -> bool {
    let is_moment = |arg: &Expr| {
        matches!(
            arg.get_type(schema),
            Ok(DataType::Date32 | DataType::Timestamp(..))
        )
    };
    function
        .args
        .iter()
        .any(|arg| is_unknown(arg) || is_moment(arg))
}

/// The bounds of a series are of one type, and the step between moments is an interval.
pub(super) fn series_arguments(
    args: Vec<Expr>,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Vec<Expr>> {
    use TypeKind::{Date, Int2, Int4, Int8, Interval, Numeric, Timestamp, Timestamptz};
    let unknown = SqlType::scalar(TypeKind::Unknown);
    let known = args.iter().take(2).filter(|arg| !is_unknown(arg));
    let known = known.map(|arg| type_of(arg, schema).map(|known| known.kind));
    let known = known.collect::<Result<Vec<_>>>()?;
    let moment = |kind| known.contains(&kind).then_some(kind);
    let bound = moment(Timestamptz).or_else(|| moment(Timestamp));
    let (bound, step) = match bound.or_else(|| known.first().copied()) {
        Some(kind @ (Timestamp | Timestamptz)) => (kind, Interval),
        Some(Date) => (Timestamptz, Interval),
        Some(kind @ (Int2 | Int4 | Int8 | Numeric)) => (kind, kind),
        _ => (Int4, Int4),
    };
    let typed = args.into_iter().enumerate().map(|(place, arg)| {
        let to = SqlType::scalar(if place < 2 { bound } else { step });
        if is_unknown(&arg) {
            return explicit(arg, unknown, to, input);
        }
        let found = type_of(&arg, schema)?;
        match found.kind {
            Date | Timestamp if place < 2 && found.kind != bound => explicit(arg, found, to, input),
            _ => Ok(arg),
        }
    });
    typed.collect()
}

/// Functions of the library that are only of float8.
const OF_FLOATS: &[&str] = &[
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "cot",
    "degrees", "radians", "sin", "sinh", "tan", "tanh",
];

/// The arguments with numerics as float8 where the function takes that: the library does not know
/// a number's bytes.
pub(super) fn float_arguments(
    function: &ScalarFunction,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Option<Vec<Expr>>> {
    let types: Result<Vec<_>> = function
        .args
        .iter()
        .map(|arg| arg.get_type(schema))
        .collect();
    let Ok(types) = types else {
        return Ok(None);
    };
    if !types.contains(&DataType::LargeBinary) {
        return Ok(None);
    }
    let wanted = if OF_FLOATS.contains(&function.name()) {
        vec![DataType::Float64; types.len()]
    } else {
        match function.func.coerce_types(&types) {
            Ok(wanted) => wanted,
            Err(_) => return Ok(None),
        }
    };
    let (numeric, float8) = (types::name::ANY_NUMERIC, SqlType::scalar(TypeKind::Float8));
    let mut changed = false;
    let mut args = Vec::with_capacity(types.len());
    for ((arg, found), wanted) in function.args.iter().zip(&types).zip(&wanted) {
        if (found, wanted) == (&DataType::LargeBinary, &DataType::Float64) {
            changed = true;
            args.push(explicit(arg.clone(), numeric, float8, input)?);
        } else {
            args.push(arg.clone());
        }
    }
    Ok(changed.then_some(args))
}
