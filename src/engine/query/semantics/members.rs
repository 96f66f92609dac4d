//! Values of which one is the result: CASE, coalesce and their like, of the type that PostgreSQL
//! resolves for them (§10.5).

use super::*;

/// What gives one of several values of one type, as a value of the type that the first has.
pub(super) fn labelled(expr: Expr, first: &Expr, schema: &DFSchema) -> Result<Expr> {
    let Ok(wanted) = type_of(first, schema) else {
        return Ok(expr);
    };
    let found = match type_of(&expr, schema) {
        Ok(found) => found,
        // What nothing but the label tells.
        Err(_) if matches!(wanted.kind, TypeKind::Enum(_)) => SqlType::scalar(TypeKind::Unknown),
        Err(_) => return Ok(expr),
    };
    let same = (found.kind, found.array) == (wanted.kind, wanted.array);
    let fits = expr.get_type(schema)? == first.get_type(schema)?;
    if same || !fits || wanted.kind == TypeKind::Unknown {
        return Ok(expr);
    }
    let wanted = SqlType {
        typmod: -1,
        ..wanted
    };
    Ok(label::as_type(expr, wanted))
}

pub(super) fn takes_one_type(function: &str) -> bool {
    matches!(
        function,
        "coalesce" | "nullif" | "greatest" | "least" | "make_array"
    )
}

/// Numbers of different types, one of them numeric, as values of one: a float where one is, else numerics, which keep each
/// its own scale. Moments of different types as those of the widest.
pub(super) fn one_number_type(
    members: Vec<Expr>,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Vec<Expr>> {
    one_type_by(one_type::unlike_library, members, schema, input)
}

/// Members of different types as values of the one that `common` says they have together, where it knows one.
pub(super) fn one_type_by(
    common: fn(&[SqlType]) -> Option<SqlType>,
    members: Vec<Expr>,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Vec<Expr>> {
    let mut types = Vec::with_capacity(members.len());
    for member in &members {
        let Ok((_, field)) = member.to_field(schema) else {
            return Ok(members);
        };
        types.push((
            types::sql_type(&field).map_err(failure::external)?,
            field.data_type().clone(),
        ));
    }
    let alike = types.iter().all(|(_, data_type)| *data_type == types[0].1);
    let kinds: Vec<_> = types.iter().map(|(sql_type, _)| *sql_type).collect();
    let Some(to) = common(&kinds).filter(|_| !alike) else {
        return Ok(members);
    };
    let unified = members
        .into_iter()
        .zip(&types)
        .map(|(member, (sql_type, data_type))| match to.kind {
            TypeKind::Numeric => Ok(numeric::number_of(member, data_type)),
            _ => explicit(member, *sql_type, to, input),
        });
    unified.collect()
}

/// How members are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// Each with the first, by the operator of the two types.
    EachWithFirst,
    /// As values of the one type that they have together: `x IN (a, b)` (PostgreSQL's transformAExprIn).
    OfOneType,
}

/// Members that are compared, numerics beside a float as floats: the planner has no cast of its own for a numeric
/// of any size, and makes a decimal of the float, which has fewer digits.
pub(super) fn comparable_members(
    members: Vec<Expr>,
    compared: Compared,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Vec<Expr>> {
    let members = same_type(members, schema, input)?;
    let types: Vec<_> = members.iter().flat_map(|it| it.get_type(schema)).collect();
    let is = |of: fn(&DataType) -> bool| types.iter().any(of);
    // The session's time zone says which moment a date or plain timestamp is.
    if is(|one| matches!(one, DataType::Timestamp(_, Some(_)))) {
        return one_number_type(members, schema, input);
    }
    let is_numeric = |one: &DataType| {
        matches!(
            one,
            DataType::LargeBinary | DataType::Decimal128(..) | DataType::Decimal256(..)
        )
    };
    if !is(|one| matches!(one, DataType::Float32 | DataType::Float64)) || !is(is_numeric) {
        return Ok(members);
    }
    if compared == Compared::OfOneType {
        return one_number_type(members, schema, input);
    }
    // float4 and numeric meet in float8.
    let float = SqlType::scalar(TypeKind::Float8);
    let as_float = |member: Expr| {
        let found = type_of(&member, schema)?;
        explicit(member, found, float, input)
    };
    members.into_iter().map(as_float).collect()
}

/// NULLIF of values that are compared by their keys.
pub(super) fn null_where_equal(value: Expr, keyed: Vec<Expr>) -> Result<Expr> {
    let [left, right] = <[Expr; 2]>::try_from(keyed)
        .map_err(|_| DataFusionError::Internal("two arguments".to_owned()))?;
    let equal = crate::engine::query::operators::binary(left, Operator::Eq, right);
    let unequal = crate::engine::query::operators::binary(
        equal,
        Operator::IsDistinctFrom,
        Expr::Literal(ScalarValue::Boolean(Some(true)), None),
    );
    Ok(Expr::Case(Case::new(
        None,
        vec![(Box::new(unequal), Box::new(value))],
        None,
    )))
}

/// Gives members that nothing has decided the type of the first one that has one.
pub fn same_type(members: Vec<Expr>, schema: &DFSchema, input: Input<'_>) -> Result<Vec<Expr>> {
    let known = members
        .iter()
        .filter(|member| !is_unknown(member))
        .map(|member| type_of(member, schema))
        .next();
    let Some(Ok(known)) = known else {
        return Ok(members);
    };
    let to = SqlType {
        typmod: -1,
        ..known
    };
    let adapt = |member: Expr| {
        if is_unknown(&member) {
            explicit(member, SqlType::scalar(TypeKind::Unknown), to, input)
        } else {
            Ok(member)
        }
    };
    members.into_iter().map(adapt).collect()
}

pub(super) fn case_of_one_type(
    mut case: Case,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Case> {
    let conditions = case.when_then_expr.len();
    if let Some(operand) = case.expr.take() {
        let mut members = vec![*operand];
        members.extend(case.when_then_expr.iter().map(|(when, _)| (**when).clone()));
        let members = comparable_members(members, Compared::EachWithFirst, schema, input)?;
        let mut members = keys::of(members, schema)?.into_iter();
        case.expr = members.next().map(Box::new);
        for ((when, _), member) in case.when_then_expr.iter_mut().zip(members) {
            **when = member;
        }
    }
    if case.expr.is_none() {
        for (when, _) in &mut case.when_then_expr {
            let condition = std::mem::take(&mut **when);
            **when = condition_of("CASE/WHEN", condition, schema, input)?;
        }
    }
    let mut results: Vec<_> = case
        .when_then_expr
        .iter()
        .map(|(_, then)| (**then).clone())
        .collect();
    results.extend(case.else_expr.iter().map(|otherwise| (**otherwise).clone()));
    let results = same_type(results, schema, input)?;
    // PostgreSQL looks at ELSE first.
    let mut looked_at = results.clone();
    looked_at.rotate_right(usize::from(case.else_expr.is_some()));
    if let Some((one, other)) = enumeration::unlike(&looked_at, schema) {
        return Err(one_type::unlike("CASE", one, other));
    }
    let mut results = one_number_type(results, schema, input)?.into_iter();
    for ((_, then), result) in case.when_then_expr.iter_mut().zip(results.by_ref()) {
        **then = result;
    }
    debug_assert_eq!(case.when_then_expr.len(), conditions);
    case.else_expr = results.next().map(Box::new);
    Ok(case)
}
