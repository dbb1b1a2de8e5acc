//! CPU time and memory of a server and its PostgreSQL, from /proc (Linux).

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;

/// CPU seconds used so far by a process and all that descend from it, living or waited for.
///
/// # Errors
/// When /proc can not be read.
pub fn cpu_seconds(root: u32) -> Result<f64> {
    let mut parents: BTreeMap<u32, u32> = BTreeMap::new();
    let mut ticks: BTreeMap<u32, u64> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // After the command's closing parenthesis: state ppid … utime(11) stime(12) cutime(13) cstime(14).
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok()).unwrap_or_default();
        parents.insert(pid, u32::try_from(number(1))?);
        ticks.insert(pid, (11..15).map(number).sum());
    }
    let descends = |mut pid: u32| {
        for _ in 0..64 {
            if pid == root {
                return true;
            }
            match parents.get(&pid) {
                Some(parent) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    let sum: u64 = ticks.iter().filter(|(pid, _)| descends(**pid)).map(|(_, t)| t).sum();
    #[expect(clippy::cast_precision_loss, reason = "seconds for a person")]
    Ok(sum as f64 / 100.0)
}

/// The largest resident memory that the process had so far, in MB.
///
/// # Errors
/// When the process is gone.
pub fn peak_megabytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kilobytes / 1024)
}
