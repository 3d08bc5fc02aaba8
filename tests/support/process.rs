//! A `nearside` process that does not outlive its owner, and one that runs to its end.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use super::{PATIENCE, node::Release};

/// How much of its log a process shows when a test fails.
const SHOWN_BYTES: usize = 6_000;

/// Where libfaketime is, if clocks are to jump.
const FAKETIME: &str = "NEARSIDE_FAKETIME";

fn clock_file(log: &Path) -> PathBuf {
    log.with_extension("clock")
}

pub struct Process {
    child: Child,
    lines: Mutex<mpsc::Receiver<String>>,
    log: PathBuf,
}

impl Process {
    /// Starts `nearside` with these arguments; what it logs is added to `log`.
    pub fn start(log: &Path, arguments: &[&str]) -> Process {
        let file = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut command = nearside(arguments);
        if let Some(library) = std::env::var_os(FAKETIME) {
            let clock = clock_file(log);
            if !clock.exists() {
                std::fs::write(&clock, "+0\n").unwrap();
            }
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", clock);
            command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).for_each(|line| {
                let _ = tell.send(line);
            });
        });
        Process { child, lines: Mutex::new(lines), log: log.to_owned() }
    }

    /// The address in the next line it prints, `… http://address`; none if it ends before.
    pub fn address(&mut self) -> Option<SocketAddr> {
        let line = match self.lines.get_mut().unwrap().recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("it says nothing; its log:\n{}", self.log_text()),
        };
        let address = line.rsplit_once("://").and_then(|(_, address)| address.parse().ok());
        Some(address.unwrap_or_else(|| panic!("no address in `{line}`")))
    }

    /// What it has printed since it was last asked.
    pub fn printed(&mut self) -> Vec<String> {
        self.lines.get_mut().unwrap().try_iter().collect()
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sets its time of day so many hours off, where that can be done; what measures time is not touched.
    pub fn set_clock(&self, hours: i64) -> bool {
        let is_possible = std::env::var_os(FAKETIME).is_some();
        if is_possible {
            std::fs::write(clock_file(&self.log), format!("{hours:+}h\n")).unwrap();
        }
        is_possible
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no chance to do anything.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub fn ask_to_stop(&self) {
        self.signal("-TERM");
    }

    /// SIGINT.
    pub fn interrupt(&self) {
        self.signal("-INT");
    }

    pub fn signal(&self, signal: &str) {
        let told = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// How it ends.
    pub fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "it does not end; its log:\n{}", self.log_text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let text = self.log_text();
            let from = (text.len().saturating_sub(SHOWN_BYTES)..=text.len()).find(|at| text.is_char_boundary(*at));
            eprintln!("--- the end of {}\n{}", self.log.display(), &text[from.unwrap_or(0)..]);
        }
    }
}

/// A run that has ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs `nearside` to its end.
pub fn run(arguments: &[&str]) -> Run {
    ended(&mut nearside(arguments))
}

/// The same, where someone stands in a folder.
pub fn run_in(folder: &Path, arguments: &[&str]) -> Run {
    ended(nearside(arguments).current_dir(folder))
}

fn ended(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

impl Run {
    pub fn went_well(&self) {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
    }

    /// The release a push has made.
    pub fn release(&self) -> Release {
        self.went_well();
        let line = self.out.lines().find_map(|line| line.strip_prefix("release "));
        line.and_then(Release::parse).unwrap_or_else(|| panic!("no release: {self:?}"))
    }

    /// It failed, and said all of this on stderr.
    pub fn failed_with(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        words.iter().for_each(|word| assert!(self.err.contains(word), "no `{word}` in: {}", self.err));
    }
}

/// Without what the environment of the tests might say.
fn nearside(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nearside"));
    command.args(arguments).stdin(Stdio::null());
    for name in ["CONFIG", "NAME", "LISTEN", "ADMIN", "ORIGIN", "TOKEN_FILE", "DATA", "CACHE_MIB", "LOG"] {
        command.env_remove(format!("NEARSIDE_{name}"));
    }
    command
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
