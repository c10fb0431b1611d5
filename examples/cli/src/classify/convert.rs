//! Makes the output of the JSON lines that a run has written, where another format was asked for.

use super::format::Finish;
use super::input::unreadable;
use super::jsonl::Entries;
use super::output::{plain, separated};
use super::parquet_output::{self, Column, Content};
use super::results::{Kind, Results};
use super::resume::{Part, unwritable};
use crate::failure::Failure;
use qaio::CancelToken;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Makes the output of a part, and returns where it is.
pub fn convert(
    part: &Part,
    finish: Finish,
    source: &Path,
    results: &Results,
    cancel: &CancelToken,
) -> Result<PathBuf, Failure> {
    let to = part.converted();
    let mut lines = JsonLines::open(part.rows(), cancel)?;
    match finish {
        Finish::AsTheyAre => return Ok(part.rows().to_owned()),
        Finish::Separated(separator) => {
            let columns = Seen::all(&mut lines, results)?.columns(results);
            lines.seek(0)?;
            write_separated(&mut lines, &to, separator, &columns)?;
        }
        Finish::Parquet => {
            let columns = Seen::all(&mut lines, results)?.columns(results);
            parquet_output::write(&mut lines, &to, &columns)?;
        }
        Finish::BesideParquet => {
            parquet_output::write_beside(&mut lines, &to, source, &Seen::default().columns(results))?;
        }
    }
    Ok(to)
}

/// The JSON lines of a part.
pub struct JsonLines<'a> {
    file: BufReader<File>,
    path: PathBuf,
    cancel: &'a CancelToken,
    line: String,
    /// Where the next line begins.
    pub offset: u64,
}

impl<'a> JsonLines<'a> {
    fn open(path: &Path, cancel: &'a CancelToken) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| unreadable(&path.display().to_string(), &error))?;
        Ok(Self { file: BufReader::new(file), path: path.to_owned(), cancel, line: String::new(), offset: 0 })
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> Failure {
        unreadable(&self.path.display().to_string(), error)
    }

    pub fn seek(&mut self, offset: u64) -> Result<(), Failure> {
        self.offset = offset;
        self.file.seek(SeekFrom::Start(offset)).map(drop).map_err(|error| self.unreadable(&error))
    }

    /// The next line; none at the end.
    pub fn next(&mut self) -> Result<Option<Entries>, Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::Interrupted);
        }
        self.line.clear();
        match self.file.read_line(&mut self.line) {
            Ok(0) => Ok(None),
            Ok(length) => {
                self.offset += length as u64;
                serde_json::from_str(&self.line).map(Some).map_err(|error| self.unreadable(&error))
            }
            Err(error) => Err(self.unreadable(&error)),
        }
    }
}

/// The input's columns that have been seen, in the order of their first appearance.
#[derive(Default)]
struct Seen {
    columns: Vec<Column>,
    numbers: HashMap<String, usize>,
}

impl Seen {
    fn all(lines: &mut JsonLines, results: &Results) -> Result<Self, Failure> {
        let mut seen = Self::default();
        while let Some(Entries(entries)) = lines.next()? {
            for (name, value) in entries {
                if results.names().any(|result| result == name) {
                    continue;
                }
                let number = *seen.numbers.entry(name).or_insert_with_key(|name| {
                    seen.columns.push(Column { name: name.clone(), content: Content::Nothing });
                    seen.columns.len() - 1
                });
                let content = &mut seen.columns[number].content;
                *content = content.with(value.get());
            }
        }
        Ok(seen)
    }

    /// All columns: the input's, then the added ones.
    fn columns(self, results: &Results) -> Vec<Column> {
        let added = results.columns.iter().map(|column| {
            let content = match column.kind {
                Kind::Label | Kind::Error => Content::Text,
                Kind::Score | Kind::Probability(_) => Content::Number,
                Kind::Unsure => Content::Truth,
            };
            Column { name: column.name.clone(), content }
        });
        self.columns.into_iter().chain(added).collect()
    }
}

fn write_separated(lines: &mut JsonLines, to: &Path, separator: u8, columns: &[Column]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| unwritable(to, &error);
    let mut file = BufWriter::new(File::create(to).map_err(failed)?);
    let header = columns.iter().map(|column| column.name.as_str()).collect();
    file.write_all(&separated(separator, &header)).map_err(failed)?;
    while let Some(entries) = lines.next()? {
        let field = |column: &Column| entries.get(&column.name).map(field).unwrap_or_default();
        file.write_all(&separated(separator, &columns.iter().map(field).collect())).map_err(failed)?;
    }
    file.into_inner().map_err(|error| failed(error.into_error()))?.sync_data().map_err(failed)
}

/// A value as a field of CSV: texts as they are, nothing for null, anything else as it is written in JSON.
fn field(json: &str) -> Vec<u8> {
    match json.as_bytes().first() {
        Some(b'"' | b'n') => serde_json::from_str::<Value>(json).map_or_else(|_| json.into(), |value| plain(&value)),
        _ => json.into(),
    }
}
