//! The origin's configuration, as the operator writes it: checked once, here, before anything is opened.
//!
//! ```toml
//! listen = "127.0.0.1:7470"
//! data = "/var/lib/nearside"
//! token_file = "/etc/nearside/token"     # DATA/token, made at the first start, when this is left out
//! otlp_endpoint = "http://127.0.0.1:4318" # a collector of traces; OTEL_EXPORTER_OTLP_ENDPOINT, or none, when this is left out
//! trace_ratio = 0.01                     # how many of the tasks nothing is said of are traced
//! certificates = "/etc/nearside/tls"     # `listen` speaks TLS, with NAME.crt and NAME.key; it does not when this is left out
//! client_ca = "/etc/nearside/nodes.pem"  # and who connects shows a certificate of these authorities; anybody may when left out
//!
//! [objects]                              # where releases are put; DATA/objects when this is left out
//! url = "s3://bucket/prefix"             # or file:///folder
//! endpoint = "https://s3.example.org"    # of a service other than Amazon's
//! region = "eu-central-1"
//!
//! [apps.packages]
//! variables = { WEBHOOK_URL = "http://10.0.0.7/hook" }
//! secrets = { SESSION_KEY = "…" }         # made at random when left out
//! allow_private = ["10.0.0.7"]           # hosts its tasks may reach though their addresses are private
//! ```
//!
//! What opens an S3 bucket comes from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use nearside_host::spans::settings::Wished;
use nearside_protocol::app;
use serde::Deserialize;
use toml::Spanned;

/// What the origin is started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub listen: SocketAddr,
    pub data: PathBuf,
    /// Where the first token is; `data/token` when absent.
    pub token_file: Option<PathBuf>,
    /// Folder of what is shown where `listen` speaks TLS; it does not when absent.
    pub certificates: Option<PathBuf>,
    /// Whose certificates those who connect show; none are asked for when absent.
    pub client_ca: Option<PathBuf>,
    /// Where releases are put; `data/objects` when absent.
    pub objects: Option<ObjectsConfig>,
    pub traces: Wished,
    pub apps: BTreeMap<String, AppConfig>,
}

/// A store for objects, as `bucket.rs` opens it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsConfig {
    /// `file:///folder` or `s3://bucket/prefix`.
    pub url: String,
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Lets the endpoint be `http://`: what is sent there can be read and changed on the way.
    #[serde(default)]
    pub allow_http: bool,
}

/// What the operator says about one app. Apps that are not listed run with their manifests' own variables.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppConfig {
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Values of what the manifest names under `secrets`; those that are left out are made.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// `host` or `host:port` that tasks may reach though the address is private.
    #[serde(default)]
    pub allow_private: Vec<String>,
    /// Its tasks reach nobody, whatever the manifest says: a test is not to call anyone.
    #[serde(skip)]
    pub offline: bool,
}

#[derive(Debug, PartialEq)]
pub struct ConfigError {
    pub file: PathBuf,
    pub line: Option<usize>,
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

impl std::error::Error for ConfigError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen: Spanned<String>,
    data: PathBuf,
    token_file: Option<PathBuf>,
    certificates: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    otlp_endpoint: Option<String>,
    trace_ratio: Option<f64>,
    objects: Option<Spanned<ObjectsConfig>>,
    #[serde(default)]
    apps: BTreeMap<Spanned<String>, AppConfig>,
}

impl Config {
    pub fn new(listen: SocketAddr, data: PathBuf) -> Config {
        let (traces, apps) = (Wished::default(), BTreeMap::new());
        Config { listen, data, token_file: None, certificates: None, client_ca: None, objects: None, traces, apps }
    }

