//! What an error's message says is wrong.

/// What to look for in the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// A column reference, qualified or not.
    Column {
        /// The qualifier, where the message names one.
        qualifier: Option<String>,
        /// The column.
        name: String,
    },
    /// Anything qualified by this name.
    Qualifier(String),
    /// A column that is assigned to.
    Target {
        /// The column.
        name: String,
        /// Which of its mentions: the last, for one specified twice.
        last: bool,
    },
    /// The value that is assigned to this column.
    Assigned(String),
    /// A relation, by its name as written.
    Relation(String),
    /// A call.
    Function {
        /// The function.
        name: String,
        /// How many arguments it has, where the message says.
        arguments: Option<usize>,
    },
    /// An operator, by its symbol.
    Operator {
        /// The symbol.
        symbol: String,
        /// Whether it stands before its only operand.
        prefix: bool,
    },
    /// An operand that must be boolean, of AND, WHERE and their like.
    Condition(String),
    /// The name of a type.
    Type(String),
    /// A call of an aggregate.
    Aggregate,
    /// A quoted literal.
    Literal(String),
    /// A parameter, `$1`.
    Parameter(String),
    /// The first output column of a set operation's right side.
    SetOperation,
    /// `*` of a SELECT without FROM.
    Star,
    /// A number in ORDER BY.
    OrderPosition(String),
    /// The relation named by a locking clause.
    Locked(String),
    /// The first row of VALUES that is longer or shorter than the others.
    Row,
    /// The first column of an INSERT without a value.
    ExcessColumn,
    /// The first value of an INSERT without a column.
    ExcessExpression,
}

/// What the message is about; None where PostgreSQL has no position, or where we know of none.
pub fn culprit(message: &str) -> Option<Culprit> {
    columns(message)
        .or_else(|| calls(message))
        .or_else(|| values(message))
        .or_else(|| clauses(message))
}

fn columns(message: &str) -> Option<Culprit> {
    if let Some(rest) = message.strip_prefix("column \"") {
        let (name, rest) = rest.split_once('"')?;
        if rest.starts_with(" of relation ") || rest == " specified more than once" {
            return Some(Culprit::Target {
                name: name.to_owned(),
                last: rest == " specified more than once",
            });
        }
        if rest.starts_with(" is of type ") {
            return Some(Culprit::Assigned(name.to_owned()));
        }
        if rest.starts_with(" must appear in the GROUP BY") {
            return Some(column(name));
        }
        return (rest == " does not exist").then(|| plain(name));
    }
    if let Some(rest) = message.strip_prefix("column reference \"") {
        return rest.strip_suffix("\" is ambiguous").map(plain);
    }
    if let Some(rest) = message.strip_prefix("column ") {
        return rest.strip_suffix(" does not exist").map(column);
    }
    let qualifier = message
        .strip_prefix("missing FROM-clause entry for table \"")
        .or_else(|| message.strip_prefix("invalid reference to FROM-clause entry for table \""))?;
    qualifier
        .strip_suffix('"')
        .map(|name| Culprit::Qualifier(name.to_owned()))
}

fn plain(name: &str) -> Culprit {
    Culprit::Column {
        qualifier: None,
        name: name.to_owned(),
    }
}

fn column(name: &str) -> Culprit {
    match name.split_once('.') {
        Some((qualifier, name)) => Culprit::Column {
            qualifier: Some(qualifier.to_owned()),
            name: name.to_owned(),
        },
        None => plain(name),
    }
}

