//! Rows of CSV and TSV.

use super::input::{Rows, find, unreadable};
use super::row::{Content, Row};
use crate::failure::Failure;
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::io::Read;

pub struct CsvRows {
    /// The columns' names.
    pub header: Vec<String>,
    reader: Reader<Box<dyn Read>>,
    separator: u8,
    wanted: Vec<usize>,
    name: String,
}

impl CsvRows {
    /// Reads the header, which must have the `wanted` columns unless there is nothing at all.
    pub fn new(bytes: Box<dyn Read>, name: &str, separator: u8, wanted: &[&str]) -> Result<Self, Failure> {
        let mut reader = ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(bytes);
        let header = reader.byte_headers().map_err(|error| unreadable(name, &error))?.clone();
        let header: Vec<String> = header
            .iter()
            .map(|field| std::str::from_utf8(field).map(str::to_owned))
            .collect::<Result<_, _>>()
            .map_err(|_| {
                Failure::Message(format!("the header of {name} is not UTF-8; convert the file, e.g. with iconv"))
            })?;
        let wanted = if header.is_empty() { Vec::new() } else { find(name, &header, wanted)? };
        Ok(Self { header, reader, separator, wanted, name: name.to_owned() })
    }

    /// What is wrong with `record`, if something is.
    fn problem(&self, record: &ByteRecord, place: &str) -> Option<String> {
        let (fields, width) = (record.len(), self.header.len());
        if fields != width {
            let noun = if fields == 1 { "field" } else { "fields" };
            return Some(format!("{place} has {fields} {noun}, but the header has {width}"));
        }
        let bad = record.iter().position(|field| std::str::from_utf8(field).is_err())?;
        Some(format!("{place} is not UTF-8 in its column `{}`", self.header[bad]))
    }

    /// With as many fields as the header: what is missing is empty, what is too much stays in the last.
    fn rectangular(&self, record: ByteRecord) -> ByteRecord {
        let width = self.header.len();
        if record.len() <= width {
            let missing = width - record.len();
            return record.iter().chain(std::iter::repeat_n(&b""[..], missing)).collect();
        }
        let last = record.iter().skip(width - 1).collect::<Vec<_>>().join(&self.separator);
        record.iter().take(width - 1).chain([&last[..]]).collect()
    }
}

impl Rows for CsvRows {
    fn next(&mut self) -> Result<Option<Row>, Failure> {
        let mut record = ByteRecord::new();
        if !self.reader.read_byte_record(&mut record).map_err(|error| unreadable(&self.name, &error))? {
            return Ok(None);
        }
        let place = format!("line {}", record.position().map_or(0, csv::Position::line));
        let cells = match self.problem(&record, &place) {
            Some(problem) => self.wanted.iter().map(|_| Err(problem.clone())).collect(),
            None => self
                .wanted
                .iter()
                .map(|&field| Ok(Some(String::from_utf8_lossy(&record[field]).into_owned())))
                .collect(),
        };
        Ok(Some(Row { place, cells, content: Content::Record(self.rectangular(record)) }))
    }
}
