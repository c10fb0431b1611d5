//! Checks a user's text and makes a prompt of it that fits.

use crate::engine::{Engine, Message};
use crate::error::{Error, ErrorKind, Result, fail};
use std::borrow::Cow;

/// Whether there is something to read in `text`; every call that takes a text asks this first.
///
/// # Errors
/// `EmptyText` when there is nothing to read.
pub fn check(text: &str) -> Result<()> {
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
    // A text far too long is not worth the seconds that encoding it would take.
    let most_bytes = engine.tokenizer().most_bytes(limit);
    let text = match text.len() > most_bytes {
        false => Cow::Borrowed(text),
        true if truncate => Cow::Owned(ends_by_bytes(text, most_bytes)),
        true => return Err(too_long(engine, &format!("text has {} bytes", text.len()), room)),
    };
    let mut ids = ids_of(&text)?;
    if ids.len() <= limit {
        return Ok(ids);
    }
    if !truncate {
        return Err(too_long(engine, &format!("prompt has {} tokens", ids.len()), room));
    }
    let tokens = engine.tokenizer().encode(&text)?;
    let mut keep = tokens.len();
    while ids.len() > limit {
        // Text may tokenise differently once it is cut, hence the loop.
        keep = keep.saturating_sub(ids.len() - limit);
        if keep == 0 {
            let context = engine.context();
            fail!(ContextOverflow, "the prompt alone fills the context of {context} tokens; load with a larger one");
        }
        ids = ids_of(&ends(engine, &tokens, keep))?;
    }
    Ok(ids)
}

/// The prompt that `render` makes of what was said `before` and `text`. With `truncate` the oldest of `before` are forgotten
/// first, then the middle of the text.
///
/// # Errors
/// As [`prompt`].
pub(crate) fn prompt_after<T>(
    engine: &Engine,
    before: &[T],
    text: &str,
    truncate: bool,
    room: usize,
    render: &dyn Fn(&[T], &str) -> Vec<Message>,
) -> Result<Vec<u32>> {
    let without = |forgotten: usize| {
        let (kept, all_gone) = (&before[forgotten..], forgotten == before.len());
        prompt(engine, text, truncate && all_gone, room, &|text| render(kept, text))
    };
    let overflows = |result: &Result<Vec<u32>>| {
        result.as_ref().is_err_and(|error| truncate && error.kind() == ErrorKind::ContextOverflow)
    };
    let mut shortest = without(0);
    if before.is_empty() || !overflows(&shortest) {
        return shortest;
    }
    // The fewest that must go: each prompt is made anew, so they are not tried one by one.
    let (mut least, mut most) = (1, before.len());
    while least < most {
        let middle = (least + most) / 2;
        let result = without(middle);
        if overflows(&result) {
            least = middle + 1;
        } else {
            (shortest, most) = (result, middle);
        }
    }
    match overflows(&shortest) {
        true => without(most),
        false => shortest,
    }
}

fn too_long(engine: &Engine, what: &str, room: usize) -> Error {
    let kept = if room > 0 { format!(", {room} of them for the reply") } else { String::new() };
    Error::new(
        ErrorKind::ContextOverflow,
        format!(
            "the {what}, but the context holds {} tokens{kept}; shorten the text, or set truncate to true",
            engine.context()
        ),
    )
}

/// As much of the beginning of `text` as `most` tokens hold, and how many it takes.
pub(crate) fn beginning(engine: &Engine, text: &str, most: usize) -> Result<(String, usize)> {
    let text = &text[..text.floor_char_boundary(engine.tokenizer().most_bytes(most))];
    let mut tokens = engine.tokenizer().encode(text)?;
    if tokens.len() <= most {
        return Ok((text.to_owned(), tokens.len()));
    }
    tokens.truncate(most);
    Ok((decoded(engine, &tokens), most))
}

/// The text of `tokens`, without the pieces of a character at their ends.
fn decoded(engine: &Engine, tokens: &[u32]) -> String {
    let mut bytes = Vec::new();
    tokens.iter().for_each(|&id| engine.tokenizer().decode_into(id, &mut bytes));
    String::from_utf8_lossy(&bytes).replace(char::REPLACEMENT_CHARACTER, "")
}

/// The first and last halves of `keep` bytes.
fn ends_by_bytes(text: &str, keep: usize) -> String {
    let first = text.floor_char_boundary(keep / 2);
    let last = text.ceil_char_boundary(text.len() - keep / 2);
    format!("{}…{}", &text[..first], &text[last..])
}

/// The first and last halves of `keep` tokens, joined by an ellipsis.
fn ends(engine: &Engine, tokens: &[u32], keep: usize) -> String {
    let first = keep.div_ceil(2);
    format!("{}…{}", decoded(engine, &tokens[..first]), decoded(engine, &tokens[tokens.len() - (keep - first)..]))
}
