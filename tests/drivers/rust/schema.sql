-- What the statements of tests/checked.rs are checked against while they are compiled.
DROP TABLE IF EXISTS invoice;
DROP TABLE IF EXISTS customer;
CREATE TABLE customer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    email varchar(100) UNIQUE,
    labels text[] NOT NULL DEFAULT '{}',
    extra jsonb,
    joined timestamptz NOT NULL DEFAULT now(),
    token uuid
);
CREATE TABLE invoice (
    id serial PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customer (id),
    amount numeric(12, 2) NOT NULL CHECK (amount >= 0),
    paid date
);
