//! What became of a deferred write, for the one who holds its ticket: JSON for programs, a plain page for people.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use nearside_protocol::{
    limits,
    write::{Outcome, Receipt},
};
use serde_json::{Value, json};

use super::{Settled, Written};
use crate::{
    accept::prefers_json,
    plain_page::{Again, PlainPage},
};

/// What the address of every deferred write begins with.
pub const WRITE: &str = "/_write/";

/// What is told of it.
struct Told {
    state: &'static str,
    title: &'static str,
    text: &'static str,
    /// The app's own words.
    message: Option<String>,
    reply: Option<Value>,
    receipt: Option<Receipt>,
}

/// What is told of a write while nobody knows what became of it.
struct Unknown {
    state: &'static str,
    title: &'static str,
    text: &'static str,
}

const UNSURE: Unknown = Unknown {
    state: "unsure",
    title: "Not known yet",
    text: "We do not know yet whether what you sent was taken in. This page finds out by itself. There is no need to send \
           it again.",
};

/// The content type and the body of the first answer to who wrote it: it leads there.
pub fn unsure(path: &str, request: &HeaderMap) -> (&'static str, Bytes) {
    match prefers_json(request) {
        true => ("application/json", json!({ "state": UNSURE.state, "status": path }).to_string().into()),
        false => {
            let again = Again { after_s: limits::DEFERRED_RETRY_AFTER_S, at: Some(path) };
            let Unknown { title, text, .. } = UNSURE;
            let page = PlainPage { code: None, title, text, said: None, again: Some(again) };
            ("text/html; charset=utf-8", page.html().into())
        }
    }
}

fn told(written: &Written) -> Told {
    let of = |state, title, text| Told { state, title, text, message: None, reply: None, receipt: None };
    let outcome = match &written.settled {
        None if written.is_unsure => return of(UNSURE.state, UNSURE.title, UNSURE.text),
        None => {
            return of(
                "waiting",
                "Saved",
                "What you sent is saved here and will appear soon. There is no need to send it again.",
            );
        }
        Some(Settled::Forgotten) if written.is_unsure => {
            return of(
                "forgotten",
                "Not known",
                "It took so long to find out that nobody knows any more whether what you sent was taken in. \
                 Please look whether it is there before you send it again.",
            );
        }
        Some(Settled::Forgotten) => return of("forgotten", "Done", "This was settled some time ago."),
        Some(Settled::As(outcome)) => outcome,
    };
    match outcome.clone() {
        Outcome::Applied { receipt, reply } => Told {
            reply: serde_json::from_str(&reply).ok(),
            receipt: Some(receipt),
            ..of("applied", "Done", "What you sent has been taken in.")
        },
        Outcome::Rejected { message } => Told {
            message: Some(message),
            ..of("rejected", "Not taken", "What you sent was looked at and not taken in.")
        },
        Outcome::KeyConflict => of("conflict", "Not taken", "Its key was used before, for something else."),
        Outcome::Closed => {
            of("not-taken", "Not taken", "What you sent did not arrive and was not taken in. Please send it again.")
        }
        // Their messages are for the operator, who finds them in the log and in the outbox.
        Outcome::Failed { .. } | Outcome::Invalid { .. } | Outcome::Retry { .. } => {
            of("failed", "Not taken", "What you sent could not be taken in. Please send it again.")
        }
    }
}

/// The answer, and the receipt of the write if it was applied.
pub fn answer(written: &Written, request: &HeaderMap) -> (Response<Bytes>, Option<Receipt>) {
    let told = told(written);
    let is_waiting = written.settled.is_none();
    let (content_type, body) = match prefers_json(request) {
        true => {
            let mut fields = json!({ "state": told.state });
            let receipt = told.receipt.as_ref().map(|receipt| Value::String(receipt.to_string()));
            let more = [("message", told.message.map(Value::String)), ("reply", told.reply), ("receipt", receipt)];
            for (name, value) in more.into_iter().filter_map(|(name, value)| Some((name, value?))) {
                fields[name] = value;
            }
            ("application/json", fields.to_string())
        }
        false => {
            let page = PlainPage {
                code: None,
                title: told.title,
                text: told.text,
                said: told.message.as_deref(),
                again: is_waiting.then_some(Again { after_s: limits::DEFERRED_RETRY_AFTER_S, at: None }),
            };
            ("text/html; charset=utf-8", page.html())
        }
    };
    let length = body.len();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if is_waiting {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(limits::DEFERRED_RETRY_AFTER_S));
    }
    (response, told.receipt)
}

#[cfg(test)]
mod tests {
    use nearside_protocol::{release::DatabaseId, write::IdempotencyKey};

    use super::*;
    use crate::outbox::Ticket;

    fn answered(settled: Option<Settled>, accept: &'static str) -> (Response<Bytes>, Option<Receipt>) {
        let written = Written {
            app: "a".into(),
            n: 1,
            command: "c".into(),
            payload: "{}".into(),
            key: IdempotencyKey::try_from("k".to_owned()).unwrap(),
            ticket: Ticket("t".into()),
            accepted_at_ms: 0,
            sent_after: None,
            is_unsure: false,
            traced: None,
            settled,
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        answer(&written, &headers)
    }

    #[test]
    fn each_end_is_told_to_programs_and_people() {
        let receipt = Receipt { database: DatabaseId("d".into()), epoch: 1, commit: 2 };
        let applied = || Settled::As(Outcome::Applied { receipt: receipt.clone(), reply: "{\"id\":7}".into() });
        let rejected = || Settled::As(Outcome::Rejected { message: "no <b>".into() });
        let failed = || Settled::As(Outcome::Failed { message: "secret".into() });

        let (waiting, none) = answered(None, "application/json");
        assert_eq!((waiting.body().as_ref(), none), (b"{\"state\":\"waiting\"}".as_slice(), None));
        assert_eq!(waiting.headers()[header::RETRY_AFTER], "5");
        let (done, shown) = answered(Some(applied()), "application/json");
        let body: Value = serde_json::from_slice(done.body()).unwrap();
        assert_eq!(body, json!({ "state": "applied", "reply": { "id": 7 }, "receipt": "d.1.2" }));
        assert_eq!(shown, Some(receipt.clone()));
        assert!(done.headers().get(header::RETRY_AFTER).is_none());

        let text = |settled| String::from_utf8(answered(settled, "text/html").0.body().to_vec()).unwrap();
        assert!(text(None).contains("http-equiv=refresh") && text(None).contains("will appear soon"));
        assert!(!text(Some(applied())).contains("refresh"));
        assert!(text(Some(rejected())).contains("<p>no &lt;b&gt;</p>"));
        assert!(!text(Some(failed())).contains("secret"));
    }
}
