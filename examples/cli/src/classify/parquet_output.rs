//! Writes Parquet, from JSON lines.
//!
//! Columns are written one after the other, each in a pass of its own over the lines of its row group, so that no more
//! than a few rows are ever in memory.

use super::convert::JsonLines;
use super::input::unreadable;
use super::parquet::{guarded, open};
use super::resume::unwritable;
use crate::failure::Failure;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::column::writer::{ColumnCloseResult, ColumnWriter};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::reader::FileReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Most rows of a row group.
const ROWS: u64 = 1 << 16;
/// Bytes of JSON lines after which a row group ends.
const BYTES: u64 = 1 << 26;
/// Rows that are in memory.
const SLICE: usize = 1 << 10;

/// A column to write.
pub struct Column {
    pub name: String,
    pub content: Content,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing but nulls, so far.
    Nothing,
    Truth,
    Whole,
    Number,
    Text,
}

impl Content {
    /// What holds the JSON value `json` as well.
    pub fn with(self, json: &str) -> Self {
        let other = match json {
            "null" => return self,
            "true" | "false" => Content::Truth,
            _ if json.parse::<i64>().is_ok() => Content::Whole,
            // A longer whole number would lose digits.
            _ if json.contains(['.', 'e', 'E']) && json.parse::<f64>().is_ok_and(f64::is_finite) => Content::Number,
            _ => Content::Text,
        };
        match (self, other) {
            (Content::Nothing, other) => other,
            (one, other) if one == other => one,
            (Content::Whole, Content::Number) | (Content::Number, Content::Whole) => Content::Number,
            _ => Content::Text,
        }
    }
}

