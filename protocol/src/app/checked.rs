//! From what TOML gives to what cannot be wrong: each fault is told with its line.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::{
    App, AppError, Build, CommandDecl, CronDecl, DatabaseSource, RESERVED_PREFIX, TaskDecl,
    names::{check_pattern, is_name, is_sql_name, is_variable_name, shape},
    raw::{Raw, RawBuild, RawCommand, RawRoute},
    task::RawCron,
};
use crate::{
    class::Class,
    cors::Cors,
    error_pages::ErrorPages,
    limits,
    redirect::{RawRedirect, Redirect},
    route::{Bounds, Declared, Inputs, Method, Query, Route},
};

/// The manifest's text, to turn positions into lines.
pub(super) struct Lines<'a>(pub(super) &'a str);

impl Lines<'_> {
    pub(super) fn of(&self, at: usize) -> usize {
        self.0[..at.min(self.0.len())].bytes().filter(|byte| *byte == b'\n').count() + 1
    }

    fn error<T>(&self, at: usize, message: impl Into<String>) -> Result<T, AppError> {
        Err(AppError { line: Some(self.of(at)), message: message.into() })
    }

    pub(super) fn app(&self, raw: Raw) -> Result<App, AppError> {
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
            let RawCommand { component, schema, deferrable } = command;
            commands.insert(name, CommandDecl { component, schema, deferrable });
        }

        let mut tasks = BTreeMap::new();
        for (name, task) in raw.tasks {
            let at = task.span().start;
            let task = task.into_inner();
            if !is_name(&name) {
                return self.error(at, format!("task `{name}`: a-z, 0-9 and `-` expected"));
            }
            self.component(at, &task.component, &known)?;
            tasks.insert(name, TaskDecl::checked(task, &raw.variables).or_else(|why| self.error(at, why))?);
        }
        if tasks.len() > limits::TASK_KINDS {
            let message = format!("{} tasks; the limit is {}", tasks.len(), limits::TASK_KINDS);
            return Err(AppError { line: None, message });
        }
        let crons = self.crons(raw.crons, &tasks)?;

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

        let database = match raw.database {
            None => DatabaseSource::Mirrored,
            Some(source) => {
                let at = source.span().start;
                match source.get_ref().as_str() {
                    "mirrored" => DatabaseSource::Mirrored,
                    "pushed" if !mirror.is_empty() || !data.is_empty() => {
                        return self.error(
                            at,
                            "database = \"pushed\" is the file as it is pushed: without [mirror] and [data]",
                        );
                    }
                    "pushed" => DatabaseSource::Pushed,
                    other => return self.error(at, format!("database `{other}`: `mirrored` or `pushed` expected")),
                }
            }
        };

        Ok(App {
            database,
            name,
            hosts,
            build: raw.build.map(|RawBuild { command, watch }| Build { command, watch }),
            components: raw.components,
            routes,
            redirects,
            error_pages,
            commands,
            tasks,
            crons,
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
        let stale_ms = raw.stale_ms.unwrap_or_default();
        if stale_ms > limits::ROUTE_STALE_MS_MOST {
            return self
                .error(at, format!("stale_ms {stale_ms} is out of bounds: 0 to {}", limits::ROUTE_STALE_MS_MOST));
        }
        if stale_ms > 0 && (inputs == Inputs::All || !methods.contains(&Method::Get)) {
            return self.error(at, "stale_ms is for pages that are kept: a GET route without inputs = \"all\"");
        }
        let reuse = raw.reuse.unwrap_or(false);
        let is_for_all = methods.iter().all(|method| method.is_safe())
            && matches!(&inputs, Inputs::Declared(declared) if !declared.is_private());
        if reuse && !is_for_all {
            return self.error(
                at,
                "reuse keeps what a request left in memory for the next visitor: it is for GET routes that see no cookies, no `authorization`, no client_ip, and not inputs = \"all\"",
            );
        }
        let class = match raw.class.as_deref() {
            None => None,
            Some(name) => match Class::of_route(name) {
                Some(class) => Some(class),
                None => return self.error(at, format!("class `{name}`: `page`, `search` or `command` expected")),
            },
        };
        let cors = raw.cors.map(Cors::try_from).transpose().or_else(|why| self.error(at, format!("cors: {why}")))?;
        Ok(Route {
            path: raw.path,
            component: raw.component,
            methods,
            inputs,
            deadline_ms: bounds.deadline_ms,
            memory_mib: bounds.memory_mib,
            body_bytes: bounds.body_bytes,
            stale_ms,
            reuse,
            class,
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

    fn crons(&self, raw: Vec<Spanned<RawCron>>, tasks: &BTreeMap<String, TaskDecl>) -> Result<Vec<CronDecl>, AppError> {
        if raw.len() > limits::CRONS {
            let message = format!("{} crons; the limit is {}", raw.len(), limits::CRONS);
            return Err(AppError { line: None, message });
        }
        let mut crons: Vec<CronDecl> = Vec::new();
        for cron in raw {
            let at = cron.span().start;
            let cron = CronDecl::checked(cron.into_inner(), tasks).or_else(|why| self.error(at, why))?;
            if crons.iter().any(|other| other.name == cron.name) {
                return self.error(at, format!("cron `{}`: another one has that name", cron.name));
            }
            crons.push(cron);
        }
        Ok(crons)
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
