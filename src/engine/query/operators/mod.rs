//! Binary operators as PostgreSQL resolves them, while the planner meets them.
//!
//! Quoted literals and parameters take the other operand's type; arithmetic becomes checked
//! functions; what PostgreSQL has no operator for is 42883 here rather than a cast the planner
//! would find.

pub mod arithmetic;
pub mod bits;
pub mod datetime;
pub mod decimal;

use super::cast::{explicit, is_unknown, type_of};
use super::functions::quantified::{Comparison, Quantifier};
use super::functions::{array_elements, blanks, label};
use super::{failure, keys, semantics};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::settings::Settings;
use crate::engine::types::Input;
use crate::engine::types::enumeration::KeptUserTypes;
use crate::sql::dialect::CONTAINS;
use arithmetic::Operation;
use bits::Bits;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{BinaryExpr, Like, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, lit};
use sqlparser::ast::BinaryOperator;
use std::sync::Arc;

/// Plans the operators of one statement.
#[derive(Debug)]
pub struct Operators {
    /// The session's settings.
    pub settings: Arc<Settings>,
    /// now(), in Unix microseconds.
    pub transaction_time: i64,
    /// The types that somebody has defined.
    pub types: Option<KeptUserTypes>,
}

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        raw: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let input = Input {
            settings: &self.settings,
            transaction_time: self.transaction_time,
            variables: None,
            types: self.types.as_ref().map(KeptUserTypes::types),
        };
        let (left, left_type) = operand(raw.left, schema, input)?;
        let (right, right_type) = operand(raw.right, schema, input)?;
        let (left_type, right_type) = match (left_type, right_type) {
            (Some(left), Some(right)) => (left, right),
            // A column that is not there: the planner says so itself.
            _ => {
                return Ok(PlannerResult::Original(RawBinaryExpr {
                    op: raw.op,
                    left,
                    right,
                }));
            }
        };
        let operands = Operands {
            left,
            right,
            left_type,
            right_type,
            input,
        };
        operands.with_floats(&raw.op)?.plan(raw.op, schema)
    }

    fn plan_extract(&self, mut args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        // `extract('hour' from …)`: the planner keeps the quotes.
        if let Some(Expr::Literal(ScalarValue::Utf8(Some(part)), _)) = args.first_mut()
            && let Some(bare) = part
                .strip_prefix('\'')
                .and_then(|rest| rest.strip_suffix('\''))
        {
            *part = bare.to_owned();
        }
        Ok(PlannerResult::Planned(Expr::ScalarFunction(
            ScalarFunction::new_udf(super::functions::time::extract(), args),
        )))
    }
}

/// An operand and its type, None where it has none that could be found.
///
/// It stays as it was written where it has a type before the planner knows what it means: GROUP BY finds
/// what is grouped by again as it was written.
fn operand(raw: Expr, schema: &DFSchema, input: Input<'_>) -> Result<(Expr, Option<SqlType>)> {
    if let Expr::BinaryExpr(binary) = &raw
        && is_condition(binary.op)
    {
        return Ok((raw, Some(SqlType::scalar(TypeKind::Bool))));
    }
    let meant = semantics::expression(raw.clone(), schema, input)?;
    let found = match type_of(&meant, schema) {
        Ok(found) => found,
        // Bytes compare with anything to the planner: which enumeration it is must be known here.
        Err(error) if matches!(meant.get_type(schema), Ok(DataType::BinaryView)) => {
            return Err(error);
        }
        Err(_) => return Ok((meant, None)),
    };
    let (_, field) = meant.to_field(schema)?;
    let operand = match raw.get_type(schema) {
        Err(_) => meant,
        Ok(written) => {
            let alike = type_of(&raw, schema).is_ok_and(|written| written == found)
                && written == *field.data_type();
            match alike || raw == meant {
                true => raw,
                false => label::meant(raw, field),
            }
        }
    };
    Ok((operand, Some(found)))
}

