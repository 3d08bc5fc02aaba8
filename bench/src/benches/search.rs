//! A search that is not cached, in two mixes: words few packages have, and words many have, where the full-text index
//! itself is what takes the time. Beside it the same statements on the same file, natively.

use std::path::Path;

use anyhow::Result;

use super::stage::{APP, HOST, Stage};
use crate::args::Run;
use crate::catalogue::{self, Searches};
use crate::contender::{Answers, Case};
use crate::limits::SEARCH_QUERIES;
use crate::request::{Request, percent_encode};

pub(super) async fn prepare(args: &Run) -> Result<Stage> {
    let mut stage = Stage::new("Searches in a node's replica, beside the same statements run natively.")?;
    let catalogue = stage.start_nearside(args, Some(0)).await?;
    let release = stage.release_file().await?;
    let Searches { selective, common } = catalogue::searches(&catalogue, SEARCH_QUERIES)?;
    for (name, terms, about) in [
        ("selective", selective, "Words that few packages have, one or two of them."),
        ("common", common, "The words most packages have, one or two of them."),
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
        let native = stage.serve("native", about_native, requests, &arguments).await?;
        stage.cases.push(Case {
            name,
            about: about.to_owned(),
            limit: "native",
            answers: Answers::Same,
            contenders: vec![nearside, native],
        });
    }
    Ok(stage)
}

/// The arguments of a native server on the node's own release file, with the app's own statements.
pub(super) fn native(server: &str, release: &Path, root: &Path) -> Vec<String> {
    let (release, app) = (release.display().to_string(), root.join(APP).display().to_string());
    [server, "--db", &release, "--app", &app].map(str::to_owned).into()
}
