//! Tokens, as operators make and remove them.

use http::{Response, StatusCode};
use hyper::body::Incoming;
use nearside_protocol::{
    limits,
    token::{Adding, Tokens},
};

use super::json;
use crate::{
    api_error::ApiError,
    body::{self, Body},
    operate::Work,
    tokens::{NotAdded, NotRemoved},
};

pub(super) fn list(work: &Work<'_>) -> Response<Body> {
    json(&Tokens { tokens: work.origin.tokens.list() })
}

pub(super) async fn add(work: &Work<'_>, body: Incoming) -> Result<Response<Body>, ApiError> {
    let body = body::whole(body, limits::TOKEN_ADDING_BYTES).await?;
    let adding: Adding = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("the body is a name, a role and a digest; {error}")))?;
    Ok(json(&work.add_token(adding).await?))
}

impl From<NotAdded> for ApiError {
    fn from(error: NotAdded) -> ApiError {
        let status = match &error {
            NotAdded::Name(_) | NotAdded::Ends => StatusCode::UNPROCESSABLE_ENTITY,
            NotAdded::OtherRole { .. } | NotAdded::Known => StatusCode::CONFLICT,
            NotAdded::TooMany => StatusCode::INSUFFICIENT_STORAGE,
            NotAdded::Disk(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        ApiError::new(status, error.to_string())
    }
}

impl From<NotRemoved> for ApiError {
    fn from(error: NotRemoved) -> ApiError {
        let status = match &error {
            NotRemoved::Unknown(_) => StatusCode::NOT_FOUND,
            NotRemoved::Disk(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        ApiError::new(status, error.to_string())
    }
}
