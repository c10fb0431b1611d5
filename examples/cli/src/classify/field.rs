//! Parquet's values as JSON.

use parquet::record::{Field, Row};
use serde::Serialize;
use std::fmt::Write;

/// A row as a JSON object, its columns in their order.
pub fn object(row: &Row) -> String {
    let mut json = String::new();
    write_object(row, &mut json);
    json
}

fn write_object(row: &Row, json: &mut String) {
    json.push('{');
    for (number, (name, value)) in row.get_column_iter().enumerate() {
        separate(number, json);
        write_plain(name, json);
        json.push(':');
        write_value(value, json);
    }
    json.push('}');
}

fn write_value(value: &Field, json: &mut String) {
    match value {
        Field::Null => json.push_str("null"),
        Field::Bool(value) => write_plain(value, json),
        Field::Byte(value) => write_plain(value, json),
        Field::Short(value) => write_plain(value, json),
        Field::Int(value) => write_plain(value, json),
        Field::Long(value) => write_plain(value, json),
        Field::UByte(value) => write_plain(value, json),
        Field::UShort(value) => write_plain(value, json),
        Field::UInt(value) => write_plain(value, json),
        Field::ULong(value) => write_plain(value, json),
        // JSON has no infinity; serde_json makes it null.
        Field::Float16(value) => write_plain(&value.to_f32(), json),
        Field::Float(value) => write_plain(value, json),
        Field::Double(value) => write_plain(value, json),
        Field::Str(value) => write_plain(value, json),
        Field::Bytes(value) => write_bytes(value.data(), json),
        // Its digits, all of them.
        Field::Decimal(_) => json.push_str(&value.to_string()),
        Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_) => write_plain(&value.to_string(), json),
        Field::Group(row) => write_object(row, json),
        Field::ListInternal(list) => {
            json.push('[');
            for (number, element) in list.elements().iter().enumerate() {
                separate(number, json);
                write_value(element, json);
            }
            json.push(']');
        }
        Field::MapInternal(map) => {
            json.push('{');
            for (number, (key, value)) in map.entries().iter().enumerate() {
                separate(number, json);
                match key {
                    Field::Str(key) => write_plain(key, json),
                    key => write_plain(&key.to_string(), json),
                }
                json.push(':');
                write_value(value, json);
            }
            json.push('}');
        }
    }
}

/// Text if it is text, otherwise in hexadecimal.
fn write_bytes(bytes: &[u8], json: &mut String) {
    match std::str::from_utf8(bytes) {
        Ok(text) => write_plain(text, json),
        Err(_) => {
            json.push_str("\"0x");
            bytes.iter().for_each(|byte| _ = write!(json, "{byte:02x}"));
            json.push('"');
        }
    }
}

fn write_plain<T: Serialize + ?Sized>(value: &T, json: &mut String) {
    json.push_str(&serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()));
}

fn separate(number: usize, json: &mut String) {
    if number > 0 {
        json.push(',');
    }
}
