//! The columns of UNION and of VALUES, whose branches and rows give each a type of its own (PostgreSQL §10.5).

use super::*;

/// Quoted literals of one branch take the type of the other's column, and names of OIDs are numbers where
/// the first branch has numbers; texts and numbers that are neither literal do not match.
pub(super) fn of_one_type(mut union: Union, input: Input<'_>) -> Result<Union> {
    let width = union.schema.fields().len();
    let mut changed = named_as_the_first(&mut union)?;
    for column in 0..width {
        let known = union
            .inputs
            .iter()
            .filter(|branch| !literal_at(branch, column) && !null_at(branch, column))
            .map(|branch| types::sql_type(branch.schema().field(column)))
            .next();
        let Some(Ok(known)) = known else {
            continue;
        };
        for branch in &mut union.inputs {
            if literal_at(branch, column)
                && let LogicalPlan::Projection(projection) = branch.as_ref()
            {
                let mut exprs = projection.expr.clone();
                let name = projection.schema.field(column).name().clone();
                let to = SqlType {
                    typmod: -1,
                    ..known
                };
                let unknown = SqlType::scalar(TypeKind::Unknown);
                let literal = exprs[column].clone().unalias();
                exprs[column] = explicit(literal, unknown, to, input)?.alias(name);
                let input_plan = projection.input.clone();
                *branch = Arc::new(LogicalPlan::Projection(Projection::try_new(
                    exprs, input_plan,
                )?));
                changed = true;
                continue;
            }
            if null_at(branch, column) {
                *branch = Arc::new(null_of_type(branch, column, known)?);
                changed = true;
                continue;
            }
            let found =
                types::sql_type(branch.schema().field(column)).map_err(failure::external)?;
            let enumerations = [found, known].map(|one| match one.kind {
                TypeKind::Enum(type_id) => Some(type_id),
                _ => None,
            });
            if is_text(found.kind) != is_text(known.kind)
                || found.array != known.array
                || enumerations[0] != enumerations[1]
            {
                return Err(one_type::unlike("UNION", known, found));
            }
            if known.kind == TypeKind::Oid
                && is_named_oid(found.kind)
                && let LogicalPlan::Projection(projection) = branch.as_ref()
            {
                let mut exprs = projection.expr.clone();
                let name = projection.schema.field(column).name().clone();
                let named = exprs[column].clone().unalias();
                exprs[column] = explicit(named, found, known, input)?.alias(name);
                let below = projection.input.clone();
                let projection = Projection::try_new(exprs, below)?;
                *branch = Arc::new(LogicalPlan::Projection(projection));
                changed = true;
            }
        }
        changed |= numbers_of_one_type(&mut union.inputs, column, input)?;
    }
    match changed {
        // Its columns' types are those of its branches.
        true => Union::try_new_with_loose_types(union.inputs),
        false => Ok(union),
    }
}

/// Names the columns of all branches as the first one's: the planner looks for those where only another
/// branch is left.
fn named_as_the_first(union: &mut Union) -> Result<bool> {
    let names: Vec<String> = union
        .schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let distinct: std::collections::HashSet<&String> = names.iter().collect();
    if distinct.len() < names.len() {
        return Ok(false);
    }
    let mut changed = false;
    for branch in &mut union.inputs {
        let columns = branch.schema().columns();
        if columns.iter().map(|column| &column.name).eq(&names) {
            continue;
        }
        let named = columns.into_iter().zip(&names);
        let named = named.map(|(column, name)| Expr::Column(column).alias(name));
        let named = match branch.as_ref() {
            // Literals are found where they are written.
            LogicalPlan::Projection(projection) => {
                let exprs = projection.expr.iter().cloned().zip(&names);
                let exprs = exprs.map(|(expr, name)| expr.unalias().alias(name));
                Projection::try_new(exprs.collect(), projection.input.clone())?
            }
            _ => Projection::try_new(named.collect(), branch.clone())?,
        };
        *branch = Arc::new(LogicalPlan::Projection(named));
        changed = true;
    }
    Ok(changed)
}

