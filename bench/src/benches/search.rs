//! A search that is not cached, in two mixes: words few packages have, and words many have, where a full-text index
//! itself is what takes the time. Beside it the same statements on the same file, natively; and the same search with SQLite's
//! FTS5 in place of the app's index, natively and in Node.js.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;

use super::stage::{APP, HOST, Stage};
use crate::args::Run;
use crate::catalogue::{self, Searches};
use crate::connection::fetch;
use crate::contender::{Answers, Case, Contender};
use crate::limits::SEARCH_QUERIES;
use crate::request::{Request, percent_encode};
use crate::runtime::node;

pub(super) async fn prepare(args: &Run) -> Result<Stage> {
    let mut stage =
        Stage::new("Searches in a node's replica, beside the same statements run natively, and beside FTS5.")?;
    let catalogue = stage.start_nearside(args, Some(0)).await?;
    let release = stage.release_file().await?;
    let (with_fts5, fts5_app) = fts5(&release, stage.scratch())?;
    let script = args.root.join("bench/node/fts5.mjs");
    let Searches { selective, common } = catalogue::searches(&catalogue, SEARCH_QUERIES)?;
    for (name, beside, terms, about) in [
        ("selective", "selective, FTS5", selective, "Words that few packages have, one or two of them."),
        ("common", "common, FTS5", common, "The words most packages have, one or two of them."),
    ] {
        let search = |terms: &String| {
            // A space follows the last word: without it the app also looks for longer words that begin so.
            let target = format!("/search?q={}%20", percent_encode(terms));
            Request::get(HOST, &target, &[("Accept", "application/json")])
        };
        let requests: Vec<Request> = terms.iter().map(search).collect();
        let nearside = stage.nearside("a node with its cache off", requests.clone())?;
        let about_native = "hyper and rusqlite: the same statements on the same release, memory-mapped";
        let arguments = native("serve-search", &release, &args.root);
        let native = stage.serve("native", about_native, requests.clone(), &arguments).await?;
        stage.cases.push(Case {
            name,
            about: about.to_owned(),
            limit: "native",
            answers: Answers::Same,
            contenders: vec![nearside, native],
        });
        let ours = stage.serve("nearside_search", about_native, requests.clone(), &arguments).await?;
        let arguments = ["serve-search", "--db", &shown(&with_fts5), "--app", &shown(&fts5_app)].map(str::to_owned);
        let about_fts5 = "hyper and rusqlite: the same search over an FTS5 index of the same columns and weights";
        let theirs = stage.serve("FTS5", about_fts5, requests.clone(), &arguments).await?;
        let edge = stage.nearside("a node with its cache off, and its own index", requests.clone())?;
        let node = node::start(&script, &with_fts5, &fts5_app.join("queries.sql"), name, stage.scratch()).await;
        let node = stage.runtime(beside, "node", node, &requests)?;
        if let Some(node) = &node {
            same_answers(&theirs, node).await?;
        }
        let contenders = [edge, ours, theirs].into_iter().chain(node).collect();
        stage.cases.push(Case {
            name: beside,
            about: about.to_owned(),
            limit: "FTS5",
            answers: Answers::Differ { why: "FTS5 ranks otherwise. Whoever asks it answers the same.".to_owned() },
            contenders,
        });
    }
    Ok(stage)
}

/// Two who ask the same index must answer the same.
async fn same_answers(one: &Contender, other: &Contender) -> Result<()> {
    for request in one.requests.all() {
        let (ours, theirs) = (fetch(one.address, request).await?, fetch(other.address, request).await?);
        request.verify(&ours)?;
        request.verify(&theirs)?;
        let (one, other, target) = (one.name, other.name, &request.target);
        ensure!(ours.body() == theirs.body(), "{one} and {other} answer GET {target} differently");
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The same release with an FTS5 index beside the app's, and a folder with statements that ask it.
fn fts5(release: &Path, scratch: &Path) -> Result<(PathBuf, PathBuf)> {
    let (file, app) = (scratch.join("fts5.db"), scratch.join("fts5"));
    fs::copy(release, &file).context("copying the release")?;
    fs::create_dir_all(&app).context("making a folder for statements")?;
    fs::write(app.join("queries.sql"), include_str!("search/fts5.sql")).context("writing statements")?;
    let connection = Connection::open(&file).context("opening the copy")?;
    connection.execute_batch(FTS5).context("indexing the copy with FTS5")?;
    Ok((file, app))
}

const FTS5: &str = "
CREATE VIRTUAL TABLE package_text USING fts5 (
    name, summary, description,
    content = 'package', content_rowid = 'id', prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO package_text (package_text, rank) VALUES ('rank', 'bm25(8.0, 3.0, 1.0)');
INSERT INTO package_text (package_text) VALUES ('rebuild');
INSERT INTO package_text (package_text) VALUES ('optimize');";

/// The arguments of a native server on the node's own release file, with the app's own statements.
pub(super) fn native(server: &str, release: &Path, root: &Path) -> Vec<String> {
    let (release, app) = (release.display().to_string(), root.join(APP).display().to_string());
    [server, "--db", &release, "--app", &app].map(str::to_owned).into()
}
