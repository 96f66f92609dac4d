// node-postgres' everyday: a pool, prepared statements, transactions, streams, errors by SQLSTATE.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import pg from "pg";
import Cursor from "pg-cursor";
import QueryStream from "pg-query-stream";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";

let pool;

before(() => {
  pool = new pg.Pool({ max: 20 });
});

after(() => pool.end());

beforeEach(async () => {
  await pool.query("DROP TABLE IF EXISTS node_item");
  await pool.query("CREATE TABLE node_item (id serial PRIMARY KEY, name text NOT NULL UNIQUE, made timestamptz DEFAULT now())");
});

async function inTransaction(story) {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    await story(client);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

test("a wrong password is refused with 28P01", async () => {
  const client = new pg.Client({ password: "wrong" });
  await assert.rejects(client.connect(), { code: "28P01", message: 'password authentication failed for user "app"' });
});

test("a pool of twenty serves many", async () => {
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => pool.query("SELECT $1::int * 2 AS twice", [n])));
  assert.deepEqual(answers.map(({ rows }) => rows[0].twice), Array.from({ length: 200 }, (_, n) => 2 * n));
  assert.equal(pool.totalCount, 20);
});

test("values come back as they went", async () => {
  const at = new Date("2026-02-03T04:05:06.789Z");
  const { rows, fields } = await pool.query(
    `SELECT $1::int2 AS a, $2::bigint AS b, $3::float8 AS c, $4::numeric AS d, $5::text AS e, $6::bytea AS f, $7::bool AS g,
            $8::timestamptz AS h, $9::jsonb AS i, $10::json AS j, $11::int[] AS k, $12::text[] AS l, $13::uuid AS m, $14::int AS n`,
    [1, "9007199254740993", 1.5, "12.340", "zażółć", Buffer.from([0, 255]), true, at, { x: [1, null] }, { y: ["z"] },
      [1, null, 3], ["a,b", 'q"q', null], "b5b1cbb5-6b0c-4b0a-9f0c-0a1b2c3d4e5f", null]);
  assert.deepEqual(rows[0], {
    a: 1, b: "9007199254740993", c: 1.5, d: "12.340", e: "zażółć", f: Buffer.from([0, 255]), g: true, h: at,
    i: { x: [1, null] }, j: { y: ["z"] }, k: [1, null, 3], l: ["a,b", 'q"q', null],
    m: "b5b1cbb5-6b0c-4b0a-9f0c-0a1b2c3d4e5f", n: null });
  assert.deepEqual(fields.map(({ dataTypeID }) => dataTypeID), [21, 20, 701, 1700, 25, 17, 16, 1184, 3802, 114, 1007, 1009, 2950, 23]);
});

test("a binary result is the same as a text result", async () => {
  const text = "SELECT 7::int AS a, 1.5::float8 AS b, true AS c, 'x'::text AS d, '2026-01-02 03:04:05+00'::timestamptz AS e";
  const plain = await pool.query({ text });
  const binary = await pool.query({ text, binary: true });
  assert.deepEqual(binary.rows, plain.rows);
});

test("a named statement is prepared once and reused", async () => {
  const client = await pool.connect();
  for (let n = 0; n < 20; n++) {
    await client.query({ name: "add", text: "INSERT INTO node_item (name) VALUES ($1) RETURNING id", values: [`item ${n}`] });
  }
  const { rows } = await client.query("SELECT count(*)::int AS count FROM node_item");
  assert.equal(rows[0].count, 20);
  const prepared = await client.query("SELECT name, statement FROM pg_prepared_statements");
  assert.deepEqual(prepared.rows, [{ name: "add", statement: "INSERT INTO node_item (name) VALUES ($1) RETURNING id" }]);
  client.release(true);
});

test("a transaction that fails leaves nothing, a savepoint its own part only", async () => {
  await assert.rejects(inTransaction(async (client) => {
    await client.query("INSERT INTO node_item (name) VALUES ('one')");
    await client.query("INSERT INTO node_item (name) VALUES ('one')");
  }), { code: "23505", constraint: "node_item_name_key", table: "node_item", schema: "public", detail: "Key (name)=(one) already exists." });
  await inTransaction(async (client) => {
    await client.query("INSERT INTO node_item (name) VALUES ('kept')");
    await client.query("SAVEPOINT s");
    await assert.rejects(client.query("INSERT INTO node_item (name) VALUES (NULL)"), { code: "23502", column: "name" });
    await client.query("ROLLBACK TO s");
  });
  assert.deepEqual((await pool.query("SELECT name FROM node_item")).rows, [{ name: "kept" }]);
});

