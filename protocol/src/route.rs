//! What a route declares, and therefore what its handler can see.

use crate::{class::Class, cors::Cors, limits};

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
    /// The largest body of a request.
    pub body_bytes: usize,
    /// How long a page may be shown that a push has made wrong, while the right one is rendered; 0 is never.
    pub stale_ms: u64,
    /// Its instances serve one request after another, and keep their memory.
    pub reuse: bool,
    /// What kind of work its requests are, where the manifest says so.
    pub class: Option<Class>,
    /// Which pages of other sites may use this route; none when absent.
    pub cors: Option<Cors>,
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

/// What one request may take of a node.
pub(crate) struct Bounds {
    pub deadline_ms: u64,
    pub memory_mib: u64,
    pub body_bytes: usize,
}

impl Bounds {
    pub(crate) fn of(
        deadline_ms: Option<u64>,
        memory_mib: Option<u64>,
        body_kib: Option<u64>,
    ) -> Result<Bounds, String> {
        let number =
            |what: &str, value, default, most| bounded(value, default, most).map_err(|why| format!("{what} {why}"));
        let body_kib_default = limits::REQUEST_BODY_BYTES as u64 >> 10;
        Ok(Bounds {
            deadline_ms: number("deadline_ms", deadline_ms, limits::ROUTE_DEADLINE_MS, limits::ROUTE_DEADLINE_MS_MOST)?,
            memory_mib: number("memory_mib", memory_mib, limits::GUEST_MEMORY_MIB, limits::GUEST_MEMORY_MIB_MOST)?,
            body_bytes: number("body_kib", body_kib, body_kib_default, limits::REQUEST_BODY_KIB_MOST)? as usize * 1_024,
        })
    }
}

impl Route {
    pub fn answers(&self, method: Method) -> bool {
        self.methods.contains(&method)
    }

    /// What kind of work a request of this method is.
    pub fn class(&self, is_safe: bool) -> Class {
        self.class.unwrap_or(if is_safe { Class::Page } else { Class::Command })
    }
}
