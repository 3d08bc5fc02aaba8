//! An app packed into one file: a tar of what its manifest names, in order of path, compressed.
//!
//! The same files give the same bytes, so the archive's digest is the app's version. A quick pack, without the encoded
//! forms of static files, is another version of the same app.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Component as PathPart, Path},
    sync::Arc,
};

use nearside_protocol::{
    app::{self, App, AppError},
    digest::Digest,
    limits, queries,
};

use crate::{encoded, encoding::Encoding};

const COMPRESSION_LEVEL: i32 = 9;
pub const MIGRATIONS: &str = "migrations/";
pub const SNAPSHOT: &str = "snapshot.sql";
pub(crate) const STATIC: &str = "static/";

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error(transparent)]
    App(#[from] AppError),
    #[error("{0}: {1}")]
    Read(String, std::io::Error),
    #[error("{file}: {why}")]
    Component { file: String, why: String },
    #[error("the archive is not readable: {0}")]
    Malformed(String),
    #[error("the archive is over its limit: {0}")]
    TooLarge(String),
}

/// An app's files, by path inside the archive. Components lie at `components/<name>.wasm`, whatever they were called.
#[derive(Clone)]
pub struct Archive {
    pub app: App,
    files: BTreeMap<String, Arc<[u8]>>,
}

impl Archive {
    /// Collects what the manifest in `folder` names.
    pub fn collect(folder: &Path) -> Result<Archive, ArchiveError> {
        let read = |name: &str| {
            std::fs::read(folder.join(name))
                .map(Arc::<[u8]>::from)
                .map_err(|error| ArchiveError::Read(folder.join(name).display().to_string(), error))
        };
        let manifest = read(app::FILE_NAME)?;
        let app = App::parse(&text_of(app::FILE_NAME, &manifest)?)?;
        let mut files = BTreeMap::from([(app::FILE_NAME.to_owned(), manifest)]);

        for (name, path) in &app.components {
            let wasm = read(path).map_err(|error| match error {
                ArchiveError::Read(file, error) if error.kind() == std::io::ErrorKind::NotFound => {
                    ArchiveError::Component {
                        file,
                        why: format!("component `{name}` is not there: run `nearside build` first"),
                    }
                }
                other => other,
            })?;
            files.insert(component_path(name), wasm);
        }
        for command in app.commands.values() {
            files.insert(command.schema.clone(), read(&command.schema)?);
        }
        for optional in [queries::FILE_NAME, SNAPSHOT] {
            if folder.join(optional).is_file() {
                files.insert(optional.to_owned(), read(optional)?);
            }
        }
        let migrations = folder.join(MIGRATIONS);
        if migrations.is_dir() {
            collect_folder(&migrations, MIGRATIONS, &mut files)?;
        }
        if let Some(name) = &app.static_folder {
            collect_folder(&folder.join(name), STATIC, &mut files)?;
        }
        if files.len() > limits::APP_FILES {
            return Err(ArchiveError::TooLarge(format!("{} files; at most {}", files.len(), limits::APP_FILES)));
        }
        Ok(Archive { app, files })
    }

    /// Adds the encoded forms of its static files. Takes a second for each megabyte or so: a push while developing does
    /// without.
    pub fn with_encoded(mut self) -> Archive {
        self.files.extend(encoded::forms(&self.files));
        self
    }

