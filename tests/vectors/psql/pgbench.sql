-- pgbench 15's own queries besides its scripts: the count of branches it takes the scale from, and
-- the look at pgbench_accounts' partitions. `;;` on a line ends a query. (The tables' names are
-- those of the test.)

-- command: scale
select count(*) from t
;;

-- command: partitions
select o.n, p.partstrat, pg_catalog.count(i.inhparent) from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on (n.oid = c.relnamespace) cross join lateral (select pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname)) as o(n) left join pg_catalog.pg_partitioned_table as p on (p.partrelid = c.oid) left join pg_catalog.pg_inherits as i on (c.oid = i.inhparent) where c.relname = 't' and o.n is not null group by 1, 2 order by 1 asc limit 1
;;
