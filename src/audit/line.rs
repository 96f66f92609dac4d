//! A line of the log as it is read again: strictly, for a file may come from anybody (DESIGN §7, invariant 7).

use super::chain::{ChainKey, Link, unseal};
use std::io::{self, BufRead, Read};

/// The longest line, without its end. A longer one was not written here.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Characters of a timestamp.
const TIMESTAMP_BYTES: usize = 27;

/// A line that has the form of an entry; whether it belongs where it stands is another matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number.
    pub seq: u64,
    /// When, as text.
    pub timestamp: &'a str,
    /// What kind of entry it says it is.
    pub event: &'a str,
    /// Its hash.
    pub link: Link,
    body: &'a str,
}

impl<'a> Line<'a> {
    /// Reads a line, without its end; None for what no server wrote. Does not read the rest of the JSON.
    pub fn read(line: &'a [u8]) -> Option<Line<'a>> {
        if line.len() > LINE_BYTES_MAX {
            return None;
        }
        let (body, link) = unseal(line)?;
        let body = std::str::from_utf8(body).ok()?;
        let rest = body.strip_prefix("{\"seq\":")?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = rest.split_at(digits);
        let seq = number.parse().ok()?;
        if number.starts_with('0') {
            return None;
        }
        let rest = rest.strip_prefix(",\"timestamp\":\"")?;
        let (timestamp, rest) = rest.split_at_checked(TIMESTAMP_BYTES)?;
        let rest = rest.strip_prefix("\",\"event\":\"")?;
        let (event, _) = rest.split_once('"')?;
        Some(Line {
            seq,
            timestamp,
            event,
            link,
            body,
        })
    }

    /// Whether it stands behind what has this hash.
    pub fn follows(&self, key: &ChainKey, previous: &Link) -> bool {
        previous.next(key, self.body.as_bytes()) == self.link
    }

    /// The text of a detail; None where it has none of that name. Reads the whole of the JSON.
    pub fn detail(&self, name: &str) -> Option<String> {
        let read = self.json()?;
        Some(read.get("detail")?.get(name)?.as_str()?.to_owned())
    }

    /// All of it but the hash.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&format!("{}}}", self.body)).ok()
    }
}

/// The next line of a file into `line`, without its end.
pub fn next(file: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Next> {
    line.clear();
    let limit = LINE_BYTES_MAX as u64 + 2;
    let read = file.by_ref().take(limit).read_until(b'\n', line)?;
    Ok(match line.last() {
        None => Next::End,
        Some(b'\n') => {
            line.pop();
            Next::Line(read as u64)
        }
        Some(_) => Next::Torn(read as u64),
    })
}

/// What stands next in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    End,
    /// A line, with so many bytes with its end.
    Line(u64),
    /// At least so many bytes without a line's end.
    Torn(u64),
}

/// The fuzz target's body: whatever the bytes, no panic; what is read is in the line, and a line that was
/// changed does not follow what it followed.
pub fn fuzz(bytes: &[u8]) {
    let key = ChainKey::new(&[1; super::chain::KEY_BYTES]);
    let mut file = io::Cursor::new(bytes);
    let mut line = Vec::new();
    let mut consumed = 0;
    while let Ok(Next::Line(length) | Next::Torn(length)) = next(&mut file, &mut line) {
        consumed += length;
        assert!(line.len() <= LINE_BYTES_MAX + 2);
        let Some(read) = Line::read(&line) else {
            continue;
        };
        assert!(read.body.contains(read.event));
        let _ = read.json();
        if read.follows(&key, &Link::FIRST) {
            let mut changed = line.clone();
            changed[8] ^= 1;
            let changed = Line::read(&changed);
            assert!(changed.is_none_or(|line| !line.follows(&key, &Link::FIRST)));
        }
    }
    assert_eq!(consumed, bytes.len() as u64);
}

#[cfg(test)]
mod tests {
    use super::super::chain::{KEY_BYTES, seal};
    use super::*;

    fn sealed(body: &str) -> Vec<u8> {
        let mut line = body.to_owned();
        seal(&ChainKey::new(&[1; KEY_BYTES]), &Link::FIRST, &mut line);
        line.into_bytes()
    }

    #[test]
    fn only_what_was_written_here_is_a_line() {
        let at = "2026-11-29T13:00:00.000000Z";
        let good = format!(
            "{{\"seq\":7,\"timestamp\":\"{at}\",\"event\":\"login\",\"detail\":{{\"user\":\"al\"}}"
        );
        let line = sealed(&good);
        let read = Line::read(&line).expect("a line");
        assert_eq!((read.seq, read.timestamp, read.event), (7, at, "login"));
        assert_eq!(read.detail("user").as_deref(), Some("al"));
        assert_eq!(read.detail("key"), None);
        for wrong in [
            String::new(),
            "{}".to_owned(),
            good.replace("\"seq\":7", "\"seq\":07"),
            good.replace("\"seq\":7", "\"seq\":-7"),
            good.replace("\"seq\":7", "\"seq\":99999999999999999999"),
            good.replace("timestamp", "Timestamp"),
            good.replace(at, "2026"),
            good.replace("\"event\":\"login\"", "\"event\":7"),
            good.replace('7', &"7".repeat(LINE_BYTES_MAX)),
        ] {
            assert_eq!(Line::read(&sealed(&wrong)), None, "{wrong:.80}");
        }
        assert_eq!(Line::read(good.as_bytes()), None, "without its hash");
    }

    #[test]
    fn a_file_is_cut_into_lines_and_what_has_no_end_is_torn() {
        let mut file = io::Cursor::new(b"one\n\ntorn");
        let mut line = Vec::new();
        let mut found = Vec::new();
        loop {
            let next = next(&mut file, &mut line).expect("memory is read");
            if next == Next::End {
                break;
            }
            found.push((next, String::from_utf8_lossy(&line).into_owned()));
        }
        let expected = [
            (Next::Line(4), "one".to_owned()),
            (Next::Line(1), String::new()),
            (Next::Torn(4), "torn".to_owned()),
        ];
        assert_eq!(found, expected);
    }
}
