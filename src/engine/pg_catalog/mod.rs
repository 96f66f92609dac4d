//! pg_catalog and information_schema: tables over the catalog snapshot.
//!
//! Every table of PostgreSQL 15 is there with its columns (`columns.txt`, one line a table); those
//! that have rows here have a function that makes them, the others are empty. Rows are made for
//! whoever asks: of the session's database, and of roles and databases only what its tenant may
//! see (REFERENCE §2).

mod acl;
mod built_in_types;
mod cell;
mod constraints;
mod databases;
pub mod deparse;
mod dependencies;
mod extensions;
pub mod functions;
mod information_schema;
mod look_up;
mod policies;
mod printed;
pub mod procedures;
mod relations;
mod remembered;
mod roles;
mod session;
mod settings;
mod system_views;
mod types;

use crate::catalog::Oid;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::query::failure;
use crate::engine::query::rows;
use crate::engine::query::statement::Statement;
use crate::engine::search_path;
use crate::engine::types as sql_types;
use crate::storage::Storage;
use cell::Cell;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
pub use remembered::Remembered;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock};

/// The OID of the schema pg_catalog.
pub const PG_CATALOG_OID: Oid = Oid(11);
/// The OID of the schema information_schema.
pub const INFORMATION_SCHEMA_OID: Oid = Oid(13_184);

/// One row, a cell for each column.
type Row = Vec<Cell>;

/// What makes a table's rows.
type Rows = fn(&StatementContext) -> Vec<Row>;

/// What makes the rows of a table that tells of the store.
type StoreRows = fn(&StatementContext, &Storage) -> Vec<Row>;

/// A catalog.
#[derive(Debug)]
pub struct SystemTable {
    /// pg_class.oid, PostgreSQL's own.
    pub oid: Oid,
    /// pg_catalog or information_schema.
    pub schema: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Whether it is a view in PostgreSQL.
    pub is_view: bool,
    /// Names and types, in attnum order.
    pub columns: Vec<(&'static str, SqlType)>,
    arrow: SchemaRef,
    rows: Option<Rows>,
    /// Those that never change, once somebody has looked.
    fixed: Option<OnceLock<RecordBatch>>,
    store_rows: Option<StoreRows>,
}

const COLUMNS: &str = include_str!("columns.txt");

static TABLES: LazyLock<Vec<SystemTable>> =
    LazyLock::new(|| COLUMNS.lines().map(SystemTable::parse).collect());

static BY_NAME: LazyLock<HashMap<(&'static str, &'static str), &'static SystemTable>> =
    LazyLock::new(|| {
        TABLES
            .iter()
            .map(|table| ((table.schema, table.name), table))
            .collect()
    });

/// All catalogs.
pub fn tables() -> &'static [SystemTable] {
    &TABLES
}

/// The catalog of this name.
pub fn table(schema: &str, name: &str) -> Option<&'static SystemTable> {
    // The keys live as long as the program; a look-up needs only their text.
    BY_NAME.get(&(schema, name) as &(&str, &str)).copied()
}

/// The catalog with this OID.
pub fn table_of_oid(oid: Oid) -> Option<&'static SystemTable> {
    TABLES.iter().find(|table| table.oid == oid)
}

impl SystemTable {
    /// Its rows as the statement sees them, with the columns of these places.
    ///
    /// # Errors
    /// XX000 for rows that do not fit the columns.
    fn batch(&self, statement: &Statement, columns: &[usize]) -> Result<RecordBatch, Diagnostic> {
        let context = &statement.context;
        if let Some(rows) = self.store_rows {
            return cell::batch(self, columns, &rows(context, statement.storage()));
        }
        if !remembered::is_settled(self) {
            let rows = self.rows.map(|rows| rows(context));
            return cell::batch(self, columns, &rows.unwrap_or_default());
        }
        let all = statement
            .catalogs()
            .batch(self, context, || self.make(context))?;
        remembered::columns(&all, columns)
    }

    fn make(&self, context: &StatementContext) -> Result<RecordBatch, Diagnostic> {
        let rows = self.rows.map(|rows| rows(context)).unwrap_or_default();
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let (Some(kept), Some(rows_kept)) = (&self.fixed, fixed_of(self.schema, self.name)) else {
            return cell::batch(self, &all, &rows);
        };
        let fixed = match kept.get() {
            Some(fixed) => fixed.clone(),
            None => {
                let made = cell::batch(self, &all, rows_kept)?;
                kept.get_or_init(|| made).clone()
            }
        };
        match rows.is_empty() {
            true => Ok(fixed),
            false => remembered::with_fixed(self, &fixed, &rows),
        }
    }

    /// `oid schema name kind column:type …`
    fn parse(line: &'static str) -> SystemTable {
        const FORM: &str = "columns.txt has a line a table, in the form its reader says";
        let mut words = line.split(' ');
        let mut word = || words.next().expect(FORM);
        let oid = Oid(word().parse().expect(FORM));
        let (schema, name, kind) = (word(), word(), word());
        let columns: Vec<_> = words
            .map(|column| {
                let (name, type_name) = column.split_once(':').expect(FORM);
                let sql_type = sql_types::name::from_internal_name(type_name).expect(FORM);
                (name, sql_type)
            })
            .collect();
        let fields = columns
            .iter()
            .map(|(name, sql_type)| crate::engine::query::cast::field(*name, *sql_type));
        SystemTable {
            oid,
            schema,
            name,
            is_view: kind == "v",
            arrow: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            columns,
            rows: rows_of(schema, name),
            fixed: fixed_of(schema, name).map(|_| OnceLock::new()),
            store_rows: store_rows_of(schema, name),
        }
    }
}

