//! The functions of pg_catalog about the catalogs.

use super::deparse::{self, Names};
use super::{acl, databases, procedures, roles, table_of_oid};
use crate::catalog::definition::{Privileges, Relation};
use crate::catalog::role::Ladder;
use crate::catalog::schema::SchemaPrivileges;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::catalog::{DatabaseId, Oid, PrincipalId};
use crate::diagnostic::SqlState;
use crate::engine::context::StatementContext;
use crate::engine::extensions::EXTENSIONS;
use crate::engine::query::failure;
use crate::engine::query::functions::definition::{
    Argument, BOOL, Call, Function, INT4, INT8, OID, REGCLASS, TEXT,
};
use crate::engine::query::functions::names;
use crate::engine::query::functions::text::quote_ident;
use crate::engine::query::resolve;
use crate::engine::search_path;
use crate::engine::temporary;
use crate::engine::types;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type, UInt32Type};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

const TEXT_TYPE: SqlType = SqlType::scalar(TypeKind::Text);
const NAME_TYPE: SqlType = SqlType::scalar(TypeKind::Name);
const BOOL_TYPE: SqlType = SqlType::scalar(TypeKind::Bool);
const INT8_TYPE: SqlType = SqlType::scalar(TypeKind::Int8);

/// All of them.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let mut all = definitions();
    all.extend(of_numbers());
    all.extend(absent());
    all.extend(of_procedures());
    all.extend(descriptions());
    all.extend(visibility());
    all.extend(privileges());
    all.push(acl::acldefault());
    all.extend(sizes());
    all.extend(super::look_up::functions());
    all
}

/// Texts of definitions.
fn definitions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Function::stable("format_type", &[&[OID, INT4]], TEXT_TYPE, format_type),
        Function::stable(
            "pg_get_expr",
            &[&[TEXT, OID], &[TEXT, OID, BOOL]],
            TEXT_TYPE,
            |call| {
                let statement = call.statement()?;
                call.texts(|row| {
                    let text = call.text(0, row);
                    let text = text.map(|text| deparse::expression(text, &statement.context));
                    Ok(text.map(|text| match names_of(call, 3) {
                        Names::Short => deparse::without_parentheses(&text),
                        Names::Qualified => text,
                    }))
                })
            },
        ),
        Function::stable(
            "pg_get_indexdef",
            &[&[OID], &[OID, INT4, BOOL]],
            TEXT_TYPE,
            |call| {
                let statement = call.statement()?;
                call.texts(|row| {
                    let column = if call.args.len() == 3 {
                        call.int4(1, row).unwrap_or_default()
                    } else {
                        0
                    };
                    let oid = call.oid(0, row).map(Oid);
                    Ok(oid.and_then(|oid| {
                        deparse::index(oid, column, names_of(call, 3), &statement.context)
                    }))
                })
            },
        ),
        Function::stable(
            "pg_get_constraintdef",
            &[&[OID], &[OID, BOOL]],
            TEXT_TYPE,
            |call| {
                let statement = call.statement()?;
                call.texts(|row| {
                    let oid = call.oid(0, row).map(Oid);
                    let shown = oid
                        .and_then(|oid| deparse::constraint(oid, Names::Short, &statement.context));
                    let pretty = call.args.len() == 2 && call.bool(1, row) == Some(true);
                    Ok(match pretty {
                        true => shown.map(deparse::without_inner_parentheses),
                        false => shown,
                    })
                })
            },
        ),
        Function::stable(
            "pg_get_viewdef",
            &[&[Argument::Any], &[Argument::Any, BOOL]],
            TEXT_TYPE,
            |call| {
                let statement = call.statement()?;
                call.texts(|row| {
                    let relation = relation_argument(call, 0, row, &statement.context)?;
                    Ok(relation
                        .and_then(|relation| deparse::view(relation.oid, &statement.context)))
                })
            },
        ),
    ]
}

