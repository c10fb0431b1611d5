//! Writes rows with what was found in them.

use super::format::Encoding;
use super::results::{Found, Results};
use super::row::{Content, Row};
use csv::{ByteRecord, WriterBuilder};
use serde_json::Value;

/// Makes bytes of rows.
pub struct Encoder {
    pub encoding: Encoding,
    /// The input's columns, where each row has the same ones.
    pub header: Option<Vec<String>>,
    pub results: Results,
}

impl Encoder {
    /// What comes before the first row.
    pub fn head(&self) -> Vec<u8> {
        match self.encoding {
            Encoding::Jsonl => Vec::new(),
            Encoding::Separated(separator) => {
                let own = self.header.iter().flatten().map(String::as_str);
                separated(separator, &own.chain(self.results.names()).collect())
            }
        }
    }

    /// A row, its end included.
    pub fn row(&self, row: &Row, found: &Found) -> Vec<u8> {
        match self.encoding {
            Encoding::Jsonl => self.json(row, found).into_bytes(),
            Encoding::Separated(separator) => {
                let mut record = match &row.content {
                    Content::Record(record) => record.clone(),
                    Content::Object { .. } => ByteRecord::new(),
                };
                self.results.columns.iter().for_each(|column| record.push_field(&plain(&column.kind.value(found))));
                separated(separator, &record)
            }
        }
    }

    fn json(&self, row: &Row, found: &Found) -> String {
        let (mut json, keys) = match &row.content {
            Content::Object { json, keys } => (json.clone(), &keys[..]),
            Content::Record(record) => (self.object(record), self.header.as_deref().unwrap_or_default()),
        };
        json.truncate(json.rfind('}').unwrap_or(0));
        let mut first = keys.is_empty();
        for column in &self.results.columns {
            // A row may have what others do not have; it keeps its own, and has its error.
            if keys.contains(&column.name) {
                continue;
            }
            let separator = if std::mem::take(&mut first) { "" } else { "," };
            json += &format!("{separator}{}:{}", Value::from(column.name.as_str()), column.kind.value(found));
        }
        json + "}\n"
    }

    fn object(&self, record: &ByteRecord) -> String {
        let fields = self.header.iter().flatten().zip(record);
        let fields: Vec<_> = fields
            .map(|(name, field)| {
                format!("{}:{}", Value::from(name.as_str()), Value::from(String::from_utf8_lossy(field)))
            })
            .collect();
        format!("{{{}}}", fields.join(","))
    }
}

/// A record as a line.
pub fn separated(separator: u8, record: &ByteRecord) -> Vec<u8> {
    let mut writer = WriterBuilder::new().delimiter(separator).from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = writer.write_byte_record(record);
    writer.into_inner().unwrap_or_default()
}

/// A value as a field of CSV.
pub fn plain(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}
