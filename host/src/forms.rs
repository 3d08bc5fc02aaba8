//! Encoded forms of stored responses: made in the background from what was rendered, each once, and kept beside it.
//!
//! A page that is asked for once is not worth the work, so a form is made when a stored response is sent again to a client
//! that takes the coding. Until it is there, that client gets the response as it stands. What carries over a push carries
//! its forms along.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use nearside_protocol::limits;
use tokio::sync::Semaphore;

use crate::{
    beside::beside,
    cache::{Entry, Whole},
    conditional::tags,
    encoding::{Effort, Encoding, Wishes},
    host::Host,
    inputs::Key,
    media_type,
    reply::is_bodiless,
};

/// The forms a response has or may come to have, one of each encoding.
#[derive(Debug)]
pub struct Forms([Place; Encoding::COUNT]);

#[derive(Debug)]
struct Place {
    /// Known before the form is there: a client may hold it from another node, or from before a restart.
    etag: HeaderValue,
    /// Somebody makes it, or has. One whose making broke down is not tried again.
    claimed: AtomicBool,
    /// None inside: it saves too little.
    made: OnceLock<Option<Form>>,
}

/// One encoding of a response, ready to be sent.
#[derive(Debug)]
pub struct Form {
    pub encoding: Encoding,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Whether it is worth having forms of such a response, and nothing speaks against it. `headers` are those that are sent.
pub fn may_have(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    body.len() >= limits::ENCODED_FROM_BYTES
        && !is_bodiless(status)
        && media_type::is_compressible(content_type)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !forbids_transforming(headers)
}

fn forbids_transforming(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|directive| directive.trim().eq_ignore_ascii_case("no-transform"))
}

impl Forms {
    /// None made yet. `etag` is that of the response as it stands.
    pub fn of(etag: &HeaderValue) -> Forms {
        let tag = etag.to_str().unwrap_or_default().trim_matches('"');
        Forms(Encoding::ALL.map(|encoding| Place {
            etag: HeaderValue::from_str(&format!("\"{tag}-{}\"", encoding.name())).expect("BUG: hexadecimal digits"),
            claimed: AtomicBool::new(false),
            made: OnceLock::new(),
        }))
    }

    fn made(&self, encoding: Encoding) -> Option<&Form> {
        self.0[encoding as usize].made.get()?.as_ref()
    }

    /// Of those that are there, the one this client likes best; of two it likes as much, the smaller.
    fn best(&self, wishes: Wishes) -> Option<&Form> {
        let liked = wishes.liked().filter_map(|encoding| self.made(encoding));
        liked.min_by_key(|form| (Reverse(wishes.of_encoding(form.encoding)), form.body.len()))
    }

    /// The one this client would be sent, if it is not there and nobody is making it.
    fn lacks(&self, wishes: Wishes) -> Option<Encoding> {
        let place = |encoding: Encoding| &self.0[encoding as usize];
        let best = wishes.liked().find(|encoding| !matches!(place(*encoding).made.get(), Some(None)))?;
        (!place(best).claimed.load(Ordering::Relaxed)).then_some(best)
    }

    pub fn bytes(&self) -> usize {
        let forms = Encoding::ALL.into_iter().filter_map(|encoding| self.made(encoding));
        let etags: usize = self.0.iter().map(|place| place.etag.len()).sum();
        etags + forms.map(|form| form.body.len() + bytes_of(&form.headers)).sum::<usize>()
    }
}

/// What headers take in memory, roughly.
pub fn bytes_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

impl Whole {
    /// The form to send to this client; None is the response as it stands.
    pub fn form(&self, wishes: Wishes) -> Option<&Form> {
        self.forms.as_ref()?.best(wishes)
    }

    /// The tag by which this client has the response already, in whatever coding that it takes, made here or not. `form` is
    /// the one it would be sent.
    pub fn held(&self, request: &HeaderMap, wishes: Wishes, form: Option<&Form>) -> Option<&HeaderValue> {
        let sent = form.map_or(&self.etag, |form| self.etag_of(form.encoding));
        let mut held = None;
        for tag in tags(request) {
            if tag == b"*" || tag == sent.as_bytes() {
                return Some(sent);
            }
            held = held.or_else(|| self.taken(tag, wishes));
        }
        held
    }

    /// The tag of a coding this client takes, if this is one.
    fn taken(&self, tag: &[u8], wishes: Wishes) -> Option<&HeaderValue> {
        if tag == self.etag.as_bytes() {
            return Some(&self.etag).filter(|_| wishes.of_identity() > 0);
        }
        let forms = self.forms.as_ref()?;
        let of = Encoding::ALL.into_iter().find(|encoding| tag == forms.0[*encoding as usize].etag.as_bytes())?;
        (wishes.of_encoding(of) > 0).then(|| self.etag_of(of))
    }

