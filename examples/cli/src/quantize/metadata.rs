//! The metadata of a GGUF file. Each value stays in the form that the file has it in, so that what is carried over is
//! carried over to the bit.

/// GGUF's numbers of the types of values.
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// Keys and values, in the order of the file.
#[derive(Debug, Default)]
pub struct Metadata(Vec<(String, Vec<u8>)>);

impl Metadata {
    /// All keys, each with its value: the type's number and what follows it.
    pub fn entries(&self) -> &[(String, Vec<u8>)] {
        &self.0
    }

    /// Sets `key` to a value in the form of the file.
    pub fn set(&mut self, key: impl Into<String>, value: Vec<u8>) {
        let key = key.into();
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    pub fn set_u32(&mut self, key: impl Into<String>, value: u32) {
        self.set(key, tagged(U32, &value.to_le_bytes()));
    }

    pub fn set_i32(&mut self, key: impl Into<String>, value: i32) {
        self.set(key, tagged(I32, &value.to_le_bytes()));
    }

    pub fn set_f32(&mut self, key: impl Into<String>, value: f32) {
        self.set(key, tagged(F32, &value.to_le_bytes()));
    }

    pub fn set_bool(&mut self, key: impl Into<String>, value: bool) {
        self.set(key, tagged(BOOL, &[u8::from(value)]));
    }

    pub fn set_text(&mut self, key: impl Into<String>, value: &str) {
        let mut bytes = tagged(TEXT, &[]);
        put_text(&mut bytes, value);
        self.set(key, bytes);
    }

    pub fn set_texts<T: AsRef<str>>(&mut self, key: impl Into<String>, values: &[T]) {
        let mut bytes = array(TEXT, values.len());
        for value in values {
            put_text(&mut bytes, value.as_ref());
        }
        self.set(key, bytes);
    }

    pub fn set_i32s(&mut self, key: impl Into<String>, values: &[i32]) {
        let mut bytes = array(I32, values.len());
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self.set(key, bytes);
    }

    /// The integer under `key`, whatever its width.
    pub fn int(&self, key: &str) -> Option<i64> {
        let (kind, value) = self.value(key)?;
        Some(match kind {
            0 => i64::from(*value.first()?),
            1 => i64::from(i8::from_le_bytes(head(value)?)),
            2 => i64::from(u16::from_le_bytes(head(value)?)),
            3 => i64::from(i16::from_le_bytes(head(value)?)),
            U32 => i64::from(u32::from_le_bytes(head(value)?)),
            I32 => i64::from(i32::from_le_bytes(head(value)?)),
            10 => i64::try_from(u64::from_le_bytes(head(value)?)).ok()?,
            11 => i64::from_le_bytes(head(value)?),
            _ => return None,
        })
    }

    /// The number under `key`.
    pub fn float(&self, key: &str) -> Option<f64> {
        let (kind, value) = self.value(key)?;
        match kind {
            F32 => Some(f64::from(f32::from_le_bytes(head(value)?))),
            12 => Some(f64::from_le_bytes(head(value)?)),
            _ => self.int(key).map(|n| n as f64),
        }
    }

    /// The text under `key`.
    pub fn text(&self, key: &str) -> Option<&str> {
        let (kind, value) = self.value(key)?;
        std::str::from_utf8(value.get(8..).filter(|_| kind == TEXT)?).ok()
    }

    /// Elements of the array under `key`.
    pub fn length(&self, key: &str) -> Option<u64> {
        let (kind, value) = self.value(key)?;
        head(value.get(4..).filter(|_| kind == ARRAY)?).map(u64::from_le_bytes)
    }

    fn value(&self, key: &str) -> Option<(u32, &[u8])> {
        let (_, bytes) = self.0.iter().find(|(known, _)| known == key)?;
        Some((u32::from_le_bytes(head(bytes)?), &bytes[4..]))
    }
}

/// Text as GGUF has it: its length and its bytes.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn tagged(kind: u32, value: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), value].concat()
}

fn array(kind: u32, length: usize) -> Vec<u8> {
    let mut bytes = tagged(ARRAY, &kind.to_le_bytes());
    bytes.extend((length as u64).to_le_bytes());
    bytes
}

fn head<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}
