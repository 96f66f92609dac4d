//! Who is here, and who must go: SHOW SESSIONS, SHOW REVOCATIONS and KILL SESSION.
//!
//! A session asks every core by a signal, and each answers for its own sessions, as many as the asker may
//! see: a tenant's users never hear of another tenant's (REFERENCE §2).

use super::cancel_key::BackendPid;
use super::registry::{Handle, SessionId};
use super::services::{CoreServices, LISTED_A_SLICE_MAX, Signal, now_microseconds};
use super::{Answer, EndReason, Session, show};
use crate::access::rights::denied;
use crate::access::show as listing;
use crate::access::{Rights, Standing};
use crate::auth::identity::Identity;
use crate::catalog::revocation::{Ended, Revocation};
use crate::catalog::role::Ladder;
use crate::catalog::{PrincipalId, Snapshot, TenantId};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::CancelReason;
use crate::engine::outcome::CommandTag;
use crate::engine::peers::{Interruption, Peer};
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use shards::CoreId;
use std::pin::pin;
use std::time::{Duration, Instant};

/// How long cores have to answer: one that is this late hangs.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(1);

const SESSIONS_HINT: &str = "SHOW SESSIONS lists the sessions with their ids.";

/// Which sessions somebody may see, or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A superuser: all.
    All,
    /// Those of a tenant.
    Tenant(TenantId),
    /// Those of its own login.
    Own(PrincipalId),
}

impl Sight {
    /// Of listings: from `least` on a whole tenant.
    pub(super) fn of(rights: &Rights, least: Ladder) -> Sight {
        match rights.is_superuser() {
            true => Sight::All,
            false if rights.reaches(least) => Sight::Tenant(rights.tenant()),
            false => Sight::Own(rights.principal()),
        }
    }

    fn covers(self, identity: &Identity, tenant: TenantId) -> bool {
        match self {
            Sight::All => true,
            Sight::Tenant(own) => own == tenant,
            Sight::Own(own) => identity.principal == own,
        }
    }
}

/// The tenant that a session is in: that of its database.
fn tenant_of(identity: &Identity, snapshot: &Snapshot) -> TenantId {
    let database = snapshot.principals.database(identity.database);
    database.map_or(identity.tenant, |it| it.tenant)
}

/// SHOW SESSIONS on its way to a core.
#[derive(Clone, Debug)]
pub struct List {
    /// Which sessions.
    pub(super) sight: Sight,
    /// For whom.
    pub(super) to: UnboundedSender<Vec<Listed>>,
}

/// One session, as it is listed.
#[derive(Debug)]
pub struct Listed {
    connected_at: i64,
    id: SessionId,
    columns: Vec<Option<String>>,
    /// As pg_stat_activity tells of it.
    pub(super) peer: Peer,
}

/// KILL SESSION on its way to a core.
#[derive(Clone, Debug)]
pub struct Kill {
    id: SessionId,
    sight: Sight,
    /// The first answer; the channel's end is that of the session.
    to: UnboundedSender<Killed>,
    gone: UnboundedSender<()>,
}

/// pg_terminate_backend and pg_cancel_backend on their way to a core.
#[derive(Clone, Debug)]
pub struct Interrupt {
    /// Whose.
    pub(super) pid: BackendPid,
    /// What is to be done.
    pub(super) how: Interruption,
    /// Whom the asker may interrupt.
    pub(super) sight: Sight,
    /// Who asks.
    pub(super) by: PrincipalId,
    /// The answer.
    pub(super) to: UnboundedSender<Killed>,
    /// Its end is that of a session that is ended.
    pub(super) gone: UnboundedSender<()>,
}

/// What became of KILL SESSION.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Killed {
    /// It admits no further statement.
    Ending {
        /// Whose it was.
        login: String,
        /// In which tenant.
        tenant: TenantId,
    },
    /// There is none of this id that the asker may see.
    NotThere,
    /// A superuser's, and the asker is none.
    Superuser,
}

impl CoreServices {
    /// Answers for this core's sessions, some in each slice.
    pub(super) async fn list(&self, list: List) {
        let mut sessions = Vec::new();
        self.sessions.for_each(|it| sessions.push(it.clone()));
        for some in sessions.chunks(LISTED_A_SLICE_MAX) {
            let adopted = self.parts.catalog.current();
            let rows = some.iter();
            let rows = rows.filter_map(|it| self.listed(it, list.sight, adopted.snapshot()));
            // An asker that has gone is no matter.
            let _ = list.to.unbounded_send(rows.collect());
            shards::yield_now().await;
        }
    }

