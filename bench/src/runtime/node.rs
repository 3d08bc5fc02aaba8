//! Node.js with better-sqlite3, a process for each core on one port.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{Runtime, program, version};
use crate::process::Process;

const PROCESSES: &str = "2";

/// Answers searches of the database by the statements of a file. NODE_PATH leads to better-sqlite3; `name` tells it from others.
pub async fn start(script: &Path, database: &Path, queries: &Path, name: &str, scratch: &Path) -> Result<Runtime> {
    let program = program("node", "NODE")?;
    let (version, sqlite) = (version(&program)?, better_sqlite3(&program)?);
    let mut command = Command::new(program);
    command.arg(script).arg(database).arg(queries).arg(PROCESSES);
    let mut process = Process::spawn(&format!("node-{name}"), command, scratch)?;
    let address = process.listening().await?;
    let about = format!("Node.js {version}, {sqlite}, {PROCESSES} processes: the same search over the same FTS5 index");
    Ok(Runtime { process, address, about })
}

/// Its version and that of its SQLite.
fn better_sqlite3(node: &Path) -> Result<String> {
    let script = "const Database = require('better-sqlite3'); \
                  const [[sqlite]] = new Database(':memory:').prepare('SELECT sqlite_version()').raw().all(); \
                  console.log(`better-sqlite3 ${require('better-sqlite3/package.json').version} with SQLite ${sqlite}`)";
    let output = Command::new(node).args(["-e", script]).stdin(Stdio::null()).output().context("starting node")?;
    ensure!(output.status.success(), "better-sqlite3 is not on NODE_PATH, or does not start");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
