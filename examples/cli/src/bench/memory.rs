//! Memory of this process, as Linux counts it (proc_pid_status(5)). Elsewhere there is no figure.

use std::fs;

/// Bytes that are in memory now.
pub fn resident() -> Option<u64> {
    field("VmRSS:")
}

/// The most that there were since the start, or since [`forget_peak`].
pub fn peak() -> Option<u64> {
    field("VmHWM:")
}

/// Lets the peak begin anew. Where that is not allowed, it goes on.
pub fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn field(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
