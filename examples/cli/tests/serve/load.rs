//! Many at once, those who go away, and the end.

use crate::server::{GOOD, Server, answer, home, rest, within};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn one_too_many_waits_and_one_more_comes_back_later() {
    let home = home();
    let server = Server::start(home.path(), &["--parallel", "1", "--queue", "1"]);
    let running = server.occupy();
    let waiting = server.send("POST", "/api/turn", &[], json!({"text": GOOD, "stream": true}).to_string().as_bytes());
    within(Duration::from_secs(5), || server.get("/api/info").json()["waiting"] == 1);
    let refused = server.post("/api/turn", &json!({"text": GOOD}));
    refused.problem(429, "QUEUE_FULL");
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    let mut lines = BufReader::new(waiting).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "event: queued"));
    assert_eq!(lines.next().unwrap(), "data: {\"ahead\":0}");
    // Its place is free as soon as nobody waits at the other end.
    drop(running);
    assert!(lines.any(|line| line == "event: done"));
    assert_eq!(server.post("/api/turn", &json!({"text": GOOD})).status, 200);
}

#[test]
fn who_goes_away_ends_the_work() {
    let home = home();
    let server = Server::start(home.path(), &[]);
    let work = server.occupy();
    drop(work);
    let since = Instant::now();
    within(Duration::from_secs(5), || server.running() == 0);
    // 100 ms are promised; a machine that is busy with other tests gets more.
    assert!(since.elapsed() < Duration::from_millis(1000), "{:?}", since.elapsed());
}

#[cfg(unix)]
#[test]
fn what_runs_is_finished_when_the_server_stops() {
    let home = home();
    let mut server = Server::start(home.path(), &[]);
    let running = server.occupy();
    server.signal("-TERM");
    assert_eq!(answer(running).status, 200);
    assert!(server.child.wait().unwrap().success());

    let mut server = Server::start(home.path(), &["--grace", "0"]);
    let running = server.occupy();
    server.signal("-TERM");
    let _ = rest(running);
    let since = Instant::now();
    assert!(server.child.wait().unwrap().success());
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

#[test]
fn many_connections_are_told_apart_from_those_that_are_served() {
    let home = home();
    let server = Server::start(home.path(), &[]);
    let idle: Vec<TcpStream> = (0..512).map(|_| server.connect()).collect();
    within(Duration::from_secs(10), || {
        let mut text = Vec::new();
        let mut stream = server.connect();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).contains("503")
    });
    drop(idle);
    within(Duration::from_secs(10), || {
        let mut text = Vec::new();
        let mut stream = server.connect();
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let _ = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).contains("200 OK")
    });
}
