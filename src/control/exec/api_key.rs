//! CREATE API KEY, ALTER API KEY … ROTATE, DROP API KEY (REFERENCE §1, §3, §7).
//!
//! The secret is made and shown by the session; only its hash comes here.

use super::alter_user::require_power_over;
use crate::access::database_in_reach;
use crate::access::rights::denied;
use crate::catalog::allowance::{Allowance, AllowanceChange};
use crate::catalog::key::{ApiKey, PreviousSecret, SecretHash};
use crate::catalog::principal::{Database, Principal, PrincipalKind};
use crate::catalog::request::{Expires, IfExists, KeyWanted};
use crate::catalog::role::Ladder;
use crate::catalog::{Change, DatabaseId, KeyId, PrincipalId};
use crate::control::draft::Draft;
use crate::control::resolve::{new_name, quoted};
use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;

const MICROSECONDS_A_MINUTE: i64 = 60 * 1_000_000;
const MICROSECONDS_A_DAY: i64 = 24 * 60 * MICROSECONDS_A_MINUTE;

pub fn create(
    draft: &mut Draft,
    id: KeyId,
    secret: SecretHash,
    wanted: KeyWanted,
) -> Result<&'static str, Diagnostic> {
    draft
        .by
        .require(Ladder::TenantAdmin, "permission denied to create API key")?;
    let owner = owner(draft, wanted.owner.as_deref())?;
    require_power_over(
        draft,
        &owner,
        "must be superuser to create API keys of superusers",
    )?;
    let name = match &wanted.name {
        Some(name) => new_name(name)?,
        None => Arc::from(id.to_string()),
    };
    let principals = &draft.snapshot().principals;
    if principals.key_named(owner.tenant, &name).is_some() {
        return Err(Diagnostic::error(
            SqlState::DUPLICATE_OBJECT,
            format!("API key \"{name}\" already exists"),
        )
        .with_hint("ALTER API KEY name ROTATE gives it another secret."));
    }
    if principals.key(id).is_some() {
        return Err(Diagnostic::internal(
            "the new key's id has been given before",
        ));
    }
    let role = match &wanted.role {
        None => None,
        Some(role) => {
            let given = draft.role(owner.tenant, role)?;
            draft.by.may_give(role, given.rung)?;
            Some(given.role)
        }
    };
    let databases = match &wanted.databases {
        None => None,
        Some(names) => Some(databases(draft, &owner, names)?),
    };
    let scopes = wanted.scopes.as_ref();
    let key = ApiKey {
        id,
        name,
        tenant: owner.tenant,
        owner: owner.id,
        secret,
        generation: 0,
        previous: None,
        role,
        databases,
        scopes: scopes.map(|all| all.iter().map(|scope| Arc::from(&**scope)).collect()),
        networks: wanted.networks.map(Vec::into_boxed_slice),
        rate_per_second: wanted.rate_per_second,
        allowance: wanted.limits.applied_to(Allowance::default()),
        created_at: draft.now,
        expires_at: wanted
            .expires
            .map(|expires| end_of(expires, draft.now))
            .transpose()?,
    };
    draft.change(Change::PutKey(Arc::new(key)));
    Ok("CREATE API KEY")
}

pub fn rotate(
    draft: &mut Draft,
    id: KeyId,
    secret: SecretHash,
    grace_minutes: Option<u32>,
) -> Result<&'static str, Diagnostic> {
    draft
        .by
        .require(Ladder::TenantAdmin, "permission denied to alter API key")?;
    let key = find_id(draft, id).ok_or_else(|| unknown(&id.to_string()))?;
    require_power_over_owner(draft, &key)?;
    let generation = key.generation.checked_add(1).ok_or_else(|| {
        Diagnostic::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "the key has been rotated too often",
        )
        .with_hint("CREATE API KEY makes another one.")
    })?;
    let previous = grace_minutes
        .filter(|minutes| *minutes > 0)
        .map(|minutes| PreviousSecret {
            secret: key.secret,
            until: draft.now + i64::from(minutes) * MICROSECONDS_A_MINUTE,
        });
    let next = ApiKey {
        secret,
        generation,
        previous: previous.map(Box::new),
        ..ApiKey::clone(&key)
    };
    draft.change(Change::PutKey(Arc::new(next)));
    Ok("ALTER API KEY")
}

/// CONNECTION LIMIT, STATEMENT LIMIT.
pub fn limit(
    draft: &mut Draft,
    name: &str,
    limits: AllowanceChange,
) -> Result<&'static str, Diagnostic> {
    draft
        .by
        .require(Ladder::TenantAdmin, "permission denied to alter API key")?;
    let key = find(draft, name)?;
    require_power_over_owner(draft, &key)?;
    let next = ApiKey {
        allowance: limits.applied_to(key.allowance),
        ..ApiKey::clone(&key)
    };
    draft.change(Change::PutKey(Arc::new(next)));
    Ok("ALTER API KEY")
}

pub fn drop(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
) -> Result<&'static str, Diagnostic> {
    let tag = "DROP API KEY";
    draft
        .by
        .require(Ladder::TenantAdmin, "permission denied to drop API key")?;
    let key = match find(draft, name) {
        Ok(key) => key,
        Err(_) if if_exists == IfExists::Skip => {
            let notice = format!("API key \"{name}\" does not exist, skipping");
            draft.notice(Diagnostic::notice(notice));
            return Ok(tag);
        }
        Err(error) => return Err(error),
    };
    require_power_over_owner(draft, &key)?;
    draft.change(Change::DropKey(key.id));
    Ok(tag)
}

