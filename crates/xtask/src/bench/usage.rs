//! What processes have used, as proc(5) tells.

use std::fs;

use anyhow::{Context as _, Result};

/// Ticks of the kernel in a second: what Linux shows to programs is always in hundredths.
const TICKS_PER_SECOND: f64 = 100.0;

/// Returns the seconds of CPU that a process has used, all threads together.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program is in parentheses and may hold anything; utime and stime are the 12th
    // and 13th field behind it.
    let (_, fields) = stat.rsplit_once(')').context("/proc has no stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: Vec<u32> = ticks.map(str::parse).collect::<Result<_, _>>()?;
    Ok(f64::from(ticks.iter().sum::<u32>()) / TICKS_PER_SECOND)
}

/// Returns the largest resident set that a process has had (`VmHWM`).
pub(crate) fn peak_rss_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib: u32 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
        .context("/proc has no VmHWM")?
        .parse()?;
    Ok(f64::from(kib) / 1024.0)
}

/// Has the largest resident set of a process begin anew with the one that it has now.
pub(crate) fn forget_peak_rss(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot forget the peak of a process")
}

#[cfg(test)]
mod tests {
    use super::{cpu_seconds, peak_rss_mib};

    #[test]
    fn a_process_uses_something() {
        let pid = std::process::id();
        assert!(cpu_seconds(pid).unwrap() >= 0.0);
        assert!(peak_rss_mib(pid).unwrap() > 1.0);
    }
}
