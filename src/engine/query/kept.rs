//! Rows of a result that are kept to be read again, in either direction: a cursor's.
//!
//! They lie in memory up to a bound, and past it in a file without a name in the spill directory,
//! a batch after the other. The file is written and read on the query pool only: nothing here
//! blocks a session core.

use super::pool::blocking;
use super::{Inner, QueryEngine};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::Source;
use datafusion::arrow::array::{RecordBatch, UInt64Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::SinkExt;
use futures::channel::mpsc;
use std::collections::VecDeque;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of one result that are kept in memory.
pub const KEPT_MEMORY_BYTES_MAX: usize = 16 << 20;

/// Bytes of one result that may lie in its file.
pub const KEPT_FILE_BYTES_MAX: u64 = 4 << 30;

/// Batches read ahead of the session that sends them.
const BATCHES_AHEAD: usize = 2;

/// What names the files, for the moment that they have a name.
static FILES: AtomicU64 = AtomicU64::new(0);

/// What happens to rows for which there is no room in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// They are not kept.
    MemoryOnly,
    /// They go to the file.
    MemoryAndFile,
}

/// Whether rows were kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// They were.
    Yes,
    /// There was no room in memory, and the file was not to be used.
    NoRoom,
}

/// In which order rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they came.
    Forward,
    /// The last first.
    Backward,
}

/// Kept rows, numbered from 0 in the order they came.
pub struct KeptRows {
    engine: Arc<Inner>,
    memory: MemoryReservation,
    memory_bytes: usize,
    chunks: VecDeque<Chunk>,
    rows: u64,
    file: Option<Arc<KeptFile>>,
}

#[derive(Clone)]
struct Chunk {
    first: u64,
    rows: u64,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Memory(RecordBatch, usize),
    File {
        file: Arc<KeptFile>,
        offset: u64,
        bytes: usize,
    },
}

impl QueryEngine {
    /// Keeps the rows of a result; none yet.
    pub fn kept_rows(&self) -> KeptRows {
        KeptRows {
            engine: self.0.clone(),
            memory: self.reservation(),
            memory_bytes: 0,
            chunks: VecDeque::new(),
            rows: 0,
            file: None,
        }
    }
}

impl KeptRows {
    /// How many rows have come, those forgotten included.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds rows. Awaits the pool where they go to the file: it does not block the core.
    ///
    /// # Errors
    /// 54000 past [`KEPT_FILE_BYTES_MAX`], 53100 when the disk or the share of all results in it is
    /// full, 58030.
    pub async fn push(&mut self, batch: RecordBatch, room: Room) -> Result<Kept, Diagnostic> {
        let rows = batch.num_rows() as u64;
        let bytes = batch.get_array_memory_size();
        let fits = self.memory_bytes + bytes <= KEPT_MEMORY_BYTES_MAX;
        let place = if fits && self.memory.try_grow(bytes).is_ok() {
            self.memory_bytes += bytes;
            Place::Memory(batch, bytes)
        } else if room == Room::MemoryOnly {
            return Ok(Kept::NoRoom);
        } else {
            self.write(batch).await?
        };
        self.chunks.push_back(Chunk {
            first: self.rows,
            rows,
            place,
        });
        self.rows += rows;
        Ok(Kept::Yes)
    }

    async fn write(&mut self, batch: RecordBatch) -> Result<Place, Diagnostic> {
        let (engine, file) = (self.engine.clone(), self.file.clone());
        let written = self.engine.pool.run(async move {
            blocking(move || {
                let file = match file {
                    Some(file) => file,
                    None => Arc::new(KeptFile::make(engine)?),
                };
                let (offset, bytes) = file.append(&batch)?;
                Ok(Place::File {
                    file,
                    offset,
                    bytes,
                })
            })
        });
        let place = written.await?;
        if let Ok(Place::File { file, .. }) = &place {
            self.file = Some(file.clone());
        }
        place
    }

    /// Rows before this one are not read again.
    pub fn forget_before(&mut self, row: u64) {
        while let Some(chunk) = self.chunks.front()
            && chunk.first + chunk.rows <= row
        {
            if let Place::Memory(_, bytes) = &chunk.place {
                self.memory.shrink(*bytes);
                self.memory_bytes -= bytes;
            }
            self.chunks.pop_front();
        }
    }

