//! information_schema: the standard's names for the same things.

use super::cell::{Cell, maybe, number, row, text};
use super::constraints::{self, Shown};
use super::deparse::{self, Names};
use super::relations::{attributes, own};
use super::types::array_name;
use super::{Row, SystemTable, table, tables as all_catalogs};
use crate::catalog::PrincipalId;
use crate::catalog::definition::{
    ConstraintBody, Privileges, ReferentialAction, Relation, RelationBody, Sequence,
};
use crate::catalog::schema::is_temporary;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::context::StatementContext;
use crate::engine::query::functions::session::database_name;
use crate::engine::search_path;
use crate::engine::types::{self, UserTypes};

fn shape(name: &str) -> &'static SystemTable {
    table("information_schema", name).expect("a view that has rows is in columns.txt")
}

/// information_schema_catalog_name
pub fn catalog_name(context: &StatementContext) -> Vec<Row> {
    vec![vec![text(database_name(context))]]
}

/// tables
pub fn tables(context: &StatementContext) -> Vec<Row> {
    let shape = shape("tables");
    let catalog = database_name(context);
    let make = |schema: &str, name: &str, kind: &str| {
        row(
            shape,
            &[
                ("table_catalog", text(&*catalog)),
                ("table_schema", text(schema)),
                ("table_name", text(name)),
                ("table_type", text(kind)),
                (
                    "is_insertable_into",
                    text(if kind == "VIEW" { "NO" } else { "YES" }),
                ),
                ("is_typed", text("NO")),
            ],
        )
    };
    let kind = |relation: &Relation| match relation.body {
        RelationBody::Table(_) if is_temporary(&relation.schema) => Some("LOCAL TEMPORARY"),
        RelationBody::Table(_) => Some("BASE TABLE"),
        RelationBody::View(_) => Some("VIEW"),
        _ => None,
    };
    let mut rows: Vec<_> = visible(context)
        .filter_map(|relation| Some(make(&relation.schema, &relation.name, kind(relation)?)))
        .collect();
    rows.extend(all_catalogs().iter().map(|table| {
        let kind = if table.is_view { "VIEW" } else { "BASE TABLE" };
        make(table.schema, table.name, kind)
    }));
    rows
}

/// What the session may do anything with: the standard shows nothing else.
fn visible(
    context: &StatementContext,
) -> impl Iterator<Item = &std::sync::Arc<crate::catalog::definition::Relation>> {
    own(context).filter(|relation| !context.rights.privileges(relation).is_empty())
}

/// views
pub fn views(context: &StatementContext) -> Vec<Row> {
    let shape = shape("views");
    let catalog = database_name(context);
    visible(context)
        .filter(|relation| matches!(relation.body, RelationBody::View(_)))
        .map(|relation| {
            row(
                shape,
                &[
                    ("table_catalog", text(&*catalog)),
                    ("table_schema", text(&*relation.schema)),
                    ("table_name", text(&*relation.name)),
                    (
                        "view_definition",
                        maybe(deparse::view(relation.oid, context)),
                    ),
                    ("check_option", text("NONE")),
                    ("is_updatable", text("NO")),
                    ("is_insertable_into", text("NO")),
                    ("is_trigger_updatable", text("NO")),
                    ("is_trigger_deletable", text("NO")),
                    ("is_trigger_insertable_into", text("NO")),
                ],
            )
        })
        .collect()
}

/// schemata
pub fn schemata(context: &StatementContext) -> Vec<Row> {
    let shape = shape("schemata");
    let catalog = database_name(context);
    let one = |name: &str, owner: &str| {
        row(
            shape,
            &[
                ("catalog_name", text(&*catalog)),
                ("schema_name", text(name)),
                ("schema_owner", text(owner)),
            ],
        )
    };
    let system = [search_path::PG_CATALOG, search_path::INFORMATION_SCHEMA];
    let system = system.map(|name| one(name, "nodedb"));
    let schemas = super::databases::schemas(context);
    let schemas = schemas
        .iter()
        .filter(|schema| !context.rights.schema_privileges(schema).is_empty());
    let own = schemas.map(|schema| {
        let owner = PrincipalId(super::databases::schema_owner(schema));
        let owner = super::roles::name_of(owner, context).unwrap_or_default();
        one(&schema.name, &owner)
    });
    system.into_iter().chain(own).collect()
}

