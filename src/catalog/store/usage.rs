//! The file of when API keys were last presented: `key_usage`, written anew every minute at most.
//!
//! ```text
//!  0  8  magic "NDBKUSE\n"
//!  8  4  format number, little endian like everything below
//! 12  4  CRC-32 of the payload
//! 16  n  payload: pairs of key id and Unix microseconds, bincode 2 (standard configuration)
//! ```
//!
//! Nothing depends on it: a file that cannot be read is as good as none.

use super::directory::{Directory, DiskDirectory};
use super::record::u32_at;
use crate::catalog::KeyId;
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use imbl::OrdMap;
use std::io;
use std::path::Path;

const MAGIC: [u8; 8] = *b"NDBKUSE\n";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 16;
const PAYLOAD_BYTES_MAX: usize = 1024 * 1024 * 1024;
const NAME: &str = "key_usage";
const NAME_NEW: &str = "key_usage.new";

const CONFIG: Configuration<LittleEndian, Varint, Limit<PAYLOAD_BYTES_MAX>> =
    bincode::config::standard().with_limit::<PAYLOAD_BYTES_MAX>();

/// The file, in the catalog's directory.
pub struct UsageFile(Box<dyn Directory>);

impl UsageFile {
    /// In a directory of the file system.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path) -> io::Result<UsageFile> {
        Ok(UsageFile(Box::new(DiskDirectory::open(path)?)))
    }

    /// In any directory.
    #[cfg(test)]
    pub(crate) fn open_in(directory: Box<dyn Directory>) -> UsageFile {
        UsageFile(directory)
    }

    /// What it says; nothing, with a log line, when it cannot be read. Blocks.
    pub fn read(&self) -> OrdMap<KeyId, i64> {
        let read = match self.0.read(NAME) {
            Ok(None) => return OrdMap::new(),
            Ok(Some(bytes)) => decode(&bytes).ok_or("its bytes are not what was written"),
            Err(_) => Err("the operating system refuses it"),
        };
        read.unwrap_or_else(|why| {
            let file = self.0.path(NAME);
            tracing::warn!(file = %file.display(), why, "when API keys were last used is not known");
            OrdMap::new()
        })
    }

    /// Writes it anew, durably. Blocks.
    ///
    /// # Errors
    /// What the operating system says; the file before is still there.
    pub fn write(&self, usage: &OrdMap<KeyId, i64>) -> io::Result<()> {
        let bytes = encode(usage)?;
        let mut file = self.0.create(NAME_NEW)?;
        file.append(&bytes)?;
        file.sync()?;
        self.0.rename(NAME_NEW, NAME)
    }
}

/// The file's name and contents: what a backup keeps of it.
///
/// # Errors
/// More keys than it can hold.
pub fn file_of(usage: &OrdMap<KeyId, i64>) -> io::Result<(&'static str, Vec<u8>)> {
    Ok((NAME, encode(usage)?))
}

fn encode(usage: &OrdMap<KeyId, i64>) -> io::Result<Vec<u8>> {
    let pairs: Vec<(KeyId, i64)> = usage.iter().map(|(id, at)| (*id, *at)).collect();
    let mut bytes = vec![0; HEADER_BYTES];
    bincode::serde::encode_into_std_write(pairs, &mut bytes, CONFIG).map_err(io::Error::other)?;
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[HEADER_BYTES..]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<OrdMap<KeyId, i64>> {
    let known = bytes.len() >= HEADER_BYTES && bytes[..8] == MAGIC && u32_at(bytes, 8) == FORMAT;
    let payload = bytes.get(HEADER_BYTES..).filter(|_| known)?;
    if u32_at(bytes, 12) != crc32fast::hash(payload) {
        return None;
    }
    let decoded: (Vec<(KeyId, i64)>, usize) =
        bincode::serde::decode_from_slice(payload, CONFIG).ok()?;
    (decoded.1 == payload.len()).then(|| decoded.0.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryDirectory;
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_as_good_as_nothing() {
        let directory = MemoryDirectory::default();
        let file = UsageFile::open_in(Box::new(directory.clone()));
        assert!(file.read().is_empty());
        let usage: OrdMap<KeyId, i64> = (0..100_u8)
            .map(|number| (KeyId::new([number; 8]), i64::from(number)))
            .collect();
        file.write(&usage).expect("the disk takes it");
        assert_eq!(file.read(), usage);
        let bytes = directory.bytes(NAME);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            directory.put(NAME, flipped);
            assert!(file.read().is_empty(), "byte {at}");
        }
        directory.put(NAME, bytes[..10].to_vec());
        assert!(file.read().is_empty());
    }
}
