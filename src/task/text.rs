//! Checks a user's text and makes a prompt of it that fits.

use crate::engine::{Engine, Message};
use crate::error::{Result, fail};

/// # Errors
/// `EmptyText` when there is nothing to read.
pub(crate) fn check(text: &str) -> Result<()> {
    if text.trim().is_empty() {
        fail!(EmptyText, "the text is empty or only white space; give at least one character");
    }
    Ok(())
}

/// The prompt that `render` makes of `text`; if it leaves less than `room` tokens of the context, of `text` with its
/// middle cut out.
///
/// # Errors
/// `ContextOverflow` when it does not fit and `truncate` is false, or when even a short text would not fit.
pub(crate) fn prompt(
    engine: &Engine,
    text: &str,
    truncate: bool,
    room: usize,
    render: &dyn Fn(&str) -> Vec<Message>,
) -> Result<Vec<u32>> {
    let ids_of = |text: &str| engine.markup().prompt(engine.tokenizer(), &render(text));
    let limit = engine.context().saturating_sub(room);
    let mut ids = ids_of(text)?;
    if ids.len() <= limit {
        return Ok(ids);
    }
    if !truncate {
        fail!(
            ContextOverflow,
            "the prompt has {} tokens, the context {} of which {room} are kept for the reply; shorten the text, or set \
             truncate to true",
            ids.len(),
            engine.context()
        );
    }
    let tokens = engine.tokenizer().encode(text)?;
    let mut keep = tokens.len();
    while ids.len() > limit {
        // Text may tokenise differently once it is cut, hence the loop.
        keep = keep.saturating_sub(ids.len() - limit);
        if keep == 0 {
            fail!(
                ContextOverflow,
                "the prompt alone fills the context of {} tokens; load with a larger one",
                engine.context()
            );
        }
        ids = ids_of(&ends(engine, &tokens, keep))?;
    }
    Ok(ids)
}

/// The first and last halves of `keep` tokens, joined by an ellipsis.
fn ends(engine: &Engine, tokens: &[u32], keep: usize) -> String {
    let first = keep.div_ceil(2);
    let part = |tokens: &[u32]| {
        let mut bytes = Vec::new();
        tokens.iter().for_each(|&id| engine.tokenizer().decode_into(id, &mut bytes));
        String::from_utf8_lossy(&bytes).replace(char::REPLACEMENT_CHARACTER, "")
    };
    format!("{}…{}", part(&tokens[..first]), part(&tokens[tokens.len() - (keep - first)..]))
}