    /// REFERENCE §1: session_id, username, auth_method, protocol, client_ip, database, core, connected_at,
    /// state, catalog_epoch. None: out of sight.
    fn listed(&self, session: &Handle, sight: Sight, snapshot: &Snapshot) -> Option<Listed> {
        let identity = session.identity();
        let database = snapshot.principals.database(identity.database);
        if !sight.covers(&identity, tenant_of(&identity, snapshot)) {
            return None;
        }
        let peer = Peer {
            pid: session.pid().number(),
            database: identity.database,
            database_name: database.map(|it| it.name.to_string()),
            user: identity.principal,
            user_name: identity.name.to_string(),
            client: session.peer(),
            connected_at: session.connected_at(),
            state: session.state(),
        };
        let columns = vec![
            Some(session.id().to_string()),
            Some(identity.name.to_string()),
            Some(identity.method.as_str().to_owned()),
            Some(session.protocol().as_str().to_owned()),
            Some(session.peer().ip().to_canonical().to_string()),
            database.map(|it| it.name.to_string()),
            Some(self.parts.core.0.to_string()),
            listing::timestamp(session.connected_at()),
            Some(session.state().to_owned()),
            Some(session.epoch().to_string()),
        ];
        Some(Listed {
            connected_at: session.connected_at(),
            id: session.id(),
            columns,
            peer,
        })
    }

    /// Ends one session of this core.
    pub(super) fn kill(&self, kill: Kill) {
        // An asker that has gone is no matter.
        let _ = kill.to.unbounded_send(self.killed(&kill));
    }

    fn killed(&self, kill: &Kill) -> Killed {
        let Some(session) = self.sessions.session(kill.id) else {
            return Killed::NotThere;
        };
        let killed = self.in_reach(&session, kill.sight);
        if matches!(killed, Killed::Ending { .. }) {
            session.end(EndReason::Killed);
            session.wait_for(kill.gone.clone());
        }
        killed
    }

    /// Ends one session of this core, or stops what it does.
    pub(super) fn interrupt(&self, interrupt: &Interrupt) {
        let session = self.sessions.at(interrupt.pid.place);
        let interrupted = session.map_or(Killed::NotThere, |session| {
            let interrupted = self.in_reach(&session, interrupt.sight);
            if let Killed::Ending { login, .. } = &interrupted {
                match interrupt.how {
                    Interruption::Cancel => session.cancel(CancelReason::User),
                    Interruption::Terminate => {
                        session.end(EndReason::Killed);
                        session.wait_for(interrupt.gone.clone());
                    }
                }
                let (by, how) = (interrupt.by.0, interrupt.how);
                tracing::info!(by, session = %session.id(), login, ?how, "session interrupted");
            }
            interrupted
        });
        // An asker that has gone is no matter.
        let _ = interrupt.to.unbounded_send(interrupted);
    }

    /// Whether somebody may end this session.
    fn in_reach(&self, session: &Handle, sight: Sight) -> Killed {
        let adopted = self.parts.catalog.current();
        let (snapshot, identity) = (adopted.snapshot(), session.identity());
        let tenant = tenant_of(&identity, snapshot);
        if !sight.covers(&identity, tenant) {
            return Killed::NotThere;
        }
        let standing = Standing::of(snapshot, identity.grounds());
        let superuser = standing.is_ok_and(|it| it.rung() == Some(Ladder::Superuser));
        if superuser && matches!(sight, Sight::Tenant(_)) {
            return Killed::Superuser;
        }
        Killed::Ending {
            login: identity.name.to_string(),
            tenant,
        }
    }

    fn to_every_core(&self, signal: impl Fn() -> Signal) {
        for core in 0..self.parts.cores {
            (self.parts.send)(CoreId(core), signal());
        }
    }
}

