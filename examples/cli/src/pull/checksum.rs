//! The checksums by which a hub names the content of its files.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{self, Read};

/// What a hub says of a file's content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Checksum {
    /// Of large files.
    Sha256(String),
    /// Of small files: git's name of a blob, SHA-1 over a header and the content.
    GitBlob(String),
}

impl Checksum {
    /// An ETag of a hub is a checksum; those of other servers are not.
    pub fn from_etag(etag: &str) -> Option<Self> {
        let hex = etag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
        match hex.len() {
            _ if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => None,
            64 => Some(Checksum::Sha256(hex)),
            40 => Some(Checksum::GitBlob(hex)),
            _ => None,
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Checksum::Sha256(hex) => write!(f, "SHA-256 {hex}"),
            Checksum::GitBlob(hex) => write!(f, "git blob {hex}"),
        }
    }
}

/// The checksums of a file, built up while it comes.
pub struct Digest {
    sha256: Sha256,
    blob: Option<Sha1>,
}

impl Digest {
    /// For a file of `size` bytes that is to be compared with `expected`.
    pub fn new(size: u64, expected: Option<&Checksum>) -> Self {
        let blob =
            matches!(expected, Some(Checksum::GitBlob(_))).then(|| Sha1::new_with_prefix(format!("blob {size}\0")));
        Self { sha256: Sha256::new(), blob }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(blob) = &mut self.blob {
            blob.update(bytes);
        }
    }

    /// Takes all that `reader` has.
    pub fn read(&mut self, mut reader: impl Read) -> io::Result<u64> {
        let mut buffer = vec![0; 1 << 18];
        let mut total = 0;
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(total),
                Ok(count) => {
                    self.update(&buffer[..count]);
                    total += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub fn sha256(&self) -> String {
        hex(&self.sha256.clone().finalize())
    }

    /// The one to compare with what was expected.
    pub fn checksum(&self) -> Checksum {
        match &self.blob {
            Some(blob) => Checksum::GitBlob(hex(&blob.clone().finalize())),
            None => Checksum::Sha256(self.sha256()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_sha256sum_and_git_hash_object() {
        let blob = Checksum::GitBlob("ce013625030ba8dba906f756967f9e9ca394464a".to_owned());
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03".to_owned();
        let mut digest = Digest::new(6, Some(&blob));
        digest.read(&b"hello\n"[..]).expect("memory can be read");
        assert_eq!((digest.sha256(), digest.checksum()), (sha256.clone(), blob));
        let mut digest = Digest::new(6, None);
        digest.update(b"hello\n");
        assert_eq!(digest.checksum(), Checksum::Sha256(sha256));
    }

    #[test]
    fn an_etag_is_a_checksum_by_its_length() {
        let sha256 = "5891B5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(Checksum::from_etag(&format!("\"{sha256}\"")), Some(Checksum::Sha256(sha256.to_ascii_lowercase())));
        assert!(matches!(
            Checksum::from_etag("W/\"ce013625030ba8dba906f756967f9e9ca394464a\""),
            Some(Checksum::GitBlob(_))
        ));
        for other in ["", "\"d41d8cd98f00b204e9800998ecf8427e\"", "\"ce013625030ba8dba906f756967f9e9ca39446zz\""] {
            assert_eq!(Checksum::from_etag(other), None, "{other}");
        }
    }
}
