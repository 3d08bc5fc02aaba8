//! What the operator can see of stored responses, and take away: `nearside cache`.

use std::sync::{Arc, atomic::Ordering};

use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use nearside_protocol::{
    cache_report::{Asked, Explained, ExplainedResponse, Purged, Stored, StoredResponse},
    limits,
    route::{Inputs, Method},
    wire::RELEASE_HEADER,
};

use crate::{
    again::would_stand,
    bindings::edge::types::Value,
    cache::{Because, By, Entry, Look},
    cache_status::Cause,
    code::Found,
    evidence::Question,
    host::Host,
    inputs::{Key, Seen},
    pages::reads::ReadSet,
    past::Verdict,
    release::Release,
    served::Served,
    target::Target,
    way::{target_of, without_port},
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("unknown parameter `{0}`; there are {1}")]
    UnknownParameter(String, &'static str),
    #[error("`by` is hits, bytes or took, not `{0}`")]
    By(String),
    #[error("`limit` is a number from 1 to {most}, not `{asked}`", most = limits::CACHE_LISTED)]
    Limit { asked: String },
    #[error("no app `{asked}` is served here; there are: {there}")]
    NoSuchApp { asked: String, there: String },
    #[error("no app that is served here answers for `{0}`: name the app by `--app`")]
    NoSuchHost(String),
    #[error("`{0}` is not an address: http://host/path?query or /path?query expected")]
    Url(String),
    #[error("say which app by `--app`: this node serves {0}")]
    WhichApp(String),
    #[error("no route of `{app}` answers GET {path}: static files, redirects and blobs are not kept here")]
    NoRoute { app: String, path: String },
    #[error("the route {0} sees everything (inputs = \"all\"): nothing of it is kept")]
    SeesAll(String),
    #[error("`prefix` is where paths begin, with a slash: `/` for all; not `{0}`")]
    Prefix(String),
}

impl InspectError {
    pub fn status(&self) -> StatusCode {
        match self {
            InspectError::NoSuchApp { .. } | InspectError::NoSuchHost(_) | InspectError::NoRoute { .. } => {
                StatusCode::NOT_FOUND
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

#[derive(Clone, Copy)]
enum Order {
    Hits,
    Bytes,
    Took,
}

/// What is asked for, whichever of these it needs.
#[derive(Default)]
struct Wanted {
    app: Option<String>,
    by: Option<Order>,
    limit: Option<usize>,
    url: Option<String>,
    prefix: Option<String>,
}

impl Wanted {
    fn read(query: &str, names: &'static str) -> Result<Wanted, InspectError> {
        let mut wanted = Wanted::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match &*name {
                name if !names.split(", ").any(|known| known == name) => {
                    return Err(InspectError::UnknownParameter(name.chars().take(64).collect(), names));
                }
                "app" => wanted.app = Some(value),
                "by" => {
                    wanted.by = Some(match &*value {
                        "hits" => Order::Hits,
                        "bytes" => Order::Bytes,
                        "took" => Order::Took,
                        _ => return Err(InspectError::By(value)),
                    });
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=limits::CACHE_LISTED).contains(limit));
                    wanted.limit = Some(limit.ok_or(InspectError::Limit { asked: value })?);
                }
                "url" => wanted.url = Some(value),
                _ => wanted.prefix = Some(value),
            }
        }
        Ok(wanted)
    }
}

impl Host {
    /// The hottest, largest or dearest stored responses. Looks at all of them.
    pub(crate) fn stored(&self, query: &str) -> Result<Stored, InspectError> {
        let wanted = Wanted::read(query, "app, by, limit")?;
        let mut all = Vec::new();
        for app in self.apps_named(wanted.app)? {
            all.extend(self.cache.of_app(&app.name));
        }
        let of = all.len() as u64;
        let measure = |(key, entry): &(Key, Arc<Entry>)| match wanted.by.unwrap_or(Order::Hits) {
            Order::Hits => entry.hits.load(Ordering::Relaxed) as u128,
            Order::Bytes => entry.weight_bytes(key.as_bytes().len()) as u128,
            Order::Took => entry.took.as_nanos(),
        };
        all.sort_by_cached_key(|one| std::cmp::Reverse(measure(one)));
        all.truncate(wanted.limit.unwrap_or(limits::CACHE_LISTED_UNASKED));
        Ok(Stored { responses: all.iter().map(|(key, entry)| told(key, entry)).collect(), of })
    }

