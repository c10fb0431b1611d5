//! Rows of Apache Parquet, one row group after the other.

use super::field;
use super::input::{Rows, Source, find, unreadable};
use super::row::{Cell, Content, Row};
use crate::failure::Failure;
use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{self, Field, reader::RowIter};
use parquet::schema::types::Type;
use std::fs::File;
use std::panic::{self, AssertUnwindSafe};

pub struct ParquetRows {
    pub columns: Vec<String>,
    /// Rows that there are.
    pub length: u64,
    rows: RowIter<'static>,
    wanted: Vec<String>,
    whole: bool,
    number: u64,
    name: String,
}

impl ParquetRows {
    pub fn open(source: &Source, name: &str) -> Result<Self, Failure> {
        let reader = open(&File::open(source.file).map_err(|error| unreadable(name, &error))?, name)?;
        let metadata = reader.metadata().file_metadata();
        let (schema, length) = (metadata.schema_descr().root_schema().clone(), metadata.num_rows());
        let columns: Vec<_> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
        let fields: Vec<_> = find(name, &columns, &source.columns)?
            .into_iter()
            .map(|number| schema.get_fields()[number].clone())
            .collect();
        if let Some(field) = fields.iter().find(|field| !is_text(field)) {
            let column = field.name();
            let kind =
                if field.is_primitive() { format!("{:?}", field.get_physical_type()) } else { "nested".to_owned() };
            return Err(Failure::Message(format!(
                "the column `{column}` of {name} is not text but {kind}; choose a column of strings, or write it as one"
            )));
        }
        let rows = RowIter::from_file_into(Box::new(reader));
        let rows = match source.whole {
            true => Ok(rows),
            false => Type::group_type_builder(schema.name())
                .with_fields(fields)
                .build()
                .and_then(|projection| rows.project(Some(projection))),
        }
        .map_err(|error| damaged(name, &error))?;
        let wanted = source.columns.iter().map(|&column| column.to_owned()).collect();
        let length = u64::try_from(length).unwrap_or(0);
        Ok(Self { columns, length, rows, wanted, whole: source.whole, number: 0, name: name.to_owned() })
    }

    fn row(&self, row: &record::Row) -> Row {
        let place = format!("row {}", self.number);
        let cells = self.wanted.iter().map(|column| cell(row, column, &place)).collect();
        let (json, keys) = match self.whole {
            true => (field::object(row), self.columns.clone()),
            false => ("{}".to_owned(), Vec::new()),
        };
        Row { place, cells, content: Content::Object { json, keys } }
    }
}

impl Rows for ParquetRows {
    fn next(&mut self) -> Result<Option<Row>, Failure> {
        let number = self.number + 1;
        let read = guarded(|| {
            let Some(row) = self.rows.next().transpose()? else { return Ok(None) };
            self.number = number;
            Ok(Some(self.row(&row)))
        });
        read.map_err(|error| {
            let name = &self.name;
            Failure::Message(format!("row {number} of {name} cannot be read: {error}; check that the file is whole"))
        })
    }
}

/// A Parquet file, of which nothing but its end has been read.
pub fn open(file: &File, name: &str) -> Result<SerializedFileReader<File>, Failure> {
    guarded(|| SerializedFileReader::new(file.try_clone()?)).map_err(|error| damaged(name, &error))
}

fn damaged(name: &str, error: &ParquetError) -> Failure {
    Failure::Message(format!("{name} is not a Parquet file that can be read: {error}; check that it is whole"))
}

/// The reader panics where a file contradicts itself or has a type that it does not know; here that is an error.
pub fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(AssertUnwindSafe(read));
    panic::set_hook(hook);
    result.unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("something unexpected");
        Err(ParquetError::General(text.to_owned()))
    })
}

/// Strings, also of writers that do not say so.
fn is_text(field: &Type) -> bool {
    let info = field.get_basic_info();
    let texts = [ConvertedType::UTF8, ConvertedType::ENUM, ConvertedType::JSON, ConvertedType::NONE];
    field.is_primitive()
        && field.get_physical_type() == Physical::BYTE_ARRAY
        && info.repetition() != Repetition::REPEATED
        && texts.contains(&info.converted_type())
}

fn cell(row: &record::Row, column: &str, place: &str) -> Cell {
    match row.get_column_iter().find(|(name, _)| *name == column) {
        Some((_, Field::Str(text))) => Ok(Some(text.clone())),
        Some((_, Field::Bytes(bytes))) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(error) => Err(format!("{place} is not UTF-8 in `{column}` (byte {} of it)", error.valid_up_to())),
        },
        _ => Ok(None),
    }
}
