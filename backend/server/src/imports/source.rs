//! The stored pieces of a report as a blocking reader, for the parser's thread.

use super::{domain::MAX_DECOMPRESSED, repo};
use crate::kernel::{Ctx, Db};
use flate2::read::MultiGzDecoder;
use stance_importers::Source;
use stance_shared::ReportId;
use std::{
    io::{self, Read},
    sync::{
        Arc,
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
    /// Runs the queries for the parser's thread.
    pub runtime: Handle,
    /// The furthest byte (as stored) that was read, for progress.
    pub read: Arc<AtomicU64>,
    /// Nobody waits for the parser any more.
    pub cancelled: CancellationToken,
}

impl Source for Pieces {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        let mut reader = PieceReader { pieces: self, next: 0, piece: Vec::new(), at: 0, consumed: 0 };
        reader.fetch()?;
        // By magic and not by what the upload said: a compressed file is one whoever sends it.
        if reader.piece.starts_with(&[0x1f, 0x8b]) {
            return Ok(Box::new(Bounded { inner: MultiGzDecoder::new(reader), left: MAX_DECOMPRESSED }));
        }
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
        let Pieces { db, ctx, report, runtime, cancelled, .. } = self.pieces;
        if cancelled.is_cancelled() {
            return Err(io::Error::other("the import was stopped"));
        }
        let piece = runtime.block_on(repo::piece(db, ctx, *report, self.next));
        self.piece = piece.map_err(|error| io::Error::other(error.public))?.unwrap_or_default();
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

/// Refuses what grows beyond all measure when decompressed.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| {
            io::Error::other(format!("decompressed it is larger than {} GiB", MAX_DECOMPRESSED >> 30))
        })?;
        Ok(n)
    }
}
