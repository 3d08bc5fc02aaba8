//! An app's static files, in memory, answered without its code.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use http::HeaderValue;
use nearside_protocol::digest::Digest;

use crate::{archive::Archive, code::shared};

pub struct StaticFiles(BTreeMap<String, StaticFile>);

#[derive(Clone)]
pub struct StaticFile {
    pub content_type: HeaderValue,
    pub etag: HeaderValue,
    pub body: Bytes,
}

impl StaticFiles {
    pub fn load(archive: &Archive) -> StaticFiles {
        let file = |(path, bytes): (&str, _)| {
            let body = shared(bytes);
            let etag = format!("\"{}\"", Digest::of(&body).short());
            let file = StaticFile {
                content_type: HeaderValue::from_static(content_type(path)),
                etag: HeaderValue::from_str(&etag).expect("BUG: a digest is visible ASCII"),
                body,
            };
            (path.to_owned(), file)
        };
        StaticFiles(archive.static_files().map(file).collect())
    }

    /// `path` is what follows `/static/`, with no escapes left in it.
    pub fn get(&self, path: &str) -> Option<&StaticFile> {
        self.0.get(path)
    }
}

fn content_type(path: &str) -> &'static str {
    match Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "json" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "gif" => "image/gif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}
