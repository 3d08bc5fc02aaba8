//! Where a command finds the origin, and a node what is its own.

use std::path::PathBuf;

use clap::Args;

#[derive(Args)]
pub struct OriginFolder {
    /// The origin's TOML file, for where its data and its objects are
    #[arg(long, env = "NEARSIDE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The origin's own disk [default: nearside-origin, or what the file says]
    #[arg(long, env = "NEARSIDE_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
}

#[derive(Args)]
pub struct NodeData {
    /// The node's data folder
    #[arg(long, env = "NEARSIDE_DATA", value_name = "FOLDER", default_value = "nearside-node")]
    pub data: PathBuf,
}

#[derive(Args)]
pub struct OriginAccess {
    #[arg(long, env = "NEARSIDE_ORIGIN", value_name = "URL", default_value = "http://127.0.0.1:7600")]
    pub origin: String,
    /// File with the origin's token
    #[arg(long, env = "NEARSIDE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// PEM file with the authorities to believe where the origin is https:// [default: those everybody does]
    #[arg(long, env = "NEARSIDE_ORIGIN_CA", value_name = "FILE")]
    pub origin_ca: Option<PathBuf>,
}
