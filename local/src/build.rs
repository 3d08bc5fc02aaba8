//! The app's own build command: run in its folder, killed when it is not wanted any more, heard to the end.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nearside_protocol::app::{self, App, AppError};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};

/// What is kept of what a build says: its end, where the errors are.
const OUTPUT_BYTES: usize = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{path}: {error}", path = path.display())]
    Manifest { path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    App(#[from] AppError),
    #[error("`sh` does not start: {0}")]
    Shell(std::io::Error),
    #[error("the build command failed: {status}")]
    Failed { status: ExitStatus, output: String },
}

/// How a build is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// As `nearside build` does it: for visitors.
    Release,
    /// For the one who is writing it: quick to make, and with names and checks in it.
    Development,
}

impl Purpose {
    /// The environment that makes a `cargo build --release` a quick one. Where the wasm lies stays the same; a build for
    /// visitors afterwards finds its own intermediate files untouched.
    fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Purpose::Release => &[],
            Purpose::Development => &[
                ("NEARSIDE_DEV", "1"),
                // Quiet: what is left to read are warnings and errors.
                ("CARGO_TERM_QUIET", "true"),
                ("CARGO_TERM_COLOR", "always"),
                ("CARGO_PROFILE_RELEASE_INCREMENTAL", "true"),
                ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
                ("CARGO_PROFILE_RELEASE_LTO", "off"),
                ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
                ("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only"),
                ("CARGO_PROFILE_RELEASE_STRIP", "none"),
                ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true"),
            ],
        }
    }
}

/// A build that went well.
#[derive(Debug)]
pub struct Built {
    /// What it said, colours and all.
    pub output: String,
    pub took: Duration,
}

/// The manifest in an app's folder.
pub fn manifest(folder: &Path) -> Result<App, BuildError> {
    let path = folder.join(app::FILE_NAME);
    let text = std::fs::read_to_string(&path).map_err(|error| BuildError::Manifest { path, error })?;
    Ok(App::parse(&text)?)
}

/// Runs the build command of the app in `folder`, if it has one. Dropped in the middle, it takes the command and all
/// that it started with it.
pub async fn run(folder: &Path, app: &App, purpose: Purpose) -> Result<Built, BuildError> {
    let started = Instant::now();
    let Some(build) = &app.build else { return Ok(Built { output: String::new(), took: Duration::ZERO }) };
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(&build.command)
        .current_dir(folder)
        .envs(purpose.environment().iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut group = Group(command.spawn().map_err(BuildError::Shell)?);
    let (out, err) = (group.0.stdout.take(), group.0.stderr.take());
    let mut said = Tail::default();
    hear(out, err, &mut said).await;
    let status = group.0.wait().await.map_err(BuildError::Shell)?;
    let output = said.text();
    match status.success() {
        true => Ok(Built { output, took: started.elapsed() }),
        false => Err(BuildError::Failed { status, output }),
    }
}

/// Both streams, in the order in which they come.
async fn hear(out: Option<impl AsyncRead + Unpin>, err: Option<impl AsyncRead + Unpin>, said: &mut Tail) {
    let (mut out, mut err) = (out, err);
    let (mut from_out, mut from_err) = (vec![0; 8 << 10], vec![0; 8 << 10]);
    while out.is_some() || err.is_some() {
        tokio::select! {
            read = piece(&mut out, &mut from_out) => said.add(&from_out[..read]),
            read = piece(&mut err, &mut from_err) => said.add(&from_err[..read]),
        }
    }
}

/// The next piece of a stream; the stream is gone when it has ended. Never resolves for one that is gone.
async fn piece(stream: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    let Some(open) = stream else { return std::future::pending().await };
    match open.read(buffer).await {
        Ok(read) if read > 0 => read,
        _ => {
            *stream = None;
            0
        }
    }
}

/// A child at the head of a process group, which ends with this.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Without an id it has been waited for, and its number may be another's.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(Err(error)) = id.map(|id| kill_process_group(id, Signal::KILL)) {
            tracing::debug!(cause = %error, "a build is not killed");
        }
    }
}

/// The end of a text that may be long.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
    dropped: bool,
}

impl Tail {
    fn add(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        if self.bytes.len() > 2 * OUTPUT_BYTES {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let over = self.bytes.len().saturating_sub(OUTPUT_BYTES);
        self.bytes.drain(..over);
        self.dropped |= over > 0;
    }

    fn text(mut self) -> String {
        self.cut();
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        match self.dropped {
            // The first line is not whole any more.
            true => format!("(…)\n{}", text.split_once('\n').map_or("", |(_, rest)| rest)),
            false => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(command: &str) -> App {
        App::parse(&format!("name = \"a\"\nhosts = [\"a\"]\n[build]\ncommand = '''{command}'''\n")).unwrap()
    }

    async fn run_in_tmp(command: &str) -> Result<Built, BuildError> {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &app(command), Purpose::Development).await
    }

    #[tokio::test]
    async fn what_it_says_is_heard() {
        let built = run_in_tmp("echo one; sleep 0.05; echo two >&2; echo $NEARSIDE_DEV").await.unwrap();
        let mut lines: Vec<_> = built.output.lines().collect();
        lines.sort();
        assert_eq!(lines, ["1", "one", "two"]);
        let Err(BuildError::Failed { status, output }) = run_in_tmp("echo wrong >&2; exit 3").await else { panic!() };
        assert_eq!((status.code(), output.as_str()), (Some(3), "wrong\n"));
    }

    #[tokio::test]
    async fn of_a_long_one_the_end_is_kept() {
        let built = run_in_tmp("seq 1 200000").await.unwrap();
        assert!(built.output.len() <= OUTPUT_BYTES + 8 && built.output.starts_with("(…)\n"));
        assert!(built.output.ends_with("\n199999\n200000\n"));
    }

    #[tokio::test]
    async fn an_unwanted_one_ends_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let app = app("(sleep 0.4; touch mark) & wait");
        let build = run(folder.path(), &app, Purpose::Release);
        assert!(tokio::time::timeout(Duration::from_millis(100), build).await.is_err());
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(!mark.exists());
    }
}
