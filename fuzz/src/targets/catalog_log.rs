//! The catalog's log and snapshot file: bytes as they lie there, and payloads with good checksums.

use nodedb::catalog::TenantId;
use nodedb::catalog::change::Change;
use nodedb::catalog::store::image::decode_image;
use nodedb::catalog::store::record::{
    RECORD_HEAD_BYTES, decode_header, decode_record, encode_record,
};

/// A record's payload, and a record.
pub fn seeds() -> Vec<Vec<u8>> {
    let changes = vec![
        Change::DropTenant(TenantId(7)),
        Change::DropTenant(TenantId(8)),
    ];
    let record = encode_record(nodedb::catalog::Epoch(7), &changes).expect("a short one");
    vec![record[RECORD_HEAD_BYTES..].to_vec(), record]
}

/// A record that is read is written and read again.
pub fn run(data: &[u8]) {
    let _ = decode_header(data);
    let _ = decode_image(data);
    let _ = decode_record(data);
    let framed = frame(data);
    if let Ok(record) = decode_record(&framed) {
        assert_eq!(record.bytes, framed.len());
        let printed = encode_record(record.epoch, &record.changes).expect("within the limit");
        let again = decode_record(&printed).expect("what was written is read");
        assert_eq!(again.changes, record.changes);
    }
}

/// A record around any payload, so that checksums do not keep the decoder out of reach.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 20];
    bytes[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes[4..12].copy_from_slice(&7u64.to_le_bytes());
    let head = crc32fast::hash(&bytes[..12]);
    bytes[12..16].copy_from_slice(&head.to_le_bytes());
    bytes[16..20].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
