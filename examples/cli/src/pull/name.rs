//! The names of repositories on a hub, and of what was pulled from them.

use crate::failure::Failure;
use std::fmt;
use std::path::{Component, Path};

/// `OWNER/NAME`. Both parts are plain names, so they are safe in a path and in a URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RepoName {
    owner: String,
    name: String,
}

impl RepoName {
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        (is_plain(owner) && is_plain(name)).then(|| Self { owner: owner.to_owned(), name: name.to_owned() })
    }

    /// As `parse`, with a sentence for the person who typed it.
    pub fn from_argument(text: &str) -> Result<Self, Failure> {
        Self::parse(text).ok_or_else(|| {
            Failure::Message(format!(
                "{text:?} is not the name of a repository; write OWNER/NAME, e.g. Qwen/Qwen2.5-0.5B-Instruct"
            ))
        })
    }

    pub fn owner(&self) -> &str {
        &self.owner
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// Letters, digits, `_`, `-` and `.`, beginning with none of the last two.
fn is_plain(text: &str) -> bool {
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    text.bytes().all(in_name) && text.bytes().next().is_some_and(|first| !b"-.".contains(&first))
}

/// What `--model` may name of the models that were pulled: `OWNER/NAME`, or a GGUF file of it, `OWNER/NAME/FILE`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PulledName {
    pub repo: RepoName,
    pub file: Option<String>,
}

impl PulledName {
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let repo = format!("{}/{}", parts.next()?, parts.next()?);
        let file = parts.next().map(str::to_owned);
        match &file {
            Some(file) if !is_gguf(file) || !is_safe(file) => None,
            // `models/small.gguf` is a path that was mistyped.
            None if is_gguf(&repo) => None,
            _ => Some(Self { repo: RepoName::parse(&repo)?, file }),
        }
    }
}

impl fmt::Display for PulledName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}/{file}", self.repo),
            None => self.repo.fmt(f),
        }
    }
}

pub fn is_gguf(name: &str) -> bool {
    name.ends_with(".gguf")
}

/// Whether a file of this name lies inside of the directory that it is put into, on each platform, and its name can
/// be shown on a terminal.
pub fn is_safe(name: &str) -> bool {
    !name.is_empty()
        && !name.chars().any(|c| c.is_control() || c == '\\' || c == ':')
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_an_owner_and_a_name() {
        for good in ["Qwen/Qwen1.5-0.5B-Chat", "a/b", "_a/b_c.d-e"] {
            assert_eq!(RepoName::parse(good).expect(good).to_string(), good);
        }
        for bad in ["", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/-b", "a b/c", "a/b?c", "a\\b/c", "ä/b", "./b"] {
            assert_eq!(RepoName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_model_is_a_repository_or_a_gguf_file_of_it() {
        let file = |text: &str| PulledName::parse(text).map(|name| name.file);
        assert_eq!(file("a/b"), Some(None));
        assert_eq!(file("a/b/c.gguf"), Some(Some("c.gguf".to_owned())));
        assert_eq!(file("a/b/q8/c.gguf"), Some(Some("q8/c.gguf".to_owned())));
        for path in ["a", "a/b.gguf", "a/b/c", "a/b/../c.gguf", "/a/b", "no/such/model"] {
            assert_eq!(file(path), None, "{path}");
        }
    }

    #[test]
    fn names_that_lead_out_of_the_directory_are_unsafe() {
        for good in ["config.json", "q8/model.gguf", "a..b", "..a", "ä b.gguf"] {
            assert!(is_safe(good), "{good}");
        }
        for bad in ["", "..", "../a", "a/../../b", "/etc/passwd", "a//b", "./a", "a/", "a\\..\\b", "C:x", "a\u{1b}[2J"]
        {
            assert!(!is_safe(bad), "{bad:?}");
        }
    }
}
