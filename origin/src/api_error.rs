//! What the HTTP interface answers when it does not do what was asked: RFC 9457 problem details.

use http::{HeaderValue, Response, StatusCode, header};
use nearside_protocol::{
    problem::{self, Problem},
    token::{Duty, Refused},
};

use crate::{
    blobs::BlobError,
    body::{self, Body, BodyError},
    bucket::BucketError,
    canary::NotTried,
    made::NotMade,
    merge::MergeError,
    origin::{NotTaken, OriginError},
    pushed_file::PushedError,
    seed::SeedError,
    site::PushError,
    tokens::Holder,
    writer::EnqueueError,
};

/// The status says whose turn it is: 4xx is the caller's to change, 5xx is the origin's, and trying again may help.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    detail: String,
    allow: Option<&'static str>,
    /// What a token was refused for.
    duty: Option<Duty>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> ApiError {
        ApiError { status, detail: detail.into(), allow: None, duty: None }
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn method(allow: &'static str) -> ApiError {
        ApiError {
            allow: Some(allow),
            ..ApiError::new(StatusCode::METHOD_NOT_ALLOWED, format!("this path takes {allow}"))
        }
    }

    /// Nobody is known by what was shown. `duty` is what was asked for, if that is known.
    pub(crate) fn unauthorized(why: Refused, duty: Option<Duty>) -> ApiError {
        let why = match why {
            Refused::Expired => "the token that was shown has expired",
            Refused::NoToken => "send `Authorization: Bearer <token>`",
            Refused::UnknownToken | Refused::OtherRole => "the token that was shown is none of this origin's",
        };
        let takes = duty.map(|duty| {
            let who = duty.roles_in_words();
            format!(": this takes the token of {who}; the first one, an operator's, is in the origin's data folder")
        });
        ApiError { duty, ..ApiError::new(StatusCode::UNAUTHORIZED, format!("{why}{}", takes.unwrap_or_default())) }
    }

    /// Whoever asks is known, and may not.
    pub(crate) fn forbidden(holder: &Holder, duty: Duty) -> ApiError {
        let Holder { name, role, .. } = holder;
        let (is, takes) = (role.with_article(), duty.roles_in_words());
        let detail = format!("the token `{name}` is for {is}, and this takes that of {takes}");
        ApiError { duty: Some(duty), ..ApiError::new(StatusCode::FORBIDDEN, detail) }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let problem = Problem::new(self.status.as_u16(), title).detail(self.detail);
        let problem = problem.roles(self.duty.into_iter().flat_map(Duty::roles));
        let mut response = Response::new(body::full(problem.to_json()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> ApiError {
        let status = match &error {
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Stalled | BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken(_) => StatusCode::BAD_REQUEST,
            BodyError::Disk(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        ApiError::new(status, error.to_string())
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> ApiError {
        let status = match &error {
            BlobError::OtherHash { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            BlobError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BlobError::Quota { .. } => StatusCode::INSUFFICIENT_STORAGE,
            BlobError::Io { .. } | BlobError::Damaged(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        ApiError::new(status, error.to_string())
    }
}

impl From<PushError> for ApiError {
    fn from(error: PushError) -> ApiError {
        let status = match &error {
            PushError::NoApp | PushError::Merge(MergeError::NoApp) | PushError::Seed(SeedError::NoApp) => {
                StatusCode::CONFLICT
            }
            PushError::Held(_) | PushError::NotRolledBack(_) | PushError::HostTaken(_) => StatusCode::CONFLICT,
            PushError::NotTried(NotTried::Running { .. } | NotTried::None | NotTried::NothingReleased) => {
                StatusCode::CONFLICT
            }
            PushError::NotTried(_) => StatusCode::UNPROCESSABLE_ENTITY,
            PushError::Pushed(PushedError::Io { .. } | PushedError::Sqlite { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
            PushError::Pushed(_) => StatusCode::UNPROCESSABLE_ENTITY,
            PushError::Archive(_) | PushError::OtherApp { .. } | PushError::Findings(_) | PushError::Rehearsal(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            PushError::Merge(MergeError::Store(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            PushError::Merge(MergeError::Stopped) => StatusCode::SERVICE_UNAVAILABLE,
            PushError::Seed(SeedError::Store(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            PushError::Seed(SeedError::Stopped) => StatusCode::SERVICE_UNAVAILABLE,
            PushError::Merge(_) | PushError::Seed(_) => StatusCode::UNPROCESSABLE_ENTITY,
            PushError::Site(_) | PushError::Unreleased(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        ApiError::new(status, error.to_string())
    }
}

impl From<NotTried> for ApiError {
    fn from(error: NotTried) -> ApiError {
        PushError::from(error).into()
    }
}

impl From<NotTaken> for ApiError {
    fn from(error: NotTaken) -> ApiError {
        match error {
            NotTaken::Origin(error) => error.into(),
            NotTaken::Push(error) => error.into(),
        }
    }
}

impl From<EnqueueError> for ApiError {
    fn from(error: EnqueueError) -> ApiError {
        let status = match &error {
            EnqueueError::UnknownTask(_) => StatusCode::NOT_FOUND,
            EnqueueError::InvalidPayload(_) | EnqueueError::KeyConflict => StatusCode::UNPROCESSABLE_ENTITY,
            EnqueueError::Full | EnqueueError::Retry(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        ApiError::new(status, error.to_string())
    }
}

impl From<OriginError> for ApiError {
    fn from(error: OriginError) -> ApiError {
        let status = match &error {
            OriginError::TooManyApps(_) => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        ApiError::new(status, error.to_string())
    }
}

impl From<BucketError> for ApiError {
    fn from(error: BucketError) -> ApiError {
        ApiError::new(StatusCode::BAD_GATEWAY, error.to_string())
    }
}

impl From<NotMade> for ApiError {
    fn from(error: NotMade) -> ApiError {
        let status = match &error {
            NotMade::Pages(_) | NotMade::Bucket(_) | NotMade::Objects(_) => StatusCode::INTERNAL_SERVER_ERROR,
            NotMade::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        };
        ApiError::new(status, error.to_string())
    }
}
