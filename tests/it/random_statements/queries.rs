//! Random queries: joins, groups, windows, set operations, WITH, subqueries that look outside.

use super::expressions::{Author, Scope};

/// A table that every database of this test has.
pub struct Table {
    pub name: &'static str,
    pub key: &'static [&'static str],
    pub columns: &'static [(&'static str, &'static str)],
}

/// As `tables.sql` makes them.
pub const TABLES: [Table; 3] = [
    Table {
        name: "person",
        key: &["id"],
        columns: &[
            ("id", "int4"),
            ("name", "text"),
            ("nick", "text"),
            ("born", "date"),
            ("score", "numeric"),
            ("active", "bool"),
            ("visits", "int8"),
            ("ratio", "float8"),
            ("seen", "timestamptz"),
            ("tags", "text[]"),
            ("marks", "int4[]"),
            ("extra", "jsonb"),
        ],
    },
    Table {
        name: "item",
        key: &["id"],
        columns: &[
            ("id", "int8"),
            ("owner", "int4"),
            ("kind", "text"),
            ("price", "numeric"),
            ("amount", "int2"),
            ("made", "timestamp"),
            ("opens", "time"),
            ("gap", "interval"),
            ("token", "uuid"),
            ("data", "bytea"),
        ],
    },
    Table {
        name: "link",
        key: &["a", "b"],
        columns: &[("a", "int4"), ("b", "int4"), ("weight", "int4")],
    },
];

