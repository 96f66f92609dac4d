//! The pgwire codec: a client's messages taken apart, a result's rows put together.

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use nodedb::catalog::sql_type::{SqlType, TypeKind};
use nodedb::engine::outcome::{CommandTag, ResultField};
use nodedb::engine::settings::Settings;
use nodedb::session::format::ResultFormats;
use nodedb::wire::pgwire::frame::{Front, HEADER_BYTES, front};
use nodedb::wire::pgwire::message::decode;
use nodedb::wire::pgwire::reply;
use nodedb::wire::pgwire::rows::BatchRows;
use std::hint::black_box;
use std::sync::Arc;

const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// A message: type byte, length, body.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("it is short");
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}

fn take_apart(mut inbox: &[u8]) -> usize {
    let mut messages = 0;
    while let Ok(Front::Whole(frame)) = front(inbox, MESSAGE_BYTES_MAX) {
        let (whole, rest) = inbox.split_at(frame.bytes);
        black_box(decode(frame.tag, &whole[HEADER_BYTES..])).expect("a good message");
        messages += 1;
        inbox = rest;
    }
    messages
}

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pgwire messages");
    let query = message(
        b'Q',
        b"SELECT abalance FROM pgbench_accounts WHERE aid = 1234567;\0",
    );
    group.bench_function("Query", |bencher| {
        bencher.iter(|| take_apart(black_box(&query)));
    });
    // What pgbench -M prepared sends for each select.
    let bind = b"\0P0_1\0\0\0\0\x01\0\0\0\x071234567\0\0";
    let prepared = [
        message(b'B', bind),
        message(b'D', b"P\0"),
        message(b'E', b"\0\0\0\0\0"),
        message(b'S', b""),
    ]
    .concat();
    assert_eq!(take_apart(&prepared), 4);
    group.bench_function("Bind, Describe, Execute, Sync", |bencher| {
        bencher.iter(|| take_apart(black_box(&prepared)));
    });
    group.finish();
}

fn field(name: &str, kind: TypeKind) -> ResultField {
    ResultField {
        name: name.to_owned(),
        sql_type: SqlType::scalar(kind),
        table: None,
        column: 0,
    }
}

fn rows(criterion: &mut Criterion) {
    const ROWS: usize = 1_000;
    let integers: ArrayRef = Arc::new(Int32Array::from_iter_values(1_234_000..1_235_000));
    let filler = "x".repeat(84);
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(vec![filler; ROWS]));
    let fields = [
        field("aid", TypeKind::Int4),
        field("filler", TypeKind::Text),
    ];
    let batch = RecordBatch::try_from_iter([("aid", integers), ("filler", texts)])
        .expect("two columns of one length");
    let settings = Settings::default();

    let mut group = criterion.benchmark_group("pgwire rows");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, formats) in [
        ("1,000 rows as text", ResultFormats::Text),
        ("1,000 rows in binary", ResultFormats::Binary),
    ] {
        let mut outbox = BytesMut::with_capacity(1 << 20);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                outbox.clear();
                let batch_rows = BatchRows::new(&batch, &fields, &formats, &settings)
                    .expect("the arrays are of the fields' types");
                for row in 0..ROWS {
                    batch_rows.write(&mut outbox, row).expect("short rows");
                }
                black_box(outbox.len())
            });
        });
    }
    group.throughput(Throughput::Elements(1));
    let one = batch.slice(0, 1);
    let mut outbox = BytesMut::with_capacity(4096);
    group.bench_function("one row with its description and tag", |bencher| {
        bencher.iter(|| {
            outbox.clear();
            reply::row_description(&mut outbox, &fields, |index| ResultFormats::Text.of(index));
            BatchRows::new(&one, &fields, &ResultFormats::Text, &settings)
                .and_then(|batch_rows| batch_rows.write(&mut outbox, 0))
                .expect("a short row");
            reply::command_complete(&mut outbox, CommandTag::Select(1));
            black_box(outbox.len())
        });
    });
    group.finish();
}

criterion_group!(benches, messages, rows);
criterion_main!(benches);
