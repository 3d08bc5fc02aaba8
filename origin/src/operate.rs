//! What operators do to apps, by programs or on the fleet page: each deed in one place, done and written down.

use std::{path::Path, sync::Arc};

use http::StatusCode;
use nearside_protocol::{
    action::Deed,
    canary::{Halted, Promoted},
    query_report::{Advice, Advise},
    release::ReleaseId,
    task_report::Steered,
    token::{Adding, Duty, Refused, Token},
    voucher::AppVoucher,
    wire::Pushed,
    words,
};

use crate::{
    actions::{Asked, Operator},
    api,
    api_error::ApiError,
    origin::Origin,
    site::{How, Site},
    tasks::steer::{Order, Which},
    tokens::Holder,
};

/// An operator at work.
pub(crate) struct Work<'a> {
    pub(crate) origin: &'a Arc<Origin>,
    pub(crate) operator: &'a Operator,
}

impl Work<'_> {
    pub(crate) async fn push_app(
        &self,
        app: &str,
        packed: Vec<u8>,
        voucher: Option<AppVoucher>,
        how: How,
    ) -> Result<Pushed, ApiError> {
        let signed = voucher.as_ref().map(|voucher| format!("vouched for by key {}", voucher.key));
        let what = [tried_at(&how), signed].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let pushed = self.origin.push_and(app, packed, voucher, how).await.map_err(ApiError::from);
        self.noted(Deed::PushApp, app, (!what.is_empty()).then_some(what), pushed, released).await
    }

    pub(crate) async fn push_data(&self, site: &Site, file: &Path, how: How) -> Result<Pushed, ApiError> {
        let what = tried_at(&how);
        let pushed = site.push_data(file, how).await.map_err(ApiError::from);
        self.noted(Deed::PushData, site.name(), what, pushed, released).await
    }

    pub(crate) async fn rollback(&self, site: &Site, to: Option<ReleaseId>) -> Result<Pushed, ApiError> {
        let what = to.map_or("to the one before".to_owned(), |to| format!("to {to}"));
        let rolled_back = site.rollback(to).await.map_err(ApiError::from);
        self.noted(Deed::Rollback, site.name(), Some(what), rolled_back, released).await
    }

    pub(crate) async fn promote(&self, site: &Site, why: Promoted, canary_ms: Option<u64>) -> Result<Pushed, ApiError> {
        let (what, words) = (why.name().to_owned(), why.to_string());
        let promoted = site.promote(why, canary_ms).await.map_err(ApiError::from);
        let told = |pushed: &Pushed| format!("{}: {words}", released(pushed));
        self.noted(Deed::PromoteCanary, site.name(), Some(what), promoted, told).await
    }

    pub(crate) async fn halt(&self, site: &Site, why: Halted, canary_ms: Option<u64>) -> Result<Pushed, ApiError> {
        let (what, words) = (why.name().to_owned(), why.to_string());
        let halted = site.halt(why, canary_ms).await.map_err(ApiError::from);
        let told = |pushed: &Pushed| format!("{}: {words}", released(pushed));
        self.noted(Deed::HaltCanary, site.name(), Some(what), halted, told).await
    }

    /// Halts the canary that runs, if one does, because something else is to be done.
    pub(crate) async fn make_way(&self, site: &Site) -> Result<(), ApiError> {
        match site.is_tried() {
            true => self.halt(site, Halted::Replaced, None).await.map(drop),
            false => Ok(()),
        }
    }

    pub(crate) async fn resume(&self, site: &Site) -> Result<Pushed, ApiError> {
        let resumed = site.go_on().await.map_err(ApiError::from);
        self.noted(Deed::Resume, site.name(), None, resumed, released).await
    }

    pub(crate) async fn steer(&self, app: &str, order: Order) -> Result<Steered, ApiError> {
        let (deed, what) = deed(&order);
        let steered = async {
            let running = api::running(self.origin, app)?;
            let steered = running.writer.steer(order).await;
            let steered = steered.map_err(|busy| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, busy.to_string()))?;
            Ok(steered?)
        };
        let told = |steered: &Steered| {
            format!("{} changed{}", steered.changed, if steered.more { "; more are left" } else { "" })
        };
        self.noted(deed, app, Some(what), steered.await, told).await
    }

    pub(crate) async fn advise(&self, site: &Arc<Site>, wanted: Advise) -> Result<Advice, ApiError> {
        let what = wanted.query.clone();
        let advice = api::queries::advise(site, wanted).await;
        if let Ok(advice) = &advice {
            self.origin.page.advised(advice.clone()).await;
        }
        let told = |advice: &Advice| {
            let proposed = advice.advised.iter().filter(|advised| advised.index.is_some()).count();
            format!("{} queries looked at, {proposed} indexes proposed", advice.advised.len())
        };
        self.noted(Deed::TryIndexes, site.name(), what, advice, told).await
    }

    pub(crate) async fn add_token(&self, adding: Adding) -> Result<Token, ApiError> {
        let what = format!("{}, {}", adding.name, adding.role);
        let origin = self.origin.clone();
        let added = blocking(move || origin.tokens.add(adding)).await;
        let told = |token: &Token| {
            let until = token.expires_at_ms.map_or(String::new(), |end| format!(", until {}", words::utc(end)));
            format!("id {}{until}", token.id)
        };
        self.noted(Deed::AddToken, None, Some(what), added, told).await
    }

    pub(crate) async fn remove_token(&self, id: String) -> Result<Token, ApiError> {
        let (origin, what) = (self.origin.clone(), id.clone());
        let removed = blocking(move || origin.tokens.remove(&id)).await;
        let told = |token: &Token| format!("it was `{}`, for {}", token.name, token.role.with_article());
        self.noted(Deed::RemoveToken, None, Some(what), removed, told).await
    }

    /// Whoever asks may not, and is told so: written down where it would have changed something.
    pub(crate) async fn refused(&self, holder: &Holder, duty: Duty, asked: Option<Asked>) -> ApiError {
        self.origin.tokens.count(Refused::OtherRole);
        let error = ApiError::forbidden(holder, duty);
        if let Some(asked) = asked {
            self.origin.actions.keep(self.operator, asked, false, error.detail().to_owned()).await;
        }
        error
    }

    /// Writes down what came of it.
    async fn noted<T>(
        &self,
        deed: Deed,
        app: impl Into<Option<&str>>,
        what: Option<String>,
        done: Result<T, ApiError>,
        told: impl Fn(&T) -> String,
    ) -> Result<T, ApiError> {
        let (went_well, outcome) = match &done {
            Ok(done) => (true, told(done)),
            Err(error) => (false, error.detail().to_owned()),
        };
        let asked = Asked { deed, app: app.into().map(str::to_owned), what };
        self.origin.actions.keep(self.operator, asked, went_well, outcome).await;
        done
    }
}

async fn blocking<T: Send + 'static, E: Into<ApiError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the origin is stopping")),
    }
}

fn tried_at(how: &How) -> Option<String> {
    how.canary.as_ref().map(|wanted| format!("to be tried out at {}", wanted.nodes.join(", ")))
}

fn released(pushed: &Pushed) -> String {
    pushed.release.map_or("nothing is released yet".to_owned(), |release| format!("release {release}"))
}

/// What steering tasks is, written down.
pub(crate) fn deed(order: &Order) -> (Deed, String) {
    match order {
        Order::Pause(kind) => (Deed::PauseTasks, kind.clone()),
        Order::Resume(kind) => (Deed::ResumeTasks, kind.clone()),
        Order::Retry(which) => (Deed::RetryTasks, named(which)),
        Order::Discard(which) => (Deed::DiscardTasks, named(which)),
    }
}

fn named(which: &Which) -> String {
    match which {
        Which::One(id) => format!("task {id}"),
        Which::DeadOf(kind) => format!("dead {kind}"),
    }
}
