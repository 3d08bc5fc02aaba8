//! An app's own error pages that are files, ready to be sent: most are shown when more is asked for than can be made, and then
//! saying no must cost little.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, header};
use nearside_protocol::{app::App, limits};

use crate::{
    reply::CACHE_STATUS,
    static_files::{STATIC, StaticFiles},
    target::{Target, decoded_below},
};

/// What is said of a page itself, at its own address, and does not hold for an answer that shows it.
const OF_ITS_ADDRESS: [header::HeaderName; 9] = [
    header::ACCEPT_RANGES,
    header::AGE,
    header::CACHE_CONTROL,
    header::CONTENT_LENGTH,
    header::ETAG,
    header::LOCATION,
    header::SET_COOKIE,
    header::VARY,
    CACHE_STATUS,
];

/// By the path that the manifest gives.
#[derive(Default)]
pub(crate) struct ErrorFiles(BTreeMap<String, ErrorBody>);

/// What is shown with a refusal.
pub(crate) struct ErrorBody {
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why an error page is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoBody {
    #[error("there is no such file")]
    NoFile,
    #[error("it is longer than {} bytes", limits::ERROR_PAGE_BYTES)]
    TooLong,
    #[error("its route cannot be rendered: {0}")]
    Render(String),
    #[error("its route answers with status {0}")]
    Status(u16),
}

impl ErrorBody {
    pub(crate) fn of(mut headers: HeaderMap, body: Bytes) -> Result<ErrorBody, NoBody> {
        if body.len() > limits::ERROR_PAGE_BYTES {
            return Err(NoBody::TooLong);
        }
        for name in OF_ITS_ADDRESS {
            headers.remove(name);
        }
        Ok(ErrorBody { headers, body })
    }
}

impl ErrorFiles {
    /// Those that cannot be shown are missing, and the log says why.
    pub(crate) fn load(app: &App, files: &StaticFiles) -> ErrorFiles {
        let mut all = BTreeMap::new();
        for (_, path) in app.error_pages.all() {
            let Some(name) = name_of(path) else { continue };
            let file = files.find(&name).ok_or(NoBody::NoFile).map(|found| found.file.plain());
            match file.and_then(|form| ErrorBody::of(form.headers.clone(), form.body.clone())) {
                Ok(body) => drop(all.insert(path.to_owned(), body)),
                Err(why) => tracing::warn!(app = %app.name, page = path, cause = %why, "an error page is not shown"),
            }
        }
        ErrorFiles(all)
    }

    pub(crate) fn get(&self, path: &str) -> Option<&ErrorBody> {
        self.0.get(path)
    }
}

/// Of the static file at this path, if it is one.
pub(crate) fn name_of(path: &str) -> Option<String> {
    decoded_below(&Target::parse(path, None).ok()?.path, STATIC)
}
