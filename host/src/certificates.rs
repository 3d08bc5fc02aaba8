//! The certificates a listener shows: pairs of PEM files in a folder, each for the names that stand in it. The folder is looked
//! at again now and then, so that a renewed certificate needs no restart; what cannot be used is told, and what was shown
//! before goes on being shown.
//!
//! A pair is `NAME.crt` or `NAME.pem` with `NAME.key`, or the key in the same file, or a folder of its own with
//! `fullchain.pem` and `privkey.pem`. Which one is which does not matter to anybody but people.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use arc_swap::ArcSwap;
use nearside_protocol::{limits, status::CertificateEnds};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    #[error(
        "{0}: there is no certificate in it: `NAME.crt` with `NAME.key`, or a folder with `fullchain.pem` and `privkey.pem`"
    )]
    Empty(PathBuf),
    #[error("{0}: over {most} certificates", most = limits::CERTIFICATES)]
    TooMany(PathBuf),
    #[error("{0}: over {most} bytes", most = limits::CERTIFICATE_FILE_BYTES)]
    TooLarge(PathBuf),
    #[error("{file}: {why}")]
    Unusable { file: PathBuf, why: String },
    #[error("{certificate}: there is no key for it: `{key}` was looked for", key = key.display())]
    NoKey { certificate: PathBuf, key: PathBuf },
}

/// One pair, ready to be shown.
pub(crate) struct Shown {
    file: PathBuf,
    pub(crate) key: Arc<CertifiedKey>,
    /// In lower case; `*.example.org` for all one step below.
    names: Vec<String>,
    pub(crate) expires_s: u64,
}

/// What is shown for which name.
#[derive(Default)]
struct Names {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// For a name nobody has, and for who names none: the pair called `default`, or the only one there is.
    otherwise: Option<Arc<CertifiedKey>>,
    expires: Vec<CertificateEnds>,
}

pub struct Certificates {
    folder: PathBuf,
    /// What the folder was like before it was first read.
    read_at: Stamps,
    names: ArcSwap<Names>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Certificates {
    /// All that is in the folder; or what is wrong with it.
    pub fn read(folder: &Path) -> Result<Arc<Certificates>, CertificateError> {
        let read_at = stamps(folder);
        let names = ArcSwap::from_pointee(Names::of(pairs(folder)?)?);
        Ok(Arc::new(Certificates { folder: folder.to_owned(), read_at, names }))
    }

    /// When each of those that are shown ends, the soonest first.
    pub fn expire(&self) -> Vec<CertificateEnds> {
        self.names.load().expires.clone()
    }

    /// Shows what is in the folder now. Nothing changes when any of it cannot be used.
    pub fn read_again(&self) -> Result<(), CertificateError> {
        self.names.store(Arc::new(Names::of(pairs(&self.folder)?)?));
        Ok(())
    }

    /// Looks at the folder for as long as this runs.
    pub async fn follow(self: Arc<Certificates>) {
        let mut seen = self.read_at.clone();
        loop {
            tokio::time::sleep(limits::CERTIFICATES_EVERY).await;
            let now = stamps(&self.folder);
            if now == seen {
                continue;
            }
            let this = self.clone();
            // Whoever renews writes one file after the other: what does not fit together yet is looked at again.
            match tokio::task::spawn_blocking(move || this.read_again()).await {
                Ok(Ok(())) => {
                    tracing::info!(folder = %self.folder.display(), "certificates are read again");
                    seen = now;
                }
                Ok(Err(error)) => {
                    tracing::error!(cause = %error, "certificates are not read again: those before are shown");
                }
                Err(_) => {}
            }
        }
    }

    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let names = self.names.load();
        let named = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let wild = || names.by_name.get(&format!("*.{}", name.split_once('.')?.1));
            names.by_name.get(&name).or_else(wild)
        });
        named.or(names.otherwise.as_ref()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name())
    }
}

