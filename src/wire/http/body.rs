//! Reading a request's body (RFC 9112 §6, §7): by its length or in chunks, within a limit.

use super::error::HttpError;
use super::head::{Body, Head};
use super::response::KeepAlive;
use bytes::Buf;
use shards::Stream;
use std::io;
use std::time::Duration;

/// The longest body. Statements are short and rows come in many requests; a session's limit of
/// messages (REFERENCE §6) holds too where it is lower.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// How long a body may take to arrive once its head has.
pub const BODY_DEADLINE: Duration = Duration::from_secs(60);

/// The longest line of a chunk's size, extensions included.
const CHUNK_LINE_BYTES_MAX: usize = 1024;

/// Throws away the body of a request that is refused. The connection goes on only where all of it
/// is here already: nothing is read for whoever has not proved who they are, and what is still to
/// come must not be read as a request.
pub fn pass_over(stream: &Stream, head: &Head) -> KeepAlive {
    let mut inbox = stream.inbox();
    match head.body {
        Body::Empty => head.keep_alive,
        Body::Length(length) if length <= inbox.len() as u64 => {
            inbox.advance(length as usize);
            head.keep_alive
        }
        Body::Length(_) | Body::Chunked => KeepAlive::Close,
    }
}

/// The body, after the 100 Continue that its client may wait for; None when the client went away before its end.
///
/// # Errors
/// 413 past `bytes_max`, 400 for a bad chunk, 408 past [`BODY_DEADLINE`]; the connection cannot go
/// on after one.
pub async fn receive(
    stream: &Stream,
    head: &Head,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, HttpError> {
    if matches!(head.body, Body::Length(length) if length > bytes_max as u64) {
        return Err(HttpError::BodyTooLarge);
    }
    if head.expects_continue && head.body != Body::Empty {
        let mut outbox = stream.outbox();
        outbox.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        drop(outbox);
        stream.flush();
    }
    let received = async {
        match head.body {
            Body::Empty => Ok(Ok(Some(Vec::new()))),
            Body::Length(length) => Ok(Ok(by_length(stream, length as usize).await?)),
            Body::Chunked => by_chunks(stream, bytes_max).await,
        }
    };
    match shards::timeout(BODY_DEADLINE, received).await {
        Ok(Ok(received)) => received,
        Ok(Err(_reset)) => Ok(None),
        Err(shards::Elapsed) => Err(HttpError::TimedOut),
    }
}

type Received = io::Result<Result<Option<Vec<u8>>, HttpError>>;

async fn by_length(stream: &Stream, length: usize) -> io::Result<Option<Vec<u8>>> {
    // Memory grows with what has arrived, not with what was announced.
    let mut body = Vec::new();
    loop {
        take(stream, length - body.len(), &mut body);
        if body.len() == length {
            return Ok(Some(body));
        }
        if stream.fill().await? == 0 {
            return Ok(None);
        }
    }
}

async fn by_chunks(stream: &Stream, bytes_max: usize) -> Received {
    let mut body = Vec::new();
    loop {
        let line = chunk_size(&stream.inbox());
        let size = match line {
            Err(error) => return Ok(Err(error)),
            Ok(None) => None,
            Ok(Some((line, size))) => {
                stream.inbox().advance(line);
                Some(size)
            }
        };
        match size {
            None if stream.fill().await? == 0 => return Ok(Ok(None)),
            None => {}
            Some(0) => return last_chunk(stream, body).await,
            Some(size) => {
                let room = (bytes_max - body.len()) as u64;
                if size > room {
                    return Ok(Err(HttpError::BodyTooLarge));
                }
                let end = body.len() + size as usize;
                while body.len() < end {
                    take(stream, end - body.len(), &mut body);
                    if body.len() < end && stream.fill().await? == 0 {
                        return Ok(Ok(None));
                    }
                }
                match line_end(stream).await? {
                    Ok(true) => {}
                    Ok(false) => return Ok(Ok(None)),
                    Err(error) => return Ok(Err(error)),
                }
            }
        }
    }
}

/// What ends the body: an empty line. Trailer fields are refused; nobody here would look at them.
async fn last_chunk(stream: &Stream, body: Vec<u8>) -> Received {
    Ok(match line_end(stream).await? {
        Ok(true) => Ok(Some(body)),
        Ok(false) => Ok(None),
        Err(error) => Err(error),
    })
}

/// Takes a line's end; false when the client went away.
async fn line_end(stream: &Stream) -> io::Result<Result<bool, HttpError>> {
    while stream.inbox().len() < 2 {
        if stream.fill().await? == 0 {
            return Ok(Ok(false));
        }
    }
    let mut inbox = stream.inbox();
    if !inbox.starts_with(b"\r\n") {
        return Ok(Err(HttpError::Malformed("bad chunk")));
    }
    inbox.advance(2);
    Ok(Ok(true))
}

/// The line of a chunk's size: its length and the size; None while it goes on.
fn chunk_size(bytes: &[u8]) -> Result<Option<(usize, u64)>, HttpError> {
    match httparse::parse_chunk_size(bytes) {
        Ok(httparse::Status::Complete((line, size))) if line <= CHUNK_LINE_BYTES_MAX => {
            Ok(Some((line, size)))
        }
        Ok(httparse::Status::Partial) if bytes.len() <= CHUNK_LINE_BYTES_MAX => Ok(None),
        Ok(_) | Err(_) => Err(HttpError::Malformed("bad chunk")),
    }
}

fn take(stream: &Stream, wanted: usize, body: &mut Vec<u8>) {
    let mut inbox = stream.inbox();
    let length = inbox.len().min(wanted);
    body.extend_from_slice(&inbox[..length]);
    inbox.advance(length);
}
