//! ChatML, the markup of Qwen's conversations, written by token ids.
//!
//! The control tokens go in by number and the text between them is encoded as text, so no text can open or close a
//! turn. For benign text the ids equal those of the model's own chat template.

use super::{Family, Tokenizer};
use crate::error::{Result, fail};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// As ChatML and the chat APIs spell it.
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// The ids of the markup of one model.
#[derive(Clone, Debug)]
pub struct Markup {
    im_start: u32,
    im_end: u32,
    newline: Vec<u32>,
    assistant: Vec<u32>,
    /// An empty thought, put before an answer so that a reasoning model answers at once.
    no_thought: Vec<u32>,
}

impl Markup {
    /// The markup of a model of `family`, whose chat template is `template` if it has one.
    ///
    /// # Errors
    /// `ModelUnsupported` when the tokenizer lacks the control tokens.
    pub fn new(tokenizer: &Tokenizer, family: Family, template: Option<&str>) -> Result<Self> {
        let control = |content: &str| match tokenizer.added(content) {
            Some(id) => Ok(id),
            None => fail!(ModelUnsupported, "the tokenizer has no {content}; use a chat model (…-Chat or …-Instruct)"),
        };
        // Qwen3 thinks unless told not to; its later instruct-only versions do not know the switch.
        let can_think = family == Family::Qwen3 && template.is_none_or(|text| text.contains("enable_thinking"));
        let mut no_thought = Vec::new();
        if can_think && let (Some(open), Some(close)) = (tokenizer.added("<think>"), tokenizer.added("</think>")) {
            let gap = tokenizer.encode("\n\n")?;
            no_thought = [&[open][..], &gap, &[close], &gap].concat();
        }
        Ok(Self {
            im_start: control("<|im_start|>")?,
            im_end: control("<|im_end|>")?,
            newline: tokenizer.encode("\n")?,
            assistant: tokenizer.encode("assistant\n")?,
            no_thought,
        })
    }

    /// The id that ends a turn.
    pub fn im_end(&self) -> u32 {
        self.im_end
    }

    /// The ids of `messages`, and of the opening of an answer to them.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`].
    pub fn prompt(&self, tokenizer: &Tokenizer, messages: &[Message]) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for Message { role, content } in messages {
            let said = match role {
                Role::Assistant if !self.no_thought.is_empty() => without_thought(content),
                _ => content,
            };
            ids.push(self.im_start);
            ids.extend(tokenizer.encode(&format!("{}\n{said}", role.name()))?);
            ids.push(self.im_end);
            ids.extend(&self.newline);
        }
        ids.push(self.im_start);
        ids.extend(&self.assistant);
        ids.extend(&self.no_thought);
        Ok(ids)
    }

    /// The ids of `messages` and of the beginning of one more, up to `opening` of its content: the constant head of
    /// prompts that differ only after it.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`].
    pub fn head(&self, tokenizer: &Tokenizer, messages: &[Message], role: Role, opening: &str) -> Result<Vec<u32>> {
        let mut ids = self.prompt(tokenizer, messages)?;
        ids.truncate(ids.len() - self.no_thought.len() - self.assistant.len());
        ids.extend(tokenizer.encode(&format!("{}\n{opening}", role.name()))?);
        Ok(ids)
    }
}

/// What a reasoning model said, without what it thought before: past thoughts are not shown to it again.
fn without_thought(content: &str) -> &str {
    match content.rsplit_once("</think>") {
        Some((_, said)) => said.trim_start_matches('\n'),
        None => content,
    }
}
