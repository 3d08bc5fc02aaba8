//! The whole story on one machine: an origin, two nodes, a catalogue, and a place for the webhook to arrive.
//!
//! `scripts/demo` builds everything and runs this; with `--check` it drives the story itself and exits.

#[path = "../../tests/support/http.rs"]
mod http;
mod process;
mod signature;
mod sink;
mod site;
mod story;

use std::path::PathBuf;

use anyhow::{Context, bail};
use site::Site;

fn main() -> anyhow::Result<()> {
    let mut check = false;
    let mut catalogue = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--check" => check = true,
            other if !other.starts_with('-') => catalogue = Some(PathBuf::from(other)),
            other => bail!("`{other}`: a catalogue file, and --check, are all this takes"),
        }
    }
    let catalogue = catalogue.context("name the catalogue file, as scripts/demo does")?;
    if check { story::check(&catalogue) } else { visit(&catalogue) }
}

/// Keeps the site up until Ctrl-C.
fn visit(catalogue: &std::path::Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Asked for before anything starts, so that Ctrl-C at any moment stops what was started.
    let mut interrupt =
        runtime.block_on(async { tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()) })?;
    let site = Site::start(catalogue, site::Ports::WellKnown)?;
    println!();
    println!("  node a     http://localhost:{}/", site.a.address.port());
    println!("  node b     http://localhost:{}/", site.b.address.port());
    println!("  webhooks   arrive at http://{}/ and are printed here", site.sink.address);
    println!();
    println!(
        "  Try:  curl -i http://localhost:{}/search?q=editor          twice, and look at cache-status",
        site.a.address.port()
    );
    println!(
        "        curl -H 'accept: application/json' 'http://localhost:{}/search?q=\"image+viewer\"'",
        site.b.address.port()
    );
    println!("        post a review at node a, and see it at node b");
    println!(
        "        kill -9 {}                                         (the origin) and go on reading",
        site.origin.id()
    );
    println!("        {}", site.status_command());
    println!();
    println!("  Ctrl-C stops everything.");
    runtime.block_on(interrupt.recv());
    println!("\nstopping");
    site.stop()
}
