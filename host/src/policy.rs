//! May a response be kept, and for how long? A function of values, with its reason.

use std::{fmt, time::Duration};

use http::{HeaderMap, StatusCode, header};
use nearside_protocol::route::Inputs;

use crate::senses::Taint;

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NotStored {
    /// The route sees everything.
    InputsAll,
    ReadsClock,
    ReadsRandom,
    /// Its guest may remember what was asked before.
    ReusesInstance,
    CallsOrigin,
    SetsCookie,
    /// The handler said `no-store` or `private`.
    SaysSo,
    Status,
    /// The handler met a failure of the moment, and made the best of it.
    MetFailure,
    TooLarge,
    /// Events, told as they happen.
    EventStream,
    /// The node keeps no cache.
    CacheOff,
    /// A newer release was switched to while it was rendered.
    Overtaken,
    /// Rendering it takes so little time, for its size, that keeping it saves nothing.
    CheaperToRender,
    /// It alone is more than its app's part of the cache.
    LargerThanShare,
}

impl NotStored {
    /// Every one, in order: they are counted by it.
    pub const ALL: [NotStored; NotStored::LargerThanShare as usize + 1] = [
        NotStored::InputsAll,
        NotStored::ReadsClock,
        NotStored::ReadsRandom,
        NotStored::ReusesInstance,
        NotStored::CallsOrigin,
        NotStored::SetsCookie,
        NotStored::SaysSo,
        NotStored::Status,
        NotStored::MetFailure,
        NotStored::TooLarge,
        NotStored::EventStream,
        NotStored::CacheOff,
        NotStored::Overtaken,
        NotStored::CheaperToRender,
        NotStored::LargerThanShare,
    ];

    /// Whether the next render will most likely meet the same: then nobody should wait for it.
    pub fn lasts(self) -> bool {
        use NotStored::*;
        !matches!(self, Status | MetFailure | Overtaken | CheaperToRender | LargerThanShare)
    }
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotStored::InputsAll => "sees-all-inputs",
            NotStored::ReadsClock => "reads-clock",
            NotStored::ReadsRandom => "reads-random",
            NotStored::ReusesInstance => "reuses-instance",
            NotStored::CallsOrigin => "calls-origin",
            NotStored::SetsCookie => "sets-cookie",
            NotStored::SaysSo => "says-so",
            NotStored::Status => "status",
            NotStored::MetFailure => "met-failure",
            NotStored::TooLarge => "too-large",
            NotStored::EventStream => "event-stream",
            NotStored::CacheOff => "cache-off",
            NotStored::Overtaken => "overtaken",
            NotStored::CheaperToRender => "cheaper-to-render",
            NotStored::LargerThanShare => "larger-than-share",
        })
    }
}

/// How long a stored response is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as its release.
    Release,
    /// The handler looked at the clock, at chance or into a memory that is reused, and said how long that is good for.
    For(Duration),
}

pub fn storable(
    inputs: &Inputs,
    status: StatusCode,
    headers: &HeaderMap,
    taint: &Taint,
) -> Result<Lifetime, NotStored> {
    let Inputs::Declared(declared) = inputs else { return Err(NotStored::InputsAll) };
    if is_event_stream(headers) {
        return Err(NotStored::EventStream);
    }
    let says = CacheControl::of(headers);
    if taint.origin() {
        return Err(NotStored::CallsOrigin);
    }
    if taint.failure() {
        return Err(NotStored::MetFailure);
    }
    if says.no_store || (says.private && !declared.is_private()) {
        return Err(NotStored::SaysSo);
    }
    if headers.contains_key(header::SET_COOKIE) {
        return Err(NotStored::SetsCookie);
    }
    let final_answer = status.is_success() || status.is_redirection() || status.is_client_error();
    if !final_answer || status == StatusCode::PARTIAL_CONTENT || status == StatusCode::NOT_MODIFIED {
        return Err(NotStored::Status);
    }
    let reads = match (taint.clock(), taint.random(), taint.memory()) {
        (true, ..) => NotStored::ReadsClock,
        (_, true, _) => NotStored::ReadsRandom,
        (.., true) => NotStored::ReusesInstance,
        _ => return Ok(Lifetime::Release),
    };
    // What it includes is over when it is over there, whatever the page says of itself.
    let most = taint.good_for();
    let lifetime = says.lifetime.map(|says| most.map_or(says, |most| says.min(most)));
    lifetime.filter(|lifetime| !lifetime.is_zero()).map(Lifetime::For).ok_or(reads)
}