    /// Reads rows that are kept. Those that lie in memory are there at once; the others come from
    /// the pool.
    pub fn read(&self, range: Range<u64>, order: Order) -> Source {
        let from = self
            .chunks
            .partition_point(|chunk| chunk.first + chunk.rows <= range.start);
        let wanted = self.chunks.iter().skip(from);
        let wanted: Vec<Chunk> = wanted
            .take_while(|chunk| chunk.first < range.end)
            .cloned()
            .collect();
        let ready = wanted.iter().map(|chunk| match (&chunk.place, order) {
            (Place::Memory(batch, _), Order::Forward) => Some(chunk.part(batch, &range)),
            _ => None,
        });
        if let Some(ready) = ready.collect::<Option<Vec<_>>>() {
            return Source::Ready(ready.into_iter());
        }
        let (mut sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let in_order: Vec<Chunk> = match order {
            Order::Forward => wanted,
            Order::Backward => wanted.into_iter().rev().collect(),
        };
        self.engine.pool.handle().spawn(async move {
            for chunk in in_order {
                let read = blocking(|| chunk.read(&range, order));
                let failed = read.is_err();
                // Nobody listening any more is no error.
                if sender.send(read).await.is_err() || failed {
                    return;
                }
            }
        });
        Source::Pool(receiver.into())
    }
}

impl Chunk {
    /// The rows of this chunk, as its batch, that are within a range of the result.
    fn part(&self, batch: &RecordBatch, range: &Range<u64>) -> RecordBatch {
        let within = |row: u64| {
            let row = row.clamp(self.first, self.first + self.rows) - self.first;
            usize::try_from(row).expect("a batch is in memory")
        };
        let (start, end) = (within(range.start), within(range.end));
        batch.slice(start, end - start)
    }

    fn read(&self, range: &Range<u64>, order: Order) -> Result<RecordBatch, Diagnostic> {
        let part = match &self.place {
            Place::Memory(batch, _) => self.part(batch, range),
            Place::File {
                file,
                offset,
                bytes,
            } => self.part(&file.read(*offset, *bytes)?, range),
        };
        match order {
            Order::Forward => Ok(part),
            Order::Backward => {
                let backward = UInt64Array::from_iter_values((0..part.num_rows() as u64).rev());
                take_record_batch(&part, &backward).map_err(unreadable)
            }
        }
    }
}

/// One result's file: batches one after the other, each a stream of Arrow's IPC format.
struct KeptFile {
    file: File,
    end: AtomicU64,
    engine: Arc<Inner>,
}

impl KeptFile {
    /// A fresh file, whose name is gone already.
    fn make(engine: Arc<Inner>) -> Result<KeptFile, Diagnostic> {
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let path = engine
            .options
            .spill_directory
            .join(format!("kept-{process}-{number}"));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|file| std::fs::remove_file(&path).map(|()| file))
            .map_err(|error| failure("make a file for a cursor's rows", &error))?;
        Ok(KeptFile {
            file,
            end: AtomicU64::new(0),
            engine,
        })
    }

    /// Writes a batch at the end; where it begins and how long it is. One writer at a time.
    fn append(&self, batch: &RecordBatch) -> Result<(u64, usize), Diagnostic> {
        let encoded = encode(batch).map_err(unreadable)?;
        let (offset, bytes) = (self.end.load(Ordering::Relaxed), encoded.len());
        if offset + bytes as u64 > KEPT_FILE_BYTES_MAX {
            return Err(Diagnostic::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("the rows of one cursor exceed {KEPT_FILE_BYTES_MAX} bytes"),
            )
            .with_hint("Declare it with NO SCROLL and without WITH HOLD."));
        }
        let on_disk = &self.engine.kept_bytes;
        let used = on_disk.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        self.end.store(offset + bytes as u64, Ordering::Relaxed);
        if used > self.engine.options.spill_bytes_max {
            return Err(Diagnostic::error(
                SqlState::DISK_FULL,
                "the rows of all cursors together exceed what may be kept on disk",
            )
            .with_hint("CLOSE cursors that are no longer used."));
        }
        self.file
            .write_all_at(&encoded, offset)
            .map_err(|error| failure("write a cursor's rows", &error))?;
        Ok((offset, bytes))
    }

    fn read(&self, offset: u64, bytes: usize) -> Result<RecordBatch, Diagnostic> {
        let mut encoded = vec![0; bytes];
        self.file
            .read_exact_at(&mut encoded, offset)
            .map_err(|error| failure("read a cursor's rows", &error))?;
        let mut reader = StreamReader::try_new(&*encoded, None).map_err(unreadable)?;
        match reader.next() {
            Some(batch) => batch.map_err(unreadable),
            None => Err(Diagnostic::internal("a cursor's rows are not in its file")),
        }
    }
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        let bytes = *self.end.get_mut();
        self.engine.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn encode(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

fn failure(operation: &str, error: &std::io::Error) -> Diagnostic {
    let sqlstate = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SqlState::DISK_FULL,
        _ => SqlState::IO_ERROR,
    };
    Diagnostic::error(sqlstate, format!("could not {operation}: {error}"))
}

fn unreadable(error: ArrowError) -> Diagnostic {
    Diagnostic::internal(format!("a cursor's rows: {error}"))
}
