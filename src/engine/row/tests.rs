//! Rows and keys against their promises: what goes in comes out, and keys order as values do.

use super::*;
use crate::catalog::definition::{Column, Index, Table};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::catalog::{Oid, RelationId};
use crate::engine::types::{self, interval, name};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::ScalarValue;
use proptest::prelude::*;
use std::cmp::Ordering;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

fn column(sql_type: SqlType) -> Column {
    Column {
        name: Arc::from("c"),
        sql_type,
        not_null: false,
        default: None,
        generated: false,
        identity: None,
        sequence: None,
        added_in: 1,
        missing: None,
        dropped: false,
    }
}

fn table(columns: Vec<Column>) -> Table {
    Table {
        store: RelationId(2),
        layout_version: 1,
        columns,
        primary_key: Vec::new(),
        primary_index: None,
        indexes: Vec::new(),
        constraints: Vec::new(),
        referenced_by: Vec::new(),
        options: Vec::new(),
        comments: Vec::new(),
        constraint_comments: Vec::new(),
    }
}

/// An index over all columns of the table, ascending or descending by turns.
fn index_over(table: &Table, first_descending: bool) -> KeyLayout {
    let count = table.columns.len() as u16;
    let index = Index {
        store: RelationId(3),
        table: Oid(20_000),
        columns: (0..count).collect(),
        descending: (0..count)
            .map(|at| (at % 2 == 0) == first_descending)
            .collect(),
        unique: false,
        constraint: None,
        details: Default::default(),
    };
    KeyLayout::of_index(table, &index).unwrap()
}

const KEY_TYPES: &[SqlType] = &[
    SqlType::scalar(TypeKind::Bool),
    SqlType::scalar(TypeKind::Int2),
    SqlType::scalar(TypeKind::Int4),
    SqlType::scalar(TypeKind::Int8),
    SqlType::scalar(TypeKind::Float4),
    SqlType::scalar(TypeKind::Float8),
    SqlType::scalar(TypeKind::Text),
    SqlType::scalar(TypeKind::Bytea),
    SqlType::scalar(TypeKind::Date),
    SqlType::scalar(TypeKind::Time),
    SqlType::scalar(TypeKind::Timestamp),
    SqlType::scalar(TypeKind::Timestamptz),
    SqlType::scalar(TypeKind::Interval),
    SqlType::scalar(TypeKind::Uuid),
    SqlType::scalar(TypeKind::Oid),
];

fn key_type() -> impl Strategy<Value = SqlType> {
    prop_oneof![
        proptest::sample::select(KEY_TYPES),
        Just(name::numeric_type(10, 2)),
        Just(name::numeric_type(38, 10)),
    ]
}

fn any_type() -> impl Strategy<Value = SqlType> {
    prop_oneof![
        4 => key_type(),
        1 => key_type().prop_map(|element| SqlType { array: true, ..element }),
        1 => Just(SqlType::scalar(TypeKind::Jsonb)),
    ]
}

