//! A stored response as it travels: what is sent, and what it was computed from.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use nearside_protocol::{
    hand_over::{self as wire, Kept, Page},
    release::ReleaseId,
};

use super::Wanted;
use crate::{
    bindings::edge::types::Value,
    cache::Entry,
    evidence::{Evidence, Question},
    pages::reads::ReadSet,
    policy::{Lifetime, NotStored},
    reply::{self, Raw},
};

/// A response that was made at a sibling, as if it had been made here.
pub(super) struct Made {
    pub(super) entry: Entry,
    pub(super) verdict: Result<Lifetime, NotStored>,
    pub(super) on: ReleaseId,
}

/// Headers as they travel.
pub(super) fn told<'a>(headers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) -> Vec<(String, Vec<u8>)> {
    headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

/// The same again; nothing if they are none.
pub(super) fn headers(told: Vec<(String, Vec<u8>)>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let header = |(name, value): (String, Vec<u8>)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(&value).ok()?))
    };
    told.into_iter().map(header).collect()
}

/// An entry, on its way to a node that asked for it.
pub(super) fn told_of(
    entry: &Entry,
    verdict: Result<(), NotStored>,
    on: ReleaseId,
    was_stored: bool,
    timing: Option<String>,
) -> Page {
    let kept = match (verdict, entry.expires) {
        (Err(why), _) => Kept::Not(why.to_string()),
        (Ok(()), None) => Kept::AsLongAsItStands,
        (Ok(()), Some(expires)) => Kept::ForMs(expires.left().as_millis() as u64),
    };
    let question = |question: &Question| wire::Question {
        query: question.query.clone(),
        parameters: question.parameters.iter().map(value_told).collect(),
        rows: question.rows,
    };
    Page {
        release: on,
        status: entry.whole.status.as_u16(),
        headers: told(entry.whole.headers.iter()),
        kept,
        took_us: entry.took.as_micros() as u64,
        pages: match &entry.evidence.pages {
            ReadSet::Pages(pages) => Some(pages.clone()),
            ReadSet::TooMany => None,
        },
        questions: entry.evidence.questions.as_ref().map(|questions| questions.iter().map(question).collect()),
        was_stored,
        timing,
    }
}

/// The response, ready to be kept and sent, and what is said of its render; nothing if it cannot be what was asked for.
pub(super) fn read(page: Page, body: Bytes, wanted: &Wanted) -> Option<(Made, Option<String>)> {
    let Page { release: on, status, headers: told, kept, took_us, pages, questions, was_stored: _, timing } = page;
    let ours = &wanted.release;
    if on < ours.manifest.release {
        return None;
    }
    let verdict = match kept {
        Kept::AsLongAsItStands => Ok(Lifetime::Release),
        Kept::ForMs(ms) => Ok(Lifetime::For(Duration::from_millis(ms))),
        Kept::Not(name) => Err(NotStored::ALL.into_iter().find(|why| why.to_string() == name)?),
    };
    let question = |question: wire::Question| {
        let parameters = question.parameters.into_iter().map(value).collect();
        Question::new(question.query, parameters, question.rows)
    };
    let questions = questions.map(|questions| questions.into_iter().map(question).collect());
    let mut of_page = HeaderMap::new();
    for (name, value) in headers(told)? {
        of_page.append(name, value);
    }
    let raw = Raw {
        status: StatusCode::from_u16(status).ok()?,
        headers: &of_page,
        body,
        evidence: Evidence::of(pages.map_or(ReadSet::TooMany, ReadSet::of), questions),
        took: Duration::from_micros(took_us),
        on,
    };
    let entry = reply::entry(raw, &ours.code.app.routes[wanted.route], ours, verdict);
    Some((Made { entry, verdict, on }, timing))
}

fn value_told(value: &Value) -> wire::Value {
    match value {
        Value::Null => wire::Value::Null,
        Value::Integer(integer) => wire::Value::Integer(*integer),
        Value::Real(real) => wire::Value::Real(real.to_bits()),
        Value::Text(text) => wire::Value::Text(text.clone()),
        Value::Blob(blob) => wire::Value::Blob(blob.clone()),
    }
}

fn value(told: wire::Value) -> Value {
    match told {
        wire::Value::Null => Value::Null,
        wire::Value::Integer(integer) => Value::Integer(integer),
        wire::Value::Real(bits) => Value::Real(f64::from_bits(bits)),
        wire::Value::Text(text) => Value::Text(text),
        wire::Value::Blob(blob) => Value::Blob(blob),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_bit_by_bit() {
        let odd = f64::from_bits(0x7ff8_0000_0000_0001);
        for there in [
            Value::Null,
            Value::Integer(i64::MIN),
            Value::Real(-0.0),
            Value::Real(odd),
            Value::Text("é\0".into()),
            Value::Blob(vec![0, 255]),
        ] {
            assert_eq!(value_told(&value(value_told(&there))), value_told(&there));
        }
    }

    #[test]
    fn headers_come_back_and_none_are_made_up() {
        let there = vec![
            (HeaderName::from_static("vary"), HeaderValue::from_static("accept")),
            (HeaderName::from_static("x-latin"), HeaderValue::from_bytes(b"\xe9").unwrap()),
            (HeaderName::from_static("x-latin"), HeaderValue::from_static("2")),
        ];
        let travels = told(there.iter().map(|(name, value)| (name, value)));
        assert_eq!(headers(travels), Some(there));
        assert_eq!(headers(vec![("x\r\ny".into(), b"1".to_vec())]), None);
        assert_eq!(headers(vec![("x".into(), b"1\r\ny: 2".to_vec())]), None);
    }
}
