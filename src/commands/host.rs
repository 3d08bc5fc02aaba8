//! `nearside host`: a node, from its settings to its last connection.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::Args;
use nearside_host::{
    admin::{self, Admin},
    agent,
    certificates::Certificates,
    credential::Credential,
    door::Door,
    engine::Engine,
    follow,
    gate::Gate,
    hand_over::HandOver,
    host::Host,
    logbook::Logbook,
    logs::Logs,
    origin_client::{ClientError, NoOrigin, OriginClient},
    outbox::{self, Outbox},
    peer::Peer,
    pull::sources::Sources,
    redirect,
    replica::Replica,
    scrub, serve,
    tls::Believes,
    upstream::Upstream,
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    data_lock::DataLock,
    handed::{self, Listener, Successor},
    places::OriginTls,
    settings::NodeSettings,
    stopping::{Stop, Stopping},
    traces::{self, TraceArgs},
};

/// Runs a node: answers visitors
///
/// Serves what is on its disk at once, whether or not the origin answers, and follows the origin's releases from then
/// on. Stops on SIGINT or SIGTERM: /readyz says 503 for --unready-ms, then there are no new connections, and those under way
/// finish within ten seconds. On SIGUSR2 it gives way to the program that lies where its own lay, under the same process id and
/// with the same arguments: connections wait meanwhile, and none is refused. A socket that listens and is its standard input
/// (`StandardInput=socket` of systemd) takes the place of --listen.
///
/// Settings come from flags, else from the environment (NEARSIDE_LISTEN and so on), else from the file, else defaults.
/// The admin address answers /livez, /readyz, /status (JSON), /metrics (Prometheus), /logs (see `nearside help logs`),
/// /cache (`nearside help cache`) and /outbox (`nearside help outbox`).
/// From other machines all but the first two take a token: that of --admin-token-file, or the node's own. To nodes that its origin
/// knows it also gives releases: a node named as another's --sibling. What comes from a sibling is verified as if it came from
/// a stranger. And it gives them pages they have no place to make, where --admin-url says how it is reached.
///
/// A token file is looked at every second, certificates every five: what is exchanged is used without a restart.
#[derive(Args)]
#[command(after_help = "\
Example:
  nearside host --listen 0.0.0.0:8080 --origin http://origin:7600 --token-file token --data /var/lib/nearside