    pub fn read(file: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
            file: file.to_owned(),
            line: None,
            message: error.to_string(),
        })?;
        Config::parse(&text, file)
    }

    /// `file` is where the text comes from, for messages; relative paths in it are relative to its folder.
    pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigError> {
        let fail = |at: Option<usize>, message: String| ConfigError {
            file: file.to_owned(),
            line: at.map(|at| 1 + text[..at.min(text.len())].matches('\n').count()),
            message,
        };
        let raw: Raw = toml::from_str(text)
            .map_err(|error| fail(error.span().map(|span| span.start), error.message().to_owned()))?;
        let at = raw.listen.span().start;
        let listen = raw.listen.into_inner();
        let listen = listen.parse().map_err(|_| {
            fail(Some(at), format!("listen `{listen}`: an address and port like `127.0.0.1:7470` expected"))
        })?;
        let mut apps = BTreeMap::new();
        for (name, app) in raw.apps {
            let at = name.span().start;
            let name = name.into_inner();
            if !app::is_name(&name) {
                return Err(fail(
                    Some(at),
                    format!("app `{name}`: 1 to 64 of a-z, 0-9 and `-` expected, beginning with a letter"),
                ));
            }
            if let Some(bad) = app.allow_private.iter().find(|host| host.is_empty() || host.contains(['/', '@', '*'])) {
                return Err(fail(Some(at), format!("allow_private `{bad}`: a host or host:port expected")));
            }
            apps.insert(name, app);
        }
        let folder = file.parent().unwrap_or(Path::new(""));
        let objects = match raw.objects {
            None => None,
            Some(objects) => {
                let (at, objects) = (objects.span().start, objects.into_inner());
                if !objects.url.starts_with("file:///") && !objects.url.starts_with("s3://") {
                    let message =
                        format!("objects.url `{}`: file:///folder or s3://bucket/prefix expected", objects.url);
                    return Err(fail(Some(at), message));
                }
                Some(objects)
            }
        };
        Ok(Config {
            listen,
            data: folder.join(raw.data),
            token_file: raw.token_file.map(|token| folder.join(token)),
            certificates: raw.certificates.map(|certificates| folder.join(certificates)),
            client_ca: raw.client_ca.map(|authorities| folder.join(authorities)),
            objects,
            traces: Wished { endpoint: raw.otlp_endpoint, ratio: raw.trace_ratio },
            apps,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
listen = \"127.0.0.1:0\"
data = \"data\"

[apps.shop]
variables = { HOOK = \"http://10.0.0.7\" }
allow_private = [\"10.0.0.7\"]
";

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = Config::parse(GOOD, Path::new("/etc/nearside/origin.toml")).unwrap();
        assert_eq!(config.data, Path::new("/etc/nearside/data"));
        assert_eq!(config.token_file, None);
        assert_eq!(config.apps["shop"].variables["HOOK"], "http://10.0.0.7");
    }

    #[test]
    fn each_fault_is_named_with_its_line() {
        for (from, to, expected) in [
            ("127.0.0.1:0", "localhost", "origin.toml:2: listen `localhost`: an address and port"),
            ("data =", "dada =", "origin.toml:3: unknown field `dada`"),
            ("data = \"data\"", "", "missing field `data`"),
            ("[apps.shop]", "[apps.Shop]", "origin.toml:5: app `Shop`: 1 to 64 of"),
            ("allow_private", "allow_privat", "origin.toml:7: unknown field `allow_privat`"),
            ("[\"10.0.0.7\"]", "[\"http://x/\"]", "origin.toml:5: allow_private `http://x/`"),
            ("[apps.shop]", "[apps.shop", "origin.toml:5: "),
            (
                "[apps.shop]",
                "[objects]\nurl = \"http://x\"\n[apps.shop]",
                "origin.toml:5: objects.url `http://x`: file:///",
            ),
            ("[apps.shop]", "[objects]\nfolder = \"x\"\n[apps.shop]", "origin.toml:6: unknown field `folder`"),
        ] {
            let error = Config::parse(&GOOD.replace(from, to), Path::new("origin.toml")).unwrap_err();
            assert!(error.to_string().contains(expected), "{to}: {error}");
        }
    }
}
