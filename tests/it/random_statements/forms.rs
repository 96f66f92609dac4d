//! The grammar of expressions as `forms.txt` writes it.

use std::collections::HashMap;

/// What may stand where a value of a type is wanted, by section: `int4`, `int4 literals`,
/// `int4 aggregates`, `int4 windows`.
pub struct Forms {
    sections: HashMap<&'static str, Vec<&'static str>>,
    types: Vec<&'static str>,
}

impl Forms {
    pub fn read() -> Forms {
        let mut sections: HashMap<_, Vec<_>> = HashMap::new();
        let mut types = Vec::new();
        let mut section = "";
        let lines = include_str!("forms.txt").lines();
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let heading = line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'));
            match heading {
                Some(heading) => section = heading,
                None => sections.entry(section).or_default().push(line),
            }
            if let Some(aggregated) = heading.and_then(|name| name.strip_suffix(" aggregates")) {
                types.push(aggregated);
            }
        }
        Forms { sections, types }
    }

    /// The types that a column can have.
    pub fn types(&self) -> &[&'static str] {
        &self.types
    }

    /// The forms of a section; none, if it is not there.
    pub fn of(&self, section: &str) -> &[&'static str] {
        self.sections.get(section).map_or(&[], Vec::as_slice)
    }
}
