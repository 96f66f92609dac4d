//! SQL texts through the parser with its bound on depth, and the code of DO through the reader of blocks.

use super::texts;
use nodedb::sql::code_block;
use nodedb::sql::parse::{parse, parse_expression, text};
use sqlparser::ast::Statement;

/// Statements of every family.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "SELECT a, count(*) FROM t LEFT JOIN u USING (id) WHERE a IN (1, 2) GROUP BY 1 HAVING count(*) > 2 ORDER BY a DESC LIMIT 3;",
        "WITH x AS (SELECT 1) INSERT INTO t (a, b) VALUES ($1, DEFAULT), ('é''s', 1.5e3) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *",
        "UPDATE pgbench_accounts SET abalance = abalance + -123 WHERE aid = 7; DELETE FROM t USING u WHERE t.id = u.id",
        "CREATE TABLE t (id serial PRIMARY KEY, x numeric(10,2) DEFAULT 0 CHECK (x >= 0), FOREIGN KEY (x) REFERENCES u ON DELETE CASCADE) WITH (fillfactor=90)",
        "CREATE UNLOGGED TABLE t (a int); VACUUM (ANALYZE, VERBOSE) t; ANALYZE; TRUNCATE a, b; DROP TABLE IF EXISTS a, b CASCADE",
        "COPY t (a, b) FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER E'\\t', FORCE_NULL (a)); COPY t TO STDOUT CSV QUOTE '\"'",
        "CREATE SEQUENCE s INCREMENT BY -2 MINVALUE -10 CYCLE; ALTER TABLE ONLY t ADD CONSTRAINT c UNIQUE (a, b)",
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SAVEPOINT s; ROLLBACK TO s; COMMIT AND CHAIN",
        "SELECT $tag$ body $tag$, U&'\\0041', E'\\x41\\n', B'101', interval '1 day' /* a /* nested */ comment */ -- end",
        "SELECT CASE WHEN a THEN ARRAY[1,2][1] ELSE (SELECT max(x) OVER (PARTITION BY y) FROM z) END::int4[] COLLATE \"C\"",
        "PREPARE p (int) AS SELECT $1; EXECUTE p (1); DEALLOCATE ALL; SHOW ALL; SET LOCAL x.y TO 'z', 2; EXPLAIN (COSTS OFF) SELECT 1",
        "DO LANGUAGE plpgsql $do$ BEGIN IF NOT EXISTS (SELECT 1) THEN CREATE TYPE m AS ENUM ('a'); ELSIF true THEN PERFORM 1; ELSE <<l>> BEGIN NULL; END; END IF; END $do$",
        "CREATE TEMP TABLE t (a, b) ON COMMIT DROP AS VALUES (ROW(1, 'x'), (2, ARRAY[3][1:2])); SELECT (t).*, (t).a FROM t GROUP BY CUBE (a # 1), ()",
        "((((((((1 OR 2) AND 3) OR NOT 4)))))) + - + 1 || 'a' BETWEEN SYMMETRIC 1 AND 2 IS NOT DISTINCT FROM NULL",
    ])
}

/// Statements stand one after the other in the text; a position is inside it.
pub fn run(data: &[u8]) {
    let Ok(text) = text(data) else {
        return;
    };
    let _ = parse_expression(text);
    let statements = match parse(text) {
        Ok(statements) => statements,
        Err(error) => {
            let characters = text.chars().count() + 1;
            if let Some(position) = error.fields().position {
                assert!(position >= 1 && position as usize <= characters);
            }
            return;
        }
    };
    let mut end = 0;
    for statement in statements {
        assert!(
            statement.span.start >= end,
            "statements stand one after the other"
        );
        assert!(
            text.get(statement.span.clone()).is_some(),
            "at whole characters"
        );
        end = statement.span.end;
        if let Statement::Call(call) = &statement.ast
            && let Some(given) = code_block::of(call)
        {
            let _ = code_block::steps(&given);
        }
        // Views and defaults are kept as printed, so that a tree that was taken can be printed.
        let _ = statement.ast.to_string();
    }
}
