//! What is refused, and what is said of it.

use crate::hub::{Hub, Manners, REPO, fixture, sha256};
use crate::user::{User, WEIGHTS, assert_says, of_weights, stdout};
use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

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
#[cfg(target_os = "linux")]
fn a_full_disk_is_said() {
    let hub = Hub::of_fixture("qwen2-tiny");
    let user = User::of(&hub);
    fs::create_dir_all(user.directory()).expect("a directory");
    std::os::unix::fs::symlink("/dev/full", user.part()).expect("a link");
    assert_says(&user.run(&["pull", REPO]), &["no space is left", WEIGHTS, "more bytes", "make room"]);
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
