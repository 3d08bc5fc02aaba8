//! `nearside origin`: the origin, from its settings to its last connection.

use std::{net::SocketAddr, process::ExitCode};

use nearside_host::{engine::Engine, logbook::Logbook};
use nearside_origin::{config::Config, origin::Origin};

use super::host::bind;
use crate::cli::OriginArgs;

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
    let compiled = config.data.join("compiled");
    std::fs::create_dir_all(&compiled)?;
    let engine = Engine::start(&compiled)?;
    let listen = config.listen;
    let origin = Origin::open(config, engine, logbook).await?;
    let listener = bind(listen).await?;
    println!("origin answers http://{}", listener.local_addr()?);
    let stop = super::shutdown()?;
    origin.serve(listener, stop()).await;
    Ok(ExitCode::SUCCESS)
}
