//! A child process that does not outlive its owner.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// How long a process may take to stop after SIGTERM.
const GRACE: Duration = Duration::from_secs(12);

pub struct Process {
    name: String,
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

/// The `nearside` binary beside this one.
pub fn nearside() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let binary = here.ancestors().nth(2).context("no folder above this one")?.join("nearside");
    if !binary.is_file() {
        bail!("{} is not there: scripts/demo builds it", binary.display());
    }
    Ok(binary)
}

impl Process {
    /// Starts `nearside` with these arguments; its log goes to `log`.
    pub fn start(name: &str, log: &std::path::Path, arguments: &[&str]) -> anyhow::Result<Process> {
        let log = std::fs::File::create(log).with_context(|| format!("{}", log.display()))?;
        let mut command = Command::new(nearside()?);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        // Ctrl-C reaches the whole group; the children are stopped in order, not all at once by the terminal.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no pipe")?).lines();
        Ok(Process { name: name.to_owned(), child, lines })
    }

    /// The address in the next line the process prints, `… http://address`.
    pub fn address(&mut self) -> anyhow::Result<SocketAddr> {
        let line =
            self.lines.next().with_context(|| format!("{} ended before it served; see its log", self.name))??;
        let (_, address) =
            line.rsplit_once("http://").with_context(|| format!("{}: no address in `{line}`", self.name))?;
        Ok(address.parse()?)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no chance to do anything.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and wait for the end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let started = Instant::now();
        while self.child.try_wait()?.is_none() {
            if started.elapsed() > GRACE {
                bail!("{} did not stop within {} s of SIGTERM", self.name, GRACE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