/// columns
pub fn columns(context: &StatementContext) -> Vec<Row> {
    let shape = shape("columns");
    let catalog = database_name(context);
    let mut rows = Vec::new();
    for relation in visible(context) {
        if !matches!(
            relation.body,
            RelationBody::Table(_) | RelationBody::View(_)
        ) {
            continue;
        }
        for attribute in attributes(relation, context) {
            if attribute.dropped {
                continue;
            }
            let expression = relation.table().and_then(|table| {
                let column = table
                    .columns
                    .get(usize::from(attribute.number as u16) - 1)?;
                let text = column.default.as_deref()?;
                Some(match attribute.generated {
                    true => text.to_owned(),
                    false => deparse::default_of(column, text),
                })
            });
            let (default, generation) = match attribute.generated {
                true => (None, expression.as_deref().map(deparse::condition)),
                false => {
                    let shown = |text: &str| deparse::expression(text, context);
                    (expression.as_deref().map(shown), None)
                }
            };
            let place = Place {
                types: context.user_types(),
                catalog: &catalog,
                schema: &relation.schema,
                table: &relation.name,
            };
            let yes = |yes: bool| text(if yes { "YES" } else { "NO" });
            let mut cells = place.column(&attribute.name, attribute.number, attribute.sql_type);
            cells.extend([
                ("column_default", maybe(default)),
                (
                    "is_generated",
                    text(if attribute.generated {
                        "ALWAYS"
                    } else {
                        "NEVER"
                    }),
                ),
                ("generation_expression", maybe(generation)),
                ("is_nullable", yes(!attribute.not_null)),
                ("is_identity", yes(!attribute.identity.is_empty())),
                (
                    "identity_generation",
                    match attribute.identity {
                        "a" => text("ALWAYS"),
                        "d" => text("BY DEFAULT"),
                        _ => Cell::Null,
                    },
                ),
                (
                    "is_updatable",
                    yes(matches!(relation.body, RelationBody::Table(_))),
                ),
            ]);
            let place = usize::from(attribute.number as u16) - 1;
            cells.extend(identity_of(relation, place, context));
            rows.push(row(shape, &cells));
        }
    }
    for table in all_catalogs() {
        for (index, (name, sql_type)) in table.columns.iter().enumerate() {
            let place = Place {
                types: context.user_types(),
                catalog: &catalog,
                schema: table.schema,
                table: table.name,
            };
            let mut cells = place.column(name, index as i16 + 1, *sql_type);
            cells.extend([
                ("is_nullable", text("YES")),
                ("is_generated", text("NEVER")),
                ("is_identity", text("NO")),
                ("identity_cycle", text("NO")),
                ("is_updatable", text("NO")),
            ]);
            rows.push(row(shape, &cells));
        }
    }
    rows
}

/// How the sequence of an identity column counts; another column's does not.
fn identity_of(
    relation: &Relation,
    place: usize,
    context: &StatementContext,
) -> Vec<(&'static str, Cell)> {
    let column = relation.table().and_then(|table| table.columns.get(place));
    let identity = column.filter(|column| column.identity.is_some());
    let sequence = identity.and_then(|column| context.snapshot.definitions.get(column.sequence?));
    let Some(RelationBody::Sequence(sequence)) = sequence.map(|relation| &relation.body) else {
        return vec![("identity_cycle", yes_or_no(false))];
    };
    vec![
        ("identity_start", text(sequence.start.to_string())),
        ("identity_increment", text(sequence.increment.to_string())),
        ("identity_maximum", text(sequence.max.to_string())),
        ("identity_minimum", text(sequence.min.to_string())),
        ("identity_cycle", yes_or_no(sequence.cycle)),
    ]
}

/// Whether it is an identity column's, which is no sequence to the standard.
fn is_of_identity(sequence: &Sequence, context: &StatementContext) -> bool {
    let column = || {
        let (table, position) = sequence.owned_by?;
        let table = context.snapshot.definitions.get(table)?.table()?;
        table.columns.get(usize::from(position))
    };
    column().is_some_and(|column| column.identity.is_some())
}

struct Place<'a> {
    types: UserTypes<'a>,
    catalog: &'a str,
    schema: &'a str,
    table: &'a str,
}

