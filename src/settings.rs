//! A node's settings: flags, else environment, else file, else defaults. Checked before any port is bound.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use nearside_host::{
    client_certificate::ClientCertificate,
    credential::TokenFile,
    queue::Load,
    spans::{TraceSettings, settings::Wished},
    tls::Believes,
};
use nearside_protocol::{heartbeat::Declared, limits};
use serde::Deserialize;

use crate::{commands::host::HostArgs, places::OriginTls, traces};

/// The file's settings; all of them may be left out.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<String>,
    listen: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    origin: Option<String>,
    token_file: Option<PathBuf>,
    data: Option<PathBuf>,
    cache_mib: Option<u64>,
    siblings: Option<Vec<String>>,
    max_staleness_s: Option<u64>,
    place: Option<String>,
    public_url: Option<String>,
    admin_url: Option<String>,
    renders_per_client_s: Option<f64>,
    connections_per_client: Option<usize>,
    hand_over: Option<bool>,
    agent: Option<SocketAddr>,
    unready_ms: Option<u64>,
    certificates: Option<PathBuf>,
    redirect: Option<SocketAddr>,
    origin_ca: Option<PathBuf>,
    origin_certificate: Option<PathBuf>,
    origin_key: Option<PathBuf>,
    admin_token_file: Option<PathBuf>,
    otlp_endpoint: Option<String>,
    trace_ratio: Option<f64>,
}

pub struct NodeSettings {
    pub name: String,
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub origin: Option<String>,
    pub token: Option<TokenFile>,
    /// What operators on other machines show at the admin address.
    pub admin_token: Option<TokenFile>,
    pub data: PathBuf,
    pub cache_mib: u64,
    pub siblings: Vec<String>,
    pub max_staleness: Option<Duration>,
    pub declared: Declared,
    pub load: Load,
    pub connections_per_client: usize,
    /// Whether it asks siblings for pages it has no place for, and makes such pages for them.
    pub hands_over: bool,
    pub agent: Option<SocketAddr>,
    /// What `listen` shows, where it speaks TLS.
    pub certificates: Option<PathBuf>,
    /// Where those who come without it are sent on.
    pub redirect: Option<SocketAddr>,
    /// Whom it believes to be the origin, and what it shows to it.
    pub origin_tls: Believes,
    /// How long those in front have to hear that it leaves.
    pub unready: Duration,
    /// Where it is traced.
    pub traces: Option<TraceSettings>,
}

/// More than this is more likely a slip than a machine.
const CACHE_MIB_MOST: u64 = 1 << 20;
const CORES_MOST: usize = 256;
/// Less is more likely meant as a number of seconds.
const RATE_LEAST: f64 = 0.01;

