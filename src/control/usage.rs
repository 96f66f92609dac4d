//! When API keys were last presented: folded in as the cores tell, saved once a minute.

use crate::catalog::key_usage::KeyUsage;
use crate::catalog::snapshot::Principals;
use crate::catalog::store::usage::UsageFile;
use crate::catalog::{Change, KeyId};
use std::time::{Duration, Instant};

/// How often the file is written at most: what a crash may forget.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// The control core's side of [`KeyUsage`].
pub struct Usage {
    shown: KeyUsage,
    file: Option<UsageFile>,
    saved_at: Instant,
    changed: bool,
}

impl Usage {
    /// What is shown from now on, and where it is kept (None: nowhere).
    pub fn new(shown: KeyUsage, file: Option<UsageFile>) -> Usage {
        Usage {
            shown,
            file,
            saved_at: Instant::now(),
            changed: false,
        }
    }

    /// Folds in what a core has told; keys that are gone by now are left out.
    pub(super) fn note(&mut self, used: Vec<(KeyId, i64)>, principals: &Principals) {
        let there = |(id, _): &(KeyId, i64)| principals.key(*id).is_some();
        self.shown.fold(used.into_iter().filter(there));
        self.changed = true;
        if self.saved_at.elapsed() >= SAVE_INTERVAL {
            self.save();
        }
    }

    /// Forgets the keys that these changes drop.
    pub(super) fn forget(&mut self, changes: &[Change]) {
        let dropped = changes.iter().filter_map(|change| match change {
            Change::DropKey(id) => Some(*id),
            _ => None,
        });
        self.shown.forget(dropped);
    }

    /// Writes the file if there is something new. Blocks.
    pub(super) fn save(&mut self) {
        let Some(file) = self.file.as_ref().filter(|_| self.changed) else {
            return;
        };
        if let Err(error) = file.write(&self.shown.current()) {
            tracing::warn!(%error, "when API keys were last used could not be saved");
        }
        // Not again with every word from a core while the disk is full.
        self.changed = false;
        self.saved_at = Instant::now();
    }
}
