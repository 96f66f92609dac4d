//! The settings that sessions begin with, made once for all that say the same at start-up.
//!
//! Two thousand sessions of one program then hold one pointer each, in place of a map.

use super::{Scope, SessionSettings};
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
    client: Box<[(String, String)]>,
    server: Box<[(&'static str, String)]>,
    settings: SessionSettings,
}

impl Startup {
    fn is(&self, client: &[(String, String)], server: &[(&'static str, &str)]) -> bool {
        let known = self.server.iter().map(|(name, value)| (*name, &**value));
        *self.client == *client && known.eq(server.iter().copied())
    }
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
    ) -> Result<SessionSettings, Diagnostic> {
        let mut recent = self.recent.borrow_mut();
        if let Some(known) = recent.iter().find(|known| known.is(client, server)) {
            return Ok(known.settings.clone());
        }
        let mut settings = SessionSettings::new(defaults(&mut recent));
        for (name, value) in client {
            settings.set(name, Some(value), Scope::Session)?;
        }
        for (name, value) in server {
            settings.put(name, Some(value), Scope::Session);
        }
        if recent.len() == SHARED_STARTUPS_MAX {
            recent.remove(1);
        }
        let settings = SessionSettings::new(settings.current);
        let owned = |(name, value): &(&'static str, &str)| (*name, (*value).to_owned());
        recent.push(Startup {
            client: client.into(),
            server: server.iter().map(owned).collect(),
            settings: settings.clone(),
        });
        Ok(settings)
    }
}

/// What a session has that says nothing; the first of the list, and never dropped from it.
fn defaults(recent: &mut Vec<Startup>) -> Arc<Settings> {
    if recent.is_empty() {
        recent.push(Startup {
            client: Box::default(),
            server: Box::default(),
            settings: SessionSettings::new(Arc::new(super::defaults())),
        });
    }
    recent[0].settings.current.clone()
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
        assert!(Arc::ptr_eq(one.current(), two.current()));
        let other = shared
            .settings(&client, &[("is_superuser", "on")])
            .expect("valid");
        assert!(!Arc::ptr_eq(one.current(), other.current()));
    }
}
