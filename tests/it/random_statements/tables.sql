CREATE TABLE person (
    id int4 PRIMARY KEY,
    name text NOT NULL,
    nick text,
    born date,
    score numeric(8,2),
    active bool NOT NULL DEFAULT true,
    visits int8,
    ratio float8,
    seen timestamptz,
    tags text[],
    marks int4[],
    extra jsonb
);
CREATE TABLE item (
    id int8 PRIMARY KEY,
    owner int4 REFERENCES person,
    kind text,
    price numeric,
    amount int2 CHECK (amount >= 0),
    made timestamp,
    opens time,
    gap interval,
    token uuid UNIQUE,
    data bytea
);
CREATE TABLE link (a int4, b int4, weight int4 DEFAULT 1, PRIMARY KEY (a, b));
CREATE INDEX person_name ON person (name);
CREATE INDEX person_born ON person (born, id);
CREATE INDEX item_owner ON item (owner);
CREATE INDEX item_price ON item (price) WHERE amount > 3;
CREATE INDEX link_b ON link (b);
INSERT INTO person
SELECT n,
       (ARRAY['ann', 'bob', 'carl', 'dora', 'Émile', 'Fred', ''])[n % 7 + 1] || CASE WHEN n > 14 THEN n::text ELSE '' END,
       CASE WHEN n % 3 > 0 THEN 'nick' || n % 4 END,
       CASE WHEN n % 5 > 0 THEN DATE '1990-01-01' + n * 37 END,
       CASE WHEN n % 4 > 0 THEN (n * 12.25 - 100)::numeric(8,2) END,
       n % 3 <> 1,
       CASE WHEN n % 6 > 0 THEN n * 1000000007::int8 END,
       CASE WHEN n % 4 <> 1 THEN n / 8.0 - 1 END,
       CASE WHEN n % 5 <> 2 THEN TIMESTAMPTZ '2022-03-26 22:15:00+00' + n * interval '7 hours' END,
       CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN ARRAY['x', 'y' || n % 5] ELSE ARRAY['z', NULL] END,
       CASE n % 4 WHEN 3 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN ARRAY[n, n % 3] ELSE ARRAY[n % 5, NULL, 7] END,
       (CASE n % 5 WHEN 0 THEN NULL
                  WHEN 1 THEN jsonb_build_object('a', n, 'b', jsonb_build_array(n % 3, 'text'))
                  WHEN 2 THEN '[1, 2, {"c": null}]'::jsonb
                  WHEN 3 THEN to_jsonb(n)
                  ELSE '{"a": "ann", "d": {"e": true}}'::jsonb END)::jsonb
FROM generate_series(1, 24) n;
INSERT INTO item
SELECT n,
       CASE WHEN n % 7 > 0 THEN n % 24 + 1 END,
       (ARRAY['book', 'pen', 'Lamp', NULL])[n % 4 + 1],
       CASE WHEN n % 9 > 0 THEN n * 1.5 + 0.25 END,
       CASE WHEN n % 8 > 0 THEN n % 11 END,
       CASE WHEN n % 5 > 0 THEN TIMESTAMP '2023-10-28 00:30:00' + n * interval '11 hours 7 minutes' END,
       CASE WHEN n % 3 > 0 THEN TIME '06:00' + n % 12 * interval '1 hour' END,
       CASE WHEN n % 4 > 0 THEN n % 5 * interval '1 day' + n * interval '1 minute' END,
       CASE WHEN n % 6 > 0 THEN md5(n::text)::uuid END,
       CASE WHEN n % 5 > 1 THEN decode(md5((n % 6)::text), 'hex') END
FROM generate_series(1, 40) n;
INSERT INTO link
SELECT n % 9, n % 7, n % 4 FROM generate_series(1, 60) n;
ANALYZE person; ANALYZE item; ANALYZE link;
