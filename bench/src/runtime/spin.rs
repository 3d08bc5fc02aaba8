//! Spin, where a build of it is given: no registry has one.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Runtime, program, version};
use crate::nearside::free_addresses;

pub async fn start(component: &Path, scratch: &Path) -> Result<Runtime> {
    let program = program("spin", "SPIN")?;
    let version = version(&program)?;
    let [address] = free_addresses()?;
    let own = scratch.join("spin");
    fs::create_dir_all(&own).with_context(|| format!("creating {}", own.display()))?;
    let file = own.join("spin.toml");
    fs::write(&file, manifest(component)).context("writing Spin's manifest")?;
    let mut command = Command::new(program);
    command.args(["up", "--quiet", "--listen", &address.to_string(), "--from"]).arg(&file).current_dir(&own);
    let about = format!("{version}: `spin up --quiet`, an instance for each request");
    Runtime::start("spin", command, address, about, scratch).await
}

fn manifest(component: &Path) -> String {
    format!(
        "spin_manifest_version = 2
[application]
name = \"page\"
version = \"0.1.0\"
[[trigger.http]]
route = \"/...\"
component = \"page\"
[component.page]
source = \"{}\"
",
        component.display()
    )
}
