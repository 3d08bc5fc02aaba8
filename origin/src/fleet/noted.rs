//! Who there is, in `nodes.json` of the origin's folder: so that a node that died while the origin was away is missed.

use std::{io, path::Path};

use nearside_host::disk::Disk;
use nearside_protocol::{heartbeat::Declared, limits};
use serde::{Deserialize, Serialize};

const NODES: &str = "nodes.json";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Noted {
    pub(super) node: String,
    #[serde(flatten)]
    pub(super) declared: Declared,
    pub(super) heard_at_ms: Option<u64>,
}

/// A file that cannot be read is told of and left alone: nodes tell all of it again.
pub(super) fn load(folder: &Path) -> io::Result<Vec<Noted>> {
    let path = folder.join(NODES);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let noted: Vec<Noted> = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        tracing::warn!(file = %path.display(), cause = %error, "which nodes there were cannot be read");
        Vec::new()
    });
    Ok(noted.into_iter().take(limits::FLEET_NODES).collect())
}

pub(super) fn store(noted: &[Noted], folder: &Path, disk: &Disk) -> io::Result<()> {
    let bytes = serde_json::to_vec_pretty(noted).expect("BUG: names and numbers are plain data");
    disk.write(&folder.join(NODES), &bytes)
}
