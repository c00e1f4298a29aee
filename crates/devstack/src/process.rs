//! Runs a server program that never outlives this process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::programs::{Account, find};

const READY_DEADLINE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);
const LOG_TAIL_LINES: usize = 20;

/// A program with its arguments.
#[derive(Clone)]
pub(crate) struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    envs: Vec<(&'static str, OsString)>,
    account: Option<Account>,
}

impl Program {
    /// Names a program.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            args: Vec::new(),
            envs: Vec::new(),
            account: None,
        }
    }

    /// Adds arguments.
    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.envs.push((name, value.into()));
        self
    }

    /// Runs it as somebody else.
    pub(crate) fn account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    /// Returns the command, of which the kernel kills the process when the parent is gone.
    fn command(&self) -> Result<Command> {
        let mut command = Command::new(find("setpriv")?);
        if let Some(Account { uid, gid }) = self.account {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
            command.arg("--clear-groups");
        }
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.path)
            .args(&self.args)
            .envs(self.envs.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            // Ctrl-C on the terminal is for the parent, which stops its services in order.
            .process_group(0);
        Ok(command)
    }

    /// Runs it to its end; what it printed is in the error when it fails.
    pub(crate) fn run(&self) -> Result<()> {
        let output = self.command()?.output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{} failed: {}", self.path.display(), said.trim());
        }
        Ok(())
    }
}

/// A server that can be killed and started again. Dropping it ends it.
pub(crate) struct Process {
    program: Program,
    /// Asks the server to end in order; it is killed when this does not help.
    quit: Option<Program>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Describes a server whose output goes to `log`. Does not start it.
    pub(crate) fn new(program: Program, quit: Option<Program>, log: &Path) -> Self {
        Self {
            program,
            quit,
            log: log.to_owned(),
            child: Mutex::new(None),
        }
    }

    /// Starts it and waits until `ready` says so.
    pub(crate) async fn start(&self, ready: impl AsyncFn() -> bool) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot open {}", self.log.display()))?;
        let mut command = self.program.command()?;
        command.stdout(log.try_clone()?).stderr(log);
        *self.child() = Some(spawn(command)?);

        let started = Instant::now();
        while !ready().await {
            if let Some(status) = self
                .child()
                .as_mut()
                .map(Child::try_wait)
                .transpose()?
                .flatten()
            {
                bail!("{} has ended: {status}\n{}", self.name(), self.log_tail());
            }
            if started.elapsed() > READY_DEADLINE {
                bail!(
                    "{} is not ready after {READY_DEADLINE:?}\n{}",
                    self.name(),
                    self.log_tail()
                );
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Kills it with SIGKILL, as a power cut would, and waits until it is gone.
    pub(crate) async fn kill(&self) -> Result<()> {
        let Some(mut child) = self.child().take() else {
            return Ok(());
        };
        child.kill()?;
        while child.try_wait()?.is_none() {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Ends it in order.
    pub(crate) async fn stop(self) -> Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self)).await?)
    }

    /// Returns the process id while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self) -> String {
        self.program.path.display().to_string()
    }

    fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut child) = self.child().take() else {
            return;
        };
        // All of this is best effort: what cannot be ended here dies with this process.
        if let Some(quit) = &self.quit {
            let _ = quit.run();
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Spawns on a thread that lives as long as this process.
///
/// The kernel sends the death signal when the *thread* that spawned the child ends, and the threads
/// of a runtime come and go.
pub(crate) fn spawn(command: Command) -> Result<Child> {
    type Order = (Command, SyncSender<io::Result<Child>>);
    static SPAWNER: LazyLock<Sender<Order>> = LazyLock::new(|| {
        let (orders, incoming) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in incoming {
                // The caller is waiting for it.
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });

    let program = command.get_program().to_owned();
    let (answer, child) = sync_channel(1);
    SPAWNER
        .send((command, answer))
        .map_err(|_| anyhow!("the spawning thread has ended"))?;
    child
        .recv()?
        .with_context(|| format!("cannot start {}", program.display()))
}
