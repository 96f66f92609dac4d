//! Stored keys and index entries, and the definitions of two columns they belong to.

use super::{rows, types};
use nodedb::catalog::definition::Index;
use nodedb::catalog::{Oid, RelationId};
use nodedb::engine::row::index::IndexEntry;
use nodedb::engine::row::key::{KeyLayout, decode_row_number};

/// Keys of two columns, each type chosen by a byte, a third chooses the direction.
pub fn seeds() -> Vec<Vec<u8>> {
    let keys: [[(&str, &str); 2]; 4] = [
        [("integer", "1"), ("text", "é")],
        [
            ("timestamptz", "2024-01-01"),
            ("uuid", "a0eebc999c0b4ef8bb6d6bb9bd380a11"),
        ],
        [("bytea", "\\x00ff"), ("double precision", "-0")],
        [("bigint", "-5"), ("boolean", "f")],
    ];
    keys.iter()
        .enumerate()
        .map(|(number, key)| {
            let mut input: Vec<u8> = key
                .iter()
                .map(|(name, _)| types::input(name, b"")[0])
                .collect();
            input.push(number as u8);
            let (kinds, values): (Vec<_>, Vec<_>) = rows::values(key).into_iter().unzip();
            let layout = layout(&[kinds[0], kinds[1]], number as u8).expect("types with an order");
            layout.encode(&values, &mut input).expect("of its types");
            input
        })
        .collect()
}

fn layout(kinds: &[nodedb::catalog::sql_type::SqlType; 2], direction: u8) -> Option<KeyLayout> {
    let mut table = rows::table(kinds);
    if direction & 4 != 0 {
        table.primary_key = vec![1, 0];
        return KeyLayout::of_table(&table).ok()?;
    }
    let index = Index {
        store: RelationId(3),
        table: Oid(20_000),
        columns: vec![0, 1],
        descending: vec![direction & 1 != 0, direction & 2 != 0],
        unique: false,
        constraint: None,
        details: Default::default(),
    };
    KeyLayout::of_index(&table, &index).ok()
}

/// A key's length is within it, and values that are read make a key that reads the same.
pub fn run(data: &[u8]) {
    let _ = decode_row_number(data);
    let Some(([first, second, direction], key)) = data.split_first_chunk::<3>() else {
        return;
    };
    let all = types::all();
    let kinds = [first, second].map(|place| all[usize::from(*place) % all.len()]);
    let Some(layout) = layout(&kinds, *direction) else {
        return;
    };
    if let Ok(row_key) = IndexEntry::row_key(&layout, key, &[]) {
        assert!(!row_key.is_empty() && row_key.len() < key.len());
    }
    let Ok((values, taken)) = layout.decode(key) else {
        return;
    };
    assert_eq!(layout.length(key).expect("as it was decoded"), taken);
    assert!(taken <= key.len());
    let mut written = Vec::new();
    layout.encode(&values, &mut written).expect("of its types");
    let (again, all) = layout.decode(&written).expect("what was written is read");
    assert_eq!(all, written.len());
    let mut written_again = Vec::new();
    layout
        .encode(&again, &mut written_again)
        .expect("of its types");
    assert_eq!(written_again, written);
}
