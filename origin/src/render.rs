//! A page rendered at the origin, from the newest read database: for a visitor whose own write has not reached the node.

use http::{HeaderMap, Response, StatusCode};

use crate::{api_error::ApiError, body::Body, site::Site};

/// The page at `target`, for a visitor who holds the receipt in `headers`.
///
/// This is the one place it will be done in: the site's projector names the read database's file and the version that
/// goes with it ([`crate::projector::Projected`]), and a node opens such a file as `Mode::Live`.
pub(crate) async fn render(_site: &Site, _target: &str, _headers: &HeaderMap) -> Result<Response<Body>, ApiError> {
    Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "this origin does not render pages; the node serves its own release"))
}