    fn etag_of(&self, encoding: Encoding) -> &HeaderValue {
        self.forms.as_ref().map_or(&self.etag, |forms| &forms.0[encoding as usize].etag)
    }

    /// Makes a form, unless it saves too little. Takes as long as compressing does.
    fn make(&self, encoding: Encoding) -> Option<&Form> {
        let place = &self.forms.as_ref()?.0[encoding as usize];
        let make = || {
            let encoded = encoding.encode(&self.body, Effort::Serving);
            if encoded.len() > self.body.len() / 10 * 9 {
                return None;
            }
            let mut headers = self.headers.clone();
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(encoded.len()));
            headers.insert(header::ETAG, place.etag.clone());
            // Parts are sent of the response as it stands.
            headers.remove(header::ACCEPT_RANGES);
            // Without the room that was left over while it grew.
            Some(Form { encoding, headers, body: encoded.into_boxed_slice().into() })
        };
        place.made.get_or_init(make).as_ref()
    }
}

/// Where forms are made: so many at once, and so many waiting. It is work that can wait, so it takes little of a node.
pub struct FormMaker {
    waiting: Arc<Semaphore>,
    at_once: Arc<Semaphore>,
    made: AtomicU64,
    saves_too_little: AtomicU64,
    skipped: AtomicU64,
}

impl Default for FormMaker {
    fn default() -> FormMaker {
        FormMaker {
            waiting: Arc::new(Semaphore::new(limits::FORMS_WAITING)),
            at_once: Arc::new(Semaphore::new(limits::FORMS_AT_ONCE)),
            made: AtomicU64::default(),
            saves_too_little: AtomicU64::default(),
            skipped: AtomicU64::default(),
        }
    }
}

impl FormMaker {
    /// Forms by what became of them.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        [("made", &self.made), ("saves_too_little", &self.saves_too_little), ("skipped", &self.skipped)]
            .into_iter()
            .map(|(name, counter)| (name.to_owned(), counter.load(Ordering::Relaxed)))
            .collect()
    }
}