    /// What is kept for an address, and what would become of it now. Asks its questions again; changes nothing. Blocks.
    pub(crate) fn explain(&self, query: &str) -> Result<Explained, InspectError> {
        let wanted = Wanted::read(query, "app, url")?;
        let (app, target) = self.addressed(wanted.app, &wanted.url.unwrap_or_default())?;
        let nothing = || InspectError::NoSuchApp { asked: app.name.clone(), there: String::new() };
        let release = app.current().ok_or_else(nothing)?;
        let Found::Route(route) = release.code.find(&target.path, Method::Get) else {
            return Err(InspectError::NoRoute { app: app.name.clone(), path: target.path });
        };
        let pattern = release.code.app.routes[route].path.clone();
        let Inputs::Declared(declared) = &release.code.app.routes[route].inputs else {
            return Err(InspectError::SeesAll(pattern));
        };
        let shown = Seen::new(declared, target, &HeaderMap::new(), None);
        let mut found = self.cache.of_app(&app.name);
        found.retain(|(key, _)| key.seen().target == shown.target);
        found.truncate(limits::CACHE_EXPLAINED);
        let not_stored = match found.is_empty().then(|| self.cache.look(&shown.key(&app.name), &release)) {
            Some(Look::Unstorable(why)) => Some(why.to_string()),
            _ => None,
        };
        Ok(Explained {
            app: app.name.clone(),
            release: release.manifest.release,
            route: pattern,
            target: shown.target.path_and_query(),
            responses: found.iter().map(|(key, entry)| explained(key, entry, &release)).collect(),
            not_stored,
        })
    }

    /// Takes away what is kept of paths that begin so.
    pub(crate) fn purge(&self, query: &str) -> Result<Purged, InspectError> {
        let wanted = Wanted::read(query, "app, prefix")?;
        let prefix = wanted.prefix.unwrap_or_default();
        if !prefix.starts_with('/') {
            return Err(InspectError::Prefix(prefix));
        }
        let mut purged = 0;
        for app in self.apps_named(wanted.app)? {
            for (key, _) in self.cache.of_app(&app.name) {
                if key.seen().target.path.starts_with(&prefix) {
                    self.cache.remove(&key);
                    purged += 1;
                }
            }
        }
        tracing::info!(%prefix, purged, "responses purged");
        Ok(Purged { purged })
    }

    /// This app, or all of them.
    fn apps_named(&self, name: Option<String>) -> Result<Vec<Arc<Served>>, InspectError> {
        match name {
            None => Ok(self.apps()),
            Some(asked) => match self.by_name(&asked) {
                Some(app) => Ok(vec![app]),
                None => Err(InspectError::NoSuchApp { asked, there: names(&self.apps()) }),
            },
        }
    }

