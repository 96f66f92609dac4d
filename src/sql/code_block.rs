//! DO: a block of PL/pgSQL without declarations, loops and handlers: statements and IF. It is what tools send
//! to define something where it is not there yet, and to set what a server may not know.
//! Source: PostgreSQL 15, DO, and chapter 43 "PL/pgSQL".

use super::dialect::NodeDialect;
use super::utility::word;
use crate::diagnostic::{Diagnostic, SqlState};
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, Statement, Value,
};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use std::ops::Range;

/// What its node, a CALL, calls; no client can write it.
const NAME: &str = "\u{1}do";

/// Blocks and IFs inside each other: each is a level of the interpreter's stack.
const NESTING_MAX: usize = 64;

/// Words that a statement of PL/pgSQL begins with, and that are not here.
const NOT_HERE: &[&str] = &[
    "DECLARE",
    "LOOP",
    "WHILE",
    "FOR",
    "FOREACH",
    "EXIT",
    "CONTINUE",
    "CASE",
    "EXECUTE",
    "RAISE",
    "ASSERT",
    "RETURN",
    "GET",
    "OPEN",
    "CALL",
    "DO",
    "EXCEPTION",
];

/// One statement of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A statement of SQL, which must give no rows.
    Statement(String),
    /// PERFORM: a query whose rows are thrown away.
    Perform(String),
    /// IF, ELSIF and ELSE.
    If {
        /// Conditions, and what is done under the first that holds.
        branches: Vec<(String, Vec<Step>)>,
        /// ELSE
        otherwise: Vec<Step>,
    },
}

/// `DO [LANGUAGE name] 'code' [LANGUAGE name]`, if it comes next.
pub fn statement(parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
    let code = |token: &Token| {
        matches!(
            token,
            Token::DollarQuotedString(_)
                | Token::SingleQuotedString(_)
                | Token::EscapedStringLiteral(_)
        )
    };
    let language = word(parser, 1).as_deref() == Some("LANGUAGE");
    if !language && !code(&parser.peek_nth_token_ref(1).token) {
        return None;
    }
    parser.next_token();
    Some(parsed(parser))
}

fn parsed(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    let mut language = given_language(parser)?;
    let code = match parser.next_token().token {
        Token::DollarQuotedString(text) => text.value,
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text,
        other => return parser.expected("a block of code", TokenWithSpan::wrap(other)),
    };
    if language.is_none() {
        language = given_language(parser)?;
    }
    let argument = |text: String| {
        let text = Expr::value(Value::SingleQuotedString(text));
        FunctionArg::Unnamed(FunctionArgExpr::Expr(text))
    };
    let args = [Some(code), language].into_iter().flatten();
    Ok(Statement::Call(Function {
        name: ObjectName::from(vec![Ident::with_quote('"', NAME)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.map(argument).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }))
}

fn given_language(parser: &mut Parser<'_>) -> Result<Option<String>, ParserError> {
    if word(parser, 0).as_deref() != Some("LANGUAGE") {
        return Ok(None);
    }
    parser.next_token();
    let name = parser.parse_identifier()?;
    Ok(Some(match name.quote_style {
        Some(_) => name.value,
        None => name.value.to_lowercase(),
    }))
}

/// What a DO is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The code.
    pub code: String,
    /// The language that it names.
    pub language: Option<String>,
}

/// The code of a DO; None for another CALL.
pub fn of(call: &Function) -> Option<Given> {
    let FunctionArguments::List(list) = &call.args else {
        return None;
    };
    if call.name.0.first()?.as_ident()?.value != NAME {
        return None;
    }
    let mut texts = list.args.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => {
            value.value.clone().into_string()
        }
        _ => None,
    });
    Some(Given {
        code: texts.next()?,
        language: texts.next(),
    })
}

/// The steps of a block.
///
/// # Errors
/// 42601 for what is no block, 0A000 naming what of PL/pgSQL is not here, 54001 for too many blocks inside
/// each other. Linear in the text.
pub fn steps(given: &Given) -> Result<Vec<Step>, Diagnostic> {
    match given.language.as_deref() {
        None | Some("plpgsql") => {}
        Some(other) => {
            return Err(Diagnostic::error(
                SqlState::UNDEFINED_OBJECT,
                format!("language \"{other}\" does not exist"),
            ));
        }
    }
    let mut tokens = Vec::new();
    Tokenizer::new(&NodeDialect, &given.code)
        .tokenize_with_location_into_buf(&mut tokens)
        .map_err(|error| syntax(&error.to_string()))?;
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    let mut reader = Reader {
        places: places(&given.code, &tokens),
        code: &given.code,
        tokens: &tokens,
        place: 0,
        depth: 0,
    };
    let steps = reader.block()?;
    let _ = reader.take(&Token::SemiColon);
    match reader.tokens.get(reader.place) {
        None => Ok(steps),
        Some(_) => Err(reader.unexpected()),
    }
}

