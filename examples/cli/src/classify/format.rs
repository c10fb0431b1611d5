//! The formats of rows, and how one becomes the other.

use crate::failure::Failure;
use clap::ValueEnum;
use std::path::Path;

/// How rows lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated, with a header
    Csv,
    /// Tab-separated, with a header; otherwise as CSV, quotes included
    Tsv,
    /// A JSON object a line
    Jsonl,
    /// Apache Parquet
    Parquet,
    /// A text a line
    Lines,
}

/// How the rows of a run are written while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Separated(u8),
    Jsonl,
}

/// What becomes of them when all are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// They are the output.
    AsTheyAre,
    /// The columns of JSON lines are known only when all have been seen.
    Separated(u8),
    Parquet,
    /// The input's own columns are copied as they are encoded, with the results beside them.
    BesideParquet,
}

impl Format {
    /// What the name of `file` says.
    pub fn of(file: &Path) -> Option<Self> {
        let extension = file.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "csv" => Format::Csv,
            "tsv" | "tab" => Format::Tsv,
            "jsonl" | "ndjson" => Format::Jsonl,
            "parquet" | "pq" => Format::Parquet,
            "txt" | "text" => Format::Lines,
            _ => return None,
        })
    }

    /// What stands between two fields.
    pub fn separator(self) -> u8 {
        if self == Format::Tsv { b'\t' } else { b',' }
    }

    fn is_separated(self) -> bool {
        matches!(self, Format::Csv | Format::Tsv)
    }

    /// How to write rows of this format to standard output.
    pub fn to_stdout(self) -> Encoding {
        if self.is_separated() { Encoding::Separated(self.separator()) } else { Encoding::Jsonl }
    }

    /// How to write rows of this format to the file `out`.
    pub fn to_file(self, out: &Path) -> Result<(Encoding, Finish), Failure> {
        let wanted = Format::of(out).filter(|format| *format != Format::Lines).ok_or_else(|| {
            let out = out.display();
            Failure::Message(format!(
                "the extension of {out} is no format of results; use .csv, .tsv, .jsonl or .parquet"
            ))
        })?;
        let separator = wanted.separator();
        Ok(match wanted {
            Format::Jsonl | Format::Lines => (Encoding::Jsonl, Finish::AsTheyAre),
            Format::Csv | Format::Tsv if self.is_separated() => (Encoding::Separated(separator), Finish::AsTheyAre),
            Format::Csv | Format::Tsv => (Encoding::Jsonl, Finish::Separated(separator)),
            Format::Parquet if self == Format::Parquet => (Encoding::Jsonl, Finish::BesideParquet),
            Format::Parquet => (Encoding::Jsonl, Finish::Parquet),
        })
    }
}
