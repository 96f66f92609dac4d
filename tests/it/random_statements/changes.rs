//! Random statements that change rows.

use super::expressions::{Author, Scope};
use super::queries::Table;

impl Author<'_> {
    /// INSERT, UPDATE or DELETE; and the table, whose rows are compared afterwards.
    pub fn change(&mut self) -> (String, &'static Table) {
        let table = self.table();
        let text = match self.random.u32(..3) {
            0 => self.insert(table),
            1 => self.update(table),
            _ => self.delete(table),
        };
        (text + &self.returning(table), table)
    }

    fn returning(&mut self, table: &Table) -> String {
        if self.sometimes(40) {
            return String::new();
        }
        let scope = table.scope("r");
        let value = |author: &mut Self| {
            let kind = author.any_type();
            author.expression(kind, 1, &scope)
        };
        format!(" RETURNING {}, {}", value(self), value(self))
    }

    fn insert(&mut self, table: &Table) -> String {
        let columns: Vec<_> = table.columns.iter().map(|(column, _)| *column).collect();
        let kinds: Vec<_> = table.columns.iter().map(|(_, kind)| *kind).collect();
        let source = if self.sometimes(40) {
            self.query(&kinds, 1, &Scope::default())
        } else {
            let rows: Vec<_> = (0..self.random.usize(1..4))
                .map(|_| self.row(&kinds))
                .collect();
            format!("VALUES {}", rows.join(", "))
        };
        let mut text = format!(
            "INSERT INTO {} AS r ({}) {source}",
            table.name,
            columns.join(", ")
        );
        match self.random.u32(..4) {
            0 => text.push_str(" ON CONFLICT DO NOTHING"),
            1 => {
                let mut scope = table.scope("r");
                scope.columns.extend(table.scope("excluded").columns);
                let assigned = self.assignment(table, &scope);
                let condition = self.expression("bool", 1, &scope);
                let key = table.key.join(", ");
                text.push_str(&format!(
                    " ON CONFLICT ({key}) DO UPDATE SET {assigned} WHERE {condition}"
                ));
            }
            _ => {}
        }
        text
    }

    /// A row whose key is often one that is there.
    fn row(&mut self, kinds: &[&'static str]) -> String {
        let values: Vec<_> = kinds
            .iter()
            .enumerate()
            .map(|(place, kind)| match (place, self.random.u32(..100)) {
                (0 | 1, roll) if kind.starts_with("int") && roll < 80 => {
                    self.random.u32(1..60).to_string()
                }
                (_, 0..=5) => "DEFAULT".to_owned(),
                _ => self.expression(kind, 1, &Scope::default()),
            })
            .collect();
        format!("({})", values.join(", "))
    }

    fn assignment(&mut self, table: &Table, scope: &Scope) -> String {
        let mut columns: Vec<_> = table.columns.iter().collect();
        self.random.shuffle(&mut columns);
        let some = self.random.usize(1..=2);
        let assigned = columns[..some].iter().map(|(column, kind)| {
            let value = self.expression(kind, 2, scope);
            format!("{column} = {value}")
        });
        assigned.collect::<Vec<_>>().join(", ")
    }

    fn update(&mut self, table: &Table) -> String {
        let scope = table.scope("r");
        // The other table is joined by its whole key: at most one of its rows fits.
        let other = self.alias('o');
        let joined = self.sometimes(25) && !scope.of("int4").is_empty();
        let (from, tied, scope) = if joined {
            let key = self.choice(&scope.of("int4")).to_owned();
            let person = &super::queries::TABLES[0];
            let tied = format!("{other}.id = {key} AND ");
            let from = format!(" FROM {} {other}", person.name);
            (from, tied, scope.within(&person.scope(&other)))
        } else {
            (String::new(), String::new(), scope)
        };
        let assigned = self.assignment(table, &scope);
        let condition = self.expression("bool", 2, &scope);
        format!(
            "UPDATE {} r SET {assigned}{from} WHERE {tied}{condition}",
            table.name
        )
    }

    fn delete(&mut self, table: &Table) -> String {
        let scope = table.scope("r");
        let condition = self.expression("bool", 2, &scope);
        format!("DELETE FROM {} r WHERE {condition}", table.name)
    }
}