/// What is planned already and can only be true, false or unknown.
fn is_condition(operator: Operator) -> bool {
    use Operator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    matches!(operator, And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

struct Operands<'a> {
    left: Expr,
    right: Expr,
    left_type: SqlType,
    right_type: SqlType,
    input: Input<'a>,
}

type Planned = Result<PlannerResult<RawBinaryExpr>>;

impl Operands<'_> {
    fn plan(self, op: BinaryOperator, schema: &DFSchema) -> Planned {
        use BinaryOperator::*;
        let of_enum = |one: SqlType| matches!(one.kind, TypeKind::Enum(_)) && !one.array;
        let taken = matches!(
            op,
            Eq | NotEq | Lt | LtEq | Gt | GtEq | And | Or | StringConcat
        ) || matches!(&op, Custom(name) if name == CONTAINS);
        if !taken && (of_enum(self.left_type) || of_enum(self.right_type)) {
            return Err(self.no_operator(&op.to_string()));
        }
        match op {
            Plus => self.arithmetic(Operation::Add),
            Minus if self.left_type.kind == TypeKind::Jsonb && !self.left_type.array => {
                self.of_json(op)
            }
            Minus => self.arithmetic(Operation::Subtract),
            Multiply => self.arithmetic(Operation::Multiply),
            Divide => self.arithmetic(Operation::Divide),
            Modulo => self.arithmetic(Operation::Remainder),
            PGExp => Ok(self.call(super::functions::numeric_math::power())),
            Eq | NotEq | Lt | LtEq | Gt | GtEq => self.comparison(op, schema),
            And | Or => self.logic(op, schema),
            Arrow | LongArrow | HashArrow | HashLongArrow | Question | QuestionAnd
            | QuestionPipe | HashMinus => self.of_json(op),
            AtArrow | ArrowAt | PGOverlap if self.left_type.array || self.right_type.array => {
                self.of_arrays(op)
            }
            AtArrow | ArrowAt => self.of_json(op),
            StringConcat if self.joins_json() => self.of_json(op),
            StringConcat => self.concatenation(),
            PGStartsWith => Ok(self.call(super::functions::text::starts_with())),
            PGLikeMatch => Ok(self.like(false, false)),
            PGILikeMatch => Ok(self.like(false, true)),
            PGNotLikeMatch => Ok(self.like(true, false)),
            PGNotILikeMatch => Ok(self.like(true, true)),
            PGRegexMatch => self.regular(&op, None, false),
            PGRegexIMatch => self.regular(&op, Some("i"), false),
            PGRegexNotMatch => self.regular(&op, None, true),
            PGRegexNotIMatch => self.regular(&op, Some("i"), true),
            Custom(name) if name == CONTAINS => self.contains(),
            other => match Bits::of(&other) {
                Some(bits) => self.of_bits(bits),
                None => self.original(other),
            },
        }
    }

    /// Whether `||` is jsonb's: beside a text jsonb is one, too.
    fn joins_json(&self) -> bool {
        let kinds = [self.left_type, self.right_type];
        let of_json = |one: &SqlType| one.kind == TypeKind::Jsonb && !one.array;
        let may_be = |one: &SqlType| of_json(one) || one.kind == TypeKind::Unknown;
        kinds.iter().any(of_json) && kinds.iter().all(may_be)
    }

    fn of_json(mut self, op: BinaryOperator) -> Planned {
        let found =
            super::functions::json::operators::function(&op, self.left_type, self.right_type);
        let Some((function, right)) = found else {
            return Err(self.no_operator(&op.to_string()));
        };
        if is_unknown(&self.left) {
            self = self.convert_left(SqlType::scalar(TypeKind::Jsonb))?;
        }
        if is_unknown(&self.right) {
            self = self.convert_right(right)?;
        }
        Ok(self.call(function))
    }

    /// What an array has of another one.
    fn of_arrays(self, op: BinaryOperator) -> Planned {
        let operands = self.unified()?;
        let (left, right) = (operands.left_type, operands.right_type);
        let alike = left.kind == right.kind || is_text(left.kind) && is_text(right.kind);
        if !(left.array && right.array && alike) {
            return Err(operands.no_operator(&op.to_string()));
        }
        let function = match op {
            BinaryOperator::AtArrow => super::functions::array_sets::contains(),
            BinaryOperator::ArrowAt => super::functions::array_sets::contained(),
            _ => super::functions::array_sets::overlaps(),
        };
        Ok(operands.call(function))
    }

    /// Membership of an array, or of a list of words in a text.
    fn contains(mut self) -> Planned {
        if self.left_type.array {
            let element = SqlType::scalar(self.left_type.kind);
            if is_unknown(&self.right) {
                self = self.convert_right(element)?;
            }
            if !comparable(element, self.right_type) {
                return Err(self.no_operator(CONTAINS));
            }
            let function = Comparison::Equal.function(Quantifier::Any);
            return Ok(PlannerResult::Planned(Expr::ScalarFunction(
                ScalarFunction::new_udf(function, vec![self.right, self.left]),
            )));
        }
        let text = SqlType::scalar(TypeKind::Text);
        if is_unknown(&self.left) {
            self = self.convert_left(text)?;
        }
        if is_unknown(&self.right) {
            self = self.convert_right(text)?;
        }
        if !is_text(self.left_type.kind) || self.right_type.array || !is_text(self.right_type.kind)
        {
            return Err(self.no_operator(CONTAINS));
        }
        Ok(self.call(super::functions::text::has_word()))
    }

    fn no_operator(&self, name: &str) -> DataFusionError {
        let (left, right) = (self.left_type, self.right_type);
        failure::external(failure::no_operator(name, left, right))
    }

    fn original(self, op: BinaryOperator) -> Planned {
        Ok(PlannerResult::Original(RawBinaryExpr {
            op,
            left: self.left,
            right: self.right,
        }))
    }

    fn call(
        self,
        function: Arc<datafusion::logical_expr::ScalarUDF>,
    ) -> PlannerResult<RawBinaryExpr> {
        PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(
            function,
            vec![self.left, self.right],
        )))
    }

    fn arithmetic(mut self, operation: Operation) -> Planned {
        use TypeKind::{Date, Interval, Time, Timestamp, Timestamptz};
        let moving = matches!(operation, Operation::Add | Operation::Subtract);
        // What may be added to a moment or taken from it without a type of its own: an interval.
        let beside = |known: SqlType| match known.kind {
            Date | Time | Timestamp | Timestamptz if moving => SqlType::scalar(Interval),
            Interval if !moving => SqlType::scalar(TypeKind::Float8),
            _ => known,
        };
        match (is_unknown(&self.left), is_unknown(&self.right)) {
            (true, true) => {
                let both = SqlType::scalar(TypeKind::Int4);
                self = self.convert_left(both)?.convert_right(both)?;
            }
            (true, false) => {
                let to = match self.right_type.kind {
                    // `'2024-01-01' - date` is a difference of dates.
                    _ if operation == Operation::Subtract => self.right_type,
                    _ => beside(self.right_type),
                };
                self = self.convert_left(to)?;
            }
            (false, true) => {
                let to = match self.left_type.kind {
                    // `date - '2024-01-01'` is a difference, too.
                    Date | Time | Timestamp | Timestamptz if operation == Operation::Subtract => {
                        self.left_type
                    }
                    _ => beside(self.left_type),
                };
                self = self.convert_right(to)?;
            }
            (false, false) => {}
        }
        let is = |operands: &Self, kind| {
            [operands.left_type, operands.right_type]
                .iter()
                .any(|one| one.kind == kind && !one.array)
        };
        if operation == Operation::Subtract && is(&self, Timestamptz) {
            self = self.with_zones()?;
        }
        let function = match is(&self, Timestamptz) && is(&self, Interval) {
            true => operation.zoned_function(),
            false => operation.function(),
        };
        Ok(self.call(function))
    }

    /// What has no type of its own is of the other's, and a count of places int4.
    fn of_bits(mut self, operator: Bits) -> Planned {
        let count = SqlType::scalar(TypeKind::Int4);
        match (is_unknown(&self.left), is_unknown(&self.right)) {
            (false, true) => {
                let to = if operator.shifts() {
                    count
                } else {
                    self.left_type
                };
                self = self.convert_right(to)?;
            }
            (true, false) => {
                let to = self.right_type;
                self = self.convert_left(to)?;
            }
            _ => {}
        }
        let counted = !operator.shifts() || self.right_type.kind != TypeKind::Int8;
        match bits::has_bits(self.left_type) && bits::has_bits(self.right_type) && counted {
            true => Ok(self.call(operator.function())),
            false => Err(self.no_operator(operator.symbol())),
        }
    }

    /// A numeric beside a float or an interval is a float8.
    fn with_floats(mut self, op: &BinaryOperator) -> Result<Self> {
        let float = |sql_type: SqlType| {
            !sql_type.array
                && matches!(
                    sql_type.kind,
                    TypeKind::Float4 | TypeKind::Float8 | TypeKind::Interval
                )
        };
        let numeric = |sql_type: SqlType| sql_type.kind == TypeKind::Numeric && !sql_type.array;
        if matches!(op, BinaryOperator::StringConcat) {
            return Ok(self);
        }
        let to = SqlType::scalar(TypeKind::Float8);
        if float(self.left_type) && numeric(self.right_type) {
            self = self.convert_right(to)?;
        } else if numeric(self.left_type) && float(self.right_type) {
            self = self.convert_left(to)?;
        }
        Ok(self)
    }

    fn convert_left(mut self, to: SqlType) -> Result<Self> {
        let to = SqlType { typmod: -1, ..to };
        self.left = explicit(self.left, self.left_type, to, self.input)?;
        self.left_type = to;
        Ok(self)
    }

    fn convert_right(mut self, to: SqlType) -> Result<Self> {
        let to = SqlType { typmod: -1, ..to };
        self.right = explicit(self.right, self.right_type, to, self.input)?;
        self.right_type = to;
        Ok(self)
    }

    /// Gives an operand without a type that of the other one.
    fn unified(self) -> Result<Self> {
        match (is_unknown(&self.left), is_unknown(&self.right)) {
            (true, true) => {
                let text = SqlType::scalar(TypeKind::Text);
                self.convert_left(text)?.convert_right(text)
            }
            (true, false) => {
                let to = self.right_type;
                self.convert_left(to)
            }
            (false, true) => {
                let to = self.left_type;
                self.convert_right(to)
            }
            (false, false) => Ok(self),
        }
    }

    /// The session's time zone says which moment a date or plain timestamp is beside one that has a zone.
    fn with_zones(self) -> Result<Self> {
        use TypeKind::{Date, Timestamp, Timestamptz};
        let zoned = SqlType::scalar(Timestamptz);
        match (self.left_type.kind, self.right_type.kind) {
            (Timestamptz, Date | Timestamp) => self.convert_right(zoned),
            (Date | Timestamp, Timestamptz) => self.convert_left(zoned),
            _ => Ok(self),
        }
    }

    /// A regular expression, which sees the blanks of char(n). The library's are written otherwise than PostgreSQL's.
    fn regular(mut self, op: &BinaryOperator, flags: Option<&str>, negated: bool) -> Planned {
        let text =
            |one: SqlType| !one.array && (is_text(one.kind) || one.kind == TypeKind::Unknown);
        if !text(self.left_type) || !text(self.right_type) {
            return Err(self.no_operator(&op.to_string()));
        }
        self.left = blanks::shown(self.left, self.left_type);
        let mut args = vec![self.left, self.right];
        args.extend(flags.map(lit));
        let function = super::functions::regular::like();
        let found = Expr::ScalarFunction(ScalarFunction::new_udf(function, args));
        Ok(PlannerResult::Planned(match negated {
            true => Expr::Not(Box::new(found)),
            false => found,
        }))
    }

    /// Of varchar beside char(n) blanks at its end do not count.
    fn without_blanks(self) -> Result<Self> {
        let is = |one: SqlType, kind| one.kind == kind && !one.array;
        let (left, right) = (self.left_type, self.right_type);
        let bpchar = SqlType::scalar(TypeKind::Bpchar);
        if is(left, TypeKind::Bpchar) && is(right, TypeKind::Varchar) {
            return self.convert_right(bpchar);
        }
        match is(left, TypeKind::Varchar) && is(right, TypeKind::Bpchar) {
            true => self.convert_left(bpchar),
            false => Ok(self),
        }
    }

    fn comparison(self, op: BinaryOperator, schema: &DFSchema) -> Planned {
        let mut operands = self.unified()?.without_blanks()?;
        let (left, right) = (operands.left_type, operands.right_type);
        if !comparable(left, right) {
            return Err(operands.no_operator(&op.to_string()));
        }
        operands = operands.with_zones()?;
        let keys = keys::of(vec![operands.left, operands.right], schema)?;
        [operands.left, operands.right] = <[Expr; 2]>::try_from(keys)
            .map_err(|_| DataFusionError::Internal("two operands".to_owned()))?;
        operands.original(op)
    }

    fn logic(mut self, op: BinaryOperator, schema: &DFSchema) -> Planned {
        let place = op.to_string();
        self.left = semantics::condition_of(&place, self.left, schema, self.input)?;
        self.right = semantics::condition_of(&place, self.right, schema, self.input)?;
        self.original(op)
    }

    fn concatenation(self) -> Planned {
        if self.left_type.array || self.right_type.array {
            // A literal beside an array is an array, too.
            let operands = self.unified()?;
            let (left, right) = (operands.left_type, operands.right_type);
            let joined =
                array_elements::concatenation((operands.left, left), (operands.right, right));
            return Ok(PlannerResult::Planned(joined));
        }
        let kinds = [self.left_type.kind, self.right_type.kind];
        let binary = |kind: &TypeKind| matches!(kind, TypeKind::Bytea | TypeKind::Unknown);
        if kinds.contains(&TypeKind::Bytea) && kinds.iter().all(binary) {
            // A literal beside bytes is bytes, too.
            let operands = self.unified()?;
            return Ok(operands.call(super::functions::binary::concatenation()));
        }
        let text = |kind| matches!(kind, TypeKind::Unknown) || is_text(kind);
        if !text(self.left_type.kind) && !text(self.right_type.kind) {
            return Err(self.no_operator("||"));
        }
        let to = SqlType::scalar(TypeKind::Text);
        self.convert_left(to)?
            .convert_right(to)?
            .original(BinaryOperator::StringConcat)
    }

    fn like(self, negated: bool, case_insensitive: bool) -> PlannerResult<RawBinaryExpr> {
        PlannerResult::Planned(Expr::Like(Like::new(
            negated,
            Box::new(self.left),
            Box::new(self.right),
            None,
            case_insensitive,
        )))
    }
}