    fn addressed(&self, app: Option<String>, url: &str) -> Result<(Arc<Served>, Target), InspectError> {
        let not_a_url = || InspectError::Url(url.chars().take(200).collect());
        let uri: Uri = url.parse().map_err(|_| not_a_url())?;
        let target = target_of(&uri).map_err(|_| not_a_url())?;
        let app = match (app, uri.authority()) {
            (Some(name), _) => self.apps_named(Some(name))?.remove(0),
            (None, Some(authority)) => {
                let host = without_port(authority.as_str()).to_ascii_lowercase();
                self.by_host(&host).ok_or(InspectError::NoSuchHost(host))?
            }
            (None, None) => {
                let mut apps = self.apps();
                match apps.len() {
                    1 => apps.remove(0),
                    _ => return Err(InspectError::WhichApp(names(&apps))),
                }
            }
        };
        Ok((app, target))
    }
}

fn names(apps: &[Arc<Served>]) -> String {
    let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn told(key: &Key, entry: &Entry) -> StoredResponse {
    let seen = key.seen();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).chars().take(SHOWN_CHARS).collect();
    let left = entry.expires.map(|expires| expires.left().as_millis() as u64);
    StoredResponse {
        app: key.app().to_owned(),
        target: seen.target.path_and_query(),
        headers: seen.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        status: entry.whole.status.as_u16(),
        release: entry.whole.headers.get(RELEASE_HEADER).map(text).unwrap_or_default(),
        age_ms: entry.made_at.elapsed().as_millis() as u64,
        made_in: entry.made_in,
        right_until: entry.right_until.load(Ordering::Acquire),
        hits: entry.hits.load(Ordering::Relaxed),
        bytes: entry.weight_bytes(key.as_bytes().len()) as u64,
        took_us: entry.took.as_micros() as u64,
        expires_in_ms: left,
        pages: match &entry.evidence.pages {
            ReadSet::Pages(pages) => Some(pages.len()),
            ReadSet::TooMany => None,
        },
        questions: entry.evidence.questions.as_ref().map(Vec::len),
        by: match entry.by {
            By::Rendering => "rendered",
            By::Sibling => "by-sibling",
            By::RenderingAhead => "rendered-ahead",
            By::SameRows => "same-rows",
        }
        .to_owned(),
        because: entry.because.cause.name().to_owned(),
        changed_query: entry.because.query.clone(),
    }
}

fn explained(key: &Key, entry: &Entry, release: &Release) -> ExplainedResponse {
    let since = entry.right_until.load(Ordering::Acquire);
    let verdict = if release.generation < entry.made_in {
        Err(Because::of(Cause::OfNewer))
    } else if entry.is_expired() {
        Err(Because::of(Cause::Expired))
    } else if since >= release.generation {
        Ok("right")
    } else {
        match release.past.judge(&entry.evidence, since) {
            Verdict::Untouched => Ok("pages-untouched"),
            Verdict::OtherApp => Err(Because::of(Cause::OtherApp)),
            Verdict::Touched | Verdict::AllTouched => would_stand(release, entry).map(|()| "same-rows"),
        }
    };
    let first = |pages: &[u32]| pages.iter().take(limits::CACHE_EXPLAINED_PAGES).copied().collect::<Vec<_>>();
    let changed = match since < release.generation {
        true => release.past.touched_pages(&entry.evidence, since).unwrap_or_default(),
        false => Vec::new(),
    };
    ExplainedResponse {
        response: told(key, entry),
        pages: match &entry.evidence.pages {
            ReadSet::Pages(pages) => first(pages),
            ReadSet::TooMany => Vec::new(),
        },
        questions: entry.evidence.questions.iter().flatten().map(asked).collect(),
        is_kept: verdict.is_ok(),
        changed_pages: first(&changed),
        changed_query: verdict.as_ref().err().and_then(|because| because.query.clone()),
        verdict: verdict.unwrap_or_else(|because| because.cause.name()).to_owned(),
    }
}

/// What is shown of one parameter or header.
const SHOWN_CHARS: usize = 80;

fn asked(question: &Question) -> Asked {
    let shown = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(integer) => integer.to_string(),
        Value::Real(real) => format!("{real:?}"),
        Value::Text(text) => format!("'{}'", text.chars().take(SHOWN_CHARS).collect::<String>()),
        Value::Blob(blob) => format!("{} bytes", blob.len()),
    };
    Asked { query: question.query.clone(), parameters: question.parameters.iter().map(shown).collect() }
}
