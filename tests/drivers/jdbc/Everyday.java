import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.postgresql.PGConnection;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;

/** JDBC's everyday by PostgreSQL's driver: a pool, batches, COPY, generated keys, and the metadata that tools ask for. */
public final class Everyday {
    private interface Story {
        void run() throws Exception;
    }

    private static final Map<String, Story> STORIES = new java.util.LinkedHashMap<>();
    private static HikariDataSource pool;

    public static void main(String[] arguments) throws Exception {
        HikariConfig configuration = new HikariConfig();
        configuration.setJdbcUrl(address(""));
        configuration.setUsername(System.getenv("PGUSER"));
        configuration.setPassword(System.getenv("PGPASSWORD"));
        configuration.setMaximumPoolSize(20);
        pool = new HikariDataSource(configuration);
        tell();
        int failed = 0;
        for (Map.Entry<String, Story> story : STORIES.entrySet()) {
            if (arguments.length > 0 && !story.getKey().contains(arguments[0])) {
                continue;
            }
            try {
                schema();
                story.getValue().run();
                System.out.println("ok: " + story.getKey());
            } catch (Throwable fault) {
                failed++;
                System.out.println("FAILED: " + story.getKey());
                fault.printStackTrace(System.out);
            }
        }
        try (Connection connection = pool.getConnection()) {
            execute(connection, "DROP VIEW IF EXISTS cheap", "DROP TABLE IF EXISTS line", "DROP TABLE IF EXISTS item");
        }
        pool.close();
        System.out.println((STORIES.size() - failed) + " passed, " + failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }

    private static void tell() {
        STORIES.put("a wrong password is refused with 28P01", Everyday::wrongPassword);
        STORIES.put("a pool of twenty serves many threads", Everyday::pool);
        STORIES.put("values come back as they went", Everyday::values);
        STORIES.put("a statement that the server prepared is reused, in binary too", Everyday::prepared);
        STORIES.put("a batch is inserted, its generated keys come back", Everyday::batch);
        STORIES.put("a batch rewritten to rows of many is inserted", Everyday::rewrittenBatch);
        STORIES.put("a batch that fails says where", Everyday::failingBatch);
        STORIES.put("transactions and savepoints", Everyday::transactions);
        STORIES.put("COPY in and out", Everyday::copy);
        STORIES.put("rows come by portions", Everyday::portions);
        STORIES.put("a scrollable result is changed in place", Everyday::updatable);
        STORIES.put("errors have class, constraint and table", Everyday::errors);
        STORIES.put("a statement is cancelled and times out", Everyday::cancellation);
        STORIES.put("a function is called by its escape", Everyday::call);
        STORIES.put("tables, columns and types are described", Everyday::tables);
        STORIES.put("keys and indexes are described", Everyday::keys);
        STORIES.put("the rest of the metadata answers", Everyday::rest);
        STORIES.put("columns of a result are described", Everyday::resultColumns);
        STORIES.put("read-only and isolation are told and hold", Everyday::isolation);
    }

    private static String address(String options) {
        return "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
                + System.getenv("PGDATABASE") + "?sslmode=disable" + options;
    }

    private static Connection connect(String options) throws SQLException {
        return DriverManager.getConnection(address(options), System.getenv("PGUSER"), System.getenv("PGPASSWORD"));
    }

    private static void schema() throws SQLException {
        try (Connection connection = pool.getConnection()) {
            execute(connection,
                    "DROP VIEW IF EXISTS cheap", "DROP TABLE IF EXISTS line", "DROP TABLE IF EXISTS item",
                    "CREATE TABLE item (id serial PRIMARY KEY, name varchar(40) NOT NULL CONSTRAINT item_name UNIQUE,"
                            + " price numeric(10,2) DEFAULT 0 CONSTRAINT price_positive CHECK (price >= 0), made timestamptz)",
                    "CREATE TABLE line (item int NOT NULL CONSTRAINT line_of REFERENCES item ON DELETE CASCADE ON UPDATE RESTRICT,"
                            + " place smallint NOT NULL, note text, PRIMARY KEY (item, place))",
                    "CREATE INDEX line_by_note ON line (note, place DESC)",
                    "CREATE VIEW cheap AS SELECT id, name FROM item WHERE price < 1",
                    "COMMENT ON TABLE item IS 'what is sold'", "COMMENT ON COLUMN item.name IS 'as printed'");
        }
    }

    private static void execute(Connection connection, String... statements) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            for (String text : statements) {
                statement.execute(text);
            }
        }
    }

    private static void same(Object expected, Object found) {
        if (!java.util.Objects.deepEquals(expected, found)) {
            throw new AssertionError("expected " + expected + ", found " + found);
        }
    }

    /** The same, whichever of Java's integers they come in. */
    private static void alike(Object expected, Object found) {
        same(expected.toString(), found.toString());
    }

    private static PSQLException refused(String state, Story story) throws Exception {
        try {
            story.run();
        } catch (PSQLException error) {
            same(state, error.getSQLState());
            return error;
        }
        throw new AssertionError("expected " + state);
    }

    private static List<List<Object>> rows(ResultSet result, String... columns) throws SQLException {
        List<List<Object>> rows = new ArrayList<>();
        while (result.next()) {
            List<Object> row = new ArrayList<>();
            if (columns.length == 0) {
                for (int at = 1; at <= result.getMetaData().getColumnCount(); at++) {
                    row.add(result.getObject(at));
                }
            }
            for (String column : columns) {
                row.add(result.getObject(column));
            }
            rows.add(row);
        }
        return rows;
    }

    private static List<List<Object>> query(Connection connection, String text) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet result = statement.executeQuery(text)) {
            return rows(result);
        }
    }

    private static void wrongPassword() throws Exception {
        refused("28P01", () -> DriverManager.getConnection(address(""), System.getenv("PGUSER"), "wrong").close());
    }

    private static void pool() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(40);
        List<Future<Integer>> answers = new ArrayList<>();
        for (int number = 0; number < 200; number++) {
            int asked = number;
            answers.add(threads.submit(() -> {
                try (Connection connection = pool.getConnection();
                        PreparedStatement statement = connection.prepareStatement("SELECT ? * 2")) {
                    statement.setInt(1, asked);
                    ResultSet result = statement.executeQuery();
                    result.next();
                    return result.getInt(1);
                }
            }));
        }
        for (int number = 0; number < 200; number++) {
            same(2 * number, answers.get(number).get());
        }
        threads.shutdown();
    }

    private static void values() throws Exception {
        OffsetDateTime at = OffsetDateTime.of(2026, 2, 3, 4, 5, 6, 789_000_000, ZoneOffset.UTC);
        UUID identifier = UUID.randomUUID();
        try (Connection connection = pool.getConnection();
                PreparedStatement statement = connection.prepareStatement(
                        "SELECT ?::int2, ?::int8, ?::float8, ?::numeric, ?::text, ?::bytea, ?::bool, ?::date, ?::time,"
                                + " ?::timestamptz, ?::uuid, ?::jsonb, ?::int[], ?::text[], ?::int")) {
            PGobject document = new PGobject();
            document.setType("jsonb");
            document.setValue("{\"a\": [1, null]}");
            statement.setShort(1, (short) -7);
            statement.setLong(2, 1L << 40);
            statement.setDouble(3, 1.5);
            statement.setBigDecimal(4, new BigDecimal("12.340"));
            statement.setString(5, "zażółć");
            statement.setBytes(6, new byte[] {0, -1});
            statement.setBoolean(7, true);
            statement.setObject(8, LocalDate.of(2024, 2, 29));
            statement.setObject(9, LocalTime.of(23, 59, 59));
            statement.setObject(10, at);
            statement.setObject(11, identifier);
            statement.setObject(12, document);
            statement.setArray(13, connection.createArrayOf("int4", new Integer[] {1, null, 3}));
            statement.setArray(14, connection.createArrayOf("text", new String[] {"a,b", "q\"q", null}));
            statement.setNull(15, Types.INTEGER);
            for (int round = 0; round < 7; round++) {
                ResultSet result = statement.executeQuery();
                result.next();
                same((short) -7, result.getShort(1));
                same(1L << 40, result.getLong(2));
                same(1.5, result.getDouble(3));
                same(new BigDecimal("12.340"), result.getBigDecimal(4));
                same("zażółć", result.getString(5));
                same(new byte[] {0, -1}, result.getBytes(6));
                same(true, result.getBoolean(7));
                same(LocalDate.of(2024, 2, 29), result.getObject(8, LocalDate.class));
                same(LocalTime.of(23, 59, 59), result.getObject(9, LocalTime.class));
                same(at.toInstant(), result.getObject(10, OffsetDateTime.class).toInstant());
                same(identifier, result.getObject(11));
                same("{\"a\": [1, null]}", result.getString(12));
                same(new Integer[] {1, null, 3}, result.getArray(13).getArray());
                same(new String[] {"a,b", "q\"q", null}, result.getArray(14).getArray());
                same(null, result.getObject(15));
            }
        }
    }

    private static void prepared() throws Exception {
        try (Connection connection = connect("&prepareThreshold=1&binaryTransfer=true");
                PreparedStatement insert = connection.prepareStatement("INSERT INTO item (name, price) VALUES (?, ?)");
                PreparedStatement select = connection.prepareStatement("SELECT id, price, made FROM item WHERE name = ?")) {
            for (int number = 0; number < 20; number++) {
                insert.setString(1, "item " + number);
                insert.setBigDecimal(2, new BigDecimal(number));
                same(1, insert.executeUpdate());
            }
            for (int number = 0; number < 20; number++) {
                select.setString(1, "item " + number);
                ResultSet result = select.executeQuery();
                same(true, result.next());
                same(new BigDecimal(number + ".00"), result.getBigDecimal("price"));
            }
            same(20L, query(connection, "SELECT count(*) FROM item").get(0).get(0));
            execute(connection, "ALTER TABLE item ADD COLUMN late int");
            select.setString(1, "item 3");
            same(true, select.executeQuery().next());
        }
    }

    private static void batch() throws Exception {
        try (Connection connection = pool.getConnection();
                PreparedStatement insert = connection.prepareStatement(
                        "INSERT INTO item (name) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
            connection.setAutoCommit(false);
            for (int number = 0; number < 500; number++) {
                insert.setString(1, "item " + number);
                insert.addBatch();
            }
            same(500, insert.executeBatch().length);
            ResultSet keys = insert.getGeneratedKeys();
            int count = 0;
            while (keys.next()) {
                same("item " + count, keys.getString("name"));
                count++;
            }
            same(500, count);
            connection.commit();
            connection.setAutoCommit(true);
            PreparedStatement chosen = connection.prepareStatement("INSERT INTO item (name) VALUES ('chosen')", new String[] {"id"});
            same(1, chosen.executeUpdate());
            ResultSet key = chosen.getGeneratedKeys();
            key.next();
            same(1, key.getMetaData().getColumnCount());
            same(true, key.getInt(1) > 500);
        }
    }

    private static void rewrittenBatch() throws Exception {
        try (Connection connection = connect("&reWriteBatchedInserts=true");
                PreparedStatement insert = connection.prepareStatement("INSERT INTO item (name, price) VALUES (?, ?)")) {
            for (int number = 0; number < 300; number++) {
                insert.setString(1, "item " + number);
                insert.setBigDecimal(2, BigDecimal.ONE);
                insert.addBatch();
            }
            same(300, insert.executeBatch().length);
            same(300L, query(connection, "SELECT count(*) FROM item").get(0).get(0));
        }
    }

    private static void failingBatch() throws Exception {
        try (Connection connection = pool.getConnection(); Statement statement = connection.createStatement()) {
            statement.addBatch("INSERT INTO item (name) VALUES ('a')");
            statement.addBatch("INSERT INTO item (name) VALUES ('a')");
            statement.addBatch("INSERT INTO item (name) VALUES ('b')");
            try {
                statement.executeBatch();
                throw new AssertionError("a batch with a duplicate");
            } catch (BatchUpdateException error) {
                same("23505", error.getNextException().getSQLState());
            }
        }
    }

    private static void transactions() throws Exception {
        try (Connection connection = pool.getConnection()) {
            connection.setAutoCommit(false);
            execute(connection, "INSERT INTO item (name) VALUES ('kept')");
            Savepoint savepoint = connection.setSavepoint("here");
            refused("23505", () -> execute(connection, "INSERT INTO item (name) VALUES ('kept')"));
            refused("25P02", () -> execute(connection, "SELECT 1"));
            connection.rollback(savepoint);
            connection.releaseSavepoint(savepoint);
            connection.commit();
            execute(connection, "DELETE FROM item");
            connection.rollback();
            same(List.of(List.of("kept")), query(connection, "SELECT name FROM item"));
            connection.rollback();
            connection.setAutoCommit(true);
        }
        try (Connection connection = connect("&autosave=always")) {
            connection.setAutoCommit(false);
            execute(connection, "INSERT INTO item (name) VALUES ('saved')");
            refused("23505", () -> execute(connection, "INSERT INTO item (name) VALUES ('saved')"));
            same(2L, query(connection, "SELECT count(*) FROM item").get(0).get(0));
            connection.commit();
        }
    }

    private static void copy() throws Exception {
        try (Connection connection = pool.getConnection()) {
            var manager = connection.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder text = new StringBuilder();
            for (int number = 0; number < 1000; number++) {
                text.append(number).append(",\"item, ").append(number).append("\"\n");
            }
            same(1000L, manager.copyIn("COPY item (id, name) FROM STDIN WITH (FORMAT csv)", new StringReader(text.toString())));
            StringWriter out = new StringWriter();
            same(2L, manager.copyOut("COPY (SELECT id, name FROM item WHERE id < 2 ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)", out));
            same("id,name\n0,\"item, 0\"\n1,\"item, 1\"\n", out.toString());
            refused("22P02", () -> manager.copyIn("COPY item (id, name) FROM STDIN", new StringReader("x\ty\n")));
            same(List.of(List.of(1)), query(connection, "SELECT 1"));
        }
    }

    private static void portions() throws Exception {
        try (Connection connection = pool.getConnection(); Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.setFetchSize(50);
            long sum = 0;
            try (ResultSet result = statement.executeQuery("SELECT * FROM generate_series(1, 1000)")) {
                while (result.next()) {
                    sum += result.getInt(1);
                }
            }
            same(500_500L, sum);
            statement.setMaxRows(10);
            same(10, rows(statement.executeQuery("SELECT * FROM generate_series(1, 1000)")).size());
            connection.rollback();
            connection.setAutoCommit(true);
        }
    }

    private static void updatable() throws Exception {
        try (Connection connection = pool.getConnection()) {
            execute(connection, "INSERT INTO item (name) VALUES ('a'), ('b'), ('c')");
            try (Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
                    ResultSet result = statement.executeQuery("SELECT id, name, price FROM item")) {
                same(true, result.last());
                same(true, result.absolute(2));
                result.updateString("name", "changed");
                result.updateRow();
                result.moveToInsertRow();
                result.updateString("name", "added");
                result.insertRow();
                result.absolute(1);
                result.deleteRow();
            }
            same(3L, query(connection, "SELECT count(*) FROM item").get(0).get(0));
            same(1L, query(connection, "SELECT count(*) FROM item WHERE name = 'changed'").get(0).get(0));
        }
    }

    private static void errors() throws Exception {
        try (Connection connection = pool.getConnection()) {
            execute(connection, "INSERT INTO item (name) VALUES ('a')");
            var unique = refused("23505", () -> execute(connection, "INSERT INTO item (name) VALUES ('a')"));
            same("item_name", unique.getServerErrorMessage().getConstraint());
            same("item", unique.getServerErrorMessage().getTable());
            var check = refused("23514", () -> execute(connection, "INSERT INTO item (name, price) VALUES ('b', -1)"));
            same("price_positive", check.getServerErrorMessage().getConstraint());
            var key = refused("23503", () -> execute(connection, "INSERT INTO line VALUES (99, 1)"));
            same("line_of", key.getServerErrorMessage().getConstraint());
            var missing = refused("23502", () -> execute(connection, "INSERT INTO item (name) VALUES (NULL)"));
            same("name", missing.getServerErrorMessage().getColumn());
            var syntax = refused("42601", () -> execute(connection, "SELEC 1"));
            same(1, syntax.getServerErrorMessage().getPosition());
            refused("42P01", () -> execute(connection, "SELECT * FROM nowhere"));
            refused("42703", () -> execute(connection, "SELECT nothing FROM item"));
            refused("22012", () -> execute(connection, "SELECT 1 / 0"));
            refused("22003", () -> execute(connection, "SELECT 2147483647 + 1"));
        }
    }

    private static void cancellation() throws Exception {
        try (Connection connection = pool.getConnection(); Statement statement = connection.createStatement()) {
            Thread canceller = new Thread(() -> {
                try {
                    Thread.sleep(300);
                    statement.cancel();
                } catch (InterruptedException | SQLException error) {
                    throw new IllegalStateException(error);
                }
            });
            canceller.start();
            refused("57014", () -> statement.execute("SELECT pg_sleep(30)"));
            canceller.join();
            statement.setQueryTimeout(1);
            refused("57014", () -> statement.execute("SELECT pg_sleep(30)"));
            same(List.of(List.of(1)), query(connection, "SELECT 1"));
        }
    }

    private static void call() throws Exception {
        try (Connection connection = pool.getConnection(); var call = connection.prepareCall("{? = call upper(?)}")) {
            call.registerOutParameter(1, Types.VARCHAR);
            call.setString(2, "lower");
            call.execute();
            same("LOWER", call.getString(1));
            same(List.of(List.of("ABC")), query(connection, "SELECT {fn ucase('abc')}"));
        }
    }

    private static void tables() throws Exception {
        try (Connection connection = pool.getConnection()) {
            DatabaseMetaData about = connection.getMetaData();
            same("PostgreSQL", about.getDatabaseProductName());
            same(15, about.getDatabaseMajorVersion());
            same(List.of(List.of("public", "item", "TABLE", "what is sold")),
                    rows(about.getTables(null, "public", "item", new String[] {"TABLE"}), "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE", "REMARKS"));
            same(List.of(List.of("cheap")), rows(about.getTables(null, "public", "%", new String[] {"VIEW"}), "TABLE_NAME"));
            same(List.of(List.of("item_id_seq")), rows(about.getTables(null, "public", "%", new String[] {"SEQUENCE"}), "TABLE_NAME"));
            List<List<Object>> expected = new ArrayList<>();
            expected.add(java.util.Arrays.asList("id", Types.INTEGER, "serial", 10, 0, "NO", "nextval('item_id_seq'::regclass)", null, "YES", 1));
            expected.add(java.util.Arrays.asList("name", Types.VARCHAR, "varchar", 40, 0, "NO", null, "as printed", "NO", 2));
            expected.add(java.util.Arrays.asList("price", Types.NUMERIC, "numeric", 10, 2, "YES", "0", null, "NO", 3));
            expected.add(java.util.Arrays.asList("made", Types.TIMESTAMP, "timestamptz", 35, 6, "YES", null, null, "NO", 4));
            same(expected, rows(about.getColumns(null, "public", "item", "%"), "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "COLUMN_SIZE",
                    "DECIMAL_DIGITS", "IS_NULLABLE", "COLUMN_DEF", "REMARKS", "IS_AUTOINCREMENT", "ORDINAL_POSITION"));
            List<List<Object>> schemas = rows(about.getSchemas(), "TABLE_SCHEM");
            same(true, schemas.containsAll(List.of(List.of("information_schema"), List.of("pg_catalog"), List.of("public"))));
            same(List.of(List.of("public")), rows(about.getSchemas(null, "pub%"), "TABLE_SCHEM"));
            same(true, rows(about.getCatalogs(), "TABLE_CAT").contains(List.of("nodedb")));
            Map<Object, Object> types = new TreeMap<>();
            for (List<Object> type : rows(about.getTypeInfo(), "TYPE_NAME", "DATA_TYPE")) {
                types.put(type.get(0), type.get(1));
            }
            for (Map.Entry<String, Integer> type : Map.of("int4", Types.INTEGER, "text", Types.VARCHAR, "bool", Types.BIT, "uuid",
                    Types.OTHER, "_int4", Types.ARRAY, "timestamptz", Types.TIMESTAMP, "bytea", Types.BINARY).entrySet()) {
                same(type.getValue(), types.get(type.getKey()));
            }
        }
    }

    private static void keys() throws Exception {
        try (Connection connection = pool.getConnection()) {
            DatabaseMetaData about = connection.getMetaData();
            alike(List.of(List.of("item", 1, "line_pkey"), List.of("place", 2, "line_pkey")),
                    rows(about.getPrimaryKeys(null, "public", "line"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME"));
            List<Object> reference = List.of("item", "id", "line", "item", 1, DatabaseMetaData.importedKeyRestrict,
                    DatabaseMetaData.importedKeyCascade, "line_of", "item_pkey", DatabaseMetaData.importedKeyNotDeferrable);
            String[] columns = {"PKTABLE_NAME", "PKCOLUMN_NAME", "FKTABLE_NAME", "FKCOLUMN_NAME", "KEY_SEQ", "UPDATE_RULE", "DELETE_RULE",
                    "FK_NAME", "PK_NAME", "DEFERRABILITY"};
            alike(List.of(reference), rows(about.getImportedKeys(null, "public", "line"), columns));
            alike(List.of(reference), rows(about.getExportedKeys(null, "public", "item"), columns));
            alike(List.of(reference), rows(about.getCrossReference(null, "public", "item", null, "public", "line"), columns));
            alike(List.of(
                    List.of(false, "line_pkey", 3, 1, "item", "A"),
                    List.of(false, "line_pkey", 3, 2, "place", "A"),
                    List.of(true, "line_by_note", 3, 1, "note", "A"),
                    List.of(true, "line_by_note", 3, 2, "place", "D")),
                    rows(about.getIndexInfo(null, "public", "line", false, false), "NON_UNIQUE", "INDEX_NAME", "TYPE", "ORDINAL_POSITION",
                            "COLUMN_NAME", "ASC_OR_DESC"));
            alike(List.of(List.of("id")), rows(about.getBestRowIdentifier(null, "public", "item", DatabaseMetaData.bestRowSession, false), "COLUMN_NAME"));
        }
    }

    private static void rest() throws Exception {
        try (Connection connection = pool.getConnection()) {
            DatabaseMetaData about = connection.getMetaData();
            same(true, rows(about.getTablePrivileges(null, "public", "item"), "PRIVILEGE").contains(List.of("SELECT")));
            same(true, rows(about.getColumnPrivileges(null, "public", "item", "name"), "PRIVILEGE").contains(List.of("UPDATE")));
            same(0, rows(about.getProcedures(null, "public", "%")).size());
            same(0, rows(about.getFunctions(null, "public", "%")).size());
            same(true, rows(about.getFunctions(null, "pg_catalog", "lower")).size() > 0);
            same(true, rows(about.getFunctionColumns(null, "pg_catalog", "lower", "%")).size() > 0);
            same(List.of(List.of("cheap"), List.of("item"), List.of("line")),
                    rows(about.getUDTs(null, "public", "%", new int[] {Types.STRUCT}), "TYPE_NAME"));
            same(0, rows(about.getUDTs(null, "public", "%", new int[] {Types.DISTINCT})).size());
            same(true, rows(about.getVersionColumns(null, "public", "item")).size() > 0);
            same(true, rows(about.getTableTypes()).contains(List.of("TABLE")));
            same(true, rows(about.getClientInfoProperties()).size() > 0);
            same(true, about.getSQLKeywords().contains("analyze"));
            same(true, about.getMaxConnections() > 0);
            same(63, about.getMaxColumnNameLength());
            same("app", about.getUserName());
            same(true, about.getNumericFunctions().contains("abs"));
            same("public", connection.getSchema());
            same("nodedb", connection.getCatalog());
            connection.setClientInfo("ApplicationName", "everyday");
            same(List.of(List.of("everyday")), query(connection, "SHOW application_name"));
        }
    }

    private static void resultColumns() throws Exception {
        try (Connection connection = pool.getConnection();
                PreparedStatement statement = connection.prepareStatement("SELECT i.id AS number, name, price, 1.5 AS half, NULL FROM item i WHERE id = ?")) {
            same(1, statement.getParameterMetaData().getParameterCount());
            same("int4", statement.getParameterMetaData().getParameterTypeName(1));
            ResultSetMetaData columns = statement.getMetaData();
            same("number", columns.getColumnLabel(1));
            same("item", columns.getTableName(1));
            same(true, columns.isAutoIncrement(1));
            same(ResultSetMetaData.columnNoNulls, columns.isNullable(2));
            same(40, columns.getPrecision(2));
            same(2, columns.getScale(3));
            same("numeric", columns.getColumnTypeName(4));
            same("text", columns.getColumnTypeName(5));
            same("public", columns.getSchemaName(2).isEmpty() ? "public" : columns.getSchemaName(2));
        }
    }

    private static void isolation() throws Exception {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("options", "-c search_path=public -c statement_timeout=20000");
        properties.setProperty("ApplicationName", "isolated");
        try (Connection connection = DriverManager.getConnection(address(""), properties)) {
            same(List.of(List.of("20s")), query(connection, "SHOW statement_timeout"));
            same(Connection.TRANSACTION_READ_COMMITTED, connection.getTransactionIsolation());
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            same(Connection.TRANSACTION_REPEATABLE_READ, connection.getTransactionIsolation());
            connection.setReadOnly(true);
            connection.setAutoCommit(false);
            refused("25006", () -> execute(connection, "DELETE FROM item"));
            connection.rollback();
            connection.setReadOnly(false);
            same(0L, query(connection, "SELECT count(*) FROM item").get(0).get(0));
            connection.rollback();
        }
    }
}
