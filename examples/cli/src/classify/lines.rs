//! Rows of plain lines.

use super::input::{Rows, unreadable};
use super::row::{Content, Row};
use crate::failure::Failure;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The lines of an input, with their numbers.
pub struct Lines {
    bytes: BufReader<Box<dyn Read>>,
    name: String,
    number: u64,
}

impl Lines {
    pub fn new(bytes: Box<dyn Read>, name: &str) -> Self {
        Self { bytes: BufReader::with_capacity(1 << 16, bytes), name: name.to_owned(), number: 0 }
    }

    /// The next line without its end, and where it stands.
    pub fn next(&mut self) -> Result<Option<(String, Vec<u8>)>, Failure> {
        let mut line = Vec::new();
        if self.bytes.read_until(b'\n', &mut line).map_err(|error| unreadable(&self.name, &error))? == 0 {
            return Ok(None);
        }
        for end in [b'\n', b'\r'] {
            line.pop_if(|last| *last == end);
        }
        if self.number == 0 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        self.number += 1;
        Ok(Some((format!("line {}", self.number), line)))
    }
}

/// Each line is a text.
pub struct TextRows {
    lines: Lines,
    column: String,
}

impl TextRows {
    pub fn new(bytes: Box<dyn Read>, name: &str, column: &str) -> Self {
        Self { lines: Lines::new(bytes, name), column: column.to_owned() }
    }
}

impl Rows for TextRows {
    fn next(&mut self) -> Result<Option<Row>, Failure> {
        let Some((place, line)) = self.lines.next()? else { return Ok(None) };
        let content = alone(&self.column, &line);
        let cell = String::from_utf8(line).map(Some).map_err(|error| not_utf8(&place, error.utf8_error()));
        Ok(Some(Row { place, cells: vec![cell], content }))
    }
}

/// A line as the only column of its row.
pub fn alone(column: &str, line: &[u8]) -> Content {
    let json = Value::from_iter([(column, json!(String::from_utf8_lossy(line)))]).to_string();
    Content::Object { json, keys: vec![column.to_owned()] }
}

pub fn not_utf8(place: &str, error: std::str::Utf8Error) -> String {
    format!("{place} is not UTF-8 (byte {} of it)", error.valid_up_to())
}
