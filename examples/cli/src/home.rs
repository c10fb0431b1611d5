//! Where qaio keeps what should last: pulled models and conversations.

use std::env;
use std::path::PathBuf;

/// `$QAIO_HOME`, else `qaio` among the user's data; none without a home.
pub fn data() -> Option<PathBuf> {
    match env::var_os("QAIO_HOME").filter(|home| !home.is_empty()) {
        Some(home) => Some(home.into()),
        None => dirs::data_dir().map(|data| data.join("qaio")),
    }
}
