//! Where the messages of earlier conversations are kept, so that the Up key finds them.

use std::env;
use std::fs::DirBuilder;
use std::io;
use std::path::{Path, PathBuf};

/// Entries that are kept.
pub const MOST: usize = 1_000;

/// The file, as the XDG base directory specification places it; none if this machine has no home for it.
pub fn path() -> Option<PathBuf> {
    Some(state_home()?.join("qaio").join("history"))
}

fn state_home() -> Option<PathBuf> {
    // The specification says to ignore a relative path.
    let named = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let own = if cfg!(windows) { named("LOCALAPPDATA") } else { None };
    named("XDG_STATE_HOME").or(own).or_else(|| Some(env::home_dir()?.join(".local").join("state")))
}

/// Makes the directory of `path`, for nobody else to read.
pub fn make_room(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    path.parent().map_or(Ok(()), |directory| builder.create(directory))
}
