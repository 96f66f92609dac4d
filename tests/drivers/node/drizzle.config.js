export default {
  dialect: "postgresql",
  schema: "./schema.js",
  out: process.env.DRIZZLE_OUT,
  dbCredentials: {
    host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER, password: process.env.PGPASSWORD,
    database: process.env.PGDATABASE, ssl: false,
  },
  tablesFilter: ["author", "book", "dear"],
};