/// Types that are texts to each other.
pub fn is_text(kind: TypeKind) -> bool {
    matches!(
        kind,
        TypeKind::Text | TypeKind::Varchar | TypeKind::Bpchar | TypeKind::Name | TypeKind::Char
    )
}

fn is_number(kind: TypeKind) -> bool {
    matches!(
        kind,
        TypeKind::Int2
            | TypeKind::Int4
            | TypeKind::Int8
            | TypeKind::Numeric
            | TypeKind::Float4
            | TypeKind::Float8
            | TypeKind::Oid
            | TypeKind::Regclass
            | TypeKind::Regtype
            | TypeKind::Regproc
    )
}

/// Whether PostgreSQL has = and < between the types.
pub fn comparable(left: SqlType, right: SqlType) -> bool {
    use TypeKind::{Date, Json, Timestamp, Timestamptz};
    if left.array != right.array {
        return false;
    }
    if left.kind == Json || right.kind == Json {
        return false;
    }
    if left.array {
        return left.kind == right.kind || is_text(left.kind) && is_text(right.kind);
    }
    let moment = |kind| matches!(kind, Date | Timestamp | Timestamptz);
    left.kind == right.kind
        || is_text(left.kind) && is_text(right.kind)
        || is_number(left.kind) && is_number(right.kind)
        || moment(left.kind) && moment(right.kind)
}

/// `left op right` as the planner keeps it.
pub fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}
