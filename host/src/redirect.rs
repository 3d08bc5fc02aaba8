//! For who comes without encryption where there is some: the same address, with it.

use std::future::Future;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::net::TcpListener;

use crate::{serve::accept, way::host_name};

const HTTPS_PORT: u16 = 443;

/// Answers until `shutdown`: everything is at the same path of the same host at this port.
pub async fn serve(listener: TcpListener, port: u16, shutdown: impl Future<Output = ()>) {
    let answer = move |request: Request<Incoming>, _| async move {
        let (parts, _) = request.into_parts();
        there(&parts, port).map_or_else(nowhere, |to| moved(&parts.method, to))
    };
    accept(listener, answer, shutdown).await;
}

fn there(parts: &Parts, port: u16) -> Option<HeaderValue> {
    let (host, path) = (host_name(parts)?, parts.uri.path_and_query().map_or("/", |path| path.as_str()));
    let port = if port == HTTPS_PORT { String::new() } else { format!(":{port}") };
    HeaderValue::try_from(format!("https://{host}{port}{path}")).ok()
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
    let mut response = Response::new(Full::from("a request names its host\n"));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
