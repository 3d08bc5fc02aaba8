//! An app's static files, in memory, answered without its code.
//!
//! A file has two addresses. `/static/app.css` is the file of the release being served: browsers ask each time whether
//! it is still the same. `/static/app.3f9a2c81d0b4e67f.css` is named after its content: browsers keep it for ever.
//!
//! An address with another hash than the file has now is answered with the file as it is now, to be asked for again.
//! While a push goes round, a page of the release before may come from one node and its stylesheet from another one,
//! that has moved on: the newer stylesheet does more for that page than none.

use std::{borrow::Cow, collections::HashMap};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use nearside_protocol::{digest::Digest, wire::RELEASE_HEADER};

use crate::{
    archive::Archive,
    code::shared,
    encoding::{self, Encoding},
    media_type,
    target::encode_segment,
};

/// What every address of a static file begins with.
pub const STATIC: &str = "/static/";
/// Of the hash in an address and in an ETag: 64 bits.
const HASH_DIGITS: usize = 16;

#[derive(Default)]
pub struct StaticFiles {
    files: Vec<StaticFile>,
    /// Both names of each file, below `/static/`, without escapes.
    names: HashMap<String, Named>,
}

#[derive(Clone, Copy)]
struct Named {
    /// Index among the files.
    file: usize,
    by_content: bool,
}

pub struct StaticFile {
    /// The address named after its content, as it stands in a page.
    url: String,
    plain: Form,
    brotli: Option<Form>,
    gzip: Option<Form>,
}

/// One encoding of a file, ready to be sent: nothing is made for a request that could be made before.
pub struct Form {
    pub etag: HeaderValue,
    /// All of them, so that a copy has its final size; those that differ by request are put in their places.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Only of a file as it stands are parts sent.
    pub has_parts: bool,
}

/// A file, by one of its names.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    pub file: &'a StaticFile,
    /// The name is that of this content, so it never stands for another.
    pub is_immutable: bool,
}

impl StaticFiles {
    pub fn load(archive: &Archive) -> StaticFiles {
        let mut all = StaticFiles::default();
        let mut by_content = Vec::new();
        for (path, bytes) in archive.static_files() {
            let hash = Digest::of(bytes).to_string()[..HASH_DIGITS].to_owned();
            let hashed = hashed_name(path, &hash);
            let form = |encoding: Option<Encoding>, body: Bytes, has_others: bool| {
                Form::new(path, &hash, encoding, body, has_others)
            };
            let [brotli, gzip] = Encoding::OF_FILES
                .map(|encoding| archive.encoded(encoding, path).map(|bytes| form(Some(encoding), shared(bytes), true)));
            let plain = form(None, shared(bytes), brotli.is_some() || gzip.is_some());
            all.names.insert(path.to_owned(), Named { file: all.files.len(), by_content: false });
            by_content.push((hashed.clone(), Named { file: all.files.len(), by_content: true }));
            all.files.push(StaticFile { url: url(&hashed), plain, brotli, gzip });
        }
        // A file that really has such a name comes first.
        for (name, named) in by_content {
            all.names.entry(name).or_insert(named);
        }
        all
    }

    /// `path` is what follows `/static/`, with no escapes left in it.
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        if let Some(named) = self.names.get(path) {
            return Some(Found { file: &self.files[named.file], is_immutable: named.by_content });
        }
        let named = self.names.get(without_hash(path)?.as_ref()).filter(|named| !named.by_content)?;
        Some(Found { file: &self.files[named.file], is_immutable: false })
    }

    /// The address that is named after the content.
    pub fn url(&self, path: &str) -> Option<&str> {
        let named = self.names.get(path).filter(|named| !named.by_content)?;
        Some(&self.files[named.file].url)
    }
}

impl StaticFile {
    /// The form this client likes best.
    pub fn form(&self, request: &HeaderMap) -> &Form {
        let of = |encoding| match encoding {
            Encoding::Brotli => self.brotli.as_ref(),
            Encoding::Gzip => self.gzip.as_ref(),
            Encoding::Zstd => None,
        };
        if self.brotli.is_none() && self.gzip.is_none() {
            return &self.plain;
        }
        encoding::preferred(request, |encoding| of(encoding).is_some()).and_then(of).unwrap_or(&self.plain)
    }

    pub fn plain(&self) -> &Form {
        &self.plain
    }
}

impl Form {
    fn new(path: &str, hash: &str, encoding: Option<Encoding>, body: Bytes, has_others: bool) -> Form {
        let value = |text: &str| HeaderValue::from_str(text).expect("BUG: digits and names of encodings");
        let etag = match encoding {
            None => value(&format!("\"{hash}\"")),
            Some(encoding) => value(&format!("\"{hash}-{}\"", encoding.name())),
        };
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type::of_static(path)));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::ETAG, etag.clone());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(RELEASE_HEADER, HeaderValue::from_static(""));
        match encoding {
            Some(encoding) => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
            }
            None => {
                headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            }
        }
        if has_others {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        Form { etag, headers, body, has_parts: encoding.is_none() }
    }
}

/// `css/app.css` with a hash: `css/app.<hash>.css`. A name without an extension gets it at its end.
fn hashed_name(path: &str, hash: &str) -> String {
    let (stem, extension) = split(path);
    format!("{stem}.{hash}{extension}")
}

/// The name a hashed name was made of; None for what is none.
fn without_hash(path: &str) -> Option<Cow<'_, str>> {
    let is_hash =
        |text: &str| text.len() == HASH_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let (stem, extension) = split(path);
    if extension.strip_prefix('.').is_some_and(is_hash) {
        return Some(Cow::Borrowed(stem));
    }
    let (name, hash) = stem.rsplit_once('.')?;
    is_hash(hash).then(|| Cow::Owned(format!("{name}{extension}")))
}

/// A path before the last dot of its last segment, and from there on.
fn split(path: &str) -> (&str, &str) {
    let name_at = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name_at..].rfind('.') {
        Some(dot) if dot > 0 => path.split_at(name_at + dot),
        _ => (path, ""),
    }
}

fn url(name: &str) -> String {
    let mut url = STATIC.trim_end_matches('/').to_owned();
    for segment in name.split('/') {
        url.push('/');
        encode_segment(segment, &mut url);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef";

    #[test]
    fn a_hash_stands_before_the_extension_and_comes_out_again() {
        for (path, hashed) in [
            ("app.css", "app.0123456789abcdef.css"),
            ("d.d/app.min.css", "d.d/app.min.0123456789abcdef.css"),
            ("d.d/LICENSE", "d.d/LICENSE.0123456789abcdef"),
        ] {
            assert_eq!(hashed_name(path, HASH), hashed);
            assert_eq!(without_hash(hashed).as_deref(), Some(path));
        }
        for other in ["app.css", "app.0123456789abcdeF.css", "app.0123.css", HASH, "0123456789abcdef.css", "a/", ""] {
            assert_eq!(without_hash(other), None, "{other}");
        }
    }

    #[test]
    fn an_address_is_escaped() {
        assert_eq!(url("a b/ü.css"), "/static/a%20b/%C3%BC.css");
    }
}
