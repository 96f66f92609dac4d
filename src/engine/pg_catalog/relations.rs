//! pg_class, pg_attribute and what hangs on them.

use super::built_in_types::Facts;
use super::cell::{Cell, maybe, number, row, text};
use super::{Row, SystemTable, table, tables};
use crate::catalog::definition::{Relation, RelationBody, Table};
use crate::catalog::schema::is_temporary;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::catalog::{Oid, PrincipalId};
use crate::engine::context::StatementContext;
use crate::engine::extensions::EXTENSIONS;
use crate::engine::temporary;
use crate::engine::types;
use std::sync::{Arc, LazyLock};

/// pg_am.oid of heap, btree.
const HEAP: u32 = 2;
const BTREE: u32 = 403;

/// The owner of the catalogs themselves: PostgreSQL's bootstrap superuser.
pub const CATALOG_OWNER: u32 = 10;

/// The catalog that a function makes rows for.
pub fn catalog(name: &str) -> &'static SystemTable {
    table("pg_catalog", name).expect("a catalog that has rows is in columns.txt")
}

/// The relations of the session's database.
pub fn own(context: &StatementContext) -> impl Iterator<Item = &Arc<Relation>> {
    let relations = context
        .snapshot
        .definitions
        .of_database(context.identity.database);
    // Others' temporary tables are not there.
    relations.filter(|relation| !temporary::is_others(&relation.schema, context))
}

/// pg_class.relkind
pub fn kind(relation: &Relation) -> &'static str {
    match relation.body {
        RelationBody::Table(_) => "r",
        RelationBody::Index(_) => "i",
        RelationBody::Sequence(_) => "S",
        RelationBody::View(_) => "v",
    }
}

/// pg_namespace.oid of a schema of users.
pub fn namespace(schema: &str, context: &StatementContext) -> u32 {
    super::databases::namespace_oid(schema, context)
}

/// The role that owns.
pub fn owner(principal: PrincipalId) -> Cell {
    number(principal.0)
}

fn persistence(relation: &Relation) -> &'static str {
    let options = relation.table().map_or(&[][..], |table| &table.options);
    match options.iter().any(|(name, _)| &**name == "unlogged") {
        _ if is_temporary(&relation.schema) => "t",
        true => "u",
        false => "p",
    }
}

/// pg_class
pub fn pg_class(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_class");
    let users = own(context).map(|relation| class_row(shape, relation, context));
    let system = tables().iter().map(|table| {
        row(
            shape,
            &[
                ("oid", number(table.oid.0)),
                ("relname", text(table.name)),
                ("relnamespace", number(namespace(table.schema, context))),
                ("relowner", number(CATALOG_OWNER)),
                ("relkind", text(if table.is_view { "v" } else { "r" })),
                ("relpersistence", text("p")),
                ("relreplident", text("n")),
                ("relnatts", number(table.columns.len() as i64)),
                ("relam", number(if table.is_view { 0 } else { HEAP })),
                ("relispopulated", Cell::Bool(true)),
                ("relacl", everybody_reads()),
            ],
        )
    });
    users.chain(system).collect()
}

/// What holds of every catalog.
fn everybody_reads() -> Cell {
    Cell::List(vec![text("=r/nodedb")])
}

/// pg_init_privs: what holds of catalogs from the start, which is no GRANT of anybody's.
pub fn pg_init_privs(_context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_init_privs");
    let class = catalog("pg_class").oid.0;
    let of_table = |table: &SystemTable| {
        row(
            shape,
            &[
                ("objoid", number(table.oid.0)),
                ("classoid", number(class)),
                ("privtype", text("i")),
                ("initprivs", everybody_reads()),
            ],
        )
    };
    tables().iter().map(of_table).collect()
}

