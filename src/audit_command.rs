//! `nodedb audit`: the log verified and printed without a server, or beside one (REFERENCE §1).

use crate::audit::verify::{self, End, Report, VerifyError};
use crate::audit::{ChainKey, LINE_BYTES_MAX, files};
use crate::data_dir::{AUDIT_KEY_FILE, DataDirError, read_audit_key};
use chrono::{DateTime, NaiveDate, Utc};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a command has no outcome.
#[derive(Debug, Error)]
pub enum AuditCommandError {
    /// There is no key where it would be.
    #[error(
        "the key of the chain is needed: {} is not there; name it with --key (it is <data_dir>/{AUDIT_KEY_FILE})",
        path.display()
    )]
    NoKey {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The key cannot be read.
    #[error("{0}")]
    Key(#[from] DataDirError),
    /// The log cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `--since`
    #[error(
        "--since takes a date such as 2026-11-29 or a time such as 2026-11-29T13:00:00Z, not {0:?}"
    )]
    Since(String),
}

/// Whether the log is as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Whole,
    /// It is not.
    Broken,
}

/// Verifies a file or a directory; prints what was found. The key is that of the data directory that the log lies in,
/// unless another is named.
///
/// # Errors
/// [`AuditCommandError`].
pub fn verify(
    path: &Path,
    key: Option<&Path>,
    output: &mut impl Write,
) -> Result<Verdict, AuditCommandError> {
    let unreadable = |source| AuditCommandError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let is_directory = std::fs::metadata(path).map_err(unreadable)?.is_dir();
    let key = find_key(path, is_directory, key)?;
    let verified = match is_directory {
        true => verify::directory(path, &key, End::Stored, &|| false),
        false => verify::file(path, &key),
    };
    let report = verified.map_err(|error| match error {
        VerifyError::Io(source) => unreadable(source),
        VerifyError::GivenUp => unreadable(io::ErrorKind::Interrupted.into()),
    })?;
    print(&report, output).map_err(unreadable)?;
    Ok(match report.fault {
        None => Verdict::Whole,
        Some(_) => Verdict::Broken,
    })
}

/// `<data_dir>/audit` and `<data_dir>/audit/audit-….jsonl` have it at `<data_dir>/audit_key`.
fn find_key(
    path: &Path,
    is_directory: bool,
    named: Option<&Path>,
) -> Result<ChainKey, AuditCommandError> {
    if let Some(named) = named {
        return Ok(read_audit_key(named)?);
    }
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = match is_directory {
        true => Some(absolute.as_path()),
        false => absolute.parent(),
    };
    let data_dir = directory.and_then(Path::parent).unwrap_or(Path::new("."));
    let path = data_dir.join(AUDIT_KEY_FILE);
    match path.exists() {
        true => Ok(read_audit_key(&path)?),
        false => Err(AuditCommandError::NoKey { path }),
    }
}

fn print(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let (entries, first, last) = (report.entries, report.first, report.last);
    let files = match report.files {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    match &report.fault {
        None => writeln!(
            output,
            "ok: {entries} entries, {first} to {last}, in {files}"
        )?,
        Some(fault) => {
            writeln!(output, "broken: from entry {} on", fault.seq)?;
            writeln!(output, "  {}", fault.what)?;
            writeln!(
                output,
                "  as they were written: {entries} entries, {first} to {last}"
            )?;
        }
    }
    for note in &report.notes {
        writeln!(output, "note: {note}")?;
    }
    output.flush()
}

/// Prints the entries as they lie in the files, one JSON object a line, from `since` on.
///
/// # Errors
/// [`AuditCommandError`]. A closed output is no error: `head` has seen enough.
pub fn export(
    path: &Path,
    since: Option<&str>,
    output: &mut impl Write,
) -> Result<(), AuditCommandError> {
    let since = since.map(beginning).transpose()?;
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| AuditCommandError::Unreadable { path, source }
    };
    let is_directory = std::fs::metadata(path).map_err(unreadable(path))?.is_dir();
    let paths = match is_directory {
        true => {
            let names = files(path).map_err(unreadable(path))?;
            names.into_iter().map(|name| path.join(name)).collect()
        }
        false => vec![path.to_owned()],
    };
    for path in paths {
        match export_file(&path, since.as_deref(), output) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            exported => exported.map_err(unreadable(&path))?,
        }
    }
    Ok(())
}

fn export_file(path: &Path, since: Option<&str>, output: &mut impl Write) -> io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        file.by_ref().take(limit).read_until(b'\n', &mut line)?;
        // One that is still being written is no entry yet.
        if line.last() != Some(&b'\n') {
            return output.flush();
        }
        if since.is_none_or(|since| is_since(&line, since)) {
            output.write_all(&line)?;
        }
    }
}

/// Timestamps of one length, in UTC, are in order as texts.
fn is_since(line: &[u8], since: &str) -> bool {
    const BEFORE: &[u8] = b"\"timestamp\":\"";
    let place = line.windows(BEFORE.len()).position(|it| it == BEFORE);
    let at = place.and_then(|place| line.get(place + BEFORE.len()..)?.get(..since.len()));
    at.is_some_and(|at| at >= since.as_bytes())
}

/// As the log writes it.
fn beginning(text: &str) -> Result<String, AuditCommandError> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d");
    let midnight = date.ok().and_then(|date| date.and_hms_opt(0, 0, 0));
    let at = match midnight {
        Some(midnight) => midnight.and_utc(),
        None => DateTime::parse_from_rfc3339(text)
            .map_err(|_| AuditCommandError::Since(text.to_owned()))?
            .with_timezone(&Utc),
    };
    Ok(at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_date_or_a_time_with_its_zone() {
        for (text, expected) in [
            ("2026-11-29", "2026-11-29T00:00:00.000000Z"),
            ("2026-11-29T13:00:00Z", "2026-11-29T13:00:00.000000Z"),
            ("2026-11-29T13:00:00.5+01:00", "2026-11-29T12:00:00.500000Z"),
        ] {
            assert_eq!(beginning(text).expect("a time"), expected);
        }
        for wrong in ["", "yesterday", "2026-11-31", "2026-11-29T13:00:00"] {
            assert!(beginning(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn entries_from_then_on_are_printed_as_they_lie() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit-00000000000000000001.jsonl");
        let line = |second: u32| {
            format!("{{\"seq\":1,\"timestamp\":\"2026-11-29T13:00:0{second}.000000Z\",\"x\":1}}\n")
        };
        let text = [line(1), line(2), line(3), "{\"seq\":".to_owned()].concat();
        std::fs::write(&path, text).expect("it is written");
        let exported = |since: Option<&str>| {
            let mut output = Vec::new();
            export(directory.path(), since, &mut output).expect("it is read");
            String::from_utf8(output).expect("a text")
        };
        assert_eq!(exported(None), [line(1), line(2), line(3)].concat());
        let since = Some("2026-11-29T13:00:02Z");
        assert_eq!(exported(since), [line(2), line(3)].concat());
        assert_eq!(exported(Some("2026-11-30")), "");
    }
}
