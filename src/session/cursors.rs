//! SQL's cursors: DECLARE, FETCH, MOVE and CLOSE. A cursor is a portal whose query has begun.

use super::cursor::Cursor;
use super::prepared::{Body, Declared, Hold, Portal, Prepared, Progress};
use super::scroll::{Back, Count, Direction, Scroll};
use super::services::now_microseconds;
use super::transaction::{Block, only_in_a_block};
use super::{Answer, Session, command};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::{CommandTag, ResultField, Rows, Source};
use crate::session::format::ResultFormats;
use crate::sql::fetch::Verb;
use crate::sql::scrolls;
use datafusion::common::ScalarValue;
use sqlparser::ast::{self, DeclareType, FetchDirection, Statement, ValueWithSpan};
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

/// DECLARE … CURSOR, told apart.
#[derive(Debug)]
pub struct Declaration {
    /// The cursor.
    pub name: String,
    /// What it reads.
    pub query: Box<ast::Query>,
    /// Whether it goes back.
    pub back: Back,
    /// WITH HOLD
    pub hold: Hold,
}

/// Tells DECLARE apart.
///
/// # Errors
/// 0A000 for BINARY; 42P11 and 0A000 for what does not go together.
pub fn declaration(declared: Vec<ast::Declare>) -> Result<Declaration, Diagnostic> {
    let mut declared = declared.into_iter();
    let (Some(declare), None) = (declared.next(), declared.next()) else {
        return Err(Diagnostic::unsupported("DECLARE of several"));
    };
    if declare.declare_type != Some(DeclareType::Cursor) {
        return Err(Diagnostic::unsupported("DECLARE of this kind"));
    }
    if declare.binary == Some(true) {
        return Err(Diagnostic::unsupported("DECLARE BINARY CURSOR"));
    }
    let (Some(name), Some(query)) = (declare.names.first(), declare.for_query) else {
        return Err(Diagnostic::unsupported("DECLARE without a query"));
    };
    if let Some(verb) = changes(&query) {
        return Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            format!("syntax error at or near \"{verb}\""),
        ));
    }
    let locks = query.locks.first().map(|lock| {
        let strength = lock.lock_type.to_string();
        format!("FOR {strength}")
    });
    if let Some(locks) = locks {
        let refused = [
            (declare.hold, "WITH HOLD", "Holdable"),
            (declare.scroll, "SCROLL", "Scrollable"),
        ];
        for (given, option, cursors) in refused {
            if given == Some(true) {
                let option = match option {
                    "SCROLL" => "SCROLL CURSOR".to_owned(),
                    other => format!("CURSOR {other}"),
                };
                return Err(
                    Diagnostic::unsupported(format!("DECLARE {option} ... {locks}"))
                        .with_detail(format!("{cursors} cursors must be READ ONLY.")),
                );
            }
        }
        if declare.sensitive == Some(true) {
            return Err(Diagnostic::error(
                SqlState::INVALID_CURSOR_DEFINITION,
                format!("DECLARE INSENSITIVE CURSOR ... {locks} is not valid"),
            )
            .with_detail("Insensitive cursors must be READ ONLY."));
        }
    }
    let back = match declare.scroll {
        Some(true) => Back::Always,
        Some(false) => Back::Never,
        None if scrolls::by_itself(&query) => Back::WhileInMemory,
        None => Back::Never,
    };
    let hold = match declare.hold {
        Some(true) => Hold::WhenCommitted,
        Some(false) | None => Hold::No,
    };
    Ok(Declaration {
        name: command::folded(name),
        query,
        back,
        hold,
    })
}

/// What a cursor does not read: sqlparser takes a statement that changes rows for a query.
fn changes(query: &ast::Query) -> Option<&'static str> {
    match &*query.body {
        ast::SetExpr::Insert(_) => Some("INSERT"),
        ast::SetExpr::Update(_) => Some("UPDATE"),
        ast::SetExpr::Delete(_) => Some("DELETE"),
        ast::SetExpr::Merge(_) => Some("MERGE"),
        _ => None,
    }
}

