//! Turns the bytes of tokens into text as soon as whole code points are there.

/// Collects bytes and gives out whole code points. A byte that can never become one is given out as U+FFFD.
#[derive(Debug, Default)]
pub struct Utf8Stream {
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// Where to append the bytes of the next token.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// All whole code points so far; what may still be completed stays.
    pub fn take(&mut self) -> String {
        let mut text = String::new();
        let mut used = 0;
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            used += chunk.valid().len();
            let invalid = chunk.invalid();
            let may_continue = used + invalid.len() == self.pending.len() && is_open(invalid);
            if !invalid.is_empty() && !may_continue {
                text.push(char::REPLACEMENT_CHARACTER);
                used += invalid.len();
            }
        }
        self.pending.drain(..used);
        text
    }
}

/// Whether `bytes`, at the end of the input, are the beginning of a code point.
fn is_open(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_come_whole_however_the_bytes_are_cut() {
        let text = "正面 naïve 👩‍👩‍👧 \u{10FFFF}";
        for step in 1..5 {
            let mut stream = Utf8Stream::default();
            let mut out = String::new();
            for piece in text.as_bytes().chunks(step) {
                stream.buffer().extend_from_slice(piece);
                out += &stream.take();
            }
            assert_eq!(out, text);
        }
    }

    #[test]
    fn broken_bytes_become_replacement_characters() {
        let mut stream = Utf8Stream::default();
        stream.buffer().extend_from_slice(b"a\xE6b\xFFc\xE6\xAD");
        assert_eq!(stream.take(), "a\u{FFFD}b\u{FFFD}c");
        stream.buffer().push(0xA3);
        assert_eq!(stream.take(), "正");
    }
}
