//! `nearside.toml`: what an app is, checked once, here, and never again.

use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use toml::Spanned;

use crate::{
    cors::{Cors, RawCors},
    error_pages::ErrorPages,
    limits,
    redirect::{RawRedirect, Redirect},
    route::{Bounds, Declared, Inputs, Method, Query, Route, bounded},
};

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
    pub variables: BTreeMap<String, String>,
    /// Names of values that only the origin's operator and the app's components know.
    pub secrets: BTreeSet<String>,
    /// Table -> columns that replicate, `id` first among them.
    pub mirror: BTreeMap<String, Vec<String>>,
    /// Table -> the columns by which a pushed row is told to be the same row.
    pub data: BTreeMap<String, Vec<String>>,
    pub static_folder: Option<String>,
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
}

#[derive(Clone, Debug, PartialEq)]
pub struct TaskDecl {
    pub component: String,
    pub attempts: u32,
    pub timeout_ms: u64,
    pub outbound: Vec<Outbound>,
}

/// A host a task may talk to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outbound {
    /// `host` or `host:port`.
    Host(String),
    /// `$NAME`: the host of that variable's URL.
    Variable(String),
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Spanned<String>,
    hosts: Spanned<Vec<String>>,
    build: Option<RawBuild>,
    #[serde(default)]
    components: BTreeMap<String, String>,
    #[serde(default)]
    routes: Vec<Spanned<RawRoute>>,
    #[serde(default)]
    redirects: Vec<Spanned<RawRedirect>>,
    #[serde(default)]
    errors: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    commands: BTreeMap<String, Spanned<RawCommand>>,
    #[serde(default)]
    tasks: BTreeMap<String, Spanned<RawTask>>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    secrets: Vec<Spanned<String>>,
    #[serde(default)]
    mirror: BTreeMap<String, Spanned<Vec<String>>>,
    #[serde(default)]
    data: BTreeMap<String, Spanned<Vec<String>>>,
    #[serde(rename = "static")]
    static_folder: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBuild {
    command: String,
    #[serde(default)]
    watch: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoute {
    path: String,
    component: String,
    methods: Option<Vec<String>>,
    inputs: Option<String>,
    query: Option<Vec<String>>,
    headers: Option<Vec<String>>,
    cookies: Option<Vec<String>>,
    client_ip: Option<bool>,
    accept: Option<Vec<String>>,
    languages: Option<Vec<String>>,
    deadline_ms: Option<u64>,
    memory_mib: Option<u64>,
    body_kib: Option<u64>,
    cors: Option<RawCors>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCommand {
    component: String,
    schema: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTask {
    component: String,
    attempts: Option<u64>,
    timeout_ms: Option<u64>,
    #[serde(default)]
    outbound: Vec<String>,
}

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

/// The manifest's text, to turn positions into lines.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn of(&self, at: usize) -> usize {
        self.0[..at.min(self.0.len())].bytes().filter(|byte| *byte == b'\n').count() + 1
    }

    fn error<T>(&self, at: usize, message: impl Into<String>) -> Result<T, AppError> {
        Err(AppError { line: Some(self.of(at)), message: message.into() })
    }

    fn app(&self, raw: Raw) -> Result<App, AppError> {
        let at = raw.name.span().start;
        let name = raw.name.into_inner();
        if !is_name(&name) {
            return self
                .error(at, format!("name `{name}`: 1 to 64 of a-z, 0-9 and `-` expected, beginning with a letter"));
        }

        let at = raw.hosts.span().start;
        let mut hosts = Vec::new();
        for host in raw.hosts.into_inner() {
            let host = host.to_ascii_lowercase();
            let plain =
                host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'[' | b']' | b':'));
            if host.is_empty() || !plain || (host.contains(':') && !host.starts_with('[')) {
                return self.error(at, format!("host `{host}`: a host name without scheme, port or path expected"));
            }
            hosts.push(host);
        }
        if hosts.is_empty() {
            return self.error(at, "hosts: name at least one, or no request finds this app");
        }

        for (component, path) in &raw.components {
            if path.starts_with('/') {
                return Err(AppError {
                    line: None,
                    message: format!("components.{component}: `{path}` must be relative to the app's folder"),
                });
            }
        }
        if raw.routes.len() > limits::ROUTES {
            return Err(AppError {
                line: None,
                message: format!("{} routes; the limit is {}", raw.routes.len(), limits::ROUTES),
            });
        }

        let known = |component: &str| raw.components.contains_key(component);
        let mut routes = Vec::new();
        for route in raw.routes {
            let at = route.span().start;
            routes.push(self.route(at, route.into_inner(), &known)?);
        }
        let redirects = self.redirects(raw.redirects)?;
        self.no_twins(&routes, &redirects)?;
        let error_pages = self.error_pages(raw.errors)?;
        let secrets = self.secrets(raw.secrets, &raw.variables)?;

        let mut commands = BTreeMap::new();
        for (name, command) in raw.commands {
            let at = command.span().start;
            let command = command.into_inner();
            if !is_name(&name) {
                return self.error(at, format!("command `{name}`: a-z, 0-9 and `-` expected"));
            }
            self.component(at, &command.component, &known)?;
            commands.insert(name, CommandDecl { component: command.component, schema: command.schema });
        }

        let mut tasks = BTreeMap::new();
        for (name, task) in raw.tasks {
            let at = task.span().start;
            let task = task.into_inner();
            if !is_name(&name) {
                return self.error(at, format!("task `{name}`: a-z, 0-9 and `-` expected"));
            }
            self.component(at, &task.component, &known)?;
            tasks.insert(name, self.task(at, task, &raw.variables)?);
        }

        let mirror = self.columns("mirror", raw.mirror)?;
        for (table, columns) in &mirror {
            if columns.first().map(String::as_str) != Some("id") {
                return Err(AppError {
                    line: None,
                    message: format!(
                        "mirror.{table}: the first column must be `id`, the table's INTEGER PRIMARY KEY: changed rows are told apart by it"
                    ),
                });
            }
        }
        let data = self.columns("data", raw.data)?;

        Ok(App {
            name,
            hosts,
            build: raw.build.map(|RawBuild { command, watch }| Build { command, watch }),
            components: raw.components,
            routes,
            redirects,
            error_pages,
            commands,
            tasks,
            variables: raw.variables,
            secrets,
            mirror,
            data,
            static_folder: raw.static_folder,
        })
    }

    fn component(&self, at: usize, name: &str, known: &dyn Fn(&str) -> bool) -> Result<(), AppError> {
        if known(name) {
            Ok(())
        } else {
            self.error(at, format!("component `{name}` is not in [components]: add it there"))
        }
    }

    fn route(&self, at: usize, raw: RawRoute, known: &dyn Fn(&str) -> bool) -> Result<Route, AppError> {
        self.component(at, &raw.component, known)?;
        if let Err(why) = check_pattern(&raw.path) {
            return self.error(at, format!("path `{}`: {why}", raw.path));
        }

        let mut methods = Vec::new();
        for name in raw.methods.as_deref().unwrap_or(&["GET".to_owned()]) {
            match Method::parse(name) {
                Some(method) => methods.push(method),
                None if name == "HEAD" || name == "OPTIONS" => {}
                None => {
                    return self.error(
                        at,
                        format!("method `{name}`: GET, POST, PUT, PATCH or DELETE expected (HEAD comes with GET)"),
                    );
                }
            }
        }
        if methods.is_empty() {
            return self.error(at, "methods: name at least one of GET, POST, PUT, PATCH, DELETE");
        }

        let declares = raw.query.is_some()
            || raw.headers.is_some()
            || raw.cookies.is_some()
            || raw.client_ip.is_some()
            || raw.accept.is_some()
            || raw.languages.is_some();
        let inputs = match raw.inputs.as_deref() {
            Some("all") if declares => return self.error(at, "inputs = \"all\" shows everything: it cannot stand beside query, headers, cookies, client_ip, accept or languages"),
            Some("all") => Inputs::All,
            Some(other) => return self.error(at, format!("inputs = \"{other}\": the only value is \"all\"")),
            None => Inputs::Declared(Declared {
                query: raw.query.map_or(Query::Whole, |mut names| {
                    names.sort();
                    names.dedup();
                    Query::Named(names)
                }),
                headers: raw.headers.unwrap_or_default().iter().map(|name| name.to_ascii_lowercase()).collect(),
                cookies: raw.cookies.unwrap_or_default(),
                client_ip: raw.client_ip.unwrap_or(false),
                accept: raw.accept.unwrap_or_default(),
                languages: raw.languages.unwrap_or_default(),
            }),
        };
        if let Inputs::Declared(declared) = &inputs {
            for header in &declared.headers {
                let why = match header.as_str() {
                    "cookie" => "declare single cookies by `cookies = [\"name\"]`",
                    "accept" | "accept-language" | "accept-encoding" => {
                        "declare `accept` or `languages`: the host negotiates"
                    }
                    "host" => "the host is always in the key and always shown",
                    name if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
                        "not a header name"
                    }
                    _ => continue,
                };
                return self.error(at, format!("headers: `{header}`: {why}"));
            }
            for media in &declared.accept {
                if media.split('/').filter(|part| !part.is_empty() && *part != "*").count() != 2 {
                    return self.error(at, format!("accept: `{media}`: a media type like `text/html` expected"));
                }
            }
        }

        let bounds = Bounds::of(raw.deadline_ms, raw.memory_mib, raw.body_kib);
        let bounds = bounds.or_else(|why| self.error(at, why))?;
        let cors = raw.cors.map(Cors::try_from).transpose().or_else(|why| self.error(at, format!("cors: {why}")))?;
        Ok(Route {
            path: raw.path,
            component: raw.component,
            methods,
            inputs,
            deadline_ms: bounds.deadline_ms,
            memory_mib: bounds.memory_mib,
            body_bytes: bounds.body_bytes,
            cors,
            line: self.of(at),
        })
    }

    fn redirects(&self, raw: Vec<Spanned<RawRedirect>>) -> Result<Vec<Redirect>, AppError> {
        if raw.len() > limits::REDIRECTS {
            let message = format!("{} redirects; the limit is {}", raw.len(), limits::REDIRECTS);
            return Err(AppError { line: None, message });
        }
        let mut redirects = Vec::new();
        for redirect in raw {
            let at = redirect.span().start;
            let raw = redirect.into_inner();
            if let Err(why) = check_pattern(&raw.from) {
                return self.error(at, format!("redirect from `{}`: {why}", raw.from));
            }
            let redirect = Redirect::checked(raw, self.of(at)).or_else(|why| self.error(at, why))?;
            redirects.push(redirect);
        }
        Ok(redirects)
    }

    fn error_pages(&self, raw: BTreeMap<String, Spanned<String>>) -> Result<ErrorPages, AppError> {
        let mut pages = ErrorPages::default();
        for (status, path) in raw {
            let at = path.span().start;
            pages.add(&status, path.into_inner()).or_else(|why| self.error(at, format!("errors.{status}: {why}")))?;
        }
        Ok(pages)
    }

    fn secrets(
        &self,
        raw: Vec<Spanned<String>>,
        variables: &BTreeMap<String, String>,
    ) -> Result<BTreeSet<String>, AppError> {
        let mut secrets = BTreeSet::new();
        for secret in raw {
            let at = secret.span().start;
            let name = secret.into_inner();
            if variables.contains_key(&name) {
                return self.error(at, format!("secret `{name}`: a variable has that name already"));
            }
            if !is_variable_name(&name) {
                return self.error(
                    at,
                    format!(
                        "secret `{name}`: a name like SESSION_KEY expected: A-Z, 0-9 and `_`, beginning with a letter"
                    ),
                );
            }
            secrets.insert(name);
        }
        Ok(secrets)
    }

    /// Two routes that answer the same method at the same shape of path: one would never be asked.
    fn no_twins(&self, routes: &[Route], redirects: &[Redirect]) -> Result<(), AppError> {
        let mut moved = BTreeSet::new();
        for redirect in redirects {
            if !moved.insert(shape(&redirect.from)) {
                let message = format!("redirect from `{}`: another one stands there already", redirect.from);
                return Err(AppError { line: Some(redirect.line), message });
            }
        }
        let mut seen = BTreeSet::new();
        for route in routes {
            if moved.contains(&shape(&route.path)) {
                let message = format!("path `{}`: a redirect takes every request there", route.path);
                return Err(AppError { line: Some(route.line), message });
            }
        }
        for route in routes {
            for method in &route.methods {
                if !seen.insert((shape(&route.path), method.name())) {
                    return Err(AppError {
                        line: Some(route.line),
                        message: format!(
                            "path `{}`: another route answers {} there already",
                            route.path,
                            method.name()
                        ),
                    });
                }
            }
        }
        Ok(())
    }

    fn task(&self, at: usize, raw: RawTask, variables: &BTreeMap<String, String>) -> Result<TaskDecl, AppError> {
        let number = |what: &str, value, default, most| {
            bounded(value, default, most).or_else(|why| self.error(at, format!("{what} {why}")))
        };
        let attempts =
            number("attempts", raw.attempts, limits::TASK_ATTEMPTS.into(), limits::TASK_ATTEMPTS_MOST.into())?;
        let timeout_ms = number("timeout_ms", raw.timeout_ms, limits::TASK_TIMEOUT_MS, limits::TASK_TIMEOUT_MS_MOST)?;
        let mut outbound = Vec::new();
        for host in raw.outbound {
            match host.strip_prefix('$') {
                Some(name) if variables.contains_key(name) => outbound.push(Outbound::Variable(name.to_owned())),
                Some(name) => return self.error(at, format!("outbound `${name}`: no such variable in [variables]")),
                None if host.is_empty() || host.contains(['/', '@', '*']) => {
                    return self.error(at, format!("outbound `{host}`: a host, host:port or $VARIABLE expected"));
                }
                None => outbound.push(Outbound::Host(host.to_ascii_lowercase())),
            }
        }
        Ok(TaskDecl { component: raw.component, attempts: attempts as u32, timeout_ms, outbound })
    }

    fn columns(
        &self,
        what: &str,
        raw: BTreeMap<String, Spanned<Vec<String>>>,
    ) -> Result<BTreeMap<String, Vec<String>>, AppError> {
        let mut tables = BTreeMap::new();
        for (table, columns) in raw {
            let at = columns.span().start;
            let columns = columns.into_inner();
            if let Some(bad) = std::iter::once(&table).chain(&columns).find(|name| !is_sql_name(name)) {
                return self.error(
                    at,
                    format!(
                        "{what}.{table}: `{bad}`: letters, digits and `_` expected, and no `{RESERVED_PREFIX}` in front"
                    ),
                );
            }
            if columns.is_empty() {
                return self.error(at, format!("{what}.{table}: name at least one column"));
            }
            tables.insert(table, columns);
        }
        Ok(tables)
    }
}

