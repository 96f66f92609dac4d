//! `$auth.*` in an expression: a function without arguments, of no type of its own until something
//! beside it decides one.
//!
//! It is the variable that is converted, not what it is compared with; where it cannot be, or the
//! session does not have it, it is NULL (REFERENCE §3 "Row policies").

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::query::statement::Statement;
use crate::engine::types::{self, Input};
use crate::sql::auth_variable::Variable;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

/// What the functions' names begin with; no client can write it.
const PREFIX: &str = "\u{1}auth.";

/// What `rewrite` calls a variable's function.
pub fn name_of(variable: &Variable) -> String {
    format!("{PREFIX}{}", variable.name())
}

/// The function of this name; None for any other function's.
pub fn named(name: &str) -> Option<Arc<ScalarUDF>> {
    let variable = Variable::named(name.strip_prefix(PREFIX)?)?;
    let (sql_type, decided) = match variable.is_list() {
        true => (SqlType::array_of(TypeKind::Text), Decided::Yes),
        false => (SqlType::scalar(TypeKind::Text), Decided::No),
    };
    Some(AuthVariable::function(variable, sql_type, decided))
}

/// Whether something has said which type the variable is to be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Decided {
    Yes,
    No,
}

/// A variable as a value of one type.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct AuthVariable {
    /// Which.
    pub variable: Variable,
    /// Its type.
    pub sql_type: SqlType,
    decided: Decided,
    /// As it was looked up by: the planner gives a call by another name an alias.
    name: String,
    signature: Signature,
}

impl AuthVariable {
    fn function(variable: Variable, sql_type: SqlType, decided: Decided) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(AuthVariable {
            name: name_of(&variable),
            variable,
            sql_type,
            decided,
            signature: Signature::nullary(Volatility::Stable),
        }))
    }

    /// The variable that an expression is.
    pub fn of(expr: &Expr) -> Option<&AuthVariable> {
        match expr {
            Expr::ScalarFunction(call) => call.func.inner().downcast_ref::<AuthVariable>(),
            _ => None,
        }
    }

    /// Whether nothing has decided its type.
    pub fn is_open(&self) -> bool {
        self.decided == Decided::No
    }

    /// The same variable as a value of this type.
    pub fn as_type(&self, sql_type: SqlType) -> Expr {
        let function = AuthVariable::function(self.variable.clone(), sql_type, Decided::Yes);
        Expr::ScalarFunction(ScalarFunction::new_udf(function, Vec::new()))
    }
}

/// The value of a variable as one of a type: NULL where the session does not have it, or it is no
/// text of that type.
pub fn value(variable: &Variable, sql_type: SqlType, input: Input<'_>) -> ScalarValue {
    let null = || types::null_scalar(sql_type);
    let Some(variables) = input.variables else {
        return null();
    };
    if !variable.is_list() {
        let text = variables.text(variable);
        let value = text.and_then(|text| types::decode_text(&text, sql_type, input).ok());
        return value.unwrap_or_else(null);
    }
    let Some(members) = variables.list(variable) else {
        return null();
    };
    let element = SqlType::scalar(sql_type.kind);
    let members: Option<Vec<ScalarValue>> = members
        .into_iter()
        .map(|member| types::decode_text(member, element, input).ok())
        .collect();
    match members {
        Some(members) if sql_type.array => {
            let list = ScalarValue::new_list_nullable(&members, &types::data_type(element));
            ScalarValue::List(list)
        }
        _ => null(),
    }
}

impl ScalarUDFImpl for AuthVariable {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, _args: &[Expr]) -> Result<String> {
        Ok(format!(
            "{}::{}",
            self.variable,
            types::format_type(self.sql_type)
        ))
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(types::data_type(self.sql_type))
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = crate::engine::query::cast::field("auth", self.sql_type);
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let statement = Statement::of(&args.config_options)?;
        let value = value(&self.variable, self.sql_type, statement.input());
        let wanted = args.return_field.data_type();
        let value = match value.data_type() == *wanted {
            true => value,
            false => value.cast_to(wanted)?,
        };
        Ok(ColumnarValue::Scalar(value))
    }
}

/// `current_setting('auth.id')` and `auth.uid()`: what policies written for PostgreSQL call. None for
/// anything else.
pub fn of_call(schema: Option<&str>, function: &str, argument: Option<&str>) -> Option<Variable> {
    match (schema, function, argument) {
        (Some("auth"), "uid", None) => Some(Variable::Id),
        (Some("auth"), "role", None) => Some(Variable::Role),
        (Some("auth"), "email", None) => Some(Variable::Email),
        (None | Some("pg_catalog"), "current_setting", Some(setting)) => {
            Variable::named(setting.strip_prefix("auth.")?).filter(|variable| !variable.is_list())
        }
        _ => None,
    }
}