fn class_row(shape: &SystemTable, relation: &Relation, context: &StatementContext) -> Row {
    let mut cells = vec![
        ("oid", number(relation.oid.0)),
        ("relname", text(&*relation.name)),
        ("relnamespace", number(namespace(&relation.schema, context))),
        ("relowner", owner(relation.owner)),
        ("relkind", text(kind(relation))),
        ("relpersistence", text(persistence(relation))),
        ("relreplident", text("n")),
        ("relispopulated", Cell::Bool(true)),
        ("reltuples", number(-1)),
        ("relacl", super::acl::of_relation(relation, context)),
        (
            "reltype",
            number(super::types::row_type(relation).unwrap_or_default()),
        ),
    ];
    match &relation.body {
        RelationBody::Table(table) => cells.extend([
            ("relreplident", text("d")),
            ("relam", number(HEAP)),
            ("relfilenode", number(table.store.0)),
            ("relnatts", number(table.columns.len() as i64)),
            (
                "relhasindex",
                Cell::Bool(table.primary_index.is_some() || !table.indexes.is_empty()),
            ),
            ("relchecks", number(checks(table))),
            (
                "relrowsecurity",
                Cell::Bool(relation.row_security.in_force()),
            ),
            // A table's owner is bound as well.
            (
                "relforcerowsecurity",
                Cell::Bool(relation.row_security.in_force()),
            ),
            (
                "relhastriggers",
                Cell::Bool(!table.referenced_by.is_empty() || has_foreign_key(table)),
            ),
            ("reloptions", options(table)),
        ]),
        RelationBody::Index(index) => cells.extend([
            ("relam", number(BTREE)),
            ("relfilenode", number(index.store.0)),
            (
                "relnatts",
                number((index.columns.len() + index.details.include.len()) as i64),
            ),
        ]),
        RelationBody::Sequence(sequence) => cells.extend([
            ("relfilenode", number(sequence.store.0)),
            ("relnatts", number(3)),
        ]),
        RelationBody::View(view) => cells.extend([
            ("relhasrules", Cell::Bool(true)),
            ("relnatts", number(view.columns.len() as i64)),
        ]),
    }
    // The last cell of a name counts.
    cells.reverse();
    row(shape, &cells)
}

fn checks(table: &Table) -> i64 {
    use crate::catalog::definition::ConstraintBody;
    let checks = table
        .constraints
        .iter()
        .filter(|constraint| matches!(constraint.body, ConstraintBody::Check { .. }));
    checks.count() as i64
}

fn has_foreign_key(table: &Table) -> bool {
    use crate::catalog::definition::ConstraintBody;
    table
        .constraints
        .iter()
        .any(|constraint| matches!(constraint.body, ConstraintBody::ForeignKey { .. }))
}

fn options(table: &Table) -> Cell {
    let options: Vec<_> = table
        .options
        .iter()
        .filter(|(name, _)| !matches!(&**name, "unlogged" | temporary::ON_COMMIT_OPTION))
        .map(|(name, value)| text(format!("{name}={value}")))
        .collect();
    if options.is_empty() {
        Cell::Null
    } else {
        Cell::List(options)
    }
}

/// One column of any relation.
pub struct Attribute {
    /// attnum
    pub number: i16,
    /// attname
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// attnotnull
    pub not_null: bool,
    /// Whether it has a default.
    pub has_default: bool,
    /// attidentity: empty, `a` or `d`.
    pub identity: &'static str,
    /// attgenerated
    pub generated: bool,
    /// attisdropped
    pub dropped: bool,
}

/// The columns of a relation, dropped ones too.
pub fn attributes(relation: &Relation, context: &StatementContext) -> Vec<Attribute> {
    let plain = |index: usize, name: &str, sql_type: SqlType| Attribute {
        number: index as i16 + 1,
        name: name.to_owned(),
        sql_type,
        not_null: false,
        has_default: false,
        identity: "",
        generated: false,
        dropped: false,
    };
    match &relation.body {
        RelationBody::Table(table) => table_attributes(table),
        RelationBody::View(view) => view
            .columns
            .iter()
            .enumerate()
            .map(|(index, (name, sql_type))| plain(index, name, *sql_type))
            .collect(),
        RelationBody::Sequence(_) => {
            let int8 = SqlType::scalar(TypeKind::Int8);
            let columns = [
                ("last_value", int8),
                ("log_cnt", int8),
                ("is_called", SqlType::scalar(TypeKind::Bool)),
            ];
            columns
                .iter()
                .enumerate()
                .map(|(index, (name, sql_type))| Attribute {
                    not_null: true,
                    ..plain(index, name, *sql_type)
                })
                .collect()
        }
        RelationBody::Index(index) => {
            let table = context.snapshot.definitions.get(index.table);
            let table = table.and_then(|relation| relation.table());
            let parts = index.columns.iter().chain(&index.details.include);
            parts
                .enumerate()
                .filter_map(|(place, position)| match index.expression(*position) {
                    Some(found) => Some(plain(place, &found.name, found.sql_type)),
                    None => {
                        let column = table?.columns.get(usize::from(*position))?;
                        Some(plain(place, &column.name, column.sql_type))
                    }
                })
                .collect()
        }
    }
}