    pub fn pack(&self) -> Result<Vec<u8>, ArchiveError> {
        let malformed = |error: std::io::Error| ArchiveError::Malformed(error.to_string());
        let mut tar = tar::Builder::new(Vec::new());
        for (path, bytes) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, &bytes[..]).map_err(malformed)?;
        }
        let tar = tar.into_inner().map_err(malformed)?;
        let packed = zstd::encode_all(&tar[..], COMPRESSION_LEVEL).map_err(malformed)?;
        if packed.len() > limits::APP_ARCHIVE_BYTES {
            return Err(ArchiveError::TooLarge(format!(
                "{} bytes; at most {}",
                packed.len(),
                limits::APP_ARCHIVE_BYTES
            )));
        }
        Ok(packed)
    }

    /// Reads an archive that may come from anywhere.
    pub fn unpack(packed: &[u8]) -> Result<Archive, ArchiveError> {
        let malformed = |error: std::io::Error| ArchiveError::Malformed(error.to_string());
        let decoder = zstd::Decoder::new(packed).map_err(malformed)?;
        let mut tar = tar::Archive::new(decoder.take(limits::APP_UNPACKED_BYTES as u64 + 1));
        let mut files = BTreeMap::new();
        let mut unpacked_bytes = 0;
        for entry in tar.entries().map_err(malformed)? {
            let mut entry = entry.map_err(malformed)?;
            let path = entry.path().map_err(malformed)?.into_owned();
            let plain = path.components().all(|part| matches!(part, PathPart::Normal(_)));
            let Some(name) = path.to_str().filter(|_| plain && entry.header().entry_type().is_file()) else {
                return Err(ArchiveError::Malformed(format!(
                    "`{}` is not a plain file below the app's folder",
                    path.display()
                )));
            };
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(malformed)?;
            unpacked_bytes += bytes.len();
            files.insert(name.to_owned(), Arc::<[u8]>::from(bytes));
            if unpacked_bytes > limits::APP_UNPACKED_BYTES || files.len() > limits::APP_ENTRIES {
                return Err(ArchiveError::TooLarge(format!(
                    "{unpacked_bytes} bytes in {} files, unpacked; at most {} in {}",
                    files.len(),
                    limits::APP_UNPACKED_BYTES,
                    limits::APP_ENTRIES
                )));
            }
        }
        let manifest = files
            .get(app::FILE_NAME)
            .ok_or_else(|| ArchiveError::Malformed(format!("it has no {}", app::FILE_NAME)))?;
        let app = App::parse(&text_of(app::FILE_NAME, manifest)?)?;
        encoded::check(&files)?;
        let archive = Archive { app, files };
        for name in archive.app.components.keys() {
            if archive.component(name).is_none() {
                return Err(ArchiveError::Malformed(format!("component `{name}` is missing")));
            }
        }
        Ok(archive)
    }

    pub fn digest(packed: &[u8]) -> Digest {
        Digest::of(packed)
    }

    pub fn component(&self, name: &str) -> Option<&Arc<[u8]>> {
        self.files.get(&component_path(name))
    }

    /// A file as text; an absent one is empty.
    pub fn text(&self, name: &str) -> Result<String, ArchiveError> {
        self.files.get(name).map_or(Ok(String::new()), |bytes| text_of(name, bytes))
    }

    /// Migrations in the order of their names: `(file name, SQL)`.
    pub fn migrations(&self) -> Result<Vec<(String, String)>, ArchiveError> {
        self.below(MIGRATIONS)
            .filter(|(path, _)| path.ends_with(".sql"))
            .map(|(path, bytes)| Ok((path.to_owned(), text_of(path, bytes)?)))
            .collect()
    }

    /// Static files: `(path below the static folder, bytes)`.
    pub fn static_files(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        self.below(STATIC).map(|(path, bytes)| (&path[STATIC.len()..], bytes))
    }

    /// The encoded form of a static file, where there is one.
    pub fn encoded(&self, encoding: Encoding, path: &str) -> Option<&Arc<[u8]>> {
        self.files.get(&encoded::path_of(encoding, path))
    }

    /// Paths of all files whose paths begin so.
    pub fn files_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.below(prefix).map(|(path, _)| path)
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Arc<[u8]>)> {
        self.files
            .range(prefix.to_owned()..)
            .take_while(move |(path, _)| path.starts_with(prefix))
            .map(|(path, bytes)| (path.as_str(), bytes))
    }
}

