//! Rows of JSON lines.

use super::input::Rows;
use super::lines::{Lines, alone, not_utf8};
use super::row::{Cell, Content, Row};
use crate::failure::Failure;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::io::Read;

/// A JSON object's entries in their order, the values as they are written.
pub struct Entries(pub Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Entries;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Entries {
    /// The value of `key`; of several the last, as other readers of JSON have it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.get())
    }
}

/// Each line is a JSON object. Blank lines are none.
pub struct JsonRows {
    lines: Lines,
    wanted: Vec<String>,
}

impl JsonRows {
    pub fn new(bytes: Box<dyn Read>, name: &str, wanted: &[&str]) -> Self {
        Self { lines: Lines::new(bytes, name), wanted: wanted.iter().map(|&column| column.to_owned()).collect() }
    }

    fn row(&self, place: String, line: Vec<u8>) -> Row {
        let parsed = match std::str::from_utf8(&line) {
            Ok(text) => serde_json::from_str::<Entries>(text)
                .map(|entries| (text.trim().to_owned(), entries))
                .map_err(|error| format!("{place} is not a JSON object: {error}")),
            Err(error) => Err(not_utf8(&place, error)),
        };
        let (cells, content) = match parsed {
            Ok((json, entries)) => (
                self.wanted.iter().map(|column| cell(&entries, column, &place)).collect(),
                Content::Object { json, keys: entries.0.into_iter().map(|(key, _)| key).collect() },
            ),
            Err(problem) => (self.wanted.iter().map(|_| Err(problem.clone())).collect(), alone(&self.wanted[0], &line)),
        };
        Row { place, cells, content }
    }
}

/// The text of a field.
fn cell(entries: &Entries, column: &str, place: &str) -> Cell {
    match entries.get(column) {
        None | Some("null") => Ok(None),
        Some(value) => serde_json::from_str(value)
            .map(Some)
            .map_err(|_| format!("{place} has {} in `{column}`, not a text", brief(value))),
    }
}

/// A value's beginning.
fn brief(value: &str) -> String {
    match value.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

impl Rows for JsonRows {
    fn next(&mut self) -> Result<Option<Row>, Failure> {
        while let Some((place, line)) = self.lines.next()? {
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(self.row(place, line)));
            }
        }
        Ok(None)
    }
}
