//! The last good key set of each provider, kept on the disk for a start while the provider is down.
//!
//! One file a provider, named by what it is fetched from, so that a provider that now means another
//! issuer never finds the old one's keys. Format: a line `nodedb-jwks 1 <fetched at, Unix microseconds>
//! <SHA-256 of the document, in hexadecimal>`, then the document as it came. Written to a file beside it,
//! synced and renamed: whole or not at all.

use crate::auth::jwks::{DOCUMENT_BYTES_MAX, Followed, KeySet};
use ring::digest::{SHA256, digest};
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What the first line begins with.
const MARK: &str = "nodedb-jwks 1";

/// The first line is shorter.
const LINE_BYTES_MAX: usize = 128;

/// The directory of them.
#[derive(Clone, Debug)]
pub struct Kept {
    directory: PathBuf,
}

/// Why a file that is there is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The disk.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Not what was written.
    #[error("it is damaged, or of another version")]
    Damaged,
}

impl Kept {
    /// In this directory, which is made with the first file.
    pub fn new(directory: PathBuf) -> Kept {
        Kept { directory }
    }

    /// Where a provider's is.
    pub fn path(&self, provider: &Followed) -> PathBuf {
        let jwks_url = provider.jwks_url.as_deref().unwrap_or_default();
        let from = format!("{}\n{jwks_url}", provider.issuer);
        let mut name = hexadecimal(&from.into_bytes());
        name.truncate(32);
        self.directory.join(format!("{name}.jwks"))
    }

    /// A provider's set and when it was fetched; None if none was kept. Blocks on the disk.
    ///
    /// # Errors
    /// [`Unusable`]
    pub fn read(&self, provider: &Followed) -> Result<Option<(KeySet, i64)>, Unusable> {
        let file = match File::open(self.path(provider)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        let bytes_max = (LINE_BYTES_MAX + DOCUMENT_BYTES_MAX) as u64;
        file.take(bytes_max + 1).read_to_end(&mut bytes)?;
        let read = parse(&bytes).ok_or(Unusable::Damaged)?;
        Ok(Some(read))
    }

    /// Keeps a document. Blocks on the disk, for an fsync.
    ///
    /// # Errors
    /// The disk's; what was kept before is still there.
    pub fn write(&self, provider: &Followed, document: &[u8], fetched_at: i64) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        let path = self.path(provider);
        let beside = path.with_extension("new");
        // A crash may have left one.
        remove(&beside)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        writeln!(file, "{MARK} {fetched_at} {}", hexadecimal(document))?;
        file.write_all(document)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(&self.directory)?.sync_all()
    }

    /// Forgets a provider's.
    ///
    /// # Errors
    /// The disk's.
    pub fn forget(&self, provider: &Followed) -> io::Result<()> {
        remove(&self.path(provider))
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn hexadecimal(document: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest(&SHA256, document).as_ref() {
        write!(text, "{byte:02x}").expect("a text takes what is written");
    }
    text
}

fn parse(bytes: &[u8]) -> Option<(KeySet, i64)> {
    let end = bytes
        .iter()
        .take(LINE_BYTES_MAX)
        .position(|it| *it == b'\n')?;
    let (line, document) = (&bytes[..end], &bytes[end + 1..]);
    let line = std::str::from_utf8(line).ok()?.strip_prefix(MARK)?;
    let (fetched_at, sum) = line.strip_prefix(' ')?.split_once(' ')?;
    let keys = (sum == hexadecimal(document)).then(|| KeySet::parse(document))?;
    Some((keys.ok()?, fetched_at.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwt::signer::{Kind, Signer, key_set};
    use crate::catalog::PrincipalId;
    use std::os::unix::fs::PermissionsExt;

    fn provider(issuer: &str, jwks_url: Option<&str>) -> Followed {
        Followed {
            id: PrincipalId(40_000),
            name: "auth0".to_owned(),
            issuer: issuer.to_owned(),
            jwks_url: jwks_url.map(str::to_owned),
        }
    }

    fn document(kid: &str) -> String {
        key_set(&[&Signer::new(Kind::Es256, kid)])
    }

    #[test]
    fn what_was_kept_is_found_again_for_that_provider_and_for_no_other() {
        let directory = tempfile::tempdir().expect("a directory");
        let kept = Kept::new(directory.path().join("jwks"));
        let ours = provider("https://a.example/", None);
        assert!(kept.read(&ours).expect("no file").is_none());
        kept.write(&ours, document("one").as_bytes(), 7)
            .expect("kept");
        kept.write(&ours, document("two").as_bytes(), 8)
            .expect("kept");
        let (keys, fetched_at) = kept.read(&ours).expect("readable").expect("there");
        assert_eq!(fetched_at, 8);
        assert!(format!("{keys:?}").contains("two"));
        for other in [
            provider("https://a.example", None),
            provider("https://a.example/", Some("https://a.example/keys")),
        ] {
            assert!(kept.read(&other).expect("no file").is_none());
        }
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&kept.path(&ours)), 0o600);
        assert_eq!(mode(&directory.path().join("jwks")), 0o700);
        kept.forget(&ours).expect("forgotten");
        kept.forget(&ours).expect("forgotten already");
        assert!(kept.read(&ours).expect("no file").is_none());
        assert_eq!(
            fs::read_dir(directory.path().join("jwks")).unwrap().count(),
            0
        );
    }

    #[test]
    fn a_file_that_is_cut_changed_or_foreign_is_not_used() {
        let directory = tempfile::tempdir().expect("a directory");
        let kept = Kept::new(directory.path().to_owned());
        let ours = provider("https://a.example/", None);
        kept.write(&ours, document("one").as_bytes(), 7)
            .expect("kept");
        let path = kept.path(&ours);
        let whole = fs::read(&path).expect("there");
        let mut changed = whole.clone();
        *changed.last_mut().expect("not empty") = b' ';
        let newer = String::from_utf8(whole.clone()).expect("text");
        let newer = newer.replacen("jwks 1", "jwks 2", 1).into_bytes();
        let long = [&whole[..], &vec![b' '; DOCUMENT_BYTES_MAX]].concat();
        for bytes in [
            &whole[..whole.len() / 2],
            &changed,
            &newer,
            &long,
            b"",
            b"\n",
            b"{}",
        ] {
            fs::write(&path, bytes).expect("written");
            let read = kept.read(&ours);
            assert!(matches!(read, Err(Unusable::Damaged)), "{read:?}");
        }
        fs::write(path.with_extension("new"), b"left by a crash").expect("written");
        kept.write(&ours, document("one").as_bytes(), 7)
            .expect("kept");
        assert!(kept.read(&ours).expect("readable").is_some());
    }
}