fn value_of(sql_type: SqlType) -> BoxedStrategy<ScalarValue> {
    let null = types::null_scalar(sql_type);
    if sql_type.array {
        let element = SqlType {
            array: false,
            ..sql_type
        };
        let lists = proptest::collection::vec(value_of(element), 0..5).prop_map(move |elements| {
            ScalarValue::List(ScalarValue::new_list(
                &elements,
                &types::data_type(element),
                true,
            ))
        });
        return prop_oneof![1 => Just(null), 6 => lists].boxed();
    }
    let some = match sql_type.kind {
        TypeKind::Bool => any::<bool>()
            .prop_map(|value| ScalarValue::Boolean(Some(value)))
            .boxed(),
        TypeKind::Int2 => any::<i16>()
            .prop_map(|value| ScalarValue::Int16(Some(value)))
            .boxed(),
        TypeKind::Int4 => any::<i32>()
            .prop_map(|value| ScalarValue::Int32(Some(value)))
            .boxed(),
        TypeKind::Int8 => any::<i64>()
            .prop_map(|value| ScalarValue::Int64(Some(value)))
            .boxed(),
        TypeKind::Float4 => any::<f32>()
            .prop_map(|value| ScalarValue::Float32(Some(value)))
            .boxed(),
        TypeKind::Float8 => prop_oneof![any::<f64>(), Just(-0.0), Just(f64::NAN)]
            .prop_map(|value| ScalarValue::Float64(Some(value)))
            .boxed(),
        TypeKind::Numeric => {
            let (precision, scale) = name::fixed_numeric(sql_type).unwrap();
            let limit = 10i128.pow(u32::from(precision));
            (-limit + 1..limit)
                .prop_map(move |value| ScalarValue::Decimal128(Some(value), precision, scale))
                .boxed()
        }
        TypeKind::Text | TypeKind::Jsonb => "[a-c\u{1}é]{0,4}"
            .prop_map(|value| ScalarValue::Utf8(Some(value)))
            .boxed(),
        TypeKind::Bytea => {
            proptest::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..4)
                .prop_map(|value| ScalarValue::Binary(Some(value)))
                .boxed()
        }
        TypeKind::Date => any::<i32>()
            .prop_map(|value| ScalarValue::Date32(Some(value)))
            .boxed(),
        TypeKind::Time => any::<i64>()
            .prop_map(|value| ScalarValue::Time64Microsecond(Some(value)))
            .boxed(),
        TypeKind::Timestamp => any::<i64>()
            .prop_map(|value| ScalarValue::TimestampMicrosecond(Some(value), None))
            .boxed(),
        TypeKind::Timestamptz => any::<i64>()
            .prop_map(|value| ScalarValue::TimestampMicrosecond(Some(value), Some("UTC".into())))
            .boxed(),
        TypeKind::Interval => (any::<i32>(), any::<i32>(), -1_000_000i64..1_000_000)
            .prop_map(|(months, days, clock)| {
                let value = IntervalMonthDayNano::new(months, days, clock * 1_000);
                ScalarValue::IntervalMonthDayNano(Some(value))
            })
            .boxed(),
        TypeKind::Uuid => any::<[u8; 16]>()
            .prop_map(|value| ScalarValue::FixedSizeBinary(16, Some(value.to_vec())))
            .boxed(),
        _ => any::<u32>()
            .prop_map(|value| ScalarValue::UInt32(Some(value)))
            .boxed(),
    };
    prop_oneof![1 => Just(null), 6 => some].boxed()
}

/// Columns of random types and two rows of values for them.
fn two_rows(
    types: impl Strategy<Value = SqlType>,
) -> impl Strategy<Value = (Vec<SqlType>, Vec<ScalarValue>, Vec<ScalarValue>)> {
    proptest::collection::vec(types, 1..5).prop_flat_map(|types| {
        let row = || {
            types
                .iter()
                .map(|sql_type| value_of(*sql_type))
                .collect::<Vec<_>>()
        };
        let rows = (row(), row());
        (Just(types), rows.0, rows.1)
    })
}

