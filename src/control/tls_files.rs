//! The files of `[server.tls]`: read at the start, and when `tls_watch` sees that they have changed.

use crate::auth::tls::{Kind, Material, Unusable};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The longest file that is read: a chain is a few KiB, a revocation list of a large authority some
/// MiB.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// `cert`
    pub certificate: PathBuf,
    /// `key`
    pub key: PathBuf,
    /// `client_ca`
    pub client_ca: Option<PathBuf>,
    /// `crl`
    pub revocation_lists: Option<PathBuf>,
}

/// Why the files give no usable set.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// One cannot be read.
    #[error("[server.tls] `{}`: cannot read {}: {source}", kind.as_str(), path.display())]
    Unreadable {
        /// Which.
        kind: Kind,
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// They can be, and are of no use.
    #[error("[server.tls] {0}")]
    Unusable(#[from] Unusable),
}

/// What tells one state of the files from another without reading them: of each its device, inode,
/// size and time, or that it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps(Vec<Option<[i128; 4]>>);

impl TlsFiles {
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let always = [&self.certificate, &self.key].into_iter();
        let paths = always.chain(&self.client_ca).chain(&self.revocation_lists);
        paths.map(PathBuf::as_path)
    }

    /// Looks at all of them; links are followed. Blocks for a moment.
    pub fn stamps(&self) -> Stamps {
        let stamp = |path| {
            let file = fs::metadata(path).ok()?;
            let time = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
            Some([
                i128::from(file.dev()),
                i128::from(file.ino()),
                i128::from(file.size()),
                time,
            ])
        };
        Stamps(self.paths().map(stamp).collect())
    }

    /// Reads all of them. Blocks: never on a session core.
    ///
    /// # Errors
    /// [`TlsFault::Unreadable`]
    pub fn read(&self) -> Result<Material, TlsFault> {
        let key = read(Kind::Key, &self.key)?;
        self.warn_of_an_open_key();
        Ok(Material {
            certificate: read(Kind::Certificate, &self.certificate)?,
            key: Zeroizing::new(key),
            client_ca: read_if_any(Kind::ClientCa, self.client_ca.as_deref())?,
            revocation_lists: read_if_any(Kind::RevocationList, self.revocation_lists.as_deref())?,
        })
    }

    fn warn_of_an_open_key(&self) {
        let mode = fs::metadata(&self.key).map(|file| file.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o007 != 0) {
            let path = self.key.display();
            tracing::warn!(%path, "everybody on this machine may read the private key: chmod 600");
        }
    }
}

fn read_if_any(kind: Kind, path: Option<&Path>) -> Result<Option<Vec<u8>>, TlsFault> {
    path.map(|path| read(kind, path)).transpose()
}

fn read(kind: Kind, path: &Path) -> Result<Vec<u8>, TlsFault> {
    let read = || -> io::Result<Vec<u8>> {
        match fs::metadata(path)?.len() {
            0..=FILE_BYTES_MAX => fs::read(path),
            _ => Err(io::Error::other("it is longer than 64 MiB")),
        }
    };
    read().map_err(|source| TlsFault::Unreadable {
        kind,
        path: path.to_owned(),
        source,
    })
}
