//! The stored pieces of a report as a blocking reader, for the parser's thread.

use super::{domain::PIECE, repo};
use crate::kernel::{Ctx, Db, Error};
use stance_importers::container::Stored;
use stance_shared::ReportId;
use std::{
    io::{self, Read},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// A report's pieces in the database. Can be opened again and again; holds one piece at a time.
pub struct Pieces {
    pub db: Db,
    pub ctx: Ctx,
    pub report: ReportId,
    /// All pieces together.
    pub bytes: u64,
    /// Runs the queries for the parser's thread.
    pub runtime: Handle,
    /// The furthest byte (as stored) that was read, for progress.
    pub read: Arc<AtomicU64>,
    /// Nobody waits for the parser any more.
    pub cancelled: CancellationToken,
    /// Why a piece could not be had, which is not the report's fault.
    pub failure: Failure,
}

/// What failed beneath the reader, whatever an importer makes of the reader's error.
#[derive(Clone, Default)]
pub struct Failure(Arc<Mutex<Option<Error>>>);

impl Failure {
    pub fn take(&self) -> Option<Error> {
        self.0.lock().ok()?.take()
    }
}

impl Stored for Pieces {
    fn size(&self) -> u64 {
        self.bytes
    }

    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + '_>> {
        // Every piece but the last is full.
        let next = i32::try_from(offset / PIECE as u64).map_err(io::Error::other)?;
        let mut reader =
            PieceReader { pieces: self, next, piece: Vec::new(), at: 0, consumed: offset - offset % PIECE as u64 };
        reader.fetch()?;
        reader.at = reader.piece.len().min(usize::try_from(offset % PIECE as u64).map_err(io::Error::other)?);
        Ok(Box::new(reader))
    }
}

struct PieceReader<'a> {
    pieces: &'a Pieces,
    next: i32,
    piece: Vec<u8>,
    at: usize,
    consumed: u64,
}

impl PieceReader<'_> {
    fn fetch(&mut self) -> io::Result<()> {
        let Pieces { db, ctx, report, runtime, cancelled, failure, .. } = self.pieces;
        if cancelled.is_cancelled() {
            return Err(io::Error::other("the import was stopped"));
        }
        let piece = runtime.block_on(repo::piece(db, ctx, *report, self.next));
        self.piece = match piece {
            Ok(piece) => piece.unwrap_or_default(),
            Err(error) => {
                let said = io::Error::other(error.public.clone());
                if let Ok(mut failure) = failure.0.lock() {
                    *failure = Some(error);
                }
                return Err(said);
            }
        };
        self.at = 0;
        self.next += 1;
        self.consumed += self.piece.len() as u64;
        self.pieces.read.fetch_max(self.consumed, Ordering::Relaxed);
        Ok(())
    }
}

impl Read for PieceReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() && !self.piece.is_empty() {
            self.fetch()?;
        }
        let n = buffer.len().min(self.piece.len() - self.at);
        buffer[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
