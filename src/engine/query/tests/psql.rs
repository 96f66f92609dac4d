//! psql's and pgbench's own queries run as they are sent (`tests/vectors/psql/`, captured from
//! version 15 against PostgreSQL 15).

use super::World;

const VECTORS: &[(&str, &str)] = &[
    (
        "backslash",
        include_str!("../../../../tests/vectors/psql/backslash.sql"),
    ),
    (
        "completion",
        include_str!("../../../../tests/vectors/psql/completion.sql"),
    ),
    (
        "pgbench",
        include_str!("../../../../tests/vectors/psql/pgbench.sql"),
    ),
];

/// The queries of a file: the command each belongs to, and its text.
fn queries(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut command = String::new();
    let mut query = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("-- command: ") {
            command = name.to_owned();
            query.clear();
        } else if line == ";;" {
            found.push((command.clone(), std::mem::take(&mut query)));
        } else if !line.starts_with("-- ") {
            query.push_str(line);
            query.push('\n');
        }
    }
    found
}

/// The answers of a command's queries, one after the other.
fn answers(world: &World, wanted: &str) -> String {
    let of_command = |(command, _): &(String, String)| command == wanted;
    let answers = VECTORS
        .iter()
        .flat_map(|(_, text)| queries(text))
        .filter(of_command)
        .map(|(_, query)| world.query(&query).expect("psql's query runs"));
    answers.collect::<Vec<_>>().join("\n--\n")
}

#[test]
fn psql_and_pgbench_queries_run_as_they_are_sent() {
    let world = World::new();
    let mut failed = Vec::new();
    let mut count = 0;
    for (file, text) in VECTORS {
        for (command, query) in queries(text) {
            count += 1;
            if let Err(error) = world.query(&query) {
                failed.push(format!("{file} {command}: {error}\n{query}"));
            }
        }
    }
    assert!(count > 100, "the vectors are there");
    assert!(
        failed.is_empty(),
        "{} of {count} fail\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[test]
fn describing_a_table_shows_its_columns_indexes_and_constraints() {
    let world = World::new();
    let shown = answers(&world, "\\d u");
    for part in [
        "id|bigint|null|t|null||",
        "code|character varying(10)",
        "u_pkey|t|t",
        "CREATE UNIQUE INDEX u_code_key ON u USING btree (code)",
        "CHECK (id > 0)",
        "FOREIGN KEY (t_id) REFERENCES t(id) ON DELETE CASCADE",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let shown = answers(&world, "\\d t");
    for part in [
        "nextval('t_id_seq'::regclass)",
        "numeric(10,2)",
        "timestamp with time zone|now()|f",
        "u_t_id_fkey|u|FOREIGN KEY (t_id) REFERENCES t(id) ON DELETE CASCADE",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
}

#[test]
fn a_tenants_user_sees_nothing_of_another_tenant() {
    let world = World::new();
    let stranger = world.stranger();
    for query in [
        "select relname from pg_class where relname in ('t', 'u', 'v', 's', 'c')",
        "select attname from pg_attribute where attrelid = 16400",
        "select conname from pg_constraint",
        "select indexrelid from pg_index",
        "select tablename from pg_tables where schemaname = 'public'",
        "select table_name from information_schema.tables where table_schema = 'public'",
        "select column_name from information_schema.columns where table_schema = 'public'",
        "select rolname from pg_roles where rolname = 'owner'",
        "select usename from pg_user where usename = 'owner'",
        "select oid from pg_database where oid = 16384",
    ] {
        let seen = world.query_as(query, &[], &stranger).expect("it runs");
        assert_eq!(seen, "", "{query}");
    }
    let error = world.query_as("select * from t", &[], &stranger);
    assert_eq!(
        error.map_err(|error| error.message().to_owned()),
        Err("relation \"t\" does not exist".to_owned())
    );
    let shown = world
        .query_as("select 16400::regclass::text", &[], &stranger)
        .expect("it runs");
    assert_eq!(shown, "16400");
}
