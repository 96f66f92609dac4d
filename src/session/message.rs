//! The statements of one message: parsed as a whole before the first one runs.
//!
//! Credential statements have a grammar of their own, so the text is cut at its semicolons first;
//! when none of the pieces is one of theirs, the whole text is parsed, and positions are of it.

use super::Session;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::sql::credential::{self, CredentialStatement};
use crate::sql::parse;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;

/// Texts longer than this are parsed off the session core (DESIGN §2).
pub const TEXT_BYTES_ON_CORE_MAX: usize = 8 * 1024;

/// What a message asks for.
#[derive(Debug)]
pub enum Message {
    /// Nothing.
    Empty,
    /// Ordinary statements of the text, run in one transaction.
    Statements(Arc<str>, Vec<parse::Statement>),
    /// Credential statements, each taking effect in turn.
    Credentials(Vec<CredentialStatement>),
    /// Both, of the kinds that may stand together.
    Mixed(Vec<Piece>),
}

/// One statement of a mixed message.
#[derive(Debug)]
pub enum Piece {
    /// An ordinary one, and its text.
    Statement(Arc<str>, Box<parse::Statement>),
    /// SHOW of credentials, or a grant on tables.
    Credential(CredentialStatement),
}

/// One statement of a message, to be run in its turn.
#[derive(Debug)]
pub struct Step {
    /// The statement.
    pub piece: Piece,
    /// Whether the implicit transaction ends with it.
    pub tail: Tail,
}

/// Whether a statement is the last of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// More of the same transaction follow.
    More,
    /// The implicit transaction ends with it.
    Last,
}

impl Message {
    /// Its statements in order; none for an empty one. Ordinary ones are one transaction; each
    /// credential statement takes effect in its turn, whatever becomes of the next.
    pub fn into_steps(self) -> Vec<Step> {
        let (pieces, alone) = match self {
            Message::Empty => (Vec::new(), false),
            Message::Statements(text, statements) => {
                let pieces = statements
                    .into_iter()
                    .map(|statement| Piece::Statement(text.clone(), Box::new(statement)));
                (pieces.collect(), false)
            }
            Message::Credentials(all) => (all.into_iter().map(Piece::Credential).collect(), true),
            Message::Mixed(pieces) => (pieces, false),
        };
        let last = pieces.len().saturating_sub(1);
        let steps = pieces.into_iter().enumerate().map(|(index, piece)| {
            let tail = if alone || index == last {
                Tail::Last
            } else {
                Tail::More
            };
            Step { piece, tail }
        });
        steps.collect()
    }
}

impl Session {
    /// Parses a message; long texts off the core.
    ///
    /// # Errors
    /// 42601 and whatever else is wrong with the text; 25001 for a credential statement beside
    /// others.
    pub async fn parse_message(&self, text: &str) -> Result<Message, Diagnostic> {
        if text.len() <= TEXT_BYTES_ON_CORE_MAX {
            return message(text);
        }
        let owned = text.to_owned();
        let off_core = self.services.parts.off_core.clone();
        let parsing = off_core.run(move || message(&owned));
        self.interruptible(pin!(parsing)).await?
    }
}

/// Parses a message.
///
/// # Errors
/// As [`Session::parse_message`].
pub fn message(text: &str) -> Result<Message, Diagnostic> {
    let pieces: Vec<Range<usize>> = split(text);
    if !pieces
        .iter()
        .any(|piece| may_be_credential(&text[piece.clone()]))
    {
        return ordinary(text);
    }
    let mut parsed = Vec::with_capacity(pieces.len());
    for piece in &pieces {
        let own = credential::parse(&text[piece.clone()])
            .transpose()
            .map_err(|error| moved(error, text, piece.start))?;
        parsed.push((piece.clone(), own));
    }
    if parsed.iter().all(|(_, own)| own.is_none()) {
        return ordinary(text);
    }
    let alone = parsed
        .iter()
        .filter_map(|(_, own)| own.as_ref())
        .find(|own| own.stands_alone());
    if parsed.iter().all(|(_, own)| own.is_some()) {
        let all = parsed.into_iter().filter_map(|(_, own)| own).collect();
        return Ok(Message::Credentials(all));
    }
    if let Some(alone) = alone {
        return Err(Diagnostic::error(
            SqlState::ACTIVE_SQL_TRANSACTION,
            format!(
                "{} cannot be mixed with other statements in one message",
                alone.title()
            ),
        ));
    }
    let mut mixed = Vec::new();
    for (piece, own) in parsed {
        match own {
            Some(own) => mixed.push(Piece::Credential(own)),
            None => {
                let own: Arc<str> = Arc::from(&text[piece.clone()]);
                let statements =
                    parse::parse(&own).map_err(|error| moved(error, text, piece.start))?;
                let pieces = statements
                    .into_iter()
                    .map(|statement| Piece::Statement(own.clone(), Box::new(statement)));
                mixed.extend(pieces);
            }
        }
    }
    Ok(Message::Mixed(mixed))
}

fn ordinary(text: &str) -> Result<Message, Diagnostic> {
    let statements = parse::parse(text)?;
    Ok(if statements.is_empty() {
        Message::Empty
    } else {
        Message::Statements(Arc::from(text), statements)
    })
}

