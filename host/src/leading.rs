//! A leader's page, made here or by a sibling: whoever finds no place at either waits here once more.

use std::{net::IpAddr, sync::Arc};

use http::request::Parts;

use crate::{
    cache::Lead,
    hand_over::{self, Instead, NotForAll, Wanted},
    host::Host,
    inputs::Seen,
    making::{Asking, Led, NoPlace, NotLed, Otherwise, led, may_ask},
    refusal::Refusal,
    release::Release,
    spans::Traced,
    stale::Before,
};

/// Where a leader's page was made.
pub(crate) enum Somewhere {
    Here(Led),
    AtASibling(Instead),
}

/// Leads here, or where there is no place, at a sibling. Whoever finds none there either waits here once more: in the moments
/// that took, some of those who waited here have been made.
#[allow(clippy::too_many_arguments)]
pub(crate) async fn led_somewhere(
    host: &Arc<Host>,
    lead: Lead,
    release: &Arc<Release>,
    route: usize,
    seen: Seen,
    before: Before,
    parts: &Parts,
    client: IpAddr,
) -> Result<Somewhere, Refusal> {
    let first = Asking::of(release.clone(), route, &seen, parts);
    let trace = first.trace.clone();
    // What this client has asked for too often, others may get: it leaves the lead to them.
    may_ask(host, &first, client)?;
    let NoPlace { lead, before, refusal } = match led(host, lead, first, before, Otherwise::MadeElsewhere).await {
        Ok(led) => return Ok(Somewhere::Here(led)),
        Err(NotLed::NoPlace(none)) => *none,
        Err(NotLed::Failed(refusal)) => return Err(refusal),
    };
    let traced = Traced::of_request(parts);
    let wanted = Wanted { release: release.clone(), route, seen, trace, traced };
    let (lead, refusal) = match hand_over::for_all(host, lead, &wanted, &before).await {
        Ok(instead) => return Ok(Somewhere::AtASibling(instead)),
        Err(NotForAll::Failed(refusal)) => return Err(refusal),
        Err(NotForAll::NobodyAsked(lead)) => (lead, refusal),
        Err(NotForAll::NobodyHadRoom(lead)) => {
            let again = Asking::of(release.clone(), route, &wanted.seen, parts);
            match led(host, lead, again, before, Otherwise::Refused).await {
                Ok(led) => return Ok(Somewhere::Here(led)),
                Err(NotLed::NoPlace(none)) => (none.lead, none.refusal),
                Err(NotLed::Failed(refusal)) => return Err(refusal),
            }
        }
    };
    let _ = lead.land(Err(refusal.clone()));
    Err(refusal)
}