/// Names of what catalogs number.
fn of_numbers() -> Vec<Arc<ScalarUDF>> {
    vec![
        Function::stable("pg_get_userbyid", &[&[OID]], NAME_TYPE, |call| {
            let statement = call.statement()?;
            call.texts(|row| {
                Ok(call.oid(0, row).map(|oid| {
                    roles::name_of(PrincipalId(oid), &statement.context)
                        .unwrap_or_else(|| format!("unknown (OID={oid})"))
                }))
            })
        }),
        Function::immutable("pg_encoding_to_char", &[&[INT4]], NAME_TYPE, |call| {
            call.texts(|row| {
                Ok(call.int4(0, row).map(|encoding| {
                    if i64::from(encoding) == databases::UTF8 {
                        "UTF8".to_owned()
                    } else {
                        String::new()
                    }
                }))
            })
        }),
        Function::immutable(
            "pg_char_to_encoding",
            &[&[TEXT]],
            SqlType::scalar(TypeKind::Int4),
            |call| {
                call.values::<Int32Type>(|row| {
                    Ok(call.text(0, row).map(|name| {
                        if name.eq_ignore_ascii_case("utf8") {
                            databases::UTF8 as i32
                        } else {
                            -1
                        }
                    }))
                })
            },
        ),
        Function::stable("regnamespace_name", &[&[OID]], TEXT_TYPE, |call| {
            let statement = call.statement()?;
            let known = databases::namespaces(&statement.context);
            call.texts(|row| {
                Ok(call.oid(0, row).map(|oid| {
                    let found = known.iter().find(|(known, _)| *known == oid);
                    found.map_or_else(|| oid.to_string(), |(_, name)| quote_ident(name))
                }))
            })
        }),
        Function::stable(
            "regnamespace_oid",
            &[&[TEXT]],
            SqlType::scalar(TypeKind::Oid),
            |call| {
                let statement = call.statement()?;
                let known = databases::namespaces(&statement.context);
                call.values::<UInt32Type>(|row| {
                    let Some(name) = call.text(0, row) else {
                        return Ok(None);
                    };
                    let parts = names::split(name).map_err(failure::external)?;
                    let [name] = parts.as_slice() else {
                        return Err(failure::external(names::invalid_name()));
                    };
                    let found = known.iter().find(|(_, known)| known == name);
                    let absent = || {
                        let message = format!("schema \"{name}\" does not exist");
                        failure::error(SqlState::INVALID_SCHEMA_NAME, message)
                    };
                    found.map(|(oid, _)| Some(*oid)).ok_or_else(absent)
                })
            },
        ),
        Function::immutable("regprocedure_name", &[&[OID]], TEXT_TYPE, |call| {
            call.texts(|row| Ok(call.oid(0, row).map(procedures::printed)))
        }),
        Function::immutable("regoperator_name", &[&[OID]], TEXT_TYPE, |call| {
            // Operators have no OIDs here.
            call.texts(|row| Ok(call.oid(0, row).map(|oid| oid.to_string())))
        }),
        Function::stable("regrole_name", &[&[OID]], TEXT_TYPE, |call| {
            let statement = call.statement()?;
            call.texts(|row| {
                Ok(call.oid(0, row).map(|oid| {
                    roles::name_of(PrincipalId(oid), &statement.context)
                        .unwrap_or_else(|| oid.to_string())
                }))
            })
        }),
    ]
}

/// About things that do not exist here: NULL for any OID.
fn absent() -> Vec<Arc<ScalarUDF>> {
    vec![
        nothing("pg_get_triggerdef", &[&[OID], &[OID, BOOL]]),
        nothing("pg_get_ruledef", &[&[OID], &[OID, BOOL]]),
        nothing("pg_get_partkeydef", &[&[OID]]),
        nothing("pg_get_functiondef", &[&[OID]]),
        nothing("pg_get_function_sqlbody", &[&[OID]]),
        nothing("pg_get_statisticsobjdef_columns", &[&[OID]]),
        nothing("pg_get_statisticsobjdef", &[&[OID]]),
        nothing("pg_tablespace_location", &[&[OID]]),
        nothing("pg_get_partition_constraintdef", &[&[OID]]),
        nothing("pg_describe_object", &[&[OID, OID, INT4]]),
    ]
}

/// About functions.
fn of_procedures() -> Vec<Arc<ScalarUDF>> {
    let of = |name, body| Function::stable(name, &[&[OID]], TEXT_TYPE, body);
    let arguments = |call: &Call<'_>| {
        call.texts(|row| {
            Ok(call
                .oid(0, row)
                .and_then(|oid| procedures::arguments_of(Oid(oid))))
        })
    };
    vec![
        of("pg_get_function_result", |call| {
            call.texts(|row| {
                Ok(call
                    .oid(0, row)
                    .and_then(|oid| procedures::result_of(Oid(oid))))
            })
        }),
        of("pg_get_function_arguments", arguments),
        of("pg_get_function_identity_arguments", arguments),
    ]
}

