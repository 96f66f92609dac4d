//! The newest entries, read from the end: SHOW AUDIT LOG.
//!
//! The files are only appended to, so they are read without asking the writer; up to where they were durable.

use super::head::Head;
use super::line::{LINE_BYTES_MAX, Line};
use super::names;
use crate::catalog::TenantId;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;

/// Bytes that are read at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// What is looked through at most: beyond it, `nodedb audit export` and grep.
pub const SCANNED_BYTES_MAX: u64 = 256 << 20;

/// An entry as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub seq: u64,
    /// When: ISO 8601, UTC.
    pub timestamp: String,
    /// What.
    pub event: String,
    /// Whose.
    pub tenant: Option<TenantId>,
    /// Where it was about.
    pub database: Option<String>,
    /// Where it came from.
    pub source: String,
    /// JSON.
    pub detail: String,
}

impl Row {
    fn of(line: &Line<'_>) -> Option<Row> {
        let read = line.json()?;
        let text = |name: &str| read.get(name)?.as_str().map(str::to_owned);
        let tenant = read.get("tenant_id").and_then(|tenant| tenant.as_u64());
        Some(Row {
            seq: line.seq,
            timestamp: line.timestamp.to_owned(),
            event: line.event.to_owned(),
            tenant: tenant.and_then(|tenant| u32::try_from(tenant).ok().map(TenantId)),
            database: text("database"),
            source: text("source")?,
            detail: read.get("detail")?.to_string(),
        })
    }
}

/// Gives entries, the newest first, until `take` has enough, there are no more, or [`SCANNED_BYTES_MAX`] have been
/// looked through; says whether the log was looked through to its beginning, or `take` had enough. Lines that
/// are none are passed over: whether the log is whole, `verify` says. Blocks.
///
/// # Errors
/// What the system says.
pub fn newest(
    directory: &Path,
    head: &Head,
    mut take: impl FnMut(Row) -> ControlFlow<()>,
) -> io::Result<bool> {
    let mut scanned = 0;
    let files = names::files(directory)?;
    let files = files.into_iter().rev().filter(|name| *name <= head.file);
    for name in files {
        let mut file = match File::open(directory.join(&name)) {
            Ok(file) => file,
            // Removed meanwhile, being the oldest.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let mut end = match name == head.file {
            true => head.length.min(length),
            false => length,
        };
        // The beginning of a line whose rest has been read.
        let mut rest: Vec<u8> = Vec::new();
        while end > 0 {
            let begin = end.saturating_sub(CHUNK_BYTES);
            file.seek(SeekFrom::Start(begin))?;
            let mut chunk = Vec::new();
            file.by_ref().take(end - begin).read_to_end(&mut chunk)?;
            chunk.append(&mut rest);
            let mut lines = chunk.split(|byte| *byte == b'\n');
            rest = match begin {
                0 => Vec::new(),
                _ => lines.next().unwrap_or_default().to_vec(),
            };
            // It is none of ours, and is not to be carried to the beginning of the file.
            rest.truncate(LINE_BYTES_MAX + 1);
            for line in lines.rev() {
                let row = Line::read(line).and_then(|line| Row::of(&line));
                if let Some(row) = row
                    && take(row).is_break()
                {
                    return Ok(true);
                }
            }
            scanned += end - begin;
            if scanned > SCANNED_BYTES_MAX {
                return Ok(false);
            }
            end = begin;
        }
    }
    Ok(true)
}
