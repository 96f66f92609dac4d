//! The bytes of the log: a header, then one record for each epoch.
//!
//! ```text
//! header   0  8  magic "NDBCLOG\n"
//!          8  4  format number, little endian like everything below
//!         12  8  base: the epoch of the snapshot this log continues; 0 without one
//!         20  4  CRC-32 of the 20 bytes before
//! record   0  4  length of the payload in bytes
//!          4  8  epoch
//!         12  4  CRC-32 of the 12 bytes before
//!         16  4  CRC-32 of the payload
//!         20  n  payload: the changes, bincode 2 (standard configuration)
//! ```
//!
//! The record's own head has a checksum of its own, so that a damaged length is seen as damage
//! and cannot make the rest of the log look like a torn tail.

use super::super::change::Change;
use super::super::ids::Epoch;
use super::older::{OLDER_FORMAT, OlderChange};
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::de::DeserializeOwned;

/// The first bytes of a log.
pub const LOG_MAGIC: [u8; 8] = *b"NDBCLOG\n";
/// The newest format of the log that this server reads, and the one it writes. Format 1 had no API
/// keys, format 2 no identity providers, format 3 no limits and no second passwords (`older`).
pub const LOG_FORMAT: u32 = 4;
/// The size of the log's header.
pub const LOG_HEADER_BYTES: usize = 24;
/// The size of a record's head.
pub const RECORD_HEAD_BYTES: usize = 20;
/// The largest payload of one record: DROP TENANT … CASCADE of a million users fits.
pub const RECORD_PAYLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;

const CONFIG: Configuration<LittleEndian, Varint, Limit<RECORD_PAYLOAD_BYTES_MAX>> =
    bincode::config::standard().with_limit::<RECORD_PAYLOAD_BYTES_MAX>();

/// What a log's header says.
#[derive(Debug, PartialEq, Eq)]
pub enum Header {
    /// The log continues the snapshot of this epoch; its format is ours or an older one.
    Base(Epoch, u32),
    /// A format number above ours.
    Newer(u32),
    /// Not a header, and why.
    Damaged(&'static str),
}

/// One record that was read.
#[derive(Debug)]
pub struct Record {
    /// Its epoch.
    pub epoch: Epoch,
    /// What happened in it.
    pub changes: Vec<Change>,
    /// How many bytes it takes in the file.
    pub bytes: usize,
}

/// Why the bytes at a place are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// Fewer bytes than the record says, or than a head has.
    Incomplete,
    /// The head's checksum does not match.
    Head,
    /// The payload's checksum does not match.
    Payload,
    /// Both match and yet it cannot be decoded: not a crash, another program or a mistake.
    Undecodable,
}

impl RecordFault {
    /// In words, for the start-up message.
    pub fn as_str(&self) -> &'static str {
        match self {
            RecordFault::Incomplete => "the record is incomplete",
            RecordFault::Head => "the checksum of the record's head does not match",
            RecordFault::Payload => "the checksum of the record's payload does not match",
            RecordFault::Undecodable => "the record cannot be decoded",
        }
    }
}

