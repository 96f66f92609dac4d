//! The settings that sessions begin with, made once for all that say the same at start-up.
//!
//! Two thousand sessions of one program then hold one pointer each, in place of a map.

use super::{Scope, SessionSettings, defaults};
use crate::diagnostic::Diagnostic;
use crate::engine::settings::Settings;
use std::cell::RefCell;
use std::sync::Arc;

/// The settings that sessions of one core begin with, shared by those that say the same.
#[derive(Debug)]
pub struct Shared {
    recent: RefCell<Vec<Startup>>,
}

/// What a client and the server said, and the settings that come of it.
#[derive(Debug)]
struct Startup {
    said: Box<[(String, String)]>,
    settings: Arc<Settings>,
}

/// How many different start-ups are remembered; their settings are shared while they are.
const SHARED_STARTUPS_MAX: usize = 32;

impl Default for Shared {
    fn default() -> Self {
        Shared {
            recent: RefCell::new(Vec::new()),
        }
    }
}

impl Shared {
    /// The settings of a session whose client and server said these, in this order.
    ///
    /// # Errors
    /// As [`SessionSettings::set`] for what the client said.
    pub fn settings(
        &self,
        client: &[(String, String)],
        server: &[(&'static str, &str)],
    ) -> Result<Arc<Settings>, Diagnostic> {
        let owned =
            |(name, value): &(&'static str, &str)| ((*name).to_owned(), (*value).to_owned());
        let said: Box<[_]> = client
            .iter()
            .cloned()
            .chain(server.iter().map(owned))
            .collect();
        if let Some(known) = self.recent.borrow().iter().find(|known| known.said == said) {
            return Ok(known.settings.clone());
        }
        let mut settings = SessionSettings::new(self.defaults());
        for (name, value) in client {
            settings.set(name, Some(value), Scope::Session)?;
        }
        for (name, value) in server {
            settings.put(name, Some(value), Scope::Session);
        }
        let mut recent = self.recent.borrow_mut();
        if recent.len() == SHARED_STARTUPS_MAX {
            recent.remove(1);
        }
        let settings = settings.current;
        recent.push(Startup {
            said,
            settings: settings.clone(),
        });
        Ok(settings)
    }

    /// What a session has that says nothing; the first of the list, and never dropped from it.
    fn defaults(&self) -> Arc<Settings> {
        let mut recent = self.recent.borrow_mut();
        if recent.is_empty() {
            recent.push(Startup {
                said: Box::default(),
                settings: Arc::new(defaults()),
            });
        }
        recent[0].settings.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_say_the_same_share_their_settings() {
        let shared = Shared::default();
        let client = [("application_name".to_owned(), "pgbench".to_owned())];
        let one = shared
            .settings(&client, &[("is_superuser", "off")])
            .expect("valid");
        let two = shared
            .settings(&client, &[("is_superuser", "off")])
            .expect("valid");
        assert!(Arc::ptr_eq(&one, &two));
        let other = shared
            .settings(&client, &[("is_superuser", "on")])
            .expect("valid");
        assert!(!Arc::ptr_eq(&one, &other));
    }
}
