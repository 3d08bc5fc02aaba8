//! The short way of a request: a stored response that is right is sent where the request was read, without a future, and
//! without counting references that all threads share. So is a refusal of what there is no place for, or saying no would take
//! what is needed for saying yes. Everything else goes the long way (`handler.rs`), from the start.

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::{Method, header, request::Parts};
use nearside_protocol::route::{Inputs, Route};

use crate::{
    cache_status::CacheStatus,
    error_page, freshness, hand_over,
    handler::{finished, refuse, send_again},
    host::Host,
    inputs::{Key, Seen},
    refusal::Refusal,
    release::Release,
    reply::Reply,
    way::{Way, host_name},
};

/// Nothing if the short way does not lead there.
pub(crate) fn answer(host: &Arc<Host>, parts: &Parts, client: IpAddr) -> Option<Reply> {
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    // A part that there is not is refused, which takes more than there is here.
    if !is_read || !host.cache.is_on() || parts.headers.contains_key(header::RANGE) {
        return None;
    }
    host.at(&host_name(parts)?, |served, release| {
        let Ok(Way::Route { route, target, .. }) = Way::of(release, parts) else { return None };
        let route = &release.code.app.routes[route];
        let Inputs::Declared(declared) = &route.inputs else { return None };
        if freshness::receipt_of(&parts.headers).is_some() {
            return None;
        }
        let key = Seen::new(declared, target, &parts.headers, Some(client)).key(&served.name);
        let reply = match host.cache.hit(&key, release) {
            Some((entry, right)) => send_again(host, &key, &entry, release, CacheStatus::Hit(right), parts).ok()?,
            None => refused(host, release, route, &key, parts)?,
        };
        release.counts.count_request();
        Some(finished(reply, served, route.cors.as_ref(), parts))
    })
}

/// The refusal of a page that can come from nowhere else: it is not there as it was, nobody makes it, and no sibling could.
fn refused(host: &Arc<Host>, release: &Release, route: &Route, key: &Key, parts: &Parts) -> Option<Reply> {
    if !host.cache.has_nothing(key, release) || hand_over::may_be_asked(host, release, route) {
        return None;
    }
    let shed = host.queue.turns_away(route.class(true))?;
    hand_over::count_nobody(host, route);
    let response = error_page::at_hand(release, shed, &parts.headers);
    release.counts.count_answer(response.status(), Duration::ZERO);
    Some(refuse(host, &Refusal::Shed(shed), response, parts))
}
