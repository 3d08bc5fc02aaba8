//! Packages from a Debian index: what `apt-cache dumpavail` prints.

use std::{
    collections::HashSet,
    fmt,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    package::{PACKAGES_MAX, Package, is_name},
    record::{Record, Records},
    relation,
    translation::{self, Wanted},
};

/// Where apt keeps its lists.
const APT_LISTS: &str = "/var/lib/apt/lists";
/// One read from apt-cache or a file.
const READ_BUFFER_BYTES: usize = 256 << 10;
/// What stands for a section or a maintainer the index does not name.
const UNKNOWN: &str = "unknown";

/// This machine has nothing to import.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoIndex {
    #[error(
        "this machine has no apt-cache to read a package index from: \
         give an index with `--from FILE`, or invent a catalogue with `packages-import invent --out FILE.db`"
    )]
    NoAptCache,
    #[error(
        "this machine's package index is empty: run `apt-get update`, \
         or invent a catalogue with `packages-import invent --out FILE.db`"
    )]
    Empty,
}

#[derive(Debug)]
pub(crate) struct Index {
    /// Each name once, in no order.
    pub(crate) packages: Vec<Package>,
    pub(crate) skipped: Option<Skipped>,
}

/// Records that are well formed but name no package that could be shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    records: u64,
    first_line: u64,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, first_line } = self;
        write!(f, "skipped {records} records without a usable Package or Version, the first at line {first_line}")
    }
}

/// Reads the index from apt-cache, or from a file or (`-`) standard input when one is given.
pub(crate) fn read(from: Option<&Path>, translations: Option<&Path>) -> Result<Index> {
    let (mut parsed, apt_lists) = match from {
        None => {
            let apt_lists = Path::new(APT_LISTS);
            (read_apt_cache()?, apt_lists.is_dir().then_some(apt_lists))
        }
        Some(from) => (read_text(from)?, None),
    };
    if let Some(folder) = translations.or(apt_lists) {
        translation::fill(folder, &mut parsed.index.packages, parsed.wanted)?;
    }
    Ok(parsed.index)
}

fn read_apt_cache() -> Result<Parsed> {
    let mut apt_cache = AptCache::start()?;
    let stdout = apt_cache.0.stdout.take().expect("BUG: apt-cache is started with a piped stdout");
    let parsed =
        parse(BufReader::with_capacity(READ_BUFFER_BYTES, stdout)).context("in the output of `apt-cache dumpavail`")?;
    let status = apt_cache.0.wait().context("cannot wait for `apt-cache dumpavail`")?;
    ensure!(
        status.success(),
        "`apt-cache dumpavail` failed with {status}; what it said is above, and `apt-get update` may help"
    );
    // Without lists apt-cache still prints the installed packages, but those come from no archive.
    if !parsed.any_from_archive {
        bail!(NoIndex::Empty);
    }
    Ok(parsed)
}

fn read_text(from: &Path) -> Result<Parsed> {
    let (name, input): (_, Box<dyn BufRead>) = if from.as_os_str() == "-" {
        ("standard input".to_owned(), Box::new(io::stdin().lock()))
    } else {
        let name = from.display().to_string();
        let file = File::open(from).with_context(|| format!("cannot open the index {name}"))?;
        (name, Box::new(BufReader::with_capacity(READ_BUFFER_BYTES, file)))
    };
    let parsed =
        parse(input).with_context(|| format!("in {name}, which should hold what `apt-cache dumpavail` prints"))?;
    ensure!(!parsed.index.packages.is_empty(), "{name} holds no packages: give what `apt-cache dumpavail` prints");
    Ok(parsed)
}

/// The running apt-cache; it does not outlive an import that fails half-way.
#[derive(Debug)]
struct AptCache(Child);

