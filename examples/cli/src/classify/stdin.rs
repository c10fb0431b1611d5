//! Standard input, in which a wait can be ended by Ctrl-C.

use qaio::CancelToken;
use std::io::{self, Read, stdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

/// Bytes that are read at once.
const PIECE: usize = 1 << 16;
/// Pieces that may wait to be used.
const AHEAD: usize = 4;
/// How often a wait looks whether it should end.
const LOOK: Duration = Duration::from_millis(50);

/// Reads in a thread of its own, which ends with the process at the latest.
pub struct Stdin {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    cancel: Arc<OnceLock<CancelToken>>,
}

impl Stdin {
    pub fn new(cancel: Arc<OnceLock<CancelToken>>) -> Self {
        let (sender, pieces) = sync_channel(AHEAD);
        thread::spawn(move || {
            loop {
                let mut piece = vec![0; PIECE];
                let result = stdin().lock().read(&mut piece).map(|length| {
                    piece.truncate(length);
                    piece
                });
                let last = !matches!(&result, Ok(piece) if !piece.is_empty());
                if sender.send(result).is_err() || last {
                    break;
                }
            }
        });
        Self { pieces, piece: io::Cursor::default(), cancel }
    }

    /// The next piece; an empty one at the end.
    fn wait(&self) -> io::Result<Vec<u8>> {
        loop {
            match self.pieces.recv_timeout(LOOK) {
                Ok(piece) => return piece,
                Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.cancel.get().is_some_and(CancelToken::is_cancelled) {
                return Err(io::Error::other("interrupted"));
            }
        }
    }
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.position() == self.piece.get_ref().len() as u64 {
            self.piece = io::Cursor::new(self.wait()?);
        }
        self.piece.read(buffer)
    }
}
