//! SHOW: a setting, all settings, the session, and the tables of `access::show`.

use super::services::now_microseconds;
use super::transaction::Access;
use super::{Answer, Session, settings};
use crate::access::{self, Standing};
use crate::catalog::Snapshot;
use crate::catalog::principal::Parent;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::outcome::{CommandTag, ResultField, Rows};
use crate::engine::types;
use crate::sql::credential::Show;
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Field, Schema};
use std::pin::pin;
use std::sync::Arc;

/// Objects of the catalog that a listing may look at on the session core: some 100 µs.
const LISTED_ON_CORE_MAX: usize = 256;

/// What SHOW of one setting tells, before it runs: a column named as the setting.
pub(super) fn show_fields(name: &str) -> Arc<[ResultField]> {
    let canonical = settings::known::find(name).map_or(name, |known| known.name);
    fields(&[(canonical, text())])
}

/// What SHOW ALL tells.
pub(super) fn show_all_fields() -> Arc<[ResultField]> {
    fields(&settings::show_columns())
}

impl Session {
    pub(super) fn show(&mut self, name: &str) -> Result<Answer, Diagnostic> {
        let (name, value) = self.shown(name)?;
        let column = [(name.as_str(), text())];
        rows(&column, vec![vec![Some(value)]], CommandTag::Plain("SHOW"))
    }

    fn shown(&self, name: &str) -> Result<(String, String), Diagnostic> {
        let (name, value) = self.settings.show(name)?;
        // The transaction's own modes are not kept as settings.
        let modes = self.block.modes().unwrap_or_else(|| self.default_modes());
        let value = match name.as_str() {
            "transaction_isolation" => modes.isolation.as_str().to_owned(),
            "transaction_read_only" => match modes.access {
                Access::ReadOnly => "on".to_owned(),
                Access::ReadWrite => "off".to_owned(),
            },
            _ => value,
        };
        Ok((name, value))
    }

    pub(super) fn show_all(&mut self) -> Result<Answer, Diagnostic> {
        let names: Vec<String> = self
            .settings
            .all()
            .map(|(name, _)| name.to_owned())
            .collect();
        let table = names
            .iter()
            .map(|name| {
                let (name, value) = self.shown(name)?;
                Ok(vec![Some(name), Some(value), Some(String::new())])
            })
            .collect::<Result<_, Diagnostic>>()?;
        rows(&settings::show_columns(), table, CommandTag::Plain("SHOW"))
    }

    /// SHOW USERS and its like, and SHOW SESSION. A long listing is made on the query pool.
    pub(super) async fn show_credentials(&mut self, show: Show) -> Result<Answer, Diagnostic> {
        let adopted = self.adopt()?;
        match show {
            Show::Session => return self.show_session(),
            Show::Tls => return self.show_tls(adopted.snapshot()),
            Show::OidcProviders => return self.show_oidc_providers(adopted.snapshot()),
            Show::Access(ref asked) => {
                let (by, about) = (&*self.identity.name, &asked.login);
                tracing::info!(by, about, "access is explained");
                let about = asked.login.clone();
                self.note_explained("EXPLAIN ACCESS", about).await?;
            }
            Show::Sessions => return Box::pin(self.show_sessions()).await,
            Show::Revocations => return self.show_revocations(),
            _ => {}
        }
        let snapshot = adopted.snapshot().clone();
        let is_short =
            snapshot.principals.count() + snapshot.definitions.count() <= LISTED_ON_CORE_MAX;
        let identity = self.identity.clone();
        let used = self.services.parts.key_usage.clone();
        let listing = move || -> Result<_, Diagnostic> {
            let now = now_microseconds();
            let table = match &show {
                Show::Access(asked) => access::explain::access(asked, &snapshot, &identity)?,
                _ => access::show::rows(&show, &snapshot, &identity, now, &used)?,
            };
            let count = table.rows.len() as u64;
            let batch = batch(&table.columns, table.rows)?;
            Ok((fields(&table.columns), batch, count))
        };
        let (fields, batch, count) = match is_short {
            true => listing()?,
            false => {
                let engine = self.services.parts.engine.clone();
                let listing = engine.query().pool().run(async move { listing() });
                self.interruptible(pin!(listing)).await??
            }
        };
        let tag = CommandTag::Select(count);
        Ok(Answer::rows(Rows::ready(fields, tag, vec![batch])))
    }

