//! A test file run on a site, entry by entry, up to the first whose answer is not the one expected.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::{
    check::{self, Failed},
    cursor::{Fault, Position},
    file::{Body, Entry, Field, HurlFile, Part, Request},
    template::{Template, Variables},
    value::Value,
};
use crate::site::{Answer, Ask, Site, SiteError};

/// Redirects that are followed before it is taken for a circle.
const REDIRECTS_MOST: usize = 10;

/// What a file came to.
#[derive(Debug, Default)]
pub struct Ran {
    pub requests: usize,
    pub failure: Option<Failure>,
    pub updated: Vec<PathBuf>,
}

/// The entry at which it ended.
#[derive(Debug)]
pub struct Failure {
    pub failed: Vec<Failed>,
    /// `GET /path`, of the request as it was sent.
    pub request: String,
    /// Under which the logbook has what was logged meanwhile; empty where nothing was sent.
    pub trace: String,
}

pub struct Runner<'a> {
    pub site: &'a Site,
    /// The test file's own.
    pub folder: &'a Path,
    /// Write snapshots instead of comparing with them.
    pub update: bool,
}

impl Runner<'_> {
    pub async fn run(&self, file: &HurlFile) -> Result<Ran, SiteError> {
        let mut variables: Variables = [("host".to_owned(), Value::text(self.site.url()))].into();
        let mut ran = Ran::default();
        for entry in file.entries.iter().filter(|entry| !entry.request.options.skip) {
            ran.failure = self.entry(entry, &mut variables, &mut ran).await?;
            if ran.failure.is_some() {
                break;
            }
        }
        Ok(ran)
    }

    async fn entry(
        &self,
        entry: &Entry,
        variables: &mut Variables,
        ran: &mut Ran,
    ) -> Result<Option<Failure>, SiteError> {
        let options = &entry.request.options;
        let mut attempt = 0;
        loop {
            let ask = match self.ask(&entry.request, variables) {
                Ok(ask) => ask,
                Err(Fault { at, message }) => return Ok(Some(not_sent(entry, at, message))),
            };
            let request = format!("{} {}", ask.method, ask.target);
            ran.requests += 1;
            let answer = match options.location {
                true => self.followed(ask).await?,
                false => self.site.send(ask).await?,
            };
            let failed = self.failed(entry, &answer, variables, ran);
            if failed.is_empty() {
                return Ok(None);
            }
            if attempt == options.retry {
                return Ok(Some(Failure { failed, request, trace: answer.trace }));
            }
            attempt += 1;
            tokio::time::sleep(options.retry_interval).await;
        }
    }

    /// All that is wrong with an answer; nothing, and its captures are taken.
    fn failed(&self, entry: &Entry, answer: &Answer, variables: &mut Variables, ran: &mut Ran) -> Vec<Failed> {
        let Some(expected) = &entry.expected else { return Vec::new() };
        // Asserts may speak of what this very answer has given.
        let captured = check::captured(&expected.captures, answer, variables, self.folder);
        let mut with = variables.clone();
        let mut failed = Vec::new();
        match captured {
            Ok(captured) => with.extend(captured),
            Err(why) => failed.push(why),
        }
        let checked = check::check(expected, answer, &with, self.folder, self.update);
        failed.splice(0..0, checked.failed);
        ran.updated.extend(checked.updated);
        if failed.is_empty() {
            *variables = with;
        }
        failed
    }

    fn ask(&self, request: &Request, variables: &Variables) -> Result<Ask, Fault> {
        let at = request.target.at;
        let url = request.target.render(variables)?;
        let mut target = self.target(&url).ok_or_else(|| {
            let message = format!("`{url}` is another site: tests reach the app's own, `{{{{host}}}}/path` or `/path`");
            Fault { at, message }
        })?;
        if !request.query.is_empty() {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(&encoded(&request.query, variables)?);
        }
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| Fault { at, message: format!("`{}` is not a method", request.method) })?;
        let mut headers = HeaderMap::new();
        for Field { at, name, value } in &request.headers {
            let text = value.render(variables)?;
            let fault = |what: &str| Fault { at: *at, message: format!("`{name}: {text}`: {what}") };
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| fault("that is not a header's name"))?;
            let value = HeaderValue::from_str(&text).map_err(|_| fault("a header's value is visible ASCII"))?;
            headers.append(name, value);
        }
        let cookies: Result<Vec<String>, Fault> = request
            .cookies
            .iter()
            .map(|field| Ok(format!("{}={}", field.name, field.value.render(variables)?)))
            .collect();
        let cookies = cookies?.join("; ");
        if !cookies.is_empty() {
            let value = HeaderValue::from_str(&cookies)
                .map_err(|_| Fault { at, message: format!("cookies `{cookies}`: visible ASCII expected") })?;
            headers.append(header::COOKIE, value);
        }
        let (content_type, body) = self.body(request, variables)?;
        if let Some(content_type) = content_type {
            let value = HeaderValue::from_str(&content_type)
                .map_err(|_| Fault { at, message: format!("`{content_type}` is not a media type") })?;
            headers.entry(header::CONTENT_TYPE).or_insert(value);
        }
        Ok(Ask { method, target, headers, body })
    }

    /// The path and query of an address at this site.
    fn target(&self, url: &str) -> Option<String> {
        let rest = url.strip_prefix(&self.site.url()).unwrap_or(url);
        let rest = rest.split('#').next().unwrap_or_default();
        match rest.chars().next() {
            None => Some("/".into()),
            Some('/') => Some(rest.to_owned()),
            Some('?') => Some(format!("/{rest}")),
            Some(_) => None,
        }
    }

    fn body(&self, request: &Request, variables: &Variables) -> Result<(Option<String>, Bytes), Fault> {
        if !request.form.is_empty() {
            let form = encoded(&request.form, variables)?;
            return Ok((Some("application/x-www-form-urlencoded".into()), form.into()));
        }
        if !request.multipart.is_empty() {
            return self.multipart(&request.multipart, variables);
        }
        Ok(match &request.body {
            None => (None, Bytes::new()),
            Some(Body::Json(text)) => (Some("application/json".into()), text.render(variables)?.into()),
            Some(Body::Text(text)) => (None, text.render(variables)?.into()),
            Some(Body::File(path)) => (None, self.read(path, variables)?.1),
        })
    }

    fn multipart(&self, parts: &[(String, Part)], variables: &Variables) -> Result<(Option<String>, Bytes), Fault> {
        let mut contents = Vec::new();
        for (name, part) in parts {
            let quoted = |text: &str| text.replace('"', "%22").replace(['\r', '\n'], " ");
            let disposition = format!("Content-Disposition: form-data; name=\"{}\"", quoted(name));
            contents.push(match part {
                Part::Text(text) => (format!("{disposition}\r\n\r\n"), Bytes::from(text.render(variables)?)),
                Part::File { path, content_type } => {
                    let (file, bytes) = self.read(path, variables)?;
                    let kind = match content_type {
                        Some(kind) => kind.render(variables)?,
                        None => kind_of(&file).to_owned(),
                    };
                    let file = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                    (format!("{disposition}; filename=\"{}\"\r\nContent-Type: {kind}\r\n\r\n", quoted(&file)), bytes)
                }
            });
        }
        // A boundary that is in none of the parts: derived from them, so that a request is the same each time.
        let mut hasher = blake3::Hasher::new();
        for (head, bytes) in &contents {
            hasher.update(head.as_bytes()).update(bytes);
        }
        let boundary = format!("nearside-{}", &hasher.finalize().to_hex()[..24]);
        let mut body = Vec::new();
        for (head, bytes) in contents {
            body.extend_from_slice(format!("--{boundary}\r\n{head}").as_bytes());
            body.extend_from_slice(&bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Ok((Some(format!("multipart/form-data; boundary={boundary}")), body.into()))
    }

    fn read(&self, path: &Template, variables: &Variables) -> Result<(PathBuf, Bytes), Fault> {
        check::read_beside(self.folder, &path.render(variables)?, path.at)
    }

    /// The answer at the end of redirects within the site.
    async fn followed(&self, ask: Ask) -> Result<Answer, SiteError> {
        let mut ask = ask;
        for _ in 0..REDIRECTS_MOST {
            let answer = self.site.send(ask.clone()).await?;
            let to = match answer.status.is_redirection() {
                true => self.redirected(&ask.target, &answer.header("location")),
                false => None,
            };
            let Some(target) = to else { return Ok(answer) };
            let keeps = matches!(answer.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            if !keeps && ask.method != Method::HEAD {
                ask.method = Method::GET;
                ask.body = Bytes::new();
                ask.headers.remove(header::CONTENT_TYPE);
            }
            ask.target = target;
        }
        Err(SiteError::NoAnswer(ask.target, format!("more than {REDIRECTS_MOST} redirects")))
    }

    fn redirected(&self, from: &str, location: &str) -> Option<String> {
        if location.is_empty() || location.starts_with("//") {
            return None;
        }
        if let Some(target) = self.target(location) {
            return Some(match location.starts_with('?') {
                true => format!("{}{location}", from.split('?').next().unwrap_or_default()),
                false => target,
            });
        }
        // A path from where it was; what has a scheme leads elsewhere.
        let plain = !location.split(['/', '?']).next().unwrap_or_default().contains(':');
        let folder = from.split('?').next().and_then(|path| path.rfind('/').map(|at| &path[..=at]));
        folder.filter(|_| plain).map(|folder| format!("{folder}{location}"))
    }
}

fn not_sent(entry: &Entry, at: Position, why: String) -> Failure {
    let request = format!("{} (line {})", entry.request.method, entry.at.line);
    Failure { failed: vec![Failed { at, what: "the request".into(), why }], request, trace: String::new() }
}

fn encoded(fields: &[Field], variables: &Variables) -> Result<String, Fault> {
    let mut encoder = form_urlencoded::Serializer::new(String::new());
    for field in fields {
        encoder.append_pair(&field.name, &field.value.render(variables)?);
    }
    Ok(encoder.finish())
}

fn kind_of(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("txt") => "text/plain",
        Some("html") => "text/html",
        Some("css") => "text/css",
        Some("csv") => "text/csv",
        Some("json") => "application/json",
        Some("xml") => "application/xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("svg") => "image/svg+xml",
        Some("pdf") => "application/pdf",
        _ => "application/octet-stream",
    }
}