impl AptCache {
    fn start() -> Result<Self> {
        let spawned = Command::new("apt-cache").arg("dumpavail").stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        match spawned {
            Ok(child) => Ok(Self(child)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(NoIndex::NoAptCache),
            Err(error) => Err(error).context("cannot run `apt-cache dumpavail`"),
        }
    }
}

impl Drop for AptCache {
    fn drop(&mut self) {
        // Both fail harmlessly when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Debug)]
struct Parsed {
    index: Index,
    wanted: Wanted,
    /// Whether any record names a file of an archive, rather than only an installed package.
    any_from_archive: bool,
}

fn parse(input: impl BufRead) -> Result<Parsed> {
    let mut records = Records::new(input);
    let mut packages: Vec<Package> = Vec::new();
    let mut names = HashSet::new();
    let mut wanted = Wanted::new();
    let mut skipped: Option<Skipped> = None;
    let mut any_from_archive = false;
    while let Some(record) = records.next_record()? {
        let Some(package) = package(&record) else {
            skipped.get_or_insert(Skipped { records: 0, first_line: record.line }).records += 1;
            continue;
        };
        any_from_archive |= record.get("Filename").is_some();
        if !names.insert(package.name.clone()) {
            continue;
        }
        ensure!(packages.len() < PACKAGES_MAX as usize, "line {}: more than {PACKAGES_MAX} packages", record.line);
        if let (true, Some(md5)) = (package.description.is_empty(), record.get("Description-md5")) {
            wanted.insert((package.name.clone(), md5.to_owned()), packages.len());
        }
        packages.push(package);
    }
    Ok(Parsed { index: Index { packages, skipped }, wanted, any_from_archive })
}

fn package(record: &Record) -> Option<Package> {
    let name = record.get("Package").filter(|name| is_name(name))?;
    let version = record.get("Version").filter(|version| !version.is_empty())?;
    let text = record.get("Description").or_else(|| record.get("Description-en")).unwrap_or("");
    let (summary, description) = description(text);
    let relations = ["Depends", "Pre-Depends"].into_iter().filter_map(|field| record.get(field));
    Some(Package {
        name: name.to_owned(),
        version: version.to_owned(),
        section: record.get("Section").map_or(UNKNOWN, section).to_owned(),
        summary,
        description,
        homepage: record.get("Homepage").filter(|url| is_web_address(url)).map(str::to_owned),
        maintainer: record.get("Maintainer").map_or(UNKNOWN, maintainer).to_owned(),
        size_bytes: size_bytes(record.get("Installed-Size"), record.get("Size")),
        tags: tags(record.get("Tag").unwrap_or("")),
        dependencies: relation::names(relations, name),
    })
}

/// A section without its archive area: `non-free/games` is games.
fn section(value: &str) -> &str {
    match value.rsplit_once('/').map_or(value, |(_area, section)| section) {
        "" => UNKNOWN,
        section => section,
    }
}

/// The name in `Name <address>`.
fn maintainer(value: &str) -> &str {
    match value.split_once('<').map_or(value, |(name, _address)| name).trim().trim_matches('"') {
        "" => UNKNOWN,
        name => name,
    }
}

/// The site makes a link of it, so a `javascript:` address from a third-party index must not get in.
fn is_web_address(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://")) && !url.contains(char::is_whitespace)
}

/// Installed-Size is in KiB, Size in bytes of the archive file (Debian policy 5.6.20, repository format).
fn size_bytes(installed_kib: Option<&str>, archive_bytes: Option<&str>) -> i64 {
    let number = |value: Option<&str>| value.and_then(|v| v.parse::<u32>().ok()).map(i64::from);
    let installed = number(installed_kib).map(|kib| kib * 1024);
    // A file may be larger than 4 GiB, so this one is not read as 32 bits.
    let archive = || archive_bytes.and_then(|v| v.parse::<i64>().ok()).filter(|bytes| *bytes >= 0);
    installed.or_else(archive).unwrap_or(0)
}

fn tags(value: &str) -> Vec<String> {
    let mut tags: Vec<String> =
        value.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    tags.sort();
    tags.dedup();
    tags
}

/// A Description's summary and its long text. A lone dot stands for a blank line; what is indented
/// by more than one blank is meant verbatim and keeps its indent.
pub(crate) fn description(value: &str) -> (String, String) {
    let (summary, folded) = value.split_once('\n').unwrap_or((value, ""));
    let lines: Vec<&str> = folded.lines().map(|line| if line == "." { "" } else { line }).collect();
    (summary.to_owned(), lines.join("\n").trim_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "\
Package: hello
Version: 2.10-3
Installed-Size: 277
Maintainer: A. Person <person@example.org>
Depends: libc6 (>= 2.34), greeter | hello, libc6 (<< 3)
Pre-Depends: dpkg (>= 1.15.6~)
Recommends: not-this
Description: greets the world
 It says hello.
 .
  * in verse
 .
Description-md5: 0123
Homepage: https://www.example.org/hello
Tag: role::program, interface::commandline,
 devel::lang:c
Section: contrib/devel
Filename: pool/h/hello.deb
Size: 1000
";

    fn index(text: &str) -> Index {
        parse(text.as_bytes()).unwrap().index
    }

    #[test]
    fn a_record_becomes_a_package() {
        assert_eq!(
            index(HELLO).packages,
            [Package {
                name: "hello".into(),
                version: "2.10-3".into(),
                section: "devel".into(),
                summary: "greets the world".into(),
                description: "It says hello.\n\n * in verse".into(),
                homepage: Some("https://www.example.org/hello".into()),
                maintainer: "A. Person".into(),
                size_bytes: 277 * 1024,
                tags: ["devel::lang:c", "interface::commandline", "role::program"].map(str::to_owned).to_vec(),
                dependencies: ["libc6", "greeter", "dpkg"].map(str::to_owned).to_vec(),
            }]
        );
    }

    #[test]
    fn missing_and_odd_values_have_a_place() {
        let package = &index("Package: a\nVersion: 1\nHomepage: javascript:x\nSize: 9\nInstalled-Size: -1").packages[0];
        assert_eq!((package.section.as_str(), package.maintainer.as_str()), ("unknown", "unknown"));
        assert_eq!((&package.homepage, package.size_bytes), (&None, 9));
        assert_eq!((package.summary.as_str(), package.description.as_str()), ("", ""));
        assert!(package.tags.is_empty() && package.dependencies.is_empty());
        assert_eq!(size_bytes(Some("99999999999999999999"), Some("-5")), 0);
        assert_eq!(maintainer("<only@example.org>"), "unknown");
    }

    #[test]
    fn the_first_record_of_a_name_counts() {
        let packages = index("Package: a\nVersion: 2\n\nPackage: a\nVersion: 1").packages;
        assert_eq!(packages.iter().map(|p| p.version.as_str()).collect::<Vec<_>>(), ["2"]);
    }

    #[test]
    fn unusable_records_are_skipped_and_counted() {
        let index = index("Version: 1\n\nPackage: a\n\nPackage: b\nVersion: 1\n\nPackage: a/../b\nVersion: 1");
        assert_eq!(index.packages.len(), 1);
        assert_eq!(index.skipped, Some(Skipped { records: 3, first_line: 1 }));
    }

    #[test]
    fn translations_fill_what_the_index_leaves_out() {
        let folder = tempfile::tempdir().unwrap();
        let list = "Package: a\nDescription-md5: other\nDescription-en: s\n no\n\n\
                    Package: a\nDescription-md5: 01\nDescription-en: s\n long\n .\n text\n";
        std::fs::write(folder.path().join("x_i18n_Translation-en"), list).unwrap();
        std::fs::write(folder.path().join("x_i18n_Translation-en.lz4"), b"\x04\x22").unwrap();
        let from = folder.path().join("index");
        let text = "Package: a\nVersion: 1\nDescription: s\nDescription-md5: 01\n\n\
                    Package: b\nVersion: 1\nDescription: s\n own\nDescription-md5: 02\n";
        std::fs::write(&from, text).unwrap();

        let packages = read(Some(&from), Some(folder.path())).unwrap().packages;
        assert_eq!(packages[0].description, "long\n\ntext");
        assert_eq!(packages[1].description, "own");
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("index");
        std::fs::write(&from, "Package: a\noops\n").unwrap();
        let error = format!("{:#}", read(Some(&from), None).unwrap_err());
        assert!(error.contains("index") && error.contains("line 2") && error.contains("`oops`"), "{error}");
        std::fs::write(&from, "").unwrap();
        let error = read(Some(&from), None).unwrap_err().to_string();
        assert!(error.contains("holds no packages"), "{error}");
    }
}
