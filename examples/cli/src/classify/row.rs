//! A row of an input, whatever its format.

use csv::ByteRecord;
use sha2::{Digest, Sha256};

/// What stands in a column that was asked for: nothing, a text, or why it cannot be one.
pub type Cell = Result<Option<String>, String>;

/// One row.
pub struct Row {
    /// Where it stands, for messages: "line 7".
    pub place: String,
    /// The columns that were asked for.
    pub cells: Vec<Cell>,
    /// All of it, to be written again.
    pub content: Content,
}

impl Row {
    /// The text of the first column that was asked for, or why there is none; `column` is its name.
    pub fn text(&self, column: &str) -> Result<&str, String> {
        match self.cells.first() {
            Some(Ok(Some(text))) => Ok(text),
            Some(Err(problem)) => Err(problem.clone()),
            Some(Ok(None)) | None => Err(format!("{} has nothing in `{column}`", self.place)),
        }
    }
}

/// A row as it is kept.
pub enum Content {
    /// Fields, as many as the header has.
    Record(ByteRecord),
    /// A JSON object and its keys.
    Object { json: String, keys: Vec<String> },
}

/// What the rows so far were, to recognise them.
#[derive(Clone, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    pub fn add(&mut self, row: &Row) {
        for cell in &row.cells {
            match cell {
                Ok(Some(text)) => self.part(b't', text.as_bytes()),
                Ok(None) => self.part(b'n', b""),
                Err(error) => self.part(b'e', error.as_bytes()),
            }
        }
        match &row.content {
            Content::Record(record) => record.iter().for_each(|field| self.part(b'f', field)),
            Content::Object { json, .. } => self.part(b'o', json.as_bytes()),
        }
    }

    fn part(&mut self, kind: u8, bytes: &[u8]) {
        self.0.update([kind]);
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// In hexadecimal.
    pub fn text(&self) -> String {
        self.0.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
