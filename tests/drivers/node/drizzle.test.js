// Drizzle: its kit pushes the schema, its ORM asks.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { and, arrayContains, asc, count, desc, eq, ilike, inArray, sql, sum } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { relations } from "drizzle-orm";
import pg from "pg";
import { author, book, dear } from "./schema.js";

const run = promisify(execFile);
const authorRelations = relations(author, ({ many }) => ({ books: many(book) }));
const bookRelations = relations(book, ({ one }) => ({ author: one(author, { fields: [book.authorId], references: [author.id] }) }));

let pool, db, out;

function kit(...words) {
  return run("node_modules/.bin/drizzle-kit", words, { cwd: import.meta.dirname, env: { ...process.env, DRIZZLE_OUT: out } });
}

before(async () => {
  out = await mkdtemp(join(tmpdir(), "nodedb-drizzle-"));
  pool = new pg.Pool();
  db = drizzle(pool, { schema: { author, book, dear, authorRelations, bookRelations } });
  await kit("push", "--force");
});

after(async () => {
  await pool.query("DROP VIEW IF EXISTS dear");
  await pool.query("DROP TABLE IF EXISTS book, author");
  await pool.end();
  await rm(out, { recursive: true });
});

test("objects go in, are joined, counted and deleted", async () => {
  const [ada, grace] = await db.insert(author).values([{ name: "Ada", born: new Date("1815-12-10T00:00:00Z") }, { name: "Grace" }]).returning();
  await db.insert(book).values([
    { authorId: ada.id, title: "Notes", price: "12.50", tags: ["math", "engine"], extra: { pages: 66 } },
    { authorId: grace.id, title: "Compilers", price: "30" }, { authorId: grace.id, title: "A nanosecond" }]);
  const notes = await db.query.book.findFirst({ where: eq(book.title, "Notes"), with: { author: true } });
  assert.deepEqual([notes.price, notes.tags, notes.extra, notes.author.name], ["12.50", ["math", "engine"], { pages: 66 }, "Ada"]);
  const authors = await db.query.author.findMany({ orderBy: asc(author.name), with: { books: { columns: { title: true }, orderBy: desc(book.title) } } });
  assert.deepEqual(authors.map(({ books }) => books.map(({ title }) => title)), [["Notes"], ["Compilers", "A nanosecond"]]);
  const counted = await db.select({ name: author.name, books: count(book.id), worth: sum(book.price) }).from(author)
    .leftJoin(book, eq(book.authorId, author.id)).groupBy(author.name).orderBy(author.name);
  assert.deepEqual(counted, [{ name: "Ada", books: 1, worth: "12.50" }, { name: "Grace", books: 2, worth: "30.00" }]);
  assert.deepEqual(await db.select().from(dear), [{ title: "Compilers" }]);
  assert.equal(await db.$count(book, and(ilike(book.title, "%NANO%"), inArray(book.authorId, [grace.id]))), 1);
  const [paged] = await db.select({ title: book.title }).from(book).orderBy(book.title).limit(1).offset(1);
  assert.equal(paged.title, "Compilers");
  const found = await db.select({ pages: sql`${book.extra} ->> 'pages'` }).from(book).where(arrayContains(book.tags, ["math"]));
  assert.deepEqual(found, [{ pages: "66" }]);
  await db.insert(author).values({ id: ada.id, name: "Ada L." }).onConflictDoUpdate({ target: author.id, set: { name: sql`excluded.name` } });
  await db.update(book).set({ sold: true }).where(eq(book.authorId, grace.id));
  assert.equal((await db.delete(author).where(eq(author.id, grace.id))).rowCount, 1);
  assert.equal(await db.$count(book), 1);
});

test("a transaction rolls back, one in it a savepoint", async () => {
  await db.transaction(async (transaction) => {
    await transaction.insert(author).values({ name: "kept" });
    await assert.rejects(transaction.transaction(async (inner) => {
      await inner.insert(author).values({ name: "lost" });
      await inner.insert(author).values({ name: "kept" });
    }), ({ cause }) => cause.code === "23505" && cause.constraint === "author_name_unique");
  }, { isolationLevel: "repeatable read" });
  assert.deepEqual(await db.select({ name: author.name }).from(author).where(inArray(author.name, ["kept", "lost"])), [{ name: "kept" }]);
});

test("a prepared statement is reused", async () => {
  const named = db.select({ id: author.id }).from(author).where(eq(author.name, sql.placeholder("name"))).prepare("by_name");
  assert.equal((await named.execute({ name: "kept" })).length, 1);
  assert.equal((await named.execute({ name: "nobody" })).length, 0);
});
