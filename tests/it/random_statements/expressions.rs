//! Random expressions over the columns that are in scope.

use super::forms::Forms;
use fastrand::Rng;

/// What can be named where an expression stands.
#[derive(Clone, Default)]
pub struct Scope {
    /// What is said to name it, and its type; in a grouped query whole aggregates are here.
    pub columns: Vec<(String, &'static str)>,
}

impl Scope {
    /// The columns of one type.
    pub fn of(&self, wanted: &str) -> Vec<&str> {
        let fitting = self.columns.iter().filter(|(_, kind)| *kind == wanted);
        fitting.map(|(name, _)| name.as_str()).collect()
    }

    /// Those of both, the inner ones first.
    pub fn within(&self, outer: &Scope) -> Scope {
        let columns = self.columns.iter().chain(&outer.columns).cloned().collect();
        Scope { columns }
    }
}

/// Writes statements at random.
pub struct Author<'a> {
    pub forms: &'a Forms,
    pub random: Rng,
    /// How many aliases were given: each is another.
    pub aliases: usize,
    /// How many more subqueries a statement may have.
    pub subqueries: usize,
}

/// What a window looks at: the default more often than others.
const FRAMES: &[&str] = &[
    "",
    "",
    "",
    "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
    "RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
    "GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
    "GROUPS BETWEEN 2 PRECEDING AND 1 FOLLOWING",
];

impl Author<'_> {
    pub fn choice<'b, T: ?Sized>(&mut self, from: &[&'b T]) -> &'b T {
        from[self.random.usize(..from.len())]
    }

    /// True in `percent` of a hundred cases.
    pub fn sometimes(&mut self, percent: u32) -> bool {
        self.random.u32(..100) < percent
    }

    pub fn alias(&mut self, letter: char) -> String {
        self.aliases += 1;
        format!("{letter}{}", self.aliases)
    }

    pub fn any_type(&mut self) -> &'static str {
        // The everyday types more often than the others.
        if self.sometimes(50) {
            return self.choice(&["int4", "int8", "numeric", "text", "bool"]);
        }
        let forms = self.forms;
        self.choice(forms.types())
    }

    /// An expression of the type, at most `depth` forms deep.
    pub fn expression(&mut self, wanted: &str, depth: usize, scope: &Scope) -> String {
        let forms = self.forms.of(wanted);
        if depth == 0 || forms.is_empty() || self.sometimes(15) {
            return self.leaf(wanted, scope);
        }
        let form = self.choice(forms);
        if form.contains("{query") && self.subqueries == 0 {
            return self.leaf(wanted, scope);
        }
        self.filled(form, depth - 1, scope)
    }

    fn leaf(&mut self, wanted: &str, scope: &Scope) -> String {
        let columns = scope.of(wanted);
        if !columns.is_empty() && self.sometimes(70) {
            return self.choice(&columns).to_owned();
        }
        let literals = self.forms.of(&format!("{wanted} literals"));
        match literals {
            [] => self.choice(self.forms.of(wanted)).to_owned(),
            literals => self.choice(literals).to_owned(),
        }
    }

    /// The form with something in each of its places.
    pub fn filled(&mut self, form: &str, depth: usize, scope: &Scope) -> String {
        let mut text = String::new();
        let mut rest = form;
        let mut last = String::new();
        while let Some((before, after)) = next_place(rest) {
            text.push_str(before);
            let (place, after) = after.split_once('}').expect("a place is closed");
            if place != "same" {
                last = self.place(place, depth, scope);
            }
            text.push_str(&last);
            rest = after;
        }
        text + rest
    }

    fn place(&mut self, place: &str, depth: usize, scope: &Scope) -> String {
        if place == "peers" {
            return self.window(scope);
        }
        if let Some(wanted) = place.strip_prefix("query of one ") {
            return self.single_value(wanted, depth, scope);
        }
        if let Some(wanted) = place.strip_prefix("query of ") {
            let wanted = self.known_type(wanted);
            return self.query(&[wanted], depth, scope);
        }
        self.expression(place, depth, scope)
    }

    pub fn known_type(&self, name: &str) -> &'static str {
        let mut types = self.forms.types().iter();
        types
            .find(|known| **known == name)
            .expect("forms.txt has it")
    }

    /// A window whose frame begins and ends with peers, so that their order is no matter.
    fn window(&mut self, scope: &Scope) -> String {
        let mut part = |word: &str, percent| {
            if scope.columns.is_empty() || !self.sometimes(percent) {
                return String::new();
            }
            let (column, _) = &scope.columns[self.random.usize(..scope.columns.len())];
            format!("{word} {column}")
        };
        let (partition, order) = (part("PARTITION BY", 50), part("ORDER BY", 60));
        let frame = match order.is_empty() {
            true => "",
            false => self.choice(FRAMES),
        };
        format!("({})", format!("{partition} {order} {frame}").trim())
    }
}

/// The text before the next place, and what stands behind its bracket; `{b,0}` and `{"a": 1}` in a
/// literal are none.
fn next_place(form: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    for (at, character) in form.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            '{' if !quoted => return Some((&form[..at], &form[at + 1..])),
            _ => {}
        }
    }
    None
}
