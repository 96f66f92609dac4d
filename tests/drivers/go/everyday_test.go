// pgx's everyday, as Debian carries it: binary formats throughout, a pool, batches, COPY by the binary protocol.
package everyday

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// connect logs in by PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE, and makes an empty table.
func connect(t *testing.T) (context.Context, *pgx.Conn) {
	ctx := within(t)
	connection, err := pgx.Connect(ctx, "sslmode=disable")
	must(t, err)
	t.Cleanup(func() { connection.Close(context.Background()) })
	for _, statement := range []string{
		"DROP TABLE IF EXISTS go_item",
		"CREATE TABLE go_item (id int PRIMARY KEY, name text NOT NULL CONSTRAINT go_item_name UNIQUE, made timestamptz)",
	} {
		_, err := connection.Exec(ctx, statement)
		must(t, err)
	}
	return ctx, connection
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same[T comparable](t *testing.T, expected, found T) {
	t.Helper()
	if expected != found {
		t.Fatalf("expected %v, found %v", expected, found)
	}
}

func refused(t *testing.T, code string, err error) *pgconn.PgError {
	t.Helper()
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		t.Fatalf("expected %s, found %v", code, err)
	}
	same(t, code, refusal.Code)
	return refusal
}

func TestAWrongPasswordIsRefused(t *testing.T) {
	_, err := pgx.Connect(within(t), "sslmode=disable password=wrong")
	refused(t, "28P01", err)
}

func TestAPoolOfTwentyServesMany(t *testing.T) {
	ctx := within(t)
	pool, err := pgxpool.Connect(ctx, "sslmode=disable pool_max_conns=20")
	must(t, err)
	defer pool.Close()
	var done sync.WaitGroup
	for number := 0; number < 200; number++ {
		done.Add(1)
		go func(number int) {
			defer done.Done()
			var twice int
			if err := pool.QueryRow(ctx, "SELECT $1::int * 2", number).Scan(&twice); err != nil || twice != 2*number {
				t.Errorf("%d: %d, %v", number, twice, err)
			}
		}(number)
	}
	done.Wait()
}

func TestValuesComeBackAsTheyWent(t *testing.T) {
	ctx, connection := connect(t)
	at := time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC)
	var (
		small   int16
		large   int64
		text    string
		bytes   []byte
		moment  time.Time
		numbers []int32
		texts   []string
		missing *int32
		exact   string
	)
	err := connection.QueryRow(ctx,
		"SELECT $1::int2, $2::int8, $3::text, $4::bytea, $5::timestamptz, $6::int4[], $7::text[], $8::int4, $9::numeric::text",
		int16(-7), int64(1)<<40, "zażółć", []byte{0, 255}, at, []int32{1, 2}, []string{"a,b", `q"q`}, nil, "12.340",
	).Scan(&small, &large, &text, &bytes, &moment, &numbers, &texts, &missing, &exact)
	must(t, err)
	same(t, "zażółć", text)
	same(t, int64(1)<<40, large)
	same(t, 255, int(bytes[1]))
	same(t, true, at.Equal(moment))
	same(t, int32(2), numbers[1])
	same(t, `q"q`, texts[1])
	same(t, true, missing == nil)
	same(t, "12.340", exact)
}

func TestArraysJsonAndZonesComeBackAsTheyWent(t *testing.T) {
	ctx, connection := connect(t)
	_, err := connection.Exec(ctx, "SET timezone = 'America/New_York'")
	must(t, err)
	moments := []time.Time{
		time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC),
		time.Date(2026, 7, 15, 12, 0, 0, 123_456_000, time.FixedZone("", -4*3600)),
	}
	document := map[string]interface{}{"a": []interface{}{1.0, nil, true}, "b": "zażółć"}
	var (
		found    []time.Time
		winter   string
		summer   string
		plain    time.Time
		json     map[string]interface{}
		jsonb    map[string]interface{}
		floats   []float64
		flags    []bool
		optional []*string
	)
	err = connection.QueryRow(ctx,
		"SELECT $1::timestamptz[], ($1::timestamptz[])[1]::text, ($1::timestamptz[])[2]::text, $2::timestamp, $3::json, $4::jsonb,"+
			" $5::float8[], $6::bool[], ARRAY['a', NULL, '{}']",
		moments, time.Date(2026, 7, 15, 8, 0, 0, 5_000, time.UTC), document, document, []float64{0.5, -1e300}, []bool{true, false},
	).Scan(&found, &winter, &summer, &plain, &json, &jsonb, &floats, &flags, &optional)
	must(t, err)
	for place, moment := range moments {
		same(t, true, moment.Equal(found[place]))
	}
	same(t, "2026-01-15 07:00:00-05", winter)
	same(t, "2026-07-15 12:00:00.123456-04", summer)
	same(t, true, plain.Equal(time.Date(2026, 7, 15, 8, 0, 0, 5_000, time.UTC)))
	same(t, "zażółć", json["b"].(string))
	same(t, 3, len(jsonb["a"].([]interface{})))
	same(t, -1e300, floats[1])
	same(t, false, flags[1])
	same(t, true, optional[1] == nil)
	same(t, "{}", *optional[2])
}

func TestATransactionAndASavepoint(t *testing.T) {
	ctx, connection := connect(t)
	must(t, connection.BeginTxFunc(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(outer pgx.Tx) error {
		_, err := outer.Exec(ctx, "INSERT INTO go_item VALUES (1, 'kept')")
		must(t, err)
		refusal := refused(t, "23505", outer.BeginFunc(ctx, func(inner pgx.Tx) error {
			_, err := inner.Exec(ctx, "INSERT INTO go_item VALUES ($1, $2)", 2, "kept")
			return err
		}))
		same(t, "go_item_name", refusal.ConstraintName)
		return nil
	}))
	var count int
	must(t, connection.QueryRow(ctx, "SELECT count(*) FROM go_item").Scan(&count))
	same(t, 1, count)
}

func TestABatchIsOneRoundTrip(t *testing.T) {
	ctx, connection := connect(t)
	batch := &pgx.Batch{}
	for number := 0; number < 100; number++ {
		batch.Queue("INSERT INTO go_item (id, name, made) VALUES ($1::int, ($1::int)::text, now())", number)
	}
	batch.Queue("SELECT count(*) FROM go_item")
	results := connection.SendBatch(ctx, batch)
	for number := 0; number < 100; number++ {
		_, err := results.Exec()
		must(t, err)
	}
	var count int
	must(t, results.QueryRow().Scan(&count))
	same(t, 100, count)
	must(t, results.Close())
}

func TestAContextsEndCancels(t *testing.T) {
	ctx, connection := connect(t)
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err := connection.Exec(short, "SELECT pg_sleep(30)")
	same(t, true, pgconn.Timeout(err))
}

func TestCopyFromIsBinary(t *testing.T) {
	ctx, connection := connect(t)
	rows := [][]any{{1, "one", time.Now()}, {2, "two", nil}}
	count, err := connection.CopyFrom(ctx, pgx.Identifier{"go_item"}, []string{"id", "name", "made"}, pgx.CopyFromRows(rows))
	must(t, err)
	same(t, int64(2), count)
}

func TestANotificationIsHeard(t *testing.T) {
	ctx, connection := connect(t)
	_, err := connection.Exec(ctx, "LISTEN orders")
	must(t, err)
	_, err = connection.Exec(ctx, "SELECT pg_notify('orders', 'number 7')")
	must(t, err)
	told, err := connection.WaitForNotification(ctx)
	must(t, err)
	same(t, "number 7", told.Payload)
}