/// Each value of VALUES as its column is kept: what it means may be kept otherwise than what was written.
pub(super) fn rows_of_one_type(plan: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Values(mut values) = plan else {
        return Ok(plan);
    };
    let none = DFSchema::empty();
    for row in &mut values.values {
        for (value, field) in row.iter_mut().zip(values.schema.fields()) {
            if value.get_type(&none)? != *field.data_type() {
                let cast = std::mem::take(value).cast_to(field.data_type(), &none)?;
                *value = cast;
            }
        }
    }
    Ok(LogicalPlan::Values(values))
}

/// Number columns of different types as of the one that they have together: a union of this one has to know it.
fn numbers_of_one_type(
    branches: &mut [Arc<LogicalPlan>],
    column: usize,
    input: Input<'_>,
) -> Result<bool> {
    let placed = |branch: &LogicalPlan| branch.schema().columns().into_iter().nth(column);
    let Some(members) = branches
        .iter()
        .map(|branch| placed(branch).map(|_| branch.schema().field(column).clone()))
        .collect::<Option<Vec<_>>>()
    else {
        return Ok(false);
    };
    let names = (0..members.len()).map(|branch| format!("{branch}"));
    let fields = members
        .into_iter()
        .zip(names.clone())
        .map(|(field, name)| (None, Arc::new(field.as_ref().clone().with_name(name))));
    let schema = DFSchema::new_with_metadata(fields.collect(), Default::default())?;
    let columns: Vec<_> = names
        .map(|name| Expr::Column(Column::new_unqualified(name)))
        .collect();
    let unified = one_type_by(one_type::common_type, columns.clone(), &schema, input)?;
    if unified == columns {
        return Ok(false);
    }
    for (branch, unified) in branches.iter_mut().zip(unified) {
        let own = branch.schema().columns();
        let columns = own.into_iter().enumerate().map(|(place, found)| {
            if place != column {
                return Ok(Expr::Column(found));
            }
            let name = found.name.clone();
            let replaced = unified.clone().transform_up(|expr| {
                Ok(match expr {
                    Expr::Column(_) => Transformed::yes(Expr::Column(found.clone())),
                    other => Transformed::no(other),
                })
            })?;
            Ok(replaced.data.alias(name))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let projection = Projection::try_new(columns, branch.clone())?;
        *branch = Arc::new(LogicalPlan::Projection(projection));
    }
    Ok(true)
}

/// An OID that prints as the name of what it numbers.
fn is_named_oid(kind: TypeKind) -> bool {
    matches!(
        kind,
        TypeKind::Regclass | TypeKind::Regtype | TypeKind::Regproc
    )
}

/// Whether the column is NULL in every row, and of no type.
fn null_at(plan: &LogicalPlan, column: usize) -> bool {
    *plan.schema().field(column).data_type() == DataType::Null
}

/// A branch of which a column is NULL in every row, as one of this type.
fn null_of_type(branch: &Arc<LogicalPlan>, column: usize, known: SqlType) -> Result<LogicalPlan> {
    let to = SqlType {
        typmod: -1,
        ..known
    };
    let columns = branch.schema().columns().into_iter().enumerate();
    let columns = columns.map(|(place, found)| {
        if place != column {
            return Ok(Expr::Column(found));
        }
        let null = ScalarValue::try_from(&types::data_type(to))?;
        Ok(Expr::Literal(null, Some(crate::engine::query::cast::metadata(to))).alias(found.name))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let typed = Projection::try_new(columns, branch.clone())?;
    Ok(LogicalPlan::Projection(typed))
}

fn literal_at(plan: &LogicalPlan, column: usize) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => projection
            .expr
            .get(column)
            .is_some_and(|expr| is_unknown(expr) && !matches!(expr, Expr::Placeholder(_))),
        _ => false,
    }
}