/// PostgreSQL's btree order of two values of one type, NULL last.
fn compare(left: &ScalarValue, right: &ScalarValue) -> Ordering {
    fn floats(left: f64, right: f64) -> Ordering {
        match (left.is_nan(), right.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => left.partial_cmp(&right).unwrap(),
        }
    }
    match (left.is_null(), right.is_null()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    match (left, right) {
        (ScalarValue::Float32(Some(left)), ScalarValue::Float32(Some(right))) => {
            floats(f64::from(*left), f64::from(*right))
        }
        (ScalarValue::Float64(Some(left)), ScalarValue::Float64(Some(right))) => {
            floats(*left, *right)
        }
        (
            ScalarValue::IntervalMonthDayNano(Some(left)),
            ScalarValue::IntervalMonthDayNano(Some(right)),
        ) => interval::order_value(*left).cmp(&interval::order_value(*right)),
        _ => left.partial_cmp(right).unwrap(),
    }
}

fn same(left: &ScalarValue, right: &ScalarValue) -> bool {
    match (left, right) {
        (ScalarValue::Float64(Some(left)), ScalarValue::Float64(Some(right))) => {
            left.to_bits() == right.to_bits()
        }
        _ => left == right,
    }
}

proptest! {
    #[test]
    fn keys_order_as_their_values_do((types, left, right) in two_rows(key_type()), descending: bool) {
        let table = table(types.into_iter().map(column).collect());
        let layout = index_over(&table, descending);
        let mut expected = Ordering::Equal;
        for (at, (left, right)) in left.iter().zip(&right).enumerate() {
            let order = compare(left, right);
            let order = if (at % 2 == 0) == descending { order.reverse() } else { order };
            expected = expected.then(order);
        }
        let encoded = |row: &[ScalarValue]| {
            let mut key = Vec::new();
            layout.encode(row, &mut key).unwrap();
            key
        };
        prop_assert_eq!(encoded(&left).cmp(&encoded(&right)), expected);
    }

    #[test]
    fn an_entry_is_the_same_from_a_batch_as_from_its_values(
        (types, first, second) in two_rows(key_type()),
        descending: bool,
        unique: bool,
    ) {
        let table = table(types.into_iter().map(column).collect());
        let layout = index_over(&table, descending);
        let columns: Vec<ArrayRef> = first
            .iter()
            .zip(&second)
            .map(|(first, second)| ScalarValue::iter_to_array([first.clone(), second.clone()]).unwrap())
            .collect();
        for (row, values) in [&first, &second].into_iter().enumerate() {
            prop_assert_eq!(
                IndexEntry::of_arrays(&layout, unique, &columns, row, b"row").unwrap(),
                IndexEntry::new(&layout, unique, values, b"row").unwrap()
            );
        }
    }

    #[test]
    fn keys_decode_to_what_they_were_made_of((types, row, _) in two_rows(key_type()), descending: bool) {
        prop_assume!(!types.contains(&SqlType::scalar(TypeKind::Interval)));
        let table = table(types.into_iter().map(column).collect());
        let layout = index_over(&table, descending);
        let mut key = Vec::new();
        layout.encode(&row, &mut key).unwrap();
        let length = key.len();
        key.extend(b"row key");
        let (values, taken) = layout.decode(&key).unwrap();
        prop_assert_eq!(taken, length);
        prop_assert_eq!(layout.length(&key).unwrap(), length);
        for (found, expected) in values.iter().zip(&row) {
            prop_assert_eq!(compare(found, expected), Ordering::Equal);
        }
        for cut in 0..length {
            prop_assert!(layout.decode(&key[..cut]).is_err());
        }
    }

    #[test]
    fn a_range_holds_exactly_the_keys_between_its_bounds(
        (types, row, bound) in two_rows(key_type()),
        descending: bool,
        lower in 0u8..3,
        upper in 0u8..3,
        equal_columns in 0usize..3,
    ) {
        let equal_columns = equal_columns.min(types.len() - 1);
        prop_assume!(!bound[equal_columns].is_null());
        let table = table(types.into_iter().map(column).collect());
        let layout = index_over(&table, descending);
        let side = |kind: u8| match kind {
            0 => Bound::Unbounded,
            1 => Bound::Included(&bound[equal_columns]),
            _ => Bound::Excluded(&bound[equal_columns]),
        };
        let range = layout.range(&row[..equal_columns], side(lower), side(upper)).unwrap();
        let mut candidate = row.clone();
        for value in [&row[equal_columns], &bound[equal_columns]] {
            candidate[equal_columns] = value.clone();
            let mut key = Vec::new();
            layout.encode(&candidate, &mut key).unwrap();
            let order = compare(value, &bound[equal_columns]);
            let above = match lower { 0 => true, 1 => order.is_ge(), _ => order.is_gt() };
            let below = match upper { 0 => true, 1 => order.is_le(), _ => order.is_lt() };
            let null_outside = value.is_null() && (lower, upper) != (0, 0);
            prop_assert_eq!(range.contains(&key), above && below && !null_outside);
        }
    }

    #[test]
    fn rows_come_back_as_they_were((types, first, second) in two_rows(any_type())) {
        let table = table(types.into_iter().map(column).collect());
        let layout = RowLayout::new(&table);
        let wanted: Vec<u16> = (0..table.columns.len() as u16).rev().collect();
        let mut decoder = layout.decoder(&wanted, 2);
        let mut stored = Vec::new();
        for row in [&first, &second] {
            let mut bytes = Vec::new();
            layout.encode(row, &mut bytes).unwrap();
            decoder.append(&bytes).unwrap();
            for (found, expected) in layout.decode_row(&bytes).unwrap().iter().zip(row) {
                prop_assert!(same(found, expected), "{found:?} {expected:?}");
            }
            stored.push(bytes);
        }
        prop_assert_eq!(decoder.rows(), 2);
        let mut arrays: Vec<ArrayRef> = decoder.finish();
        arrays.reverse();
        let encoder = RowEncoder::new(&layout, &arrays).unwrap();
        for (row, bytes) in stored.iter().enumerate() {
            let mut again = Vec::new();
            encoder.encode(row, &mut again).unwrap();
            prop_assert_eq!(&again, bytes);
        }
    }

    #[test]
    fn damaged_rows_are_errors(bytes in proptest::collection::vec(any::<u8>(), 0..40), types in proptest::collection::vec(any_type(), 1..5)) {
        let table = table(types.into_iter().map(column).collect());
        let layout = RowLayout::new(&table);
        let _ = layout.decode_row(&bytes);
        let _ = layout.decoder(&[0], 1).append(&bytes);
    }
}

#[test]
fn rows_of_older_layouts_have_what_was_missing_then() {
    let mut columns = vec![column(SqlType::scalar(TypeKind::Int4))];
    let old = RowLayout::new(&table(columns.clone()));
    let mut row = Vec::new();
    old.encode(&[ScalarValue::Int32(Some(7))], &mut row)
        .unwrap();

    let text = SqlType::scalar(TypeKind::Text);
    let missing = encode_missing(text, &ScalarValue::from("new")).unwrap();
    columns.push(Column {
        added_in: 2,
        missing,
        ..column(text)
    });
    columns.push(Column {
        added_in: 3,
        ..column(SqlType::scalar(TypeKind::Bool))
    });
    columns[0].dropped = true;
    let newer = RowLayout::new(&Table {
        layout_version: 4,
        ..table(columns)
    });

    let values = newer.decode_row(&row).unwrap();
    assert_eq!(
        values,
        vec![
            ScalarValue::Int32(None),
            ScalarValue::from("new"),
            ScalarValue::Boolean(None),
        ]
    );
    let mut decoder = newer.decoder(&[1, 2, 1], 1);
    decoder.append(&row).unwrap();
    let arrays = decoder.finish();
    assert_eq!(
        ScalarValue::try_from_array(&arrays[0], 0).unwrap(),
        values[1]
    );
    assert_eq!(
        ScalarValue::try_from_array(&arrays[2], 0).unwrap(),
        values[1]
    );

    // A row that says it is newer than the table is damage.
    let mut newest = Vec::new();
    newer.encode(&values, &mut newest).unwrap();
    assert!(matches!(
        old.decode_row(&newest),
        Err(RowError::Damaged { .. })
    ));
}

#[test]
fn an_index_entry_leads_back_to_its_row() {
    let table = table(vec![column(SqlType::scalar(TypeKind::Int4))]);
    let layout = index_over(&table, false);
    let one = [ScalarValue::Int32(Some(1))];
    let null = [ScalarValue::Int32(None)];
    for (unique, values) in [(true, &one), (false, &one), (true, &null)] {
        let entry = IndexEntry::new(&layout, unique, values, b"row").unwrap();
        let found = IndexEntry::row_key(&layout, &entry.key, &entry.value).unwrap();
        assert_eq!(found, b"row");
    }
    let meets = |values: &[ScalarValue]| {
        let entry = |key: &[u8]| IndexEntry::new(&layout, true, values, key).unwrap().key;
        entry(b"a") == entry(b"b")
    };
    assert!(meets(&one));
    assert!(!meets(&null));
}

#[test]
fn types_without_an_order_make_no_key() {
    for sql_type in [
        SqlType::scalar(TypeKind::Jsonb),
        SqlType::array_of(TypeKind::Int4),
    ] {
        let mut table = table(vec![column(sql_type)]);
        table.primary_key = vec![0];
        let error = KeyLayout::of_table(&table).unwrap_err();
        assert_eq!(error.sqlstate().as_str(), "0A000");
    }
}

#[test]
fn the_end_of_a_prefix_carries_over_ff() {
    assert_eq!(prefix_end(&[1, 2]), Bound::Excluded(vec![1, 3]));
    assert_eq!(prefix_end(&[1, 0xFF]), Bound::Excluded(vec![2]));
    assert_eq!(prefix_end(&[0xFF, 0xFF]), Bound::Unbounded);
}
