//! `nearside push`: an app, or data, to the origin.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use http::Method;
use http_body_util::{BodyExt, channel::Channel};
use nearside_host::{
    archive::Archive,
    origin_client::{ClientBody, bytes, whole},
};
use nearside_origin::{
    check::{self, Finding},
    pushed_file,
};
use nearside_protocol::{
    app,
    digest::Digest,
    key::SecretKey,
    limits,
    voucher::AppVoucher,
    wire::{Pushed, VOUCHER_HEADER},
};

use super::canary::CanaryArgs;
use crate::places::OriginAccess;

/// Pushes an app, or a SQLite file as an app's data
///
/// A folder with a nearside.toml is packed, checked at the origin, and becomes the app's next release: its migrations
/// run in one transaction, and anything wrong leaves the release before serving. A SQLite file needs --app: the rows of
/// its tables replace those of the app's [data] tables, row by row, so that only what differs is published. For an app
/// whose manifest says `database = "pushed"` the file is the database, as it is: any SQLite file, in use or not.
///
/// It is told how the release travels to the nodes, and what it costs. While releases are held after a rollback, a push
/// needs --resume, and ends that.
///
/// With --canary, some nodes try it out first: a share of those that are heard, or those that are named. The origin compares what
/// they tell of it with what the others tell, and promotes it to all when nothing is wrong with it after --canary-for and
/// --canary-requests, or halts it. `nearside promote` and `nearside halt` decide it by hand; --wait waits for that.
///
/// Static files are compressed here, once, for all nodes; --quick leaves that out. With --key, the app's code is vouched
/// for by that key, so that nodes that trust no other for code take it from nobody else, whoever has the origin.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside push modules/packages --token-file origin-data/token
  nearside push modules/packages --token-file origin-data/token --key build.key
  nearside push catalogue.db --app packages --token-file origin-data/token
  nearside push modules/packages --canary 10% --wait --token-file origin-data/token")]
pub struct PushArgs {
    /// An app's folder, or a SQLite file
    #[arg(default_value = ".", value_name = "APP|FILE")]
    pub path: PathBuf,
    /// The app whose data a file is
    #[arg(long)]
    pub app: Option<String>,
    /// Leave static files uncompressed, for a push while developing
    #[arg(long)]
    pub quick: bool,
    /// Secret key that vouches for the app's code, instead of the origin's
    #[arg(long, env = "NEARSIDE_APP_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Publish though releases are held after a rollback, and hold them no longer
    #[arg(long)]
    pub resume: bool,
    #[command(flatten)]
    pub canary: CanaryArgs,
    #[command(flatten)]
    pub origin: OriginAccess,
}

/// A merge of a large file takes its time.
const PATIENCE: Duration = Duration::from_secs(600);
const PIECE_BYTES: usize = 1 << 20;

pub async fn run(args: PushArgs) -> anyhow::Result<ExitCode> {
    let origin = super::origin_client(&args.origin)?;
    let key = args.key.as_deref().map(super::key::read).transpose()?;
    let (name, path, body, voucher) = if args.path.join(app::FILE_NAME).is_file() {
        let archive = check::collect(&args.path).map_err(told)?;
        let archive = if args.quick { archive } else { archive.with_encoded() };
        warn_of_development_builds(&archive);
        let name = archive.app.name.clone();
        if args.app.as_ref().is_some_and(|given| *given != name) {
            bail!("{} is the app `{name}`; leave --app out, or name that one", args.path.display());
        }
        let packed = archive.pack()?;
        let vouch = |key: &SecretKey| AppVoucher::sign(&name, &Digest::of(&packed), key).to_header(&key.public());
        let voucher = key.as_ref().map(vouch);
        let path = format!("/v1/apps/{name}/archive");
        (name, path, bytes(packed), voucher)
    } else if args.path.is_file() {
        let Some(name) = &args.app else {
            bail!("{} is a file: say by --app NAME whose data it is", args.path.display());
        };
        (name.clone(), format!("/v1/apps/{name}/data"), file(&at_rest(&args.path)?.0)?, None)
    } else {
        bail!("{}: neither an app's folder (with a {}) nor a file", args.path.display(), app::FILE_NAME);
    };
    let mut said = args.canary.said();
    if args.resume {
        said.push(("resume", "true".to_owned()));
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(said).finish();
    let mut request = origin.request(Method::PUT, &format!("{path}?{query}"));
    if let Some(voucher) = voucher {
        request = request.header(VOUCHER_HEADER, voucher);
    }
    let request = request.body(body)?;
    let response = origin.send(request, PATIENCE).await?;
    let pushed: Pushed = serde_json::from_slice(&whole(response, limits::MANIFEST_BYTES).await?)?;
    super::print_pushed(&pushed);
    match args.canary.wait {
        true => super::canary::wait(&origin, &name).await,
        false => Ok(ExitCode::SUCCESS),
    }
}

/// What keeps an app from being packed, as `nearside check` tells it.
fn told(findings: Vec<Finding>) -> anyhow::Error {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    anyhow::Error::msg(lines.join("\n"))
}

/// `nearside dev` leaves what it builds where `nearside build` does, and quick to build is slow to run. Such components
/// are told by an import that the SDK makes with debug assertions only.
fn warn_of_development_builds(archive: &Archive) {
    const MARK: &[u8] = b"nearside:edge/inputs@";
    for name in archive.app.components.keys() {
        let wasm = archive.component(name).map_or(&[][..], |wasm| wasm);
        if wasm.windows(MARK.len()).any(|part| part == MARK) {
            eprintln!("component `{name}` was built for development: `nearside build` makes the one for visitors");
        }
    }
}

/// The file, or a copy of it when part of its content is in a log beside it: it is in use, or was left in a hurry.
fn at_rest(path: &Path) -> anyhow::Result<AtRest> {
    let has = |suffix: &str| {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        std::fs::metadata(beside).is_ok_and(|file| file.len() > 0)
    };
    if !has("-wal") && !has("-journal") {
        return Ok(AtRest(path.to_owned(), false));
    }
    let copy = std::env::temp_dir().join(format!("nearside-push-{}.db", std::process::id()));
    let copy = AtRest(copy, true);
    let _ = std::fs::remove_file(&copy.0);
    pushed_file::copy(path, &copy.0)?;
    Ok(copy)
}

/// A file, and whether it is a copy to be removed. It is open while it is sent, which is as good as being there.
struct AtRest(PathBuf, bool);

impl Drop for AtRest {
    fn drop(&mut self) {
        if self.1 {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

/// A file, read while it is sent.
fn file(path: &Path) -> anyhow::Result<ClientBody> {
    let mut file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(4);
    tokio::spawn(async move {
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; PIECE_BYTES];
                let length = file.read(&mut piece);
                (file, length.map(|length| Bytes::from(piece).slice(..length)))
            });
            let Ok((back, piece)) = read.await else { return };
            file = back;
            match piece {
                Ok(piece) if piece.is_empty() => return,
                Ok(piece) => {
                    // Whoever reads has gone; what it answers says why.
                    if sender.send_data(piece).await.is_err() {
                        return;
                    }
                }
                Err(error) => return sender.abort(error),
            }
        }
    });
    Ok(body.boxed_unsync())
}