fn syntax(what: &str) -> Diagnostic {
    Diagnostic::error(SqlState::SYNTAX_ERROR, what)
}

/// Where each token begins and ends, in bytes. Locations count lines and characters, and come in order, so one
/// pass over the code finds them all.
fn places(code: &str, tokens: &[TokenWithSpan]) -> Vec<Range<usize>> {
    let mut rest = code.char_indices();
    let (mut line, mut column, mut at) = (1, 1, 0);
    let mut reach = |location: Location| {
        while (line, column) < (location.line, location.column) {
            let Some((place, character)) = rest.next() else {
                break;
            };
            at = place + character.len_utf8();
            (line, column) = match character {
                '\n' => (line + 1, 1),
                _ => (line, column + 1),
            };
        }
        at
    };
    let both = tokens
        .iter()
        .map(|token| reach(token.span.start)..reach(token.span.end));
    both.collect()
}

struct Reader<'c> {
    code: &'c str,
    places: Vec<Range<usize>>,
    tokens: &'c [TokenWithSpan],
    place: usize,
    depth: usize,
}

impl Reader<'_> {
    /// An unquoted word, in capitals.
    fn word(&self, ahead: usize) -> Option<String> {
        match &self.tokens.get(self.place + ahead)?.token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
            _ => None,
        }
    }

    fn at(&self, words: &[&str]) -> bool {
        let mut places = words.iter().enumerate();
        places.all(|(ahead, word)| self.word(ahead).as_deref() == Some(*word))
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self
            .tokens
            .get(self.place)
            .is_some_and(|next| next.token == *token);
        self.place += usize::from(found);
        found
    }

    fn demand(&mut self, words: &[&str]) -> Result<(), Diagnostic> {
        for word in words {
            if !self.at(&[word]) {
                return Err(self.unexpected());
            }
            self.place += 1;
        }
        Ok(())
    }

    fn demand_end_of_statement(&mut self) -> Result<(), Diagnostic> {
        match self.take(&Token::SemiColon) {
            true => Ok(()),
            false => Err(self.unexpected()),
        }
    }

    fn unexpected(&self) -> Diagnostic {
        match self.tokens.get(self.place) {
            Some(next) => syntax(&format!("syntax error at or near \"{}\"", next.token)),
            None => syntax("syntax error at end of input"),
        }
    }

    /// `BEGIN … END`
    fn block(&mut self) -> Result<Vec<Step>, Diagnostic> {
        self.refuse()?;
        self.demand(&["BEGIN"])?;
        let steps = self.steps()?;
        self.demand(&["END"])?;
        Ok(steps)
    }

    /// Until a word that ends them.
    fn steps(&mut self) -> Result<Vec<Step>, Diagnostic> {
        if self.depth == NESTING_MAX {
            return Err(Diagnostic::error(
                SqlState::STATEMENT_TOO_COMPLEX,
                format!("blocks of code are nested more than {NESTING_MAX} deep"),
            ));
        }
        self.depth += 1;
        let mut steps = Vec::new();
        loop {
            match self.word(0).as_deref() {
                Some("END" | "ELSE" | "ELSIF" | "ELSEIF") | None => break,
                Some("IF") => steps.push(self.condition()?),
                Some("BEGIN") => {
                    steps.extend(self.block()?);
                    self.demand_end_of_statement()?;
                }
                Some("NULL") => {
                    self.place += 1;
                    self.demand_end_of_statement()?;
                }
                Some("PERFORM") => {
                    self.place += 1;
                    let rest = self.text_until(Reader::at_semicolon)?;
                    self.place += 1;
                    steps.push(Step::Perform(format!("SELECT {rest}")));
                }
                Some(_) => {
                    self.refuse()?;
                    let text = self.text_until(Reader::at_semicolon)?;
                    self.place += 1;
                    steps.push(Step::Statement(text));
                }
            }
        }
        self.depth -= 1;
        Ok(steps)
    }

    /// 0A000 for what begins a statement that is not here.
    fn refuse(&self) -> Result<(), Diagnostic> {
        let next = self.word(0).unwrap_or_default();
        if NOT_HERE.contains(&next.as_str()) {
            return Err(Diagnostic::unsupported(format!(
                "{next} in a block of code"
            )));
        }
        let assigns = self.tokens.get(self.place + 1);
        if assigns.is_some_and(|token| matches!(token.token, Token::Assignment | Token::Eq)) {
            return Err(Diagnostic::unsupported("an assignment in a block of code"));
        }
        Ok(())
    }

    fn condition(&mut self) -> Result<Step, Diagnostic> {
        let (mut branches, mut otherwise) = (Vec::new(), Vec::new());
        loop {
            self.place += 1;
            let condition = self.text_until(|reader| reader.at(&["THEN"]))?;
            self.place += 1;
            branches.push((condition, self.steps()?));
            match self.word(0).as_deref() {
                Some("ELSIF" | "ELSEIF") => {}
                Some("ELSE") => {
                    self.place += 1;
                    otherwise = self.steps()?;
                    break;
                }
                _ => break,
            }
        }
        self.demand(&["END", "IF"])?;
        self.demand_end_of_statement()?;
        Ok(Step::If {
            branches,
            otherwise,
        })
    }

    fn at_semicolon(&self) -> bool {
        let next = self.tokens.get(self.place);
        next.is_some_and(|token| token.token == Token::SemiColon)
    }

    /// The text up to a token that ends it, which stands outside every CASE of it.
    fn text_until(&mut self, ends: impl Fn(&Self) -> bool) -> Result<String, Diagnostic> {
        let first = self.place;
        let mut cases = 0_usize;
        while self.place < self.tokens.len() && !(cases == 0 && ends(self)) {
            if self.at_semicolon() {
                return Err(self.unexpected());
            }
            match self.word(0).as_deref() {
                Some("CASE") => cases += 1,
                Some("END") => cases = cases.saturating_sub(1),
                _ => {}
            }
            self.place += 1;
        }
        if first == self.place || self.place == self.tokens.len() {
            return Err(self.unexpected());
        }
        let (start, end) = (self.places[first].start, self.places[self.place - 1].end);
        Ok(self.code.get(start..end).unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_code(code: &str) -> Result<Vec<Step>, Diagnostic> {
        steps(&Given {
            code: code.to_owned(),
            language: None,
        })
    }

    fn sql(text: &str) -> Step {
        Step::Statement(text.to_owned())
    }

    #[test]
    fn statements_conditions_and_blocks_are_told_apart() {
        let steps = of_code(
            "BEGIN\n  IF EXISTS (SELECT 1 FROM t WHERE ż = CASE WHEN a THEN 1 END) THEN\n    SET a = 'x;y';\n  \
             ELSIF b THEN NULL; ELSE DELETE FROM u; BEGIN INSERT INTO u VALUES (1); END; END IF;\n  PERFORM f(1);\nEND",
        );
        let condition = "EXISTS (SELECT 1 FROM t WHERE ż = CASE WHEN a THEN 1 END)";
        assert_eq!(
            steps.expect("it is a block"),
            [
                Step::If {
                    branches: vec![
                        (condition.to_owned(), vec![sql("SET a = 'x;y'")]),
                        ("b".to_owned(), Vec::new()),
                    ],
                    otherwise: vec![sql("DELETE FROM u"), sql("INSERT INTO u VALUES (1)")],
                },
                Step::Perform("SELECT f(1)".to_owned()),
            ]
        );
    }

    #[test]
    fn what_is_not_here_is_named() {
        for (code, named) in [
            ("DECLARE x int; BEGIN END", "DECLARE in a block of code"),
            (
                "BEGIN FOR i IN 1..2 LOOP END LOOP; END",
                "FOR in a block of code",
            ),
            ("BEGIN x := 1; END", "an assignment in a block of code"),
            (
                "BEGIN NULL; EXCEPTION WHEN others THEN NULL; END",
                "EXCEPTION in a block of code",
            ),
        ] {
            let error = of_code(code).expect_err(code);
            assert_eq!(error.sqlstate(), SqlState::FEATURE_NOT_SUPPORTED, "{code}");
            assert!(error.message().starts_with(named), "{error}");
        }
    }

    #[test]
    fn what_is_no_block_is_a_syntax_error_and_nothing_overflows() {
        for code in [
            "",
            "BEGIN",
            "BEGIN SELECT 1",
            "BEGIN IF a; END",
            "BEGIN IF a THEN b; END",
            "BEGIN ; END",
            "x",
        ] {
            let error = of_code(code).expect_err(code);
            assert_eq!(error.sqlstate(), SqlState::SYNTAX_ERROR, "{code}: {error}");
        }
        let deep = "BEGIN ".repeat(100_000);
        let error = of_code(&deep).expect_err("too deep");
        assert_eq!(error.sqlstate(), SqlState::STATEMENT_TOO_COMPLEX);
    }
}