/// Names short where the call has the `pretty` argument, as PostgreSQL's pretty forms.
fn names_of(call: &Call<'_>, with_pretty: usize) -> Names {
    if call.args.len() == with_pretty {
        Names::Short
    } else {
        Names::Qualified
    }
}

/// A function about things that do not exist here: NULL for any OID.
fn nothing(name: &'static str, forms: &'static [&'static [Argument]]) -> Arc<ScalarUDF> {
    Function::stable(name, forms, TEXT_TYPE, |call| call.texts(|_| Ok(None)))
}

fn format_type(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    call.texts(|row| {
        let Some(oid) = call.oid(0, row) else {
            return Ok(None);
        };
        if oid == 0 {
            return Ok(Some("-".to_owned()));
        }
        let Some(sql_type) = names::type_of_oid(Oid(oid), &statement.context) else {
            let pseudo_type = types::pseudo_type::name_of(oid);
            return Ok(Some(pseudo_type.unwrap_or("???").to_owned()));
        };
        let typmod = call.int4(1, row).unwrap_or(-1);
        let sql_type = SqlType { typmod, ..sql_type };
        Ok(Some(names::type_shown(sql_type, &statement.context)))
    })
}

/// Comments.
fn descriptions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Function::stable(
            "obj_description",
            &[&[OID], &[OID, TEXT]],
            TEXT_TYPE,
            |call| {
                let statement = call.statement()?;
                let schemas = databases::schemas(&statement.context);
                call.texts(|row| {
                    if call.args.len() == 2 && call.text(1, row) == Some("pg_namespace") {
                        let oid = call.oid(0, row).map(Oid);
                        let schema = schemas.iter().find(|schema| Some(schema.oid) == oid);
                        let comment = schema.and_then(|schema| schema.comment.as_deref());
                        return Ok(comment.map(str::to_owned));
                    }
                    if call.args.len() == 2 && call.text(1, row) == Some("pg_type") {
                        let oid = call.oid(0, row).map(Oid);
                        let types = statement.context.user_types();
                        let known = oid.and_then(|oid| types.definitions.user_type(oid));
                        let comment = known.and_then(|known| known.comment.as_deref());
                        return Ok(comment.map(str::to_owned));
                    }
                    if call.args.len() == 2 && call.text(1, row) == Some("pg_extension") {
                        let mut known = EXTENSIONS.iter();
                        let known = known.find(|known| Some(known.oid) == call.oid(0, row));
                        return Ok(known.map(|known| known.comment.to_owned()));
                    }
                    let class = call.args.len() == 1 || call.text(1, row) == Some("pg_class");
                    if call.args.len() == 2 && call.text(1, row) == Some("pg_constraint") {
                        let oid = call.oid(0, row).map(Oid);
                        return Ok(
                            oid.and_then(|oid| comment_on_constraint(oid, &statement.context))
                        );
                    }
                    let relation = call
                        .oid(0, row)
                        .filter(|_| class)
                        .and_then(|oid| names::relation_of_oid(Oid(oid), &statement.context));
                    Ok(relation.and_then(|relation| Some(relation.comment.as_deref()?.to_owned())))
                })
            },
        ),
        Function::stable("col_description", &[&[OID, INT4]], TEXT_TYPE, |call| {
            let statement = call.statement()?;
            call.texts(|row| {
                let (Some(oid), Some(number)) = (call.oid(0, row), call.int4(1, row)) else {
                    return Ok(None);
                };
                let relation = names::relation_of_oid(Oid(oid), &statement.context);
                let comments = relation.map_or(&[][..], |relation| relation.column_comments());
                let found = comments
                    .iter()
                    .find(|(position, _)| i32::from(*position) + 1 == number);
                Ok(found.map(|(_, text)| text.to_string()))
            })
        }),
        nothing("shobj_description", &[&[OID, TEXT]]),
    ]
}

/// COMMENT ON a constraint of the session's database.
fn comment_on_constraint(constraint: Oid, context: &StatementContext) -> Option<String> {
    let database = context.identity.database;
    let relations = context.snapshot.definitions.of_database(database);
    let mut comments = relations
        .filter_map(|relation| relation.table())
        .flat_map(|table| &table.constraint_comments);
    let found = comments.find(|(commented, _)| *commented == constraint);
    found.map(|(_, text)| text.to_string())
}

