//! What a release shows of the write that it carries: the first renders of pages whose rows it has changed go into the trace
//! of that write.

use std::sync::atomic::{AtomicU32, Ordering};

use nearside_protocol::limits;

use crate::{
    cache_status::Cause,
    release::Release,
    spans::{Kind, Span, Traced},
};

pub(crate) struct Shown {
    /// What made this release the one that is served.
    traced: Traced,
    left: AtomicU32,
}

impl Shown {
    pub(crate) fn by(traced: Traced) -> Shown {
        Shown { traced, left: AtomicU32::new(limits::TRACED_FIRST_RENDERS) }
    }
}

impl Release {
    /// Begins the span of a render that shows what this release has changed, if it carries a write that is traced and this is
    /// one of the first. Pages that were not kept before are not known to show anything new.
    pub(crate) fn shows(&self, cause: Cause, route: usize) -> Option<Span> {
        let shown = self.shown.as_ref()?;
        if !matches!(cause, Cause::RowsChanged | Cause::TooMuchToAsk) {
            return None;
        }
        shown.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()?;
        let (app, route) = (&self.code.app.name, &self.code.app.routes[route].path);
        let span = shown.traced.span(Kind::Internal, format!("show {route}"));
        Some(
            span.with("nearside.app", app.clone())
                .with("nearside.release", self.manifest.release.to_string())
                .with("nearside.because", cause.name())
                .with("http.route", route.clone()),
        )
    }
}
