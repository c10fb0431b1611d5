//! Where rows come from.

use super::csv::CsvRows;
use super::format::Format;
use super::jsonl::JsonRows;
use super::lines::TextRows;
use super::parquet::ParquetRows;
use super::row::Row;
use super::stdin::Stdin;
use crate::failure::Failure;
use qaio::CancelToken;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Rows of one format, one after the other.
pub trait Rows {
    /// The next; none at the end.
    fn next(&mut self) -> Result<Option<Row>, Failure>;
}

/// What to read.
pub struct Source<'a> {
    /// A file; `-` is standard input.
    pub file: &'a Path,
    pub format: Format,
    /// The columns whose texts are wanted.
    pub columns: Vec<&'a str>,
    /// Whether the other columns are wanted, too.
    pub whole: bool,
}

/// An input whose first row is about to be read.
pub struct Input {
    /// For messages.
    pub name: String,
    /// All columns, in their order; none for an input whose every row has its own.
    pub columns: Option<Vec<String>>,
    pub extent: Extent,
    rows: Box<dyn Rows>,
    cancel: Arc<OnceLock<CancelToken>>,
}

/// How much there is.
pub enum Extent {
    Rows(u64),
    Bytes { all: u64, read: Arc<AtomicU64> },
    Unknown,
}

impl<'a> Source<'a> {
    /// # Errors
    /// When neither `format` nor the name of `file` says how to read it.
    pub fn new(file: &'a Path, format: Option<Format>, columns: Vec<&'a str>, whole: bool) -> Result<Self, Failure> {
        let is_stdin = file == Path::new("-");
        let format = match format.or_else(|| if is_stdin { Some(Format::Lines) } else { Format::of(file) }) {
            Some(Format::Parquet) if is_stdin => {
                let message = "Parquet cannot be read from standard input, because its end comes first; give a file";
                return Err(Failure::Message(message.to_owned()));
            }
            Some(format) => format,
            None => {
                return Err(Failure::Message(format!(
                    "the extension of {} does not say what it is; add --format csv, tsv, jsonl, parquet or lines",
                    file.display()
                )));
            }
        };
        Ok(Self { file, format, columns, whole })
    }

    pub fn is_stdin(&self) -> bool {
        self.file == Path::new("-")
    }

    /// For messages.
    fn name(&self) -> String {
        if self.is_stdin() { "standard input".to_owned() } else { self.file.display().to_string() }
    }

    /// Opens it, and checks that it has the columns.
    pub fn open(&self) -> Result<Input, Failure> {
        let cancel = Arc::new(OnceLock::new());
        let name = self.name();
        if self.format == Format::Parquet {
            let rows = ParquetRows::open(self, &name)?;
            let (columns, extent) = (Some(rows.columns.clone()), Extent::Rows(rows.length));
            return Ok(Input { name, columns, extent, rows: Box::new(rows), cancel });
        }
        let (bytes, extent) = self.bytes(&cancel).map_err(|error| unreadable(&name, &error))?;
        let mut columns = None;
        let rows: Box<dyn Rows> = match self.format {
            Format::Jsonl => Box::new(JsonRows::new(bytes, &name, &self.columns)),
            Format::Lines => match self.columns[..] {
                [column] => {
                    columns = Some(vec![column.to_owned()]);
                    Box::new(TextRows::new(bytes, &name, column))
                }
                _ => {
                    let message = format!(
                        "{name} is plain lines, which have no columns; give CSV, TSV, JSONL or Parquet with columns {}",
                        self.columns.join(" and ")
                    );
                    return Err(Failure::Message(message));
                }
            },
            format => {
                let rows = CsvRows::new(bytes, &name, format.separator(), &self.columns)?;
                columns = Some(rows.header.clone());
                Box::new(rows)
            }
        };
        Ok(Input { name, columns, extent, rows, cancel })
    }

    fn bytes(&self, cancel: &Arc<OnceLock<CancelToken>>) -> io::Result<(Box<dyn Read>, Extent)> {
        if self.is_stdin() {
            return Ok((Box::new(Stdin::new(cancel.clone())), Extent::Unknown));
        }
        let file = File::open(self.file)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            // A pipe, whose length says nothing.
            return Ok((Box::new(file), Extent::Unknown));
        }
        let read = Arc::new(AtomicU64::new(0));
        Ok((Box::new(Counted { file, read: read.clone() }), Extent::Bytes { all: metadata.len(), read }))
    }
}

impl Input {
    /// Lets `cancel` end a wait for standard input.
    pub fn cancel_with(&self, cancel: &CancelToken) {
        // A second token would be the same one.
        let _ = self.cancel.set(cancel.clone());
    }

    /// The next row; none at the end.
    pub fn next(&mut self) -> Result<Option<Row>, Failure> {
        self.rows.next().map_err(|failure| match self.cancel.get() {
            Some(cancel) if cancel.is_cancelled() => Failure::Interrupted,
            _ => failure,
        })
    }

    /// Up to `most` rows; none at the end.
    pub fn take(&mut self, most: usize) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::with_capacity(most.min(1024));
        while rows.len() < most
            && let Some(row) = self.next()?
        {
            rows.push(row);
        }
        Ok(rows)
    }
}

/// A file that tells how far it has been read.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// The failure of an input that cannot be read.
pub fn unreadable(name: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::Message(format!("{name} cannot be read: {error}; check the path and its permissions"))
}

/// The options that choose the columns which are wanted, in their order.
const CHOICES: [&str; 2] = ["--column", "--label"];

/// The numbers of `wanted` among `columns`.
pub fn find(name: &str, columns: &[String], wanted: &[&str]) -> Result<Vec<usize>, Failure> {
    let find = |(wanted, choice): (&&str, &str)| {
        let mut found = columns.iter().enumerate().filter(|(_, column)| column == wanted);
        match (found.next(), found.next()) {
            (Some((number, _)), None) => Ok(number),
            (Some(_), Some(_)) => {
                Err(Failure::Message(format!("{name} has more than one column `{wanted}`; rename all but one of them")))
            }
            (None, _) => Err(Failure::Message(format!(
                "{name} has no column `{wanted}`; its columns are {}: choose one with {choice}",
                columns.join(", ")
            ))),
        }
    };
    wanted.iter().zip(CHOICES).map(find).collect()
}
