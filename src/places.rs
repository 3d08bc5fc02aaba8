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
    /// File with a token of the origin's: its first one, or one that `nearside token` made
    #[arg(long, env = "NEARSIDE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub tls: OriginTls,
}

#[derive(Args)]
pub struct OriginTls {
    /// PEM file with the authorities to believe where the origin is https:// [default: those everybody does]
    #[arg(long, env = "NEARSIDE_ORIGIN_CA", value_name = "FILE")]
    pub origin_ca: Option<PathBuf>,
    /// PEM file with the certificate to show where the origin asks for one (its --client-ca); a node reads it again when
    /// it changes
    #[arg(long, env = "NEARSIDE_ORIGIN_CERTIFICATE", value_name = "FILE")]
    pub origin_certificate: Option<PathBuf>,
    /// PEM file with its key [default: beside the certificate, ending in .key, or in the same file]
    #[arg(long, env = "NEARSIDE_ORIGIN_KEY", value_name = "FILE")]
    pub origin_key: Option<PathBuf>,
}

#[derive(Args)]
pub struct NodeAccess {
    /// File with the token that nodes on other machines ask for at their admin addresses (their --admin-token-file)
    #[arg(long, env = "NEARSIDE_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
}
