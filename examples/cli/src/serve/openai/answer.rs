//! How an answer is put: as one completion, or in chunks.

use qaio::{Classification, Reply, StopReason};
use serde_json::{Value, json};

/// The answer to a request, and how it is put.
#[derive(Clone)]
pub struct Form {
    pub id: String,
    pub created: u64,
    pub model: String,
    pub include_usage: bool,
}

/// What came of it.
pub enum Answer {
    Reply(Reply),
    Label(Box<Classification>, Option<usize>),
}

impl Answer {
    fn text(&self) -> &str {
        match self {
            Answer::Reply(reply) => &reply.text,
            Answer::Label(found, _) => &found.label().text,
        }
    }

    pub fn finish_reason(&self) -> &'static str {
        match self {
            Answer::Reply(reply) if matches!(reply.stop_reason, StopReason::Length | StopReason::Deadline) => "length",
            _ => "stop",
        }
    }

    pub fn usage(&self) -> Value {
        let (usage, completion) = match self {
            Answer::Reply(reply) => (reply.usage, reply.usage.reply_tokens),
            Answer::Label(found, _) => (found.usage, 1),
        };
        json!({
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": usage.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        })
    }

    /// The labels' logarithmic probabilities, the likeliest first, in the place of a token's.
    fn logprobs(&self) -> Value {
        let Answer::Label(found, Some(top)) = self else { return Value::Null };
        let mut labels: Vec<(&str, f64)> = found
            .definition
            .labels
            .iter()
            .map(|label| label.text.as_str())
            .zip(found.probabilities.iter().copied())
            .collect();
        labels.sort_by(|a, b| b.1.total_cmp(&a.1));
        let entry =
            |&(text, p): &(&str, f64)| json!({"token": text, "logprob": p.max(1e-300).ln(), "bytes": text.as_bytes()});
        let mut first = entry(&labels[0]);
        first["top_logprobs"] = labels.iter().take(*top).map(entry).collect();
        json!({"content": [first], "refusal": null})
    }
}

impl Form {
    pub fn whole(&self, answer: &Answer) -> Value {
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": answer.text(), "refusal": null},
                "logprobs": answer.logprobs(), "finish_reason": answer.finish_reason(),
            }],
            "usage": answer.usage(),
        })
    }

    pub fn chunk(&self, delta: Value, finish_reason: Value) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
        })
    }
}
