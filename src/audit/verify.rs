//! Whether the log is as it was written, and if not, from where on.
//!
//! Every line's hash is worked out anew. A byte that was changed, a line that was put in or taken out, files that
//! were swapped or put in twice are found at the first line that does not follow the one before it; a tail that
//! was cut off by the anchor; old files that are missing by their numbers, unless the log itself says that they
//! were removed.

use super::chain::{ChainKey, Link};
use super::event::Event;
use super::head::{self, Anchor, Head};
use super::line::{Line, Next, next};
use super::names;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

/// Lines between two looks at whether anybody still wants to know.
const LINES_A_LOOK: u64 = 4_096;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Entries that are as they were written, up to the fault.
    pub entries: u64,
    /// The first of them; 0 where there is none.
    pub first: u64,
    /// The last of them; 0 where there is none.
    pub last: u64,
    /// Files that were read.
    pub files: usize,
    /// What is wrong; None: nothing.
    pub fault: Option<Fault>,
    /// What is right and worth knowing.
    pub notes: Vec<String>,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The first entry that is not as it was written.
    pub seq: u64,
    /// What is wrong with it, and where it stands.
    pub what: String,
}

/// What the end of the log is compared with.
#[derive(Clone, Debug)]
pub enum End<'a> {
    /// The anchor in the directory.
    Stored,
    /// What the server that writes it knows.
    Known(&'a Head),
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Nobody wants to know any more.
    #[error("the verification was given up")]
    GivenUp,
    /// The system said so.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Verifies the log of a directory. Blocks: it reads all of it, some hundreds of MiB a second, and keeps the
/// writer from nothing.
///
/// # Errors
/// [`VerifyError`].
pub fn directory(
    directory: &Path,
    key: &ChainKey,
    end: End<'_>,
    given_up: &dyn Fn() -> bool,
) -> Result<Report, VerifyError> {
    // The anchor first: what is written meanwhile is behind it.
    let anchor = match end {
        End::Stored => head::read(directory, key)?,
        End::Known(head) => Anchor::Found(head.clone()),
    };
    let mut walk = Walk::new(key, given_up);
    for name in names::files(directory)? {
        let limit = match (&end, &anchor) {
            (End::Known(_), Anchor::Found(head)) if name == head.file => Some(head.length),
            (End::Known(_), Anchor::Found(head)) if name > head.file => break,
            _ => None,
        };
        walk.file(&directory.join(&name), names::first_of(&name), limit)?;
        if walk.report.fault.is_some() {
            return Ok(walk.report);
        }
    }
    Ok(walk.finish(&anchor))
}

/// Verifies one file by itself. Blocks.
///
/// Whether the file is the whole of the log, nobody can tell from it.
///
/// # Errors
/// [`VerifyError`].
pub fn file(path: &Path, key: &ChainKey) -> Result<Report, VerifyError> {
    let mut walk = Walk::new(key, &|| false);
    walk.file(path, None, None)?;
    let mut report = walk.report;
    report.fault = report.fault.or(walk.torn);
    if report.fault.is_none() {
        let last = report.last;
        let note = format!(
            "whether entries behind {last} are missing, only the directory with its anchor tells"
        );
        report.notes.push(note);
    }
    Ok(report)
}

/// Through the files, from the oldest.
struct Walk<'a> {
    key: &'a ChainKey,
    given_up: &'a dyn Fn() -> bool,
    report: Report,
    link: Option<Link>,
    /// Old files were removed up to this entry.
    removed_through: u64,
    /// An entry that says that the chain was found broken.
    admitted: Option<Fault>,
    /// The end of the file before without the end of a line.
    torn: Option<Fault>,
}