/// Apps, commands and tasks have names that stand in paths as they are.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_variable_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn is_sql_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.to_ascii_lowercase().starts_with(RESERVED_PREFIX)
        && !name.to_ascii_lowercase().starts_with("sqlite_")
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn check_pattern(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("it must begin with `/`");
    }
    if path.starts_with("/_") || path == "/static" || path.starts_with("/static/") {
        return Err("paths under `/_` and `/static/` are the host's own");
    }
    let segments: Vec<&str> = path[1..].split('/').collect();
    for (index, segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        if let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            if name.starts_with('*') && !last {
                return Err("`{*rest}` must come last");
            }
            let name = name.trim_start_matches('*');
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err("a parameter is written `{name}`");
            }
        } else if segment.contains(['{', '}']) {
            return Err("a parameter takes a whole segment: `/{name}/`");
        } else if segment.is_empty() && segments.len() > 1 && !last {
            return Err("it has an empty segment");
        } else if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&b)) {
            return Err("it has characters that do not stand in a URL path as they are");
        }
    }
    Ok(())
}

/// The pattern with its parameters nameless.
fn shape(path: &str) -> String {
    let nameless = |segment: &str| match segment.as_bytes() {
        [b'{', b'*', ..] => "{*}".to_owned(),
        [b'{', ..] => "{}".to_owned(),
        _ => segment.to_owned(),
    };
    path.split('/').map(nameless).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
name = "shop"
hosts = ["Shop.Example"]

[components]
pages = "pages.wasm"

[[routes]]
path = "/search"
component = "pages"
query = ["q", "page", "q"]
"#;

    #[test]
    fn a_good_manifest_is_normalised() {
        let app = App::parse(GOOD).unwrap();
        assert_eq!(app.hosts, ["shop.example"]);
        let Inputs::Declared(declared) = &app.routes[0].inputs else { panic!() };
        assert_eq!(declared.query, Query::Named(vec!["page".into(), "q".into()]));
        assert_eq!(app.routes[0].deadline_ms, limits::ROUTE_DEADLINE_MS);
    }

    #[test]
    fn each_fault_is_named_with_its_line() {
        let broken = |from: &str, to: &str| App::parse(&GOOD.replace(from, to)).unwrap_err().to_string();
        for (from, to, expected) in [
            ("name = \"shop\"", "name = \"Shop!\"", "nearside.toml:2: name `Shop!`"),
            ("hosts = [\"Shop.Example\"]", "hosts = []", "nearside.toml:3: hosts: name at least one"),
            ("hosts = [\"Shop.Example\"]", "hosts = [\"http://x\"]", "nearside.toml:3: host `http://x`"),
            (
                "component = \"pages\"",
                "component = \"page\"",
                "nearside.toml:8: component `page` is not in [components]",
            ),
            ("path = \"/search\"", "path = \"search\"", "nearside.toml:8: path `search`: it must begin with `/`"),
            ("path = \"/search\"", "path = \"/_x\"", "are the host's own"),
            ("path = \"/search\"", "path = \"/a/{*r}/b\"", "must come last"),
            ("query = [", "quarry = [", "nearside.toml:11: unknown field `quarry`"),
            ("query = [", "inputs = \"all\"\nquery = [", "cannot stand beside"),
            ("query = [\"q\", \"page\", \"q\"]", "headers = [\"Cookie\"]", "declare single cookies"),
            ("query = [\"q\", \"page\", \"q\"]", "methods = [\"FETCH\"]", "method `FETCH`"),
            ("query = [\"q\", \"page\", \"q\"]", "deadline_ms = 0", "deadline_ms 0 is out of bounds"),
            (
                "query = [\"q\", \"page\", \"q\"]",
                "[[routes]]\npath = \"/search\"\ncomponent = \"pages\"",
                "another route answers GET there already",
            ),
            ("[components]", "[mirror]\nitem = [\"name\"]\n[components]", "the first column must be `id`"),
            ("[components]", "[mirror]\nitem = [\"id\", \"a b\"]\n[components]", "`a b`"),
            ("[components]", "[data]\n_nearside_x = [\"id\"]\n[components]", "_nearside_"),
            ("[components]", "[tasks.t]\ncomponent = \"pages\"\noutbound = [\"$U\"]\n[components]", "no such variable"),
            ("name = \"shop\"", "name = ", "nearside.toml:2:"),
            ("name = \"shop\"", "secrets = [\"key\"]\nname = \"shop\"", "nearside.toml:2: secret `key`"),
            ("query = [", "body_kib = 100_000\nquery = [", "body_kib 100000 is out of bounds"),
            ("query = [", "cors = { origins = [\"a.example\"] }\nquery = [", "cors: origin `a.example`"),
            ("[components]", "[errors]\n500 = \"/sorry\"\n[components]", "nearside.toml:6: errors.500: "),
            ("[components]", "[[redirects]]\nfrom = \"/a/{x}\"\nto = \"/b/{y}\"\n[components]", "`{y}`"),
            (
                "[components]",
                "[[redirects]]\nfrom = \"/search\"\nto = \"/find\"\n[components]",
                "nearside.toml:11: path `/search`: a redirect takes every request there",
            ),
        ] {
            let message = broken(from, to);
            assert!(message.contains(expected), "{to:?}: {message}");
        }
    }

    #[test]
    fn the_authority_of_a_url_is_what_an_allow_list_means() {
        assert_eq!(authority_of("https://a.example/x?y"), Some("a.example"));
        assert_eq!(authority_of("http://127.0.0.1:90"), Some("127.0.0.1:90"));
        assert_eq!(authority_of("ftp://a"), None);
        assert_eq!(authority_of("http://user@a/"), None);
    }
}
