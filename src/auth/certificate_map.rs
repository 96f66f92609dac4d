//! For whom a client certificate logs in: `[auth.cert] map`, and the common name (REFERENCE §3
//! "mTLS").
//!
//! A rule looks at names of one kind and gives the login name for those that it fits. Rules come in
//! the order of the file; where none leads to a login, the common name does.

use super::x509::{Name, NameKind};
use regex::{Regex, RegexBuilder};
use std::fmt::Write;
use thiserror::Error;

/// What a compiled expression may take, in bytes.
const EXPRESSION_BYTES_MAX: usize = 1 << 20;

/// The longest login name that is made; no login has a longer one.
const LOGIN_BYTES_MAX: usize = 1024;

/// The rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateMap {
    rules: Vec<Rule>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Rule {
    kind: NameKind,
    /// Fits the whole of a name, or does not.
    expression: Regex,
    login: Template,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        let Rule {
            kind,
            expression,
            login,
        } = other;
        self.kind == *kind
            && self.expression.as_str() == expression.as_str()
            && self.login == *login
    }
}

impl Eq for Rule {}

/// Why there can be no such rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleFault {
    /// The regular expression is none, or too large.
    #[error("{0}")]
    Expression(String),
    /// The login refers to a group that the expression does not have.
    #[error("`login` refers to ${0}, and the expression has no such group")]
    Group(usize),
    /// A dollar sign that stands for nothing.
    #[error("`login` holds a dollar sign with no digit behind it; $$ stands for one")]
    Dollar,
}

impl Rule {
    /// Names of this kind that the expression fits as a whole are those of `login`, in which `$1` to
    /// `$9` stand for what the groups have caught, and `$$` for a dollar sign. The expression is one of
    /// the crate `regex`: matching takes time in proportion to the name.
    ///
    /// # Errors
    /// [`RuleFault`]
    pub fn new(kind: NameKind, expression: &str, login: &str) -> Result<Rule, RuleFault> {
        let whole = RegexBuilder::new(&format!("^(?:{expression})$"))
            .size_limit(EXPRESSION_BYTES_MAX)
            .build();
        let login = Template::parse(login)?;
        // Told of the expression as it was given.
        let given = Regex::new(expression).map_err(|it| RuleFault::Expression(it.to_string()));
        let groups = given?.captures_len();
        let expression = whole.map_err(|it| RuleFault::Expression(it.to_string()))?;
        let missing = login.groups().find(|group| *group >= groups);
        match missing {
            Some(missing) => Err(RuleFault::Group(missing)),
            None => Ok(Rule {
                kind,
                expression,
                login,
            }),
        }
    }

    fn login_of(&self, name: &Name) -> Option<String> {
        if name.kind != self.kind {
            return None;
        }
        let caught = self.expression.captures(&name.text)?;
        let login = self
            .login
            .filled(|group| caught.get(group).map_or("", |it| it.as_str()));
        (1..=LOGIN_BYTES_MAX)
            .contains(&login.len())
            .then_some(login)
    }
}

impl CertificateMap {
    /// These rules, in their order.
    pub fn new(rules: Vec<Rule>) -> CertificateMap {
        CertificateMap { rules }
    }

    /// The login names that a certificate with these names may be for, the first choice first: what
    /// the rules make of them, then the common name if there is exactly one.
    pub fn logins(&self, names: &[Name]) -> Vec<String> {
        let mapped = self
            .rules
            .iter()
            .flat_map(|rule| names.iter().filter_map(|name| rule.login_of(name)));
        let mut common = names.iter().filter(|it| it.kind == NameKind::Common);
        let common = match (common.next(), common.next()) {
            (Some(only), None) => Some(only.text.clone()),
            // Of two names nobody could say which one counts.
            _ => None,
        };
        mapped.chain(common).collect()
    }
}