impl Names {
    fn of(pairs: Vec<Shown>) -> Result<Names, CertificateError> {
        let mut names = Names::default();
        let only = (pairs.len() == 1).then(|| pairs[0].key.clone());
        for Shown { file, key, names: own, expires_s } in pairs {
            let is_default = file.file_stem().is_some_and(|stem| stem == "default");
            if is_default {
                names.otherwise = Some(key.clone());
            }
            let first = own.first().cloned().unwrap_or_else(|| file.display().to_string());
            names.expires.push(CertificateEnds { name: first, at_s: expires_s });
            for name in own {
                // Of two for one name, the one that is good for longer was named later: see `pairs`.
                names.by_name.insert(name, key.clone());
            }
        }
        names.otherwise = names.otherwise.or(only);
        names.expires.sort_by_key(|expires| expires.at_s);
        Ok(names)
    }
}

/// Every pair in the folder, those that end sooner first.
fn pairs(folder: &Path) -> Result<Vec<Shown>, CertificateError> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.is_dir() {
            let (chain, key) = (path.join("fullchain.pem"), path.join("privkey.pem"));
            if chain.exists() {
                files.push((chain, key));
            }
        } else if matches!(extension, "crt" | "pem") && !stem.ends_with("-key") {
            let beside = ["key", "pem"].map(|extension| match extension {
                "key" => path.with_extension("key"),
                _ => path.with_file_name(format!("{stem}-key.pem")),
            });
            let [key, other] = beside;
            files.push((path, if other.exists() { other } else { key }));
        }
    }
    if files.is_empty() {
        return Err(CertificateError::Empty(folder.to_owned()));
    }
    if files.len() > limits::CERTIFICATES {
        return Err(CertificateError::TooMany(folder.to_owned()));
    }
    let mut pairs = files.iter().map(|(chain, key)| pair(chain, key)).collect::<Result<Vec<_>, _>>()?;
    pairs.sort_by_key(|pair| pair.expires_s);
    Ok(pairs)
}

/// In the order of their names, so that the same folder always reads the same.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, CertificateError> {
    let fault = |error| CertificateError::Io(folder.to_owned(), error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

pub(crate) fn pair(chain_file: &Path, key_file: &Path) -> Result<Shown, CertificateError> {
    let unusable = |file: &Path, why: String| CertificateError::Unusable { file: file.to_owned(), why };
    let text = read(chain_file)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(chain_file, format!("not PEM: {error}")))?;
    let first = chain.first().ok_or_else(|| unusable(chain_file, "it has no certificate".into()))?;
    let (names, expires_s) = told(first).map_err(|why| unusable(chain_file, why))?;
    let key = match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => key,
        Err(_) if !key_file.exists() => {
            let (certificate, key) = (chain_file.to_owned(), key_file.to_owned());
            return Err(CertificateError::NoKey { certificate, key });
        }
        Err(_) => PrivateKeyDer::from_pem_slice(&read(key_file)?)
            .map_err(|error| unusable(key_file, format!("not a private key in PEM: {error}")))?,
    };
    // Fails when the key is not that of the certificate.
    let key = CertifiedKey::from_der(chain, key, &provider())
        .map_err(|error| unusable(key_file, format!("not the key of {}: {error}", chain_file.display())))?;
    Ok(Shown { file: chain_file.to_owned(), key: Arc::new(key), names, expires_s })
}

fn read(file: &Path) -> Result<Vec<u8>, CertificateError> {
    let fault = |error| CertificateError::Io(file.to_owned(), error);
    if fs::metadata(file).map_err(fault)?.len() > limits::CERTIFICATE_FILE_BYTES {
        return Err(CertificateError::TooLarge(file.to_owned()));
    }
    fs::read(file).map_err(fault)
}

/// The names a certificate is for, and when it ends.
fn told(certificate: &CertificateDer<'_>) -> Result<(Vec<String>, u64), String> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|error| format!("not an X.509 certificate: {error}"))?;
    let expires_s = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    let names = parsed.subject_alternative_name().map_err(|error| format!("its names cannot be read: {error}"))?;
    let names = names.into_iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    Ok((names.collect(), expires_s))
}

/// What tells whether a file is another: its name, size and time.
type Stamps = Vec<(PathBuf, u64, u64)>;

/// A file's size and time.
pub(crate) fn stamp(path: &Path) -> Option<(u64, u64)> {
    let known = fs::metadata(path).ok()?;
    let modified = known.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((known.len(), modified.as_micros() as u64))
}

