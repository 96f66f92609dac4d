//! json_agg() and json_object_agg(), and those of jsonb.

use super::record;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::{cast, failure};
use crate::engine::settings::Settings;
use crate::engine::types;
use crate::engine::types::json;
use crate::engine::types::json_of::JsonColumn;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// What is gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Array,
    /// As an array, of values that are rows.
    Rows,
    Object,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Gather {
    name: &'static str,
    what: What,
    kind: TypeKind,
    signature: Signature,
}

/// The aggregates.
pub fn functions() -> Vec<Arc<AggregateUDF>> {
    use TypeKind::{Json, Jsonb};
    let of = |name, what, kind| {
        let arguments = match what {
            What::Array | What::Rows => 1,
            What::Object => 2,
        };
        Arc::new(AggregateUDF::new_from_impl(Gather {
            name,
            what,
            kind,
            signature: Signature::any(arguments, Volatility::Immutable),
        }))
    };
    vec![
        of("json_agg", What::Array, Json),
        of(record::JSON_AGG, What::Rows, Json),
        of("jsonb_agg", What::Array, Jsonb),
        of("json_object_agg", What::Object, Json),
        of("jsonb_object_agg", What::Object, Jsonb),
    ]
}

impl AggregateUDFImpl for Gather {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field(&self, _arg_fields: &[FieldRef]) -> Result<FieldRef> {
        Ok(Arc::new(cast::field(self.name, SqlType::scalar(self.kind))))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct && self.what == What::Object {
            return Err(failure::unsupported(format!("{}(DISTINCT …)", self.name)));
        }
        let sql_types = args
            .expr_fields
            .iter()
            .map(|field| types::sql_type(field))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(failure::external)?;
        Ok(Box::new(Gathered {
            what: self.what,
            kind: self.kind,
            sql_types,
            distinct: args.is_distinct,
            order: order(&args)?,
            parts: Vec::new(),
            bytes: 0,
        }))
    }

    fn state_fields(&self, _args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let element = Field::new_list_field(DataType::Utf8, true);
        Ok(vec![Arc::new(Field::new_list("parts", element, true))])
    }
}

/// What makes the sorting keys of ORDER BY; None where there is none.
fn order(args: &AccumulatorArgs<'_>) -> Result<Option<RowConverter>> {
    if args.order_bys.is_empty() {
        return Ok(None);
    }
    let fields = args.order_bys.iter().map(|sort| {
        let data_type = sort.expr.data_type(args.schema)?;
        Ok(SortField::new_with_options(data_type, sort.options))
    });
    let fields = fields.collect::<Result<Vec<_>>>()?;
    Ok(Some(RowConverter::new(fields)?))
}

/// The elements, or members, as text.
#[derive(Debug)]
struct Gathered {
    what: What,
    kind: TypeKind,
    sql_types: Vec<SqlType>,
    distinct: bool,
    order: Option<RowConverter>,
    /// Each behind what it is sorted by.
    parts: Vec<(Vec<u8>, String)>,
    bytes: usize,
}

impl Gathered {
    fn push(&mut self, key: Vec<u8>, part: String) {
        // Few distinct values are expected; many are found in the time that it takes to look.
        if self.distinct && self.parts.iter().any(|(_, known)| *known == part) {
            return;
        }
        self.bytes += key.len() + part.len() + size_of::<(Vec<u8>, String)>();
        self.parts.push((key, part));
    }

    /// The parts in the order of ORDER BY.
    fn sorted(&mut self) -> impl Iterator<Item = &str> {
        // Stable, so that equal ones stay in the order they came in.
        self.parts.sort_by(|(left, _), (right, _)| left.cmp(right));
        self.parts.iter().map(|(_, part)| part.as_str())
    }

    fn gather(&mut self, values: &[ArrayRef]) -> std::result::Result<(), Diagnostic> {
        // Timestamps with a zone print in UTC here: an aggregate does not see the session.
        let settings = Settings::default();
        let columns = values
            .iter()
            .zip(&self.sql_types)
            .map(|(array, sql_type)| JsonColumn::new(array, *sql_type, &settings))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let mut parts = Vec::with_capacity(values[0].len());
        for row in 0..values[0].len() {
            let mut part = String::new();
            if let [key, value] = columns.as_slice() {
                if key.is_null(row) {
                    return Err(Diagnostic::error(
                        SqlState::INVALID_PARAMETER_VALUE,
                        "field name must not be null",
                    ));
                }
                json::write_quoted(&key.key(row)?, &mut part);
                part.push_str(" : ");
                value.write(row, &mut part)?;
            } else {
                columns[0].write(row, &mut part)?;
            }
            parts.push(part);
        }
        // What ORDER BY names comes behind the arguments.
        let keys = match &self.order {
            None => None,
            Some(order) => {
                let converted = order.convert_columns(&values[self.sql_types.len()..]);
                Some(converted.map_err(|error| Diagnostic::internal(error.to_string()))?)
            }
        };
        for (row, part) in parts.into_iter().enumerate() {
            let key = keys.as_ref().map(|keys| keys.row(row).as_ref().to_vec());
            self.push(key.unwrap_or_default(), part);
        }
        Ok(())
    }

    /// json_agg begins a line with each array and row but the first.
    fn separator(&self) -> &'static str {
        let structured = match self.what {
            What::Array => self
                .sql_types
                .first()
                .is_some_and(|of| of.array || of.kind == TypeKind::Record),
            What::Rows => true,
            What::Object => false,
        };
        match structured {
            true => ", \n ",
            false => ", ",
        }
    }

    fn result(&mut self) -> std::result::Result<ScalarValue, Diagnostic> {
        if self.parts.is_empty() {
            return Ok(ScalarValue::Utf8(None));
        }
        let separator = self.separator();
        let mut all = String::with_capacity(self.bytes);
        for part in self.sorted() {
            if !all.is_empty() {
                all.push_str(match part {
                    "null" => ", ",
                    _ => separator,
                });
            }
            all.push_str(part);
        }
        let text = match (self.what, self.kind) {
            (What::Array | What::Rows, _) => format!("[{all}]"),
            (What::Object, TypeKind::Json) => format!("{{ {all} }}"),
            (What::Object, _) => format!("{{{all}}}"),
        };
        let text = match self.kind {
            TypeKind::Jsonb => json::normalise(&text)?,
            _ => text,
        };
        Ok(ScalarValue::Utf8(Some(text)))
    }
}

impl Accumulator for Gathered {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.gather(values).map_err(failure::external)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.result().map_err(failure::external)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let parts: Vec<_> = self.sorted().map(ScalarValue::from).collect();
        let list = ScalarValue::new_list_nullable(&parts, &DataType::Utf8);
        Ok(vec![ScalarValue::List(list)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states[0].as_list::<i32>();
        for row in 0..lists.len() {
            if lists.is_valid(row) {
                let parts = lists.value(row);
                let parts = parts.as_string::<i32>();
                let parts = parts.iter().flatten();
                parts.for_each(|part| self.push(Vec::new(), part.to_owned()));
            }
        }
        Ok(())
    }
}
