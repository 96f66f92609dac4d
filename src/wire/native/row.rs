//! The values of a row: `[0]` null, `[1,bool]`, `[2,int]`, `[3,float]`, `[4,text]`, `[5,bytes]`,
//! `[6,array]` (REFERENCE §5), and their plain forms in JSON.
//!
//! Whatever has no kind of its own (numeric, dates, json, uuid) is the text that PostgreSQL prints.

use super::messagepack as pack;
use super::request::Encoding;
use super::response::Frame;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::outcome::ResultField;
use crate::engine::settings::Settings;
use crate::engine::types::Column;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, BytesMut};
use datafusion::arrow::array::{Array, RecordBatch};

/// Whole numbers up to this are exact in a double, as readers of JSON hold them.
const EXACT_MAX: u64 = 1 << 53;

/// The columns of one batch, looked through once.
pub struct Columns<'a> {
    columns: Vec<(Column<'a>, SqlType)>,
    settings: &'a Settings,
    scratch: BytesMut,
}

impl<'a> Columns<'a> {
    /// Of a batch.
    ///
    /// # Errors
    /// As [`Column::new`]: a mistake of ours.
    pub fn new(
        batch: &'a RecordBatch,
        fields: &[ResultField],
        settings: &'a Settings,
    ) -> Result<Columns<'a>, Diagnostic> {
        let columns = fields.iter().zip(batch.columns()).map(|(field, array)| {
            Column::new(array, field.sql_type).map(|column| (column, field.sql_type))
        });
        Ok(Columns {
            columns: columns.collect::<Result<_, _>>()?,
            settings,
            scratch: BytesMut::new(),
        })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// As [`Column::new`], for the elements of an array.
    pub fn write(&mut self, row: usize, frame: &mut Frame) -> Result<(), Diagnostic> {
        frame.begin_list(self.columns.len());
        for (index, (column, sql_type)) in self.columns.iter().enumerate() {
            frame.separate(index);
            let writer = Writer {
                settings: self.settings,
                scratch: &mut self.scratch,
                frame,
            };
            writer.value(column, *sql_type, row)?;
        }
        frame.end_list();
        Ok(())
    }
}

/// The kinds of values.
#[derive(Clone, Copy)]
enum Kind {
    Null = 0,
    Boolean = 1,
    Integer = 2,
    Float = 3,
    Text = 4,
    Bytes = 5,
    Array = 6,
}

struct Writer<'w> {
    settings: &'w Settings,
    scratch: &'w mut BytesMut,
    frame: &'w mut Frame,
}

impl Writer<'_> {
    fn value(
        mut self,
        column: &Column<'_>,
        sql_type: SqlType,
        row: usize,
    ) -> Result<(), Diagnostic> {
        if column.is_null(row) {
            self.null();
            return Ok(());
        }
        if let Some((elements, element_type)) = column.elements(row) {
            self.begin(Kind::Array);
            self.frame.begin_list(elements.len());
            let column = Column::new(&elements, element_type)?;
            for element in 0..elements.len() {
                self.frame.separate(element);
                let writer = Writer {
                    settings: self.settings,
                    scratch: &mut *self.scratch,
                    frame: &mut *self.frame,
                };
                writer.value(&column, element_type, element)?;
            }
            self.frame.end_list();
            return Ok(());
        }
        self.scratch.clear();
        match sql_type.kind {
            TypeKind::Bool
            | TypeKind::Int2
            | TypeKind::Int4
            | TypeKind::Int8
            | TypeKind::Oid
            | TypeKind::Float4
            | TypeKind::Float8
            | TypeKind::Bytea => {
                column.binary(row, self.scratch);
                self.scalar(sql_type.kind);
            }
            _ => {
                column.text(row, self.settings, self.scratch);
                self.text();
            }
        }
        Ok(())
    }

    /// The value whose binary form is in the scratch.
    fn scalar(&mut self, kind: TypeKind) {
        let mut binary: &[u8] = &self.scratch[..];
        match kind {
            TypeKind::Bool => {
                let value = binary.get_u8() != 0;
                self.boolean(value);
            }
            TypeKind::Int2 => {
                let value = binary.get_i16();
                self.integer(i64::from(value));
            }
            TypeKind::Int4 => {
                let value = binary.get_i32();
                self.integer(i64::from(value));
            }
            TypeKind::Int8 => {
                let value = binary.get_i64();
                self.integer(value);
            }
            TypeKind::Oid => {
                let value = binary.get_u32();
                self.integer(i64::from(value));
            }
            TypeKind::Float4 => {
                let value = binary.get_f32();
                self.float(f64::from(value));
            }
            TypeKind::Float8 => {
                let value = binary.get_f64();
                self.float(value);
            }
            _ => self.bytes(),
        }
    }

    /// In MessagePack a value is an array of its kind and itself.
    fn begin(&mut self, kind: Kind) {
        if self.frame.encoding == Encoding::MessagePack {
            let parts = match kind {
                Kind::Null => 1,
                _ => 2,
            };
            pack::write_array(parts, &mut self.frame.out);
            pack::write_integer(kind as i64, &mut self.frame.out);
        }
    }

    fn null(&mut self) {
        self.begin(Kind::Null);
        if self.frame.encoding == Encoding::Json {
            self.frame.out.extend(b"null");
        }
    }

    fn boolean(&mut self, value: bool) {
        self.begin(Kind::Boolean);
        match self.frame.encoding {
            Encoding::MessagePack => pack::write_boolean(value, &mut self.frame.out),
            Encoding::Json => {
                let word: &[u8] = if value { b"true" } else { b"false" };
                self.frame.out.extend(word);
            }
        }
    }

    fn integer(&mut self, value: i64) {
        self.begin(Kind::Integer);
        let out = &mut self.frame.out;
        match self.frame.encoding {
            Encoding::MessagePack => pack::write_integer(value, out),
            Encoding::Json => {
                let mut digits = itoa::Buffer::new();
                let digits = digits.format(value).as_bytes();
                match value.unsigned_abs() <= EXACT_MAX {
                    true => out.extend(digits),
                    false => out.extend([b"\"", digits, b"\""].concat()),
                }
            }
        }
    }

    fn float(&mut self, value: f64) {
        self.begin(Kind::Float);
        let out = &mut self.frame.out;
        match self.frame.encoding {
            Encoding::MessagePack => pack::write_float(value, out),
            Encoding::Json if value.is_nan() => out.extend(b"\"NaN\""),
            Encoding::Json if value.is_infinite() => {
                let word: &[u8] = match value > 0.0 {
                    true => b"\"Infinity\"",
                    false => b"\"-Infinity\"",
                };
                out.extend(word);
            }
            Encoding::Json => out.extend(ryu::Buffer::new().format_finite(value).bytes()),
        }
    }

    fn text(&mut self) {
        self.begin(Kind::Text);
        match self.frame.encoding {
            Encoding::MessagePack => pack::write_text(self.scratch, &mut self.frame.out),
            Encoding::Json => self.frame.text(&String::from_utf8_lossy(self.scratch)),
        }
    }

    fn bytes(&mut self) {
        self.begin(Kind::Bytes);
        match self.frame.encoding {
            Encoding::MessagePack => pack::write_bytes(self.scratch, &mut self.frame.out),
            Encoding::Json => self.frame.text(&BASE64_STANDARD.encode(&*self.scratch)),
        }
    }
}
