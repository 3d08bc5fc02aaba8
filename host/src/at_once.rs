//! The short way of a request: a stored response that is right is sent where the request was read, without a future, and
//! without counting references that all threads share. Everything else goes the long way (`handler.rs`), from the start.

use std::{net::IpAddr, sync::Arc};

use http::{Method, header, request::Parts};
use nearside_protocol::route::Inputs;

use crate::{
    cache_status::CacheStatus,
    freshness,
    handler::{finished, send_again},
    host::Host,
    inputs::Seen,
    reply::Reply,
    way::{Way, host_name},
};

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
        let (entry, right) = host.cache.hit(&key, release)?;
        let reply = send_again(host, &key, &entry, release, CacheStatus::Hit(right), parts).ok()?;
        release.counts.count_request();
        Some(finished(reply, served, route.cors.as_ref(), parts))
    })
}