impl NodeSettings {
    pub fn resolve(args: HostArgs) -> anyhow::Result<NodeSettings> {
        let file = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let listen = args.listen.or(file.listen).unwrap_or(local(8080));
        let admin = args.admin.or(file.admin).unwrap_or(local(8081));
        let cache_mib = args.cache_mib.or(file.cache_mib).unwrap_or(limits::CACHE_MIB);
        if listen == admin && listen.port() != 0 {
            bail!("listen and admin are both {listen}: give the operator another address than the visitors");
        }
        if cache_mib > CACHE_MIB_MOST {
            bail!("cache_mib is {cache_mib}; at most {CACHE_MIB_MOST} make sense");
        }
        let siblings = if args.siblings.is_empty() { file.siblings.unwrap_or_default() } else { args.siblings };
        if siblings.len() > limits::SIBLINGS {
            bail!("{} siblings; at most {} are asked", siblings.len(), limits::SIBLINGS);
        }
        let max_staleness_s = args.max_staleness_s.or(file.max_staleness_s);
        // What a node knows is as old as its last question, which waits for an answer this long.
        let least = (limits::LONG_POLL + limits::LONG_POLL_GRACE).as_secs();
        if let Some(most) = max_staleness_s.filter(|most| *most < least) {
            bail!("max_staleness_s is {most}; a node that hears its origin all the time can be at {least}");
        }
        let declared = Declared {
            place: declared("place", args.place.or(file.place))?,
            public: declared("public_url", args.public_url.or(file.public_url))?,
            admin: declared("admin_url", args.admin_url.or(file.admin_url))?,
        };
        let name = args.name.or(file.name).unwrap_or_else(|| "node".into());
        if !(1..=limits::NODE_NAME_BYTES).contains(&name.len()) || name.chars().any(char::is_control) {
            bail!("a node's name has 1 to {} bytes, without control characters", limits::NODE_NAME_BYTES);
        }
        let renders_per_client_s = args.renders_per_client_s.or(file.renders_per_client_s);
        if let Some(rate) =
            renders_per_client_s.filter(|rate| !(RATE_LEAST..=limits::CLIENT_RENDERS_PER_S_MOST).contains(rate))
        {
            bail!("renders_per_client_s is {rate}; {RATE_LEAST} to {} make sense", limits::CLIENT_RENDERS_PER_S_MOST);
        }
        let connections_per_client =
            args.connections_per_client.or(file.connections_per_client).unwrap_or(limits::CONNECTIONS_A_CLIENT);
        if !(1..=limits::CONNECTIONS).contains(&connections_per_client) {
            bail!("connections_per_client is {connections_per_client}; 1 to {} make sense", limits::CONNECTIONS);
        }
        let unready_ms = args.unready_ms.or(file.unready_ms).unwrap_or(0);
        if unready_ms > limits::UNREADY_MS_MOST {
            bail!("unready_ms is {unready_ms}; at most {} make sense", limits::UNREADY_MS_MOST);
        }
        let (certificates, redirect) = (args.certificates.or(file.certificates), args.redirect.or(file.redirect));
        if redirect.is_some() && certificates.is_none() {
            bail!("redirect sends visitors to https://, and without `certificates` nobody answers there");
        }
        let token_file = |path: Option<PathBuf>| path.as_deref().map(TokenFile::read).transpose();
        let token = token_file(args.token_file.or(file.token_file))?;
        let admin_token = token_file(args.admin_token_file.or(file.admin_token_file))?;
        let origin_tls = origin_tls(&OriginTls {
            origin_ca: args.tls.origin_ca.or(file.origin_ca),
            origin_certificate: args.tls.origin_certificate.or(file.origin_certificate),
            origin_key: args.tls.origin_key.or(file.origin_key),
        })?;
        let wished = args.traces.or(Wished { endpoint: file.otlp_endpoint, ratio: file.trace_ratio });
        let place = declared.place.as_deref().map(|place| ("nearside.place", place));
        let known: Vec<_> = [("service.instance.id", name.as_str())].into_iter().chain(place).collect();
        let traces = traces::settings(&wished, "nearside-node", &known)?;
        Ok(NodeSettings {
            name,
            listen,
            admin,
            origin: args.origin.or(file.origin),
            token,
            admin_token,
            data: args.data.or(file.data).unwrap_or_else(|| "nearside-node".into()),
            cache_mib,
            siblings,
            max_staleness: max_staleness_s.map(Duration::from_secs),
            declared,
            agent: args.agent.or(file.agent),
            certificates,
            redirect,
            origin_tls,
            unready: Duration::from_millis(unready_ms),
            traces,
            load: Load {
                sheds: !args.no_shedding,
                renders_per_client_s,
                cores: args.cores.map_or(Load::default().cores, |cores| cores.clamp(1, CORES_MOST)),
            },
            connections_per_client,
            hands_over: !args.no_hand_over && file.hand_over.unwrap_or(true),
        })
    }
}

/// What others are told: short, and on one line.
fn declared(what: &str, words: Option<String>) -> anyhow::Result<Option<String>> {
    let is_fitting = |words: &String| words.len() <= limits::NODE_WORDS_BYTES && !words.chars().any(char::is_control);
    match words {
        Some(words) if !is_fitting(&words) => {
            bail!("{what} has at most {} bytes, without control characters", limits::NODE_WORDS_BYTES)
        }
        words => Ok(words.filter(|words| !words.is_empty())),
    }
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    parse(&text).map_err(|(line, message)| anyhow::anyhow!("{}:{line}: {message}", path.display()))
}

fn parse(text: &str) -> Result<File, (usize, String)> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        (text[..at].matches('\n').count() + 1, error.message().to_owned())
    })
}

/// What a client of the origin's believes, and shows. The key may be in the certificate's file.
pub fn origin_tls(tls: &OriginTls) -> anyhow::Result<Believes> {
    let certificate = match (&tls.origin_certificate, &tls.origin_key) {
        (None, None) => None,
        (None, Some(key)) => bail!("{} is the key of no certificate: --origin-certificate", key.display()),
        (Some(certificate), key) => {
            let key = key.clone().unwrap_or_else(|| certificate.with_extension("key"));
            Some(ClientCertificate::read(certificate, &key)?)
        }
    };
    Ok(Believes { authorities: tls.origin_ca.clone(), certificate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_wrong_values_are_named_by_line() {
        assert!(parse("name = \"a\"\nlisten = \"127.0.0.1:1\"\n").is_ok());
        let fault = |text: &str| parse(text).map(|_| ()).unwrap_err();
        assert_eq!(fault("name = \"a\"\nlisted = 1\n").0, 2);
        assert!(fault("name = \"a\"\nlisted = 1\n").1.contains("listed"));
        assert_eq!(fault("\n\nlisten = \"here\"\n").0, 3);
        assert_eq!(fault("cache_mib = -1\n").0, 1);
    }
}
