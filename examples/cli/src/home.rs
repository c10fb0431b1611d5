//! Where qaio keeps what should last: pulled models and conversations.

use std::env;
use std::path::PathBuf;

/// `$QAIO_HOME`, else `qaio` in the platform's folder for data; none without a home.
pub fn data() -> Option<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(home) = named("QAIO_HOME") {
        return Some(home);
    }
    if cfg!(windows) {
        return named("LOCALAPPDATA").map(|data| data.join("qaio"));
    }
    named("XDG_DATA_HOME").or_else(|| named("HOME").map(|home| home.join(".local/share"))).map(|data| data.join("qaio"))
}
