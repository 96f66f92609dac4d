// The everyday of `postgres`: pipelined queries, transactions by function, fragments, its fetch of array types.
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import postgres from "postgres";

const sql = postgres({
  host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER, pass: process.env.PGPASSWORD,
  database: process.env.PGDATABASE, max: 20, onnotice: () => {},
});

after(() => sql.end());

beforeEach(async () => {
  await sql`DROP TABLE IF EXISTS tagged`;
  await sql`CREATE TABLE tagged (id int PRIMARY KEY, name varchar(40) NOT NULL, tags text[], extra jsonb, at timestamptz)`;
});

test("a pool of twenty serves many", async () => {
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => sql`SELECT ${n}::int * 2 AS twice`));
  assert.deepEqual(answers.map(([{ twice }]) => twice), Array.from({ length: 200 }, (_, n) => 2 * n));
});

test("rows go in by objects and come back as they went", async () => {
  const rows = [
    { id: 1, name: "zażółć", tags: ["a", "b,c"], extra: { deep: [1, null] }, at: new Date("2026-02-03T04:05:06.789Z") },
    { id: 2, name: "none", tags: null, extra: null, at: null }];
  assert.deepEqual([...await sql`INSERT INTO tagged ${sql(rows)} RETURNING *`], rows);
  assert.deepEqual([...await sql`SELECT * FROM tagged WHERE id IN ${sql([1, 2, 3])} ORDER BY id`], rows);
  const [changed] = await sql`UPDATE tagged SET ${sql({ name: "new", tags: [] })} WHERE id = ${2} RETURNING name, tags`;
  assert.deepEqual({ ...changed }, { name: "new", tags: [] });
  assert.equal((await sql`SELECT extra -> 'deep' ->> 0 AS first FROM tagged WHERE tags @> ${["a"]}`)[0].first, "1");
});

test("a function is a transaction, one in it a savepoint", async () => {
  await sql.begin("isolation level repeatable read", async (transaction) => {
    await transaction`INSERT INTO tagged (id, name) VALUES (1, 'kept')`;
    await assert.rejects(transaction.savepoint((inner) => inner`INSERT INTO tagged (id, name) VALUES (1, 'lost')`),
      { code: "23505", constraint_name: "tagged_pkey", table_name: "tagged" });
  });
  await assert.rejects(sql.begin(async (transaction) => {
    await transaction`INSERT INTO tagged (id, name) VALUES (2, 'lost')`;
    throw new Error("changed my mind");
  }), /changed my mind/);
  assert.deepEqual((await sql`SELECT id FROM tagged`).map(({ id }) => id), [1]);
});

test("a cursor brings rows by portions", async () => {
  const sizes = [];
  await sql`SELECT * FROM generate_series(1, 25) AS n`.cursor(10, (rows) => { sizes.push(rows.length); });
  assert.deepEqual(sizes, [10, 10, 5]);
});

test("COPY streams in", async () => {
  const stream = await sql`COPY tagged (id, name) FROM STDIN`.writable();
  await new Promise((resolve, reject) => stream.on("error", reject).on("finish", resolve).end("1\tone\n2\ttwo\n"));
  assert.equal((await sql`SELECT count(*)::int AS count FROM tagged`)[0].count, 2);
});

test("a query is cancelled", async () => {
  const sleeping = sql`SELECT pg_sleep(30)`;
  setTimeout(() => sleeping.cancel(), 300);
  await assert.rejects(sleeping, { code: "57014" });
});

test("a statement is described before it runs", async () => {
  const { types, columns } = await sql`INSERT INTO tagged (id, name) VALUES (${1}, ${"x"}) RETURNING id, name`.describe();
  assert.deepEqual(types, [23, 1043]);
  assert.deepEqual(columns.map(({ name, type }) => [name, type]), [["id", 23], ["name", 1043]]);
});

test("several statements go by the simple protocol", async () => {
  const [, rows] = await sql`INSERT INTO tagged (id, name) VALUES (1, 'one'); SELECT name FROM tagged`.simple();
  assert.deepEqual(rows.map(({ name }) => name), ["one"]);
});

test("a listener hears", async () => {
  const heard = new Promise((resolve) => { sql.listen("news", resolve).then(() => sql.notify("news", "first")); });
  assert.equal(await heard, "first");
});
