//! Casts with PostgreSQL's meaning, by `engine::types`.
//!
//! A cast of a quoted literal is worked out at once (so that its error comes at planning, and the
//! planner sees a constant). Between numbers the planner's own cast is used where it only widens,
//! because the optimizer understands it; everything else is a function of ours.

use super::failure;
use super::statement::Statement;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::query::functions::auth_variable::AuthVariable;
use crate::engine::query::functions::{label, names};
use crate::engine::settings::Settings;
use crate::engine::types::enumeration::KeptUserTypes;
use crate::engine::types::number::Number;
use crate::engine::types::{self, CastContext, Input};
use datafusion::arrow::compute;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction, Unnest};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Whether nothing has decided the expression's type yet: a quoted literal, NULL, a parameter,
/// `$auth.*`.
pub fn is_unknown(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::Null, None) => true,
        Expr::Placeholder(parameter) => parameter.field.is_none(),
        Expr::Alias(alias) => is_unknown(&alias.expr),
        Expr::ScalarFunction(_) => AuthVariable::of(expr).is_some_and(AuthVariable::is_open),
        _ => false,
    }
}

/// The SQL type of an expression; `unknown` where [`is_unknown`].
pub fn type_of(expr: &Expr, schema: &DFSchema) -> Result<SqlType> {
    if is_unknown(expr) {
        return Ok(SqlType::scalar(TypeKind::Unknown));
    }
    // The planner's field of an element has lost what kind of text or number it is.
    if let Expr::Unnest(Unnest { expr: list, .. }) = expr
        && let Ok(found) = type_of(list, schema)
        && found.array
    {
        return Ok(SqlType {
            array: false,
            ..found
        });
    }
    let (_, field) = expr.to_field(schema)?;
    types::sql_type(&field).map_err(failure::external)
}

/// The expression as a value of another type, as `CAST` makes it.
///
/// # Errors
/// 42846 where there is no such cast; what a literal's value gives.
pub fn explicit(expr: Expr, from: SqlType, to: SqlType, input: Input<'_>) -> Result<Expr> {
    if let Expr::Placeholder(parameter) = &expr
        && parameter.field.is_none()
    {
        // It is of the type alone; what the modifier demands is done to its value.
        let bare = SqlType { typmod: -1, ..to };
        return explicit(parameter_of(&parameter.id, bare), bare, to, input);
    }
    if let Some(variable) = AuthVariable::of(&expr)
        && variable.is_open()
    {
        return Ok(variable.as_type(to));
    }
    if let Expr::Literal(value, None) = &expr
        && is_unknown(&expr)
    {
        return literal(value, to, input);
    }
    if from == to || (from.kind == to.kind && from.array == to.array && to.typmod == -1) {
        return Ok(expr);
    }
    if let Some(labels) = array_of_labels(&expr, from, to, input)? {
        return Ok(labels);
    }
    if let Expr::Literal(value, _) = &expr
        && !depends_on_settings(from)
        && !depends_on_settings(to)
    {
        // What cannot be cast is told when it is asked for: it may stand in a branch that is not taken.
        if let Ok(value) = types::cast(value.clone(), from, to, CastContext::Explicit, input) {
            return Ok(Expr::Literal(value, Some(metadata(to))));
        }
    }
    if widens(from, to) {
        let field = field("cast", to);
        let field = match to.kind {
            TypeKind::Numeric => field.with_data_type(integer_decimal(from)),
            _ => field,
        };
        return Ok(Expr::Cast(
            datafusion::logical_expr::expr::Cast::new_from_field(Box::new(expr), Arc::new(field)),
        ));
    }
    let known = by_name(from) || by_name(to) || types::can_cast(from, to, CastContext::Explicit);
    if !known {
        return Err(failure::external(types::cannot_cast(from, to)));
    }
    Ok(function(expr, from, to))
}

