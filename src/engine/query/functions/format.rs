//! format(), concat() and concat_ws(): texts of values of any type, as a client is sent them.

use super::text::{quote_ident, quote_literal};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::statement::Statement;
use crate::engine::query::{cast, failure};
use crate::engine::settings::Settings;
use crate::engine::types;
use crate::engine::types::json_of::JsonColumn;
use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Columns a field may be filled up to.
const WIDTH_MAX: usize = 1 << 20;

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let made = |name, written| -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(OfAny {
            name,
            written,
            signature: Signature::variadic_any(Volatility::Stable),
        }))
    };
    vec![
        made("format", formatted as Written),
        made("concat_ws", |values| {
            let separator = values.text(0);
            Ok(separator.map(|separator| values.joined(1, &separator)))
        }),
        made("concat", |values| Ok(Some(values.joined(0, "")))),
    ]
}

/// What the function makes of the values of a row; None is NULL.
type Written = fn(Values<'_>) -> std::result::Result<Option<String>, Diagnostic>;

#[derive(Debug)]
struct OfAny {
    name: &'static str,
    written: Written,
    signature: Signature,
}

impl PartialEq for OfAny {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OfAny {}

impl Hash for OfAny {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

fn invalid(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Where the values of a row are.
struct Values<'a> {
    columns: &'a [JsonColumn<'a>],
    row: usize,
    next: usize,
}

impl Values<'_> {
    /// The text of an argument, counted from 0; None is NULL.
    fn text(&self, argument: usize) -> Option<String> {
        let column = self.columns.get(argument)?;
        (!column.is_null(self.row)).then(|| column.printed(self.row))
    }

    /// The values from an argument on that are not NULL, with the text between them.
    fn joined(&self, from: usize, separator: &str) -> String {
        let places = from..self.columns.len();
        let texts: Vec<_> = places.filter_map(|place| self.text(place)).collect();
        texts.join(separator)
    }

    /// The value at a place, from 1, or else the next one: None is NULL.
    fn take(&mut self, place: Option<usize>) -> std::result::Result<Option<String>, Diagnostic> {
        let place = match place {
            Some(0) => {
                return Err(invalid(
                    "format specifies argument 0, but arguments are numbered from 1",
                ));
            }
            Some(place) => place,
            None => self.next,
        };
        self.next = place + 1;
        let column = self
            .columns
            .get(place)
            .ok_or_else(|| invalid("too few arguments for format()"))?;
        Ok((!column.is_null(self.row)).then(|| column.printed(self.row)))
    }
}

fn formatted(mut values: Values<'_>) -> std::result::Result<Option<String>, Diagnostic> {
    let Some(template) = values.text(0) else {
        return Ok(None);
    };
    let mut out = String::with_capacity(template.len() + 16);
    let mut rest = template.chars().peekable();
    let unterminated = || {
        invalid("unterminated format() type specifier").with_hint("For a single \"%\" use \"%%\".")
    };
    while let Some(letter) = rest.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        if rest.peek() == Some(&'%') {
            rest.next();
            out.push('%');
            continue;
        }
        let mut place = None;
        let mut left = false;
        let mut width = number(&mut rest)?;
        if width.is_some() && rest.peek() == Some(&'$') {
            rest.next();
            place = width.take();
        }
        if width.is_none() {
            while rest.next_if_eq(&'-').is_some() {
                left = true;
            }
            if rest.next_if_eq(&'*').is_some() {
                let at = number(&mut rest)?;
                if at.is_some() {
                    rest.next_if_eq(&'$')
                        .ok_or_else(|| invalid("width argument position must be ended by \"$\""))?;
                }
                let told = values.take(at)?.unwrap_or_default();
                let told: i64 = told.parse().unwrap_or(0);
                left |= told < 0;
                width = usize::try_from(told.unsigned_abs()).ok();
            } else {
                width = number(&mut rest)?;
            }
        }
        if width.is_some_and(|width| width > WIDTH_MAX) {
            return Err(invalid("number is out of range"));
        }
        let kind = rest.next().ok_or_else(unterminated)?;
        if !matches!(kind, 's' | 'I' | 'L') {
            return Err(
                invalid(format!("unrecognized format() type specifier \"{kind}\""))
                    .with_hint("For a single \"%\" use \"%%\"."),
            );
        }
        let value = values.take(place)?;
        let text = match (kind, value) {
            ('s', value) => value.unwrap_or_default(),
            ('I', Some(name)) => quote_ident(&name),
            ('I', None) => {
                return Err(Diagnostic::error(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            (_, Some(text)) => quote_literal(&text),
            (_, None) => "NULL".to_owned(),
        };
        let missing = width.unwrap_or(0).saturating_sub(text.chars().count());
        if left {
            out.push_str(&text);
        }
        out.extend(std::iter::repeat_n(' ', missing));
        if !left {
            out.push_str(&text);
        }
    }
    Ok(Some(out))
}

fn number(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> std::result::Result<Option<usize>, Diagnostic> {
    let mut found: Option<usize> = None;
    while let Some(digit) = rest.peek().and_then(|letter| letter.to_digit(10)) {
        rest.next();
        let value = found.unwrap_or(0).checked_mul(10);
        let value = value.and_then(|value| value.checked_add(digit as usize));
        found = Some(value.ok_or_else(|| invalid("number is out of range"))?);
    }
    Ok(found)
}

impl ScalarUDFImpl for OfAny {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let first = args.arg_fields.first().map(|field| field.data_type());
        let of_text = matches!(first, Some(DataType::Utf8 | DataType::Null));
        if !of_text && (self.name != "concat" || first.is_none()) {
            let given: Vec<_> = args
                .arg_fields
                .iter()
                .map(|field| field.data_type().clone())
                .collect();
            return Err(super::aggregate::no_such(self.name, &given));
        }
        Ok(Arc::new(cast::field(
            self.name,
            SqlType::scalar(TypeKind::Text),
        )))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let statement = Statement::of(&args.config_options);
        let defaults = Settings::default();
        let settings = match &statement {
            Ok(statement) => &*statement.context.settings,
            Err(_) => &defaults,
        };
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args
            .args
            .iter()
            .map(|arg| arg.to_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let columns = arrays
            .iter()
            .zip(&args.arg_fields)
            .map(|(array, field)| JsonColumn::new(array, types::sql_type(field)?, settings))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(failure::external)?;
        let one = |row: usize| {
            let values = Values {
                columns: &columns,
                row,
                next: 1,
            };
            (self.written)(values).map_err(failure::external)
        };
        let built = (0..rows).map(one).collect::<Result<Vec<_>>>()?;
        let built: ArrayRef = Arc::new(built.into_iter().collect::<StringArray>());
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&built, 0)?),
            false => ColumnarValue::Array(built),
        })
    }
}
