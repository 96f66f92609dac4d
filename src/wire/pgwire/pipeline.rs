//! The extended query protocol's messages carried out on the session (PostgreSQL §55.2.3).
//!
//! An error makes the connection pass over everything up to Sync; the implicit transaction of a
//! pipeline ends there.

use super::connection::Connection;
use super::extended::{Bind, Execute, Parse, Target};
use super::message::Message;
use super::reply;
use super::rows::result_formats;
use super::send::Description;
use crate::diagnostic::Diagnostic;
use crate::engine::types;
use crate::session::Answer;
use crate::session::extended::Executed;
use crate::session::format::{Format, ResultFormats};
use crate::session::prepared::{Portal, Prepared, Progress};
use crate::wire::attended::within;
use bytes::BytesMut;
use std::pin::pin;

impl Connection {
    pub(super) async fn extended(&mut self, message: Message<'_>) -> Result<(), Diagnostic> {
        match message {
            Message::Parse(parse) => Box::pin(self.parse(parse)).await,
            Message::Bind(bind) => self.bind(bind),
            Message::Describe(describe) => self.describe(describe.0),
            Message::Execute(execute) => self.execute(execute).await,
            Message::Close(close) => {
                match close.0 {
                    Target::Statement(name) => self.session.close_statement(name),
                    Target::Portal(name) => self.session.close_portal(name),
                }
                reply::close_complete(&mut self.stream.outbox());
                Ok(())
            }
            Message::Query(_)
            | Message::Sync
            | Message::Flush
            | Message::Terminate
            | Message::CopyData(_)
            | Message::CopyDone
            | Message::CopyFail(_)
            | Message::FunctionCall => unreachable!("the connection takes these itself"),
        }
    }

    async fn parse(&mut self, parse: Parse<'_>) -> Result<(), Diagnostic> {
        self.session.adopt()?;
        let types: Vec<u32> = parse.parameter_types().collect();
        let limit = self.session.settings().statement_timeout();
        let handle = self.session.handle().clone();
        let preparing = self.session.prepare(parse.statement, parse.text, &types);
        within(&handle, limit, pin!(preparing)).await?;
        reply::parse_complete(&mut self.stream.outbox());
        Ok(())
    }

    fn bind(&mut self, bind: Bind<'_>) -> Result<(), Diagnostic> {
        self.session.adopt()?;
        let prepared = self.session.prepared(bind.statement)?;
        let columns = prepared.fields.as_ref().map_or(0, |fields| fields.len());
        let formats = match columns {
            0 => ResultFormats::Text,
            columns => result_formats(bind.result_formats, columns)?,
        };
        let count = bind.parameter_count();
        let values = bind.parameters();
        self.session
            .bind(bind.portal, prepared, count, values, formats)?;
        reply::bind_complete(&mut self.stream.outbox());
        Ok(())
    }

    fn describe(&mut self, target: Target<'_>) -> Result<(), Diagnostic> {
        match target {
            Target::Statement(name) => {
                let prepared = self.session.prepared(name)?;
                let mut outbox = self.stream.outbox();
                let types = prepared.parameters.iter();
                reply::parameter_description(&mut outbox, types.map(|kind| types::oid(*kind).0));
                describe_rows(&mut outbox, &prepared, &ResultFormats::Text);
            }
            Target::Portal(name) => {
                let portal = self.session.portal(name)?;
                let mut outbox = self.stream.outbox();
                describe_rows(&mut outbox, &portal.prepared, &portal.formats);
            }
        }
        Ok(())
    }

    async fn execute(&mut self, execute: Execute<'_>) -> Result<(), Diagnostic> {
        let mut portal = self.session.take_portal(execute.portal)?;
        let limit = self.session.settings().statement_timeout();
        let handle = self.session.handle().clone();
        let running = self.run_portal(&mut portal, execute.rows_max);
        within(&handle, limit, pin!(running)).await?;
        self.session.put_back(execute.portal, portal);
        Ok(())
    }

    async fn run_portal(
        &mut self,
        portal: &mut Portal,
        rows_max: Option<u64>,
    ) -> Result<(), Diagnostic> {
        let tag = match self.session.execute(portal).await? {
            Executed::Empty => {
                reply::empty_query(&mut self.stream.outbox());
                return Ok(());
            }
            Executed::Finished(tag) => tag,
            Executed::Answer(Answer::Done(tag)) => tag,
            Executed::Answer(Answer::CopyIn(copy)) => Box::pin(self.copy_in(*copy)).await?,
            Executed::Answer(Answer::CopyOut(copy)) => Box::pin(self.copy_out(*copy)).await?,
            Executed::Answer(Answer::Rows(mut cursor)) | Executed::Rows(mut cursor) => {
                let formats = portal.formats.clone();
                let sent = self
                    .send_rows(&mut cursor, &formats, rows_max, Description::Told)
                    .await?;
                if rows_max == Some(sent) && !cursor.is_at_end().await? {
                    portal.progress = Progress::Suspended(*cursor);
                    self.send_notices();
                    reply::portal_suspended(&mut self.stream.outbox());
                    return Ok(());
                }
                portal.progress = Progress::Finished(Some(cursor.tag(0)));
                cursor.tag(sent)
            }
        };
        self.send_notices();
        reply::command_complete(&mut self.stream.outbox(), tag);
        Ok(())
    }
}

/// RowDescription or NoData; that of all-text formats is kept with the statement.
fn describe_rows(outbox: &mut BytesMut, prepared: &Prepared, formats: &ResultFormats) {
    let Some(fields) = &prepared.fields else {
        return reply::no_data(outbox);
    };
    if *formats != ResultFormats::Text {
        return reply::row_description(outbox, fields, |index| formats.of(index));
    }
    let described = prepared.described.get_or_init(|| {
        let mut encoded = BytesMut::new();
        reply::row_description(&mut encoded, fields, |_| Format::Text);
        encoded.to_vec().into_boxed_slice()
    });
    outbox.extend_from_slice(described);
}
