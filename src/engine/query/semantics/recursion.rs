//! The columns of WITH RECURSIVE: each of the type that the first rows give it (PostgreSQL 15, §7.8.2).
//!
//! The planner casts what later rounds give to what Arrow keeps the first rows in: 2.5 became 2 beside an
//! integer, and a numeric kept the scale of the first. PostgreSQL refuses what does not fit, and a numeric
//! without a scale has none.

use super::*;
use crate::diagnostic::Diagnostic;
use crate::engine::query::functions::recursion::Term;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::logical_expr::RecursiveQuery;

/// Both terms, each column of them told to be what the first one says it is.
pub(super) fn of_columns(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::RecursiveQuery(recursion) = node else {
        return Ok(Transformed::no(node));
    };
    let RecursiveQuery {
        name,
        static_term,
        recursive_term,
        is_distinct,
        ..
    } = recursion;
    let fields: Vec<FieldRef> = static_term
        .schema()
        .fields()
        .iter()
        .map(|field| Arc::new(field.as_ref().clone().with_nullable(true)))
        .collect();
    let recursive_term = as_written(Arc::unwrap_or_clone(recursive_term))?;
    let first = columns_of(static_term, &name, Term::First, &fields)?;
    let recursive = columns_of(recursive_term, &name, Term::Recursive, &fields)?;
    let recursion = RecursiveQuery::try_new(name, first, recursive, is_distinct)?;
    Ok(Transformed::yes(LogicalPlan::RecursiveQuery(recursion)))
}

/// The term without the planner's casts: those that are written are calls of a function still.
fn as_written(term: LogicalPlan) -> Result<Arc<LogicalPlan>> {
    let LogicalPlan::Projection(projection) = term else {
        return Ok(Arc::new(term));
    };
    let uncast = |expr: &Expr| match expr {
        Expr::Cast(cast) => cast.expr.as_ref().clone(),
        other => other.clone(),
    };
    let exprs = projection.expr.iter().map(|expr| match expr {
        Expr::Alias(alias) => {
            uncast(&alias.expr).alias_qualified(alias.relation.clone(), &alias.name)
        }
        other => uncast(other),
    });
    let projection = Projection::try_new(exprs.collect(), projection.input)?;
    Ok(Arc::new(LogicalPlan::Projection(projection)))
}

/// The columns of a term, told to be what they are to be. What the planner calls them is of no type yet where the
/// term is marked by [`STEP`].
fn columns_of(
    plan: Arc<LogicalPlan>,
    query: &str,
    term: Term,
    fields: &[FieldRef],
) -> Result<Arc<LogicalPlan>> {
    let columns = plan.schema().iter().zip(plan.schema().columns());
    let typed = columns.zip(fields).enumerate();
    let typed = typed.map(|(index, (((qualifier, own), column), field))| {
        let value = Expr::Column(column);
        RecursiveColumn::call(query, index + 1, term, field.clone(), value)
            .alias_qualified(qualifier.cloned(), own.name())
    });
    let projection = Projection::try_new(typed.collect(), plan.clone())?;
    Ok(Arc::new(LogicalPlan::Projection(projection)))
}

/// What a recursion begins with: a literal that nothing decides is a text.
pub(super) fn seeded(value: Expr, input: Input<'_>) -> Result<Expr> {
    match is_unknown(&value) {
        true => {
            let text = SqlType::scalar(TypeKind::Text);
            explicit(value, SqlType::scalar(TypeKind::Unknown), text, input)
        }
        false => Ok(value),
    }
}

/// The value that [`RecursiveColumn`] stands for, of the column's type.
///
/// # Errors
/// 42804 for a value of a later round that is of another type than the first rows.
pub(super) fn typed(mut call: ScalarFunction, schema: &DFSchema, input: Input<'_>) -> Result<Expr> {
    let value = std::mem::take(&mut call.args[0]);
    let Some(column) = RecursiveColumn::of(&call) else {
        return Ok(value);
    };
    let from = type_of(&value, schema)?;
    let to = column.sql_type()?;
    if value.get_type(schema)? == DataType::Null {
        let value = value.cast_to(column.field.data_type(), schema)?;
        return Ok(label::as_field(value, column.field.clone()));
    }
    if column.term == Term::Recursive && !becomes(from, to) && !is_unknown(&value) {
        return Err(failure::external(unlike(column, from, to)));
    }
    let value = explicit(value, from, to, input)?;
    let field = &column.field;
    let found = value.get_type(schema)?;
    let value = match (field.data_type(), &found) {
        (wanted, found) if wanted == found => value,
        (DataType::LargeBinary, _) => numeric::number_of(value, &found),
        (wanted, _) => value.cast_to(wanted, schema)?,
    };
    Ok(label::as_field(value, field.clone()))
}

/// Whether a UNION of both is of the second: one of texts is of the first term's.
fn becomes(from: SqlType, to: SqlType) -> bool {
    let texts = is_text(from.kind) && is_text(to.kind) && from.array == to.array;
    from == to || one_type::common_type(&[from, to]) == Some(to) || texts && to.typmod == -1
}

fn unlike(column: &RecursiveColumn, from: SqlType, to: SqlType) -> Diagnostic {
    let overall = match is_text(from.kind) && is_text(to.kind) {
        true => SqlType { typmod: -1, ..to },
        false => one_type::common_type(&[from, to]).unwrap_or(from),
    };
    Diagnostic::error(
        SqlState::DATATYPE_MISMATCH,
        format!(
            "recursive query \"{}\" column {} has type {} in non-recursive term but type {} overall",
            column.query,
            column.place,
            types::format_type(to),
            types::format_type(overall)
        ),
    )
    .with_hint("Cast the output of the non-recursive term to the correct type.")
}
