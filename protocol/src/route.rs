//! What a route declares, and therefore what its handler can see.

use crate::limits;

/// A route of the manifest, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// `/package/{name}`: segments, `{name}` for one of any value, `{*rest}` last for all that follow.
    pub path: String,
    pub component: String,
    pub methods: Vec<Method>,
    pub inputs: Inputs,
    pub deadline_ms: u64,
    pub memory_mib: u64,
    /// Line of the manifest, for messages.
    pub line: usize,
}

/// The methods an app can route. HEAD comes with GET, and the host answers OPTIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub fn parse(text: &str) -> Option<Method> {
        Some(match text {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    pub fn is_safe(self) -> bool {
        self == Method::Get
    }
}

/// What a safe request shows its handler. The same values make up the cache key, so nothing unkeyed can be seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// Everything; never stored.
    All,
    Declared(Declared),
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Declared {
    pub query: Query,
    /// Lower case.
    pub headers: Vec<String>,
    pub cookies: Vec<String>,
    pub client_ip: bool,
    /// Media types the handler can answer with; the host negotiates and shows it the one chosen.
    pub accept: Vec<String>,
    /// Languages, likewise.
    pub languages: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub enum Query {
    /// The whole query, as sent.
    #[default]
    Whole,
    /// These parameters only, in sorted order.
    Named(Vec<String>),
}

impl Declared {
    /// A response that depends on who asks belongs to that visitor alone.
    pub fn is_private(&self) -> bool {
        !self.cookies.is_empty() || self.headers.iter().any(|name| name == "authorization") || self.client_ip
    }
}

/// The largest deadline and memory a route may ask for are the host's to bound.
pub(crate) fn bounded(value: Option<u64>, default: u64, most: u64) -> Result<u64, String> {
    match value {
        None => Ok(default),
        Some(value) if (1..=most).contains(&value) => Ok(value),
        Some(value) => Err(format!("{value} is out of bounds: 1 to {most}")),
    }
}

impl Route {
    pub(crate) fn limits(deadline_ms: Option<u64>, memory_mib: Option<u64>) -> Result<(u64, u64), String> {
        let deadline_ms = bounded(deadline_ms, limits::ROUTE_DEADLINE_MS, limits::ROUTE_DEADLINE_MS_MOST)
            .map_err(|why| format!("deadline_ms {why}"))?;
        let memory_mib = bounded(memory_mib, limits::GUEST_MEMORY_MIB, limits::GUEST_MEMORY_MIB_MOST)
            .map_err(|why| format!("memory_mib {why}"))?;
        Ok((deadline_ms, memory_mib))
    }

    pub fn answers(&self, method: Method) -> bool {
        self.methods.contains(&method)
    }
}