The same as a file, for --config:
  name = \"zurich-1\"
  listen = \"0.0.0.0:8080\"
  admin = \"127.0.0.1:8081\"
  origin = \"http://origin:7600\"
  token_file = \"token\"
  data = \"/var/lib/nearside\"
  cache_mib = 256
  siblings = [\"http://10.0.0.2:8081\"]
  max_staleness_s = 60
  place = \"zrh\"                          # told the origin, for its fleet page and for siblings
  public_url = \"http://zurich-1.example\"
  admin_url = \"http://10.0.0.1:8081\"
  admin_token_file = \"admin-token\"       # for operators on other machines
  origin_ca = \"/etc/nearside/authority.pem\"
  origin_certificate = \"/etc/nearside/node.crt\"
  origin_key = \"/etc/nearside/node.key\"
  certificates = \"/etc/nearside/tls\"     # listen speaks TLS then
  redirect = \"0.0.0.0:80\"
  renders_per_client_s = 20
  connections_per_client = 5000
  hand_over = true                        # or false: --no-hand-over
  agent = \"10.0.0.1:8082\"
  unready_ms = 3000
  otlp_endpoint = \"http://127.0.0.1:4318\"
  trace_ratio = 0.01")]
pub struct HostArgs {
    /// TOML file with any of these settings
    #[arg(long, env = "NEARSIDE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// This node's name, for status and logs [default: node]
    #[arg(long, env = "NEARSIDE_NAME")]
    pub name: Option<String>,
    /// Where visitors are answered [default: 127.0.0.1:8080]
    #[arg(long, env = "NEARSIDE_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where the operator is answered [default: 127.0.0.1:8081]
    #[arg(long, env = "NEARSIDE_ADMIN", value_name = "ADDR:PORT")]
    pub admin: Option<SocketAddr>,
    /// Where HAProxy's agent check is answered: up and with which weight, draining or down [default: nowhere]
    #[arg(long, env = "NEARSIDE_AGENT", value_name = "ADDR:PORT")]
    pub agent: Option<SocketAddr>,
    /// How long to say at /readyz and to the agent check that this node is leaving, before it leaves [default: 0]
    #[arg(long, env = "NEARSIDE_UNREADY_MS", value_name = "MS")]
    pub unready_ms: Option<u64>,
    /// The origin; without one the node serves what is on its disk
    #[arg(long, env = "NEARSIDE_ORIGIN", value_name = "URL")]
    pub origin: Option<String>,
    /// File with a token of the origin's, for a node: its first one, or one of `nearside token add NAME --role node`
    #[arg(long, env = "NEARSIDE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// File with a token that lets operators in at the admin address from other machines [default: the node's own token does]
    #[arg(long, env = "NEARSIDE_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// This node's own disk: releases, compiled code, trusted keys [default: nearside-node]
    #[arg(long, env = "NEARSIDE_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Memory for stored responses, in MiB; 0 stores none [default: 256]
    #[arg(long, env = "NEARSIDE_CACHE_MIB", value_name = "MIB")]
    pub cache_mib: Option<u64>,
    /// Another node's admin address, to be asked for what is large before the origin is; may be given several times
    #[arg(long = "sibling", env = "NEARSIDE_SIBLINGS", value_name = "URL", value_delimiter = ',')]
    pub siblings: Vec<String>,
    /// Answer 503 at /readyz when a release may be further behind the origin's than this [default: never]
    #[arg(long, env = "NEARSIDE_MAX_STALENESS_S", value_name = "SECONDS")]
    pub max_staleness_s: Option<u64>,
    /// Where this node is, in your words: shown on the fleet page; nodes of one place are near each other
    #[arg(long, env = "NEARSIDE_PLACE", value_name = "WORDS")]
    pub place: Option<String>,
    /// Where visitors reach this node, as the fleet page shows it
    #[arg(long, env = "NEARSIDE_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Where operators and siblings reach its admin address; a node that names none is asked for no page
    #[arg(long, env = "NEARSIDE_ADMIN_URL", value_name = "URL")]
    pub admin_url: Option<String>,
    /// Answer 429 to an address that asks for more pages a second that must be rendered; stored ones are not counted
    /// [default: any number]
    #[arg(long, env = "NEARSIDE_RENDERS_PER_CLIENT_S", value_name = "COUNT")]
    pub renders_per_client_s: Option<f64>,
    /// Close connections of an address that has so many; this machine's are not counted. 20000 behind a balancer [default: 5000]
    #[arg(long, env = "NEARSIDE_CONNECTIONS_PER_CLIENT", value_name = "COUNT")]
    pub connections_per_client: Option<usize>,
    /// Folder of PEM files to speak TLS with where visitors are answered: NAME.crt with NAME.key, or NAME/fullchain.pem with
    /// NAME/privkey.pem; read again when it changes [default: no TLS]
    #[arg(long, env = "NEARSIDE_CERTIFICATES", value_name = "FOLDER")]
    pub certificates: Option<PathBuf>,
    /// Where visitors who come without TLS are sent on to https:// [default: nowhere]
    #[arg(long, env = "NEARSIDE_REDIRECT", value_name = "ADDR:PORT")]
    pub redirect: Option<SocketAddr>,
    #[command(flatten)]
    pub tls: OriginTls,
    #[command(flatten)]
    pub traces: TraceArgs,
    /// Neither ask siblings for pages there is no place for, nor make any for them
    #[arg(long, env = "NEARSIDE_NO_HAND_OVER")]
    pub no_hand_over: bool,
    /// Render as if this machine had so many cores
    #[arg(long, hide = true, value_name = "COUNT")]
    pub cores: Option<usize>,
    /// Let renders wait for as long as their deadline, to see what that leads to
    #[arg(long, hide = true)]
    pub no_shedding: bool,
}

/// Below the node's folder.
const OUTBOX: &str = "outbox.db";

pub async fn run(args: HostArgs, logbook: Logbook) -> anyhow::Result<ExitCode> {
    let settings = NodeSettings::resolve(args)?;
    let own = settings.token.as_ref().map(|file| file.credential().clone()).unwrap_or_default();
    let origin = match &settings.origin {
        Some(url) => Some(Arc::new(OriginClient::by(url, own.clone(), &settings.origin_tls)?)),
        None => None,
    };
    let upstream: Arc<dyn Upstream> = match &origin {
        Some(origin) => origin.clone(),
        None => Arc::new(NoOrigin),
    };
    let exporting = traces::start(settings.traces)?;
    let certificates = settings.certificates.as_deref().map(Certificates::read).transpose()?;
    let successor = Successor::of_this()?;
    let handed = handed::listener()?;
    let data = settings.data.clone();
    let lock = tokio::task::spawn_blocking(move || DataLock::take(&data)).await??;
    let replica = Replica::open(&settings.data)?;
    let engine = Engine::start(&replica.compiled())?;
    let mut host = Host::under(settings.load, &settings.name, engine, settings.cache_mib, upstream.clone())?;
    host = host.with_blobs(&replica.blobs())?.with_tracer(exporting.tracer.clone());
    if let Some(certificates) = &certificates {
        host = host.with_certificates(certificates.clone());
    }
    if let Some(certificate) = &settings.origin_tls.certificate {
        host = host.with_origin_certificate(certificate.clone());
    }
    if origin.is_some() && settings.hands_over {
        host = host.with_hand_over(HandOver::default());
    }
    host.in_fleet.declare(settings.declared.clone(), settings.max_staleness);
    // A node without an origin has nobody to deliver to; what waits from before stays where it is.
    let outbox = origin.is_some().then(|| Outbox::open(&settings.data.join(OUTBOX))).transpose()?;
    if let Some(outbox) = &outbox {
        outbox.trace_with(exporting.tracer.clone());
        host = host.with_outbox(outbox.clone());
    }
    let from_disk = (host.clone(), replica.clone());
    tokio::task::spawn_blocking(move || follow::start_from_disk(&from_disk.0, &from_disk.1)).await??;

    let visitors = match handed {
        Some(listener) => listener,
        None => Listener::ours(bind(settings.listen).await?.into_std()?),
    };
    let operators = bind(settings.admin).await?;
    let balancers = match settings.agent {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let others = match settings.redirect {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    // Scripts and people read these lines: where things are, once they are there.
    let (scheme, serves_at) = (if certificates.is_some() { "https" } else { "http" }, visitors.socket.local_addr()?);
    println!("{} serves {scheme}://{serves_at}", settings.name);
    println!("{} admin http://{}", settings.name, operators.local_addr()?);
    if let Some(balancers) = &balancers {
        println!("{} agent http://{}", settings.name, balancers.local_addr()?);
    }

    let stopping = Stopping::start(host.leaving.clone(), settings.unready, successor)?;
    let stop = || async {
        let _ = stopping.wait().await;
    };
    let pass = host.in_fleet.keys.pass();
    let siblings: Result<Vec<_>, _> = settings.siblings.iter().map(|url| sibling(url, pass)).collect();
    let sources = origin.clone().map(|origin| siblings.map(|siblings| Sources::new(siblings, origin))).transpose()?;
    let sources = sources.map(|sources| sources.reached_at(settings.declared.admin.as_deref()));
    let admin = Arc::new(Admin {
        host: host.clone(),
        origin,
        logs: Logs::new(logbook),
        replica: replica.clone(),
        peer: Peer::among_siblings(replica.clone(), own.clone(), host.clone()),
        gate: Gate::opened_by(settings.admin_token.iter().map(|file| file.credential().clone()).chain([own])),
        max_staleness: settings.max_staleness,
    });
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
    let kept = visitors.try_clone()?;
    let serves = async {
        let stops = async {
            let drain = stopping.wait().await;
            if stopping.why() == Some(Stop::End) {
                kept.close();
            }
            drain
        };
        let door = Door::showing(TcpListener::from_std(visitors.socket)?, certificates.as_ref())?;
        let door = door.with_most_a_client(settings.connections_per_client);
        serve::serve_until(host.clone(), door, stops).await;
        anyhow::Ok(())
    };
    let told = async {
        match balancers {
            Some(balancers) => agent::serve(admin.clone(), balancers, stop()).await,
            None => stop().await,
        }
    };
    let sent_on = async {
        match others {
            Some(listener) => redirect::serve(host.clone(), listener, serves_at.port(), stop()).await,
            None => stop().await,
        }
    };
    let mut renewed = JoinSet::new();
    [settings.token, settings.admin_token].into_iter().flatten().for_each(|file| {
        renewed.spawn(file.follow());
    });
    if let Some(certificates) = host.certificates() {
        renewed.spawn(certificates.clone().follow());
    }
    if let Some(certificate) = settings.origin_tls.certificate {
        renewed.spawn(certificate.follow());
    }
    let administers = admin::serve(admin.clone(), operators, stop());
    let (served, ..) = tokio::join!(serves, administers, told, sent_on, follows, delivers);
    served?;
    drop(renewed);
    exporting.finish().await;
    if stopping.why() == Some(Stop::HandOver) {
        // What is not accepted yet is the successor's. The folder is let go of with this process.
        drop(lock);
        return Err(stopping.hand_over(kept));
    }
    Ok(ExitCode::SUCCESS)
}

fn sibling(url: &str, pass: &Credential) -> Result<Arc<OriginClient>, ClientError> {
    Ok(Arc::new(OriginClient::by(url, pass.clone(), &Believes::default())?))
}

pub async fn bind(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}
