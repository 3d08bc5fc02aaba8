//! How a change of a large database travels: from the answer of a write to a node's page that shows it. Beside it, in
//! the same run and on the same two files, copying the file, `zstd --patch-from` and `sqlite3_rsync`.

mod beside;
mod cases;
mod edit;
mod node;
mod rebuilt;
mod start;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::beside::Beside;
use self::cases::Taken;
use self::edit::Edit;
use super::Measured;
use super::stage::{documents, programs, scratch};
use crate::args::Run;
use crate::limits::SNAPSHOTS_MIB;
use crate::nearside::{Cluster, Setup};
use crate::page_files::differing;
use crate::report::Settings;

pub(super) const ABOUT: &str = "How a change of a large database with a full-text index reaches a node, beside other \
                                ways to bring a file up to date.";
pub(super) const ABOUT_START: &str =
    "A node that starts with a release of more than a GiB on its disk: until it answers, and what memory that takes.";

const APP: &str = "modules/stacks";
const NAME: &str = "stacks";
const MIRRORED: &str = "mirrored";

/// What all parts of the bench work with.
struct Bench<'a> {
    scratch: &'a Path,
    app: PathBuf,
    program: PathBuf,
    beside: Beside,
    rounds: usize,
}

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let scratch = scratch()?;
    let bench = Bench::new(scratch.path(), args, settings)?;
    let mut taken = Taken::default();
    let mut cluster = bench.pushed(args).await?;
    edits(&bench, &mut cluster, &mut taken).await?;
    drop(cluster);
    fs::remove_dir_all(bench.path(MIRRORED)).context("making room on the disk")?;
    rebuilt::measure(&bench, &mut taken).await?;
    Ok(taken.measured(&bench.beside))
}

/// Only how a node starts.
pub(super) async fn measure_start(args: &Run, settings: &Settings) -> Result<Measured> {
    let scratch = scratch()?;
    let bench = Bench::new(scratch.path(), args, settings)?;
    let mut taken = Taken::default();
    let mut cluster = bench.pushed(args).await?;
    start::measure(&bench, &mut cluster, &mut taken).await?;
    Ok(taken.measured(&bench.beside))
}

impl<'a> Bench<'a> {
    fn new(scratch: &'a Path, args: &Run, settings: &Settings) -> Result<Bench<'a>> {
        Ok(Bench {
            scratch,
            app: args.root.join(APP),
            program: programs()?.join("nearside"),
            beside: Beside::find(scratch),
            rounds: settings.rounds,
        })
    }

    /// An origin and a node that serves documents of so many MiB.
    async fn pushed(&self, args: &Run) -> Result<Cluster> {
        let pushed = self.path("documents.db");
        documents(&self.app, &pushed, args.mib.unwrap_or(SNAPSHOTS_MIB), self.scratch).await?;
        eprintln!("  pushing {} MiB", fs::metadata(&pushed)?.len() >> 20);
        let cluster = self.cluster(MIRRORED, &self.app, NAME, Some(&pushed)).await?;
        // What it becomes at the origin is what counts from here on, and disks are not endless.
        fs::remove_file(&pushed).context("removing what was pushed")?;
        Ok(cluster)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// The release as it was before a change, and as it is after it.
    fn before(&self) -> PathBuf {
        self.path("before.db")
    }

    fn after(&self) -> PathBuf {
        self.path("after.db")
    }

    /// An origin and a node in a folder of their own.
    async fn cluster(&self, folder: &str, app: &Path, name: &str, data: Option<&Path>) -> Result<Cluster> {
        let folder = self.path(folder);
        fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let setup = Setup { program: &self.program, app, name, data, scratch: &folder, cache_mib: None, webhook: None };
        Cluster::start(&setup).await
    }
}

/// Each edit in each round, so that what the machine does besides hits all of them.
async fn edits(bench: &Bench<'_>, cluster: &mut Cluster, taken: &mut Taken) -> Result<()> {
    cluster.export(&bench.before()).await?;
    let mut edits = Edit::all(&bench.before())?;
    for round in 1..=bench.rounds {
        for edit in &mut edits {
            let change = node::follow(cluster, edit, round).await.with_context(|| edit.name())?;
            cluster.export(&bench.after()).await?;
            let pages = differing(&bench.before(), &bench.after())?.len();
            taken.node(edit.name(), round, &change, pages);
            for (contender, brought) in bench.beside.bring(&bench.before(), &bench.after()).await? {
                taken.beside(edit.name(), contender, round, &brought);
            }
            fs::rename(bench.after(), bench.before()).context("keeping what there is now")?;
        }
    }
    Ok(())
}
