//! `qaio pull`: fetches a model from a hub. Nothing else in qaio opens a connection to another machine.

mod checksum;
mod download;
mod hub;
mod list;
mod name;
mod part;
mod progress;
mod selection;
mod store;
mod trouble;

pub use name::PulledName;
pub use store::Store;

use crate::args::Args;
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::{note, speaker};
use clap::builder::NonEmptyStringValueParser;
use download::{Download, Fetched};
use hub::Hub;
use name::RepoName;
use progress::Progress;
use qaio::CancelToken;
use serde_json::json;
use std::fs;
use std::path::{self, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  qaio pull Qwen/Qwen2.5-0.5B-Instruct
  qaio chat --model Qwen/Qwen2.5-0.5B-Instruct
  qaio pull Qwen/Qwen2.5-0.5B-Instruct-GGUF --file qwen2.5-0.5b-instruct-q8_0.gguf
  qaio pull --json --to /mnt/models/qwen Qwen/Qwen3-0.6B | jq -r .path
  qaio pull --list

Only what qaio loads is fetched: config.json, tokenizer.json, *.safetensors and the small files that belong to them, or
the one GGUF file that --file names. Each file is checked against the hub's checksum. A pull that was cut short goes on
where it ended when the same command is run again; a file that is there and right is not fetched again.

Where models are kept:
  $QAIO_HOME/models/OWNER/NAME, or qaio/models/OWNER/NAME in the user's data directory ($XDG_DATA_HOME or
  ~/.local/share on Linux). All commands find them there by --model OWNER/NAME, or OWNER/NAME/FILE.gguf.

Environment:
  HF_ENDPOINT  the hub [default: https://huggingface.co]
  HF_TOKEN     the token for private and gated repositories [default: that of the file token in HF_HOME]
  HTTPS_PROXY  the way to the hub

Standard output:
  The path for --model. With --json: {\"repo\", \"revision\", \"commit\", \"path\", \"files\": [{\"name\", \"bytes\", \"sha256\",
  \"fetched\"}]}; with --list --json: {\"models\": [{\"name\", \"bytes\", \"path\", \"complete\"}]}.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct PullArgs {
    /// The repository, OWNER/NAME
    #[arg(required_unless_present = "list")]
    repo: Option<String>,

    /// A branch, tag or commit
    #[arg(long, value_name = "NAME", default_value = "main", value_parser = NonEmptyStringValueParser::new())]
    revision: String,

    /// Fetch this GGUF file of the repository, and nothing else
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    file: Option<String>,

    /// Fetch into this directory; files of the same names in it are replaced [default: see below]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,

    /// Show what was pulled instead
    #[arg(long, conflicts_with_all = ["repo", "revision", "file", "to"])]
    list: bool,
}

pub fn run(args: &Args, own: &PullArgs, interrupts: &Interrupts) -> Result<(), Failure> {
    let Some(repo) = own.repo.as_deref().filter(|_| !own.list) else { return list::run(args.json) };
    let repo = RepoName::from_argument(repo)?;
    let directory = match &own.to {
        Some(directory) => path::absolute(directory).unwrap_or_else(|_| directory.clone()),
        None => Store::from_env()?.directory(&repo),
    };
    let pull = Pull {
        download: Download { hub: Hub::from_env()?, repo, revision: own.revision.clone(), directory },
        file: own.file.clone(),
        in_store: own.to.is_none(),
        progress: Progress::new(),
    };
    let progress = pull.progress.clone();
    let pulled = interrupts.during(|cancel| beside(&cancel, move || pull.run()));
    if pulled.is_err() {
        progress.stop();
    }
    if matches!(pulled, Err(Failure::Interrupted)) {
        progress::line("Stopped. The same command goes on from here.");
    }
    let pulled = pulled?;
    let text = match args.json {
        true => format!("{}\n", pulled.json),
        false => format!("{}\n", pulled.path.display()),
    };
    speaker::write(&text).map_err(Failure::Output)?;
    note::hint(&format!("Use it: qaio chat --model {}", pulled.model));
    Ok(())
}

/// One pull, from the listing to the last file.
struct Pull {
    download: Download,
    file: Option<String>,
    in_store: bool,
    progress: Progress,
}

/// What came of it.
struct Outcome {
    /// What `--model` is to be given.
    model: String,
    path: PathBuf,
    json: serde_json::Value,
}

impl Pull {
    fn run(self) -> Result<Outcome, Failure> {
        let Download { repo, revision, directory, .. } = &self.download;
        let listing = self.download.listing()?;
        let mut files = Vec::new();
        for file in selection::select(repo, &listing.files, self.file.as_deref())? {
            let fetched = self.download.fetch(file, &listing.commit, &self.progress)?;
            self.refuse_other_models(&fetched)?;
            files.push(fetched);
        }
        let path = self.file.as_ref().map_or_else(|| directory.clone(), |file| directory.join(file));
        let model = match self.in_store {
            true => store::models(repo, directory).into_iter().find(|model| model.path == path).map(|model| model.name),
            false => None,
        };
        let json = json!({
            "repo": repo.to_string(),
            "revision": revision,
            "commit": listing.commit,
            "path": path,
            "files": files,
        });
        Ok(Outcome { model: model.unwrap_or_else(|| path.display().to_string()), path, json })
    }

    /// A model that qaio cannot load is refused before its weights are fetched.
    fn refuse_other_models(&self, file: &Fetched) -> Result<(), Failure> {
        let Download { repo, directory, .. } = &self.download;
        let path = directory.join(&file.name);
        if file.name != "config.json" {
            return Ok(());
        }
        let Err(error) = qaio::engine::Config::from_json(&fs::read_to_string(&path).unwrap_or_default()) else {
            return Ok(());
        };
        if file.fetched && fs::remove_file(&path).is_ok() {
            // Only what is empty goes.
            let _ = directory.ancestors().take(2).try_for_each(fs::remove_dir);
        }
        Err(Failure::Message(format!("the weights of {repo} are not fetched, since qaio cannot load them: {error}")))
    }
}

/// Does `work` on a thread of its own, so that Ctrl-C need not wait for the network: the thread ends with the process.
fn beside<T: Send + 'static>(
    cancel: &CancelToken,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(work()));
    loop {
        match receiver.recv_timeout(Duration::from_millis(20)) {
            Ok(result) => return result,
            Err(_) if cancel.is_cancelled() => return Err(Failure::Interrupted),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::Message("the pull broke off; run the same command again".to_owned()));
            }
        }
    }
}
