//! The models that were pulled, and where they lie: `OWNER/NAME` below one directory. Never fetches anything.

use super::name::{PulledName, RepoName, is_gguf};
use super::part::EXTENSION;
use crate::failure::Failure;
use crate::home;
use serde::Serialize;
use std::fs;
use std::path::{self, Path, PathBuf};

/// The directory of all models.
pub struct Store {
    root: PathBuf,
}

/// A model that `--model NAME` finds.
#[derive(Debug, Eq, PartialEq, Serialize)]
pub struct Pulled {
    pub name: String,
    pub bytes: u64,
    pub path: PathBuf,
    /// Whether the pull came to its end.
    pub complete: bool,
}

impl Store {
    /// $QAIO_HOME/models, or qaio/models among the user's data. Creates nothing.
    pub fn from_env() -> Result<Self, Failure> {
        let Some(home) = home::data() else {
            let message = "no home directory is known to keep models in; set QAIO_HOME to a directory";
            return Err(Failure::Message(message.to_owned()));
        };
        let root = home.join("models");
        Ok(Self { root: path::absolute(&root).unwrap_or(root) })
    }

    pub fn directory(&self, repo: &RepoName) -> PathBuf {
        self.root.join(repo.owner()).join(repo.name())
    }

    /// The path of a model that was pulled.
    pub fn find(&self, name: &PulledName) -> Result<PathBuf, Failure> {
        let pull = match &name.file {
            Some(file) => format!("qaio pull {} --file {file}", name.repo),
            None => format!("qaio pull {}", name.repo),
        };
        let models = models(&name.repo, &self.directory(&name.repo));
        let exact = models.iter().find(|model| match &name.file {
            Some(file) => model.path.ends_with(file),
            None => model.name == name.to_string(),
        });
        match exact {
            Some(model) if model.complete => Ok(model.path.clone()),
            Some(_) => Err(Failure::Message(format!("{name} was pulled in part only: `{pull}` goes on"))),
            None if name.file.is_none() && !models.is_empty() => Err(Failure::Message(format!(
                "{name} was pulled as several GGUF files; name one of them: {}",
                models.iter().map(|model| format!("--model {}", model.name)).collect::<Vec<_>>().join(", ")
            ))),
            None => Err(Failure::Message(format!(
                "no file or directory {name} is here, and no model of this name was pulled: `{pull}` fetches it"
            ))),
        }
    }

    /// All that was pulled, by name.
    pub fn list(&self) -> Vec<Pulled> {
        let mut list = Vec::new();
        for owner in names(&self.root) {
            for name in names(&self.root.join(&owner)) {
                if let Some(repo) = RepoName::parse(&format!("{owner}/{name}")) {
                    list.append(&mut models(&repo, &self.directory(&repo)));
                }
            }
        }
        list
    }
}

/// What can be loaded from a repository's directory: itself, or its GGUF files.
pub fn models(repo: &RepoName, directory: &Path) -> Vec<Pulled> {
    let files = files(directory);
    let bytes =
        |choose: &dyn Fn(&str) -> bool| files.iter().filter(|(name, _)| choose(name)).map(|(_, size)| size).sum();
    if files.iter().any(|(name, _)| name == "config.json") {
        let is_weights = |name: &str| name.starts_with("model.safetensors");
        let complete = files.iter().any(|(name, _)| is_weights(name)) && !files.iter().any(|(name, _)| is_part(name));
        let of_it = |name: &str| !is_gguf(name.trim_end_matches(EXTENSION));
        let mut list =
            vec![Pulled { name: repo.to_string(), bytes: bytes(&of_it), path: directory.to_owned(), complete }];
        list.extend(ggufs(repo, directory, &files, false));
        return list;
    }
    let single = files.iter().filter(|(name, _)| is_gguf(name.trim_end_matches(EXTENSION))).count() == 1;
    ggufs(repo, directory, &files, single)
}

/// The GGUF files; a single one is called by the name of its repository.
fn ggufs(repo: &RepoName, directory: &Path, files: &[(String, u64)], single: bool) -> Vec<Pulled> {
    let list = files.iter().filter(|(name, _)| is_gguf(name.trim_end_matches(EXTENSION))).map(|(file, bytes)| {
        let real = file.trim_end_matches(EXTENSION);
        Pulled {
            name: if single { repo.to_string() } else { format!("{repo}/{real}") },
            bytes: *bytes,
            path: directory.join(real),
            complete: !is_part(file),
        }
    });
    list.collect()
}

fn is_part(name: &str) -> bool {
    name.ends_with(EXTENSION)
}

/// The names in a directory in order; none if it cannot be read.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The files below a directory, with their sizes.
fn files(directory: &Path) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    for name in names(directory) {
        match fs::metadata(directory.join(&name)) {
            Ok(metadata) if metadata.is_dir() => {
                let below = self::files(&directory.join(&name));
                files.extend(below.into_iter().map(|(file, size)| (format!("{name}/{file}"), size)));
            }
            Ok(metadata) => files.push((name, metadata.len())),
            Err(_) => {}
        }
    }
    files
}