/// The header of a log that continues the snapshot of this epoch.
pub fn encode_header(base: Epoch) -> [u8; LOG_HEADER_BYTES] {
    let mut bytes = [0; LOG_HEADER_BYTES];
    bytes[..8].copy_from_slice(&LOG_MAGIC);
    bytes[8..12].copy_from_slice(&LOG_FORMAT.to_le_bytes());
    bytes[12..20].copy_from_slice(&base.0.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..20]);
    bytes[20..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Reads a log's header. The format is looked at before the checksum, whose place may move.
pub fn decode_header(bytes: &[u8]) -> Header {
    if bytes.len() < LOG_HEADER_BYTES {
        return Header::Damaged("the header is incomplete");
    }
    if bytes[..8] != LOG_MAGIC {
        return Header::Damaged("not a catalog log");
    }
    let format = u32_at(bytes, 8);
    if format > LOG_FORMAT {
        return Header::Newer(format);
    }
    if u32_at(bytes, 20) != crc32fast::hash(&bytes[..20]) {
        return Header::Damaged("the header's checksum does not match");
    }
    if format == 0 {
        return Header::Damaged("there is no format 0");
    }
    Header::Base(Epoch(u64_at(bytes, 12)), format)
}

/// The bytes of one record.
///
/// # Errors
/// The payload's size when it exceeds [`RECORD_PAYLOAD_BYTES_MAX`].
pub fn encode_record(epoch: Epoch, changes: &[Change]) -> Result<Vec<u8>, usize> {
    let mut bytes = vec![0; RECORD_HEAD_BYTES];
    bincode::serde::encode_into_std_write(changes, &mut bytes, CONFIG)
        .expect("changes are plain data and memory takes any number of bytes");
    let payload = bytes.len() - RECORD_HEAD_BYTES;
    if payload > RECORD_PAYLOAD_BYTES_MAX {
        return Err(payload);
    }
    let length = u32::try_from(payload).expect("the limit is below 4 GiB");
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..12].copy_from_slice(&epoch.0.to_le_bytes());
    let head = crc32fast::hash(&bytes[..12]);
    bytes[12..16].copy_from_slice(&head.to_le_bytes());
    let body = crc32fast::hash(&bytes[RECORD_HEAD_BYTES..]);
    bytes[16..20].copy_from_slice(&body.to_le_bytes());
    Ok(bytes)
}

/// Reads the record that begins at the first byte.
///
/// # Errors
/// Why there is none.
pub fn decode_record(bytes: &[u8]) -> Result<Record, RecordFault> {
    decode_record_of(LOG_FORMAT, bytes)
}

/// Reads the record that begins at the first byte of a log of this format.
///
/// # Errors
/// Why there is none.
pub fn decode_record_of(format: u32, bytes: &[u8]) -> Result<Record, RecordFault> {
    let payload = checked_payload(bytes)?;
    let changes: Vec<Change> = match format {
        ..=OLDER_FORMAT => {
            let changes: Vec<OlderChange> = whole(payload)?;
            changes.into_iter().map(Change::from).collect()
        }
        _ => whole(payload)?,
    };
    Ok(Record {
        epoch: Epoch(u64_at(bytes, 4)),
        changes,
        bytes: RECORD_HEAD_BYTES + payload.len(),
    })
}

/// What the payload holds, to its end.
fn whole<T: DeserializeOwned>(payload: &[u8]) -> Result<T, RecordFault> {
    match bincode::serde::decode_from_slice(payload, CONFIG) {
        Ok((value, used)) if used == payload.len() => Ok(value),
        Ok(_) | Err(_) => Err(RecordFault::Undecodable),
    }
}

/// Whether an intact record begins anywhere in the bytes.
///
/// Linear: a place whose head's checksum is wrong costs 12 bytes of CRC and no more.
pub fn contains_intact_record(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|start| checked_payload(&bytes[start..]).is_ok())
}

fn checked_payload(bytes: &[u8]) -> Result<&[u8], RecordFault> {
    if bytes.len() < RECORD_HEAD_BYTES {
        return Err(RecordFault::Incomplete);
    }
    if u32_at(bytes, 12) != crc32fast::hash(&bytes[..12]) {
        return Err(RecordFault::Head);
    }
    let length = u32_at(bytes, 0) as usize;
    if length > RECORD_PAYLOAD_BYTES_MAX {
        return Err(RecordFault::Undecodable);
    }
    let payload = bytes
        .get(RECORD_HEAD_BYTES..RECORD_HEAD_BYTES + length)
        .ok_or(RecordFault::Incomplete)?;
    if u32_at(bytes, 16) != crc32fast::hash(payload) {
        return Err(RecordFault::Payload);
    }
    Ok(payload)
}

/// Little-endian u32 at a place that the caller has checked.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Little-endian u64 at a place that the caller has checked.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
