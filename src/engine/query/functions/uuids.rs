//! gen_random_uuid(), and the functions of PostgreSQL's extension uuid-ossp (appendix F.49), which are always here.

use super::definition::{Argument, Call, Function, TEXT, of};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::query::failure;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryBuilder};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use ring::rand::{SecureRandom, SystemRandom};
use std::sync::{Arc, LazyLock};
use uuid::{Builder, ContextV1, Timestamp, Uuid};

const NONE: &[&[Argument]] = &[&[]];
/// The planner takes a quoted literal for a text until it is a uuid.
const NAMED: &[&[Argument]] = &[&[of(TypeKind::Uuid), TEXT], &[TEXT, TEXT]];

/// Those that give another one at each call, and need nothing of the statement for it.
pub const VOLATILE: &[&str] = &[
    "gen_random_uuid",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
];

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let uuid = SqlType::scalar(TypeKind::Uuid);
    vec![
        Function::volatile("gen_random_uuid", NONE, uuid, |call| each(call, random)),
        Function::volatile("uuid_generate_v1", NONE, uuid, |call| each(call, of_time)),
        Function::volatile("uuid_generate_v1mc", NONE, uuid, |call| each(call, of_time)),
        Function::volatile("uuid_generate_v4", NONE, uuid, |call| each(call, random)),
        Function::immutable("uuid_generate_v3", NAMED, uuid, |call| {
            named(call, "uuid_generate_v3", Uuid::new_v3)
        }),
        Function::immutable("uuid_generate_v5", NAMED, uuid, |call| {
            named(call, "uuid_generate_v5", Uuid::new_v5)
        }),
        Function::immutable("uuid_nil", NONE, uuid, |call| {
            each(call, || Ok(Uuid::nil()))
        }),
        Function::immutable("uuid_ns_dns", NONE, uuid, |call| {
            each(call, || Ok(Uuid::NAMESPACE_DNS))
        }),
        Function::immutable("uuid_ns_oid", NONE, uuid, |call| {
            each(call, || Ok(Uuid::NAMESPACE_OID))
        }),
        Function::immutable("uuid_ns_url", NONE, uuid, |call| {
            each(call, || Ok(Uuid::NAMESPACE_URL))
        }),
        Function::immutable("uuid_ns_x500", NONE, uuid, |call| {
            each(call, || Ok(Uuid::NAMESPACE_X500))
        }),
    ]
}

fn each(call: &Call<'_>, one: fn() -> Result<Uuid>) -> Result<ArrayRef> {
    let mut values = FixedSizeBinaryBuilder::with_capacity(call.rows, 16);
    for _ in 0..call.rows {
        values.append_value(one()?.as_bytes())?;
    }
    Ok(Arc::new(values.finish()))
}

/// Of a namespace and a name in it (RFC 9562 §5.3 and §5.5).
fn named(call: &Call<'_>, name: &str, of: fn(&Uuid, &[u8]) -> Uuid) -> Result<ArrayRef> {
    let Some(namespaces) = call.args[0].as_fixed_size_binary_opt() else {
        let text = SqlType::scalar(TypeKind::Text);
        let none = failure::no_function(name, &[text, text]);
        return Err(failure::external(none));
    };
    let mut values = FixedSizeBinaryBuilder::with_capacity(call.rows, 16);
    for row in 0..call.rows {
        let namespace = namespaces.is_valid(row).then(|| namespaces.value(row));
        let namespace = namespace.and_then(|bytes| Uuid::from_slice(bytes).ok());
        match namespace.zip(call.text(1, row)) {
            Some((namespace, name)) => {
                values.append_value(of(&namespace, name.as_bytes()).as_bytes())?;
            }
            None => values.append_null(),
        }
    }
    Ok(Arc::new(values.finish()))
}

/// Version 4 (RFC 9562 §5.4).
fn random() -> Result<Uuid> {
    Ok(Builder::from_random_bytes(random_bytes()?).into_uuid())
}

/// Version 1 (RFC 9562 §5.1), of a node that is nobody's: the server's network card is told to no one.
fn of_time() -> Result<Uuid> {
    static NODE: LazyLock<Option<[u8; 6]>> = LazyLock::new(|| {
        let mut node = random_bytes::<6>().ok()?;
        // The bit of groups, which no card has.
        node[0] |= 1;
        Some(node)
    });
    static CLOCK: ContextV1 = ContextV1::new(0);
    let node = NODE.as_ref().ok_or_else(no_random)?;
    Ok(Uuid::new_v1(Timestamp::now(&CLOCK), node))
}

fn random_bytes<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| no_random())?;
    Ok(bytes)
}

fn no_random() -> datafusion::error::DataFusionError {
    failure::external(Diagnostic::internal("no random bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_of_time_are_new_at_each_call() {
        let (one, other) = (of_time().expect("one"), of_time().expect("another"));
        assert_ne!(one, other);
        assert_eq!(one.get_version_num(), 1);
        assert_eq!(one.as_bytes()[10..], other.as_bytes()[10..]);
        assert_eq!(one.as_bytes()[10] & 1, 1);
    }
}
