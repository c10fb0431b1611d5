//! What a line of a conversation asks for.

/// The commands, for people.
pub const HELP: &str = "\
/reset      forget the conversation
/save FILE  write the conversation to a new file, as JSON
/help       this list
/exit       leave; so does Ctrl-D
Ctrl-C      stop the reply that is coming; at the prompt: clear the line, and leave if there is none
Alt-Enter   a new line in the message";

/// As they are completed. A command with an argument ends in a space.
pub const NAMES: [&str; 4] = ["/exit", "/help", "/reset", SAVE];

/// What a file name follows.
pub const SAVE: &str = "/save ";

/// A line, understood.
#[derive(Debug, PartialEq)]
pub enum Line<'a> {
    Nothing,
    Help,
    Reset,
    /// Where to; empty if that was not said.
    Save(&'a str),
    Exit,
    Unknown(&'a str),
    Message(&'a str),
}

pub fn parse(line: &str) -> Line<'_> {
    match line.trim() {
        "" => Line::Nothing,
        "/help" => Line::Help,
        "/reset" => Line::Reset,
        "/save" => Line::Save(""),
        "/exit" => Line::Exit,
        words if words.starts_with(SAVE) && !words.contains('\n') => Line::Save(words[SAVE.len()..].trim()),
        word if word.strip_prefix('/').is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphabetic())) => {
            Line::Unknown(word)
        }
        _ => Line::Message(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_messages() {
        for (line, meaning) in [
            (" \t", Line::Nothing),
            ("/exit ", Line::Exit),
            ("/save", Line::Save("")),
            ("/save  my talk.json ", Line::Save("my talk.json")),
            ("/saved", Line::Unknown("/saved")),
            ("/usr/bin is full", Line::Message("/usr/bin is full")),
            ("/reset everything", Line::Message("/reset everything")),
            ("/save a\nb", Line::Message("/save a\nb")),
            (" 你好", Line::Message(" 你好")),
        ] {
            assert_eq!(parse(line), meaning, "{line:?}");
        }
    }
}
