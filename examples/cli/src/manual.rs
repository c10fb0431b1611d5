//! `qaio completions` and `qaio man`: what the command line knows of itself, for shells and for `man`.

use crate::args::{Args, EXIT_CODES};
use crate::failure::Failure;
use crate::{note, speaker};
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  qaio completions bash > ~/.local/share/bash-completion/completions/qaio
  qaio completions zsh > ~/.zfunc/_qaio
  qaio completions fish > ~/.config/fish/completions/qaio.fish
  qaio completions elvish >> ~/.config/elvish/rc.elv
  qaio completions powershell >> $PROFILE

The directory must exist, and a shell that is started afterwards knows them. bash needs the package bash-completion.
zsh looks into ~/.zfunc if ~/.zshrc says, before it calls compinit: fpath=(~/.zfunc $fpath)";

const MAN_EXAMPLES: &str = "\
Examples:
  qaio man | man -l -
  qaio man ~/.local/share/man/man1
  man qaio-turn

The directory is made if it is missing; pages of the same names in it are written anew. man looks into
~/.local/share/man if ~/.local/bin is in the PATH.";

#[derive(clap::Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: Shell,
}

#[derive(clap::Args)]
#[command(after_help = MAN_EXAMPLES)]
pub struct ManArgs {
    /// Where to put a page for qaio and one for each command; without it, qaio's own goes to standard output
    pub dir: Option<PathBuf>,
}

pub fn completions(own: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(own.shell, &mut Args::command(), "qaio", &mut script);
    print(&script)
}

pub fn man(own: &ManArgs) -> Result<(), Failure> {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let Some(directory) = &own.dir else { return print(&page(&command).map_err(Failure::Output)?) };
    let unwritable = |path: &Path, error: io::Error| {
        Failure::Message(format!("{} cannot be written: {error}; choose another directory", path.display()))
    };
    fs::create_dir_all(directory).map_err(|error| unwritable(directory, error))?;
    let commands = family(&command);
    for command in &commands {
        let path = directory.join(format!("{}.1", name(command)));
        page(command).and_then(|page| fs::write(&path, page)).map_err(|error| unwritable(&path, error))?;
    }
    note::hint(&format!("({} pages are in {}.)", commands.len(), directory.display()));
    Ok(())
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    speaker::write(&String::from_utf8_lossy(bytes)).map_err(Failure::Output)
}

/// A command and all below it.
fn family(command: &Command) -> Vec<&Command> {
    let below = command.get_subcommands().filter(|below| !below.is_hide_set()).flat_map(family);
    std::iter::once(command).chain(below).collect()
}

/// `qaio-turn`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The manual page of one command.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let is_root = command.has_subcommands() && name(command) == "qaio";
    let man = Man::new(command.clone()).title(name(command).to_uppercase()).manual("qaio manual");
    let man = man.source(concat!("qaio ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    // The names of options are not to be torn apart or stretched.
    page.extend(b".nh\n.ad l\n");
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // The root's help has them at its end.
    let help = if is_root { help } else { format!("{help}\n\n{EXIT_CODES}") };
    page.extend(sections(&help).into_bytes());
    if !is_root {
        page.extend(b".SH \"SEE ALSO\"\n.BR qaio (1)\n");
    }
    Ok(page)
}

/// The words after the help, as sections: a line that ends in a colon is a heading, what is indented stays line for line,
/// and the rest is running text.
fn sections(help: &str) -> String {
    let mut out = String::new();
    let mut verbatim = false;
    let mut under_notes = false;
    let mut gap = false;
    for line in help.lines() {
        let indented = line.starts_with(' ');
        let heading = line.strip_suffix(':').filter(|_| !indented);
        if verbatim && !indented && !line.is_empty() {
            out += ".fi\n";
            verbatim = false;
        }
        if let Some(heading) = heading {
            out += &format!(".SH \"{}\"\n", heading.to_uppercase());
            under_notes = false;
        } else if line.is_empty() {
            gap = true;
            continue;
        } else if indented {
            if !verbatim {
                out += ".nf\n";
                verbatim = true;
            } else if gap {
                out += "\n";
            }
            out += &format!("{}\n", escaped(line.strip_prefix("  ").unwrap_or(line)));
        } else {
            if !under_notes {
                out += ".SH NOTES\n";
                under_notes = true;
            } else if gap {
                out += ".PP\n";
            }
            out += &format!("{}\n", escaped(line));
        }
        gap = false;
    }
    if verbatim {
        out += ".fi\n";
    }
    out
}

/// Text that roff shows as it is, groff_char(7): no hyphens, quotes or accents in place of what a shell is to read.
fn escaped(line: &str) -> String {
    let mut out = String::new();
    for character in line.chars() {
        match character {
            '\\' => out += "\\e",
            '-' => out += "\\-",
            '\'' => out += "\\(aq",
            '"' => out += "\\(dq",
            '`' => out += "\\(ga",
            '^' => out += "\\(ha",
            '~' => out += "\\(ti",
            other => out.push(other),
        }
    }
    // Else it would be a request.
    if out.starts_with('.') { format!("\\&{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_becomes_sections() {
        let help = "Examples:\n  qaio a 'b'\n\n  .c\n\nIn the end\nall is well.\n\nExit codes:\n  0  done";
        let roff = ".SH \"EXAMPLES\"\n.nf\nqaio a \\(aqb\\(aq\n\n\\&.c\n.fi\n.SH NOTES\nIn the end\nall is well.\n\
                    .SH \"EXIT CODES\"\n.nf\n0  done\n.fi\n";
        assert_eq!(sections(help), roff);
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