impl Place<'_> {
    fn column(&self, name: &str, number: i16, sql_type: SqlType) -> Vec<(&'static str, Cell)> {
        let bare = SqlType {
            typmod: -1,
            ..sql_type
        };
        let user = match sql_type.kind {
            TypeKind::Enum(type_id) => self.types.get(type_id),
            _ => None,
        };
        let data_type = if sql_type.array {
            "ARRAY".to_owned()
        } else {
            match user {
                Some(_) => "USER-DEFINED".to_owned(),
                None => types::format_type(bare),
            }
        };
        let (udt_schema, udt_name) = match user {
            Some(known) if sql_type.array => (known.schema.to_string(), array_name(&known.name)),
            Some(known) => (known.schema.to_string(), known.name.to_string()),
            None => (
                "pg_catalog".to_owned(),
                types::name::internal_name(sql_type),
            ),
        };
        let mut cells = vec![
            ("table_catalog", text(self.catalog)),
            ("table_schema", text(self.schema)),
            ("table_name", text(self.table)),
            ("column_name", text(name)),
            ("ordinal_position", super::cell::number(number)),
            ("data_type", text(data_type)),
            ("udt_catalog", text(self.catalog)),
            ("udt_schema", text(udt_schema)),
            ("udt_name", text(udt_name)),
            ("dtd_identifier", text(number.to_string())),
            ("is_self_referencing", text("NO")),
        ];
        cells.extend(measures(sql_type));
        for missing in [
            "character_maximum_length",
            "character_octet_length",
            "numeric_precision",
            "numeric_precision_radix",
            "numeric_scale",
            "datetime_precision",
            "interval_precision",
            "maximum_cardinality",
        ] {
            if !cells.iter().any(|(name, _)| *name == missing) {
                cells.push((missing, Cell::Null));
            }
        }
        cells
    }
}

/// Lengths and precisions, as the standard names them.
fn measures(sql_type: SqlType) -> Vec<(&'static str, Cell)> {
    let binary = |bits: i64, scale: Cell| {
        vec![
            ("numeric_precision", number(bits)),
            ("numeric_precision_radix", number(2)),
            ("numeric_scale", scale),
        ]
    };
    if sql_type.array {
        return Vec::new();
    }
    match sql_type.kind {
        TypeKind::Int2 => binary(16, number(0)),
        TypeKind::Int4 => binary(32, number(0)),
        TypeKind::Int8 => binary(64, number(0)),
        TypeKind::Float4 => binary(24, Cell::Null),
        TypeKind::Float8 => binary(53, Cell::Null),
        TypeKind::Numeric if sql_type.typmod >= 4 => {
            let (precision, scale) = types::name::numeric_modifier_wide(sql_type.typmod);
            vec![
                ("numeric_precision", number(precision)),
                ("numeric_precision_radix", number(10)),
                ("numeric_scale", number(scale)),
            ]
        }
        TypeKind::Numeric => vec![("numeric_precision_radix", number(10))],
        TypeKind::Varchar | TypeKind::Bpchar if sql_type.typmod >= 4 => {
            let letters = i64::from(sql_type.typmod) - 4;
            vec![
                ("character_maximum_length", number(letters)),
                ("character_octet_length", number(letters * 4)),
            ]
        }
        TypeKind::Text | TypeKind::Varchar => {
            vec![("character_octet_length", number(1 << 30))]
        }
        TypeKind::Date => vec![("datetime_precision", number(0))],
        TypeKind::Time | TypeKind::Timestamp | TypeKind::Timestamptz | TypeKind::Interval => {
            let precision = types::name::seconds_precision(sql_type).unwrap_or(6);
            vec![("datetime_precision", number(precision))]
        }
        _ => Vec::new(),
    }
}

