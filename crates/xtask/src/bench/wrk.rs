//! Requests by wrk, which takes less of the processor than any client in this process would.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::bench::float;

/// Prints what was measured as numbers, for programs.
const REPORT: &str = r#"
function done(summary, latency)
    local failed = summary.errors
    local errors = failed.connect + failed.read + failed.write + failed.timeout + failed.status
    io.write(string.format("measured %d %d %d %d %d\n", summary.requests, summary.duration, errors,
        latency:percentile(50), latency:percentile(99)))
end
"#;

/// A request that is made again and again.
pub(super) struct Request {
    pub(super) url: String,
    pub(super) token: String,
    /// What is posted; without it, the request is a GET.
    pub(super) body: Option<Value>,
}

/// How requests were answered.
#[derive(Clone, Copy)]
pub(super) struct Answered {
    pub(super) per_second: f64,
    pub(super) median_ms: f64,
    pub(super) p99_ms: f64,
}

/// Makes a request on so many connections for so many seconds.
///
/// # Errors
///
/// When wrk fails, or any request does.
pub(super) async fn ask(request: &Request, connections: usize, seconds: u64) -> Result<Answered> {
    let dir = tempfile::tempdir()?;
    let script = dir.path().join("request.lua");
    std::fs::write(&script, self::script(request))?;
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &connections.to_string()])
        .args(["--duration", &format!("{seconds}s"), "--script"])
        .arg(&script)
        .arg(&request.url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    if !output.status.success() {
        bail!("wrk: {}", String::from_utf8_lossy(&output.stderr));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers = said.lines().find_map(|line| line.strip_prefix("measured "));
    let numbers = numbers.context("wrk says nothing that was measured")?;
    let numbers: Vec<u64> = numbers
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let &[requests, duration_us, errors, median_us, p99_us] = &numbers[..] else {
        bail!("wrk says {numbers:?}");
    };
    ensure!(errors == 0, "{errors} of {requests} requests fail");
    Ok(Answered {
        per_second: float(requests) / float(duration_us) * 1e6,
        median_ms: float(median_us) / 1e3,
        p99_ms: float(p99_us) / 1e3,
    })
}

/// Tells wrk what to ask.
fn script(request: &Request) -> String {
    let post = request.body.as_ref().map_or_else(String::new, |body| {
        format!(
            "wrk.method = 'POST'\nwrk.body = [==[{body}]==]\n\
             wrk.headers['Content-Type'] = 'application/json'\n"
        )
    });
    format!(
        "wrk.headers['Authorization'] = 'Bearer {}'\n{post}{REPORT}",
        request.token
    )
}
