//! `nearside origin`: the origin, from its settings to its last connection.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::Args;
use nearside_host::{
    certificates::Certificates, client_authorities::ClientAuthorities, door::Door, engine::Engine, logbook::Logbook,
};
use nearside_origin::{config::Config, origin::Origin};
use tokio::task::JoinSet;

use super::host::bind;
use crate::traces::{self, TraceArgs};

/// Runs the origin: owns the data, applies writes, runs tasks, publishes releases
///
/// At its first start it makes a signing key and an operator's token in its data folder (signing.key, token). Whoever
/// has that token may do everything; `nearside token` makes others, for nodes, publishers and readers. Keep the listener on a
/// private network, or let it speak TLS and ask for certificates.
#[derive(Args)]
#[command(after_help = "\
Example:
  nearside origin --listen 127.0.0.1:7600 --data /var/lib/nearside-origin

As a file, for --config, with what single apps are given:
  listen = \"127.0.0.1:7600\"
  data = \"/var/lib/nearside-origin\"
  certificates = \"/etc/nearside/tls\"
  client_ca = \"/etc/nearside/nodes.pem\"
  otlp_endpoint = \"http://127.0.0.1:4318\"

  [objects]                             # where releases are put; a folder in `data` without this
  url = \"s3://bucket/prefix\"          # or file:///folder; AWS_ACCESS_KEY_ID and so on are read
  endpoint = \"https://s3.example.org\"
  region = \"eu-central-1\"

  [apps.packages]
  variables = { WEBHOOK_URL = \"http://127.0.0.1:9000/hook\" }
  secrets = { SESSION_KEY = \"…\" }    # made at random, and kept, when nobody sets it
  allow_private = [\"127.0.0.1:9000\"]")]
pub struct OriginArgs {
    /// TOML file with any of these settings
    #[arg(long, env = "NEARSIDE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where nodes and operators are answered [default: 127.0.0.1:7600]
    #[arg(long, env = "NEARSIDE_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// The origin's own disk [default: nearside-origin]
    #[arg(long, env = "NEARSIDE_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Folder of PEM files to speak TLS with: NAME.crt with NAME.key, or NAME/fullchain.pem with NAME/privkey.pem; read again
    /// when it changes [default: no TLS]
    #[arg(long, env = "NEARSIDE_CERTIFICATES", value_name = "FOLDER")]
    pub certificates: Option<PathBuf>,
    /// PEM file with authorities: who connects without a certificate of theirs is refused at the handshake; read again when it
    /// changes. It takes --certificates [default: anybody connects, and shows a token]
    #[arg(long, env = "NEARSIDE_CLIENT_CA", value_name = "FILE")]
    pub client_ca: Option<PathBuf>,
    /// File with the first token, an operator's [default: token in the data folder, made at the first start]
    #[arg(long, env = "NEARSIDE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub traces: TraceArgs,
}

pub async fn run(args: OriginArgs, logbook: Logbook) -> anyhow::Result<ExitCode> {
    let mut config = match &args.config {
        Some(file) => Config::read(file)?,
        None => Config::new(SocketAddr::from(([127, 0, 0, 1], 7600)), "nearside-origin".into()),
    };
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    if let Some(data) = args.data {
        config.data = data;
    }
    if args.token_file.is_some() {
        config.token_file = args.token_file;
    }
    if args.certificates.is_some() {
        config.certificates = args.certificates;
    }
    if args.client_ca.is_some() {
        config.client_ca = args.client_ca;
    }
    if config.client_ca.is_some() && config.certificates.is_none() {
        bail!("client_ca asks for certificates, which are shown over TLS only: it takes `certificates` as well");
    }
    let clients = config.client_ca.as_deref().map(ClientAuthorities::read).transpose()?;
    let certificates = config.certificates.as_deref().map(Certificates::read).transpose()?;
    let compiled = config.data.join("compiled");
    std::fs::create_dir_all(&compiled)?;
    let engine = Engine::start(&compiled)?;
    let listen = config.listen;
    let exporting = traces::start(traces::settings(&args.traces.or(config.traces.clone()), "nearside-origin", &[])?)?;
    let origin = Origin::open_traced(config, engine, logbook, exporting.tracer.clone()).await?;
    let listener = bind(listen).await?;
    let scheme = if certificates.is_some() { "https" } else { "http" };
    println!("origin answers {scheme}://{}", listener.local_addr()?);
    let stop = super::shutdown()?;
    let door = Door::asking(listener, certificates.as_ref(), clients.as_ref())?;
    let mut renewed = JoinSet::new();
    if let Some(certificates) = certificates {
        renewed.spawn(certificates.follow());
    }
    if let Some(clients) = clients {
        renewed.spawn(clients.follow());
    }
    origin.serve_at(door, stop()).await;
    drop(renewed);
    exporting.finish().await;
    Ok(ExitCode::SUCCESS)
}