fn stamps(folder: &Path) -> Stamps {
    let stamp = |path: PathBuf| {
        let (bytes, modified) = stamp(&path)?;
        Some((path, bytes, modified))
    };
    let all = entries(folder).unwrap_or_default();
    let below = all.iter().filter(|path| path.is_dir()).flat_map(|path| entries(path).unwrap_or_default());
    all.iter().cloned().chain(below.collect::<Vec<_>>()).filter_map(stamp).take(4 * limits::CERTIFICATES).collect()
}

/// Who does the arithmetic of TLS.
pub(crate) fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A self-signed pair for these names, as PEM.
    fn made(names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn put(folder: &Path, file: &str, text: &str) {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn shown(certificates: &Certificates, name: Option<&str>) -> Option<Vec<String>> {
        let key = certificates.find(name)?;
        Some(told(&key.cert[0]).unwrap().0)
    }

    #[test]
    fn each_name_is_shown_its_certificate_however_the_files_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = made(&["shop.example", "www.shop.example"]);
        put(folder.path(), "shop.crt", &chain);
        put(folder.path(), "shop.key", &key);
        let only = Certificates::read(folder.path()).unwrap();
        assert!(shown(&only, None).is_some() && shown(&only, Some("other.example")).is_some(), "the only one");

        let (chain, key) = made(&["*.wild.example"]);
        put(folder.path(), "wild/fullchain.pem", &chain);
        put(folder.path(), "wild/privkey.pem", &key);
        let (chain, key) = made(&["one.example"]);
        put(folder.path(), "one.pem", &format!("{key}{chain}"));
        let (chain, key) = made(&["minted.example"]);
        put(folder.path(), "minted.pem", &chain);
        put(folder.path(), "minted-key.pem", &key);
        let all = Certificates::read(folder.path()).unwrap();
        assert_eq!(shown(&all, Some("WWW.shop.example")).unwrap()[0], "shop.example");
        assert_eq!(shown(&all, Some("a.wild.example")).unwrap(), ["*.wild.example"]);
        assert_eq!(shown(&all, Some("one.example")).unwrap(), ["one.example"]);
        assert_eq!(shown(&all, Some("minted.example")).unwrap(), ["minted.example"]);
        for strange in [None, Some("other.example"), Some("a.b.wild.example"), Some("wild.example")] {
            assert_eq!(shown(&all, strange), None, "{strange:?}");
        }
        let (chain, key) = made(&["fallback.example"]);
        put(folder.path(), "default.crt", &chain);
        put(folder.path(), "default.key", &key);
        all.read_again().unwrap();
        assert_eq!(shown(&all, Some("other.example")).unwrap(), ["fallback.example"]);
        assert_eq!((all.expire().len(), all.expire().is_sorted_by_key(|one| one.at_s)), (5, true));
    }

    #[test]
    fn what_cannot_be_used_is_named_and_what_was_shown_stays() {
        let folder = tempfile::tempdir().unwrap();
        let refused = || Certificates::read(folder.path()).unwrap_err().to_string();
        assert!(refused().contains("there is no certificate in it"));
        let (chain, key) = made(&["shop.example"]);
        put(folder.path(), "shop.crt", &chain);
        assert!(refused().contains("shop.key` was looked for"));
        put(folder.path(), "shop.key", &made(&["shop.example"]).1);
        assert!(refused().contains("shop.key: not the key of"), "{}", refused());
        put(folder.path(), "shop.key", "no key");
        assert!(refused().contains("not a private key in PEM"));
        put(folder.path(), "shop.key", &key);
        let certificates = Certificates::read(folder.path()).unwrap();
        put(folder.path(), "shop.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(certificates.read_again().unwrap_err().to_string().contains("not an X.509 certificate"));
        assert_eq!(shown(&certificates, Some("shop.example")).unwrap(), ["shop.example"]);
        put(folder.path(), "shop.crt", &"x".repeat(limits::CERTIFICATE_FILE_BYTES as usize + 1));
        assert!(matches!(certificates.read_again(), Err(CertificateError::TooLarge(_))));
    }

    #[test]
    fn a_renewed_certificate_is_seen_to_be_another() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "a/fullchain.pem", "one");
        let before = stamps(folder.path());
        assert_eq!(stamps(folder.path()), before);
        put(folder.path(), "a/fullchain.pem", "two and more");
        assert_ne!(stamps(folder.path()), before);
    }
}
