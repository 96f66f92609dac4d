//! The bytes of the snapshot file: the principals' half at one epoch, in one piece.
//!
//! ```text
//!  0  8  magic "NDBCSNP\n"
//!  8  4  format number, little endian like everything below
//! 12  8  epoch
//! 20  8  length of the payload in bytes
//! 28  4  CRC-32 of the payload
//! 32  4  CRC-32 of the 32 bytes before
//! 36  n  payload: bincode 2 (standard configuration)
//! ```
//!
//! The payload is the marks and then a list of each kind of object. Format 1 ends where the API keys
//! of format 2 begin, and format 2 where the identity providers of format 3 do. Format 4 has limits, and
//! users with two passwords (`older`).

use super::super::change::Marks;
use super::super::ids::Epoch;
use super::super::key::ApiKey;
use super::super::principal::{Database, Principal, Role, Tenant};
use super::super::provider::{Origin, Provider};
use super::super::snapshot::Principals;
use super::loading::{self, Part, Parts};
use super::older::{OLDER_FORMAT, OlderKey, OlderPrincipal, OlderTenant};
use super::record::{u32_at, u64_at};
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The first bytes of a snapshot file.
pub const IMAGE_MAGIC: [u8; 8] = *b"NDBCSNP\n";
/// The newest format of the snapshot file that this server reads, and the one it writes.
pub const IMAGE_FORMAT: u32 = 4;
/// The size of its header.
pub const IMAGE_HEADER_BYTES: usize = 36;
/// The largest payload: some ten million users.
pub const IMAGE_PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024 * 1024;

const CONFIG: Configuration<LittleEndian, Varint, Limit<IMAGE_PAYLOAD_BYTES_MAX>> =
    bincode::config::standard().with_limit::<IMAGE_PAYLOAD_BYTES_MAX>();

/// What a snapshot file says.
pub enum Image {
    /// The state at this epoch.
    State(Epoch, Box<Principals>),
    /// A format number above ours.
    Newer(u32),
    /// Not what was written: offset and reason.
    Damaged(u64, &'static str),
}

#[derive(Serialize)]
struct Payload {
    marks: Marks,
    tenants: Vec<Arc<Tenant>>,
    principals: Vec<Arc<Principal>>,
    roles: Vec<Arc<Role>>,
    databases: Vec<Arc<Database>>,
    keys: Vec<Arc<ApiKey>>,
    providers: Vec<Arc<Provider>>,
}

/// The whole file. None when the payload exceeds [`IMAGE_PAYLOAD_BYTES_MAX`].
pub fn encode_image(epoch: Epoch, principals: &Principals) -> Option<Vec<u8>> {
    // The same state always makes the same file.
    let mut keys: Vec<_> = principals.keys().cloned().collect();
    keys.sort_unstable_by_key(|it| it.id);
    let payload = Payload {
        marks: principals.marks(),
        tenants: principals.tenants().cloned().collect(),
        principals: principals.all().cloned().collect(),
        roles: principals.roles().cloned().collect(),
        databases: principals.databases().cloned().collect(),
        keys,
        // The others are what nodedb.toml says at the next start.
        providers: (principals.providers())
            .filter(|it| it.origin == Origin::Sql)
            .cloned()
            .collect(),
    };
    let mut bytes = vec![0; IMAGE_HEADER_BYTES];
    bincode::serde::encode_into_std_write(payload, &mut bytes, CONFIG)
        .expect("principals are plain data and memory takes any number of bytes");
    let length = bytes.len() - IMAGE_HEADER_BYTES;
    if length > IMAGE_PAYLOAD_BYTES_MAX {
        return None;
    }
    bytes[..8].copy_from_slice(&IMAGE_MAGIC);
    bytes[8..12].copy_from_slice(&IMAGE_FORMAT.to_le_bytes());
    bytes[12..20].copy_from_slice(&epoch.0.to_le_bytes());
    bytes[20..28].copy_from_slice(&(length as u64).to_le_bytes());
    let body = crc32fast::hash(&bytes[IMAGE_HEADER_BYTES..]);
    bytes[28..32].copy_from_slice(&body.to_le_bytes());
    let head = crc32fast::hash(&bytes[..32]);
    bytes[32..36].copy_from_slice(&head.to_le_bytes());
    Some(bytes)
}

/// Reads a snapshot file.
pub fn decode_image(bytes: &[u8]) -> Image {
    if bytes.len() < IMAGE_HEADER_BYTES {
        return Image::Damaged(0, "the header is incomplete");
    }
    if bytes[..8] != IMAGE_MAGIC {
        return Image::Damaged(0, "not a catalog snapshot");
    }
    let format = u32_at(bytes, 8);
    if format > IMAGE_FORMAT {
        return Image::Newer(format);
    }
    if u32_at(bytes, 32) != crc32fast::hash(&bytes[..32]) {
        return Image::Damaged(0, "the header's checksum does not match");
    }
    let payload = &bytes[IMAGE_HEADER_BYTES..];
    let start = IMAGE_HEADER_BYTES as u64;
    if payload.len() as u64 != u64_at(bytes, 20) {
        return Image::Damaged(start, "the payload has another length than the header says");
    }
    if u32_at(bytes, 28) != crc32fast::hash(payload) {
        return Image::Damaged(start, "the payload's checksum does not match");
    }
    let loaded = match format {
        1..=IMAGE_FORMAT => loading::load(|parts| read(payload, format, parts)),
        _ => return Image::Damaged(0, "there is no such format"),
    };
    match loaded {
        Some(principals) => Image::State(Epoch(u64_at(bytes, 12)), Box::new(principals)),
        None => Image::Damaged(start, "the payload cannot be decoded"),
    }
}

/// Reads the payload to its end; None if it is not one.
fn read(payload: &[u8], format: u32, parts: &Parts) -> Option<()> {
    let mut rest = Rest(payload);
    parts.put(Part::Marks(rest.take()?));
    if format > OLDER_FORMAT {
        parts.put_all(rest.list()?, Part::Tenants)?;
        parts.put_all(rest.list()?, Part::Principals)?;
    } else {
        parts.put_all(rest.older::<OlderTenant, _>()?, Part::Tenants)?;
        parts.put_all(rest.older::<OlderPrincipal, _>()?, Part::Principals)?;
    }
    parts.put_all(rest.list()?, Part::Roles)?;
    parts.put_all(rest.list()?, Part::Databases)?;
    match format {
        1 => {}
        2..=OLDER_FORMAT => parts.put_all(rest.older::<OlderKey, _>()?, Part::Keys)?,
        _ => parts.put_all(rest.list()?, Part::Keys)?,
    }
    if format > 2 {
        parts.put_all(rest.list()?, Part::Providers)?;
    }
    rest.0.is_empty().then_some(())
}

/// What has not yet been read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<T: DeserializeOwned>(&mut self) -> Option<T> {
        let (value, used) = bincode::serde::decode_from_slice(self.0, CONFIG).ok()?;
        self.0 = &self.0[used..];
        Some(value)
    }

    /// A list, as bincode writes one: how many, then each of them. An object that cannot be read is
    /// None.
    fn list<T: DeserializeOwned>(&mut self) -> Option<impl Iterator<Item = Option<T>>> {
        let length: u64 = self.take()?;
        Some((0..length).map(|_| self.take()))
    }

    /// A list of what has changed since, as it is now.
    fn older<Older, Now>(&mut self) -> Option<impl Iterator<Item = Option<Now>>>
    where
        Older: DeserializeOwned + Into<Now>,
    {
        Some(self.list::<Older>()?.map(|older| older.map(Older::into)))
    }
}
