//! A message and its answer, alone and in a session that lasts.

use crate::server::{BAD, GOOD, Server, answer, events, home};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

#[test]
fn a_turn_at_once_and_in_pieces_is_the_same() {
    let home = home();
    let server = Server::start(home.path(), &[]);
    for (text, label) in [(GOOD, "正面"), (BAD, "负面")] {
        let whole = server.post("/api/turn", &json!({"text": text}));
        assert_eq!(whole.status, 200, "{}", whole.body);
        let whole = whole.json();
        assert_eq!(whole["sentiment"]["line"], format!("😄 LLM 情感判断: {label}"));
        let stream = server.post("/api/turn", &json!({"text": text, "stream": true}));
        assert!(stream.head.contains("content-type: text/event-stream"), "{}", stream.head);
        let events = events(&stream.body);
        let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names[0], *names.last().unwrap()), ("sentiment", "done"));
        let pieces: String =
            events.iter().filter(|(name, _)| name == "piece").map(|(_, data)| data["text"].as_str().unwrap()).collect();
        assert_eq!(pieces, whole["reply"]["text"]);
        assert_eq!(events.last().unwrap().1["reply"]["text"], whole["reply"]["text"]);
    }
    let by_header = server.request(
        "POST",
        "/api/turn",
        &[("accept", "text/event-stream")],
        json!({"text": GOOD}).to_string().as_bytes(),
    );
    assert!(by_header.body.contains("event: done"));
}

#[test]
fn a_session_survives_a_kill_and_is_answered_anew() {
    let home = home();
    let mut server = Server::start(home.path(), &[]);
    let id = server.session();
    for text in [GOOD, BAD] {
        assert_eq!(server.post("/api/turn", &json!({"text": text, "session": id})).status, 200);
    }
    let before = server.get(&format!("/api/sessions/{id}")).json();
    let contents = |session: &Value| -> Vec<String> {
        session["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["content"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(contents(&before).len(), 4);
    assert_eq!(before["messages"][2]["sentiment"]["label"], "负面");

    server.signal("-KILL");
    server.child.wait().unwrap();
    // As if it had been killed while it wrote.
    let file = home.path().join("sessions").join(format!("{id}.jsonl"));
    std::fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"{\"message\":\"half").unwrap();
    let server = Server::start(home.path(), &[]);
    let after = server.get(&format!("/api/sessions/{id}")).json();
    assert_eq!(after["messages"], before["messages"]);

    let anew = json!({"session": id, "regenerate": true, "options": {"temperature": 1.5, "seed": 9}});
    let other = server.post("/api/turn", &anew);
    assert_eq!(other.status, 200, "{}", other.body);
    let now = server.get(&format!("/api/sessions/{id}")).json();
    assert_eq!(contents(&now)[..3], contents(&before)[..3]);
    assert_eq!(contents(&now)[3], other.json()["reply"]["text"].as_str().unwrap());

    assert_eq!(server.request("DELETE", &format!("/api/sessions/{id}"), &[], b"").status, 204);
    assert!(!file.exists());
    server.get(&format!("/api/sessions/{id}")).problem(404, "NOT_FOUND");
}

#[cfg(unix)]
#[test]
fn conversations_are_nobody_elses_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let home = home();
    let server = Server::start(home.path(), &[]);
    let id = server.session();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let folder = home.path().join("sessions");
    assert_eq!((mode(&folder), mode(&folder.join(format!("{id}.jsonl")))), (0o700, 0o600));

    let forgetful = Server::start(home.path(), &["--forget"]);
    let id = forgetful.session();
    assert!(!folder.join(format!("{id}.jsonl")).exists());
}

#[test]
fn a_session_says_one_thing_at_a_time() {
    let home = home();
    let server = Server::start(home.path(), &[]);
    let id = server.session();
    let turns: Vec<_> = (0..6)
        .map(|_| server.send("POST", "/api/turn", &[], json!({"text": GOOD, "session": id}).to_string().as_bytes()))
        .collect();
    let mut said = 0;
    for turn in turns {
        let answer = answer(turn);
        match answer.status {
            200 => said += 1,
            _ => drop(answer.problem(409, "BUSY")),
        }
    }
    assert!(said >= 1);
    let messages = server.get(&format!("/api/sessions/{id}")).json()["messages"].as_array().unwrap().len();
    assert_eq!(messages, 2 * said);
}
