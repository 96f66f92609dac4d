//! What is shown and compared of a certificate: any bytes are one, or are malformed.

use nodedb::auth::revocation_list::RevocationList;
use nodedb::auth::x509::Certificate;

/// A certificate's outline, and cuts of it.
pub fn seeds() -> Vec<Vec<u8>> {
    let name = b"\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01a".to_vec();
    let name = [b"\x30\x0e", &name[2..], b""].concat();
    let dates = b"\x30\x1e\x17\x0d260101000000Z\x17\x0d270101000000Z";
    let algorithm = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    let parts: [&[u8]; 6] = [
        b"\xa0\x03\x02\x01\x02\x02\x01\x07",
        algorithm,
        &name,
        dates,
        &name,
        b"\x30\x00",
    ];
    let body = parts.concat();
    let wrap = |contents: &[u8]| [&[0x30, 0x81, contents.len() as u8], contents].concat();
    let body = wrap(&body);
    let signed = [&body[..], algorithm, b"\x03\x01\x00"].concat();
    let whole = wrap(&signed);
    vec![whole[..whole.len() / 2].to_vec(), whole]
}

/// Its parts lie in it, and what is printed of it holds no control character.
pub fn run(data: &[u8]) {
    if let Ok(list) = RevocationList::parse(data) {
        assert!(!list.issuer_text().contains(char::is_control));
    }
    let Ok(certificate) = Certificate::parse(data) else {
        return;
    };
    let within = data.as_ptr_range();
    for part in [certificate.serial, certificate.issuer, certificate.subject] {
        let part = part.as_ptr_range();
        assert!(within.start <= part.start && part.end <= within.end);
    }
    let texts = [certificate.subject_text(), certificate.serial_text()];
    assert!(texts.iter().all(|text| !text.contains(char::is_control)));
    let _ = certificate.signature_hash();
    let names = certificate.names().unwrap_or_default();
    assert!(
        names
            .iter()
            .all(|name| !name.text.contains(char::is_control))
    );
}
