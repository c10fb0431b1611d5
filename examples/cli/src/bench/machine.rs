//! On which machine, and when: without that a figure says little.

use serde::Serialize;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Serialize)]
pub struct Machine {
    pub cpu: String,
    /// That this process may use.
    pub cores: usize,
    pub memory_bytes: Option<u64>,
    pub system: &'static str,
    pub architecture: &'static str,
    /// Mean number of processes that wanted to run during the last minute, before the measurement.
    pub load_average: Option<f64>,
}

impl Machine {
    pub fn this() -> Self {
        Self {
            cpu: cpu().unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: line_of("/proc/meminfo", "MemTotal").and_then(|size| kib(&size)),
            system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            load_average: load_average(),
        }
    }

    /// Whether something else is computing too.
    pub fn is_busy(&self) -> bool {
        self.load_average.is_some_and(|load| load > 0.3 * self.cores as f64)
    }
}

/// x86 says it in one place, boards in another.
fn cpu() -> Option<String> {
    let board = || fs::read_to_string("/proc/device-tree/model").ok();
    line_of("/proc/cpuinfo", "model name").or_else(board).map(|name| name.trim_matches(['\0', ' ', '\n']).to_owned())
}

/// The value of the first line `key: value` of a file.
fn line_of(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let (_, value) = text.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.trim() == key)?;
    Some(value.trim().to_owned())
}

fn kib(size: &str) -> Option<u64> {
    Some(size.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// Now, as RFC 3339 has it, in UTC.
pub fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    rfc3339(seconds)
}

/// Days to a date as in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms" (`civil_from_days`).
fn rfc3339(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), date);
        }
    }
}
