//! What is fetched, where it is put, and how it is found.

use crate::hub::{COMMIT, Hub, Manners, REPO, fixture, sha256};
use crate::user::{User, WEIGHTS, assert_says, assert_weights, object, stderr, stdout};
use std::fs;

#[test]
fn a_model_is_pulled_and_then_found_by_its_name() {
    let hub = Hub::of_fixture("qwen2-tiny");
    let user = User::of(&hub);
    let pull = user.run(&["pull", REPO]);
    assert_eq!(stdout(&pull), format!("{}\n", user.directory().display()));
    assert_eq!(stderr(&pull).lines().filter(|line| line.ends_with("  fetched")).count(), 5, "{pull:?}");
    assert_eq!(stderr(&pull).lines().count(), 5, "{pull:?}");
    let mut names: Vec<_> = fs::read_dir(user.directory())
        .expect("a directory")
        .map(|entry| entry.expect("a file").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    let config = ["config.json", "generation_config.json"];
    assert_eq!(names, [&config[..], &[WEIGHTS, "tokenizer.json", "tokenizer_config.json"]].concat());
    assert_eq!(hub.take().len(), 6, "a listing, and each file once");

    let info = user.run(&["info", "--model", REPO, "--json"]);
    assert_eq!(object(stdout(&info))["architecture"], "qwen2");
    assert!(stdout(&user.run(&["turn", "hello", "--max-tokens", "3", "--model", REPO])).starts_with("😄"));
    let list = user.run(&["pull", "--list"]);
    let path = user.directory().display().to_string();
    assert!(stdout(&list).starts_with(REPO) && stdout(&list).ends_with(&format!("B  {path}\n")), "{list:?}");
    let list = object(stdout(&user.run(&["pull", "--list", "--json"])));
    assert_eq!(list["models"][0]["path"], path);
    assert_eq!((list["models"].as_array().map(Vec::len), &list["models"][0]["complete"]), (Some(1), &true.into()));
    assert!(hub.take().is_empty(), "nothing but pull asks the hub");
}

#[test]
fn what_is_there_is_not_fetched_again() {
    let hub = Hub::of_fixture("qwen2-tiny");
    let user = User::of(&hub);
    let first = object(stdout(&user.run(&["pull", "--json", REPO])));
    assert_eq!((&first["repo"], &first["revision"], &first["commit"]), (&REPO.into(), &"main".into(), &COMMIT.into()));
    assert_eq!(first["path"], user.directory().display().to_string());
    let files = first["files"].as_array().expect("files");
    let weights = files.iter().find(|file| file["name"] == WEIGHTS).expect("the weights");
    let bytes = &fixture("qwen2-tiny")[WEIGHTS];
    assert_eq!((&weights["bytes"], &weights["sha256"]), (&bytes.len().into(), &sha256(bytes).into()));
    assert!(files.iter().all(|file| file["fetched"] == true));

    fs::write(user.directory().join("config.json"), "{}").expect("it can be written");
    hub.take();
    let pull = user.run(&["pull", "--json", REPO]);
    let second = object(stdout(&pull));
    let fetched: Vec<_> =
        second["files"].as_array().expect("files").iter().filter(|file| file["fetched"] == true).collect();
    assert_eq!(fetched.len(), 1, "{second}");
    assert_eq!((&fetched[0]["name"], hub.take().len()), (&"config.json".into(), 2));
    assert_eq!(stderr(&pull).lines().filter(|line| line.ends_with("is there already")).count(), 4);
}

#[test]
fn headers_tell_what_the_listing_does_not() {
    for redirect in [false, true] {
        let manners = Manners { files: fixture("qwen2-tiny"), bare_listing: true, redirect, ..Manners::default() };
        let hub = Hub::new(manners);
        let user = User::of(&hub);
        stdout(&user.run(&["pull", REPO]));
        assert_weights(&user.directory().join(WEIGHTS));
        assert!(hub.take().iter().any(|request| request.method == "HEAD"));
    }
}

#[test]
fn the_token_goes_to_the_hub_and_not_where_it_sends_us() {
    let hub = Hub::new(Manners { files: fixture("qwen2-tiny"), redirect: true, ..Manners::default() });
    let user = User::of(&hub);
    stdout(&user.command(&["pull", REPO]).env("HF_TOKEN", "secret\n").output().expect("qaio runs"));
    for request in hub.take() {
        let expected = (!request.path.starts_with("/store")).then_some("Bearer secret");
        assert_eq!(request.token.as_deref(), expected, "{request:?}");
    }
    fs::write(user.home.path().join("token"), "of-the-file\n").expect("it can be written");
    stdout(&user.run(&["pull", REPO]));
    assert_eq!(hub.take()[0].token.as_deref(), Some("Bearer of-the-file"));
}

#[test]
fn shards_come_with_their_index() {
    let hub = Hub::of_fixture("qwen3-tiny-sharded");
    let user = User::of(&hub);
    stdout(&user.run(&["pull", REPO, "--revision", "refs/pr/1"]));
    assert_eq!(object(stdout(&user.run(&["info", "--json", "--model", REPO])))["architecture"], "qwen3");
}

#[test]
fn a_gguf_file_is_pulled_alone_and_found_by_its_repository() {
    let gguf = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/gguf/qwen2-tiny-q8_0.gguf"))
        .expect("the model");
    let files =
        [("a-q8.gguf".to_owned(), gguf.clone()), ("b-q4.gguf".to_owned(), gguf), ("config.json".to_owned(), vec![])];
    let hub = Hub::new(Manners { files: files.into(), ..Manners::default() });
    let user = User::of(&hub);
    let choice = ["a-q8.gguf (", "B), b-q4.gguf (", "choose one with --file"];
    assert_says(&user.run(&["pull", REPO]), &[&["only GGUF files"][..], &choice].concat());
    assert_says(&user.run(&["pull", REPO, "--file", "c.gguf"]), &[&["has no c.gguf"][..], &choice].concat());
    assert_says(&user.run(&["pull", REPO, "--file", "config.json"]), &["--file takes a GGUF file"]);
    hub.take();
    let pull = user.run(&["pull", REPO, "--file", "a-q8.gguf"]);
    assert_eq!(stdout(&pull), format!("{}\n", user.directory().join("a-q8.gguf").display()));
    assert_eq!(hub.take().len(), 2);
    stdout(&user.run(&["info", "--model", REPO]));

    stdout(&user.run(&["pull", REPO, "--file", "b-q4.gguf"]));
    assert_says(&user.run(&["info", "--model", REPO]), &["--model owner/name/a-q8.gguf, --model owner/name/b-q4.gguf"]);
    stdout(&user.run(&["info", "--model", "owner/name/b-q4.gguf"]));
    assert_says(&user.run(&["info", "--model", "owner/name/c.gguf"]), &["`qaio pull owner/name --file c.gguf`"]);
    assert_eq!(stdout(&user.run(&["pull", "--list"])).lines().count(), 2);
}

#[test]
fn it_can_be_put_elsewhere() {
    let hub = Hub::of_fixture("qwen2-tiny");
    let user = User::of(&hub);
    let other = user.home.path().join("other");
    let other = other.to_str().expect("UTF-8");
    assert_eq!(stdout(&user.run(&["pull", REPO, "--to", other])), format!("{other}\n"));
    stdout(&user.run(&["info", "--model", other]));
    assert!(!user.directory().exists());
    fs::write(user.home.path().join("file"), "").expect("it can be written");
    let file = user.home.path().join("file/below");
    assert_says(
        &user.run(&["pull", REPO, "--to", file.to_str().expect("UTF-8")]),
        &["file/below", "cannot be written", "--to"],
    );
}

#[test]
fn what_is_here_wins_over_what_was_pulled() {
    let hub = Hub::of_fixture("qwen2-tiny");
    let user = User::of(&hub);
    stdout(&user.run(&["pull", REPO]));
    let here = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(here.path().join(REPO)).expect("a directory");
    let mut command = user.command(&["info", "--model", REPO]);
    let output = command.current_dir(here.path()).output().expect("qaio runs");
    assert_says(&output, &["owner/name/config.json"]);
}

#[test]
fn no_other_command_opens_a_connection() {
    let hub = Hub::of_fixture("qwen2-tiny");
    let user = User::of(&hub);
    for arguments in [&["turn", "hello", "--model", "not/pulled"][..], &["info", "--model", "not/pulled"]] {
        assert_says(&user.run(arguments), &["not/pulled", "`qaio pull not/pulled` fetches it"]);
    }
    assert_says(&user.run(&["info", "--model", "no/such/model"]), &["no/such/model"]);
    stdout(&user.run(&["info"]));
    assert_eq!(stdout(&user.run(&["pull", "--list"])), "");
    assert!(hub.take().is_empty());
    assert!(!user.home.path().join("models").exists(), "nothing is created by looking");
}