impl Session {
    /// SHOW SESSIONS: of everybody for a superuser, of its tenant for admin and above, else its own.
    ///
    /// A core that does not answer within a second is left out, with a warning.
    pub(super) async fn show_sessions(&mut self) -> Result<Answer, Diagnostic> {
        let (to, listed) = unbounded();
        let sight = Sight::of(&self.rights, Ladder::Admin);
        self.services.to_every_core(|| {
            let to = to.clone();
            Signal::List(List { sight, to })
        });
        drop(to);
        let (mut sessions, all) = self.gathered(listed).await?;
        if !all {
            let message = "not every core has answered: the list is not whole";
            self.warn(SqlState::WARNING, message);
        }
        // Ten thousand of them are sorted and laid out elsewhere.
        let making = async move {
            sessions.sort_unstable_by_key(|it| (it.connected_at, it.id.pid.number(), it.id.serial));
            let rows = sessions.into_iter().map(|it| it.columns);
            show::listing(listing::sessions(rows.collect()))
        };
        let engine = self.services.parts.engine.clone();
        let making = engine.query().pool().run(making);
        self.interruptible(pin!(making)).await?
    }

    async fn gathered(
        &self,
        mut listed: UnboundedReceiver<Vec<Listed>>,
    ) -> Result<(Vec<Listed>, bool), Diagnostic> {
        let gathering = async {
            let mut sessions = Vec::new();
            let deadline = Instant::now() + ANSWER_WAIT_MAX;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match shards::timeout(left, listed.next()).await {
                    Ok(Some(some)) => sessions.extend(some),
                    Ok(None) => return Ok((sessions, true)),
                    Err(shards::Elapsed) => return Ok((sessions, false)),
                }
            }
        };
        self.interruptible(pin!(gathering)).await
    }

    /// KILL SESSION: answers when the session is gone. Its own login's for everybody, its tenant's for
    /// tenant_admin, all for a superuser.
    ///
    /// # Errors
    /// 22023 for what is no id, 42704 for one that is not there or out of sight, 42501 for a superuser's
    /// session; 57P01 for the session that asks.
    pub(super) async fn kill_session(&mut self, text: &str) -> Result<Answer, Diagnostic> {
        let id: SessionId = text.parse().map_err(|_| {
            Diagnostic::error(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid session id: \"{text}\""),
            )
            .with_hint(SESSIONS_HINT)
        })?;
        let missing = || {
            Diagnostic::error(
                SqlState::UNDEFINED_OBJECT,
                format!("session \"{text}\" does not exist"),
            )
            .with_hint(SESSIONS_HINT)
        };
        if id.pid.core >= self.services.parts.cores {
            return Err(missing());
        }
        let began = Instant::now();
        let (to, mut killed) = unbounded();
        let (gone, mut is_gone) = unbounded();
        let sight = Sight::of(&self.rights, Ladder::TenantAdmin);
        let kill = Kill {
            id,
            sight,
            to,
            gone,
        };
        (self.services.parts.send)(CoreId(id.pid.core), Signal::Kill(kill));
        let answer = async { Ok(shards::timeout(ANSWER_WAIT_MAX, killed.next()).await) };
        let (login, tenant) = match self.interruptible(Box::pin(answer)).await? {
            Ok(Some(Killed::Ending { login, tenant })) => (login, tenant),
            Ok(Some(Killed::Superuser)) => {
                return Err(denied(
                    "must be superuser to end the session of a superuser",
                ));
            }
            Ok(Some(Killed::NotThere) | None) => return Err(missing()),
            Err(shards::Elapsed) => {
                let core = id.pid.core;
                let message = format!("core {core} does not answer");
                return Err(Diagnostic::error(SqlState::INTERNAL_ERROR, message));
            }
        };
        let by = self.identity.name.clone();
        tracing::info!(by = &*by, session = %id, login, "session killed");
        let ending = async { Ok(shards::timeout(ANSWER_WAIT_MAX, is_gone.next()).await) };
        if self.interruptible(Box::pin(ending)).await?.is_err() {
            let message = "the session admits no statement any more, and is still ending";
            self.warn(SqlState::WARNING, message);
        }
        let took = began.elapsed();
        self.services.parts.revocations.add(Revocation {
            at: now_microseconds(),
            event: "KILL SESSION",
            subject: format!("{id} of {login}"),
            by: Some(by),
            tenant,
            epoch: None,
            ended: Ended {
                sessions: 1,
                statements: 0,
            },
            cores: vec![(id.pid.core, took)],
            late: Vec::new(),
            took,
        });
        Ok(Answer::Done(CommandTag::Plain("KILL SESSION")))
    }
}