/// An error of a piece, with its position in the whole text.
fn moved(error: Diagnostic, text: &str, start: usize) -> Diagnostic {
    match error.fields().position {
        Some(position) => {
            let before = text[..start].chars().count();
            let before = u32::try_from(before).unwrap_or(u32::MAX);
            error.with_position(position.saturating_add(before))
        }
        None => error,
    }
}

/// Whether the first word is one that a credential statement begins with.
fn may_be_credential(piece: &str) -> bool {
    const WORDS: [&str; 10] = [
        "create", "alter", "drop", "grant", "revoke", "show", "explain", "kill", "verify", "use",
    ];
    let word = piece
        .split(|character: char| !character.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// The pieces between the semicolons that are not inside a text, a name or a comment; each begins
/// at its first word, and empty ones are left out.
pub fn split(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut pieces = Vec::new();
    let mut start = None;
    let mut at = 0;
    while at < bytes.len() {
        let next = skip(text, at);
        match bytes[at] {
            b';' => {
                if let Some(from) = start.take() {
                    pieces.push(from..at);
                }
            }
            b'-' | b'/' if is_comment(bytes, at) => {}
            byte if byte.is_ascii_whitespace() => {}
            _ => {
                start.get_or_insert(at);
            }
        }
        at = next;
    }
    if let Some(from) = start {
        pieces.push(from..bytes.len());
    }
    pieces
}

fn is_comment(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at..at + 2), Some(b"--" | b"/*"))
}

/// Past the token at this place: a text, name or comment as a whole, anything else by one byte.
fn skip(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    match bytes[at] {
        b'\'' => {
            let escapes = at > 0
                && matches!(bytes[at - 1], b'e' | b'E')
                && !(at > 1 && is_word(bytes[at - 2]));
            past_quoted(bytes, at, b'\'', escapes)
        }
        b'"' => past_quoted(bytes, at, b'"', false),
        b'-' if is_comment(bytes, at) => {
            memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end + 1)
        }
        b'/' if is_comment(bytes, at) => past_comment(bytes, at),
        b'$' if at == 0 || !is_word(bytes[at - 1]) => past_dollar_quoted(text, at),
        _ => at + 1,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn past_quoted(bytes: &[u8], at: usize, quote: u8, escapes: bool) -> usize {
    let mut place = at + 1;
    while place < bytes.len() {
        if escapes && bytes[place] == b'\\' {
            place += 2;
        } else if bytes[place] == quote {
            // A doubled quote is one quote inside: the next round reads what follows.
            return place + 1;
        } else {
            place += 1;
        }
    }
    bytes.len()
}

fn past_comment(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut place = at;
    while place < bytes.len() {
        match bytes.get(place..place + 2) {
            Some(b"/*") => {
                depth += 1;
                place += 2;
            }
            Some(b"*/") => {
                depth -= 1;
                place += 2;
                if depth == 0 {
                    return place;
                }
            }
            _ => place += 1,
        }
    }
    bytes.len()
}

fn past_dollar_quoted(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    let Some(end) = rest[1..].find('$') else {
        return at + 1;
    };
    let tag = &rest[..end + 2];
    let name = &tag[1..tag.len() - 1];
    let is_tag =
        name.bytes().all(is_word) && !name.starts_with(|first: char| first.is_ascii_digit());
    if !is_tag {
        return at + 1;
    }
    match rest[tag.len()..].find(tag) {
        Some(close) => at + tag.len() + close + tag.len(),
        None => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(text: &str) -> Vec<&str> {
        split(text).into_iter().map(|piece| &text[piece]).collect()
    }

    #[test]
    fn semicolons_in_texts_names_and_comments_do_not_cut() {
        assert_eq!(pieces("SELECT 1; SELECT 2"), ["SELECT 1", "SELECT 2"]);
        assert_eq!(pieces("SELECT 'a;b'';c'; x"), ["SELECT 'a;b'';c'", "x"]);
        assert_eq!(pieces(r"SELECT E'a\';b'; x"), [r"SELECT E'a\';b'", "x"]);
        assert_eq!(pieces("SELECT \"a;b\"; x"), ["SELECT \"a;b\"", "x"]);
        assert_eq!(pieces("SELECT $$a;b$$; x"), ["SELECT $$a;b$$", "x"]);
        assert_eq!(pieces("SELECT $q$;$$;$q$; x"), ["SELECT $q$;$$;$q$", "x"]);
        assert_eq!(pieces("SELECT $1; x"), ["SELECT $1", "x"]);
        assert_eq!(pieces("a -- b; c\n; x"), ["a -- b; c\n", "x"]);
        assert_eq!(
            pieces("a /* ; /* ; */ ; */ ; x"),
            ["a /* ; /* ; */ ; */ ", "x"]
        );
    }

    #[test]
    fn pieces_begin_at_their_first_word_and_empty_ones_are_left_out() {
        assert_eq!(pieces(" ;; -- c\n /* d */ SELECT 1 ;; "), ["SELECT 1 "]);
        assert_eq!(pieces("-- only a comment"), Vec::<&str>::new());
        assert_eq!(pieces("'unterminated; text"), ["'unterminated; text"]);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_into_pieces_of_itself(text in "[ ;'\"$a/*\\-\n\\\\Eé]{0,40}") {
            let mut end = 0;
            for piece in split(&text) {
                prop_assert!(piece.start >= end && piece.end <= text.len());
                end = piece.end;
            }
        }
    }
}
