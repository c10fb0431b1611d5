//! The words of the two roles. qaio-mini is trained on exactly these, so a change here asks for a new training.

use super::Polarity;
use crate::engine::{Message, Role};

/// The analyst.
pub(crate) const ANALYST: &str =
    "你是一个冷酷的情感分析师，只关注情绪极性。请判断下面这句话的情绪，只回答一个词：正面或负面。";
/// What stands before and after the analyst's text.
pub(crate) const ANALYST_FRAME: [&str; 2] = ["文本：", "\n情绪："];
/// The assistant.
pub(crate) const ASSISTANT: &str = "你是一个友善、有同理心的AI助手，请根据用户的情绪状态给予适当的回应。";

/// The analyst's conversation about `text`.
pub(crate) fn analyst(text: &str) -> [Message; 2] {
    let [before, after] = ANALYST_FRAME;
    [Message::new(Role::System, ANALYST), Message::new(Role::User, format!("{before}{text}{after}"))]
}

/// What the user said, with the mood that was found in it (none when that is unsure), in the text's own script.
pub(crate) fn with_mood(text: &str, mood: Option<Polarity>) -> String {
    let mood = match (mood, text.chars().any(is_han)) {
        (None, _) => "",
        (Some(Polarity::Positive), true) => "\n（用户的情绪：正面）",
        (Some(Polarity::Negative), true) => "\n（用户的情绪：负面）",
        (Some(Polarity::Positive), false) => "\n(The user's mood: positive)",
        (Some(Polarity::Negative), false) => "\n(The user's mood: negative)",
    };
    format!("{text}{mood}")
}

/// The CJK ideographs of everyday Chinese.
fn is_han(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}')
}
