//! Pulls that are cut short and go on.

use crate::hub::{Hub, Manners, REPO, fixture};
use crate::user::{User, WEIGHTS, assert_says, assert_weights, of_weights, stderr, stdout};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

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