fn component_path(name: &str) -> String {
    format!("components/{name}.wasm")
}

fn text_of(name: &str, bytes: &[u8]) -> Result<String, ArchiveError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| ArchiveError::Malformed(format!("{name} is not UTF-8 text")))
}

fn collect_folder(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Arc<[u8]>>) -> Result<(), ArchiveError> {
    let fault = |error| ArchiveError::Read(folder.display().to_string(), error);
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let Some(name) = entry.file_name().to_str().map(|name| format!("{prefix}{name}")) else {
            return Err(ArchiveError::Malformed(format!("{}: its name is not UTF-8", entry.path().display())));
        };
        // Editors and systems leave files behind that nobody means to publish.
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.path().is_dir() {
            collect_folder(&entry.path(), &format!("{name}/"), files)?;
        } else {
            let bytes = std::fs::read(entry.path())
                .map_err(|error| ArchiveError::Read(entry.path().display().to_string(), error))?;
            files.insert(name, bytes.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("nearside.toml", "name = \"a\"\nhosts = [\"a\"]\nstatic = \"public\"\n[components]\np = \"p.wasm\"\n");
        write("p.wasm", "\0asm");
        write("migrations/0002.sql", "two");
        write("migrations/0001.sql", "one");
        write("public/img/a.svg", "<svg/>");
        write("public/.hidden", "x");
        folder
    }

    #[test]
    fn the_same_files_give_the_same_bytes_and_come_back() {
        let folder = folder();
        let packed = Archive::collect(folder.path()).unwrap().pack().unwrap();
        assert_eq!(packed, Archive::collect(folder.path()).unwrap().pack().unwrap());
        let archive = Archive::unpack(&packed).unwrap();
        let migrations: Vec<_> = archive.migrations().unwrap().into_iter().map(|(_, sql)| sql).collect();
        assert_eq!(migrations, ["one", "two"]);
        assert_eq!(archive.static_files().map(|(path, _)| path).collect::<Vec<_>>(), ["img/a.svg"]);
        assert!(archive.component("p").is_some());
    }

    #[test]
    fn encoded_forms_travel_along_and_are_no_files_of_their_own() {
        let folder = folder();
        std::fs::write(folder.path().join("public/a.css"), "a { color: red }\n".repeat(100)).unwrap();
        let pack = || Archive::collect(folder.path()).unwrap().with_encoded().pack().unwrap();
        let packed = pack();
        assert_eq!(packed, pack());
        let archive = Archive::unpack(&packed).unwrap();
        assert!(archive.encoded(Encoding::Brotli, "a.css").is_some_and(|bytes| bytes.len() < 100));
        assert!(archive.encoded(Encoding::Brotli, "img/a.svg").is_none());
        assert_eq!(archive.static_files().map(|(path, _)| path).collect::<Vec<_>>(), ["a.css", "img/a.svg"]);
    }

    #[test]
    fn hostile_archives_are_refused() {
        assert!(Archive::unpack(b"nonsense").is_err());
        assert!(Archive::unpack(&zstd::encode_all(&b""[..], 1).unwrap()).is_err());
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        // `append_data` refuses `..` itself, so the name is written by hand.
        header.as_old_mut().name[..4].copy_from_slice(b"../x");
        header.set_cksum();
        tar.append(&header, &b"x"[..]).unwrap();
        let packed = zstd::encode_all(&tar.into_inner().unwrap()[..], 1).unwrap();
        let Err(error) = Archive::unpack(&packed) else { panic!("a path out of the folder was taken") };
        assert!(error.to_string().contains("not a plain file"), "{error}");
    }

    #[test]
    fn a_component_that_was_not_built_is_named() {
        let folder = folder();
        std::fs::remove_file(folder.path().join("p.wasm")).unwrap();
        let Err(error) = Archive::collect(folder.path()) else { panic!() };
        assert!(error.to_string().contains("run `nearside build` first"), "{error}");
    }
}
