//! Stored rows: bytes of a damaged page must be an error, never a panic.

use super::types;
use datafusion::common::ScalarValue;
use nodedb::catalog::RelationId;
use nodedb::catalog::definition::{Column, Table};
use nodedb::catalog::sql_type::SqlType;
use nodedb::engine::row::layout::RowLayout;
use nodedb::engine::settings::Settings;
use nodedb::engine::types::{Input, decode_text};
use std::sync::Arc;

/// A table of these columns, the last one added later than the rest.
pub fn table(types: &[SqlType]) -> Table {
    let columns = types.iter().enumerate().map(|(at, sql_type)| Column {
        name: Arc::from(format!("c{at}")),
        sql_type: *sql_type,
        not_null: false,
        default: None,
        generated: false,
        identity: None,
        sequence: None,
        added_in: if at + 1 == types.len() { 2 } else { 1 },
        missing: None,
        dropped: false,
    });
    Table {
        store: RelationId(2),
        layout_version: 2,
        columns: columns.collect(),
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

/// Values of some types, by their text.
pub fn values(texts: &[(&str, &str)]) -> Vec<(SqlType, ScalarValue)> {
    let settings = Settings::default();
    let input = Input {
        settings: &settings,
        transaction_time: 0,
        variables: None,
        types: None,
    };
    texts
        .iter()
        .map(|(name, text)| {
            let (sql_type, _) = types::split(&types::input(name, b"")).expect("a type");
            let value = decode_text(text, sql_type, input).expect("a value of the type");
            (sql_type, value)
        })
        .collect()
}

/// Rows of three columns, each type chosen by a byte before the row.
pub fn seeds() -> Vec<Vec<u8>> {
    let rows: [[(&str, &str); 3]; 4] = [
        [("integer", "1"), ("text", "é"), ("bigint", "-1")],
        [
            ("timestamptz", "2024-01-01"),
            ("uuid", "a0eebc999c0b4ef8bb6d6bb9bd380a11"),
            ("jsonb", "[1]"),
        ],
        [
            ("text[]", "{a,NULL}"),
            ("date[]", "{2024-01-01}"),
            ("interval", "1 day"),
        ],
        [
            ("date", "2024-01-01"),
            ("bytea", "\\x00ff"),
            ("boolean", "t"),
        ],
    ];
    rows.iter()
        .map(|row| {
            let mut input: Vec<u8> = row
                .iter()
                .map(|(name, _)| types::input(name, b"")[0])
                .collect();
            let (kinds, values): (Vec<_>, Vec<_>) = values(row).into_iter().unzip();
            let layout = RowLayout::new(&table(&kinds));
            layout.encode(&values, &mut input).expect("a short row");
            input
        })
        .collect()
}

/// The two decoders agree, and a row that is read can be written and read again.
pub fn run(data: &[u8]) {
    let Some((chosen, row)) = data.split_first_chunk::<3>() else {
        return;
    };
    let all = types::all();
    let kinds = chosen.map(|place| all[usize::from(place) % all.len()]);
    let layout = RowLayout::new(&table(&kinds));
    let decoded = layout.decode_row(row);
    let mut decoder = layout.decoder(&[0, 1, 2], 1);
    let appended = decoder.append(row);
    assert_eq!(
        decoded.is_ok(),
        appended.is_ok(),
        "{decoded:?} {appended:?}"
    );
    let Ok(values) = decoded else {
        return;
    };
    let arrays = decoder.finish();
    for (array, value) in arrays.iter().zip(&values) {
        let other = ScalarValue::try_from_array(array, 0).expect("one row");
        assert_eq!(other.is_null(), value.is_null());
    }
    let mut written = Vec::new();
    layout
        .encode(&values, &mut written)
        .expect("no longer than it was");
    let again = layout
        .decode_row(&written)
        .expect("what was written is read");
    let mut written_again = Vec::new();
    layout
        .encode(&again, &mut written_again)
        .expect("as before");
    assert_eq!(written_again, written);
}