impl Table {
    pub fn scope(&self, alias: &str) -> Scope {
        let named = |(column, kind): &(&str, &'static str)| (format!("{alias}.{column}"), *kind);
        Scope {
            columns: self.columns.iter().map(named).collect(),
        }
    }
}

impl Author<'_> {
    pub fn table(&mut self) -> &'static Table {
        &TABLES[self.random.usize(..TABLES.len())]
    }

    /// A whole statement: any columns, perhaps WITH, ORDER BY every column and LIMIT.
    pub fn statement(&mut self) -> String {
        let columns: Vec<_> = (0..self.random.usize(1..=4))
            .map(|_| self.any_type())
            .collect();
        if self.sometimes(8) {
            return self.starred(&columns);
        }
        let mut scope = Scope::default();
        let mut text = String::new();
        if self.sometimes(15) {
            let (name, kinds) = (self.alias('w'), [self.any_type(), "int4"]);
            let how = self.choice(&["", " MATERIALIZED", " NOT MATERIALIZED"]);
            let part = self.query(&kinds, 2, &scope);
            text = format!("WITH {name} (c0, c1) AS{how} ({part}) ");
            // It is named where a table can be; one scalar look into it tells whether it is seen.
            scope
                .columns
                .push((format!("(SELECT count(*) FROM {name})"), "int8"));
            scope
                .columns
                .push((format!("(SELECT max(c1) FROM {name})"), "int4"));
        }
        text.push_str(&self.query(&columns, 3, &scope));
        if self.sometimes(40) {
            let mut order: Vec<_> = (1..=columns.len()).map(|place| place.to_string()).collect();
            self.random.shuffle(&mut order);
            for column in &mut order {
                column.push_str(self.choice(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]));
            }
            text.push_str(&format!(" ORDER BY {}", order.join(", ")));
            if self.sometimes(50) {
                text.push_str(&format!(" LIMIT {}", self.random.usize(..9)));
            }
            if self.sometimes(20) {
                text.push_str(&format!(" OFFSET {}", self.random.usize(..5)));
            }
        }
        text
    }

    /// What one row gives that is found by its key, perhaps once for each row of a set that it makes.
    pub fn by_key(&mut self) -> String {
        let table = self.table();
        let scope = table.scope(table.name);
        let columns = [self.any_type(), self.any_type()];
        let mut list = self.listed(&columns, 3, &scope);
        if self.sometimes(25) {
            let sets = self.forms.of("sets");
            let set = self.choice(sets);
            list = format!("{list}, {}", self.filled(set, 2, &scope));
        }
        let mut condition = Vec::new();
        for column in table.key {
            condition.push(format!("{column} = {}", self.random.u32(..12)));
        }
        if self.sometimes(30) {
            condition.push(self.expression("bool", 2, &scope));
        }
        let condition = condition.join(" AND ");
        format!("SELECT {list} FROM {} WHERE {condition}", table.name)
    }

    /// Columns of these types beside a wildcard, ordered by their names.
    fn starred(&mut self, columns: &[&'static str]) -> String {
        let (from, scope) = self.sources(2);
        let first = scope.columns.first();
        let table = first.and_then(|(column, _)| column.split_once('.'));
        let star = match table {
            Some((table, _)) if self.sometimes(50) => format!("{table}.*"),
            _ => "*".to_owned(),
        };
        let listed = columns.iter().enumerate().map(|(place, column)| {
            let value = self.expression(column, 2, &scope);
            format!("({value})::{column} AS x{place}")
        });
        let listed = listed.collect::<Vec<_>>().join(", ");
        let condition = self.expression("bool", 2, &scope);
        let mut order: Vec<_> = (0..columns.len()).map(|at| format!("x{at}")).collect();
        self.random.shuffle(&mut order);
        for name in &mut order {
            name.push_str(self.choice(&["", " DESC", " NULLS FIRST"]));
        }
        let order = order.join(", ");
        format!("SELECT {star}, {listed} FROM {from} WHERE {condition} ORDER BY {order}")
    }

    /// A query of columns of these types, without ORDER BY.
    pub fn query(&mut self, columns: &[&'static str], depth: usize, outer: &Scope) -> String {
        self.subqueries = self.subqueries.saturating_sub(1);
        if depth > 0 && self.sometimes(12) {
            let operation =
                self.choice(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"]);
            let left = self.select(columns, depth - 1, outer);
            let right = self.select(columns, depth - 1, outer);
            return format!("{left} {operation} {right}");
        }
        self.select(columns, depth, outer)
    }

    /// A query of one row and one column.
    pub fn single_value(&mut self, wanted: &str, depth: usize, outer: &Scope) -> String {
        self.subqueries = self.subqueries.saturating_sub(1);
        let (from, inner) = self.source(0);
        let scope = inner.within(outer);
        let aggregates = self.forms.of(&format!("{wanted} aggregates"));
        let aggregate = self.choice(aggregates);
        let value = self.filled(aggregate, depth.min(1), &inner);
        let condition = self.expression("bool", depth.min(2), &scope);
        format!("SELECT {value} FROM {from} WHERE {condition}")
    }

    fn select(&mut self, columns: &[&'static str], depth: usize, outer: &Scope) -> String {
        if self.sometimes(8) {
            let empty = Scope::default();
            let rows: Vec<_> = (0..self.random.usize(1..4))
                .map(|_| {
                    let row: Vec<_> = columns
                        .iter()
                        .map(|column| self.expression(column, depth.min(1), &empty))
                        .zip(columns)
                        .map(|(value, column)| format!("({value})::{column}"))
                        .collect();
                    format!("({})", row.join(", "))
                })
                .collect();
            return format!("VALUES {}", rows.join(", "));
        }
        let (from, inner) = self.sources(depth);
        let scope = inner.within(outer);
        let mut tail = String::new();
        if self.sometimes(60) {
            tail = format!(" WHERE {}", self.expression("bool", depth, &scope));
        }
        let distinct = if self.sometimes(12) { "DISTINCT " } else { "" };
        let list = match self.random.u32(..100) {
            0..=24 => self.grouped(columns, &inner, &mut tail),
            25..=34 if distinct.is_empty() => self.windowed(columns, depth, &scope),
            _ => self.listed(columns, depth, &scope),
        };
        format!("SELECT {distinct}{list} FROM {from}{tail}")
    }

    fn listed(&mut self, columns: &[&'static str], depth: usize, scope: &Scope) -> String {
        let listed = columns
            .iter()
            .map(|column| self.expression(column, depth, scope));
        // A literal alone has no type of its own in a list.
        let typed = listed.zip(columns).map(|(value, column)| {
            if value.starts_with(['\'', 'N']) {
                format!("{value}::{column}")
            } else {
                value
            }
        });
        typed.collect::<Vec<_>>().join(", ")
    }

    fn windowed(&mut self, columns: &[&'static str], depth: usize, scope: &Scope) -> String {
        let mut widened = scope.clone();
        for column in columns {
            let windows = self.forms.of(&format!("{column} windows"));
            let window = self.choice(windows);
            let window = self.filled(window, depth.min(1), scope);
            widened.columns.push((window.clone(), column));
            widened.columns.push((window, column));
        }
        self.listed(columns, depth.min(1), &widened)
    }

    /// What stands in the list of a grouped query: its keys, aggregates and what is made of them.
    fn grouped(&mut self, columns: &[&'static str], inner: &Scope, tail: &mut String) -> String {
        let mut keys = Scope::default();
        for _ in 0..self.random.usize(..3) {
            let kind = self.any_type();
            let key = self.expression(kind, 1, inner);
            // A constant is no key of a group (a number would be a place in the list).
            if inner
                .columns
                .iter()
                .any(|(column, _)| key.contains(column.as_str()))
                && !key.contains("SELECT")
            {
                keys.columns.push((key, kind));
            }
        }
        if !keys.columns.is_empty() {
            let listed: Vec<_> = keys.columns.iter().map(|(key, _)| key.as_str()).collect();
            let listed = listed.join(", ");
            tail.push_str(&match self.random.u32(..100) {
                0..=9 => format!(" GROUP BY ROLLUP ({listed})"),
                10..=19 => format!(" GROUP BY CUBE ({listed})"),
                20..=24 => format!(" GROUP BY GROUPING SETS (({listed}), ())"),
                _ => format!(" GROUP BY {listed}"),
            });
        }
        let mut scope = keys;
        for column in columns {
            let aggregates = self.forms.of(&format!("{column} aggregates"));
            let aggregate = self.choice(aggregates);
            let aggregate = self.filled(aggregate, 1, inner);
            if !aggregate.contains("SELECT") {
                scope.columns.push((aggregate.clone(), column));
                scope.columns.push((aggregate, column));
            }
        }
        let subqueries = std::mem::take(&mut self.subqueries);
        if self.sometimes(25) {
            tail.push_str(&format!(" HAVING {}", self.expression("bool", 1, &scope)));
        }
        let list = self.listed(columns, 1, &scope);
        self.subqueries = subqueries;
        list
    }

    fn sources(&mut self, depth: usize) -> (String, Scope) {
        let (mut text, mut scope) = self.source(depth);
        for _ in 0..[0, 0, 1, 1, 2][self.random.usize(..5)] {
            let (item, columns) = self.source(depth);
            let both = columns.within(&scope);
            let kinds = [
                "JOIN",
                "LEFT JOIN",
                "RIGHT JOIN",
                "FULL JOIN",
                "CROSS JOIN",
                "LATERAL",
            ];
            match self.choice(&kinds) {
                "CROSS JOIN" => text = format!("{text} CROSS JOIN {item}"),
                "LATERAL" => {
                    let kinds = [self.any_type(), self.any_type()];
                    let alias = self.alias('l');
                    let looked = self.query(&kinds, depth.min(1), &scope);
                    text = format!("{text} CROSS JOIN LATERAL ({looked}) {alias} (c0, c1)");
                    for (place, kind) in kinds.iter().enumerate() {
                        scope.columns.insert(0, (format!("{alias}.c{place}"), kind));
                    }
                    continue;
                }
                kind => {
                    let condition = self.join_condition(kind, &columns, &scope, &both);
                    text = format!("{text} {kind} {item} ON {condition}");
                }
            }
            scope = both;
        }
        (text, scope)
    }

    /// PostgreSQL joins FULL only where it can merge or hash: on equality.
    fn join_condition(&mut self, join: &str, left: &Scope, right: &Scope, both: &Scope) -> String {
        let kinds = ["int4", "text", "int8", "date", "numeric"];
        let shared = kinds.iter().filter(|kind| !left.of(kind).is_empty());
        let shared: Vec<&str> = shared
            .filter(|kind| !right.of(kind).is_empty())
            .copied()
            .collect();
        if !shared.is_empty() && (join == "FULL JOIN" || self.sometimes(70)) {
            let kind = self.choice(&shared);
            let (left, right) = (self.choice(&left.of(kind)).to_owned(), right.of(kind));
            return format!("{left} = {}", self.choice(&right));
        }
        match join {
            "FULL JOIN" => "true".to_owned(),
            _ => self.expression("bool", 1, both),
        }
    }

    fn source(&mut self, depth: usize) -> (String, Scope) {
        match self.random.u32(..100) {
            0..=9 if depth > 0 && self.subqueries > 0 => {
                let kinds = [self.any_type(), self.any_type()];
                let alias = self.alias('s');
                let query = self.query(&kinds, depth - 1, &Scope::default());
                let columns = kinds.iter().enumerate();
                let columns = columns.map(|(place, kind)| (format!("{alias}.c{place}"), *kind));
                let scope = Scope {
                    columns: columns.collect(),
                };
                (format!("({query}) {alias} (c0, c1)"), scope)
            }
            10..=14 => {
                let alias = self.alias('g');
                let columns = vec![(format!("{alias}.n"), "int4")];
                let last = self.random.usize(..6);
                let scope = Scope { columns };
                (format!("generate_series(1, {last}) {alias} (n)"), scope)
            }
            15..=18 => {
                let alias = self.alias('u');
                let array = self.expression("int4[]", 1, &Scope::default());
                let columns = vec![
                    (format!("{alias}.n"), "int4"),
                    (format!("{alias}.o"), "int8"),
                ];
                let unnested = format!("unnest({array}) WITH ORDINALITY {alias} (n, o)");
                (unnested, Scope { columns })
            }
            _ => {
                let (table, alias) = (self.table(), self.alias('t'));
                (format!("{} {alias}", table.name), table.scope(&alias))
            }
        }
    }
}
