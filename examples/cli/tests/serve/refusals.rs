//! What is refused, and with which words.

use crate::server::{Server, home, refused, rest};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpListener;

#[test]
fn bad_requests_are_told_what_is_wrong() {
    let home = home();
    let server = Server::start(home.path(), &[]);
    let post = |headers: &[(&str, &str)], body: &[u8]| server.request("POST", "/api/turn", headers, body);
    assert!(post(&[], b"{\"text\": 7}").problem(400, "INVALID_JSON").starts_with("text: "));
    assert!(post(&[], b"{\"text\": \"a\"").problem(400, "INVALID_JSON").contains("EOF"));
    assert!(post(&[], b"{\"text\": \"a\"} x").problem(400, "INVALID_JSON").contains("trailing"));
    assert!(post(&[], b"{\"txt\": \"a\"}").problem(400, "INVALID_JSON").contains("`text`"));
    assert!(post(&[], b"{\"text\": \"\xff\"}").problem(400, "INVALID_UTF8").contains("byte 10"));
    post(&[("content-type", "text/plain")], b"hello").problem(415, "UNSUPPORTED_MEDIA_TYPE");
    let text = |text: &str, options: Value| server.post("/api/turn", &json!({"text": text, "options": options}));
    text("  ", json!({})).problem(400, "EMPTY_TEXT");
    text("a", json!({"temperature": 11})).problem(400, "INVALID_OPTION");
    assert!(text("a", json!({"temprature": 1})).problem(400, "UNKNOWN_OPTION").contains("temperature"));
    text(&"长".repeat(5000), json!({})).problem(413, "CONTEXT_OVERFLOW");
    assert_eq!(text(&"长".repeat(5000), json!({"truncate": true, "max_tokens": 4})).status, 200);
    text(&"x".repeat(5 << 20), json!({})).problem(413, "TOO_LARGE");
    server.post("/api/turn", &json!({})).problem(400, "INVALID_ARGUMENT");
    server.post("/api/turn", &json!({"text": "a", "session": "nonsense"})).problem(404, "NOT_FOUND");
    let id = server.session();
    server.post("/api/turn", &json!({"session": id, "regenerate": true})).problem(400, "INVALID_ARGUMENT");
    server.get("/nowhere").problem(404, "NOT_FOUND");
    server.get("/assets/../main.rs").problem(404, "NOT_FOUND");
    server.request("PUT", "/api/turn", &[], b"{}").problem(405, "METHOD_NOT_ALLOWED");
}

#[test]
fn who_may_come_in() {
    let home = home();
    let server = Server::start(
        home.path(),
        &["--api-key", "secret", "--allow-host", "qaio.test", "--allow-origin", "https://app.test"],
    );
    let key = ("authorization", "Bearer secret");
    let get = |headers: &[(&str, &str)]| server.request("GET", "/api/info", headers, b"");
    assert!(get(&[]).problem(401, "UNAUTHORIZED").contains("Bearer"));
    assert_eq!(get(&[key]).status, 200);
    get(&[key, ("host", "evil.test")]).problem(403, "HOST_NOT_ALLOWED");
    assert_eq!(get(&[key, ("host", "qaio.test:80")]).status, 200);
    get(&[key, ("origin", "https://evil.test")]).problem(403, "ORIGIN_NOT_ALLOWED");
    let allowed = get(&[key, ("origin", "https://app.test")]);
    assert!(
        allowed.status == 200 && allowed.head.contains("access-control-allow-origin: https://app.test"),
        "{}",
        allowed.head
    );
    assert_eq!(server.get("/").status, 200, "the page asks for the key");
    let page = server.get("/");
    for header in
        ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff", "x-frame-options: DENY"]
    {
        assert!(page.head.contains(header), "{}", page.head);
    }

    let (code, said) = refused(&["--host", "0.0.0.0", "--port", "0"]);
    assert!(code == 2 && said.contains("--api-key") && said.contains("--no-api-key"), "{said}");
    let (code, said) = refused(&["--allow-origin", "https://*"]);
    assert!(code == 2 && said.contains("https://example.org"), "{said}");
}

#[test]
fn a_slow_sender_is_not_waited_for() {
    let home = home();
    let server = Server::start(home.path(), &[]);
    let mut slow = server.connect();
    slow.write_all(
        b"POST /api/turn HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    )
    .unwrap();
    let answered = rest(slow);
    assert!(
        answered.is_empty() || String::from_utf8_lossy(&answered).contains(" 4"),
        "{}",
        String::from_utf8_lossy(&answered)
    );
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, said) = refused(&["--port", &port]);
    assert!(code == 1 && said.contains("another program listens there") && said.contains("--port 0"), "{said}");
    let (code, said) = refused(&["--port", "0", "--model", "nowhere.gguf"]);
    assert!(code == 1 && said.contains("nowhere.gguf"), "{said}");
    let (code, said) = refused(&["--port", "0", "--task", "nowhere.json"]);
    assert!(code == 1 && said.contains("nowhere.json"), "{said}");
}
