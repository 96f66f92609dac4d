//! SQL types and their values: Arrow, text, binary, one file a type family.
//!
//! | SQL | Arrow |
//! |---|---|
//! | bool | Boolean |
//! | int2, int4, int8 | Int16, Int32, Int64 |
//! | numeric(p,s), 0 ≤ s ≤ p ≤ 38 | Decimal128(p,s) |
//! | every other numeric | LargeBinary: a [`number::Number`] in its ordered bytes |
//! | float4, float8 | Float32, Float64 |
//! | text, varchar, char(n), name, "char", json, jsonb, unknown | Utf8 |
//! | bytea | Binary |
//! | date, time | Date32, Time64(µs) |
//! | timestamp, timestamptz | Timestamp(µs), Timestamp(µs, "UTC") |
//! | interval | Interval(MonthDayNano) |
//! | uuid | FixedSizeBinary(16) |
//! | oid, regclass, regtype, regproc | UInt32 |
//! | void | Null |
//! | enumerations | BinaryView: [`enumeration`]'s key and label |
//! | record | Binary: what record_send writes ([`record`]) |
//! | array of T | List(T) |
//!
//! Invariants:
//! - **char(n) values hold no trailing blanks**, in Arrow and in storage. PostgreSQL ignores them in
//!   comparisons, in length() and in casts to text; they are put back when a value is printed.
//! - Dates and timestamps hold `infinity` as the largest and `-infinity` as the smallest integer.
//! - Times and intervals hold whole microseconds, whatever Arrow's unit.
//! - Text holds no NUL byte (22021 at every input).
//!
//! What Arrow cannot tell apart is kept in field metadata under [`TYPE_METADATA_KEY`].
//! Source: PostgreSQL 15, chapter 8 and the input and output functions of its built-in types.

pub mod array;
pub mod arrow;
pub mod assign;
pub mod boolean;
pub mod bytea;
pub mod calendar;
pub mod cast;
mod cast_datetime;
pub mod column;
pub mod column_builder;
pub mod datetime;
pub mod datetime_fields;
pub mod datetime_input;
pub mod decode;
pub mod enumeration;
pub mod float;
pub mod input_error;
pub mod integer;
pub mod interval;
pub mod json;
pub mod json_edit;
pub mod json_of;
pub mod json_value;
pub mod name;
pub mod number;
pub mod numeric;
pub mod pseudo_type;
pub mod record;
pub mod text;
pub mod time_zone;
pub mod uuid;

pub use arrow::{TYPE_METADATA_KEY, arrow_field, data_type, null_scalar, sql_type};
pub use assign::{assign, assign_array, check_assignable};
pub use cast::{CastContext, can_cast, cannot_cast, cast, cast_array};
pub use column::{Column, encode_binary, encode_text};
pub use decode::{Input, decode_binary, decode_text};
pub use enumeration::UserTypes;
pub use name::{built_in, format_type, from_ast, from_oid, oid, type_length};
