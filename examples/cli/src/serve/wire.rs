//! What answers look like; the library's results, with the line that people see.

use qaio::{Classification, Reply, Sentiment, Turn, Usage};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What a call cost.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UsageOut {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Of these, not computed again because a shared prefix or the session holds them.
    pub cached_tokens: usize,
    /// Tokens of the reply.
    pub reply_tokens: usize,
    /// Wall time in milliseconds.
    pub elapsed_ms: f64,
}

/// What a message feels like.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SentimentOut {
    /// 正面 or 负面.
    #[schema(example = "正面")]
    pub label: &'static str,
    /// Its probability between the two, 0.5 to 1.
    #[schema(minimum = 0.5, maximum = 1.0)]
    pub score: f64,
    /// Probability of both labels together among all tokens.
    pub label_mass: Option<f64>,
    /// Whether score or label mass is too low to rely on.
    pub unsure: bool,
    /// The line that announces it.
    #[schema(example = "😄 LLM 情感判断: 正面")]
    pub line: &'static str,
    /// What it cost.
    pub usage: UsageOut,
}

/// What the assistant says.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReplyOut {
    /// The reply.
    pub text: String,
    /// Why it ended: `end`, `length`, `stop_string`, `cancelled`, `deadline` or `callback`.
    #[schema(example = "end")]
    pub stop_reason: &'static str,
    /// What it cost.
    pub usage: UsageOut,
}

/// The answer to a message.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TurnOut {
    /// The message's sentiment.
    pub sentiment: SentimentOut,
    /// The assistant's reply.
    pub reply: ReplyOut,
    /// The session it belongs to, if any.
    pub session: Option<String>,
}

/// What a task finds in a text.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClassificationOut {
    /// The task.
    #[schema(example = "sentiment")]
    pub task: String,
    /// The likeliest label.
    #[schema(example = "正面")]
    pub label: String,
    /// What programs call it.
    #[schema(example = "positive")]
    pub id: String,
    /// Its probability among the labels.
    pub score: f64,
    /// Probability that the model's answer begins as one of the labels; null if it was not measured.
    pub label_mass: Option<f64>,
    /// Whether score or label mass is too low to rely on.
    pub unsure: bool,
    /// The probability of each label, by its id.
    #[schema(value_type = std::collections::HashMap<String, f64>)]
    pub probabilities: Value,
    /// What it cost.
    pub usage: UsageOut,
}

impl From<Usage> for UsageOut {
    fn from(Usage { prompt_tokens, cached_tokens, reply_tokens, elapsed_ms }: Usage) -> Self {
        Self { prompt_tokens, cached_tokens, reply_tokens, elapsed_ms }
    }
}

impl From<&Sentiment> for SentimentOut {
    fn from(sentiment: &Sentiment) -> Self {
        let &Sentiment { polarity, score, label_mass, unsure, usage } = sentiment;
        Self { label: polarity.label(), score, label_mass, unsure, line: polarity.line(), usage: usage.into() }
    }
}

impl From<&Reply> for ReplyOut {
    fn from(reply: &Reply) -> Self {
        let usage = reply.usage.into();
        Self { text: reply.text.clone(), stop_reason: reply.stop_reason.name(), usage }
    }
}

impl TurnOut {
    pub fn new(turn: &Turn, session: Option<String>) -> Self {
        Self { sentiment: (&turn.sentiment).into(), reply: (&turn.reply).into(), session }
    }
}

impl From<&Classification> for ClassificationOut {
    fn from(found: &Classification) -> Self {
        let labels = &found.definition.labels;
        let probabilities = labels.iter().zip(&found.probabilities).map(|(label, &p)| (label.id.clone(), p));
        Self {
            task: found.definition.name.clone(),
            label: found.label().text.clone(),
            id: found.label().id.clone(),
            score: found.score,
            label_mass: found.label_mass,
            unsure: found.unsure,
            probabilities: probabilities.collect::<std::collections::BTreeMap<_, _>>().into_iter().collect(),
            usage: found.usage.into(),
        }
    }
}
