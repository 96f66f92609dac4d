//! DROP SCHEMA: the relations and types in it, with what depends on them elsewhere, or nothing at all.

use super::drop::{Dependent, dependents_of, described, refused, remove, tell_lines};
use super::drop_type;
use super::work::Work;
use crate::catalog::Oid;
use crate::catalog::definition::Relation;
use crate::catalog::enumeration::UserType;
use crate::catalog::schema::Schema;
use crate::diagnostic::Diagnostic;
use crate::engine::query::functions::text::quote_ident;
use crate::storage::Use;

/// DROP SCHEMA, of what is in the schemas: all of it with CASCADE, with what depends on it elsewhere.
///
/// # Errors
/// 2BP01
pub async fn with_schemas(
    work: &mut Work<'_>,
    schemas: &[Schema],
    within: Vec<Relation>,
    cascade: bool,
) -> Result<(), Diagnostic> {
    let dropping: Vec<Oid> = within.iter().map(|relation| relation.oid).collect();
    let mut known = dropping.clone();
    let (mut lines, mut details, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
    let types = types_within(work, schemas).await?;
    if !types.is_empty() {
        work.renew().await?;
    }
    let mut of_types = Vec::new();
    for known in &types {
        let line = drop_type::described(work, known);
        details.push(format!("{line} depends on schema {}", known.schema));
        lines.push(line);
        let first = of_types.len();
        drop_type::dependents_of(work, known, &mut of_types)?;
        of_types.retain(|dependent| !dependent.is_within(&dropping));
        for dependent in of_types.iter().skip(first) {
            lines.push(dependent.described().to_owned());
            details.push(dependent.detail());
        }
    }
    for relation in &within {
        let line = described(std::slice::from_ref(relation), work.context).remove(0);
        details.push(format!("{line} depends on schema {}", relation.schema));
        lines.push(line);
        let dependents = dependents_of(work, std::slice::from_ref(relation), &known)?;
        for dependent in dependents {
            if let Dependent::View { relation, .. } = &dependent {
                known.push(relation.oid);
            }
            lines.push(dependent.describe());
            details.push(dependent.detail());
            elsewhere.push(dependent);
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    if !cascade {
        let schemas = schemas.iter();
        let dropped: Vec<String> = schemas
            .map(|schema| format!("schema {}", quote_ident(&schema.name)))
            .collect();
        return Err(refused(&dropped, &details));
    }
    tell_lines(work, &lines);
    for dependent in &elsewhere {
        dependent.remove(work).await?;
    }
    for relation in within {
        remove(work, relation.oid, &dropping).await?;
    }
    for dependent in &of_types {
        dependent.remove(work).await?;
    }
    for known in &types {
        work.undefine_type(known)?;
    }
    Ok(())
}

/// The types of schemas that are taken alone, taken as well.
async fn types_within(
    work: &mut Work<'_>,
    schemas: &[Schema],
) -> Result<Vec<UserType>, Diagnostic> {
    let definitions = work.definitions();
    let within = definitions.types_of(work.database()).filter(|known| {
        let mut schemas = schemas.iter();
        schemas.any(|schema| schema.name == known.schema)
    });
    let mut taken = Vec::new();
    for known in within {
        taken.extend(work.take_type(known, Use::Exclusive).await?);
    }
    Ok(taken)
}
