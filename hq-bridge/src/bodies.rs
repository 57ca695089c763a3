//! Bodies that are longer than memory should hold

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use axum::body::Body;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Pieces of a body that wait between the socket and the thread that reads them.
const PIECES_WAITING: usize = 4;

/// A request's body as a reader, for a thread that may wait.
pub struct BodyReader {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
}

impl BodyReader {
    /// Reads this body. Only a few pieces of it are ever in memory.
    pub fn of(body: Body) -> BodyReader {
        let (sender, pieces) = channel(PIECES_WAITING);
        tokio::spawn(forward(body, sender));
        BodyReader { pieces, piece: Vec::new(), at: 0 }
    }
}

async fn forward(body: Body, sender: Sender<io::Result<Vec<u8>>>) {
    let mut stream = body.into_data_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece.map(|bytes| bytes.to_vec()).map_err(io::Error::other);
        if sender.send(piece).await.is_err() {
            return;
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.pieces.blocking_recv() {
                Some(piece) => (self.piece, self.at) = (piece?, 0),
                None => return Ok(0),
            }
        }
        let count = into.len().min(self.piece.len() - self.at);
        into[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// An answer that waits on disk until its question was read to the end: who sends a file does not read yet.
pub fn spool(data: &Path) -> io::Result<File> {
    let path = data.join("answer.spool");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    // Unlinked while open: whatever happens, nothing of it stays.
    fs::remove_file(&path)?;
    Ok(file)
}

/// Sends a spooled answer from its beginning.
pub fn answer(mut spooled: File) -> io::Result<Body> {
    spooled.rewind()?;
    let (sender, pieces) = channel(PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        let mut reader = BufReader::with_capacity(64 * 1024, spooled);
        loop {
            let piece = reader.fill_buf().map(<[u8]>::to_vec);
            let ended = piece.as_ref().map_or(true, Vec::is_empty);
            let length = piece.as_ref().map_or(0, Vec::len);
            if (length > 0 || piece.is_err()) && sender.blocking_send(piece).is_err() || ended {
                return;
            }
            reader.consume(length);
        }
    });
    Ok(Body::from_stream(ReceiverStream::new(pieces)))
}