/// `ARRAY['a', 'b']::mood[]`: its elements are constants, as they would be by themselves.
fn array_of_labels(
    expr: &Expr,
    from: SqlType,
    to: SqlType,
    input: Input<'_>,
) -> Result<Option<Expr>> {
    let Expr::ScalarFunction(call) = expr else {
        return Ok(None);
    };
    let literal = |arg: &Expr| matches!(arg, Expr::Literal(ScalarValue::Utf8(_), _));
    let of_enum = to.array && matches!(to.kind, TypeKind::Enum(_));
    if !of_enum || call.name() != "make_array" || !call.args.iter().all(literal) {
        return Ok(None);
    }
    let one = |of: SqlType| SqlType { array: false, ..of };
    let elements = call.args.iter().cloned();
    let elements = elements.map(|element| explicit(element, one(from), one(to), input));
    let array = ScalarFunction::new_udf(call.func.clone(), elements.collect::<Result<_>>()?);
    Ok(Some(label::as_type(Expr::ScalarFunction(array), to)))
}

/// The cast as a function, whatever the types.
pub fn function(expr: Expr, from: SqlType, to: SqlType) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(
        Arc::new(ScalarUDF::new_from_impl(CastTo::new(from, to))),
        vec![expr],
    ))
}

/// A parameter of this type.
pub fn parameter_of(id: &str, sql_type: SqlType) -> Expr {
    Expr::Placeholder(Placeholder {
        id: id.to_owned(),
        field: Some(Arc::new(field(id, sql_type))),
    })
}

/// A nullable field of the type: with metadata only where its Arrow type does not say it all, so
/// that a constant, which has none, is of the same type.
pub fn field(name: impl Into<String>, sql_type: SqlType) -> Field {
    let field = types::arrow_field(name, sql_type, true);
    if types::arrow::from_data_type(field.data_type()) == Ok(sql_type) {
        field.with_metadata(Default::default())
    } else {
        field
    }
}

/// Literal metadata that says the type.
pub fn metadata(sql_type: SqlType) -> FieldMetadata {
    FieldMetadata::from(&types::arrow_field("literal", sql_type, true))
}

/// A quoted literal (or NULL) as a constant of the type.
fn literal(value: &ScalarValue, to: SqlType, input: Input<'_>) -> Result<Expr> {
    let text = match value {
        ScalarValue::Utf8(Some(text)) => text,
        _ => return Ok(Expr::Literal(types::null_scalar(to), Some(metadata(to)))),
    };
    // Names and moments of now are looked up when the statement runs.
    if by_name(to) && text.parse::<u32>().is_err() || depends_on_settings(to) && is_moment(text) {
        let typed = Expr::Literal(
            value.clone(),
            Some(metadata(SqlType::scalar(TypeKind::Text))),
        );
        return Ok(function(typed, SqlType::scalar(TypeKind::Text), to));
    }
    let value = if by_name(to) && !to.array {
        ScalarValue::UInt32(text.parse().ok())
    } else {
        // The modifier is applied as an explicit cast does it: cutting, not refusing.
        let base = SqlType { typmod: -1, ..to };
        types::decode_text(text, base, input)
            .and_then(|value| match to.typmod {
                -1 => Ok(value),
                _ => types::cast(value, base, to, CastContext::Explicit, input),
            })
            .map_err(failure::external)?
    };
    Ok(match decimal_of(&value, to) {
        Some(decimal) => Expr::Literal(decimal, None),
        None => Expr::Literal(value, Some(metadata(to))),
    })
}

/// A constant numeric as a decimal, which the planner compares with columns, where it is one.
fn decimal_of(value: &ScalarValue, to: SqlType) -> Option<ScalarValue> {
    if to != types::name::ANY_NUMERIC {
        return None;
    }
    let decimal = Number::of_scalar(value)?.to_decimal()?;
    let digits = decimal
        .unscaled
        .unsigned_abs()
        .checked_ilog10()
        .unwrap_or(0) as u8
        + 1;
    let precision = digits.max(decimal.scale).max(1);
    Some(ScalarValue::Decimal128(
        Some(decimal.unscaled),
        precision,
        decimal.scale as i8,
    ))
}

fn is_moment(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    ["now", "today", "tomorrow", "yesterday"]
        .iter()
        .any(|word| text.contains(word))
}

/// Types whose text is a name of the catalog.
pub fn by_name(sql_type: SqlType) -> bool {
    matches!(
        sql_type.kind,
        TypeKind::Regclass | TypeKind::Regtype | TypeKind::Regproc
    )
}

