//! How the files are found at a start: where the chain ends, and what is to be said about it.
//!
//! What the anchor speaks of was durable and must be there. What is behind it was written and may have been
//! acknowledged: its whole lines count, as far as the chain goes, and what a crash tore is set aside.

use super::chain::{ChainKey, Link};
use super::entry::{Entry, Source};
use super::event::Event;
use super::head::{Anchor, Head, read};
use super::line::{Line, Next, next};
use super::names;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// What was found.
pub struct Recovered {
    /// Where the chain ends.
    pub head: Head,
    /// The file to go on with, and how much of it stays; None: a new one begins.
    pub file: Option<(String, u64)>,
    /// What is to be recorded.
    pub notes: Vec<Entry>,
}

/// Looks at the files of a directory. Blocks; reads what is behind the anchor, and the last line before it.
///
/// # Errors
/// What the system says.
pub fn recover(directory: &Path, key: &ChainKey) -> io::Result<Recovered> {
    let files = names::files(directory)?;
    match read(directory, key)? {
        Anchor::Missing if files.is_empty() => Ok(Recovered {
            head: Head::first(),
            file: None,
            notes: Vec::new(),
        }),
        Anchor::Missing => broken(directory, key, &files, "the anchor is missing"),
        Anchor::Forged => {
            let why = "the anchor is damaged, or was written with another key";
            broken(directory, key, &files, why)
        }
        Anchor::Found(head) => follow(directory, key, &files, head),
    }
}

/// From the anchor to the end of the last file.
fn follow(
    directory: &Path,
    key: &ChainKey,
    files: &[String],
    anchor: Head,
) -> io::Result<Recovered> {
    if !is_as_left(directory, &anchor)? {
        let why = format!(
            "entry {} is not where it was written: in {}, before byte {}",
            anchor.seq, anchor.file, anchor.length
        );
        return Ok(begin_anew(anchor, why));
    }
    let mut head = anchor;
    let mut notes = Vec::new();
    let first_behind = head.file.clone();
    for name in files.iter().filter(|name| **name >= first_behind) {
        let begins_at = match *name == head.file {
            true => head.length,
            false => 0,
        };
        let end = whole_lines(directory, key, name, begins_at, &mut head)?;
        let length = fs::metadata(directory.join(name))?.len();
        if end < length {
            let is_last = files.last() == Some(name);
            if !is_last {
                let why = format!("{name} does not go on behind byte {end}");
                return Ok(begin_anew(head, why));
            }
            notes.push(set_aside(directory, name, end, head.seq + 1)?);
        }
        if files.last() == Some(name) {
            return Ok(Recovered {
                head,
                file: Some((name.clone(), end)),
                notes,
            });
        }
    }
    Ok(Recovered {
        head,
        file: None,
        notes,
    })
}

/// Whether the anchor's last line still ends where it ended.
fn is_as_left(directory: &Path, anchor: &Head) -> io::Result<bool> {
    if anchor.seq == 0 {
        return Ok(true);
    }
    let mut file = match File::open(directory.join(&anchor.file)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() < anchor.length {
        return Ok(false);
    }
    let from = anchor
        .length
        .saturating_sub(super::line::LINE_BYTES_MAX as u64 + 1);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(anchor.length - from).read_to_end(&mut tail)?;
    let Some((b'\n', lines)) = tail.split_last() else {
        return Ok(false);
    };
    let last = lines.rsplit(|byte| *byte == b'\n').next();
    let last = last.and_then(Line::read);
    Ok(last.is_some_and(|line| (line.seq, line.link) == (anchor.seq, anchor.link)))
}

/// Takes the whole lines from there on that go on with the chain; gives where they end.
fn whole_lines(
    directory: &Path,
    key: &ChainKey,
    name: &str,
    begins_at: u64,
    head: &mut Head,
) -> io::Result<u64> {
    let mut file = File::open(directory.join(name))?;
    file.seek(SeekFrom::Start(begins_at))?;
    let mut file = BufReader::new(file);
    let (mut line, mut end) = (Vec::new(), begins_at);
    while let Next::Line(length) = next(&mut file, &mut line)? {
        let read = Line::read(&line);
        let Some(read) = read.filter(|it| it.seq == head.seq + 1 && it.follows(key, &head.link))
        else {
            break;
        };
        end += length;
        *head = Head {
            seq: read.seq,
            link: read.link,
            file: name.to_owned(),
            length: end,
        };
    }
    Ok(end)
}

/// Keeps what is behind the last whole line, and says where.
fn set_aside(directory: &Path, name: &str, end: u64, seq: u64) -> io::Result<Entry> {
    let mut file = File::open(directory.join(name))?;
    file.seek(SeekFrom::Start(end))?;
    let mut torn = Vec::new();
    file.read_to_end(&mut torn)?;
    let kept = names::torn(seq);
    let written = fs::write(directory.join(&kept), &torn);
    tracing::warn!(
        file = name,
        bytes = torn.len(),
        kept,
        "the audit log ends in what a crash left incomplete: it is set aside"
    );
    if let Err(error) = written {
        // It was never durable, and a start on a full disk is to come about.
        tracing::warn!(%error, kept, "what a crash left of an audit entry cannot be kept");
    }
    let entry = Entry::new(Event::Repaired, Source::Server)
        .with("file", name)
        .with("offset", end.to_string())
        .with("bytes", torn.len().to_string())
        .with("kept_in", kept);
    Ok(entry)
}

/// Without an anchor: the chain goes on behind the last line that follows the one before it, and the log says
/// for ever that nobody knows what was there.
fn broken(directory: &Path, key: &ChainKey, files: &[String], why: &str) -> io::Result<Recovered> {
    let mut head = Head::first();
    if let Some(name) = files.last() {
        let mut file = BufReader::new(File::open(directory.join(name))?);
        let mut line = Vec::new();
        if let Next::Line(length) = next(&mut file, &mut line)?
            && let Some(first) = Line::read(&line)
            && let Some(previous) = first.detail("previous_hash")
            && let Ok(previous) = previous.parse::<Link>()
            && first.follows(key, &previous)
        {
            head = Head {
                seq: first.seq,
                link: first.link,
                file: name.clone(),
                length,
            };
            whole_lines(directory, key, name, length, &mut head)?;
        }
        // A number that a name claims already is not given twice.
        head.seq = head.seq.max(names::first_of(name).unwrap_or(0));
    }
    Ok(begin_anew(head, why.to_owned()))
}

fn begin_anew(head: Head, why: String) -> Recovered {
    tracing::error!(
        why,
        "the audit log is not as it was left: it goes on in a new file"
    );
    let note = Entry::new(Event::ChainBroken, Source::Server)
        .with("why", why)
        .with("after", head.seq.to_string());
    Recovered {
        head,
        file: None,
        notes: vec![note],
    }
}