impl<'a> Walk<'a> {
    fn new(key: &'a ChainKey, given_up: &'a dyn Fn() -> bool) -> Walk<'a> {
        Walk {
            key,
            given_up,
            report: Report {
                entries: 0,
                first: 0,
                last: 0,
                files: 0,
                fault: None,
                notes: Vec::new(),
            },
            link: None,
            removed_through: 0,
            admitted: None,
            torn: None,
        }
    }

    fn fault(&mut self, seq: u64, what: String) {
        self.report.fault = Some(Fault { seq, what });
    }

    /// One file, as far as `limit`.
    fn file(
        &mut self,
        path: &Path,
        named: Option<u64>,
        limit: Option<u64>,
    ) -> Result<(), VerifyError> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
        let name = name.to_string_lossy();
        let file = File::open(path)?;
        self.report.files += 1;
        if let Some(torn) = self.torn.take() {
            self.report.fault = Some(torn);
            return Ok(());
        }
        let expected = self.report.last + 1;
        let mut file = BufReader::with_capacity(1 << 20, file);
        let (mut line, mut number, mut at) = (Vec::new(), 0, 0);
        loop {
            if limit.is_some_and(|limit| at >= limit) {
                return Ok(());
            }
            let bytes = match next(&mut file, &mut line)? {
                Next::End => break,
                Next::Line(bytes) => bytes,
                Next::Torn(bytes) => {
                    let number = number + 1;
                    self.torn = Some(Fault {
                        seq: self.report.last + 1,
                        what: format!("{name}, line {number} is incomplete ({bytes} bytes)"),
                    });
                    return Ok(());
                }
            };
            number += 1;
            at += bytes;
            if !self.line(&name, number, named, &line) {
                return Ok(());
            }
            if number.is_multiple_of(LINES_A_LOOK) && (self.given_up)() {
                return Err(VerifyError::GivenUp);
            }
        }
        // Made for an entry that is still to come.
        if number == 0 && named.is_some_and(|named| named != expected && expected > 1) {
            self.fault(expected, format!("{name} is empty"));
        }
        Ok(())
    }

    /// Whether to go on.
    fn line(&mut self, name: &str, number: u64, named: Option<u64>, line: &[u8]) -> bool {
        let expected = match (self.link, named) {
            (None, Some(named)) => named,
            (None, None) => Line::read(line).map_or(1, |line| line.seq),
            (Some(_), _) => self.report.last + 1,
        };
        let place = format!("{name}, line {number}");
        let Some(read) = Line::read(line) else {
            self.fault(expected, format!("{place} is no entry of an audit log"));
            return false;
        };
        let previous = match self.link {
            Some(link) => link,
            // The oldest file: what it follows is not here, and its own line says what that was.
            None => match read
                .detail("previous_hash")
                .and_then(|text| text.parse().ok())
            {
                Some(link) => link,
                None => {
                    self.fault(expected, format!("{place} does not say what it follows"));
                    return false;
                }
            },
        };
        if read.seq != expected {
            let seq = read.seq;
            self.fault(
                expected,
                format!("{place} is entry {seq} where entry {expected} should be"),
            );
            return false;
        }
        if !read.follows(self.key, &previous) {
            let what = match self.link {
                Some(_) => "was changed, or does not stand where it was written",
                None => "was changed, or was written with another key",
            };
            self.fault(expected, format!("{place} {what}"));
            return false;
        }
        if number == 1 && read.event != Event::File.as_str() {
            self.fault(expected, format!("{place} does not begin a file"));
            return false;
        }
        self.take(&read, &place);
        true
    }

    fn take(&mut self, line: &Line<'_>, place: &str) {
        self.link = Some(line.link);
        self.report.entries += 1;
        self.report.last = line.seq;
        if self.report.first == 0 {
            self.report.first = line.seq;
        }
        if line.event == Event::FilesRemoved.as_str() {
            let through = line.detail("through").and_then(|text| text.parse().ok());
            self.removed_through = self.removed_through.max(through.unwrap_or(0));
        }
        if line.event == Event::ChainBroken.as_str() && self.admitted.is_none() {
            let why = line.detail("why").unwrap_or_default();
            self.admitted = Some(Fault {
                seq: line.seq,
                what: format!("{place} says that at a start {why}"),
            });
        }
    }

    /// All files have been read, and each line follows the one before it.
    fn finish(mut self, anchor: &Anchor) -> Report {
        let (first, last) = (self.report.first, self.report.last);
        if let Some(torn) = self.torn.take() {
            match anchor {
                // A crash, or a group that is being written.
                Anchor::Found(head) if head.seq <= last => {
                    let what = torn.what;
                    self.report
                        .notes
                        .push(format!("{what}: it was never durable"));
                }
                _ => self.report.fault = Some(torn),
            }
        }
        if self.report.fault.is_some() {
            return self.report;
        }
        match anchor {
            Anchor::Missing if last == 0 => {}
            Anchor::Missing => {
                let what =
                    "the anchor is missing: whether entries behind are as well, nobody can tell";
                self.fault(last + 1, what.to_owned());
            }
            Anchor::Forged => {
                let what = "the anchor is damaged, or was written with another key";
                self.fault(last + 1, what.to_owned());
            }
            Anchor::Found(head) if head.seq > last => {
                let what = match head.seq == last + 1 {
                    true => format!("entry {} is missing at the end", head.seq),
                    false => format!(
                        "entries {} to {} are missing at the end",
                        last + 1,
                        head.seq
                    ),
                };
                self.fault(last + 1, what);
            }
            Anchor::Found(_) => {}
        }
        if self.report.fault.is_none() && first > 1 {
            match self.removed_through + 1 >= first {
                true => self.report.notes.push(format!(
                    "entries 1 to {} were removed with their files, as files_max says",
                    first - 1
                )),
                false => self.fault(1, format!("entries 1 to {} are missing", first - 1)),
            }
        }
        if self.report.fault.is_none() {
            self.report.fault = self.admitted;
        }
        self.report
    }
}