/// Types whose casts look at the session's time zone.
fn depends_on_settings(sql_type: SqlType) -> bool {
    matches!(
        sql_type.kind,
        TypeKind::Timestamptz | TypeKind::Timestamp | TypeKind::Date | TypeKind::Time
    )
}

fn number_rank(kind: TypeKind) -> Option<u8> {
    Some(match kind {
        TypeKind::Int2 => 0,
        TypeKind::Int4 => 1,
        TypeKind::Int8 => 2,
        TypeKind::Numeric => 3,
        TypeKind::Float8 => 5,
        _ => return None,
    })
}

/// Whether the planner's own cast from one to the other is exact.
fn widens(from: SqlType, to: SqlType) -> bool {
    if from.array || to.array || to.typmod != -1 || from.kind == TypeKind::Numeric {
        return false;
    }
    match (number_rank(from.kind), number_rank(to.kind)) {
        (Some(from), Some(to)) => from < to,
        _ => false,
    }
}

fn integer_decimal(from: SqlType) -> DataType {
    match from.kind {
        TypeKind::Int2 => DataType::Decimal128(5, 0),
        TypeKind::Int4 => DataType::Decimal128(10, 0),
        _ => DataType::Decimal128(19, 0),
    }
}

/// The function that casts its argument to one type.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct CastTo {
    /// Kept here, because constants lose the metadata that would say it.
    from: SqlType,
    to: SqlType,
    signature: Signature,
    /// What it looks at, where that is not the statement that runs it.
    pinned: Option<Pinned>,
}

/// What the casts of one statement look at.
#[derive(Clone, Debug)]
pub struct Pinned {
    settings: Arc<Settings>,
    transaction_time: i64,
    types: Option<KeptUserTypes>,
}

impl PartialEq for Pinned {
    fn eq(&self, other: &Pinned) -> bool {
        let same_types = match (&self.types, &other.types) {
            (Some(one), Some(other)) => one.same(other),
            (None, None) => true,
            _ => false,
        };
        Arc::ptr_eq(&self.settings, &other.settings)
            && self.transaction_time == other.transaction_time
            && same_types
    }
}

impl Eq for Pinned {}

impl Hash for Pinned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.settings).hash(state);
        self.transaction_time.hash(state);
    }
}

impl Pinned {
    /// What this statement's look at.
    pub fn new(input: Input<'_>) -> Pinned {
        Pinned {
            settings: Arc::new(input.settings.clone()),
            transaction_time: input.transaction_time,
            types: input.types.map(types::UserTypes::keep),
        }
    }

    /// The expression, where it is a cast by settings, as one by these.
    pub fn pin(&self, expr: Expr) -> Transformed<Expr> {
        let cast = match &expr {
            Expr::ScalarFunction(call) => call.func.inner().downcast_ref::<CastTo>(),
            _ => None,
        };
        let Some(pinned) = cast.and_then(|cast| cast.pinned_to(self)) else {
            return Transformed::no(expr);
        };
        let Expr::ScalarFunction(call) = expr else {
            return Transformed::no(expr);
        };
        let function = Arc::new(ScalarUDF::new_from_impl(pinned));
        Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(
            function, call.args,
        )))
    }
}

/// Whether nothing but the value says what the cast gives.
fn is_immutable(from: SqlType, to: SqlType) -> bool {
    let by_settings = |of: SqlType| {
        by_name(of)
            || depends_on_settings(of)
            || matches!(
                of.kind,
                TypeKind::Interval
                    | TypeKind::Bytea
                    | TypeKind::Float4
                    | TypeKind::Float8
                    | TypeKind::Record
            )
    };
    let without_zone = |of: SqlType| {
        matches!(
            of.kind,
            TypeKind::Date | TypeKind::Timestamp | TypeKind::Time
        ) && !of.array
    };
    // Which labels there are the definition says; a value has its own with it.
    let reads_label = matches!(to.kind, TypeKind::Enum(_)) && from.kind != to.kind;
    let by_itself = !by_settings(from) && !by_settings(to) && !reads_label;
    by_itself || without_zone(from) && without_zone(to)
}

