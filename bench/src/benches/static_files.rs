//! Static files beside nginx, which does little else: two sizes, as they stand and with brotli.
//!
//! Both send the same bytes. The encoded ones are those that `nearside push` made, checked to be of the file, and lie
//! beside it for nginx's `brotli_static`.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::stage::{HOST, Stage};
use crate::connection::fetch;
use crate::contender::{Answers, Case, Contender};
use crate::nginx::Nginx;
use crate::random::Random;
use crate::request::{Request, Requests};

const SMALL_BYTES: usize = 8 << 10;
const LARGE_BYTES: usize = 1 << 20;
const SEED: u64 = 1;

/// A case, the file it asks for, and how.
const CASES: [(&str, &str, Option<&str>); 4] = [
    ("8 KiB", "small.css", None),
    ("8 KiB, brotli", "small.css", Some("br")),
    ("1 MiB", "large.js", None),
    ("1 MiB, brotli", "large.js", Some("br")),
];

pub(super) async fn prepare() -> Result<Stage> {
    let mut stage = Stage::new("Static files from a node's memory, beside nginx sending the same bytes by sendfile.")?;
    let app = stage.scratch().join("app");
    let files = app.join("public/static");
    write_app(&app, &files)?;
    stage.start_app(&app, "files").await?;
    let address = stage.cluster()?.address;
    for name in ["small.css", "large.js"] {
        let request = request(name, Some("br"));
        let response = fetch(address, &request).await?;
        request.verify(&response)?;
        ensure!(response.header("content-encoding") == Some("br"), "{name} was not compressed by the push");
        let mut decoded = Vec::new();
        brotli::Decompressor::new(response.body(), 64 << 10).read_to_end(&mut decoded).context("decoding brotli")?;
        let plain = fs::read(files.join(name)).with_context(|| format!("reading {name}"))?;
        ensure!(decoded == plain, "what is sent for {name} with brotli is another file");
        fs::write(files.join(format!("{name}.br")), response.body()).context("writing the encoded file for nginx")?;
    }
    let nginx = Nginx::start(&app.join("public"), stage.scratch()).await?;
    for (case, name, encoding) in CASES {
        let request = request(name, encoding);
        let nearside = stage.nearside("a node, from memory", vec![request.clone()])?;
        let peer = Contender {
            name: "nginx",
            about: nginx.about.clone(),
            process: nginx.id(),
            address: nginx.address,
            requests: Arc::new(Requests::new(vec![request])?),
        };
        let how = encoding.map_or("as it stands", |_| "for a client that takes brotli");
        stage.cases.push(Case {
            name: case,
            about: format!("GET of /static/{name}, {how}, again and again."),
            limit: "nginx",
            answers: Answers::Same,
            contenders: vec![nearside, peer],
        });
    }
    stage.keep(nginx);
    Ok(stage)
}

/// nginx serves the folder above, so that both have the file at the same address.
fn request(name: &str, encoding: Option<&str>) -> Request {
    let accept = encoding.map(|encoding| ("Accept-Encoding", encoding));
    Request::get(HOST, &format!("/static/{name}"), accept.as_slice())
}

/// An app of nothing but files.
fn write_app(app: &Path, files: &Path) -> Result<()> {
    fs::create_dir_all(files).with_context(|| format!("creating {}", files.display()))?;
    let manifest = format!("name = \"files\"\nhosts = [\"{HOST}\"]\nstatic = \"public/static\"\n");
    fs::write(app.join("nearside.toml"), manifest).context("writing the app's manifest")?;
    let mut random = Random::new(SEED);
    for (name, bytes) in [("small.css", SMALL_BYTES), ("large.js", LARGE_BYTES)] {
        fs::write(files.join(name), text(&mut random, bytes)).with_context(|| format!("writing {name}"))?;
    }
    Ok(())
}

/// Text that compresses about as well as source code: words that come again, and numbers that do not.
fn text(random: &mut Random, bytes: usize) -> String {
    const WORDS: [&str; 16] = [
        "const", "return", "function", "element", "window", "display", "margin", "value", "index", "color", "border",
        "document", "length", "padding", "style", "null",
    ];
    let mut text = String::with_capacity(bytes + 64);
    while text.len() < bytes {
        let (one, other) = (WORDS[random.below(WORDS.len())], WORDS[random.below(WORDS.len())]);
        text.push_str(&format!("{one}.{other}_{} = {other}({:x});\n", random.below(64), random.below(1 << 20)));
    }
    text.truncate(bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_their_sizes_and_are_the_same_each_time() {
        let make = || text(&mut Random::new(SEED), SMALL_BYTES);
        assert_eq!(make().len(), SMALL_BYTES);
        assert_eq!(make(), make());
    }
}