fn table_attributes(table: &Table) -> Vec<Attribute> {
    use crate::catalog::definition::Identity;
    table
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| Attribute {
            number: index as i16 + 1,
            name: if column.dropped {
                format!("........pg.dropped.{}........", index + 1)
            } else {
                column.name.to_string()
            },
            sql_type: column.sql_type,
            not_null: column.not_null,
            has_default: column.default.is_some(),
            identity: match column.identity {
                None => "",
                Some(Identity::Always) => "a",
                Some(Identity::ByDefault) => "d",
            },
            generated: column.generated,
            dropped: column.dropped,
        })
        .collect()
}

/// pg_attribute, but for the columns of the catalogs themselves.
pub fn pg_attribute(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_attribute");
    let mut rows = Vec::new();
    for relation in own(context) {
        for attribute in attributes(relation, context) {
            rows.push(attribute_row(shape, relation.oid, &attribute));
        }
    }
    rows
}

/// The columns of the catalogs themselves, which are thousands and never change.
pub static CATALOG_ATTRIBUTES: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let shape = catalog("pg_attribute");
    let columns = tables().iter().flat_map(|table| {
        let columns = table.columns.iter().enumerate();
        columns.map(move |(index, column)| (table, index, column))
    });
    columns
        .map(|(table, index, (name, sql_type))| {
            let attribute = Attribute {
                number: index as i16 + 1,
                name: (*name).to_owned(),
                sql_type: *sql_type,
                not_null: *name == "oid",
                has_default: false,
                identity: "",
                generated: false,
                dropped: false,
            };
            attribute_row(shape, table.oid, &attribute)
        })
        .collect()
});

fn attribute_row(shape: &SystemTable, relation: Oid, attribute: &Attribute) -> Row {
    let sql_type = attribute.sql_type;
    let facts = Facts::of(sql_type);
    let type_oid = if attribute.dropped {
        0
    } else {
        types::oid(sql_type).0
    };
    row(
        shape,
        &[
            ("attrelid", number(relation.0)),
            ("attname", text(&*attribute.name)),
            ("atttypid", number(type_oid)),
            ("attstattarget", number(-1)),
            ("attlen", number(facts.length)),
            ("attnum", number(attribute.number)),
            ("attcacheoff", number(-1)),
            ("atttypmod", number(sql_type.typmod)),
            ("attndims", number(i64::from(sql_type.array))),
            ("attbyval", Cell::Bool(facts.by_value)),
            ("attalign", text(facts.alignment)),
            ("attstorage", text(facts.storage)),
            ("attcompression", text("")),
            ("attnotnull", Cell::Bool(attribute.not_null)),
            ("atthasdef", Cell::Bool(attribute.has_default)),
            ("attidentity", text(attribute.identity)),
            (
                "attgenerated",
                text(if attribute.generated { "s" } else { "" }),
            ),
            ("attisdropped", Cell::Bool(attribute.dropped)),
            ("attislocal", Cell::Bool(true)),
            ("attcollation", number(facts.collation)),
        ],
    )
}

/// pg_attrdef; its adbin holds the text that pg_get_expr gives back.
pub fn pg_attrdef(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_attrdef");
    let one = |default: ColumnDefault<'_>| {
        row(
            shape,
            &[
                ("oid", number(default.oid())),
                ("adrelid", number(default.relation.oid.0)),
                ("adnum", number(default.column as i64 + 1)),
                ("adbin", text(default.shown())),
            ],
        )
    };
    defaults(context).map(one).collect()
}

/// The default of one column.
pub struct ColumnDefault<'a> {
    /// Of which relation.
    pub relation: &'a Relation,
    /// The column's position, from 0 on.
    pub column: usize,
    /// The expression.
    pub text: &'a str,
    /// Of a generated column.
    pub generated: bool,
}

impl ColumnDefault<'_> {
    /// The expression as it is shown.
    fn shown(&self) -> String {
        match self.generated {
            true => super::deparse::condition(self.text),
            false => match self.relation.table() {
                Some(table) => super::deparse::default_of(&table.columns[self.column], self.text),
                None => self.text.to_owned(),
            },
        }
    }

    /// Its number in pg_attrdef.
    pub fn oid(&self) -> i64 {
        default_oid(self.relation.oid, self.column)
    }
}

