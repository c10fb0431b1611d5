//! The analyst's finding.

use super::{Classification, ClassifyOptions, Model, Usage};
use crate::engine::{CancelToken, Interrupt};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// The two ends of sentiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Polarity {
    /// 负面
    #[serde(rename = "负面")]
    Negative,
    /// 正面
    #[serde(rename = "正面")]
    Positive,
}

impl Polarity {
    /// Both, in the order of the labels of `tasks/sentiment.json`.
    const ALL: [Polarity; 2] = [Polarity::Negative, Polarity::Positive];

    /// The label: 正面 or 负面.
    pub fn label(self) -> &'static str {
        match self {
            Polarity::Negative => "负面",
            Polarity::Positive => "正面",
        }
    }

    /// The line that announces it.
    pub fn line(self) -> &'static str {
        match self {
            Polarity::Negative => "😄 LLM 情感判断: 负面",
            Polarity::Positive => "😄 LLM 情感判断: 正面",
        }
    }
}

/// What a text's sentiment is, and how sure that is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sentiment {
    /// The likelier label.
    #[serde(rename = "label")]
    pub polarity: Polarity,
    /// Its probability among the two labels, 0.5 to 1.
    pub score: f64,
    /// Probability of both labels together among all tokens, 0 to 1; `None` if it was not measured.
    pub label_mass: Option<f64>,
    /// Whether score or label mass is too low to rely on.
    pub unsure: bool,
    /// What it cost.
    pub usage: Usage,
}

impl Sentiment {
    /// The line that announces the label: `😄 LLM 情感判断: 正面`.
    pub fn line(&self) -> &'static str {
        self.polarity.line()
    }

    /// The mood to reply to; none when it is unsure.
    pub(crate) fn mood(&self) -> Option<Polarity> {
        (!self.unsure).then_some(self.polarity)
    }

    /// As a JSON object.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct WithLine<'a> {
            #[serde(flatten)]
            sentiment: &'a Sentiment,
            line: &'static str,
        }
        serde_json::to_string(&WithLine { sentiment: self, line: self.line() }).expect("plain data")
    }
}

impl Model {
    /// Finds the sentiment of `text`.
    ///
    /// # Errors
    /// `EmptyText`, `ContextOverflow`, `InvalidOption`; `Cancelled` and `DeadlineExceeded`.
    pub fn sentiment(&self, text: &str, options: &ClassifyOptions, cancel: Option<CancelToken>) -> Result<Sentiment> {
        options.check()?;
        self.sentiment_until(text, options, &options.interrupt(cancel))
    }

    pub(crate) fn sentiment_until(
        &self,
        text: &str,
        options: &ClassifyOptions,
        interrupt: &Interrupt,
    ) -> Result<Sentiment> {
        let Classification { index, score, label_mass, unsure, usage, .. } =
            self.analyst.classify(self, text, options, interrupt)?;
        Ok(Sentiment { polarity: Polarity::ALL[index], score, label_mass, unsure, usage })
    }
}