/// A text with places for what groups have caught.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Template {
    fn parse(text: &str) -> Result<Template, RuleFault> {
        let mut pieces = vec![Piece::Text(String::new())];
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            let next = match next {
                '$' => match rest.next() {
                    Some('$') => '$',
                    Some(digit @ '1'..='9') => {
                        pieces.push(Piece::Group(digit as usize - '0' as usize));
                        continue;
                    }
                    _ => return Err(RuleFault::Dollar),
                },
                other => other,
            };
            match pieces.last_mut() {
                Some(Piece::Text(text)) => text.push(next),
                _ => pieces.push(Piece::Text(next.to_string())),
            }
        }
        Ok(Template(pieces))
    }

    fn groups(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Group(group) => Some(*group),
            Piece::Text(_) => None,
        })
    }

    fn filled<'c>(&self, caught: impl Fn(usize) -> &'c str) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            let piece = match piece {
                Piece::Text(piece) => piece,
                Piece::Group(group) => caught(*group),
            };
            text.write_str(piece).expect("memory takes what is written");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kind: NameKind, text: &str) -> Name {
        Name {
            kind,
            text: text.to_owned(),
        }
    }

    fn map(rules: &[(NameKind, &str, &str)]) -> CertificateMap {
        let rules = rules
            .iter()
            .map(|(kind, expression, login)| Rule::new(*kind, expression, login).expect("a rule"));
        CertificateMap::new(rules.collect())
    }

    #[test]
    fn rules_come_in_their_order_and_the_common_name_last() {
        let map = map(&[
            (
                NameKind::Uri,
                r"spiffe://example\.org/ns/(\w+)/sa/(\w+)",
                "$2-$1",
            ),
            (NameKind::Email, r"(.+)@example\.org", "$1"),
            (NameKind::Common, "Batch .*", "batch-processor"),
            (NameKind::Dns, ".*", "cost$$"),
        ]);
        let names = [
            name(NameKind::Common, "Batch 7"),
            name(NameKind::Email, "al@example.org"),
            name(NameKind::Email, "bo@example.org"),
            name(NameKind::Uri, "spiffe://example.org/ns/prod/sa/web"),
        ];
        let expected = ["web-prod", "al", "bo", "batch-processor", "Batch 7"];
        assert_eq!(map.logins(&names), expected);
        assert_eq!(map.logins(&[name(NameKind::Dns, "a")]), ["cost$"]);
        assert!(map.logins(&[]).is_empty());
    }

    #[test]
    fn an_expression_fits_a_whole_name_or_not_at_all() {
        let map = map(&[(NameKind::Email, r"(\w+)@example\.org|root", "$1")]);
        for trick in [
            "al@example.org.evil.net",
            "evil al@example.org",
            "al@exampleXorg",
            "al@example.org\n",
            // It fits, but makes no name.
            "root",
        ] {
            let names = [name(NameKind::Email, trick)];
            assert!(map.logins(&names).is_empty(), "{trick}");
        }
        let other = [name(NameKind::Dns, "al@example.org")];
        assert!(map.logins(&other).is_empty(), "another kind");
    }

    #[test]
    fn two_common_names_are_none() {
        let names = ["alice", "bob"].map(|it| name(NameKind::Common, it));
        assert!(map(&[]).logins(&names).is_empty());
        assert_eq!(map(&[]).logins(&names[..1]), ["alice"]);
    }

    #[test]
    fn a_rule_that_cannot_be_is_refused() {
        let fault = |expression, login| Rule::new(NameKind::Common, expression, login).err();
        assert_eq!(fault("(a)", "$2"), Some(RuleFault::Group(2)));
        for login in ["a$", "$0", "${1}", "$a"] {
            assert_eq!(fault("(a)", login), Some(RuleFault::Dollar), "{login}");
        }
        // Balanced only by what stands around it.
        for expression in ["(", "a)|(b", r"\w{1000}{1000}"] {
            let found = fault(expression, "x");
            assert!(
                matches!(found, Some(RuleFault::Expression(_))),
                "{expression}"
            );
        }
        assert_eq!(fault("(a)(b)", "$2$1"), None);
    }
}