/// Has the form made that this client would be sent, if there is none and there is room for the work; else whoever asks
/// next tries again.
pub(crate) fn make_for(host: &Arc<Host>, key: &Key, entry: &Arc<Entry>, wishes: Wishes) {
    let Some(forms) = &entry.whole.forms else { return };
    let Some(encoding) = forms.lacks(wishes) else { return };
    let Ok(waits) = host.forms.waiting.clone().try_acquire_owned() else {
        host.forms.skipped.fetch_add(1, Ordering::Relaxed);
        return;
    };
    if forms.0[encoding as usize].claimed.swap(true, Ordering::AcqRel) {
        return;
    }
    let (task_host, key, entry) = (host.clone(), key.clone(), entry.clone());
    host.spawn(async move {
        let turn = task_host.forms.at_once.clone().acquire_owned().await;
        let work = beside(move || {
            let counters = &task_host.forms;
            match entry.whole.make(encoding) {
                Some(_) => {
                    task_host.cache.weigh_again(&key, &entry);
                    counters.made.fetch_add(1, Ordering::Relaxed)
                }
                None => counters.saves_too_little.fetch_add(1, Ordering::Relaxed),
            }
        });
        if let Err(error) = work.await {
            tracing::error!(cause = %error, encoding = encoding.name(), "a response could not be encoded");
        }
        drop((turn, waits));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAG: HeaderValue = HeaderValue::from_static("\"a\"");

    fn whole(body: Vec<u8>) -> Whole {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::ETAG, TAG);
        let (status, body, forms) = (StatusCode::OK, body.into(), Some(Forms::of(&TAG)));
        Whole { status, headers, etag: TAG, body, has_parts: true, forms }
    }

    fn text() -> Vec<u8> {
        b"the same line again and again\n".repeat(100)
    }

    fn wishes(accept: &str) -> Wishes {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(accept).unwrap());
        Wishes::of(&headers)
    }

    fn lacks(whole: &Whole, accept: &str) -> Option<Encoding> {
        whole.forms.as_ref().unwrap().lacks(wishes(accept))
    }

    fn sent(whole: &Whole, accept: &str) -> Option<Encoding> {
        whole.form(wishes(accept)).map(|form| form.encoding)
    }

    #[test]
    fn what_is_worth_it_and_not_forbidden_has_forms() {
        let may = |status: u16, fields: &[(&'static str, &'static str)], length: usize| {
            let fields = fields.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
            let headers: HeaderMap = fields.collect();
            may_have(StatusCode::from_u16(status).unwrap(), &headers, &vec![b'a'; length])
        };
        let html = ("content-type", "text/html; charset=utf-8");
        for status in [200, 404, 410] {
            assert!(may(status, &[html], limits::ENCODED_FROM_BYTES), "{status}");
        }
        assert!(may(200, &[("content-type", "application/json"), ("cache-control", "max-age=5")], 5_000));
        assert!(!may(200, &[html], limits::ENCODED_FROM_BYTES - 1));
        assert!(!may(204, &[html], 5_000) && !may(304, &[html], 5_000));
        assert!(!may(200, &[], 5_000) && !may(200, &[("content-type", "image/png")], 5_000));
        assert!(!may(200, &[html, ("content-encoding", "gzip")], 5_000));
        assert!(!may(200, &[html, ("cache-control", "max-age=5, No-Transform")], 5_000));
    }

    #[test]
    fn a_form_is_its_response_in_another_coding() {
        let whole = whole(text());
        let forms = whole.forms.as_ref().unwrap();
        let mut bytes = forms.bytes();
        for encoding in Encoding::ALL {
            let form = whole.make(encoding).unwrap();
            assert!(encoding.is_of(&form.body, &whole.body));
            assert_eq!(form.headers[header::CONTENT_LENGTH], form.body.len().to_string());
            assert_eq!(form.headers[header::CONTENT_ENCODING], encoding.name());
            assert_eq!(form.headers[header::ETAG], format!("\"a-{}\"", encoding.name()));
            assert_eq!(form.headers[header::CONTENT_TYPE], "text/html");
            assert!(!form.headers.contains_key(header::ACCEPT_RANGES));
            assert!(forms.bytes() >= bytes + form.body.len(), "a form weighs what it has");
            bytes = forms.bytes();
            assert!(std::ptr::eq(form, whole.make(encoding).unwrap()), "it is made once");
        }
    }

    #[test]
    fn what_is_there_is_sent_and_what_would_be_liked_better_is_made() {
        let whole = whole(text());
        assert_eq!((sent(&whole, "gzip, br"), lacks(&whole, "gzip, br")), (None, Some(Encoding::Brotli)));
        whole.make(Encoding::Gzip);
        whole.forms.as_ref().unwrap().0[Encoding::Gzip as usize].claimed.store(true, Ordering::Relaxed);
        assert_eq!(
            (sent(&whole, "gzip, br"), lacks(&whole, "gzip, br")),
            (Some(Encoding::Gzip), Some(Encoding::Brotli))
        );
        assert_eq!((sent(&whole, "br"), lacks(&whole, "br")), (None, Some(Encoding::Brotli)));
        assert_eq!((sent(&whole, "gzip, br;q=0.9"), lacks(&whole, "gzip, br;q=0.9")), (Some(Encoding::Gzip), None));
        assert_eq!((sent(&whole, "identity, gzip;q=0.5"), lacks(&whole, "identity, gzip;q=0.5")), (None, None));
        assert_eq!((sent(&whole, ""), lacks(&whole, "")), (None, None));
        whole.forms.as_ref().unwrap().0[Encoding::Brotli as usize].claimed.store(true, Ordering::Relaxed);
        assert_eq!(lacks(&whole, "gzip, br"), None, "somebody makes it");
    }

    #[test]
    fn what_saves_too_little_is_not_kept_and_not_tried_again() {
        let mut noise = vec![0; 4_096];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        let whole = whole(noise);
        for encoding in Encoding::ALL {
            assert_eq!(lacks(&whole, "br, gzip, zstd"), Some(encoding));
            assert!(whole.make(encoding).is_none());
        }
        assert_eq!((sent(&whole, "br, gzip, zstd"), lacks(&whole, "br, gzip, zstd")), (None, None));
    }

    proptest! {
        /// Beside all that could be sent, looked at one by one.
        #[test]
        fn the_best_liked_and_then_the_smallest_is_sent(
            made in prop::sample::subsequence(Encoding::ALL.to_vec(), 0..=3),
            qualities in prop::array::uniform4(prop::sample::select(vec![0_u32, 1, 5, 9])),
        ) {
            let whole = whole(text());
            for encoding in &made {
                whole.make(*encoding);
            }
            let [identity, br, zstd, gzip] = qualities;
            let accept = format!("identity;q=0.{identity}, br;q=0.{br}, zstd;q=0.{zstd}, gzip;q=0.{gzip}");
            let mut all = vec![(identity, whole.body.len(), None)];
            for (quality, encoding) in [(br, Encoding::Brotli), (zstd, Encoding::Zstd), (gzip, Encoding::Gzip)] {
                if quality > 0 && made.contains(&encoding) {
                    all.push((quality, whole.make(encoding).unwrap().body.len(), Some(encoding)));
                }
            }
            all.sort_by_key(|(quality, bytes, _)| (Reverse(*quality), *bytes));
            prop_assert_eq!(sent(&whole, &accept), all[0].2, "{} with {:?}", accept, made);
        }
    }
}
