//! Which files of a repository qaio loads. Nothing else is fetched.

use super::hub::RemoteFile;
use super::name::{RepoName, is_gguf, is_safe};
use crate::failure::Failure;
use indicatif::DecimalBytes;

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const OPTIONAL: [&str; 3] = ["generation_config.json", "tokenizer_config.json", "chat_template.jinja"];
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The files to fetch, in this order: the small ones first, since they may show that the rest is of no use.
pub fn select(repo: &RepoName, files: &[RemoteFile], wanted: Option<&str>) -> Result<Vec<RemoteFile>, Failure> {
    if let Some(file) = files.iter().find(|file| !is_safe(&file.name)) {
        return Err(Failure::Message(format!(
            "{repo} lists a file {:?}, which would lie outside of the model's directory; nothing was fetched, and \
             nothing of this repository should be trusted",
            file.name
        )));
    }
    match wanted {
        Some(wanted) => gguf(repo, files, wanted),
        None => directory(repo, files),
    }
}

fn gguf(repo: &RepoName, files: &[RemoteFile], wanted: &str) -> Result<Vec<RemoteFile>, Failure> {
    if !is_gguf(wanted) {
        return Err(Failure::Message(format!(
            "--file takes a GGUF file, not {wanted:?}; without --file the files that qaio loads are fetched"
        )));
    }
    if is_split(wanted) {
        return Err(Failure::Message(format!(
            "{wanted} is one of several parts, and qaio loads GGUF files of one part; choose another with --file"
        )));
    }
    match files.iter().find(|file| file.name == wanted) {
        Some(file) => Ok(vec![file.clone()]),
        None => Err(Failure::Message(match ggufs(files) {
            list if list.is_empty() => format!("{repo} has no GGUF files; leave --file away to fetch its safetensors"),
            list => format!("{repo} has no {wanted}; its GGUF files are {list}: choose one with --file"),
        })),
    }
}

fn directory(repo: &RepoName, files: &[RemoteFile]) -> Result<Vec<RemoteFile>, Failure> {
    let get = |name: &str| files.iter().find(|file| file.name == name).cloned();
    let weights: Vec<RemoteFile> = match get(SINGLE) {
        Some(single) => vec![single],
        None => files.iter().filter(|file| is_shard(&file.name)).cloned().collect(),
    };
    let list = ggufs(files);
    match (get(CONFIG), get(TOKENIZER), weights.is_empty()) {
        (Some(config), Some(tokenizer), false) => {
            // An index means nothing beside the single file.
            let index = get(INDEX).filter(|_| weights[0].name != SINGLE);
            if index.is_none() && weights[0].name != SINGLE {
                return Err(Failure::Message(format!(
                    "{repo} has neither {SINGLE} nor {INDEX}, so qaio cannot load it; choose another repository"
                )));
            }
            let optional = OPTIONAL.into_iter().filter_map(get);
            Ok([config].into_iter().chain(optional).chain([tokenizer]).chain(index).chain(weights).collect())
        }
        (_, _, true) if !list.is_empty() => {
            Err(Failure::Message(format!("{repo} has only GGUF files, {list}: choose one with --file")))
        }
        (config, tokenizer, no_weights) => {
            let missing = match (config, tokenizer) {
                (None, _) => CONFIG,
                (_, None) => TOKENIZER,
                _ if no_weights => SINGLE,
                _ => INDEX,
            };
            let gguf = if list.is_empty() { String::new() } else { format!(" or, with --file, one of {list}") };
            Err(Failure::Message(format!(
                "{repo} has no {missing}, so qaio cannot load it; choose another repository, e.g. \
                 Qwen/Qwen2.5-0.5B-Instruct{gguf}"
            )))
        }
    }
}

/// Beside the index, not in a directory of another program's files.
fn is_shard(name: &str) -> bool {
    name.ends_with(".safetensors") && !name.contains('/')
}

/// `NAME-00001-of-00003.gguf`.
fn is_split(name: &str) -> bool {
    let number =
        |text: Option<&str>| text.is_some_and(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    let mut parts = name.trim_end_matches(".gguf").rsplit('-');
    let (count, of, index) = (parts.next(), parts.next(), parts.next());
    number(count) && of == Some("of") && number(index)
}

/// The GGUF files that qaio can load, with their sizes.
fn ggufs(files: &[RemoteFile]) -> String {
    let names = files.iter().filter(|file| is_gguf(&file.name) && !is_split(&file.name)).map(|file| match file.size {
        Some(size) => format!("{} ({})", file.name, DecimalBytes(size)),
        None => file.name.clone(),
    });
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[&str], wanted: Option<&str>) -> Result<Vec<String>, String> {
        let files: Vec<RemoteFile> = files
            .iter()
            .map(|&name| RemoteFile { name: name.to_owned(), size: Some(2_000_000), checksum: None })
            .collect();
        let repo = RepoName::parse("owner/name").expect("a name");
        match select(&repo, &files, wanted) {
            Ok(files) => Ok(files.into_iter().map(|file| file.name).collect()),
            Err(failure) => Err(failure.message().expect("a message")),
        }
    }

    #[test]
    fn only_what_is_loaded_is_selected() {
        let all = [
            ".gitattributes",
            "README.md",
            CONFIG,
            TOKENIZER,
            "vocab.json",
            "generation_config.json",
            SINGLE,
            "pytorch_model.bin",
            "onnx/model.onnx",
            "original/model.safetensors",
        ];
        let selected = names(&all, None).expect("it is complete");
        assert_eq!(selected, [CONFIG, "generation_config.json", TOKENIZER, SINGLE]);
    }

    #[test]
    fn shards_come_with_their_index() {
        let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        let all = [&[CONFIG, TOKENIZER, INDEX], &shards[..]].concat();
        assert_eq!(names(&all, None).expect("it is complete"), all);
        assert!(names(&[&[CONFIG, TOKENIZER], &shards[..]].concat(), None).unwrap_err().contains(INDEX));
    }

    #[test]
    fn a_gguf_file_is_named_or_chosen_from() {
        let all = ["README.md", "a-q4.gguf", "a-q8.gguf", "a-f16-00001-of-00002.gguf"];
        assert_eq!(names(&all, Some("a-q8.gguf")).expect("it is there"), ["a-q8.gguf"]);
        let choice = "a-q4.gguf (2.00 MB), a-q8.gguf (2.00 MB): choose one with --file";
        assert!(names(&all, None).unwrap_err().ends_with(choice));
        assert!(names(&all, Some("b.gguf")).unwrap_err().ends_with(choice));
        assert!(names(&all, Some("a-f16-00001-of-00002.gguf")).unwrap_err().contains("several parts"));
        assert!(names(&all, Some("README.md")).unwrap_err().contains("--file takes a GGUF file"));
        assert!(names(&[CONFIG], Some("b.gguf")).unwrap_err().contains("no GGUF files"));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(names(&[TOKENIZER, SINGLE], None).unwrap_err().contains(CONFIG));
        assert!(names(&[CONFIG, SINGLE], None).unwrap_err().contains(TOKENIZER));
        assert!(names(&[CONFIG, TOKENIZER, "pytorch_model.bin"], None).unwrap_err().contains(SINGLE));
    }
}
