//! The encoded forms of an app's static files: made once, where the app is packed, and carried in its archive.
//!
//! They lie beside the files, under a reserved prefix: `encoded/br/css/app.css` is what `static/css/app.css` is with
//! brotli. Whoever reads an archive checks that each decodes to its file, so that a visitor's browser, which takes the
//! one or the other, shows the same.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use nearside_protocol::limits;

use crate::{
    archive::{ArchiveError, STATIC},
    encoding::{Effort, Encoding},
    media_type,
};

pub(crate) const ENCODED: &str = "encoded/";

type Files = BTreeMap<String, Arc<[u8]>>;

/// Where a static file's encoded form lies. `path` is below the static folder.
pub(crate) fn path_of(encoding: Encoding, path: &str) -> String {
    format!("{ENCODED}{}/{path}", encoding.name())
}

/// The forms worth having: of kinds that compress, not of small files, and a tenth smaller at least.
pub(crate) fn forms(files: &Files) -> Files {
    let plain: Vec<(&str, &Arc<[u8]>)> = files
        .range(STATIC.to_owned()..)
        .map_while(|(path, bytes)| Some((path.strip_prefix(STATIC)?, bytes)))
        .filter(|(path, bytes)| media_type::compresses(path) && bytes.len() >= limits::ENCODED_FROM_BYTES)
        .collect();
    let work: Vec<(Encoding, &str, &Arc<[u8]>)> =
        plain.iter().flat_map(|(path, bytes)| Encoding::OF_FILES.map(|encoding| (encoding, *path, *bytes))).collect();
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Files::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |cores| cores.get()) {
            scope.spawn(|| {
                while let Some((encoding, path, bytes)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let encoded = encoding.encode(bytes, Effort::Packing);
                    if encoded.len() <= bytes.len() / 10 * 9 {
                        let mut made = made.lock().expect("BUG: nothing panics while holding what is made");
                        made.insert(path_of(*encoding, path), encoded.into());
                    }
                }
            });
        }
    });
    made.into_inner().expect("BUG: nothing panics while holding what is made")
}

/// All that lies under the prefix must be a true form of a static file.
pub(crate) fn check(files: &Files) -> Result<(), ArchiveError> {
    let forms = files.range(ENCODED.to_owned()..).map_while(|(path, bytes)| Some((path.strip_prefix(ENCODED)?, bytes)));
    for (name, encoded) in forms {
        let of_nothing = || {
            let why = format!("`{ENCODED}{name}` is no encoded form of a static file; `{ENCODED}` is the host's own");
            ArchiveError::Malformed(why)
        };
        let (coding, path) = name.split_once('/').ok_or_else(of_nothing)?;
        let encoding =
            Encoding::OF_FILES.into_iter().find(|encoding| encoding.name() == coding).ok_or_else(of_nothing)?;
        let plain = files.get(&format!("{STATIC}{path}")).ok_or_else(of_nothing)?;
        if !encoding.is_of(encoded, plain) {
            let why = format!("`{ENCODED}{name}` does not decode to `{STATIC}{path}`: pack the app again");
            return Err(ArchiveError::Malformed(why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(all: &[(&str, &[u8])]) -> Files {
        all.iter().map(|(path, bytes)| (path.to_string(), Arc::from(*bytes))).collect()
    }

    #[test]
    fn forms_are_made_where_they_save_something() {
        let text = b"the same line again and again\n".repeat(100);
        let mut noise = Vec::new();
        blake3::Hasher::new().finalize_xof().fill({
            noise.resize(4_096, 0);
            &mut noise
        });
        let all = files(&[
            ("static/a.css", &text),
            ("static/d/b.js", &text),
            ("static/small.css", &text[..900]),
            ("static/a.png", &text),
            ("static/noise.txt", &noise),
            ("staticky.css", &text),
        ]);
        let made = forms(&all);
        let paths: Vec<&str> = made.keys().map(String::as_str).collect();
        assert_eq!(paths, ["encoded/br/a.css", "encoded/br/d/b.js", "encoded/gzip/a.css", "encoded/gzip/d/b.js"]);
        assert_eq!(made, forms(&all));
        let mut whole = all;
        whole.extend(made);
        check(&whole).unwrap();
    }

    #[test]
    fn a_form_of_another_file_is_refused() {
        let text = b"a line of text".as_slice();
        let of = |encoding: Encoding, plain: &[u8]| encoding.encode(plain, Effort::Packing);
        for (path, bytes, expected) in [
            ("encoded/br/a.css", of(Encoding::Brotli, b"another text"), "does not decode"),
            ("encoded/br/a.css", of(Encoding::Gzip, text), "does not decode"),
            ("encoded/gzip/a.css", of(Encoding::Gzip, &[0; 1 << 20]), "does not decode"),
            ("encoded/gzip/b.css", of(Encoding::Gzip, text), "no encoded form"),
            ("encoded/zstd/a.css", of(Encoding::Gzip, text), "no encoded form"),
            ("encoded/br", Vec::new(), "no encoded form"),
        ] {
            let error = check(&files(&[("static/a.css", text), (path, &bytes)])).unwrap_err().to_string();
            assert!(error.contains(expected), "{path}: {error}");
        }
    }
}
