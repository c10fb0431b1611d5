//! Labels of texts, and what OpenAI's clients and the API's readers get.

use crate::server::{BAD, GOOD, Server, home};
use serde_json::{Value, json};

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
