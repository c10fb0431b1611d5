//! The server as clients meet it: the built binary, and what comes over the wire.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const GOOD: &str = "终于把bug修完了，感觉整个人都轻松了！";
const BAD: &str = "项目延期了，客户又要投诉，压力好大。";

/// A server that ends with the test.
struct Server {
    child: Child,
    address: SocketAddr,
}

/// What came back.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Server {
    /// With conversations in `home`.
    fn start(home: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_qaio"))
            .args(["serve", "--port", "0", "--json"])
            .args(arguments)
            .env("QAIO_HOME", home)
            .env_remove("QAIO_API_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("qaio runs");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("it is piped")).read_line(&mut line).expect("a line");
        let url = serde_json::from_str::<Value>(&line).expect("JSON")["url"].as_str().expect("a URL").to_owned();
        let address = url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in [("host", "localhost"), ("content-type", "application/json")] {
            if !headers.iter().any(|(given, _)| *given == name) {
                head += &format!("{name}: {value}\r\n");
            }
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // A server that has refused the head need not read the body.
        let _ = stream.write_all(body);
        stream
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        answer(self.send(method, path, headers, body))
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, &[], body.to_string().as_bytes())
    }

    fn session(&self) -> String {
        let answer = self.post("/api/sessions", &json!({}));
        assert_eq!(answer.status, 201);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    fn running(&self) -> u64 {
        self.get("/api/info").json()["running"].as_u64().unwrap()
    }

    /// Begins work of some seconds, and waits until it runs.
    fn occupy(&self) -> TcpStream {
        let before = self.running();
        let texts: Vec<String> = (0..1000).map(|n| format!("{n} {}", "这件事说来话长，".repeat(12))).collect();
        let stream = self.send("POST", "/api/classify", &[], json!({"texts": texts}).to_string().as_bytes());
        within(Duration::from_secs(5), || self.running() == before + 1);
        stream
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("kill runs").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// A problem with this status and code; returns its sentence.
    #[track_caller]
    fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        let problem = self.json();
        assert_eq!(
            (problem["status"].as_u64(), problem["code"].as_str()),
            (Some(u64::from(status)), Some(code)),
            "{problem}"
        );
        problem["detail"].as_str().unwrap().to_owned()
    }
}

fn answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A refused body may end in a reset after the answer.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

#[track_caller]
fn within(time: Duration, is_so: impl Fn() -> bool) {
    let until = Instant::now() + time;
    while !is_so() {
        assert!(Instant::now() < until, "not within {time:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs a server that does not start; its exit code and the line on standard error.
fn refused(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_qaio"))
        .arg("serve")
        .args(arguments)
        .env("QAIO_HOME", home().path())
        .env_remove("QAIO_API_KEY")
        .output()
        .unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

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

/// Names and data of server-sent events that came in chunks.
fn events(body: &str) -> Vec<(String, Value)> {
    let mut name = String::new();
    let mut found = Vec::new();
    for line in body.lines() {
        if let Some(given) = line.strip_prefix("event: ") {
            name = given.to_owned();
        } else if let Some(data) = line.strip_prefix("data: ") {
            found.push((name.clone(), serde_json::from_str(data).unwrap()));
        }
    }
    found
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
fn labels_of_one_text_and_of_many() {
    let home = home();
    let task = home.path().join("urgency.json");
    let definition = json!({"name": "urgency", "system": "s", "template": "{text}", "labels": ["急", "不急"]});
    std::fs::write(&task, definition.to_string()).unwrap();
    let server = Server::start(home.path(), &["--task", task.to_str().unwrap()]);
    let tasks = server.get("/api/tasks").json();
    let names: Vec<_> =
        tasks.as_array().unwrap().iter().map(|task| task["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["sentiment", "intent", "language", "urgency"]);
    assert_eq!(server.post("/api/classify", &json!({"text": GOOD, "task": "urgency"})).status, 200);

    let one = server.post("/api/classify", &json!({"text": GOOD})).json();
    let many = server.post("/api/classify", &json!({"texts": [BAD, " ", GOOD]})).json();
    let results = many["results"].as_array().unwrap();
    assert_eq!(
        (results[0]["id"].as_str(), results[1]["error"]["code"].as_str()),
        (Some("negative"), Some("EMPTY_TEXT"))
    );
    for key in ["id", "score", "probabilities"] {
        assert_eq!(results[2][key], one[key]);
    }
    let detail = server.post("/api/classify", &json!({"text": GOOD, "task": "mood"})).problem(404, "NOT_FOUND");
    assert!(detail.contains("\"mood\"") && detail.contains("sentiment, intent, language, urgency"), "{detail}");
    server.post("/api/classify", &json!({"texts": vec!["a"; 1001]})).problem(400, "TOO_MANY");
    server.post("/api/classify", &json!({"text": "a", "texts": ["b"]})).problem(400, "INVALID_ARGUMENT");
    server.post("/api/classify", &json!({})).problem(400, "INVALID_ARGUMENT");
    let empty = server.post("/api/classify", &json!({"texts": []})).json();
    assert_eq!(empty["results"], json!([]));
}

#[test]
fn openais_completions() {
    let home = home();
    let server = Server::start(home.path(), &[]);
    let models = server.get("/v1/models").json();
    assert_eq!(models["data"][0]["id"], "qaio-mini");
    let ask = |more: Value| {
        let mut body = json!({"model": "qaio-mini", "messages": [{"role": "user", "content": GOOD}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.post("/v1/chat/completions", &body)
    };
    let whole = ask(json!({})).json();
    let choice = &whole["choices"][0];
    assert_eq!(
        (choice["finish_reason"].as_str(), choice["message"]["role"].as_str()),
        (Some("stop"), Some("assistant"))
    );
    let usage = &whole["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(count("total_tokens"), count("prompt_tokens") + count("completion_tokens"));
    assert_eq!(ask(json!({"max_tokens": 1})).json()["choices"][0]["finish_reason"], "length");

    let label = ask(json!({"model": "qaio-mini:sentiment", "logprobs": true, "top_logprobs": 2})).json();
    let choice = &label["choices"][0];
    assert_eq!(choice["message"]["content"], "正面");
    let top = choice["logprobs"]["content"][0]["top_logprobs"].as_array().unwrap();
    let sum: f64 = top.iter().map(|label| label["logprob"].as_f64().unwrap().exp()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{top:?}");

    for (more, status, code) in [
        (json!({"model": "gpt-4o"}), 404, "UNKNOWN_MODEL"),
        (json!({"model": "qaio-mini-2"}), 404, "UNKNOWN_MODEL"),
        (json!({"model": "qaio-mini:mood"}), 404, "NOT_FOUND"),
        (json!({"logprobs": true}), 400, "INVALID_OPTION"),
        (json!({"n": 2}), 400, "INVALID_OPTION"),
        (json!({"tools": [{}]}), 400, "INVALID_OPTION"),
        (json!({"temperature": -1}), 400, "INVALID_OPTION"),
        (json!({"messages": []}), 400, "INVALID_ARGUMENT"),
        (json!({"messages": [{"role": "robot", "content": "a"}]}), 400, "INVALID_ARGUMENT"),
        (json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}), 400, "INVALID_ARGUMENT"),
        (json!({"messages": [{"role": "user", "content": " "}]}), 400, "EMPTY_TEXT"),
        (json!({"messages": "hello"}), 400, "INVALID_JSON"),
    ] {
        let answer = ask(more.clone());
        let detail = answer.problem(status, code);
        assert_eq!(answer.json()["error"]["message"], detail, "OpenAI's clients look there: {more}");
    }
}

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

fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    rest
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

#[test]
fn the_api_describes_itself() {
    let home = home();
    let server = Server::start(home.path(), &[]);
    let document = server.get("/openapi.json").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for path in [
        "/api/turn",
        "/api/classify",
        "/api/tasks",
        "/api/sessions",
        "/api/sessions/{id}",
        "/v1/chat/completions",
        "/v1/models",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    assert!(server.get("/docs/").body.contains("swagger-ui"));
    assert!(server.get("/docs/swagger-ui-bundle.js").body.len() > 100_000, "nothing is fetched from elsewhere");
    assert_eq!(server.get("/readyz").status, 200);
    server.post("/api/turn", &json!({"text": GOOD}));
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("qaio_requests_total{route=\"/api/turn\",status=\"200\"} 1"), "{metrics}");
    assert!(metrics.contains("qaio_running 0") && metrics.contains("qaio_reply_tokens_total"), "{metrics}");
}
