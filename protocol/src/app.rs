//! `nearside.toml`: what an app is, checked once, here, and never again.

mod checked;
mod names;
mod raw;
mod task;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{error_pages::ErrorPages, redirect::Redirect, route::Route};
use checked::Lines;
use raw::Raw;

pub use names::is_name;
pub use task::{CronDecl, Outbound, Retry, TaskDecl};

pub const FILE_NAME: &str = "nearside.toml";
/// Tables the origin keeps for itself in an app's write store begin with this.
pub const RESERVED_PREFIX: &str = "_nearside_";

/// An app's manifest, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    pub name: String,
    /// Host names, lower case, without port.
    pub hosts: Vec<String>,
    pub build: Option<Build>,
    /// Component name -> path of its `.wasm`, relative to the app's folder.
    pub components: BTreeMap<String, String>,
    pub routes: Vec<Route>,
    pub redirects: Vec<Redirect>,
    pub error_pages: ErrorPages,
    pub commands: BTreeMap<String, CommandDecl>,
    pub tasks: BTreeMap<String, TaskDecl>,
    pub crons: Vec<CronDecl>,
    pub variables: BTreeMap<String, String>,
    /// Names of values that only the origin's operator and the app's components know.
    pub secrets: BTreeSet<String>,
    pub database: DatabaseSource,
    /// Table -> columns that replicate, `id` first among them.
    pub mirror: BTreeMap<String, Vec<String>>,
    /// Table -> the columns by which a pushed row is told to be the same row.
    pub data: BTreeMap<String, Vec<String>>,
    pub static_folder: Option<String>,
}

/// Where the database that handlers read comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseSource {
    /// The rows of `[mirror]`, and what `snapshot.sql` derives from them.
    Mirrored,
    /// It is the SQLite file that was pushed last.
    Pushed,
}

/// How the components come about.
#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    /// For `sh`, in the app's folder.
    pub command: String,
    /// Folders besides the app's own whose changes `nearside dev` builds anew for, relative to the app's.
    pub watch: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CommandDecl {
    pub component: String,
    /// Path of the JSON Schema of its payload.
    pub schema: String,
    /// A node may take it while the origin is away, and deliver it later.
    pub deferrable: bool,
}

/// What is wrong with a manifest, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct AppError {
    pub line: Option<usize>,
    pub message: String,
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{FILE_NAME}:{line}: {}", self.message),
            None => write!(f, "{FILE_NAME}: {}", self.message),
        }
    }
}

impl std::error::Error for AppError {}

impl App {
    pub fn parse(text: &str) -> Result<App, AppError> {
        let lines = Lines(text);
        let raw: Raw = toml::from_str(text).map_err(|error| AppError {
            line: error.span().map(|span| lines.of(span.start)),
            message: error.message().to_owned(),
        })?;
        lines.app(raw)
    }

    /// The variable values a task's allow-list stands for.
    pub fn outbound_hosts(&self, task: &TaskDecl, variables: &BTreeMap<String, String>) -> Vec<String> {
        let host_of = |outbound: &Outbound| match outbound {
            Outbound::Host(host) => Some(host.clone()),
            Outbound::Variable(name) => variables.get(name).and_then(|url| authority_of(url)).map(str::to_owned),
        };
        task.outbound.iter().filter_map(host_of).collect()
    }
}

/// `host:port` of an absolute URL.
pub fn authority_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    (!authority.is_empty() && !authority.contains('@')).then_some(authority)
}

#[cfg(test)]
mod tests;