/// The rows of a catalog that never change, and that are too many to make each time.
fn fixed_of(schema: &str, name: &str) -> Option<&'static LazyLock<Vec<Row>>> {
    match (schema, name) {
        (search_path::PG_CATALOG, "pg_attribute") => Some(&relations::CATALOG_ATTRIBUTES),
        (search_path::PG_CATALOG, "pg_type") => Some(&built_in_types::BUILT_IN_TYPES),
        (search_path::PG_CATALOG, "pg_proc") => Some(&procedures::PROCEDURE_ROWS),
        _ => None,
    }
}

/// The tables that have rows.
fn rows_of(schema: &str, name: &str) -> Option<Rows> {
    let rows: Rows = match (schema, name) {
        ("pg_catalog", "pg_class") => relations::pg_class,
        ("pg_catalog", "pg_attribute") => relations::pg_attribute,
        ("pg_catalog", "pg_attrdef") => relations::pg_attrdef,
        ("pg_catalog", "pg_index") => constraints::pg_index,
        ("pg_catalog", "pg_constraint") => constraints::pg_constraint,
        ("pg_catalog", "pg_policy") => policies::pg_policy,
        ("pg_catalog", "pg_policies") => policies::pg_policies,
        ("pg_catalog", "pg_sequence") => relations::pg_sequence,
        ("pg_catalog", "pg_depend") => dependencies::pg_depend,
        ("pg_catalog", "pg_init_privs") => relations::pg_init_privs,
        ("pg_catalog", "pg_rewrite") => dependencies::pg_rewrite,
        ("pg_catalog", "pg_description") => relations::pg_description,
        ("pg_catalog", "pg_namespace") => databases::pg_namespace,
        ("pg_catalog", "pg_database") => databases::pg_database,
        ("pg_catalog", "pg_tablespace") => databases::pg_tablespace,
        ("pg_catalog", "pg_am") => types::pg_am,
        ("pg_catalog", "pg_type") => types::pg_type,
        ("pg_catalog", "pg_enum") => types::pg_enum,
        ("pg_catalog", "pg_collation") => types::pg_collation,
        ("pg_catalog", "pg_extension") => extensions::pg_extension,
        ("pg_catalog", "pg_available_extensions") => extensions::pg_available_extensions,
        ("pg_catalog", "pg_language") => types::pg_language,
        ("pg_catalog", "pg_opclass") => types::pg_opclass,
        ("pg_catalog", "pg_opfamily") => types::pg_opfamily,
        ("pg_catalog", "pg_authid") => roles::pg_authid,
        ("pg_catalog", "pg_roles") => roles::pg_roles,
        ("pg_catalog", "pg_user") => roles::pg_user,
        ("pg_catalog", "pg_auth_members") => roles::pg_auth_members,
        ("pg_catalog", "pg_settings") => settings::pg_settings,
        ("pg_catalog", "pg_timezone_names") => settings::pg_timezone_names,
        ("pg_catalog", "pg_stat_activity") => session::pg_stat_activity,
        ("pg_catalog", "pg_cursors") => session::pg_cursors,
        ("pg_catalog", "pg_prepared_statements") => session::pg_prepared_statements,
        ("pg_catalog", "pg_tables") => system_views::pg_tables,
        ("pg_catalog", "pg_views") => system_views::pg_views,
        ("pg_catalog", "pg_indexes") => system_views::pg_indexes,
        ("pg_catalog", "pg_sequences") => system_views::pg_sequences,
        ("pg_catalog", "pg_stat_all_tables") => {
            |context| system_views::counted_tables("pg_stat_all_tables", context)
        }
        ("pg_catalog", "pg_stat_user_tables") => {
            |context| system_views::counted_tables("pg_stat_user_tables", context)
        }
        ("pg_catalog", "pg_statio_all_tables") => {
            |context| system_views::counted_tables("pg_statio_all_tables", context)
        }
        ("pg_catalog", "pg_statio_user_tables") => {
            |context| system_views::counted_tables("pg_statio_user_tables", context)
        }
        ("information_schema", "tables") => information_schema::tables,
        ("information_schema", "views") => information_schema::views,
        ("information_schema", "columns") => information_schema::columns,
        ("information_schema", "schemata") => information_schema::schemata,
        ("information_schema", "table_privileges" | "role_table_grants") => {
            information_schema::table_privileges
        }
        ("information_schema", "table_constraints") => information_schema::table_constraints,
        ("information_schema", "key_column_usage") => information_schema::key_column_usage,
        ("information_schema", "referential_constraints") => {
            information_schema::referential_constraints
        }
        ("information_schema", "constraint_column_usage") => {
            information_schema::constraint_column_usage
        }
        ("information_schema", "check_constraints") => information_schema::check_constraints,
        ("information_schema", "sequences") => information_schema::sequences,
        ("information_schema", "information_schema_catalog_name") => {
            information_schema::catalog_name
        }
        _ => return None,
    };
    Some(rows)
}

/// The tables whose rows are of the store.
fn store_rows_of(schema: &str, name: &str) -> Option<StoreRows> {
    match (schema, name) {
        ("pg_catalog", "pg_locks") => Some(session::pg_locks),
        _ => None,
    }
}

/// A catalog as the planner sees it.
#[derive(Debug)]
pub struct SystemProvider(&'static SystemTable);

impl SystemProvider {
    /// Of this catalog.
    pub fn new(table: &'static SystemTable) -> SystemProvider {
        SystemProvider(table)
    }
}

#[async_trait::async_trait]
impl TableProvider for SystemProvider {
    fn schema(&self) -> SchemaRef {
        self.0.arrow.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let table = self.0;
        rows::operator(
            table.name,
            &table.arrow,
            projection,
            Arc::new(move |statement, columns| {
                table
                    .batch(statement, columns)
                    .map_err(|error: Diagnostic| failure::external(error))
            }),
        )
    }
}
