//! A leader's page, made here or by a sibling: whoever finds no place at either waits here once more.

use std::{net::IpAddr, sync::Arc};

use http::request::Parts;

use crate::{
    cache::Lead,
    hand_over::{self, Instead, NotForAll, Wanted},
    host::Host,
    inputs::Seen,
    making::{Asking, Led, NoPlace, NotLed, led, led_after_all},
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
    let none = match led(host, lead, first, before, client).await {
        Ok(led) => return Ok(Somewhere::Here(led)),
        Err(NotLed::NoPlace(none)) => *none,
        Err(NotLed::MayNot(refusal) | NotLed::Failed(refusal)) => return Err(refusal),
    };
    let NoPlace { lead, before, refusal } = none;
    let traced = Traced::of_request(parts);
    let wanted = Wanted { release: release.clone(), route, seen, trace, traced };
    let lead = match hand_over::for_all(host, lead, &wanted, &before).await {
        Ok(instead) => return Ok(Somewhere::AtASibling(instead)),
        Err(NotForAll::Failed(refusal)) => return Err(refusal),
        Err(NotForAll::NobodyAsked(lead)) => {
            let _ = lead.land(Err(refusal.clone()));
            return Err(refusal);
        }
        Err(NotForAll::NobodyHadRoom(lead)) => lead,
    };
    let again = Asking::of(release.clone(), route, &wanted.seen, parts);
    match led_after_all(host, lead, again, before).await {
        Ok(led) => Ok(Somewhere::Here(led)),
        Err(NotLed::NoPlace(none)) => {
            let NoPlace { lead, refusal, .. } = *none;
            let _ = lead.land(Err(refusal.clone()));
            Err(refusal)
        }
        Err(NotLed::MayNot(refusal) | NotLed::Failed(refusal)) => Err(refusal),
    }
}