impl CastTo {
    /// A cast between these types.
    pub fn new(from: SqlType, to: SqlType) -> CastTo {
        let volatility = match is_immutable(from, to) {
            true => Volatility::Immutable,
            false => Volatility::Stable,
        };
        CastTo {
            from,
            to,
            signature: Signature::any(1, volatility),
            pinned: None,
        }
    }

    /// None where nothing that can be pinned decides.
    fn pinned_to(&self, pinned: &Pinned) -> Option<CastTo> {
        if is_immutable(self.from, self.to) || by_name(self.from) || by_name(self.to) {
            return None;
        }
        Some(CastTo {
            from: self.from,
            to: self.to,
            signature: Signature::any(1, Volatility::Immutable),
            pinned: Some(pinned.clone()),
        })
    }
}

/// The Arrow type of a cast before `semantics` has seen it: exact numbers of one scale stay what
/// they are as numeric.
fn result_type(to: SqlType, from: &DataType) -> DataType {
    match super::operators::decimal::of(from) {
        Some(decimal) if to == types::name::ANY_NUMERIC => decimal,
        _ => types::data_type(to),
    }
}

impl ScalarUDFImpl for CastTo {
    fn name(&self) -> &str {
        "cast"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let inner = args.first().map(|arg| arg.schema_name().to_string());
        Ok(format!(
            "{}::{}",
            inner.unwrap_or_default(),
            types::format_type(self.to)
        ))
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(types::data_type(self.to))
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(self::field("cast", self.to)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let from = self.from;
        let statement = Statement::of(&args.config_options);
        let defaults = Settings::default();
        let input = match (&self.pinned, &statement) {
            (Some(pinned), _) => Input {
                settings: &pinned.settings,
                transaction_time: pinned.transaction_time,
                variables: None,
                types: pinned.types.as_ref().map(KeptUserTypes::types),
            },
            (None, Ok(statement)) => statement.input(),
            (None, Err(_)) => Input {
                settings: &defaults,
                transaction_time: 0,
                variables: None,
                types: None,
            },
        };
        let constant = matches!(args.args[0], ColumnarValue::Scalar(_));
        let rows = if constant { 1 } else { args.number_rows };
        let array = args.args[0].to_array(rows)?;
        let cast = if by_name(from) || by_name(self.to) {
            names::cast_array(&array, from, self.to, &*statement?)?
        } else {
            types::cast_array(&array, from, self.to, CastContext::Explicit, input)
                .map_err(failure::external)?
        };
        let cast = if cast.data_type() == args.return_field.data_type() {
            cast
        } else {
            compute::cast(&cast, args.return_field.data_type())?
        };
        if constant {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &cast, 0,
            )?))
        } else {
            Ok(ColumnarValue::Array(cast))
        }
    }
}

/// `cast_to(value, type)`: what `rewrite::casts` makes of casts, until `semantics` has seen it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Written {
    signature: Signature,
}

impl Written {
    /// The function.
    pub fn function() -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Written {
            signature: Signature::any(2, Volatility::Immutable),
        }))
    }

    /// The type that its second argument names.
    pub fn target(name: &Expr) -> Option<SqlType> {
        match name {
            Expr::Literal(ScalarValue::Utf8(Some(name)), _) => named(name),
            _ => None,
        }
    }
}

fn named(name: &str) -> Option<SqlType> {
    let (name, typmod) = name.rsplit_once(':')?;
    let found = types::name::from_stored_name(name)?;
    Some(SqlType {
        typmod: typmod.parse().ok()?,
        ..found
    })
}

impl ScalarUDFImpl for Written {
    fn name(&self) -> &str {
        crate::engine::query::rewrite::casts::CAST_TO
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Err(failure::external(Diagnostic::internal("a cast of no type")))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let to = match args.scalar_arguments {
            [_, Some(ScalarValue::Utf8(Some(name)))] => named(name),
            _ => None,
        };
        match to {
            Some(to) => {
                let result = result_type(to, args.arg_fields[0].data_type());
                let field = self::field(self.name(), to);
                Ok(Arc::new(field.with_data_type(result)))
            }
            None => Err(failure::external(Diagnostic::internal("a cast of no type"))),
        }
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(failure::external(Diagnostic::internal(
            "a cast was not planned",
        )))
    }
}
