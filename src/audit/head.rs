//! The anchor: where the chain ends, apart from the files (`<data_dir>/audit/head`).
//!
//! Two slots of 512 bytes, written in turn, so that a write that a crash tears leaves the one before. It is
//! written after the entries are durable and is not synced itself: it may be behind the files after a loss of
//! power, never before them. A file that ends before it has been cut.

use super::chain::{ChainKey, Link, seal, unseal};
use super::names;
use serde::Deserialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const SLOT_BYTES: usize = 512;
const SLOTS: usize = 2;

/// Where the chain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last entry; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub link: Link,
    /// The file that it stands in; empty before the first.
    pub file: String,
    /// Where it ends there.
    pub length: u64,
}

impl Head {
    /// Before the first entry.
    pub fn first() -> Head {
        Head {
            seq: 0,
            link: Link::FIRST,
            file: String::new(),
            length: 0,
        }
    }

    fn text(&self, key: &ChainKey) -> String {
        let Head {
            seq,
            link,
            file,
            length,
        } = self;
        let mut text =
            format!("{{\"head\":{seq},\"last\":\"{link}\",\"file\":\"{file}\",\"length\":{length}");
        seal(key, &Link::FIRST, &mut text);
        text
    }

    fn parse(slot: &[u8], key: &ChainKey) -> Option<Head> {
        #[derive(Deserialize)]
        struct Written {
            head: u64,
            last: String,
            file: String,
            length: u64,
        }
        let text = slot.trim_ascii_end();
        let (body, hash) = unseal(text)?;
        if Link::FIRST.next(key, body) != hash {
            return None;
        }
        let written: Written = serde_json::from_slice(&[body, b"}"].concat()).ok()?;
        Some(Head {
            seq: written.head,
            link: written.last.parse().ok()?,
            file: written.file,
            length: written.length,
        })
    }
}

/// What the anchor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// There is none.
    Missing,
    /// There is one that nobody with this key wrote.
    Forged,
    /// It is there.
    Found(Head),
}

/// Reads the anchor of a directory. Blocks.
///
/// # Errors
/// The file cannot be read.
pub fn read(directory: &Path, key: &ChainKey) -> io::Result<Anchor> {
    let file = match File::open(directory.join(names::HEAD)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Anchor::Missing),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take((SLOTS * SLOT_BYTES) as u64)
        .read_to_end(&mut bytes)?;
    let slots = bytes.chunks(SLOT_BYTES);
    let newest = slots
        .filter_map(|slot| Head::parse(slot, key))
        .max_by_key(|head| head.seq);
    Ok(newest.map_or(Anchor::Forged, Anchor::Found))
}

/// The anchor as its one writer has it.
pub struct HeadFile {
    file: File,
    writes: usize,
}

impl HeadFile {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(directory: &Path) -> io::Result<HeadFile> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join(names::HEAD))?;
        Ok(HeadFile { file, writes: 0 })
    }

    /// Writes where the chain ends now.
    ///
    /// # Errors
    /// What the system says; the slot before is still there.
    pub fn write(&mut self, head: &Head, key: &ChainKey) -> io::Result<()> {
        let mut slot = head.text(key).into_bytes();
        assert!(slot.len() < SLOT_BYTES, "a head is short");
        slot.resize(SLOT_BYTES - 1, b' ');
        slot.push(b'\n');
        let place = (self.writes % SLOTS) * SLOT_BYTES;
        self.file.write_all_at(&slot, place as u64)?;
        self.writes += 1;
        Ok(())
    }

    /// Makes it durable: at the start and at the end, and when a file is full.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::KEY_BYTES;
    use super::*;

    fn head(seq: u64) -> Head {
        Head {
            seq,
            link: Link::FIRST,
            file: names::of(1),
            length: 1_000 * seq,
        }
    }

    #[test]
    fn the_newest_slot_counts_and_a_torn_one_leaves_the_one_before() {
        let directory = tempfile::tempdir().expect("a directory");
        let key = ChainKey::new(&[1; KEY_BYTES]);
        assert_eq!(
            read(directory.path(), &key).expect("it is read"),
            Anchor::Missing
        );
        let mut file = HeadFile::open(directory.path()).expect("it is made");
        for seq in 1..=3 {
            file.write(&head(seq), &key).expect("it is written");
            let found = read(directory.path(), &key).expect("it is read");
            assert_eq!(found, Anchor::Found(head(seq)));
        }
        // The third one lies in the first slot.
        let path = directory.path().join(names::HEAD);
        let mut bytes = std::fs::read(&path).expect("it is there");
        bytes[200] ^= 1;
        std::fs::write(&path, &bytes).expect("it is written");
        let found = read(directory.path(), &key).expect("it is read");
        assert_eq!(found, Anchor::Found(head(2)));
        let other = ChainKey::new(&[2; KEY_BYTES]);
        assert_eq!(
            read(directory.path(), &other).expect("it is read"),
            Anchor::Forged
        );
    }
}
