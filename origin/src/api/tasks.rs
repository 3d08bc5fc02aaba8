//! An app's tasks, as operators see and steer them.

use http::{Response, StatusCode};

use super::{json, not_running};
use crate::{
    api_error::ApiError,
    body::Body,
    site::Site,
    tasks::{report::Asked, steer::NotSteered},
};

pub(super) async fn list(site: &Site, query: &str) -> Result<Response<Body>, ApiError> {
    let asked = Asked::of(query).map_err(|bad| ApiError::bad_request(bad.to_string()))?;
    let tasks = site.tasks(asked).await.map_err(fault)?;
    tasks.map(|tasks| json(&tasks)).ok_or_else(|| not_running(site.name()))
}

pub(super) async fn show(site: &Site, id: u64) -> Result<Response<Body>, ApiError> {
    let task = site.task(id).await.map_err(fault)?;
    task.map(|task| json(&task)).ok_or_else(|| NotSteered::NoTask(id).into())
}

fn fault(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

impl From<NotSteered> for ApiError {
    fn from(error: NotSteered) -> ApiError {
        let status = match &error {
            NotSteered::NoTask(_) | NotSteered::NoKind(_) => StatusCode::NOT_FOUND,
            NotSteered::NotDead(..) | NotSteered::NotIdle(..) | NotSteered::Twin(_) => StatusCode::CONFLICT,
        };
        ApiError::new(status, error.to_string())
    }
}
