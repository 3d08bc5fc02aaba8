//! An origin process, and what an operator does with it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    eventually,
    process::{self, Process, Run, text},
};

pub struct Origin {
    folder: PathBuf,
    pub address: SocketAddr,
    pub process: Process,
}

impl Origin {
    /// Keeps all it has in `folder`; `settings` is what its configuration says of single apps.
    pub fn start(folder: &Path, settings: &str) -> Origin {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        configure(folder, anywhere, settings);
        let mut process = launch(folder);
        let address = process.address().unwrap_or_else(|| panic!("the origin does not start:\n{}", process.log_text()));
        Origin { folder: folder.to_owned(), address, process }
    }

    /// Starts the origin again, at the address its nodes know, after it was killed or stopped.
    pub fn start_again(&mut self, settings: &str) {
        configure(&self.folder, self.address, settings);
        // The port was free for a moment: someone else's connection may be leaving from it.
        eventually("the origin starts again at its address", || {
            self.process = launch(&self.folder);
            self.process.address()
        });
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("origin")
    }

    pub fn token_file(&self) -> PathBuf {
        self.data().join("token")
    }

    /// `nearside push` of an app's folder.
    pub fn push(&self, app: &Path) -> Run {
        self.operator(&["push", text(app)])
    }

    /// `nearside push` of a SQLite file.
    pub fn push_data(&self, file: &Path, app: &str) -> Run {
        self.operator(&["push", text(file), "--app", app])
    }

    /// What `nearside status --json` says of the origin.
    pub fn status(&self) -> serde_json::Value {
        let run = self.operator(&["status", "--json"]);
        run.went_well();
        serde_json::from_str::<serde_json::Value>(&run.out).unwrap()["origin"].take()
    }

    /// A command of the operator's, with the origin's address and token.
    pub fn operator(&self, arguments: &[&str]) -> Run {
        let (url, token) = (self.url(), self.token_file());
        process::run(&[arguments, &["--origin", &url, "--token-file", text(&token)]].concat())
    }
}

fn configure(folder: &Path, listen: SocketAddr, settings: &str) {
    let config = format!("listen = \"{listen}\"\ndata = \"origin\"\n{settings}");
    fs::write(folder.join("origin.toml"), config).unwrap();
}

fn launch(folder: &Path) -> Process {
    Process::start(&folder.join("origin.log"), &["origin", "--config", text(&folder.join("origin.toml"))])
}
