//! What a file's name says it is.

use std::path::Path;

fn extension(path: &str) -> &str {
    Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// The media type of an app's own file: its author is trusted with pages and scripts.
pub fn of_static(path: &str) -> &'static str {
    match extension(path) {
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "xml" => "application/xml",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "gif" => "image/gif",
        "ico" => "image/x-icon",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

/// Whether files of this kind get smaller: text in all its forms, and what is not compressed by itself.
pub fn compresses(path: &str) -> bool {
    is_compressible(of_static(path))
}

/// The same of a media type, as `Content-Type` has it.
pub fn is_compressible(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // Events are not held back to be compressed.
    kind.starts_with("text/") && kind != "text/event-stream"
        || kind.ends_with("json")
        || kind.ends_with("xml")
        || matches!(
            kind.as_str(),
            "application/javascript" | "application/wasm" | "font/ttf" | "font/otf" | "image/x-icon"
        )
}

/// The media types a visitor's file may be shown as: none that a browser would run. The page that links to it says
/// which one by the extension, so what was uploaded has no say in it.
pub fn of_blob(extension: &str) -> Option<Inert> {
    let inert = |content_type, is_shown| Some(Inert { content_type, is_shown });
    match extension {
        "png" => inert("image/png", true),
        "jpg" | "jpeg" => inert("image/jpeg", true),
        "webp" => inert("image/webp", true),
        "avif" => inert("image/avif", true),
        "gif" => inert("image/gif", true),
        "mp4" => inert("video/mp4", true),
        "webm" => inert("video/webm", true),
        "mp3" => inert("audio/mpeg", true),
        "ogg" => inert("audio/ogg", true),
        "txt" => inert("text/plain; charset=utf-8", true),
        "csv" => inert("text/csv; charset=utf-8", true),
        "json" => inert("application/json", true),
        "pdf" => inert("application/pdf", false),
        "zip" => inert("application/zip", false),
        "bin" => inert("application/octet-stream", false),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inert {
    pub content_type: &'static str,
    /// In the browser; else it is saved as a file.
    pub is_shown: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_runs_is_shown_for_a_visitor() {
        for extension in ["html", "htm", "svg", "js", "mjs", "xml", "xhtml", "css", "wasm", "", "PNG", "png.html"] {
            assert_eq!(of_blob(extension), None, "{extension}");
        }
        assert_eq!(of_blob("jpeg"), of_blob("jpg"));
        assert!(!of_blob("pdf").unwrap().is_shown);
    }

    #[test]
    fn text_compresses_and_pictures_do_not() {
        assert!(["a.css", "d/a.js", "a.svg", "a.json", "a.webmanifest", "a.wasm", "a.xml"].into_iter().all(compresses));
        assert!(
            ["text/html; charset=utf-8", "Application/JSON", "application/atom+xml"].into_iter().all(is_compressible)
        );
        assert!(!["", "text", "image/png", "text/event-stream", "application/x"].into_iter().any(is_compressible));
        assert!(!["a.png", "a.woff2", "a.mp4", "a.zip", "a", "css"].into_iter().any(compresses));
    }
}
