//! A file rebuilt from scratch and pushed as the whole database: the same rows, hardly a page where it was.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use nearside_protocol::wire::RELEASE_HEADER;

use super::cases::{REBUILT, Taken};
use super::node::{Change, Counters, Page};
use super::{Bench, NAME};
use crate::documents;
use crate::limits::REBUILDS;
use crate::nearside::Cluster;
use crate::page_files::differing;
use crate::response::Response;

/// The app whose database is pushed.
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
    let (app, usual, file) = (bench.path("app"), bench.path("usual.db"), bench.path("rebuilt.db"));
    write_app(bench, &app)?;
    // What there is before was made row by row, as the origin does it.
    fs::rename(bench.before(), &usual).context("taking the last release")?;
    let mut cluster = bench.cluster("pushed", &app, NAME, Some(&usual)).await?;
    cluster.export(&bench.before()).await?;
    for round in 1..=bench.rounds.min(REBUILDS) {
        documents::rebuild(&usual, &file, round as u32)?;
        let change = push(&mut cluster, &file).await.with_context(|| format!("{REBUILT}, round {round}"))?;
        cluster.export(&bench.after()).await?;
        let pages = differing(&bench.before(), &bench.after())?.len();
        taken.node(REBUILT, round, &change, pages);
        for (contender, brought) in bench.beside.bring(&bench.before(), &bench.after()).await? {
            taken.beside(REBUILT, contender, round, &brought);
        }
        // And back, unmeasured, so that every round leads away from the same.
        push(&mut cluster, &usual).await.context("pushing the usual file again")?;
    }
    Ok(())
}

/// From the start of the push: making out what differs is part of the way.
async fn push(cluster: &mut Cluster, file: &Path) -> Result<Change> {
    let before = Counters::settled(cluster).await?;
    let old = cluster.status().await?.release;
    let began = Instant::now();
    let report = cluster.push(file, &["--app", NAME]).await?;
    eprintln!("      {}", report.trim().replace('\n', "\n      "));
    // Opened no earlier: a connection that stays silent for as long as a push may take is closed.
    let mut page = Page::open(cluster, "/newest").await?;
    let is_new = |response: &Response| response.header(RELEASE_HEADER).is_some_and(|release| release != old);
    let shown = page.until(is_new).await.context("waiting for the pushed file at the node")?;
    cluster.still_running()?;
    before.since(cluster, shown.duration_since(began), None).await
}

/// The same pages and queries, and nothing that writes.
fn write_app(bench: &Bench<'_>, app: &Path) -> Result<()> {
    fs::create_dir(app).context("making a folder for the app")?;
    fs::write(app.join("nearside.toml"), MANIFEST).context("writing the app's manifest")?;
    fs::copy(bench.app.join(PAGES), app.join("pages.wasm")).context("copying the app's component")?;
    // Its schema is the file's own: there is no snapshot.sql.
    fs::copy(bench.app.join("queries.sql"), app.join("queries.sql")).context("copying the app's queries")?;
    Ok(())
}
