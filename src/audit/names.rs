//! What the files are called: by the number of their first entry, so that their names are in order.

use std::io;
use std::path::Path;

/// The anchor.
pub const HEAD: &str = "head";

const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";
const DIGITS: usize = 20;

/// The file that begins with this entry.
pub fn of(first: u64) -> String {
    format!("{PREFIX}{first:0DIGITS$}{SUFFIX}")
}

/// The first entry of a file of this name; None for another kind of file.
pub fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let is_ours = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_ours)
}

/// What the bytes of a torn entry are kept under.
pub fn torn(seq: u64) -> String {
    format!("torn-{seq:0DIGITS$}")
}

/// The names of the log's files in a directory, the oldest first. Blocks.
///
/// # Errors
/// The directory cannot be read.
pub fn files(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        if let Ok(name) = entry?.file_name().into_string()
            && first_of(&name).is_some()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_entries() {
        assert_eq!(of(1), "audit-00000000000000000001.jsonl");
        assert!(of(9) < of(10) && of(10) < of(u64::MAX));
        for first in [1, 10, u64::MAX] {
            assert_eq!(first_of(&of(first)), Some(first));
        }
        for other in [
            "head",
            "audit-1.jsonl",
            "audit-0000000000000000000x.jsonl",
            "torn-1",
        ] {
            assert_eq!(first_of(other), None, "{other}");
        }
    }
}