/// Tells where a FETCH goes.
///
/// # Errors
/// 42601 for a number past int4, as PostgreSQL's grammar has it.
pub fn direction(direction: &FetchDirection) -> Result<Direction, Diagnostic> {
    let number = |limit: &ValueWithSpan| -> Result<i64, Diagnostic> {
        let text = limit.value.to_string();
        let number: Option<i32> = text.parse().ok();
        number.map(i64::from).ok_or_else(|| {
            Diagnostic::error(
                SqlState::SYNTAX_ERROR,
                format!(
                    "syntax error at or near \"{}\"",
                    text.trim_start_matches('-')
                ),
            )
        })
    };
    // A negative number of rows goes the other way.
    let forward = |rows: i64| match rows {
        0.. => Direction::Forward(Count::Rows(rows.unsigned_abs())),
        _ => Direction::Backward(Count::Rows(rows.unsigned_abs())),
    };
    Ok(match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => forward(1),
        FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) } => {
            forward(number(limit)?)
        }
        FetchDirection::All | FetchDirection::ForwardAll => Direction::Forward(Count::All),
        FetchDirection::Prior | FetchDirection::Backward { limit: None } => forward(-1),
        FetchDirection::Backward { limit: Some(limit) } => forward(-number(limit)?),
        FetchDirection::BackwardAll => Direction::Backward(Count::All),
        FetchDirection::First => Direction::Absolute(1),
        FetchDirection::Last => Direction::Absolute(-1),
        FetchDirection::Absolute { limit } => Direction::Absolute(number(limit)?),
        FetchDirection::Relative { limit } => Direction::Relative(number(limit)?),
    })
}

impl Session {
    /// DECLARE: the query begins, and its rows wait.
    ///
    /// # Errors
    /// 25P01 outside a transaction block unless WITH HOLD, 42P03 for a name that is taken, what the
    /// query fails with.
    pub(super) async fn run_declare(
        &mut self,
        declaration: Declaration,
        text: &Arc<str>,
    ) -> Result<Answer, Diagnostic> {
        self.admit_cursor(&declaration)?;
        let query = Statement::Query(declaration.query.clone());
        let answer = Box::pin(self.run_engine(query, text)).await?;
        self.keep_cursor(declaration, text.clone(), answer)
    }

    /// DECLARE of the extended protocol: its query was prepared with it, and has been given
    /// parameters.
    ///
    /// # Errors
    /// As [`Session::run_declare`].
    pub(super) async fn run_prepared_declare(
        &mut self,
        declaration: Declaration,
        prepared: &Prepared,
        parameters: &[ScalarValue],
    ) -> Result<Answer, Diagnostic> {
        self.admit_cursor(&declaration)?;
        let Body::Engine { source, .. } = &prepared.body else {
            return Err(Diagnostic::internal("a cursor's query is none"));
        };
        let answer = Box::pin(self.execute_engine(prepared, parameters)).await?;
        self.keep_cursor(declaration, source.text.clone(), answer)
    }