fn calls(message: &str) -> Option<Culprit> {
    if let Some(rest) = message.strip_prefix("function ") {
        let call = rest
            .strip_suffix(" does not exist")
            .or_else(|| rest.strip_suffix(" is not supported yet"))?;
        let (name, arguments) = call.strip_suffix(')')?.split_once('(')?;
        return Some(Culprit::Function {
            name: name.to_owned(),
            arguments: Some(count(arguments)),
        });
    }
    if let Some(rest) = message.strip_prefix("window function ") {
        let (name, _) = rest.split_once(" requires")?;
        return Some(Culprit::Function {
            name: name.to_owned(),
            arguments: None,
        });
    }
    if let Some(rest) = message.strip_prefix("relation \"") {
        let (name, rest) = rest.split_once('"')?;
        return match rest {
            " does not exist" => Some(Culprit::Relation(name.to_owned())),
            _ => rest
                .ends_with("clause not found in FROM clause")
                .then(|| Culprit::Locked(name.to_owned())),
        };
    }
    let operator = message.strip_prefix("operator does not exist: ")?;
    // Types have blanks in their names; symbols have no letters.
    let words: Vec<&str> = operator.split(' ').collect();
    let is_symbol = |word: &&str| {
        !word
            .chars()
            .any(|c| c.is_alphanumeric() || "()[]\"".contains(c))
    };
    let place = words.iter().position(is_symbol)?;
    Some(Culprit::Operator {
        symbol: words[place].to_owned(),
        prefix: place == 0,
    })
}

/// How many there are in a list of types, `numeric(10,2), text`.
fn count(arguments: &str) -> usize {
    let mut depth = 0;
    let commas = arguments.chars().filter(|character| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        *character == ',' && depth == 0
    });
    commas.count() + usize::from(!arguments.is_empty())
}

fn values(message: &str) -> Option<Culprit> {
    if message.starts_with("invalid input syntax for type ")
        || message.starts_with("date/time field value out of range: ")
    {
        let (_, literal) = message.split_once(": \"")?;
        return literal
            .strip_suffix('"')
            .map(|literal| Culprit::Literal(literal.to_owned()));
    }
    if let Some(rest) = message.strip_prefix("type \"") {
        return rest
            .strip_suffix("\" does not exist")
            .map(|name| Culprit::Type(name.to_owned()));
    }
    message
        .strip_prefix("there is no parameter ")
        .map(|name| Culprit::Parameter(name.to_owned()))
}

fn clauses(message: &str) -> Option<Culprit> {
    if let Some(rest) = message.strip_prefix("argument of ") {
        let (place, _) = rest.split_once(" must be type boolean")?;
        return Some(Culprit::Condition(place.to_owned()));
    }
    if let Some(rest) = message.strip_prefix("ORDER BY position ") {
        let (number, _) = rest.split_once(' ')?;
        return Some(Culprit::OrderPosition(number.to_owned()));
    }
    let operation = ["UNION", "INTERSECT", "EXCEPT"]
        .iter()
        .any(|name| message.starts_with(&format!("{name} types ")))
        || message.starts_with("each ")
            && message.ends_with(" query must have the same number of columns");
    if operation {
        return Some(Culprit::SetOperation);
    }
    match message {
        "aggregate functions are not allowed in WHERE"
        | "aggregate function calls cannot be nested" => Some(Culprit::Aggregate),
        "SELECT * with no tables specified is not valid" => Some(Culprit::Star),
        "VALUES lists must all be the same length" => Some(Culprit::Row),
        "INSERT has more target columns than expressions" => Some(Culprit::ExcessColumn),
        "INSERT has more expressions than target columns" => Some(Culprit::ExcessExpression),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_with_blanks_and_commas_are_one_argument() {
        assert_eq!(
            culprit("function f(timestamp with time zone, numeric(10,2)) does not exist"),
            Some(Culprit::Function {
                name: "f".into(),
                arguments: Some(2)
            })
        );
        assert_eq!(
            culprit("operator does not exist: double precision || boolean"),
            Some(Culprit::Operator {
                symbol: "||".into(),
                prefix: false
            })
        );
        assert_eq!(
            culprit("operator does not exist: - text"),
            Some(Culprit::Operator {
                symbol: "-".into(),
                prefix: true
            })
        );
    }

    #[test]
    fn what_postgresql_gives_no_position_has_no_culprit() {
        for message in [
            "table \"nope\" does not exist",
            "relation \"t\" already exists",
            "division by zero",
        ] {
            assert_eq!(culprit(message), None, "{message}");
        }
    }
}