impl Column {
    fn schema(&self) -> Result<TypePtr, ParquetError> {
        let (physical, logical) = match self.content {
            Content::Truth => (Physical::BOOLEAN, None),
            Content::Whole => (Physical::INT64, None),
            Content::Number => (Physical::DOUBLE, None),
            Content::Nothing | Content::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let builder = Type::primitive_type_builder(&self.name, physical);
        builder.with_logical_type(logical).with_repetition(Repetition::OPTIONAL).build().map(Arc::new)
    }
}

/// A Parquet file with `columns` of all lines.
pub fn write(lines: &mut JsonLines, to: &Path, columns: &[Column]) -> Result<(), Failure> {
    let mut file = create(to, "schema", &[], columns, properties())?;
    lines.seek(0)?;
    loop {
        let (begin, mut rows) = (lines.offset, 0);
        while rows < ROWS && lines.offset - begin < BYTES && lines.next()?.is_some() {
            rows += 1;
        }
        if rows == 0 {
            break;
        }
        let mut group = file.next_row_group().map_err(|error| unwritable(to, &error))?;
        write_columns(&mut group, lines, to, columns, begin, rows)?;
        group.close().map_err(|error| unwritable(to, &error))?;
    }
    close(file, to)
}

/// The Parquet file `source` with `columns` of all lines beside its own, which stay as they are.
pub fn write_beside(lines: &mut JsonLines, to: &Path, source: &Path, columns: &[Column]) -> Result<(), Failure> {
    let name = source.display().to_string();
    let bytes = File::open(source).map_err(|error| unreadable(&name, &error))?;
    let reader = open(&bytes, &name)?;
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema_descr().root_schema();
    // Arrow's own schema names the columns by number, and would not know the new ones.
    let notes = metadata.file_metadata().key_value_metadata().cloned().map(|mut notes| {
        notes.retain(|note| note.key != "ARROW:schema");
        notes
    });
    let properties = properties().set_key_value_metadata(notes);
    let mut file = create(to, schema.name(), schema.get_fields(), columns, properties)?;
    let mut begin = 0;
    for group in metadata.row_groups() {
        let mut written = file.next_row_group().map_err(|error| unwritable(to, &error))?;
        for column in group.columns() {
            let close = ColumnCloseResult {
                bytes_written: u64::try_from(column.compressed_size()).unwrap_or(0),
                rows_written: u64::try_from(group.num_rows()).unwrap_or(0),
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            guarded(|| written.append_column(&bytes, close)).map_err(|error| unwritable(to, &error))?;
        }
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        write_columns(&mut written, lines, to, columns, begin, rows)?;
        written.close().map_err(|error| unwritable(to, &error))?;
        begin = lines.offset;
    }
    if lines.next()?.is_some() {
        return Err(unwritable(to, &format!("{name} has become shorter")));
    }
    close(file, to)
}

fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_created_by(format!("qaio {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::SNAPPY)
}

fn create(
    to: &Path,
    name: &str,
    own: &[TypePtr],
    columns: &[Column],
    properties: WriterPropertiesBuilder,
) -> Result<SerializedFileWriter<File>, Failure> {
    let file = File::create(to).map_err(|error| unwritable(to, &error))?;
    let begin = || {
        let added = columns.iter().map(Column::schema).collect::<Result<Vec<_>, _>>()?;
        let fields = own.iter().cloned().chain(added).collect();
        let schema = Type::group_type_builder(name).with_fields(fields).build()?;
        SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build()))
    };
    begin().map_err(|error| unwritable(to, &error))
}

fn close(file: SerializedFileWriter<File>, to: &Path) -> Result<(), Failure> {
    file.close().map_err(|error| unwritable(to, &error))?;
    File::open(to).and_then(|file| file.sync_data()).map_err(|error| unwritable(to, &error))
}

/// The columns of the `rows` lines from `begin` on.
fn write_columns(
    group: &mut SerializedRowGroupWriter<File>,
    lines: &mut JsonLines,
    to: &Path,
    columns: &[Column],
    begin: u64,
    rows: u64,
) -> Result<(), Failure> {
    for column in columns {
        lines.seek(begin)?;
        let mut writer = group
            .next_column()
            .transpose()
            .unwrap_or_else(|| Err(ParquetError::General(format!("there is no room for `{}`", column.name))))
            .map_err(|error| unwritable(to, &error))?;
        let mut left = rows;
        while left > 0 {
            let mut slice = Vec::new();
            while slice.len() < SLICE && (slice.len() as u64) < left {
                let Some(entries) = lines.next()? else {
                    return Err(unwritable(to, &"the input has more rows than were labelled"));
                };
                slice.push(entries.get(&column.name).filter(|json| *json != "null").map(str::to_owned));
            }
            left -= slice.len() as u64;
            write_slice(writer.untyped(), &slice).map_err(|error| unwritable(to, &error))?;
        }
        writer.close().map_err(|error| unwritable(to, &error))?;
    }
    Ok(())
}

fn write_slice(writer: &mut ColumnWriter, slice: &[Option<String>]) -> Result<(), ParquetError> {
    /// Values as they are written, and for each row whether it has one.
    fn parsed<T>(slice: &[Option<String>], parse: impl Fn(&str) -> Option<T>) -> (Vec<T>, Vec<i16>) {
        let values: Vec<Option<T>> = slice.iter().map(|json| json.as_deref().and_then(&parse)).collect();
        let levels = values.iter().map(|value| i16::from(value.is_some())).collect();
        (values.into_iter().flatten().collect(), levels)
    }
    match writer {
        ColumnWriter::BoolColumnWriter(writer) => {
            let (values, levels) = parsed(slice, |json| json.parse().ok());
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::Int64ColumnWriter(writer) => {
            let (values, levels) = parsed(slice, |json| json.parse().ok());
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::DoubleColumnWriter(writer) => {
            let (values, levels) = parsed(slice, |json| json.parse().ok());
            writer.write_batch(&values, Some(&levels), None)
        }
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            let text = |json: &str| serde_json::from_str(json).unwrap_or_else(|_| json.to_owned());
            let (values, levels) = parsed(slice, |json| Some(text(json).as_str().into()));
            writer.write_batch(&values, Some(&levels), None)
        }
        _ => Err(ParquetError::General("a column has a type that is never written".to_owned())),
    }
    .map(drop)
}
