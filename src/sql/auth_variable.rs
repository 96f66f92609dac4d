//! `$auth.*`: what a statement may ask of who runs it (REFERENCE §3).
//!
//! sqlparser reads `$auth.id` as a parameter `$auth` and a field of it; what such a tree names is told
//! here. The values are `access::variables`' business.

use crate::diagnostic::{Diagnostic, SqlState};
use sqlparser::ast::{AccessExpr, Expr, Ident, Value, ValueWithSpan};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The parameter that sqlparser makes of it.
const ROOT: &str = "$auth";

/// A session variable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    /// `$auth.id`
    Id,
    /// `$auth.role`
    Role,
    /// `$auth.roles`, text[]
    Roles,
    /// `$auth.org_id`
    OrgId,
    /// `$auth.scopes`, text[]
    Scopes,
    /// `$auth.username`
    Username,
    /// `$auth.email`
    Email,
    /// `$auth.tenant_id`
    TenantId,
    /// `$auth.database`
    Database,
    /// `$auth.auth_method`
    AuthMethod,
    /// `$auth.claims.<name>`
    Claim(Arc<str>),
    /// CURRENT_USER in an expression that stands alone: no `$auth`, because `$auth.username` may be what
    /// a token's bearer has chosen.
    CurrentUser,
}

/// Those with a name of their own.
const NAMED: [(&str, Variable); 10] = [
    ("id", Variable::Id),
    ("role", Variable::Role),
    ("roles", Variable::Roles),
    ("org_id", Variable::OrgId),
    ("scopes", Variable::Scopes),
    ("username", Variable::Username),
    ("email", Variable::Email),
    ("tenant_id", Variable::TenantId),
    ("database", Variable::Database),
    ("auth_method", Variable::AuthMethod),
];

/// What `$auth.claims.<name>` is called by [`Variable::named`].
const CLAIMS: &str = "claims.";

/// What CURRENT_USER is called by [`Variable::named`]: nothing that anybody writes.
const CURRENT_USER: &str = "\u{1}current_user";

impl Variable {
    /// The one of this name, as in `id` and `claims.plan`.
    pub fn named(name: &str) -> Option<Variable> {
        if let Some(claim) = name.strip_prefix(CLAIMS) {
            return (!claim.is_empty()).then(|| Variable::Claim(claim.into()));
        }
        if name == CURRENT_USER {
            return Some(Variable::CurrentUser);
        }
        let found = NAMED.iter().find(|(known, _)| *known == name);
        found.map(|(_, variable)| variable.clone())
    }

    /// Its name behind `$auth.`.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Variable::Claim(claim) => return Cow::Owned(format!("{CLAIMS}{claim}")),
            Variable::CurrentUser => return Cow::Borrowed(CURRENT_USER),
            _ => {}
        }
        let found = NAMED.iter().find(|(_, variable)| variable == self);
        Cow::Borrowed(found.map_or("", |(name, _)| *name))
    }

    /// What a result calls its column: its own name, a claim's without what is before it.
    pub fn label(&self) -> Cow<'static, str> {
        match self {
            Variable::Claim(claim) => Cow::Owned(claim.to_string()),
            _ => self.name(),
        }
    }

    /// Whether it is a text[] rather than a text.
    pub fn is_list(&self) -> bool {
        matches!(self, Variable::Roles | Variable::Scopes)
    }

    /// The one that an expression is; None where it is no `$auth`.
    ///
    /// # Errors
    /// 42704 for one that there is none of, with the nearest as a hint.
    pub fn of(expression: &Expr) -> Option<Result<Variable, Diagnostic>> {
        let (root, chain) = match expression {
            Expr::CompoundFieldAccess { root, access_chain } => (&**root, &access_chain[..]),
            other => (other, &[][..]),
        };
        let Expr::Value(ValueWithSpan {
            value: Value::Placeholder(root),
            ..
        }) = root
        else {
            return None;
        };
        if !root.eq_ignore_ascii_case(ROOT) {
            return None;
        }
        let names: Option<Vec<String>> = chain.iter().map(field).collect();
        let variable = match names.as_deref() {
            Some([name]) if name != "claims" => Variable::named(name),
            Some([claims, claim]) if claims == "claims" => Some(Variable::Claim(claim[..].into())),
            _ => None,
        };
        Some(variable.ok_or_else(|| unknown(expression)))
    }
}

fn field(access: &AccessExpr) -> Option<String> {
    match access {
        AccessExpr::Dot(Expr::Identifier(Ident {
            value,
            quote_style: None,
            ..
        })) => Some(value.to_ascii_lowercase()),
        AccessExpr::Dot(Expr::Identifier(Ident { value, .. })) => Some(value.clone()),
        _ => None,
    }
}

fn unknown(expression: &Expr) -> Diagnostic {
    let written = expression.to_string();
    let wanted = written.get(ROOT.len() + 1..).unwrap_or_default();
    let near = NAMED
        .iter()
        .map(|(name, _)| (strsim::damerau_levenshtein(name, wanted), *name))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let hint = match near {
        Some((_, name)) => format!("Perhaps you meant {ROOT}.{name}."),
        None => {
            let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
            format!("There are {}, and claims.<name>.", names.join(", "))
        }
    };
    let error = Diagnostic::error(
        SqlState::UNDEFINED_OBJECT,
        format!("there is no session variable {written}"),
    );
    error.with_hint(hint)
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ROOT}.{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::parse_expression;

    fn of(text: &str) -> Option<Result<Variable, Diagnostic>> {
        Variable::of(&parse_expression(text).expect("it parses"))
    }

    #[test]
    fn every_variable_is_known_by_its_name_in_any_case() {
        for (name, variable) in NAMED {
            for written in [
                format!("$auth.{name}"),
                format!("$AUTH.{}", name.to_uppercase()),
            ] {
                assert_eq!(of(&written).expect("one").expect("known"), variable);
            }
            assert_eq!(Variable::named(&variable.name()), Some(variable));
        }
    }

    #[test]
    fn claims_keep_their_names_as_they_are_quoted() {
        for (written, claim) in [
            ("$auth.claims.plan", "plan"),
            ("$auth.claims.Plan", "plan"),
            ("$auth.claims.\"Plan\"", "Plan"),
            (
                "$auth.claims.\"https://acme.example/plan\"",
                "https://acme.example/plan",
            ),
        ] {
            let found = of(written).expect("one").expect("known");
            assert_eq!(found, Variable::Claim(claim.into()), "{written}");
            assert_eq!(Variable::named(&found.name()), Some(found));
        }
    }

    #[test]
    fn other_parameters_and_names_are_none() {
        for written in ["$1", "auth.id", "$1.id", "'$auth.id'"] {
            assert!(of(written).is_none(), "{written}");
        }
    }

    #[test]
    fn one_that_there_is_none_of_is_told_the_nearest() {
        let error = of("$auth.rol").expect("one").expect_err("unknown");
        assert_eq!(error.sqlstate(), SqlState::UNDEFINED_OBJECT);
        assert_eq!(
            error.fields().hint.as_deref(),
            Some("Perhaps you meant $auth.role.")
        );
        for written in [
            "$auth",
            "$auth.claims",
            "$auth.claims.a.b",
            "$auth.id[1]",
            "$auth.something",
        ] {
            assert!(of(written).expect("one").is_err(), "{written}");
        }
    }
}
