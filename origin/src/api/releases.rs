//! Releases as they are given out: manifests, the objects that lead to them, single pages, whole files.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody, channel::Channel};
use hyper::body::Frame;
use nearside_host::pages::Kept;
use nearside_protocol::{
    digest::Digest,
    limits::{self, PAGE_BYTES},
    release::{Manifest, ReleaseId},
    status::Held,
    wire::{Difference, RELEASE_TRACE_HEADER, ReleaseInfo, Releases},
};
use object_store::GetRange;

use super::{BYTES, JSON, SQLITE, answered, json, with_type};
use crate::{
    api_error::ApiError,
    body::{self, Body},
    bucket::{Bucket, Name},
    encode,
    press::manifest_of,
    site::Site,
};

/// All releases that are kept, new to old.
pub(crate) fn list(site: &Site) -> Releases {
    let kept: Vec<(Kept, Manifest)> =
        site.pages.kept().into_iter().filter_map(|kept| manifest_of(&kept).map(|manifest| (kept, manifest))).collect();
    let info = |(at, (kept_one, manifest)): (usize, &(Kept, Manifest))| {
        let is_same =
            |older: &&(Kept, Manifest)| older.1.root == manifest.root && older.1.app_digest == manifest.app_digest;
        let delta = manifest.deltas.iter().find(|offer| Some(offer.from_release) == manifest.parent);
        ReleaseInfo {
            release: manifest.release,
            parent: manifest.parent,
            created_at_ms: manifest.created_at_ms,
            applied_commit: manifest.applied_commit,
            root: manifest.root,
            page_count: manifest.page_count,
            database_bytes: manifest.database_bytes(),
            app_digest: manifest.app_digest,
            rolled_back_to: manifest.rolled_back_to,
            candidate: manifest.candidate.clone(),
            same_as: kept[..at].iter().find(is_same).map(|(_, same)| same.release),
            delta_pages: delta.map(|offer| offer.pages),
            delta_bytes: delta.map(|offer| offer.bytes),
            base: manifest.base.clone(),
            key: kept_one.signed.key.clone(),
        }
    };
    let releases = kept.iter().enumerate().map(info).rev().collect();
    let hold = site.running().and_then(|running| running.hold());
    let held = hold.map(|hold| Held { rolled_back_to: hold.rolled_back_to, since_ms: hold.since_ms });
    Releases { held, canary: site.canary(), releases }
}

pub(super) async fn manifest(site: &Site, release: ReleaseId) -> Result<Response<Body>, ApiError> {
    if let Some(kept) = kept(site, release) {
        let mut response = json(&*kept.signed);
        if let Some(context) = site.running().and_then(|running| running.writer.trail().of(release)) {
            let value = HeaderValue::from_str(&context.to_string()).expect("BUG: hexadecimal digits");
            response.headers_mut().insert(RELEASE_TRACE_HEADER, value);
        }
        return Ok(response);
    }
    // One that is newer than the pages here: somebody restored them from a backup.
    let there = site.objects.bucket.get(Name::Release(release), limits::MANIFEST_BYTES as u64).await?;
    let text = there.ok_or_else(|| ApiError::not_found(format!("`{}` has no release {release}", site.name())))?;
    Ok(answered(JSON, text))
}

/// An object out of the object store; deltas and bases are made when they are missing and their releases are kept.
pub(super) async fn object(site: &Site, name: Name, headers: &HeaderMap) -> Result<Response<Body>, ApiError> {
    if let Some(response) = from(&site.objects.bucket, name, headers).await? {
        return Ok(response);
    }
    if site.made.make(name).await?
        && let Some(response) = from(&site.made.bucket, name, headers).await?
    {
        return Ok(response);
    }
    Err(ApiError::not_found(match name {
        Name::Archive(digest) => format!("`{}` has no archive {digest}", site.name()),
        _ => format!("`{}` does not keep what {name} would be made of", site.name()),
    }))
}

/// These pages of a kept release, one after the other.
pub(super) async fn pages(site: &Site, root: Digest, query: Option<&str>) -> Result<Response<Body>, ApiError> {
    let table = table(site, &root)?.table;
    let wrong = || {
        ApiError::bad_request(format!(
            "pages needs ?numbers=3,17: page numbers counted from 0, at most {}",
            limits::REPAIR_PAGES
        ))
    };
    let numbers =
        query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("numbers="))).ok_or_else(wrong)?;
    let numbers = numbers.split(',').map(str::parse).collect::<Result<Vec<u32>, _>>().map_err(|_| wrong())?;
    if numbers.len() > limits::REPAIR_PAGES {
        return Err(wrong());
    }
    if let Some(number) = numbers.iter().find(|number| **number >= table.pages()) {
        return Err(ApiError::not_found(format!("there is no page {number}: the snapshot has {}", table.pages())));
    }
    let read = move || {
        let mut bytes = vec![0; numbers.len() * PAGE_BYTES];
        for (number, page) in numbers.iter().zip(bytes.as_chunks_mut().0) {
            table.read(*number, page)?;
        }
        Ok::<_, nearside_host::pages::PagesError>(bytes)
    };
    let bytes = tokio::task::spawn_blocking(read).await.map_err(|_| stopping())?;
    let bytes = bytes.map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(answered(BYTES, bytes))
}

