//! The body of a request that changes something: read whole, in bounded room and time.

use bytes::Bytes;
use http::{header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use nearside_protocol::limits;
use tokio::sync::OwnedSemaphorePermit;

use crate::{host::Host, refusal::Refusal};

/// The body, and the room it takes until it has been worked on.
pub(crate) async fn whole(
    host: &Host,
    most_bytes: usize,
    parts: &Parts,
    mut body: Incoming,
) -> Result<(OwnedSemaphorePermit, Bytes), Refusal> {
    let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // Nothing has been read yet: a client that expects 100 before it sends is told in time.
    if declared.is_some_and(|bytes| bytes > most_bytes as u64) {
        return Err(Refusal::BodyTooLarge { most_bytes });
    }
    let mut room = host.body_places(1).ok_or(Refusal::Busy)?;
    let (mut places, mut by) = (1, tokio::time::Instant::now() + limits::REQUEST_BODY_WAIT);
    let (mut pieces, mut bytes) = (Vec::new(), 0);
    loop {
        let too_slow = |_| Refusal::BodyTooSlow { wait_s: (limits::REQUEST_BODY_WAIT * places).as_secs() };
        let frame = match tokio::time::timeout_at(by, body.frame()).await.map_err(too_slow)? {
            None => break,
            Some(frame) => frame.map_err(|_| Refusal::BodyBroken)?,
        };
        // Trailers are nothing that a handler is shown.
        let Ok(piece) = frame.into_data() else { continue };
        bytes += piece.len();
        if bytes > most_bytes {
            return Err(Refusal::BodyTooLarge { most_bytes });
        }
        // As it comes, not as it is announced: who announces much and sends nothing holds one place.
        while bytes > places as usize * limits::REQUEST_BODY_BYTES {
            room.merge(host.body_places(1).ok_or(Refusal::Busy)?);
            places += 1;
            by += limits::REQUEST_BODY_WAIT;
        }
        pieces.push(piece);
    }
    let whole = match pieces.as_slice() {
        [one] => one.clone(),
        several => several.concat().into(),
    };
    Ok((room, whole))
}
