//! The format number of the store: one line of text beside the data file (REFERENCE §6).
//!
//! A newer number than this server's is refused with both; an older one is migrated:
//!
//! - 2: columns of numeric without a precision, or with more than 38 digits. What 1 wrote reads the
//!   same, so that only the number changes; a server of 1 would misread such columns.
//! - 3: schemas have records beside those of relations, which a server of 2 would pass over.

use super::error::StorageError;
use std::cmp::Ordering;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

/// The format that this server writes.
pub(super) const FORMAT: u32 = 3;

/// The file's name.
const FILE_NAME: &str = "format";

/// The longest content read.
const FILE_BYTES_MAX: u64 = 64;

const PREFIX: &str = "nodedb storage ";

/// Checks the format of the store in a directory; writes it for a new one.
pub(super) fn check(directory: &Path) -> Result<(), StorageError> {
    let path = directory.join(FILE_NAME);
    match fs::metadata(&path) {
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => Err(unreadable()),
        Ok(_) => {
            let found = parse(&fs::read_to_string(&path).map_err(io("read the format file"))?)?;
            match found.cmp(&FORMAT) {
                Ordering::Equal => Ok(()),
                Ordering::Less => {
                    tracing::info!(found, now = FORMAT, "the store's format is migrated");
                    write(directory, &path)
                }
                Ordering::Greater => Err(StorageError::FormatNewer {
                    found,
                    supported: FORMAT,
                }),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => write(directory, &path),
        Err(error) => Err(io("read the format file")(error)),
    }
}

/// The file's name and contents, for a copy of a store.
pub(super) fn file() -> (&'static str, String) {
    (FILE_NAME, format!("{PREFIX}{FORMAT}\n"))
}

fn parse(text: &str) -> Result<u32, StorageError> {
    let number = text.strip_prefix(PREFIX).ok_or_else(unreadable)?;
    number.trim_end().parse().map_err(|_| unreadable())
}

fn unreadable() -> StorageError {
    StorageError::Damaged("its format file does not read as one".into())
}

fn io(operation: &'static str) -> impl Fn(std::io::Error) -> StorageError {
    move |error| StorageError::Io {
        operation,
        error: Arc::new(error),
    }
}

/// Writes the file so that it is either whole or not there.
fn write(directory: &Path, path: &Path) -> Result<(), StorageError> {
    let draft = directory.join("format.new");
    let failed = io("write the format file");
    let mut file = fs::File::create(&draft).map_err(&failed)?;
    file.write_all(self::file().1.as_bytes()).map_err(&failed)?;
    file.sync_all().map_err(&failed)?;
    fs::rename(&draft, path).map_err(&failed)?;
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(&failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_refused_with_both_numbers() {
        let directory = tempfile::tempdir().unwrap();
        check(directory.path()).unwrap();
        check(directory.path()).unwrap();
        fs::write(directory.path().join(FILE_NAME), "nodedb storage 7\n").unwrap();
        let refused = check(directory.path()).unwrap_err().to_string();
        assert!(
            refused.contains('7') && refused.contains(&FORMAT.to_string()),
            "{refused}"
        );
    }

    #[test]
    fn an_older_format_is_migrated() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE_NAME);
        fs::write(&file, "nodedb storage 1\n").unwrap();
        check(directory.path()).unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), super::file().1);
    }

    #[test]
    fn a_format_file_of_another_kind_is_damage() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE_NAME), "hello").unwrap();
        assert!(matches!(
            check(directory.path()),
            Err(StorageError::Damaged(_))
        ));
    }
}
