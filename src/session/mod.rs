//! One session: state, settings, transaction, prepared statements, portals, COPY, its end.
//!
//! A protocol (`wire`) reads what its client wants and calls [`Session`]; it gets an [`Answer`] to
//! encode, and then ends the statement. Whatever goes wrong comes back as a [`Diagnostic`]; the
//! protocol tells the client and calls [`Session::fail`]. A session never leaves its core, and an
//! idle one keeps little: no transaction, no buffers, settings shared with others.

mod advisory;
pub mod attempt;
mod audit_log;
mod audited;
pub mod cancel_key;
mod code_block;
pub mod command;
pub mod control;
pub mod copy;
pub mod credential;
pub mod cursor;
mod cursors;
mod deferred;
pub mod end;
mod explain;
pub mod extended;
pub mod figures;
pub mod format;
pub mod in_use;
pub mod live;
pub mod login;
pub mod message;
pub mod notification;
pub mod off_core;
mod oidc_provider;
mod peers;
pub mod plans;
mod prepare;
pub mod prepared;
pub mod registry;
mod reminder;
pub mod rights;
pub mod run;
pub mod scroll;
pub mod services;
mod set_command;
pub mod settings;
pub mod show;
mod sql_prepare;
mod temporary;
mod tenant;
pub mod throttling;
pub mod token_login;
pub mod transaction;

pub use end::EndReason;
pub use services::{CoreServices, Limits, Parts, Signal};

use crate::access::{self, Rights};
use crate::auth::identity::Identity;
use crate::catalog::port::{Caller, TokenOfCaller};
use crate::catalog::role::Ladder;
use crate::catalog::{Snapshot, TenantId};
use crate::diagnostic::{Diagnostic, Severity, SqlState};
use crate::engine::context::{Notices, SessionEffects, StatementContext};
use crate::engine::outcome::{CommandTag, Rows};
use crate::engine::settings::Settings;
use crate::storage::TransactionId;
use prepared::Named;
use registry::{Arrival, Entry, Handle};
use reminder::Reminder;
use services::now_microseconds;
use settings::SessionSettings;
use shards::Adopted;
use smallvec::SmallVec;
use std::rc::Rc;
use std::sync::Arc;
use transaction::{Access, Block, Status};

/// One session.
pub struct Session {
    services: Rc<CoreServices>,
    entry: Entry,
    identity: Arc<Identity>,
    rights: Arc<Rights>,
    settings: SessionSettings,
    block: Block,
    named: Named,
    effects: Option<Arc<SessionEffects>>,
    notices: Vec<Diagnostic>,
    /// Those of the last statement: a query's functions may add some while its rows are taken.
    late_notices: Notices,
    reminder: Reminder,
    /// The control core has recorded what it refused the statement that runs.
    refusal: audited::Refusal,
    /// Its place among the sessions of its tenant, login and key.
    _counted: Box<in_use::Held>,
    /// What limits the statements that it runs; most have nothing.
    statement_shares: Box<[in_use::Share]>,
    /// Whether it may have temporary tables.
    temporary: bool,
}

/// client_min_messages; INFO is sent whatever it says.
fn is_wanted(severity: Severity, least: &str) -> bool {
    match least {
        "error" => severity == Severity::Info,
        "warning" => matches!(severity, Severity::Warning | Severity::Info),
        _ => true,
    }
}

/// What a statement gave, for the protocol to send.
pub enum Answer {
    /// Rows to send, then the tag.
    Rows(Box<cursor::Cursor>),
    /// Just the tag.
    Done(CommandTag),
    /// COPY … FROM STDIN: the client's data are wanted.
    CopyIn(Box<copy::CopyIn>),
    /// COPY … TO STDOUT: data to send, then the tag.
    CopyOut(Box<copy::CopyOut>),
}

impl Answer {
    fn rows(rows: Rows) -> Answer {
        Answer::Rows(Box::new(cursor::Cursor::new(rows)))
    }
}

/// Which protocol a session's client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// PostgreSQL's.
    Pgwire,
    /// HTTP: the session is one request's.
    Http,
    /// NodeDB's own.
    Native,
}

