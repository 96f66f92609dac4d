//! to_char() and its like: values by a template of patterns.
//!
//! Source: PostgreSQL 15, §9.8 and `formatting.c`.

mod number;
mod pattern;
mod print;
mod read;

use super::definition::{Argument, Call, FLOAT8, Function, INTERVAL, TEXT, TIMESTAMPTZ, of};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::query::failure;
use crate::engine::types::calendar::{DAY, SECOND};
use crate::engine::types::number::Number;
use crate::engine::types::number::array::{Numbers, is_exact};
use crate::engine::types::{interval, time_zone};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, LargeBinaryArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Float64Type, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use print::Moment;
use std::sync::Arc;

const TIMESTAMP: Argument = of(TypeKind::Timestamp);

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let of = SqlType::scalar;
    vec![
        Function::stable(
            "to_char",
            &[
                &[TIMESTAMPTZ, TEXT],
                &[TIMESTAMP, TEXT],
                &[INTERVAL, TEXT],
                &[Argument::Any, TEXT],
            ],
            of(TypeKind::Text),
            to_char,
        ),
        Function::immutable(
            "to_number",
            &[&[TEXT, TEXT]],
            of(TypeKind::Numeric),
            |call| {
                let numbers = (0..call.rows).map(|row| {
                    let Some((text, template)) = call.text(0, row).zip(call.text(1, row)) else {
                        return Ok(None);
                    };
                    let number = number::read(text, template).map_err(failure::external)?;
                    Ok(Some(number.to_ordered()))
                });
                let numbers = numbers.collect::<Result<Vec<_>>>()?;
                Ok(Arc::new(numbers.into_iter().collect::<LargeBinaryArray>()))
            },
        ),
        Function::immutable("to_date", &[&[TEXT, TEXT]], of(TypeKind::Date), |call| {
            call.values::<Date32Type>(|row| {
                let Some((text, template)) = call.text(0, row).zip(call.text(1, row)) else {
                    return Ok(None);
                };
                let read = read::read(text, template).map_err(failure::external)?;
                Ok(Some(read.local.div_euclid(DAY) as i32))
            })
        }),
        Function::stable(
            "to_timestamp",
            &[&[FLOAT8], &[TEXT, TEXT]],
            of(TypeKind::Timestamptz),
            to_timestamp,
        ),
    ]
}

fn to_timestamp(call: &Call<'_>) -> Result<ArrayRef> {
    let mut moments = Vec::with_capacity(call.rows);
    if call.args.len() == 1 {
        let seconds = call.args[0].as_primitive::<Float64Type>();
        moments.extend((0..call.rows).map(|row| {
            let valid = seconds.is_valid(row);
            valid.then(|| (seconds.value(row) * 1e6).round_ties_even() as i64)
        }));
    } else {
        let zone = call.statement()?.context.settings.time_zone;
        for row in 0..call.rows {
            let Some((text, template)) = call.text(0, row).zip(call.text(1, row)) else {
                moments.push(None);
                continue;
            };
            let read = read::read(text, template).map_err(failure::external)?;
            let offset = read
                .offset
                .unwrap_or_else(|| time_zone::offset_of_local(zone, read.local));
            moments.push(Some(read.local - i64::from(offset) * SECOND));
        }
    }
    let moments = TimestampMicrosecondArray::from(moments).with_timezone("UTC");
    Ok(Arc::new(moments))
}

fn to_char(call: &Call<'_>) -> Result<ArrayRef> {
    let array = &call.args[0];
    let zone = match array.data_type() {
        DataType::Timestamp(_, Some(_)) => Some(call.statement()?.context.settings.time_zone),
        _ => None,
    };
    call.texts(|row| {
        let Some(template) = call.text(1, row).filter(|_| array.is_valid(row)) else {
            return Ok(None);
        };
        Ok(match array.data_type() {
            DataType::Timestamp(..) => {
                let at = array.as_primitive::<TimestampMicrosecondType>().value(row);
                Moment::new(at, zone).map(|moment| print::print(&moment, template))
            }
            DataType::Interval(_) => {
                let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                let micros = interval::microseconds(value);
                let moment = Moment::of_interval(value.months, value.days, micros);
                Some(print::print(&moment, template))
            }
            DataType::Time64(_) => {
                let of_day = array.as_primitive::<Time64MicrosecondType>().value(row);
                Some(print::print(&Moment::of_interval(0, 0, of_day), template))
            }
            DataType::Date32 => {
                let days = array.as_primitive::<Date32Type>().value(row);
                let at = i64::from(days).saturating_mul(DAY);
                Moment::new(at, None).map(|moment| print::print(&moment, template))
            }
            DataType::Float32 | DataType::Float64 => {
                let value = compute::cast(&array.slice(row, 1), &DataType::Float64)?;
                let value = value.as_primitive::<Float64Type>().value(0);
                let any = crate::engine::types::name::ANY_NUMERIC;
                let value = Number::of_float(value, 15, any).map_err(failure::external)?;
                Some(number::print(&value, template).map_err(failure::external)?)
            }
            other if !is_exact(other) => {
                return Err(super::aggregate::no_such(
                    "to_char",
                    &[other.clone(), DataType::Utf8],
                ));
            }
            _ => match Numbers::new(array).get(row) {
                Some(value) => Some(number::print(&value, template).map_err(failure::external)?),
                None => None,
            },
        })
    })
}
