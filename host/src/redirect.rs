//! For who comes without encryption where there is some: the same address, with it.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::net::TcpListener;

use crate::{host::Host, serve::accept, way::host_name};

const HTTPS_PORT: u16 = 443;

/// Answers until `shutdown`: what is asked of a host that is served here is at the same path of it, at this port.
pub async fn serve(host: Arc<Host>, listener: TcpListener, port: u16, shutdown: impl Future<Output = ()>) {
    let answer = move |request: Request<Incoming>, _| {
        let (parts, _) = request.into_parts();
        let there = there(&host, &parts, port);
        async move { there.map_or_else(nowhere, |to| moved(&parts.method, to)) }
    };
    accept(listener, answer, shutdown).await;
}

/// Nobody is sent to a host because a request says so.
fn there(host: &Host, parts: &Parts, port: u16) -> Option<HeaderValue> {
    let name = host_name(parts)?;
    host.by_host(&name)?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let port = if port == HTTPS_PORT { String::new() } else { format!(":{port}") };
    HeaderValue::try_from(format!("https://{name}{port}{path}")).ok()
}

fn moved(method: &Method, to: HeaderValue) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    // 308 keeps the method, and what was to be kept from other eyes has been shown to them already: a form is not sent again.
    let status = if method.is_safe() { StatusCode::PERMANENT_REDIRECT } else { StatusCode::FORBIDDEN };
    *response.status_mut() = status;
    if method.is_safe() {
        response.headers_mut().insert(header::LOCATION, to);
    } else {
        *response.body_mut() = Full::from("this is to be sent to the https:// address\n");
    }
    response
}

fn nowhere() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from("no site of this name is served here\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