impl Protocol {
    /// As logs and listings name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Pgwire => "pgwire",
            Protocol::Http => "http",
            Protocol::Native => "native",
        }
    }

    /// The application_name of its sessions, where clients have no way to say one.
    fn application_name(self) -> Option<&'static str> {
        match self {
            Protocol::Pgwire => None,
            Protocol::Http => Some("http"),
            Protocol::Native => Some("native"),
        }
    }
}

/// What a new session begins with.
struct Beginning {
    identity: Arc<Identity>,
    settings: Vec<(String, String)>,
    /// When its login ends by the clock.
    valid_until: Option<i64>,
    arrival: Arrival,
}

impl Beginning {
    /// The settings in force at first: what the client says, and what only the server knows.
    fn settings(
        &self,
        services: &CoreServices,
        rights: &Rights,
    ) -> Result<SessionSettings, Diagnostic> {
        let superuser = if rights.is_superuser() { "on" } else { "off" };
        let tenant = rights.tenant().to_string();
        let known = [
            ("is_superuser", superuser),
            ("session_authorization", &*self.identity.name),
            ("tenant", tenant.as_str()),
        ];
        let name = self.arrival.protocol.application_name();
        let name = name.map(|name| ("application_name", name));
        let server: SmallVec<[_; 4]> = known.into_iter().chain(name).collect();
        services
            .settings
            .settings(&self.settings, &server)
            .map_err(|error| error.with_severity(Severity::Fatal))
    }
}

/// Whether limits bind whoever has these rights.
fn bound(rights: &Rights) -> in_use::Bound {
    match rights.is_superuser() {
        true => in_use::Bound::ByNone,
        false => in_use::Bound::ByLimits,
    }
}

impl Session {
    /// Begins a session in a database that has been resolved.
    ///
    /// # Errors
    /// FATAL: a setting that does not exist or takes no such value, no room on this core.
    fn begin(services: Rc<CoreServices>, beginning: Beginning) -> Result<Session, Diagnostic> {
        let adopted = services.parts.catalog.current();
        let rights = services.rights(&adopted, &beginning.identity);
        let settings = beginning.settings(&services, &rights)?;
        let (snapshot, bound) = (adopted.snapshot(), bound(&rights));
        let shares = in_use::of_session(snapshot, &beginning.identity, bound);
        let counted = services
            .parts
            .in_use
            .take(in_use::Kind::Connections, &shares);
        let counted = counted.map_err(|reached| {
            let told = reached.diagnostic(snapshot);
            told.with_severity(Severity::Fatal)
        })?;
        let statement_shares = in_use::of_statement(snapshot, &beginning.identity, bound);
        let entry = services
            .sessions
            .enter(
                beginning.identity.clone(),
                beginning.valid_until,
                beginning.arrival,
            )
            .ok_or_else(|| {
                Diagnostic::fatal(
                    SqlState::TOO_MANY_CONNECTIONS,
                    "sorry, too many clients already",
                )
            })?;
        entry.set_epoch(adopted.epoch());
        let reminder = Reminder::of(&beginning.identity);
        Ok(Session {
            services,
            entry,
            identity: beginning.identity,
            rights,
            settings,
            block: Block::None,
            named: Named::default(),
            effects: None,
            notices: Vec::new(),
            late_notices: Notices::default(),
            reminder,
            refusal: audited::Refusal::default(),
            _counted: Box::new(counted),
            statement_shares,
            temporary: false,
        })
    }

    /// How others reach it.
    pub fn handle(&self) -> &Rc<Handle> {
        &self.entry
    }

    /// What it works with.
    pub fn services(&self) -> &Rc<CoreServices> {
        &self.services
    }

    /// Its settings.
    pub fn settings(&self) -> &SessionSettings {
        &self.settings
    }

    /// What ReadyForQuery tells.
    pub fn status(&self) -> Status {
        self.block.status()
    }

    /// What is to be told before the end of the statement, as far as client_min_messages wants it.
    pub fn take_notices(&mut self) -> Vec<Diagnostic> {
        let mut notices = std::mem::take(&mut self.notices);
        notices.append(&mut self.late_notices.take());
        if !notices.is_empty() {
            let least = self.settings.value("client_min_messages");
            notices.retain(|notice| is_wanted(notice.fields().severity, least));
        }
        notices
    }