/// The SQLite file of a kept release, as it is read.
pub(super) fn snapshot(site: &Site, root: Digest) -> Result<Response<Body>, ApiError> {
    const PAGES_AT_ONCE: u32 = 64;
    let table = table(site, &root)?.table;
    let bytes = u64::from(table.pages()) * PAGE_BYTES as u64;
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(4);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        for first in (0..table.pages()).step_by(PAGES_AT_ONCE as usize) {
            let numbers = first..(first + PAGES_AT_ONCE).min(table.pages());
            let mut piece = vec![0; numbers.len() * PAGE_BYTES];
            let read = numbers.zip(piece.as_chunks_mut().0).try_for_each(|(number, page)| table.read(number, page));
            if let Err(error) = read {
                return sender.abort(std::io::Error::other(error));
            }
            // Whoever asked may have gone.
            if runtime.block_on(sender.send_data(piece.into())).is_err() {
                return;
            }
        }
    });
    let mut response = with_type(SQLITE, body.boxed_unsync());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    Ok(response)
}

pub(super) async fn difference(site: &Site, from: ReleaseId, to: ReleaseId) -> Result<Response<Body>, ApiError> {
    let found = |release| kept(site, release).and_then(|kept| manifest_of(&kept).map(|manifest| (kept, manifest)));
    let missing = |release| ApiError::not_found(format!("`{}` does not keep release {release}", site.name()));
    let (one, from_manifest) = found(from).ok_or_else(|| missing(from))?;
    let (other, to_manifest) = found(to).ok_or_else(|| missing(to))?;
    let (one, other) = (one.table, other.table);
    let (of_one, of_other) = (one.clone(), other.clone());
    let delta = tokio::task::spawn_blocking(move || encode::delta(&of_one, &of_other, std::io::sink()));
    let delta = delta.await.map_err(|_| stopping())?;
    let delta = delta.map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(json(&Difference {
        from,
        to,
        from_root: one.root(),
        to_root: other.root(),
        from_pages: u64::from(one.pages()),
        to_pages: u64::from(other.pages()),
        changed_pages: u64::from(delta.pages),
        delta_bytes: delta.bytes,
        same_app: from_manifest.app_digest == to_manifest.app_digest,
    }))
}

fn kept(site: &Site, release: ReleaseId) -> Option<Kept> {
    site.pages.kept().into_iter().find(|kept| kept.release == release)
}

fn table(site: &Site, root: &Digest) -> Result<Kept, ApiError> {
    site.pages.find(root).ok_or_else(|| ApiError::not_found(format!("`{}` has no snapshot {root}", site.name())))
}

fn stopping() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the origin is stopping")
}

/// An object, or the one range of it that is asked for; none when the bucket has none of that name.
async fn from(bucket: &Bucket, name: Name, headers: &HeaderMap) -> Result<Option<Response<Body>>, ApiError> {
    let Some((bytes, e_tag)) = bucket.about(name).await? else { return Ok(None) };
    let e_tag = e_tag.filter(|tag| HeaderValue::from_str(tag).is_ok());
    let same = |name| headers.get(name).is_none_or(|value| value.to_str().ok() == e_tag.as_deref());
    // Ranges of two different versions do not make a whole.
    let asked =
        if same(header::IF_RANGE) { headers.get(header::RANGE).and_then(|value| value.to_str().ok()) } else { None };
    let range = match asked.and_then(|asked| range_in(asked, bytes)) {
        Some(Err(())) => {
            let mut response = Response::new(body::full(""));
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            insert(&mut response, header::CONTENT_RANGE, format!("bytes */{bytes}"));
            return Ok(Some(response));
        }
        Some(Ok(range)) => Some(range),
        None => None,
    };
    let wanted = range.clone().map(GetRange::Bounded);
    let Some(object) = bucket.open_object(name, wanted).await? else { return Ok(None) };
    let coming = object.range.clone();
    let stream = futures_stream(object.result);
    let mut response = with_type(BYTES, stream);
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        insert(&mut response, header::CONTENT_RANGE, format!("bytes {}-{}/{bytes}", coming.start, coming.end - 1));
    }
    insert(&mut response, header::CONTENT_LENGTH, (coming.end - coming.start).to_string());
    insert(&mut response, header::ACCEPT_RANGES, "bytes".into());
    if let Some(tag) = e_tag {
        insert(&mut response, header::ETAG, tag);
    }
    Ok(Some(response))
}

fn insert(response: &mut Response<Body>, name: header::HeaderName, value: String) {
    let value = HeaderValue::try_from(value).expect("BUG: numbers, and what was looked at, fit in a header");
    response.headers_mut().insert(name, value);
}

/// The bytes as they come from the object store.
fn futures_stream(result: object_store::GetResult) -> Body {
    use futures_util::StreamExt;
    let frames = result.into_stream().map(|piece| piece.map(Frame::data).map_err(std::io::Error::other));
    StreamBody::new(frames).boxed_unsync()
}

/// A single range of so many bytes; nothing for what is no range or several, which a server may leave unheard; an error for
/// one that has none of the bytes.
fn range_in(text: &str, bytes: u64) -> Option<Result<std::ops::Range<u64>, ()>> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if last < first => return None,
        (Ok(first), Ok(last)) => first..bytes.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.is_empty() => first..bytes,
        (Err(_), Ok(last)) if first.is_empty() => bytes.saturating_sub(last)..bytes,
        _ => return None,
    };
    Some(if range.start < range.end { Ok(range) } else { Err(()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_heard() {
        for (text, expected) in [
            ("bytes=0-3", Some(Ok(0..4))),
            ("bytes=7-", Some(Ok(7..10))),
            ("bytes=-4", Some(Ok(6..10))),
            ("bytes=-40", Some(Ok(0..10))),
            ("bytes=5-500", Some(Ok(5..10))),
            ("bytes=10-", Some(Err(()))),
            ("bytes=-0", Some(Err(()))),
            ("bytes=3-2", None),
            ("bytes=0-1,3-4", None),
            ("pages=0-1", None),
            ("bytes=-", None),
        ] {
            assert_eq!(range_in(text, 10), expected, "{text}");
        }
    }
}
