//! `nearside key`: keys that sign, and those a node trusts.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use nearside_host::{disk::Disk, trusted::Trusted};
use nearside_protocol::{
    key::{PublicKey, SecretKey},
    trust::{Role, Roles, TrustedKey},
};

use crate::places::NodeData;

/// Makes keys, and says whom a node trusts
///
/// A release is signed by the origin's key, and its app's code is vouched for by the same key or by another one, which
/// need not be on the origin's machine. Each node has a list of keys it trusts, trusted.keys in its data folder, with
/// roles: `data` for releases, `app` for code. A node without the file trusts the first origin it hears, for both. A
/// running node follows the file as it changes.
///
/// docs/releases.md tells how keys are exchanged for new ones.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside key new build.key                                   # a key that vouches for code
  nearside push my-app --key build.key --token-file token
  nearside key show origin-data/signing.key                    # the origin's public half
  nearside key add --data node-data 6c1f…e0 --role data
  nearside key list --data node-data
  nearside key remove --data node-data 3b0c44298fc1c149")]
pub struct KeyArgs {
    #[command(subcommand)]
    pub command: KeyCommand,
}

#[derive(Subcommand)]
pub enum KeyCommand {
    /// Makes a secret key in a file that only its user can read, and prints its public half
    ///
    /// A file that is there already is left alone.
    New {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Prints the public half and the id of a secret key
    Show {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Lists the keys a node trusts: id, roles, public key
    List {
        #[command(flatten)]
        node: NodeData,
    },
    /// Lets a node trust a key, for the roles given besides those it has already
    Add {
        #[command(flatten)]
        node: NodeData,
        /// The public key, 64 hexadecimal digits
        #[arg(value_name = "KEY")]
        key: PublicKey,
        /// What for: app, data; may be given twice [default: both]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// Lets a node trust a key no more
    Remove {
        #[command(flatten)]
        node: NodeData,
        /// The key's id, or the key itself
        #[arg(value_name = "ID")]
        key: String,
        /// Even if no other key is trusted for data: no release is taken from then on
        #[arg(long)]
        force: bool,
    },
}

pub fn run(args: KeyArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        KeyCommand::New { file } => new(&file),
        KeyCommand::Show { file } => show(&read(&file)?.public()),
        KeyCommand::List { node } => list(&node),
        KeyCommand::Add { node, key, roles } => add(&node, &key, &roles),
        KeyCommand::Remove { node, key, force } => remove(&node, &key, force),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// A secret key from its file.
pub fn read(file: &Path) -> anyhow::Result<SecretKey> {
    let text = fs::read_to_string(file).with_context(|| format!("the key file {} cannot be read", file.display()))?;
    let mode = fs::metadata(file).map(|file| file.permissions().mode()).unwrap_or_default();
    if mode & 0o077 != 0 {
        eprintln!("others on this machine can read {}: chmod 600", file.display());
    }
    text.parse().with_context(|| format!("{} holds no secret key", file.display()))
}

fn new(file: &Path) -> anyhow::Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("the operating system gives no randomness: {error}"))?;
    let key = SecretKey::from_seed(seed);
    // Never over another: a signing key that is gone cannot be had again.
    let mut written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("{} cannot be made", file.display()))?;
    written.write_all(format!("{}\n", key.to_hex()).as_bytes())?;
    written.sync_all()?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    show(&key.public())
}

fn show(key: &PublicKey) -> anyhow::Result<()> {
    println!("public {key}");
    println!("id     {}", key.id());
    Ok(())
}

fn list(node: &NodeData) -> anyhow::Result<()> {
    match trusted(node)?.keys()? {
        None => println!("no key yet: the node will trust the first origin it hears, for apps and data"),
        Some(keys) if keys.is_empty() => println!("no key: the node trusts nobody, and takes no release"),
        Some(keys) => keys.iter().for_each(told),
    }
    Ok(())
}

fn add(node: &NodeData, key: &PublicKey, roles: &[Role]) -> anyhow::Result<()> {
    let roles = roles.iter().copied().map(Roles::from).reduce(|all, more| if all == more { all } else { Roles::Both });
    let added = TrustedKey { key: key.clone(), roles: roles.unwrap_or(Roles::Both) };
    let trusted = trusted(node)?;
    if trusted.keys()?.is_none() && !added.roles.has(Role::Data) {
        bail!(
            "{} trusts no key yet, and with this one alone, which is not for data, it would take no release: add the \
             origin's first",
            node.data.display()
        );
    }
    trusted.add(&added)?;
    let now = trusted.keys()?.into_iter().flat_map(|keys| keys.to_vec());
    now.filter(|now| now.key == *key).for_each(|now| told(&now));
    Ok(())
}

fn remove(node: &NodeData, key: &str, force: bool) -> anyhow::Result<()> {
    // By id or by the key itself.
    let id = key.parse::<PublicKey>().map_or_else(|_| key.to_owned(), |key| key.id().to_string());
    let removed = trusted(node)?.remove(&id, force)?;
    println!("{id}  no longer trusted ({})", removed.roles);
    Ok(())
}

fn told(trusted: &TrustedKey) {
    println!("{}  {:8}  {}", trusted.key.id(), trusted.roles.to_string(), trusted.key);
}

fn trusted(node: &NodeData) -> anyhow::Result<Trusted> {
    if !node.data.is_dir() {
        bail!("{} is not a folder: the node's data folder is meant", node.data.display());
    }
    Ok(Trusted::new(&node.data, Disk::real()))
}
