//! Reading one's own writes: a visitor with a receipt is not shown less than what it stands for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, Method};
use nearside_protocol::{
    limits,
    wire::{RECEIPT_COOKIE, RECEIPT_HEADER},
    write::{Receipt, Standing},
};

use crate::{
    host::Host,
    inputs::cookies,
    release::Release,
    reply::{self, Reply},
    served::Served,
    spans::Kind,
    target::Target,
    upstream::{Unreachable, Visitor},
};

const RECEIPT: HeaderName = HeaderName::from_static(RECEIPT_HEADER);

/// On what a read is answered.
pub enum Fresh {
    /// On this release: it has all the visitor has written, or the visitor has written nothing.
    Release(Arc<Release>),
    /// The same, and it was waited for so long.
    Waited(Arc<Release>, Duration),
    /// On this release, though it lacks the visitor's last write; the answer says so, with this word.
    Behind(Arc<Release>, &'static str),
    /// By the origin, already.
    Origin(Box<Reply>),
}

/// Who may make the page for a visitor whose write the release lacks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Makers {
    NodeAndOrigin,
    /// The route sees everything: what it answers is between this visitor and this node.
    NodeAlone,
}

pub fn receipt_of(headers: &HeaderMap) -> Option<Receipt> {
    let from_header = headers.get(RECEIPT).and_then(|value| value.to_str().ok());
    from_header
        .or_else(|| cookies(headers).find(|(name, _)| *name == RECEIPT_COOKIE).map(|(_, value)| value))
        .and_then(|text| text.parse().ok())
}

/// Waits for the release that holds the receipt or for the page from the origin, whichever comes first: releases wait for
/// company, so that the page does more often than not. Where the origin is away, does not make such pages, or is not to be asked
/// by this client any more, the release has its moment still; else it is said so.
#[allow(clippy::too_many_arguments)]
pub async fn settle(
    host: &Arc<Host>,
    served: &Served,
    release: Arc<Release>,
    receipt: &Receipt,
    target: &Target,
    method: &Method,
    visitor: &Visitor,
    makers: Makers,
) -> Fresh {
    match receipt.standing(&release.manifest) {
        Standing::Contains => return Fresh::Release(release),
        Standing::Lost => return Fresh::Behind(release, "lost-receipt"),
        Standing::Behind => {}
    }
    let code = release.code.digest;
    let began = Instant::now();
    let _span = visitor.traced.as_ref().map(|traced| traced.span(Kind::Internal, "wait for the visitor's own write"));
    let mut switched = served.switched();
    let arrives = async {
        loop {
            let current = served.current();
            if let Some(current) = current.filter(|release| receipt.standing(&release.manifest) == Standing::Contains) {
                return current;
            }
            if switched.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::pin!(arrives);
    let rendered = async {
        if makers == Makers::NodeAlone {
            return Err(Unreachable::unsent("it does not make pages of routes that see everything"));
        }
        tokio::time::sleep(limits::RECEIPT_HEAD_START).await;
        // A receipt costs nothing to write, and its page costs the origin a render.
        if !host.clients.may_ask(visitor.client, Instant::now()) {
            return Err(Unreachable::unsent("this client asks for more than it may"));
        }
        host.upstream().render(&served.name, &code, &target.path_and_query(), visitor, receipt).await
    };
    let unreachable = tokio::select! {
        current = &mut arrives => return Fresh::Waited(current, began.elapsed()),
        rendered = rendered => match rendered {
            Ok(response) => return Fresh::Origin(Box::new(reply::from_origin(response, method))),
            Err(unreachable) => unreachable,
        }
    };
    let wait = match makers {
        // Where the origin has not been heard for a while, no release is on its way.
        Makers::NodeAlone if served.behind_header().is_none() => limits::RECEIPT_WAIT_ALONE,
        Makers::NodeAlone | Makers::NodeAndOrigin => limits::RECEIPT_WAIT,
    };
    if let Ok(current) = tokio::time::timeout_at((began + wait).into(), arrives).await {
        return Fresh::Waited(current, began.elapsed());
    }
    tracing::warn!(app = %served.name, cause = %unreachable, "a visitor's own write cannot be shown yet");
    Fresh::Behind(served.current().unwrap_or(release), "receipt")
}
