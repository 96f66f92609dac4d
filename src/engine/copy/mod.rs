//! COPY in and out: text, CSV and binary.
//!
//! Nothing here does I/O: the protocol pushes bytes in, cut anywhere, and takes lines out. Rows go
//! to DML in batches, which loads a relation that the transaction itself made in bulk.
//! Source: PostgreSQL 15, COPY, "File Formats".

pub mod field;
mod input;
pub mod line;
pub mod options;
mod output;
mod source;
pub mod tuples;

pub use input::CopyIn;
pub use output::{CopyLines, CopyOut, Outgoing};

use sqlparser::ast;

/// Whether the statement is COPY … FROM STDIN rather than TO STDOUT.
pub fn is_copy_in(statement: &ast::Statement) -> bool {
    matches!(statement, ast::Statement::Copy { to: false, .. })
}
