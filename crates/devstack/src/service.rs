//! Runs a binary of the product: started, watched, signalled and taken away again.

use std::env;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, anyhow, bail};

use crate::Env;
use crate::net::http_client;
use crate::process::spawn;
use crate::programs::find;

/// The `iss` of the tokens that the API accepts by default.
pub const TOKEN_ISSUER: &str = "telemetryflow";
/// The `aud` of the tokens that the API accepts by default.
pub const TOKEN_AUDIENCE: &str = "export-api";

/// How much of its log is shown when a service ends by itself.
const LOG_TAIL_LINES: usize = 30;
const POLL: Duration = Duration::from_millis(50);

/// A signal that a test or the end of the stack sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: finish and stop.
    Terminate,
    /// SIGSTOP: freeze.
    Stop,
    /// SIGCONT: go on after [`Signal::Stop`].
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// A running binary whose output goes to a log file. Dropping it kills it, and so does the end of
/// this process.
#[derive(Debug)]
pub struct Service {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `binary` with `environment` on top of this process's own, of which every `EXPORT__`
    /// variable is left out, and appends its output to `log`.
    ///
    /// The process gets a group of its own, so that a Ctrl-C on the terminal does not reach it.
    ///
    /// # Errors
    ///
    /// When the log cannot be opened or the binary cannot be started.
    pub fn spawn(binary: &Path, environment: &[(String, String)], log: &Path) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot open {}", log.display()))?;
        let mut command = Command::new(find("setpriv")?);
        for (variable, _) in env::vars_os() {
            if variable.to_string_lossy().starts_with("EXPORT__") {
                command.env_remove(variable);
            }
        }
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(binary)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0);
        let name = binary.file_name().unwrap_or(binary.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            child: spawn(command)?,
            log: log.to_owned(),
        })
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the file that has the output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until a GET of `url` succeeds.
    ///
    /// # Errors
    ///
    /// When the process ends before, or `deadline` passes; with the end of the log.
    pub async fn wait_until_ready(&mut self, url: &str, deadline: Duration) -> Result<()> {
        let http = http_client()?;
        let started = Instant::now();
        loop {
            let answer = match http.get(url).send().await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => {
                    let status = response.status();
                    format!("{status} {}", response.text().await.unwrap_or_default())
                }
                Err(error) => error.to_string(),
            };
            if let Some(status) = self.child.try_wait()? {
                return Err(self.has_ended(status));
            }
            if started.elapsed() > deadline {
                let tail = self.log_tail();
                bail!(
                    "{} is not ready after {deadline:?}: {answer}\n{tail}",
                    self.name
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the process ends although nobody has asked it to, and says how it ended, with
    /// the end of the log.
    pub async fn ended(&mut self) -> Error {
        match self.exit_status().await {
            Ok(status) => self.has_ended(status),
            Err(error) => error,
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // The shell's own `kill` is on every machine; the program of that name is not.
        let kill = format!("kill -s {} {}", signal.name(), self.pid());
        let output = Command::new("sh").args(["-c", &kill]).output()?;
        if !output.status.success() {
            bail!("{} is gone: SIG{} cannot be sent", self.name, signal.name());
        }
        Ok(())
    }

    /// Kills the process with SIGKILL, as a power cut would, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it cannot be killed.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.exit_status().await?;
        Ok(())
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    ///
    /// When it is still there after `deadline`; with the end of the log.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let Ok(status) = tokio::time::timeout(deadline, self.exit_status()).await else {
            let tail = self.log_tail();
            bail!("{} is still there after {deadline:?}\n{tail}", self.name)
        };
        status
    }

    /// Sends SIGTERM and waits until the process has ended.
    ///
    /// # Errors
    ///
    /// When it has ended by itself already, is not gone after `grace` (it is killed then), or
    /// reports a failure.
    pub async fn stop(mut self, grace: Duration) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            return Err(self.has_ended(status));
        }
        self.signal(Signal::Terminate)?;
        let status = self.wait(grace).await?;
        if !status.success() {
            return Err(self.has_ended(status));
        }
        Ok(())
    }

    async fn exit_status(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn has_ended(&self, status: ExitStatus) -> Error {
        anyhow!("{} has ended: {status}\n{}", self.name, self.log_tail())
    }

    fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Fails only when the process is gone, which is what this is for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the environment that points both binaries at the services of `env`.
///
/// `overrides` come last and win, such as `("EXPORT__HTTP__LISTEN", "127.0.0.1:8080")`.
pub fn export_environment(env: &Env, overrides: &[(&str, &str)]) -> Vec<(String, String)> {
    let smtp_port = env.smtp.port.to_string();
    let ours = [
        ("POSTGRES__URL", env.postgres_url.as_str()),
        ("REDIS__URL", &env.redis_url),
        ("CLICKHOUSE__URL", &env.clickhouse_url),
        ("CLICKHOUSE__USER", &env.clickhouse_user),
        ("CLICKHOUSE__PASSWORD", &env.clickhouse_password),
        ("CLICKHOUSE__DATABASE", &env.clickhouse_database),
        ("S3__ENDPOINT", &env.s3.endpoint),
        ("S3__REGION", &env.s3.region),
        ("S3__BUCKET", &env.s3.bucket),
        ("S3__ACCESS_KEY_ID", &env.s3.access_key),
        ("S3__SECRET_ACCESS_KEY", &env.s3.secret_key),
        ("S3__FORCE_PATH_STYLE", "true"),
        ("SMTP__HOST", &env.smtp.host),
        ("SMTP__PORT", &smtp_port),
        ("SMTP__SECURITY", "none"),
        ("SMTP__FROM", "exports@devstack.example"),
        // Several may run on one machine.
        ("HTTP__METRICS_LISTEN", "127.0.0.1:0"),
        ("AUTH__HS256_SECRET", &env.jwt_secret),
    ]
    .map(|(key, value)| (format!("EXPORT__{key}"), value.to_owned()));
    let theirs = overrides
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()));
    ours.into_iter().chain(theirs).collect()
}
