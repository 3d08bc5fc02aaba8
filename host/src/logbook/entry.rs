//! One thing that was logged.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1 in each process, without a gap.
    pub seq: u64,
    /// Of the Unix epoch.
    pub at_ms: u64,
    pub level: Level,
    pub kind: Kind,
    /// May have several lines.
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The route's pattern, or the command's or task's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Of the request, write or task attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Everything else the event says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

impl Entry {
    /// About what it takes of memory.
    pub(super) fn bytes(&self) -> usize {
        let named = [&self.app, &self.place, &self.release, &self.trace];
        let named: usize = named.into_iter().flatten().map(String::len).sum();
        let fields: usize = self.fields.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        size_of::<Entry>() + self.message.len() + named + fields
    }
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What a guest printed.
    Guest,
    /// A guest trapped or panicked.
    Panic,
    /// A query failed.
    Sql,
    /// A budget was overrun: time, CPU, memory, rows or bytes.
    Limit,
    /// A handler looked for something its route does not declare.
    UndeclaredInput,
    /// The node or the origin itself.
    Host,
}

impl Kind {
    pub const ALL: [Kind; 6] = [Kind::Guest, Kind::Panic, Kind::Sql, Kind::Limit, Kind::UndeclaredInput, Kind::Host];

    /// The target of the events that become such entries. The host's own events keep their modules' names.
    pub const fn target(self) -> &'static str {
        match self {
            Kind::Guest => "guest",
            Kind::Panic => "guest::panic",
            Kind::Sql => "guest::sql",
            Kind::Limit => "guest::limit",
            Kind::UndeclaredInput => "guest::input",
            Kind::Host => "nearside",
        }
    }

    pub(super) fn of_target(target: &str) -> Kind {
        Kind::ALL.into_iter().find(|kind| kind.target() == target).unwrap_or(Kind::Host)
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Guest => "guest",
            Kind::Panic => "panic",
            Kind::Sql => "sql",
            Kind::Limit => "limit",
            Kind::UndeclaredInput => "undeclared-input",
            Kind::Host => "host",
        }
    }
}

/// How much an entry matters; the greater, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub const ALL: [Level; 5] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];

    pub fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Level {
        match level {
            tracing::Level::TRACE => Level::Trace,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::INFO => Level::Info,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::ERROR => Level::Error,
        }
    }
}

/// A word that names none of what it should.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{given}` is none of {}", .names.join(", "))]
pub struct UnknownName {
    given: String,
    names: Vec<&'static str>,
}

fn named<T: Copy>(given: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, UnknownName> {
    all.iter().copied().find(|one| name(*one) == given).ok_or_else(|| UnknownName {
        given: given.chars().take(64).collect(),
        names: all.iter().map(|one| name(*one)).collect(),
    })
}

impl FromStr for Kind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Kind, UnknownName> {
        named(text, &Kind::ALL, Kind::name)
    }
}

impl FromStr for Level {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Level, UnknownName> {
        named(text, &Level::ALL, Level::name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
