//! DataRow: the rows of a record batch, text or binary by column.
//!
//! The values are `engine::types`'s; here stand the message's frame and the NULLs.

use super::extended::Formats;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::ResultField;
use crate::engine::settings::Settings;
use crate::engine::types::Column;
use crate::session::format::{Format, ResultFormats};
use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::RecordBatch;

/// PostgreSQL's own bound on one message (1 GiB less one byte).
const DATA_ROW_BYTES_MAX: usize = 0x3fff_ffff;

/// The formats that Bind's codes mean for a result of so many columns.
///
/// # Errors
/// 08P01 when the codes are neither none, one, nor one for each column.
pub fn result_formats(codes: Formats<'_>, columns: usize) -> Result<ResultFormats, Diagnostic> {
    let codes_count = codes.len();
    if codes_count > 1 && codes_count != columns {
        return Err(Diagnostic::error(
            SqlState::PROTOCOL_VIOLATION,
            format!(
                "bind message has {codes_count} result formats but query has {columns} columns"
            ),
        ));
    }
    if codes_count > 1 {
        return Ok(ResultFormats::Each(
            (0..columns).map(|index| codes.of(index)).collect(),
        ));
    }
    Ok(match codes.of(0) {
        Format::Text => ResultFormats::Text,
        Format::Binary => ResultFormats::Binary,
    })
}

/// The rows of one batch, ready to be written.
pub struct BatchRows<'a> {
    columns: Vec<Column<'a>>,
    formats: &'a ResultFormats,
    settings: &'a Settings,
}

impl<'a> BatchRows<'a> {
    /// Looks each column through once.
    ///
    /// # Errors
    /// A column whose array does not hold its field's type: a mistake of ours.
    pub fn new(
        batch: &'a RecordBatch,
        fields: &[ResultField],
        formats: &'a ResultFormats,
        settings: &'a Settings,
    ) -> Result<BatchRows<'a>, Diagnostic> {
        let columns = fields
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| Column::new(array, field.sql_type))
            .collect::<Result<_, _>>()?;
        Ok(BatchRows {
            columns,
            formats,
            settings,
        })
    }

    /// Writes row number `row`.
    ///
    /// # Errors
    /// 54000 for a row past a message's 1 GiB. The outbox is then as it was before.
    pub fn write(&self, outbox: &mut BytesMut, row: usize) -> Result<(), Diagnostic> {
        let start = outbox.len();
        outbox.put_u8(b'D');
        outbox.put_u32(0);
        outbox.put_u16(u16::try_from(self.columns.len()).expect("a row has at most 1,664 columns"));
        for (index, column) in self.columns.iter().enumerate() {
            if column.is_null(row) {
                outbox.put_i32(-1);
                continue;
            }
            let length_at = outbox.len();
            outbox.put_u32(0);
            match self.formats.of(index) {
                Format::Text => column.text(row, self.settings, outbox),
                Format::Binary => column.binary(row, outbox),
            }
            let length = outbox.len() - length_at - 4;
            set_length(outbox, length_at, length);
        }
        let length = outbox.len() - start - 1;
        if length > DATA_ROW_BYTES_MAX {
            outbox.truncate(start);
            return Err(Diagnostic::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("row of {length} bytes exceeds the limit of {DATA_ROW_BYTES_MAX} bytes"),
            ));
        }
        set_length(outbox, start + 1, length);
        Ok(())
    }
}

fn set_length(outbox: &mut BytesMut, at: usize, length: usize) {
    // A value past 4 GiB cannot pass the row's own bound, which is checked afterwards.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    outbox[at..at + 4].copy_from_slice(&length.to_be_bytes());
}