    /// Before each statement: the newest catalog is in force, and whether the session may go on
    /// under it is decided (DESIGN §2 "Adoption").
    ///
    /// # Errors
    /// FATAL: why the session ends; [`Handle::ending`] says it too.
    pub fn adopt(&mut self) -> Result<Arc<Adopted<Snapshot>>, Diagnostic> {
        let adopted = self.services.parts.catalog.current();
        if adopted.epoch() != self.entry.epoch() {
            let now = now_microseconds();
            if let Err(reason) = access::still_valid(adopted.snapshot(), &self.identity, now) {
                self.services.sessions.revoke(&self.entry, reason);
            }
            self.rights = self.services.rights(&adopted, &self.identity);
            let bound = bound(&self.rights);
            self.statement_shares = in_use::of_statement(adopted.snapshot(), &self.identity, bound);
            self.entry.set_epoch(adopted.epoch());
        }
        match self.entry.ending().and_then(|reason| reason.diagnostic()) {
            Some(diagnostic) => Err(diagnostic),
            None => Ok(adopted),
        }
    }

    /// Who asks the control core.
    fn caller(&self) -> Caller {
        Caller {
            principal: self.identity.principal,
            key: self.identity.key.map(|used| used.id),
            token: self.identity.claims.as_ref().map(|claims| {
                Arc::new(TokenOfCaller {
                    provider: claims.provider,
                    claims: claims.all.clone(),
                })
            }),
            tenant: self.rights.tenant(),
            database: self.identity.database,
            peer: self.entry.peer(),
        }
    }

    /// What a statement may know, under the catalog given.
    fn context(&mut self, snapshot: Arc<Snapshot>) -> StatementContext {
        self.apply_set_config();
        let now = now_microseconds();
        let (started_at, read_only, transaction) = match self.block.open() {
            Some(open) => (
                open.started_at,
                open.modes.access == Access::ReadOnly,
                open.transaction.storage.id(),
            ),
            None => (now, false, TransactionId(0)),
        };
        let effects = self.effects.get_or_insert_default().clone();
        let turn = effects.told.lock().turn();
        if let Some(advisory) = effects.advisory.get() {
            advisory.set_transaction(transaction);
        }
        StatementContext {
            identity: self.identity.clone(),
            rights: self.rights.clone(),
            snapshot,
            settings: self.settings.current().clone(),
            transaction_time: started_at,
            statement_time: now,
            read_only,
            lock_timeout: self.settings.lock_timeout(),
            backend_pid: self.entry.pid().number(),
            cancel: self.entry.cancel_flag().clone(),
            effects,
            notices: Notices::default(),
            parts: None,
            turn,
            transaction,
            peers: Some(self.services.peers.clone()),
            objects: self.named.listed().cloned(),
            query: Some(self.services.parts.engine.query().clone()),
        }
    }

    /// Notices and set_config calls of a statement that has run.
    fn absorb(&mut self, context: &StatementContext) {
        // What the statement before has added since then is not lost.
        let mut late = std::mem::replace(&mut self.late_notices, context.notices.clone()).take();
        self.notices.append(&mut late);
        self.notices.append(&mut context.notices.take());
        self.apply_set_config();
    }

    /// What set_config has asked for so far. A query's rows may come after its answer: whoever looks
    /// at the settings, or ends the transaction, calls it first.
    fn apply_set_config(&mut self) {
        let Some(effects) = &self.effects else { return };
        let changes = std::mem::take(&mut *effects.settings.lock());
        for change in changes {
            let scope = match change.local {
                true => settings::Scope::Local,
                false => settings::Scope::Session,
            };
            if let Err(error) = self.settings.set(&change.name, Some(&change.value), scope) {
                // The function has returned already; it checks what it can before.
                self.notices
                    .push(error.with_severity(crate::diagnostic::Severity::Warning));
            }
        }
    }

    /// Whether it is somebody's who looks after the whole server: a superuser, or an admin of the first tenant.
    pub fn is_operators(&self) -> bool {
        let rights = &self.rights;
        let of_first = rights.tenant() == TenantId::SYSTEM && rights.reaches(Ladder::Admin);
        rights.is_superuser() || of_first
    }

    /// The settings in force, for what encodes rows.
    pub fn current_settings(&self) -> &Arc<Settings> {
        self.settings.current()
    }
}
