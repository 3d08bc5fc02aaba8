//! What the page's buttons do: forms, parsed once, and followed as the command line's orders are.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use hyper::body::Incoming;
use nearside_protocol::{
    action::Deed,
    app,
    canary::{Halted, Promoted},
    limits,
    query_report::Advise,
    release::ReleaseId,
    task_report::Steered,
    words,
};

use crate::{
    actions::{Asked, Operator},
    api,
    api_error::ApiError,
    body,
    operate::Work,
    origin::Origin,
    tasks::steer::{Order, Which},
    tokens::Holder,
};

pub(super) type Form = BTreeMap<String, String>;

#[derive(Debug, PartialEq)]
enum Wanted {
    Rollback { app: String, to: ReleaseId },
    Resume { app: String },
    Promote { app: String, canary_ms: u64 },
    Halt { app: String, canary_ms: u64 },
    Steer { app: String, order: Order },
    TryIndexes { app: String },
    Forget { node: String },
}

pub(super) async fn form(body: Incoming) -> Result<Form, ApiError> {
    let body = body::whole(body, limits::FORM_BYTES).await?;
    Ok(form_urlencoded::parse(&body).into_owned().collect())
}

/// Does it, if that is for `holder` to do; says what came of it.
pub(super) async fn act(
    origin: &Arc<Origin>,
    operator: &Operator,
    holder: &Holder,
    form: &Form,
) -> Result<String, ApiError> {
    let work = Work { origin, operator };
    let wanted = wanted(form)?;
    if let Some(deed) = form.get("deed").and_then(|name| Deed::named(name)).filter(|deed| !holder.role.may(deed.duty()))
    {
        let what = ["release", "task", "kind", "node"].iter().find_map(|name| form.get(*name));
        let asked = Asked { deed, app: form.get("app").cloned(), what: what.cloned() };
        return Err(work.refused(holder, deed.duty(), Some(asked)).await);
    }
    match wanted {
        Wanted::Rollback { app, to } => {
            let pushed = work.rollback(&*api::site(origin, &app)?, Some(to)).await?;
            let release = pushed.release.map_or("nothing".to_owned(), |release| format!("release {release}"));
            Ok(format!(
                "{app}: the content of {to} is published again, as {release}. Releases are held until you resume."
            ))
        }
        Wanted::Resume { app } => {
            let pushed = work.resume(&*api::site(origin, &app)?).await?;
            let release =
                pushed.release.map_or("nothing is released yet".to_owned(), |it| format!("release {it} is out"));
            Ok(format!("{app}: releases go on; {release}."))
        }
        Wanted::Promote { app, canary_ms } => {
            let pushed = work.promote(&*api::site(origin, &app)?, Promoted::ByHand, Some(canary_ms)).await?;
            Ok(format!("{app}: the canary is promoted{}.", as_release(pushed.release)))
        }
        Wanted::Halt { app, canary_ms } => {
            let pushed = work.halt(&*api::site(origin, &app)?, Halted::ByHand, Some(canary_ms)).await?;
            Ok(format!("{app}: the canary is halted; its nodes go on to what all have{}.", as_release(pushed.release)))
        }
        Wanted::Steer { app, order } => {
            let said = match &order {
                Order::Pause(kind) => format!("{kind} is paused"),
                Order::Resume(kind) => format!("{kind} goes on"),
                Order::Retry(Which::One(id)) => format!("task {id} is tried again"),
                Order::Discard(Which::One(id)) => format!("task {id} is discarded"),
                Order::Retry(Which::DeadOf(kind)) => format!("dead letters of {kind} are tried again"),
                Order::Discard(Which::DeadOf(kind)) => format!("dead letters of {kind} are discarded"),
            };
            let Steered { changed, more } = work.steer(&app, order).await?;
            let more = if more { "; more are left" } else { "" };
            Ok(format!("{app}: {said} ({changed} changed{more})."))
        }
        Wanted::TryIndexes { app } => {
            let advice = work.advise(&api::site(origin, &app)?, Advise::default()).await?;
            let proposed = advice.advised.iter().filter(|advised| advised.index.is_some()).count() as u64;
            Ok(match proposed {
                0 => format!("{app}: no index was found that helps."),
                proposed => format!("{app}: {} proposed.", words::count(proposed, "index is", "indexes are")),
            })
        }
        Wanted::Forget { node } => {
            let is_gone = origin.nodes.forget(&node, Instant::now());
            let told = match is_gone {
                true => format!("{node} is forgotten; it is back when it is heard again."),
                false => format!("{node} is not silent, or not known: nothing is forgotten."),
            };
            let asked = Asked { deed: Deed::ForgetNode, app: None, what: Some(node) };
            origin.actions.keep(operator, asked, is_gone, String::new()).await;
            Ok(told)
        }
    }
}