/// The keys go with their owner (REFERENCE §9).
pub(super) fn drop_all_of(draft: &mut Draft, owner: PrincipalId) {
    let keys: Vec<_> = draft
        .snapshot()
        .principals
        .keys_of(owner)
        .map(|key| key.id)
        .collect();
    for id in keys {
        draft.change(Change::DropKey(id));
    }
}

/// Takes a database that is going from every key's list. One that listed nothing else is left with
/// an empty list, which opens nothing: not with none, which would open all.
pub(super) fn forget_database(draft: &mut Draft, database: DatabaseId) {
    let lists: Vec<_> = draft
        .snapshot()
        .principals
        .keys()
        .filter(|key| key.databases.is_some() && key.lists(database))
        .cloned()
        .collect();
    for key in lists {
        let mut next = ApiKey::clone(&key);
        next.databases = next.databases.map(|list| {
            let kept = list.iter().filter(|id| **id != database);
            kept.copied().collect()
        });
        draft.change(Change::PutKey(Arc::new(next)));
    }
}

/// FOR name, or whoever asks.
fn owner(draft: &Draft, name: Option<&str>) -> Result<Arc<Principal>, Diagnostic> {
    let Some(name) = name else {
        let own = draft.snapshot().principals.principal(draft.by.principal);
        return own.cloned().ok_or_else(|| {
            Diagnostic::error(
                SqlState::WRONG_OBJECT_TYPE,
                "the token of this session leads to no user, who could own an API key",
            )
            .with_hint("CREATE API KEY 'name' FOR owner")
        });
    };
    draft.find_principal(name).ok_or_else(|| {
        Diagnostic::error(
            SqlState::UNDEFINED_OBJECT,
            format!("role \"{name}\" does not exist"),
        )
        .with_hint(format!(
            "CREATE SERVICE ACCOUNT {} FOR DATABASE name",
            quoted(name)
        ))
    })
}

/// The list, each once. What is out of the owner's reach is taken with a warning, and refused at
/// use (REFERENCE §7).
fn databases(
    draft: &mut Draft,
    owner: &Principal,
    names: &[String],
) -> Result<Box<[DatabaseId]>, Diagnostic> {
    let mut list = Vec::with_capacity(names.len());
    for name in names {
        let database = draft.database(owner.tenant, name)?;
        if list.contains(&database.id) {
            continue;
        }
        list.push(database.id);
        if !database_in_reach(draft.snapshot(), owner, None, &database) {
            let warning = out_of_reach(owner, &database);
            draft.notice(warning);
        }
    }
    Ok(list.into_boxed_slice())
}

fn out_of_reach(owner: &Principal, database: &Database) -> Diagnostic {
    let (owner_name, database_name) = (&owner.name, &database.name);
    let opens = match owner.kind {
        PrincipalKind::User { .. } => format!(
            "GRANT CONNECT ON DATABASE {} TO {}",
            quoted(database_name),
            quoted(owner_name)
        ),
        PrincipalKind::ServiceAccount { .. } => format!(
            "ALTER SERVICE ACCOUNT {} SET DATABASES (…, {})",
            quoted(owner_name),
            quoted(database_name)
        ),
    };
    Diagnostic::warning(
        SqlState::WARNING,
        format!(
            "database \"{database_name}\" is out of reach of \"{owner_name}\", who owns the key"
        ),
    )
    .with_hint(opens)
}

/// Unix microseconds.
fn end_of(expires: Expires, now: i64) -> Result<i64, Diagnostic> {
    let end = match expires {
        Expires::InDays(days) => now.saturating_add(i64::from(days) * MICROSECONDS_A_DAY),
        Expires::At(end) => end,
    };
    if end > now {
        return Ok(end);
    }
    Err(Diagnostic::error(
        SqlState::INVALID_PARAMETER_VALUE,
        "an API key cannot expire before it is made",
    ))
}

/// A key of the tenant in force, by its name or its id.
fn find(draft: &Draft, name: &str) -> Result<Arc<ApiKey>, Diagnostic> {
    let principals = &draft.snapshot().principals;
    let by_name = principals.key_named(draft.by.tenant, name).cloned();
    by_name
        .or_else(|| find_id(draft, name.parse().ok()?))
        .ok_or_else(|| unknown(name))
}

fn find_id(draft: &Draft, id: KeyId) -> Option<Arc<ApiKey>> {
    let key = draft.snapshot().principals.key(id)?;
    (key.tenant == draft.by.tenant).then(|| key.clone())
}

/// 42704, with the missing statement.
fn unknown(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::UNDEFINED_OBJECT,
        format!("API key \"{name}\" does not exist"),
    )
    .with_hint(format!("CREATE API KEY {}", quoted(name)))
}

fn require_power_over_owner(draft: &Draft, key: &ApiKey) -> Result<(), Diagnostic> {
    let owner = draft.snapshot().principals.principal(key.owner);
    let owner = owner.ok_or_else(|| denied("the owner of the API key is gone"))?;
    require_power_over(
        draft,
        owner,
        "must be superuser to change API keys of superusers",
    )
}
