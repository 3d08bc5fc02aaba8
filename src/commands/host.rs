//! `nearside host`: a node, from its settings to its last connection.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use nearside_host::{
    admin::{self, Admin},
    engine::Engine,
    follow,
    host::Host,
    logbook::Logbook,
    logs::Logs,
    origin_client::{ClientError, NoOrigin, OriginClient},
    outbox::{self, Outbox},
    peer::Peer,
    pull::sources::Sources,
    replica::Replica,
    scrub, serve,
    upstream::Upstream,
};
use tokio::net::TcpListener;

use crate::{cli::HostArgs, settings::NodeSettings};

/// Below the node's folder.
const OUTBOX: &str = "outbox.db";

pub async fn run(args: HostArgs, logbook: Logbook) -> anyhow::Result<ExitCode> {
    let settings = NodeSettings::resolve(args)?;
    let origin = match &settings.origin {
        Some(url) => Some(Arc::new(OriginClient::new(url, settings.token.clone())?)),
        None => None,
    };
    let upstream: Arc<dyn Upstream> = match &origin {
        Some(origin) => origin.clone(),
        None => Arc::new(NoOrigin),
    };
    let replica = Replica::open(&settings.data)?;
    let engine = Engine::start(&replica.compiled())?;
    let mut host = Host::new(&settings.name, engine, settings.cache_mib, upstream.clone())?;
    host = host.with_blobs(&replica.blobs())?;
    // A node without an origin has nobody to deliver to; what waits from before stays where it is.
    let outbox = origin.is_some().then(|| Outbox::open(&settings.data.join(OUTBOX))).transpose()?;
    if let Some(outbox) = &outbox {
        host = host.with_outbox(outbox.clone());
    }
    let from_disk = (host.clone(), replica.clone());
    tokio::task::spawn_blocking(move || follow::start_from_disk(&from_disk.0, &from_disk.1)).await??;

    let visitors = bind(settings.listen).await?;
    let operators = bind(settings.admin).await?;
    // Scripts and people read these lines: where things are, once they are there.
    println!("{} serves http://{}", settings.name, visitors.local_addr()?);
    println!("{} admin http://{}", settings.name, operators.local_addr()?);

    let stop = super::shutdown()?;
    let token = settings.token.as_deref();
    let siblings: Result<Vec<_>, _> = settings.siblings.iter().map(|url| sibling(url, token)).collect();
    let sources = origin.clone().map(|origin| siblings.map(|siblings| Sources::new(siblings, origin))).transpose()?;
    let admin = Admin {
        host: host.clone(),
        origin,
        logs: Logs::new(logbook),
        replica: replica.clone(),
        peer: Peer::new(replica.clone(), token),
        max_staleness: settings.max_staleness,
    };
    let follows = async {
        match sources {
            Some(sources) => follow::follow(host.clone(), replica, sources, stop()).await,
            None => tokio::select! {
                () = stop() => {}
                () = scrub::run(replica) => {}
            },
        }
    };
    let delivers = async {
        match outbox {
            Some(outbox) => outbox::deliver(outbox, upstream, stop()).await,
            None => stop().await,
        }
    };
    let serves = serve::serve(host.clone(), visitors, stop());
    tokio::join!(serves, admin::serve(admin, operators, stop()), follows, delivers);
    Ok(ExitCode::SUCCESS)
}

fn sibling(url: &str, token: Option<&str>) -> Result<Arc<OriginClient>, ClientError> {
    Ok(Arc::new(OriginClient::new(url, token.map(str::to_owned))?))
}

pub async fn bind(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}
