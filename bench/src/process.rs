//! A child process tied to a guard: whatever way the harness ends, it is killed by its id and waited for.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::limits::{CHILD_LOG_TAIL_BYTES, LISTENING_TIMEOUT, READY_TIMEOUT, TOOL_TIMEOUT};

const POLL: Duration = Duration::from_millis(10);

/// A running child. Its output goes to a file, so that no pipe can fill and stop it while it is being measured.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, logging to `NAME.log` in `directory`. Its standard input stays open as long as the guard
    /// lives: our own servers end with it, should the harness be killed without a chance to clean up.
    pub fn spawn(name: &str, mut command: Command, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("creating the log of {name}"))?;
        let errors = output.try_clone().with_context(|| format!("creating the log of {name}"))?;
        command.stdin(Stdio::piped()).stdout(output).stderr(errors);
        let program = command.get_program().display().to_string();
        let child = command.spawn().with_context(|| format!("starting {name} ({program}): is it built?"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The address in the first line, `listening ADDRESS`.
    pub async fn listening(&mut self) -> Result<SocketAddr> {
        let deadline = Instant::now() + LISTENING_TIMEOUT;
        loop {
            if let Some(address) = listening_line(&self.output()) {
                return address.parse().with_context(|| format!("{} listens on {address:?}", self.name));
            }
            self.still_running()?;
            ensure!(Instant::now() < deadline, "{} did not listen within {LISTENING_TIMEOUT:?}", self.name);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until somebody listens at `address`.
    pub async fn takes_connections(&mut self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        while tokio::net::TcpStream::connect(address).await.is_err() {
            self.still_running()?;
            let late = format!("{} was not up within {READY_TIMEOUT:?}", self.name);
            ensure!(Instant::now() < deadline, "{late}:\n{}", self.log_tail());
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Fails with the end of its log if the process has ended.
    pub fn still_running(&mut self) -> Result<()> {
        match self.poll()? {
            None => Ok(()),
            Some(status) => bail!("{} ended early, {status}:\n{}", self.name, self.log_tail()),
        }
    }

    /// Waits until it has ended well; for pushes and imports.
    pub async fn finish(self) -> Result<()> {
        self.finish_within(TOOL_TIMEOUT).await.map(drop)
    }

    /// The same with another limit; what it printed.
    pub async fn finish_within(mut self, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            match self.poll()? {
                Some(status) if status.success() => return Ok(self.output()),
                Some(status) => bail!("{} failed, {status}:\n{}", self.name, self.log_tail()),
                None => ensure!(Instant::now() < deadline, "{} took over {limit:?}", self.name),
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub fn log_tail(&self) -> String {
        let output = self.output();
        let mut from = output.len().saturating_sub(CHILD_LOG_TAIL_BYTES);
        while !output.is_char_boundary(from) {
            from += 1;
        }
        output[from..].to_owned()
    }

    fn poll(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("waiting for {}", self.name))
    }

    fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a child that is already gone and waited for, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listening_line(output: &str) -> Option<&str> {
    let (first, _) = output.split_once('\n')?;
    first.strip_prefix("listening ").map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts_once_it_is_whole() {
        assert_eq!(listening_line("listening 127.0.0.1:80"), None);
        assert_eq!(listening_line("listening 127.0.0.1:80\nmore\n"), Some("127.0.0.1:80"));
        assert_eq!(listening_line("warning\nlistening 127.0.0.1:80\n"), None);
    }

    #[tokio::test]
    async fn a_child_that_fails_says_so_with_its_log() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such table >&2; exit 3"]);
        let error = Process::spawn("tool", command, directory.path()).unwrap().finish().await.unwrap_err().to_string();
        assert!(error.contains("tool failed") && error.contains("no such table"), "{error}");
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        command.arg("60");
        let child = Process::spawn("sleeper", command, directory.path()).unwrap();
        let proc = PathBuf::from(format!("/proc/{}", child.id()));
        assert!(proc.exists());
        drop(child);
        assert!(!proc.exists());
    }
}
