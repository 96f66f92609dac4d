//! COPY in binary format: a byte that says how many fields a row has, then the input.

use nodedb::engine::copy::tuples::{SIGNATURE, Tuples};

/// Rows with and without what ends them, and headers that are none.
pub fn seeds() -> Vec<Vec<u8>> {
    let input = |columns: u8, extension: &[u8], rows: &[u8]| {
        let length = (extension.len() as u32).to_be_bytes();
        [
            &[columns],
            &SIGNATURE[..],
            &[0; 4],
            &length,
            extension,
            rows,
        ]
        .concat()
    };
    vec![
        input(
            2,
            b"",
            &[0, 2, 0, 0, 0, 4, 0, 0, 0, 7, 255, 255, 255, 255, 255, 255],
        ),
        input(1, b"ext", &[0, 1, 0, 0, 0, 1, b'x', 0, 1, 0, 0, 0, 0]),
        input(1, b"", &[0, 1, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0]),
        input(0, b"", &[0, 0, 0, 0]),
        input(3, b"", &[0, 2]),
        b"\x01PGCOPY\n\xff\r\n\0\0\x01\0\0".to_vec(),
    ]
}

/// Cutting the input anywhere changes nothing. What fields hold is `type_binary`'s.
pub fn run(data: &[u8]) {
    let Some((columns, input)) = data.split_first() else {
        return;
    };
    let columns = usize::from(columns % 8);
    let whole = rows(columns, &[input]);
    for cut in (0..input.len().min(48)).chain([input.len() / 2]) {
        let (before, after) = input.split_at(cut);
        assert_eq!(rows(columns, &[before, after]).0, whole.0, "cut at {cut}");
    }
    assert!(
        whole.1.iter().all(|row| row.len() == columns),
        "each row is whole"
    );
}

type Rows = Vec<Vec<Option<Vec<u8>>>>;

/// What became of the input, and its rows.
fn rows(columns: usize, pieces: &[&[u8]]) -> (Result<usize, String>, Rows) {
    let mut tuples = Tuples::new(columns);
    let mut found = Rows::new();
    for piece in pieces {
        if let Err(error) = tuples.push(piece) {
            return (Err(error.message().to_owned()), found);
        }
        loop {
            match tuples.next_row() {
                Ok(None) => break,
                Ok(Some(fields)) => {
                    let bytes = |at: std::ops::Range<usize>| tuples.bytes()[at].to_vec();
                    found.push(fields.into_iter().map(|field| field.map(bytes)).collect());
                }
                Err(error) => return (Err(error.message().to_owned()), found),
            }
        }
    }
    match tuples.finish() {
        Ok(()) => (Ok(found.len()), found),
        Err(error) => (Err(error.message().to_owned()), found),
    }
}