    /// Whether a cursor may be declared now.
    fn admit_cursor(&mut self, declaration: &Declaration) -> Result<(), Diagnostic> {
        let Declaration { name, hold, .. } = declaration;
        let hold = *hold;
        if hold == Hold::No && !matches!(self.block, Block::Explicit(_)) {
            return Err(only_in_a_block("DECLARE CURSOR"));
        }
        if self.named.portal(name).is_ok() {
            return Err(Diagnostic::error(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{name}\" already exists"),
            ));
        }
        Ok(())
    }

    /// Its query has begun: its rows wait.
    fn keep_cursor(
        &mut self,
        declaration: Declaration,
        statement: Arc<str>,
        answer: Answer,
    ) -> Result<Answer, Diagnostic> {
        let Declaration {
            name, back, hold, ..
        } = declaration;
        let Answer::Rows(cursor) = answer else {
            return Err(Diagnostic::internal(
                "a cursor's query answered without rows",
            ));
        };
        let kept = self.services.parts.engine.query().kept_rows();
        let portal = Portal {
            prepared: Rc::new(Prepared {
                body: Body::Empty,
                parameters: Box::default(),
                fields: Some(cursor.fields().clone()),
                described: OnceCell::new(),
            }),
            parameters: Vec::new(),
            formats: ResultFormats::Text,
            progress: Progress::Scrolling(Box::new(Scroll::new(*cursor, kept, back))),
            level: self.block.savepoints(),
            declared: Some(Declared {
                statement,
                hold,
                scrolls: back != Back::Never,
                at: now_microseconds(),
            }),
        };
        let portals_max = self.services.parts.limits.portals_max;
        self.named.add_portal(&name, portal, portals_max)?;
        Ok(Answer::Done(CommandTag::Plain("DECLARE CURSOR")))
    }

    /// What FETCH of a cursor gives.
    ///
    /// # Errors
    /// 34000
    pub(super) fn cursor_fields(&mut self, name: &str) -> Result<Arc<[ResultField]>, Diagnostic> {
        let portal = self.named.portal(name).map_err(|_| no_cursor(name))?;
        let fields = portal.prepared.fields.clone();
        Ok(fields.unwrap_or_else(|| Arc::from([])))
    }

    /// FETCH and MOVE. A portal that Execute has left half way, or has not run, is a cursor that goes forward.
    ///
    /// # Errors
    /// 34000, 55000 for going back where it does not or after a failure, what the query fails with.
    pub(super) async fn run_fetch(
        &mut self,
        name: &str,
        direction: Direction,
        verb: Verb,
    ) -> Result<Answer, Diagnostic> {
        let fields = self.cursor_fields(name)?;
        let mut portal = self.named.take_portal(name)?;
        let progress = std::mem::replace(&mut portal.progress, Progress::Failed);
        let mut scroll = match progress {
            Progress::Scrolling(scroll) => scroll,
            Progress::Suspended(cursor) => {
                let kept = self.services.parts.engine.query().kept_rows();
                Box::new(Scroll::new(cursor, kept, Back::Never))
            }
            Progress::Bound => match Box::pin(self.begin_rows(&portal)).await {
                Ok(cursor) => {
                    let kept = self.services.parts.engine.query().kept_rows();
                    Box::new(Scroll::new(*cursor, kept, Back::Never))
                }
                Err(error) => {
                    self.named.put_portal_back(name, portal);
                    return Err(error);
                }
            },
            unscrolled => {
                let refused = match &unscrolled {
                    Progress::Failed => Err(cannot_be_run(name)),
                    _ => Ok(()),
                };
                portal.progress = unscrolled;
                self.named.put_portal_back(name, portal);
                refused?;
                return Ok(fetched(
                    fields,
                    verb,
                    0,
                    Source::Ready(Vec::new().into_iter()),
                ));
            }
        };
        let handle = self.entry.clone();
        let went = Box::pin(scroll.fetch(direction, verb, &handle)).await;
        if went.is_ok() {
            portal.progress = Progress::Scrolling(scroll);
        }
        // One that has failed stays as such, in case its transaction goes on from a savepoint.
        self.named.put_portal_back(name, portal);
        let went = went?;
        Ok(fetched(fields, verb, went.count, went.rows))
    }

    /// Begins the query of a portal that Bind has made.
    ///
    /// # Errors
    /// 0A000 for a statement that gives no rows; what the query fails with.
    async fn begin_rows(&mut self, portal: &Portal) -> Result<Box<Cursor>, Diagnostic> {
        let prepared = portal.prepared.clone();
        if !matches!(prepared.body, Body::Engine { .. }) || prepared.fields.is_none() {
            return Err(without_rows());
        }
        match self.execute_engine(&prepared, &portal.parameters).await? {
            Answer::Rows(cursor) => Ok(cursor),
            _ => Err(without_rows()),
        }
    }

    /// COMMIT keeps the rows of cursors WITH HOLD: they are read to their end.
    ///
    /// # Errors
    /// What their queries fail with, 54000, 53100; the transaction is then to be rolled back.
    pub(super) async fn hold_cursors(&mut self) -> Result<(), Diagnostic> {
        for name in self.named.portals_to_hold() {
            let mut portal = self.named.take_portal(&name)?;
            if let Progress::Scrolling(scroll) = &mut portal.progress {
                let handle = self.entry.clone();
                Box::pin(scroll.hold(&handle)).await?;
            }
            if let Some(declared) = &mut portal.declared {
                declared.hold = Hold::Held;
            }
            self.named.put_portal_back(&name, portal);
        }
        Ok(())
    }
}

fn without_rows() -> Diagnostic {
    Diagnostic::unsupported("FETCH from a portal whose statement gives no rows")
}

fn fetched(fields: Arc<[ResultField]>, verb: Verb, count: u64, source: Source) -> Answer {
    match verb {
        Verb::Fetch => Answer::rows(Rows {
            fields,
            tag: CommandTag::Fetch(count),
            source,
            memory: None,
        }),
        Verb::Move => Answer::Done(CommandTag::Move(count)),
    }
}

/// 55000 for a portal whose execution has failed, or that has run.
pub(super) fn cannot_be_run(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("portal \"{name}\" cannot be run"),
    )
}

fn no_cursor(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_CURSOR_NAME,
        format!("cursor \"{name}\" does not exist"),
    )
}