/// Whether things are found by their bare names.
fn visibility() -> Vec<Arc<ScalarUDF>> {
    let mut all = vec![
        Function::stable("pg_table_is_visible", &[&[OID]], BOOL_TYPE, |call| {
            let statement = call.statement()?;
            call.bools(|row| {
                Ok(call
                    .oid(0, row)
                    .and_then(|oid| is_visible(Oid(oid), &statement.context)))
            })
        }),
        Function::stable(
            "pg_relation_is_publishable",
            &[&[REGCLASS]],
            BOOL_TYPE,
            |call| call.bools(|row| Ok(call.oid(0, row).map(|_| false))),
        ),
        Function::stable("pg_is_other_temp_schema", &[&[OID]], BOOL_TYPE, |call| {
            call.bools(|row| Ok(call.oid(0, row).map(|_| false)))
        }),
        Function::stable(
            "pg_my_temp_schema",
            &[&[]],
            SqlType::scalar(TypeKind::Oid),
            |call| {
                let statement = call.statement()?;
                let context = &statement.context;
                let own = temporary::own(&context.snapshot.definitions, context);
                let oid = own.map_or(0, |schema| schema.oid.0);
                call.values::<UInt32Type>(|_| Ok(Some(oid)))
            },
        ),
    ];
    all.push(Function::stable(
        "pg_type_is_visible",
        &[&[OID]],
        BOOL_TYPE,
        |call| {
            let statement = call.statement()?;
            call.bools(|row| {
                let oid = call.oid(0, row).map(Oid);
                Ok(oid.map(|oid| type_is_visible(oid, &statement.context)))
            })
        },
    ));
    // Everything else lives in pg_catalog, which is always searched.
    for name in [
        "pg_function_is_visible",
        "pg_operator_is_visible",
        "pg_opclass_is_visible",
        "pg_opfamily_is_visible",
        "pg_conversion_is_visible",
        "pg_collation_is_visible",
        "pg_statistics_obj_is_visible",
        "pg_ts_config_is_visible",
        "pg_ts_dict_is_visible",
        "pg_ts_parser_is_visible",
        "pg_ts_template_is_visible",
    ] {
        all.push(Function::stable(name, &[&[OID]], BOOL_TYPE, |call| {
            call.bools(|row| Ok(call.oid(0, row).map(|_| true)))
        }));
    }
    all
}

/// Whether the type is found by its bare name; those that nobody has defined are.
fn type_is_visible(oid: Oid, context: &StatementContext) -> bool {
    let Some(known) = context.user_types().of_oid(oid) else {
        return true;
    };
    let of_values = SqlType {
        array: false,
        ..known
    };
    // A schema is written before a name that would not lead to the type.
    let shown = names::type_shown(of_values, context);
    names::split(&shown).is_ok_and(|parts| parts.len() == 1)
}

fn is_visible(oid: Oid, context: &StatementContext) -> Option<bool> {
    if let Some(table) = table_of_oid(oid) {
        let searched = table.schema == resolve::PG_CATALOG
            || search_path::of(context)
                .iter()
                .any(|schema| &**schema == table.schema);
        return Some(searched);
    }
    let relation = names::relation_of_oid(oid, context)?;
    Some(resolve::is_visible(relation, context))
}

/// The relation that an argument names: by OID, or by name where it is a text.
fn relation_argument<'a>(
    call: &Call<'_>,
    argument: usize,
    row: usize,
    context: &'a StatementContext,
) -> Result<Option<&'a Arc<Relation>>> {
    let array = &call.args[argument];
    if array.is_null(row) {
        return Ok(None);
    }
    if array.data_type() == &DataType::Utf8 {
        let name = array.as_string::<i32>().value(row);
        return names::relation(name, context)
            .map(Some)
            .map_err(failure::external);
    }
    let oids = datafusion::arrow::compute::cast(array, &DataType::UInt32)?;
    let oid = Oid(oids.as_primitive::<UInt32Type>().value(row));
    Ok(names::relation_of_oid(oid, context))
}

