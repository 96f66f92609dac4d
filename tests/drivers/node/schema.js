// What drizzle makes and asks.
import { sql } from "drizzle-orm";
import { bigint, boolean, check, index, integer, jsonb, numeric, pgTable, pgView, serial, text, timestamp, unique, uniqueIndex, uuid, varchar }
  from "drizzle-orm/pg-core";

export const author = pgTable("author", {
  id: serial("id").primaryKey(),
  name: varchar("name", { length: 80 }).notNull().unique(),
  born: timestamp("born", { withTimezone: true }),
});

export const book = pgTable("book", {
  id: uuid("id").primaryKey().defaultRandom(),
  authorId: integer("author_id").notNull().references(() => author.id, { onDelete: "cascade" }),
  title: text("title").notNull(),
  price: numeric("price", { precision: 8, scale: 2 }).notNull().default("0"),
  sold: boolean("sold").notNull().default(false),
  copies: bigint("copies", { mode: "number" }).generatedAlwaysAsIdentity(),
  tags: text("tags").array(),
  extra: jsonb("extra"),
  made: timestamp("made", { withTimezone: true }).notNull().defaultNow(),
}, (table) => [
  unique("one_title_an_author").on(table.authorId, table.title),
  uniqueIndex("book_by_copies").on(table.copies),
  index("book_by_price").on(table.price.desc(), table.title),
  check("price_not_negative", sql`${table.price} >= 0`),
]);

export const dear = pgView("dear").as((query) => query.select({ title: book.title }).from(book).where(sql`${book.price} > 20`));