test("several statements in one message have their results", async () => {
  const results = await pool.query("INSERT INTO node_item (name) VALUES ('a'), ('b'); SELECT name FROM node_item ORDER BY 1; SELECT 1 AS one");
  assert.deepEqual(results.map(({ command, rowCount }) => [command, rowCount]), [["INSERT", 2], ["SELECT", 2], ["SELECT", 1]]);
});

test("many rows are inserted by unnest", async () => {
  const names = Array.from({ length: 1000 }, (_, n) => `item ${n}`);
  const { rowCount } = await pool.query("INSERT INTO node_item (name) SELECT * FROM unnest($1::text[])", [names]);
  assert.equal(rowCount, 1000);
  const { rows } = await pool.query("SELECT count(*)::int AS count FROM node_item WHERE name = ANY ($1)", [["item 1", "item 2", "none"]]);
  assert.equal(rows[0].count, 2);
});

test("COPY streams in and out", async () => {
  const client = await pool.connect();
  const lines = Array.from({ length: 1000 }, (_, n) => `${n}\titem ${n}\n`);
  await pipeline(Readable.from(lines), client.query(copyFrom("COPY node_item (id, name) FROM STDIN")));
  const out = client.query(copyTo("COPY (SELECT id, name FROM node_item ORDER BY id) TO STDOUT"));
  let text = "";
  for await (const chunk of out) text += chunk;
  assert.equal(text, lines.join(""));
  await assert.rejects(pipeline(Readable.from(["x\ty\n"]), client.query(copyFrom("COPY node_item (id, name) FROM STDIN"))), { code: "22P02" });
  assert.equal((await client.query("SELECT 1 AS one")).rows[0].one, 1);
  client.release();
});

test("a cursor and a query stream bring rows by portions", async () => {
  const client = await pool.connect();
  const cursor = client.query(new Cursor("SELECT * FROM generate_series(1, $1::int) AS n", [10]));
  assert.deepEqual((await cursor.read(3)).map(({ n }) => n), [1, 2, 3]);
  assert.deepEqual((await cursor.read(100)).length, 7);
  await cursor.close();
  let sum = 0;
  for await (const { n } of client.query(new QueryStream("SELECT * FROM generate_series(1, 1000) AS n", [], { batchSize: 50 }))) sum += n;
  assert.equal(sum, 500500);
  client.release();
});

test("a statement is stopped by its own timeout and by a cancel from another session", async () => {
  const client = await pool.connect();
  await client.query("SET statement_timeout = '200ms'");
  await assert.rejects(client.query("SELECT pg_sleep(30)"), { code: "57014", message: "canceling statement due to statement timeout" });
  await client.query("RESET statement_timeout");
  const { rows: [{ pid }] } = await client.query("SELECT pg_backend_pid() AS pid");
  const sleeping = client.query("SELECT pg_sleep(30)");
  setTimeout(() => pool.query("SELECT pg_cancel_backend($1)", [pid]), 200);
  await assert.rejects(sleeping, { code: "57014", message: "canceling statement due to user request" });
  client.release();
});

test("a notification reaches who listens", async () => {
  const client = await pool.connect();
  const heard = new Promise((resolve) => client.once("notification", ({ channel, payload }) => resolve([channel, payload])));
  await client.query("LISTEN orders");
  await pool.query("NOTIFY orders, 'number 7'");
  assert.deepEqual(await heard, ["orders", "number 7"]);
  await client.query("UNLISTEN *");
  client.release();
});

test("a notice is heard", async () => {
  const client = await pool.connect();
  const heard = new Promise((resolve) => client.once("notice", ({ code, message }) => resolve([code, message])));
  await client.query("DROP TABLE IF EXISTS nowhere");
  assert.deepEqual(await heard, ["00000", 'table "nowhere" does not exist, skipping']);
  client.release();
});