/// The defaults of the database's columns.
pub fn defaults(context: &StatementContext) -> impl Iterator<Item = ColumnDefault<'_>> {
    let with_table = own(context).filter_map(|relation| Some((relation, relation.table()?)));
    with_table.flat_map(|(relation, table)| {
        let columns = table.columns.iter().enumerate();
        columns
            .filter(|(_, column)| !column.dropped)
            .filter_map(move |(index, column)| {
                Some(ColumnDefault {
                    relation,
                    column: index,
                    text: column.default.as_deref()?,
                    generated: column.generated,
                })
            })
    })
}

/// Defaults have no OID of their own; a number that no other object has stands for one.
pub fn default_oid(relation: Oid, column: usize) -> i64 {
    let mixed = relation.0.wrapping_mul(1_601).wrapping_add(column as u32);
    i64::from(0xC000_0000 | (mixed & 0x3FFF_FFFF))
}

/// pg_sequence
pub fn pg_sequence(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_sequence");
    own(context)
        .filter_map(|relation| match &relation.body {
            RelationBody::Sequence(sequence) => Some((relation, sequence)),
            _ => None,
        })
        .map(|(relation, sequence)| {
            row(
                shape,
                &[
                    ("seqrelid", number(relation.oid.0)),
                    ("seqtypid", number(types::oid(sequence.sql_type).0)),
                    ("seqstart", number(sequence.start)),
                    ("seqincrement", number(sequence.increment)),
                    ("seqmax", number(sequence.max)),
                    ("seqmin", number(sequence.min)),
                    ("seqcache", number(1)),
                    ("seqcycle", Cell::Bool(sequence.cycle)),
                ],
            )
        })
        .collect()
}

/// pg_description: COMMENT ON schemas, relations and their columns.
pub fn pg_description(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_description");
    let class = catalog("pg_class").oid.0;
    let namespace = catalog("pg_namespace").oid.0;
    let schemas = super::databases::schemas(context);
    let schemas = schemas.iter().filter(|schema| schema.comment.is_some());
    let schemas = schemas.map(|schema| {
        row(
            shape,
            &[
                ("objoid", number(schema.oid.0)),
                ("classoid", number(namespace)),
                ("description", maybe(schema.comment.as_deref())),
            ],
        )
    });
    let commented = own(context)
        .filter(|relation| relation.comment.is_some())
        .map(|relation| {
            row(
                shape,
                &[
                    ("objoid", number(relation.oid.0)),
                    ("classoid", number(class)),
                    ("description", maybe(relation.comment.as_deref())),
                ],
            )
        });
    let of_columns = own(context).flat_map(|relation| {
        relation
            .column_comments()
            .iter()
            .map(move |(position, comment)| {
                row(
                    shape,
                    &[
                        ("objoid", number(relation.oid.0)),
                        ("classoid", number(class)),
                        ("objsubid", number(i64::from(*position) + 1)),
                        ("description", text(&**comment)),
                    ],
                )
            })
    });
    let constraints = catalog("pg_constraint").oid.0;
    let of_constraints = own(context).flat_map(|relation| {
        let comments = relation
            .table()
            .map(|table| table.constraint_comments.as_slice());
        comments
            .unwrap_or_default()
            .iter()
            .map(move |(oid, comment)| {
                row(
                    shape,
                    &[
                        ("objoid", number(oid.0)),
                        ("classoid", number(constraints)),
                        ("description", text(&**comment)),
                    ],
                )
            })
    });
    let extensions = catalog("pg_extension").oid.0;
    let of_extensions = EXTENSIONS.iter().map(|extension| {
        row(
            shape,
            &[
                ("objoid", number(extension.oid)),
                ("classoid", number(extensions)),
                ("description", text(extension.comment)),
            ],
        )
    });
    let types = catalog("pg_type").oid.0;
    let of_types = context
        .snapshot
        .definitions
        .types_of(context.identity.database);
    let of_types = of_types
        .filter(|known| known.comment.is_some())
        .map(|known| {
            row(
                shape,
                &[
                    ("objoid", number(known.type_id.oid.0)),
                    ("classoid", number(types)),
                    ("description", maybe(known.comment.as_deref())),
                ],
            )
        });
    let commented = commented
        .chain(of_columns)
        .chain(of_constraints)
        .chain(of_types)
        .chain(of_extensions);
    schemas.chain(commented).collect()
}
