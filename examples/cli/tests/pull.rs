//! `qaio pull` and `--model OWNER/NAME`, against an imitation of a hub on a loopback port.

mod hub;

use hub::{Asked, COMMIT, Hub, Manners, REPO, fixture, sha256};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const WEIGHTS: &str = "model.safetensors";

/// A user with a home of their own, who knows one hub.
struct User {
    home: TempDir,
    endpoint: String,
}

impl User {
    fn of(hub: &Hub) -> Self {
        Self { home: tempfile::tempdir().expect("a directory"), endpoint: hub.endpoint.clone() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qaio"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("HF_ENDPOINT", &self.endpoint).env("QAIO_HOME", self.home.path()).env("HF_HOME", self.home.path());
        for name in ["HF_TOKEN", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("qaio runs")
    }

    /// Where the repository is kept.
    fn directory(&self) -> PathBuf {
        self.home.path().join("models").join(REPO)
    }

    fn part(&self) -> PathBuf {
        self.directory().join(format!("{WEIGHTS}.part"))
    }

    /// Starts a pull and waits until its partial file has `length` bytes.
    fn pull_until(&self, length: usize) -> Child {
        let child = self.command(&["pull", REPO]).spawn().expect("qaio runs");
        let start = Instant::now();
        while fs::metadata(self.part()).map_or(0, |metadata| metadata.len()) < length as u64 {
            assert!(start.elapsed() < Duration::from_secs(30), "nothing comes");
            sleep(Duration::from_millis(10));
        }
        child
    }
}

#[track_caller]
fn stdout(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

/// The last line of a command that fails.
#[track_caller]
fn failure(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let line = stderr(output).lines().last().expect("a line");
    line.strip_prefix("qaio: ").unwrap_or_else(|| panic!("{line}"))
}

#[track_caller]
fn assert_says(output: &Output, parts: &[&str]) {
    let message = failure(output);
    for part in parts {
        assert!(message.contains(part), "{part}: {message}");
    }
}

fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn of_weights(asked: Vec<Asked>) -> Vec<Asked> {
    asked.into_iter().filter(|request| request.path.ends_with(WEIGHTS)).collect()
}

#[track_caller]
fn assert_weights(path: &Path) {
    assert!(fs::read(path).expect("the weights") == fixture("qwen2-tiny")[WEIGHTS], "other bytes");
}

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
fn a_cut_connection_is_taken_up_where_it_ended() {
    for redirect in [false, true] {
        let cut = Some((10_000, 2));
        let hub = Hub::new(Manners { files: fixture("qwen2-tiny"), cut, redirect, ..Manners::default() });
        let user = User::of(&hub);
        stdout(&user.run(&["pull", REPO]));
        assert_weights(&user.directory().join(WEIGHTS));
        let asked = of_weights(hub.take());
        let store: Vec<_> = asked.iter().filter(|request| request.path.starts_with("/store") == redirect).collect();
        let ranges: Vec<_> = store.iter().map(|request| request.range.as_deref()).collect();
        assert_eq!(ranges, [None, Some("bytes=10000-"), Some("bytes=20000-")]);
        assert_eq!(store.iter().map(|request| request.sent).sum::<usize>(), fixture("qwen2-tiny")[WEIGHTS].len());
    }
}

#[test]
fn a_server_without_ranges_sends_it_whole_again() {
    let hub = Hub::new(Manners {
        files: fixture("qwen2-tiny"),
        cut: Some((10_000, 1)),
        no_ranges: true,
        ..Manners::default()
    });
    let user = User::of(&hub);
    stdout(&user.run(&["pull", REPO]));
    assert_weights(&user.directory().join(WEIGHTS));
}

#[test]
fn a_killed_pull_is_taken_up_by_the_next() {
    let hub = Hub::new(Manners { files: fixture("qwen2-tiny"), stall: Some(30_000), ..Manners::default() });
    let user = User::of(&hub);
    let mut child = user.pull_until(30_000);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(!user.directory().join(WEIGHTS).exists(), "half a file under the real name");
    assert_says(&user.run(&["info", "--model", REPO]), &["owner/name was pulled in part", "`qaio pull owner/name`"]);
    assert!(stdout(&user.run(&["pull", "--list"])).contains("(in part only"));

    hub.manners().stall = None;
    hub.take();
    stdout(&user.run(&["pull", REPO]));
    let asked = of_weights(hub.take());
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].range.as_deref(), Some("bytes=30000-"));
    assert_eq!(asked[0].sent, fixture("qwen2-tiny")[WEIGHTS].len() - 30_000);
    assert_weights(&user.directory().join(WEIGHTS));
    assert!(!user.part().exists());
    stdout(&user.run(&["info", "--model", REPO]));
}

#[test]
#[cfg(unix)]
fn ctrl_c_stops_at_once_and_keeps_what_came() {
    let hub = Hub::new(Manners { files: fixture("qwen2-tiny"), stall: Some(5_000), ..Manners::default() });
    let user = User::of(&hub);
    let child = user.pull_until(5_000);
    let start = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs").success());
    let output = child.wait_with_output().expect("it ends");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(stderr(&output).ends_with("Stopped. The same command goes on from here.\n"), "{output:?}");
    assert_eq!(fs::metadata(user.part()).expect("it is kept").len(), 5_000);
}

#[test]
#[cfg(unix)]
fn two_pulls_of_one_file_do_not_mix() {
    let hub = Hub::new(Manners { files: fixture("qwen2-tiny"), stall: Some(5_000), ..Manners::default() });
    let user = User::of(&hub);
    let mut child = user.pull_until(5_000);
    assert_says(&user.run(&["pull", REPO]), &["another qaio is fetching", WEIGHTS]);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn what_does_not_match_its_checksum_is_refused_and_deleted() {
    for (name, kind) in [(WEIGHTS, "SHA-256"), ("tokenizer.json", "git blob")] {
        for bare_listing in [false, true] {
            let files = fixture("qwen2-tiny");
            let told = [(name.to_owned(), b"other bytes".to_vec())].into();
            let hub = Hub::new(Manners { files, told, bare_listing, ..Manners::default() });
            let user = User::of(&hub);
            let pull = user.run(&["pull", REPO]);
            assert_says(&pull, &[name, &format!("expected {kind}"), &format!("found {kind}"), "run the same command"]);
            assert!(!user.directory().join(name).exists() && !user.part().exists());
        }
    }
    let told = [(WEIGHTS.to_owned(), b"other bytes".to_vec())].into();
    let hub = Hub::new(Manners { files: fixture("qwen2-tiny"), told, ..Manners::default() });
    let hashes = [sha256(b"other bytes"), sha256(&fixture("qwen2-tiny")[WEIGHTS])];
    assert_says(&User::of(&hub).run(&["pull", REPO]), &[&hashes[0], &hashes[1]]);
}

#[test]
fn a_partial_file_of_something_else_is_fetched_anew() {
    let hub = Hub::of_fixture("qwen2-tiny");
    let user = User::of(&hub);
    for length in [1_000, 10_000_000] {
        fs::create_dir_all(user.directory()).expect("a directory");
        let _ = fs::remove_file(user.directory().join(WEIGHTS));
        fs::write(user.part(), vec![7; length]).expect("it can be written");
        stdout(&user.run(&["pull", REPO]));
        assert_weights(&user.directory().join(WEIGHTS));
    }
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
#[cfg(target_os = "linux")]
fn a_full_disk_is_said() {
    let hub = Hub::of_fixture("qwen2-tiny");
    let user = User::of(&hub);
    fs::create_dir_all(user.directory()).expect("a directory");
    std::os::unix::fs::symlink("/dev/full", user.part()).expect("a link");
    assert_says(&user.run(&["pull", REPO]), &["no space is left", WEIGHTS, "more bytes", "make room"]);
}

#[test]
fn a_hub_that_is_busy_is_asked_again() {
    for (status, code) in [(503, ""), (429, "")] {
        let refuse = Some((status, code, 2));
        let hub = Hub::new(Manners { files: fixture("qwen2-tiny"), refuse, ..Manners::default() });
        stdout(&User::of(&hub).run(&["pull", REPO]));
        assert_eq!(hub.take().len(), 8);
    }
    let hub = Hub::new(Manners { refuse: Some((503, "", 99)), ..Manners::default() });
    assert_says(&User::of(&hub).run(&["pull", REPO]), &[REPO, "503", "HF_ENDPOINT"]);
    assert_eq!(hub.take().len(), 5);
}

#[test]
fn what_the_hub_refuses_is_said_by_name() {
    let hub = Hub::of_fixture("qwen2-tiny");
    let user = User::of(&hub);
    assert_says(&user.run(&["pull", "not/there"]), &["has no repository not/there", &hub.endpoint, "HF_TOKEN"]);
    assert_says(&user.run(&["pull", REPO, "--revision", "v9"]), &[REPO, "has no revision `v9`", "--revision"]);
    for (status, code, parts) in [
        (401, "RepoNotFound", ["owner/name", "401", "HF_TOKEN"]),
        (403, "", ["owner/name", "403", "HF_TOKEN"]),
        (401, "GatedRepo", ["owner/name is gated", "accept its terms at", "HF_TOKEN"]),
        (418, "", ["418", "owner/name", "HF_ENDPOINT"]),
    ] {
        hub.manners().refuse = Some((status, code, 1));
        assert_says(&user.run(&["pull", REPO]), &parts);
    }
    hub.manners().refuse = None;
    hub.manners().refuse_files = Some((403, "GatedRepo"));
    assert_says(&user.run(&["pull", REPO]), &["owner/name is gated", "HF_TOKEN"]);
    hub.manners().refuse_files = Some((404, "EntryNotFound"));
    assert_says(&user.run(&["pull", REPO]), &["lists config.json", "404"]);
    hub.manners().refuse = Some((401, "", 1));
    let refused = user.command(&["pull", REPO]).env("HF_TOKEN", "old").output().expect("qaio runs");
    assert_says(&refused, &["refuses the token", "HF_TOKEN"]);
    assert!(!user.directory().join(WEIGHTS).exists());
}

#[test]
fn names_that_lead_out_of_the_directory_are_refused() {
    for name in ["../evil.safetensors", "/tmp/evil.safetensors", "a/../../config.json", "..\\evil", "a\u{1b}[2J.gguf"] {
        let hub = Hub::of_fixture("qwen2-tiny");
        hub.manners().files.insert(name.to_owned(), b"evil".to_vec());
        let user = User::of(&hub);
        assert_says(&user.run(&["pull", REPO]), &[&format!("{name:?}"), "nothing was fetched"]);
        assert_eq!(hub.take().len(), 1);
        assert!(!user.home.path().join("models").exists());
    }
}

#[test]
fn a_model_that_cannot_be_loaded_is_refused_before_its_weights_come() {
    let hub = Hub::of_fixture("qwen2-tiny");
    hub.manners().files.insert("config.json".to_owned(), br#"{"model_type":"llama"}"#.to_vec());
    let user = User::of(&hub);
    assert_says(&user.run(&["pull", REPO]), &[REPO, "llama"]);
    assert!(of_weights(hub.take()).is_empty());
    assert!(!user.directory().exists());
}

#[test]
fn an_endpoint_where_nothing_listens_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let user = User { home: tempfile::tempdir().expect("a directory"), endpoint: endpoint.clone() };
    let start = Instant::now();
    assert_says(&user.run(&["pull", REPO]), &[REPO, &endpoint, "HF_ENDPOINT", "refused"]);
    assert!(start.elapsed() < Duration::from_secs(5));
    for (endpoint, part) in [("huggingface.co", "must be a URL"), ("http://a b", "cannot be asked")] {
        let user = User { home: tempfile::tempdir().expect("a directory"), endpoint: endpoint.to_owned() };
        assert_says(&user.run(&["pull", REPO]), &["HF_ENDPOINT", endpoint, part]);
    }
}

#[test]
fn an_endpoint_that_is_no_hub_is_named() {
    // A page instead of the listing, as a login page of a network would give it.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let page = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.read(&mut [0; 4096]);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>").expect("it is read");
    });
    let user = User { home: tempfile::tempdir().expect("a directory"), endpoint: endpoint.clone() };
    assert_says(&user.run(&["pull", REPO]), &[&endpoint, "hub's listing", "HF_ENDPOINT"]);
    page.join().expect("no panic");
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

#[test]
fn a_wrong_command_line_is_explained() {
    let hub = Hub::of_fixture("qwen2-tiny");
    let user = User::of(&hub);
    for name in ["name", "../name", "owner/name/more", "owner/..", "https://huggingface.co/owner/name"] {
        assert_says(&user.run(&["pull", name]), &[name, "OWNER/NAME"]);
    }
    for arguments in [&["pull"][..], &["pull", "--list", REPO], &["pull", REPO, "--revision", ""]] {
        assert_eq!(user.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let help = user.run(&["pull", "--help"]);
    for part in ["QAIO_HOME", "XDG_DATA_HOME", "HF_ENDPOINT", "HF_TOKEN", "qaio pull --list"] {
        assert!(stdout(&help).contains(part), "{part}");
    }
    assert!(hub.take().is_empty());
}