fn as_release(release: Option<ReleaseId>) -> String {
    release.map_or(String::new(), |release| format!(", as release {release}"))
}

fn wanted(form: &Form) -> Result<Wanted, ApiError> {
    let field =
        |name: &str| form.get(name).cloned().ok_or_else(|| ApiError::bad_request(format!("`{name}` is missing")));
    let named = |name: &str| {
        let value = field(name)?;
        match app::is_name(&value) {
            true => Ok(value),
            false => Err(ApiError::bad_request(format!("`{name}` is not a name"))),
        }
    };
    // A task by its number, or all dead ones of a kind.
    let which = || match form.get("task") {
        Some(id) => id.parse().map(Which::One).map_err(|_| ApiError::bad_request("`task` is not a task's number")),
        None => Ok(Which::DeadOf(named("kind")?)),
    };
    // The one that was seen, which another may have taken the place of.
    let canary = || field("canary")?.parse().map_err(|_| ApiError::bad_request("`canary` is not a number"));
    let steer = |order| Ok(Wanted::Steer { app: named("app")?, order });
    match field("deed")?.as_str() {
        "rollback" => {
            let to = field("release")?.parse().map_err(|error| ApiError::bad_request(format!("{error}")))?;
            Ok(Wanted::Rollback { app: named("app")?, to })
        }
        "resume" => Ok(Wanted::Resume { app: named("app")? }),
        "promote_canary" => Ok(Wanted::Promote { app: named("app")?, canary_ms: canary()? }),
        "halt_canary" => Ok(Wanted::Halt { app: named("app")?, canary_ms: canary()? }),
        "pause_tasks" => steer(Order::Pause(named("kind")?)),
        "resume_tasks" => steer(Order::Resume(named("kind")?)),
        "retry_tasks" => steer(Order::Retry(which()?)),
        "discard_tasks" => steer(Order::Discard(which()?)),
        "try_indexes" => Ok(Wanted::TryIndexes { app: named("app")? }),
        "forget_node" => Ok(Wanted::Forget { node: field("node")? }),
        _ => Err(ApiError::bad_request("this page has no such button")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Wanted, String> {
        let form = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        wanted(&form).map_err(|error| error.detail().to_owned())
    }

    #[test]
    fn a_form_is_an_order_or_its_fault_is_named() {
        let rollback = Wanted::Rollback { app: "shop".into(), to: ReleaseId { epoch: 1, seq: 4 } };
        assert_eq!(read("deed=rollback&app=shop&release=1.4"), Ok(rollback));
        let retry = Wanted::Steer { app: "shop".into(), order: Order::Retry(Which::One(7)) };
        assert_eq!(read("deed=retry_tasks&app=shop&task=7"), Ok(retry));
        let all = Wanted::Steer { app: "shop".into(), order: Order::Discard(Which::DeadOf("mail".into())) };
        assert_eq!(read("deed=discard_tasks&app=shop&kind=mail"), Ok(all));
        for (text, fault) in [
            ("", "`deed` is missing"),
            ("deed=reboot", "no such button"),
            ("deed=resume", "`app` is missing"),
            ("deed=halt_canary", "`app` is missing"),
            ("deed=promote_canary&app=shop", "`canary` is missing"),
            ("deed=resume&app=..%2Fshop", "`app` is not a name"),
            ("deed=rollback&app=shop", "`release` is missing"),
            ("deed=rollback&app=shop&release=new", "new"),
            ("deed=retry_tasks&app=shop&task=x", "not a task's number"),
            ("deed=pause_tasks&app=shop&kind=%00", "`kind` is not a name"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.contains(fault), "{text}: {found}");
        }
    }
}
