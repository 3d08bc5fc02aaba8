//! Tests of an app, written in Rust.
//!
//! ```no_run
//! use nearside_local::testing::Site;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let site = Site::of("path/to/app")?;
//! site.seed_sql("INSERT INTO package (name, version) VALUES ('vim', '9.1')")?;
//!
//! let page = site.get("/package/vim")?;
//! assert_eq!(page.status, 200);
//! assert!(page.text().contains("9.1"));
//!
//! let posted = site.post_form("/package/vim/reviews", &[("author", "Ann"), ("rating", "5"), ("body", "Good.")])?;
//! assert_eq!(posted.status, 303);
//! site.wait_for_release()?;
//! assert!(site.get(&posted.header("location"))?.text().contains("Ann"));
//! # Ok(())
//! # }
//! ```
//!
//! Each site has data of its own, which goes with it. What the app's components are built to is what is tested: build
//! them first, with `nearside build`. These calls wait: use them in plain `#[test]` functions, not in asynchronous ones.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, OnceLock},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use nearside_host::{engine::Engine, logbook::Logbook};
use tokio::runtime::Runtime;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

pub use crate::site::{Answer, SiteError};
use crate::{
    folder,
    site::{Ask, PackedApp, Site as Running},
};

/// One engine for each app: its clock and its pools are made once a process.
static ENGINES: LazyLock<Mutex<HashMap<PathBuf, Engine>>> = LazyLock::new(Mutex::default);

/// What guests say in this process.
fn logbook() -> Logbook {
    static LOGBOOK: OnceLock<Logbook> = OnceLock::new();
    let make = || {
        let logbook = Logbook::new();
        // Where the tests have a subscriber of their own, what guests say goes there.
        let _ = tracing_subscriber::registry().with(logbook.layer()).try_init();
        logbook
    };
    LOGBOOK.get_or_init(make).clone()
}

/// An app on a site of its own, with one visitor who keeps cookies.
pub struct Site {
    site: Option<Running>,
    runtime: Runtime,
}

impl Site {
    /// Starts the app in this folder, as it is built, with no data but what its migrations bring.
    pub fn of(app: impl AsRef<Path>) -> Result<Site, SiteError> {
        let app = app.as_ref().canonicalize().map_err(SiteError::Io)?;
        let packed = PackedApp::collect(&app)?;
        let engine = {
            let mut engines = ENGINES.lock().expect("BUG: nothing panics while holding the engines");
            match engines.get(&app) {
                Some(engine) => engine.clone(),
                None => {
                    let engine = Engine::start(&folder::compiled(&app)?)?;
                    engines.insert(app, engine.clone());
                    engine
                }
            }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .thread_name("nearside-test")
            .build()
            .map_err(SiteError::Io)?;
        let site = runtime.block_on(Running::start(&packed, engine, logbook()))?;
        Ok(Site { site: Some(site), runtime })
    }

    /// Runs SQL on the write store. The rows are served when this returns.
    pub fn seed_sql(&self, sql: &str) -> Result<(), SiteError> {
        self.runtime.block_on(self.site().seed("seed", sql))
    }

    pub fn get(&self, target: &str) -> Result<Answer, SiteError> {
        self.request(Method::GET, target, &[], "")
    }

    /// Posts a form, as a browser does.
    pub fn post_form(&self, target: &str, fields: &[(&str, &str)]) -> Result<Answer, SiteError> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.request(Method::POST, target, &[("content-type", "application/x-www-form-urlencoded")], form)
    }

    pub fn request(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Answer, SiteError> {
        let bad = |name: &str| SiteError::BadRequest(target.to_owned(), format!("the header `{name}`"));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(name))?;
            map.append(key, HeaderValue::from_str(value).map_err(|_| bad(name))?);
        }
        let ask = Ask { method, target: target.to_owned(), headers: map, body: body.into().into() };
        self.runtime.block_on(self.site().send(ask))
    }

    /// Waits until everything that was written is in the release that is served, for everybody.
    pub fn wait_for_release(&self) -> Result<(), SiteError> {
        self.runtime.block_on(self.site().settled())
    }

    /// `http://…`, for clients of one's own.
    pub fn url(&self) -> String {
        self.site().url()
    }

    /// What the app's components have printed, and what went wrong, while this was answered.
    pub fn log_of(&self, answer: &Answer) -> Vec<String> {
        logbook().of_trace(&answer.trace).iter().map(|entry| crate::dev::told(entry)).collect()
    }

    fn site(&self) -> &Running {
        self.site.as_ref().expect("BUG: only drop takes the site")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(site) = self.site.take() {
            self.runtime.block_on(site.stop());
        }
    }
}