/// For how long a response says that it is good.
pub(crate) fn said_lifetime(headers: &HeaderMap) -> Option<Duration> {
    CacheControl::of(headers).lifetime
}

/// Whether a response is one of server-sent events: it has no end to wait for, and its pieces go out one by one.
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("text/event-stream")
}

#[derive(Default)]
struct CacheControl {
    no_store: bool,
    private: bool,
    /// `s-maxage`, else `max-age`.
    lifetime: Option<Duration>,
}

impl CacheControl {
    fn of(headers: &HeaderMap) -> CacheControl {
        let mut control = CacheControl::default();
        let (mut shared, mut any) = (None, None);
        let directives = headers
            .get_all(header::CACHE_CONTROL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        for directive in directives {
            let directive = directive.trim().to_ascii_lowercase();
            let seconds = |text: &str| text.trim_matches('"').parse().ok().map(Duration::from_secs);
            match directive.split_once('=') {
                None if directive == "no-store" => control.no_store = true,
                None if directive == "private" => control.private = true,
                Some(("private", _)) => control.private = true,
                Some(("s-maxage", text)) => shared = seconds(text),
                Some(("max-age", text)) => any = seconds(text),
                _ => {}
            }
        }
        control.lifetime = shared.or(any);
        control
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use nearside_protocol::route::Declared;
    use std::time::Instant;

    fn verdict(status: u16, name: &'static str, value: &'static str, taint: &Taint) -> Result<Lifetime, NotStored> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        let inputs = Inputs::Declared(Declared::default());
        storable(&inputs, StatusCode::from_u16(status).unwrap(), &headers, taint)
    }

    #[test]
    fn a_deterministic_answer_lives_with_its_release() {
        let clean = Taint::default();
        for status in [200, 301, 404, 410] {
            assert_eq!(verdict(status, "x", "y", &clean), Ok(Lifetime::Release), "{status}");
        }
        for status in [206, 304, 500, 503] {
            assert_eq!(verdict(status, "x", "y", &clean), Err(NotStored::Status), "{status}");
        }
        assert_eq!(verdict(200, "set-cookie", "a=b", &clean), Err(NotStored::SetsCookie));
        assert_eq!(verdict(200, "cache-control", "max-age=9, No-Store", &clean), Err(NotStored::SaysSo));
        assert_eq!(verdict(200, "cache-control", "private", &clean), Err(NotStored::SaysSo));
        for events in ["text/event-stream", "Text/Event-Stream; charset=utf-8"] {
            assert_eq!(verdict(200, "content-type", events, &clean), Err(NotStored::EventStream));
        }
        let all = storable(&Inputs::All, StatusCode::OK, &HeaderMap::new(), &clean);
        assert_eq!(all, Err(NotStored::InputsAll));
    }

    #[test]
    fn a_look_outside_needs_a_lifetime() {
        let clock = Taint::default();
        clock.read_clock();
        assert_eq!(verdict(200, "x", "y", &clock), Err(NotStored::ReadsClock));
        assert_eq!(verdict(200, "cache-control", "max-age=0", &clock), Err(NotStored::ReadsClock));
        let minute = Ok(Lifetime::For(Duration::from_secs(60)));
        assert_eq!(verdict(200, "cache-control", "max-age=1, s-maxage=60", &clock), minute);
        // It includes what is over in a second, and what is over in an hour.
        let (page, now) = (Taint::default(), Instant::now());
        page.read_clock();
        page.over_at(now + Duration::from_secs(1));
        page.over_at(now + Duration::from_secs(3_600));
        let outer = Taint::default();
        outer.join(&page);
        for taint in [&page, &outer] {
            let capped = verdict(200, "cache-control", "max-age=60", taint);
            assert!(matches!(capped, Ok(Lifetime::For(left)) if left <= Duration::from_secs(1)), "{capped:?}");
            assert_eq!(verdict(200, "x", "y", taint), Err(NotStored::ReadsClock));
        }
        page.over_at(now);
        assert_eq!(verdict(200, "cache-control", "max-age=60", &page), Err(NotStored::ReadsClock));
        let random = Taint::default();
        random.read_random();
        assert_eq!(verdict(200, "x", "y", &random), Err(NotStored::ReadsRandom));
        let failed = Taint::default();
        failed.met_failure();
        assert_eq!(verdict(200, "x", "y", &failed), Err(NotStored::MetFailure));
        let origin = Taint::default();
        origin.called_origin();
        assert_eq!(verdict(200, "cache-control", "max-age=60", &origin), Err(NotStored::CallsOrigin));
    }
}
