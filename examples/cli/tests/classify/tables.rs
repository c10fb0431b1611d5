//! Parquet files, written and read with the same crate as the command's, but row by row.

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// The columns `id`, `text` (with a null for an empty one), and `raw`, bytes that are no text, in groups of `group` rows.
pub fn write(path: &Path, texts: &[&str], group: usize) {
    let schema = "message rows { required int64 id; optional binary text (UTF8); required binary raw; }";
    let schema = Arc::new(parse_message_type(schema).expect("it is a schema"));
    let file = File::create(path).expect("it can be written");
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).expect("it can be written");
    let mut id = 0;
    for texts in texts.chunks(group) {
        let mut rows = writer.next_row_group().expect("a group");
        let ids: Vec<i64> = (id..).take(texts.len()).collect();
        id += texts.len() as i64;
        let mut column = rows.next_column().expect("a column").expect("there is one");
        column.typed::<Int64Type>().write_batch(&ids, None, None).expect("it is written");
        column.close().expect("it is written");
        let there: Vec<ByteArray> = texts.iter().filter(|text| !text.is_empty()).map(|&text| text.into()).collect();
        let levels: Vec<i16> = texts.iter().map(|text| i16::from(!text.is_empty())).collect();
        let mut column = rows.next_column().expect("a column").expect("there is one");
        column.typed::<ByteArrayType>().write_batch(&there, Some(&levels), None).expect("it is written");
        column.close().expect("it is written");
        let raw: Vec<ByteArray> = texts.iter().map(|_| vec![0xFF, 0x00].into()).collect();
        let mut column = rows.next_column().expect("a column").expect("there is one");
        column.typed::<ByteArrayType>().write_batch(&raw, None, None).expect("it is written");
        column.close().expect("it is written");
        rows.close().expect("it is written");
    }
    writer.close().expect("it is written");
}

/// Each row, as the crate prints it, and the number of row groups.
pub fn read(path: &Path) -> (Vec<String>, usize) {
    let reader = SerializedFileReader::new(File::open(path).expect("it is there")).expect("it is Parquet");
    let rows = reader.get_row_iter(None).expect("it has rows");
    (rows.map(|row| row.expect("it is whole").to_string()).collect(), reader.num_row_groups())
}
