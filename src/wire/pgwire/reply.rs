//! The replies of every statement, written straight into the outbox.
//!
//! Source: PostgreSQL §55.7. The seldom ones (authentication, parameters, errors, COPY) are encoded
//! by crate pgwire's message types in `seldom` and `error`; these are hot and allocate nothing.

use super::extended::format_code;
use crate::engine::outcome::{CommandTag, ResultField};
use crate::engine::types;
use crate::session::format::Format;
use crate::session::transaction::Status;
use bytes::{BufMut, BytesMut};

/// ReadyForQuery
pub fn ready_for_query(outbox: &mut BytesMut, status: Status) {
    let code = match status {
        Status::Idle => b'I',
        Status::InBlock => b'T',
        Status::Failed => b'E',
    };
    outbox.extend_from_slice(&[b'Z', 0, 0, 0, 5, code]);
}

/// ParseComplete
pub fn parse_complete(outbox: &mut BytesMut) {
    outbox.extend_from_slice(&[b'1', 0, 0, 0, 4]);
}

/// BindComplete
pub fn bind_complete(outbox: &mut BytesMut) {
    outbox.extend_from_slice(&[b'2', 0, 0, 0, 4]);
}

/// CloseComplete
pub fn close_complete(outbox: &mut BytesMut) {
    outbox.extend_from_slice(&[b'3', 0, 0, 0, 4]);
}

/// EmptyQueryResponse
pub fn empty_query(outbox: &mut BytesMut) {
    outbox.extend_from_slice(&[b'I', 0, 0, 0, 4]);
}

/// NoData
pub fn no_data(outbox: &mut BytesMut) {
    outbox.extend_from_slice(&[b'n', 0, 0, 0, 4]);
}

/// PortalSuspended
pub fn portal_suspended(outbox: &mut BytesMut) {
    outbox.extend_from_slice(&[b's', 0, 0, 0, 4]);
}

/// CommandComplete
pub fn command_complete(outbox: &mut BytesMut, tag: CommandTag) {
    message(outbox, b'C', |outbox| {
        let (name, rows) = match tag {
            CommandTag::Select(rows) => ("SELECT ", rows),
            CommandTag::Insert(rows) => ("INSERT 0 ", rows),
            CommandTag::Update(rows) => ("UPDATE ", rows),
            CommandTag::Delete(rows) => ("DELETE ", rows),
            CommandTag::Copy(rows) => ("COPY ", rows),
            CommandTag::Fetch(rows) => ("FETCH ", rows),
            CommandTag::Move(rows) => ("MOVE ", rows),
            CommandTag::Plain(name) => {
                outbox.extend_from_slice(name.as_bytes());
                return outbox.put_u8(0);
            }
        };
        outbox.extend_from_slice(name.as_bytes());
        outbox.extend_from_slice(itoa::Buffer::new().format(rows).as_bytes());
        outbox.put_u8(0);
    });
}

/// ParameterDescription
pub fn parameter_description(outbox: &mut BytesMut, types: impl ExactSizeIterator<Item = u32>) {
    message(outbox, b't', |outbox| {
        outbox.put_u16(u16::try_from(types.len()).expect("Parse counts parameters in 16 bits"));
        for oid in types {
            outbox.put_u32(oid);
        }
    });
}

/// RowDescription
pub fn row_description(
    outbox: &mut BytesMut,
    fields: &[ResultField],
    format: impl Fn(usize) -> Format,
) {
    message(outbox, b'T', |outbox| {
        outbox.put_u16(u16::try_from(fields.len()).expect("a row has at most 1,664 columns"));
        for (index, field) in fields.iter().enumerate() {
            outbox.extend_from_slice(field.name.as_bytes());
            outbox.put_u8(0);
            outbox.put_u32(field.table.map_or(0, |oid| oid.0));
            outbox.put_i16(field.column);
            outbox.put_u32(types::oid(field.sql_type).0);
            outbox.put_i16(types::type_length(field.sql_type));
            outbox.put_i32(field.sql_type.typmod);
            outbox.put_i16(format_code(format(index)));
        }
    });
}

/// A message whose length is written once its body is.
pub fn message(outbox: &mut BytesMut, tag: u8, body: impl FnOnce(&mut BytesMut)) {
    outbox.put_u8(tag);
    let length_at = outbox.len();
    outbox.put_u32(0);
    body(outbox);
    let length = u32::try_from(outbox.len() - length_at).expect("replies are bounded below 4 GiB");
    outbox[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Oid;
    use crate::catalog::sql_type::{SqlType, TypeKind};

    #[test]
    fn command_complete_is_the_tag_as_it_displays() {
        for tag in [
            CommandTag::Select(1),
            CommandTag::Insert(23),
            CommandTag::Update(0),
            CommandTag::Delete(u64::MAX),
            CommandTag::Copy(7),
            CommandTag::Plain("CREATE TABLE"),
        ] {
            let mut outbox = BytesMut::new();
            command_complete(&mut outbox, tag);
            assert_eq!(&outbox[5..], format!("{tag}\0").as_bytes());
            assert_eq!(outbox[4] as usize, outbox.len() - 1);
        }
    }

    #[test]
    fn a_row_description_tells_name_table_type_and_format() {
        let fields = [ResultField {
            name: "abalance".to_owned(),
            sql_type: SqlType::scalar(TypeKind::Int4),
            table: Some(Oid(16_384)),
            column: 3,
        }];
        let mut outbox = BytesMut::new();
        row_description(&mut outbox, &fields, |_| Format::Binary);
        let expected: &[u8] = b"T\0\0\0\x21\0\x01abalance\0\
            \0\0\x40\0\0\x03\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01";
        assert_eq!(&outbox[..], expected);
    }

    #[test]
    fn fixed_replies_are_laid_out_as_the_protocol_says() {
        let mut outbox = BytesMut::new();
        parse_complete(&mut outbox);
        bind_complete(&mut outbox);
        close_complete(&mut outbox);
        empty_query(&mut outbox);
        no_data(&mut outbox);
        portal_suspended(&mut outbox);
        ready_for_query(&mut outbox, Status::InBlock);
        parameter_description(&mut outbox, [23_u32, 25].into_iter());
        assert_eq!(
            &outbox[..],
            b"1\0\0\0\x042\0\0\0\x043\0\0\0\x04I\0\0\0\x04n\0\0\0\x04s\0\0\0\x04\
              Z\0\0\0\x05Tt\0\0\0\x0e\0\x02\0\0\0\x17\0\0\0\x19"
        );
    }
}
