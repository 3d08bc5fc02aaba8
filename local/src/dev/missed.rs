//! Inputs that handlers looked for and their routes do not declare, kept in a file for tools that mend the manifest.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use nearside_host::{
    disk::Disk,
    inputs::CLIENT_IP_HEADER,
    logbook::{Entry, Kind},
};
use nearside_protocol::{
    app::App,
    route::{Inputs, Query},
};
use serde::{Deserialize, Serialize};

pub const FILE_NAME: &str = "undeclared-inputs.json";
/// A handler could look for any number of names.
const MOST: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Missed {
    pub route: String,
    pub kind: InputKind,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    Query,
    Header,
    Cookie,
}

impl Missed {
    /// What an entry of the logbook says was missed.
    pub fn of(entry: &Entry) -> Option<Missed> {
        if entry.kind != Kind::UndeclaredInput {
            return None;
        }
        let kind = match entry.fields.get("input")?.split(' ').next()? {
            "query" => InputKind::Query,
            "header" => InputKind::Header,
            "cookie" => InputKind::Cookie,
            _ => return None,
        };
        Some(Missed { route: entry.place.clone()?, kind, name: entry.fields.get("name")?.clone() })
    }

    fn is_open(&self, app: &App) -> bool {
        let declares = |inputs: &Inputs| match inputs {
            Inputs::All => true,
            Inputs::Declared(declared) => match self.kind {
                InputKind::Query => match &declared.query {
                    Query::Whole => true,
                    Query::Named(names) => names.contains(&self.name),
                },
                // Some headers have settings of their own.
                InputKind::Header => match self.name.to_ascii_lowercase().as_str() {
                    "accept" => !declared.accept.is_empty(),
                    "accept-language" => !declared.languages.is_empty(),
                    "cookie" => !declared.cookies.is_empty(),
                    CLIENT_IP_HEADER => declared.client_ip,
                    name => declared.headers.iter().any(|declared| declared == name),
                },
                InputKind::Cookie => declared.cookies.contains(&self.name),
            },
        };
        app.routes.iter().any(|route| route.path == self.route && !declares(&route.inputs))
    }
}

/// All of them, and the file they are in.
pub struct MissedFile {
    path: PathBuf,
    missed: BTreeSet<Missed>,
}

impl MissedFile {
    /// Goes on with what an earlier run has found.
    pub fn open(folder: &Path) -> MissedFile {
        let path = folder.join(FILE_NAME);
        let missed = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        MissedFile { path, missed }
    }

    /// Notes one; true if it is new.
    pub fn add(&mut self, missed: Missed) -> io::Result<bool> {
        if self.missed.len() >= MOST || !self.missed.insert(missed) {
            return Ok(false);
        }
        self.write().map(|()| true)
    }

    /// Drops what the manifest has come to declare.
    pub fn settle(&mut self, app: &App) -> io::Result<()> {
        let before = self.missed.len();
        self.missed.retain(|missed| missed.is_open(app));
        if self.missed.len() == before { Ok(()) } else { self.write() }
    }

    fn write(&self) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(&self.missed).expect("BUG: names and words make JSON");
        text.push(b'\n');
        Disk::real().write(&self.path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nearside_host::logbook::Level;

    fn entry(input: &str, name: &str) -> Entry {
        Entry {
            seq: 1,
            at_ms: 0,
            level: Level::Warn,
            kind: Kind::UndeclaredInput,
            message: String::new(),
            app: None,
            place: Some("/".into()),
            release: None,
            trace: None,
            fields: [("input", input), ("name", name)].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        }
    }

    #[test]
    fn each_is_kept_until_it_is_declared() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = MissedFile::open(folder.path());
        for (input, name, new) in [
            ("query parameter", "q", true),
            ("query parameter", "q", false),
            ("header", "accept-language", true),
            ("cookie", "who", true),
        ] {
            assert_eq!(file.add(Missed::of(&entry(input, name)).unwrap()).unwrap(), new, "{input}");
        }
        let text = fs::read_to_string(folder.path().join(FILE_NAME)).unwrap();
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found[0], serde_json::json!({ "route": "/", "kind": "query", "name": "q" }));

        let app =
            "name = \"a\"\nhosts = [\"a\"]\n[components]\np = \"p\"\n[[routes]]\npath = \"/\"\ncomponent = \"p\"\n";
        let app = App::parse(&format!("{app}query = [\"q\"]\nlanguages = [\"en\"]\n")).unwrap();
        let mut again = MissedFile::open(folder.path());
        again.settle(&app).unwrap();
        let left: Vec<_> = again.missed.iter().map(|missed| missed.kind).collect();
        assert_eq!(left, [InputKind::Cookie]);
    }
}
