//! `nearside token`: who may ask the origin for what.

use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use http::{Method, header};
use nearside_host::origin_client::{OriginClient, bytes, whole};
use nearside_protocol::{
    digest::Digest,
    limits,
    token::{self, Adding, Role, Token, Tokens},
    unix_time::now_ms,
    words,
};

use crate::places::OriginAccess;

/// Makes tokens for nodes, publishers and readers, and takes them back
///
/// A token has a name, by which the log of operators tells who did something, and a role: a reader looks at status, metrics and
/// the fleet page; a node takes releases and hands writes on; a publisher pushes apps and data, promotes and rolls back; an
/// operator does everything. The origin keeps a token's digest only. The first token, which the origin makes in its folder, is an
/// operator's and stays beside these.
///
/// Several tokens may have one name. So one is exchanged for another without a pause: add the second, put it where the first was
/// (a node looks at its file every second), see by `list` that the first is not used any more, remove it. What is removed opens
/// nothing from that moment on.
///
/// All of this takes an operator's token.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside token add zurich-1 --role node --out zurich-1.token --token-file origin-data/token
  nearside token add ci --role publisher --expires-days 90 --token-file origin-data/token
  nearside token list --token-file origin-data/token
  nearside token remove ci --id 3b0c44298fc1 --token-file origin-data/token")]
pub struct TokenArgs {
    #[command(subcommand)]
    pub command: TokenCommand,
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Makes a token and prints it, once: nobody can tell it again
    Add {
        /// Whose it is: 1 to 64 of a-z, 0-9 and `-`, beginning with a letter
        #[arg(value_name = "NAME")]
        name: String,
        /// What it is for: reader, node, publisher, operator
        #[arg(long, value_name = "ROLE")]
        role: Role,
        /// Let it open nothing after so many days [default: it has no end]
        #[arg(long, value_name = "DAYS")]
        expires_days: Option<u64>,
        /// Write it to a file of this user's alone, which must not be there, instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        origin: OriginAccess,
    },
    /// Lists them: name, role, id, when it was added, when it ends, when it was last used since the origin started
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        origin: OriginAccess,
    },
    /// Takes a token back; where several have the name, --id says which
    Remove {
        #[arg(value_name = "NAME")]
        name: String,
        /// As `list` shows it
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        #[command(flatten)]
        origin: OriginAccess,
    },
}

const DAY_MS: u64 = 24 * 3600 * 1_000;
const PATH: &str = "/v1/tokens";

pub async fn run(args: TokenArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        TokenCommand::Add { name, role, expires_days, out, origin } => {
            let expires_at_ms = expires_days.map(until).transpose()?;
            add(&super::origin_client(&origin)?, name, role, expires_at_ms, out.as_deref()).await?;
        }
        TokenCommand::List { json, origin } => list(&super::origin_client(&origin)?, json).await?,
        TokenCommand::Remove { name, id, origin } => remove(&super::origin_client(&origin)?, &name, id).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn until(days: u64) -> anyhow::Result<u64> {
    match days {
        1..=limits::TOKEN_DAYS_MOST => Ok(now_ms() + days * DAY_MS),
        _ => bail!("--expires-days is {days}; 1 to {} make sense", limits::TOKEN_DAYS_MOST),
    }
}

async fn add(
    origin: &OriginClient,
    name: String,
    role: Role,
    expires_at_ms: Option<u64>,
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let mut chance = [0; 32];
    getrandom::fill(&mut chance).map_err(|error| anyhow!("the operating system gives no randomness: {error}"))?;
    let text = token::text(chance);
    // First: a token that is kept and that nobody has would have to be taken back.
    if let Some(file) = out {
        write(file, &text)?;
    }
    let adding = Adding { name, role, digest: Digest::of(text.as_bytes()), expires_at_ms };
    let body = serde_json::to_vec(&adding).expect("BUG: a name and a digest are plain data");
    let request = origin.request(Method::POST, PATH).header(header::CONTENT_TYPE, "application/json");
    let sent = origin.send(request.body(bytes(body))?, limits::OUTBOUND_CONNECT * 2).await;
    let answer = match sent {
        Ok(answer) => answer,
        Err(error) => {
            if let Some(file) = out {
                let _ = std::fs::remove_file(file);
            }
            return Err(error.into());
        }
    };
    let added: Token = serde_json::from_slice(&whole(answer, limits::TOKEN_ADDING_BYTES).await?)?;
    // What a script takes is on stdout, alone.
    eprintln!("{}", told(&added));
    if out.is_none() {
        println!("{text}");
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut made = made.with_context(|| format!("{} cannot be made", file.display()))?;
    made.write_all(format!("{text}\n").as_bytes())?;
    Ok(made.sync_all()?)
}

async fn list(origin: &OriginClient, json: bool) -> anyhow::Result<()> {
    let Tokens { tokens } = origin.get_json(PATH).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&Tokens { tokens })?);
    } else if tokens.is_empty() {
        println!("none but the first one, the origin's token file");
    } else {
        tokens.iter().for_each(|token| println!("{}", told(token)));
    }
    Ok(())
}

async fn remove(origin: &OriginClient, name: &str, id: Option<String>) -> anyhow::Result<()> {
    let Tokens { tokens } = origin.get_json(PATH).await?;
    let named: Vec<&Token> = tokens.iter().filter(|token| token.name == name).collect();
    let token = match (named.as_slice(), id) {
        ([], _) => bail!("there is no token `{name}`"),
        (named, Some(id)) => {
            *named.iter().find(|token| token.id == id).with_context(|| format!("no token `{name}` has the id {id}"))?
        }
        ([only], None) => only,
        (several, None) => {
            let all: Vec<String> = several.iter().map(|token| told(token)).collect();
            bail!("several have this name; --id says which:\n{}", all.join("\n"));
        }
    };
    let request = origin.request(Method::DELETE, &format!("{PATH}/{}", token.id)).body(bytes(""))?;
    origin.send(request, limits::OUTBOUND_CONNECT * 2).await?;
    println!("removed {}", told(token));
    Ok(())
}

fn told(token: &Token) -> String {
    let Token { id, name, role, added_at_ms, expires_at_ms, used_at_ms } = token;
    let now = now_ms();
    let ends = match expires_at_ms {
        None => "has no end".to_owned(),
        Some(end) if *end <= now => format!("ended {}", words::utc(*end)),
        Some(end) => format!("ends {}", words::utc(*end)),
    };
    let used =
        used_at_ms.map_or("not used since the origin started".to_owned(), |at| format!("used {}", words::ago(now, at)));
    format!("{name}  {role}  id {id}  added {}  {ends}  {used}", words::utc(*added_at_ms))
}