/// has_*_privilege, of the session's own user or a named one.
fn privileges() -> Vec<Arc<ScalarUDF>> {
    const TABLE: &[&[Argument]] = &[
        &[Argument::Any, TEXT],
        &[Argument::Any, Argument::Any, TEXT],
    ];
    let relations = [
        "has_table_privilege",
        "has_any_column_privilege",
        "has_sequence_privilege",
    ];
    let mut all: Vec<_> = relations
        .into_iter()
        .map(|name| Function::stable(name, TABLE, BOOL_TYPE, has_table_privilege))
        .collect();
    all.push(Function::stable(
        "has_column_privilege",
        &[&[Argument::Any, Argument::Any, TEXT]],
        BOOL_TYPE,
        |call| relation_privilege(call, 0, 2),
    ));
    all.push(Function::stable(
        "has_database_privilege",
        TABLE,
        BOOL_TYPE,
        has_database_privilege,
    ));
    all.push(Function::stable(
        "has_schema_privilege",
        TABLE,
        BOOL_TYPE,
        |call| match call.args.len() {
            2 => schema_privilege(call, 0),
            _ => other_user(call, |call| schema_privilege(call, 1)),
        },
    ));
    for name in [
        "has_function_privilege",
        "has_type_privilege",
        "has_language_privilege",
        "has_tablespace_privilege",
    ] {
        all.push(Function::stable(name, TABLE, BOOL_TYPE, |call| {
            let last = call.args.len() - 1;
            let statement = call.statement()?;
            call.bools(|row| {
                Ok(call.text(last, row).map(|wanted| {
                    !wanted.to_ascii_uppercase().contains("CREATE")
                        || statement
                            .context
                            .rights
                            .reaches(crate::catalog::role::Ladder::Admin)
                }))
            })
        }));
    }
    all.push(Function::stable("pg_has_role", TABLE, BOOL_TYPE, |call| {
        let statement = call.statement()?;
        let context = &statement.context;
        let role = call.args.len() - 2;
        call.bools(|row| {
            if call.args[role].is_null(row) {
                return Ok(None);
            }
            let id = match call.args[role].data_type() {
                DataType::Utf8 => call
                    .text(role, row)
                    .and_then(|name| roles::id_of(name, context)),
                _ => call.oid(role, row).map(PrincipalId),
            };
            Ok(Some(id.is_some_and(|id| {
                id == context.rights.principal()
                    || context.rights.has_role(id)
                    || context.rights.is_superuser()
            })))
        })
    }));
    all
}

/// Whether the session has one of the privileges on a schema, by name or OID.
fn schema_privilege(call: &Call<'_>, argument: usize) -> Result<ArrayRef> {
    let statement = call.statement()?;
    let context = &statement.context;
    let (definitions, database) = (&context.snapshot.definitions, context.identity.database);
    call.bools(|row| {
        let named = match call.args[argument].data_type() {
            DataType::Utf8 => call.text(argument, row).map(str::to_owned),
            _ => call.oid(argument, row).and_then(|oid| {
                let known = databases::namespaces(context).into_iter();
                let mut found = known.filter(|(known, _)| *known == oid);
                found.next().map(|(_, name)| name)
            }),
        };
        let (Some(name), Some(wanted)) = (named, call.text(argument + 1, row)) else {
            return Ok(None);
        };
        let held = match search_path::is_system(&name) {
            true => SchemaPrivileges {
                usage: true,
                create: context.rights.is_superuser(),
            },
            false => {
                let schema = definitions.schema(database, &name);
                let schema =
                    schema.ok_or_else(|| failure::external(search_path::no_schema(&name)))?;
                context.rights.schema_privileges(&schema)
            }
        };
        let mut any = false;
        for wanted in wanted.split(',') {
            any |= match wanted.trim().to_ascii_uppercase().as_str() {
                "USAGE" => held.usage,
                "CREATE" => held.create,
                // Who may grant is who is tenant_admin.
                "USAGE WITH GRANT OPTION" | "CREATE WITH GRANT OPTION" => {
                    context.rights.reaches(Ladder::TenantAdmin)
                }
                _ => {
                    let message = format!("unrecognized privilege type: \"{}\"", wanted.trim());
                    return Err(failure::error(SqlState::INVALID_PARAMETER_VALUE, message));
                }
            };
        }
        Ok(Some(any))
    })
}

fn has_table_privilege(call: &Call<'_>) -> Result<ArrayRef> {
    match call.args.len() {
        2 => relation_privilege(call, 0, 1),
        _ => other_user(call, |call| relation_privilege(call, 1, 2)),
    }
}