/// table_privileges and role_table_grants, which have the same columns: what owners hold and what is granted, to whom of them
/// the session is or whose tables it may change.
pub fn table_privileges(context: &StatementContext) -> Vec<Row> {
    let shape = shape("table_privileges");
    let catalog = database_name(context);
    let name = |id: PrincipalId| super::roles::name_of(id, context);
    let mut rows = Vec::new();
    for relation in own(context) {
        if !matches!(
            relation.body,
            RelationBody::Table(_) | RelationBody::View(_)
        ) {
            continue;
        }
        let Some(owner) = name(relation.owner) else {
            continue;
        };
        let all = context.rights.may_own(relation).is_ok();
        let mut held = vec![(relation.owner, Privileges::ALL, true)];
        let granted = relation.grants.iter();
        held.extend(granted.map(|grant| (grant.grantee, grant.privileges, false)));
        for (grantee, privileges, owns) in held {
            let Some(grantee_name) = name(grantee) else {
                continue;
            };
            if !all && grantee != context.identity.principal {
                continue;
            }
            let kinds = [
                ("INSERT", privileges.insert),
                ("SELECT", privileges.select),
                ("UPDATE", privileges.update),
                ("DELETE", privileges.delete),
                ("TRUNCATE", owns),
                ("REFERENCES", owns),
                ("TRIGGER", owns),
            ];
            for (kind, _) in kinds.into_iter().filter(|(_, held)| *held) {
                rows.push(row(
                    shape,
                    &[
                        ("grantor", text(&*owner)),
                        ("grantee", text(&*grantee_name)),
                        ("table_catalog", text(&*catalog)),
                        ("table_schema", text(&*relation.schema)),
                        ("table_name", text(&*relation.name)),
                        ("privilege_type", text(kind)),
                        ("is_grantable", yes_or_no(owns)),
                        ("with_hierarchy", yes_or_no(kind == "SELECT")),
                    ],
                ));
            }
        }
    }
    rows
}

fn visible_constraints(context: &StatementContext) -> Vec<Shown<'_>> {
    let mut all = constraints::shown(context);
    all.retain(|shown| !context.rights.privileges(shown.relation).is_empty());
    all
}

fn yes_or_no(yes: bool) -> Cell {
    text(if yes { "YES" } else { "NO" })
}

/// table_constraints
pub fn table_constraints(context: &StatementContext) -> Vec<Row> {
    let shape = shape("table_constraints");
    let catalog = database_name(context);
    visible_constraints(context)
        .iter()
        .map(|shown| {
            let kind = match shown.kind {
                "p" => "PRIMARY KEY",
                "u" => "UNIQUE",
                "f" => "FOREIGN KEY",
                _ => "CHECK",
            };
            row(
                shape,
                &[
                    ("constraint_catalog", text(&*catalog)),
                    ("constraint_schema", text(&*shown.relation.schema)),
                    ("constraint_name", text(shown.name)),
                    ("table_catalog", text(&*catalog)),
                    ("table_schema", text(&*shown.relation.schema)),
                    ("table_name", text(&*shown.relation.name)),
                    ("constraint_type", text(kind)),
                    ("is_deferrable", yes_or_no(shown.is_deferrable())),
                    ("initially_deferred", yes_or_no(shown.is_deferred())),
                    ("enforced", text("YES")),
                ],
            )
        })
        .collect()
}

/// key_column_usage
pub fn key_column_usage(context: &StatementContext) -> Vec<Row> {
    let shape = shape("key_column_usage");
    let catalog = database_name(context);
    let mut rows = Vec::new();
    for shown in visible_constraints(context) {
        let Some(table) = shown.relation.table() else {
            continue;
        };
        for (place, position) in shown.columns.iter().enumerate() {
            let column = table.columns.get(usize::from(*position));
            let unique_place = match shown.kind {
                "f" => number(place as i64 + 1),
                _ => Cell::Null,
            };
            rows.push(row(
                shape,
                &[
                    ("constraint_catalog", text(&*catalog)),
                    ("constraint_schema", text(&*shown.relation.schema)),
                    ("constraint_name", text(shown.name)),
                    ("table_catalog", text(&*catalog)),
                    ("table_schema", text(&*shown.relation.schema)),
                    ("table_name", text(&*shown.relation.name)),
                    ("column_name", maybe(column.map(|column| &*column.name))),
                    ("ordinal_position", number(place as i64 + 1)),
                    ("position_in_unique_constraint", unique_place),
                ],
            ));
        }
    }
    rows
}

fn action(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "NO ACTION",
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    }
}

