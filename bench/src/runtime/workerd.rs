//! workerd, which runs JavaScript: one process with one thread for it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Runtime, program, version};
use crate::nearside::free_addresses;

pub async fn start(worker: &Path, scratch: &Path) -> Result<Runtime> {
    let program = program("workerd", "WORKERD")?;
    let version = version(&program)?;
    let [address] = free_addresses()?;
    let own = scratch.join("workerd");
    fs::create_dir_all(&own).with_context(|| format!("creating {}", own.display()))?;
    fs::copy(worker, own.join("page.mjs")).with_context(|| format!("copying {}", worker.display()))?;
    let file = own.join("workerd.capnp");
    fs::write(&file, configuration(address)).context("writing workerd's configuration")?;
    let mut command = Command::new(program);
    command.arg("serve").arg(&file);
    let about = format!("{version}: the same page in JavaScript, in the one thread it has for that, nothing fresh");
    Runtime::start("workerd", command, address, about, scratch).await
}

fn configuration(address: SocketAddr) -> String {
    format!(
        "using Workerd = import \"/workerd/workerd.capnp\";
const config :Workerd.Config = (
  services = [(name = \"page\", worker = .page)],
  sockets = [(name = \"http\", address = \"{address}\", http = (), service = \"page\")],
);
const page :Workerd.Worker = (
  modules = [(name = \"page.mjs\", esModule = embed \"page.mjs\")],
  compatibilityDate = \"2026-11-01\",
);
"
    )
}