/// Only the session's own user can be asked about by name; of others only a superuser knows.
fn other_user(
    call: &Call<'_>,
    own: impl FnOnce(&Call<'_>) -> Result<ArrayRef>,
) -> Result<ArrayRef> {
    let statement = call.statement()?;
    let context = &statement.context;
    let is_self = (0..call.rows).all(|row| match call.args[0].data_type() {
        DataType::Utf8 => call
            .text(0, row)
            .is_none_or(|name| name == &*context.identity.name),
        DataType::UInt32 => call
            .oid(0, row)
            .is_none_or(|oid| oid == context.identity.principal.0),
        _ => false,
    });
    if !is_self {
        return Err(failure::unsupported("the privileges of another role here"));
    }
    own(call)
}

fn relation_privilege(call: &Call<'_>, relation: usize, privilege: usize) -> Result<ArrayRef> {
    let statement = call.statement()?;
    let context = &statement.context;
    call.bools(|row| {
        let Some(wanted) = call.text(privilege, row) else {
            return Ok(None);
        };
        if call.args[relation].is_null(row) {
            return Ok(None);
        }
        let found = relation_argument(call, relation, row, context)?;
        let Some(found) = found else {
            // A catalog: everybody reads it.
            return Ok(Some(wanted.eq_ignore_ascii_case("select")));
        };
        let held = context.rights.privileges(found);
        wanted
            .split(',')
            .map(|word| holds(held, word.trim()))
            .try_fold(false, |any, one| Ok(any || one?))
            .map(Some)
    })
}

fn holds(held: Privileges, wanted: &str) -> Result<bool> {
    let word = wanted.to_ascii_uppercase();
    let word = word.trim_end_matches(" WITH GRANT OPTION");
    Ok(match word {
        "SELECT" => held.select,
        "INSERT" => held.insert,
        "UPDATE" => held.update,
        "DELETE" => held.delete,
        "USAGE" => held.select || held.update,
        "TRUNCATE" => held.delete,
        "REFERENCES" | "TRIGGER" => false,
        _ => {
            return Err(failure::error(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized privilege type: \"{wanted}\""),
            ));
        }
    })
}

fn has_database_privilege(call: &Call<'_>) -> Result<ArrayRef> {
    let statement = call.statement()?;
    let context = &statement.context;
    let argument = call.args.len() - 2;
    call.bools(|row| {
        if call.args[argument].is_null(row) {
            return Ok(None);
        }
        let principals = &context.snapshot.principals;
        let database = match call.args[argument].data_type() {
            DataType::Utf8 => call
                .text(argument, row)
                .and_then(|name| principals.database_named(context.rights.tenant(), name)),
            _ => call
                .oid(argument, row)
                .and_then(|oid| principals.database(DatabaseId(oid))),
        };
        let standing = crate::access::Standing::of(&context.snapshot, context.identity.grounds());
        let (Some(database), Ok(standing)) = (database, standing) else {
            return Ok(Some(false));
        };
        Ok(Some(standing.reaches(database)))
    })
}

/// Sizes: storage keeps no count of them, and so they are NULL, not known.
fn sizes() -> Vec<Arc<ScalarUDF>> {
    const RELATION: &[&[Argument]] = &[&[Argument::Any], &[Argument::Any, TEXT]];
    let mut all: Vec<_> = [
        "pg_relation_size",
        "pg_table_size",
        "pg_indexes_size",
        "pg_total_relation_size",
        "pg_database_size",
        "pg_tablespace_size",
    ]
    .into_iter()
    .map(|name| {
        Function::stable(name, RELATION, INT8_TYPE, |call| {
            call.values::<Int64Type>(|_| Ok(None))
        })
    })
    .collect();
    all.push(Function::immutable(
        "pg_size_pretty",
        &[&[INT8]],
        TEXT_TYPE,
        |call| call.texts(|row| Ok(call.int8(0, row).map(size_pretty))),
    ));
    all.push(Function::volatile(
        "pg_stat_get_numscans",
        &[&[OID]],
        INT8_TYPE,
        |call| call.values::<Int64Type>(|_| Ok(Some(0))),
    ));
    all
}

/// `8192 bytes`, `16 kB`: halves rounded away from zero, as PostgreSQL.
fn size_pretty(bytes: i64) -> String {
    if bytes.abs() < 10 * 1024 {
        return format!("{bytes} bytes");
    }
    let mut size = bytes / 512;
    for unit in ["kB", "MB", "GB", "TB"] {
        if size.abs() < 20 * 1024 - 1 || unit == "TB" {
            return format!("{} {unit}", (size + size.signum()) / 2);
        }
        size /= 1024;
    }
    format!("{bytes} bytes")
}