/// referential_constraints
pub fn referential_constraints(context: &StatementContext) -> Vec<Row> {
    let shape = shape("referential_constraints");
    let catalog = database_name(context);
    let all = constraints::shown(context);
    let mut rows = Vec::new();
    for shown in visible_constraints(context) {
        let Some(ConstraintBody::ForeignKey {
            table,
            referenced,
            on_update,
            on_delete,
            ..
        }) = shown.body
        else {
            continue;
        };
        let unique = all.iter().find(|candidate| {
            candidate.index.is_some()
                && candidate.relation.oid == *table
                && candidate.columns == *referenced
        });
        rows.push(row(
            shape,
            &[
                ("constraint_catalog", text(&*catalog)),
                ("constraint_schema", text(&*shown.relation.schema)),
                ("constraint_name", text(shown.name)),
                ("unique_constraint_catalog", text(&*catalog)),
                (
                    "unique_constraint_schema",
                    maybe(unique.map(|unique| &*unique.relation.schema)),
                ),
                (
                    "unique_constraint_name",
                    maybe(unique.map(|unique| unique.name)),
                ),
                ("match_option", text("NONE")),
                ("update_rule", text(action(*on_update))),
                ("delete_rule", text(action(*on_delete))),
            ],
        ));
    }
    rows
}

/// constraint_column_usage: of a foreign key the columns it points at.
pub fn constraint_column_usage(context: &StatementContext) -> Vec<Row> {
    let shape = shape("constraint_column_usage");
    let catalog = database_name(context);
    let mut rows = Vec::new();
    for shown in visible_constraints(context) {
        let (relation, positions) = match shown.body {
            Some(ConstraintBody::ForeignKey {
                table, referenced, ..
            }) => match context.snapshot.definitions.get(*table) {
                Some(target) => (&**target, referenced.clone()),
                None => continue,
            },
            _ => (shown.relation, shown.columns.clone()),
        };
        let Some(table) = relation.table() else {
            continue;
        };
        for position in positions {
            let column = table.columns.get(usize::from(position));
            rows.push(row(
                shape,
                &[
                    ("table_catalog", text(&*catalog)),
                    ("table_schema", text(&*relation.schema)),
                    ("table_name", text(&*relation.name)),
                    ("column_name", maybe(column.map(|column| &*column.name))),
                    ("constraint_catalog", text(&*catalog)),
                    ("constraint_schema", text(&*shown.relation.schema)),
                    ("constraint_name", text(shown.name)),
                ],
            ));
        }
    }
    rows
}

/// check_constraints
pub fn check_constraints(context: &StatementContext) -> Vec<Row> {
    let shape = shape("check_constraints");
    let catalog = database_name(context);
    visible_constraints(context)
        .iter()
        .filter_map(|shown| match shown.body {
            Some(ConstraintBody::Check { .. }) => {
                let clause = deparse::clause(shown, Names::Short, context)?;
                Some((shown, clause.strip_prefix("CHECK ")?.to_owned()))
            }
            _ => None,
        })
        .map(|(shown, clause)| {
            row(
                shape,
                &[
                    ("constraint_catalog", text(&*catalog)),
                    ("constraint_schema", text(&*shown.relation.schema)),
                    ("constraint_name", text(shown.name)),
                    ("check_clause", text(clause)),
                ],
            )
        })
        .collect()
}

/// sequences
pub fn sequences(context: &StatementContext) -> Vec<Row> {
    let shape = shape("sequences");
    let catalog = database_name(context);
    visible(context)
        .filter_map(|relation| match &relation.body {
            RelationBody::Sequence(sequence) if !is_of_identity(sequence, context) => {
                Some((relation, sequence))
            }
            _ => None,
        })
        .map(|(relation, sequence)| {
            let bits = match sequence.sql_type.kind {
                TypeKind::Int2 => 16,
                TypeKind::Int4 => 32,
                _ => 64,
            };
            row(
                shape,
                &[
                    ("sequence_catalog", text(&*catalog)),
                    ("sequence_schema", text(&*relation.schema)),
                    ("sequence_name", text(&*relation.name)),
                    ("data_type", text(types::format_type(sequence.sql_type))),
                    ("numeric_precision", number(bits)),
                    ("numeric_precision_radix", number(2)),
                    ("numeric_scale", number(0)),
                    ("start_value", text(sequence.start.to_string())),
                    ("minimum_value", text(sequence.min.to_string())),
                    ("maximum_value", text(sequence.max.to_string())),
                    ("increment", text(sequence.increment.to_string())),
                    (
                        "cycle_option",
                        text(if sequence.cycle { "YES" } else { "NO" }),
                    ),
                ],
            )
        })
        .collect()
}