    fn show_revocations(&self) -> Result<Answer, Diagnostic> {
        let all = self.services.parts.revocations.all();
        listing(access::show::revocations(&self.rights, &all)?)
    }

    fn show_tls(&self, snapshot: &Snapshot) -> Result<Answer, Diagnostic> {
        let in_force = self.services.parts.encryption.tls.as_ref();
        listing(access::show::tls(snapshot, &self.identity, in_force)?)
    }

    fn show_oidc_providers(&self, snapshot: &Snapshot) -> Result<Answer, Diagnostic> {
        let keys = &self.services.parts.key_sets;
        listing(access::show::oidc_providers(
            snapshot,
            &self.identity,
            keys,
        )?)
    }

    /// REFERENCE §1: username, user_id, tenant_id, database, roles, auth_method, core.
    fn show_session(&mut self) -> Result<Answer, Diagnostic> {
        let adopted = self.adopt()?;
        let principals = &adopted.snapshot().principals;
        let database = principals
            .database(self.identity.database)
            .map(|database| database.name.to_string());
        let key = self.identity.key.and_then(|used| principals.key(used.id));
        let roles = match key.and_then(|key| key.role.as_ref()) {
            // What the key carries; what is in force is that and what its owner may.
            Some(Parent::Ladder(rung)) => Some(rung.to_string()),
            Some(Parent::Role(role)) => Some(role.to_string()),
            None => Standing::of(adopted.snapshot(), self.identity.grounds())
                .map(|standing| standing.role_names().join(", "))
                .ok(),
        };
        let integer = SqlType::scalar(TypeKind::Int8);
        let columns = [
            ("username", text()),
            ("user_id", integer),
            ("tenant_id", integer),
            ("database", text()),
            ("roles", text()),
            ("auth_method", text()),
            ("core", integer),
        ];
        let row = vec![
            Some(self.identity.name.to_string()),
            Some(self.identity.principal.to_string()),
            Some(self.rights.tenant().to_string()),
            database,
            roles,
            Some(self.identity.method.as_str().to_owned()),
            Some(self.services.parts.core.0.to_string()),
        ];
        rows(&columns, vec![row], CommandTag::Select(1))
    }
}

/// What a statement that shows one text tells, before it runs.
pub(super) fn one_text_fields(name: &str) -> Arc<[ResultField]> {
    fields(&[(name, text())])
}

/// One row with one text.
///
/// # Errors
/// XX000: a mistake of ours.
pub(super) fn one_text(name: &str, value: &str, tag: CommandTag) -> Result<Answer, Diagnostic> {
    rows(&[(name, text())], vec![vec![Some(value.to_owned())]], tag)
}

/// A listing as an answer.
///
/// # Errors
/// XX000: a mistake of ours.
pub(super) fn listing(table: access::show::Table) -> Result<Answer, Diagnostic> {
    let tag = CommandTag::Select(table.rows.len() as u64);
    rows(&table.columns, table.rows, tag)
}

fn text() -> SqlType {
    SqlType::scalar(TypeKind::Text)
}

pub(super) fn fields(columns: &[(&str, SqlType)]) -> Arc<[ResultField]> {
    columns
        .iter()
        .map(|(name, sql_type)| ResultField {
            name: (*name).to_owned(),
            sql_type: *sql_type,
            table: None,
            column: 0,
        })
        .collect()
}

/// A small table of texts as an answer; columns of other types are cast from their text.
pub(super) fn rows(
    columns: &[(&str, SqlType)],
    table: Vec<Vec<Option<String>>>,
    tag: CommandTag,
) -> Result<Answer, Diagnostic> {
    let batch = batch(columns, table)?;
    Ok(Answer::rows(Rows::ready(fields(columns), tag, vec![batch])))
}

fn batch(
    columns: &[(&str, SqlType)],
    table: Vec<Vec<Option<String>>>,
) -> Result<RecordBatch, Diagnostic> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
    let mut described = Vec::with_capacity(columns.len());
    for (index, (name, sql_type)) in columns.iter().enumerate() {
        let texts: StringArray = table.iter().map(|row| row[index].as_deref()).collect();
        let data_type = types::data_type(*sql_type);
        let array = datafusion::arrow::compute::cast(&texts, &data_type)
            .map_err(|error| Diagnostic::internal(format!("SHOW {name}: {error}")))?;
        described.push(Field::new(*name, data_type, true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(described)), arrays)
        .map_err(|error| Diagnostic::internal(format!("SHOW: {error}")))
}
