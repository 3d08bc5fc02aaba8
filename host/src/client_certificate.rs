//! What a node shows to its origin where that asks for certificates: a pair of PEM files, looked at again now and then.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use nearside_protocol::{limits, status::CertificateEnds};
use rustls::{SignatureScheme, client::ResolvesClientCert, sign::CertifiedKey};

use crate::certificates::{CertificateError, pair, stamp};

pub struct ClientCertificate {
    certificate: PathBuf,
    key: PathBuf,
    read_at: [Option<(u64, u64)>; 2],
    shown: ArcSwap<Shown>,
}

struct Shown {
    pair: Arc<CertifiedKey>,
    ends_s: u64,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl ClientCertificate {
    pub fn read(certificate: &Path, key: &Path) -> Result<Arc<ClientCertificate>, CertificateError> {
        let read_at = [certificate, key].map(stamp);
        let shown = ArcSwap::from_pointee(shown(certificate, key)?);
        Ok(Arc::new(ClientCertificate { certificate: certificate.to_owned(), key: key.to_owned(), read_at, shown }))
    }

    /// Shows what is in the files now, to new connections. Nothing changes when it cannot be used.
    pub fn read_again(&self) -> Result<(), CertificateError> {
        self.shown.store(Arc::new(shown(&self.certificate, &self.key)?));
        Ok(())
    }

    /// When it ends.
    pub fn ends(&self) -> CertificateEnds {
        CertificateEnds { name: "shown to the origin".into(), at_s: self.shown.load().ends_s }
    }

    /// Looks at the files for as long as this runs.
    pub async fn follow(self: Arc<ClientCertificate>) {
        let mut seen = self.read_at;
        loop {
            tokio::time::sleep(limits::CERTIFICATES_EVERY).await;
            let now = [&self.certificate, &self.key].map(|file| stamp(file));
            if now == seen {
                continue;
            }
            // Whoever renews writes one file after the other: what does not fit together yet is looked at again.
            match self.read_again() {
                Ok(()) => {
                    tracing::info!(file = %self.certificate.display(), "the certificate for the origin is read again");
                    seen = now;
                }
                Err(error) => {
                    tracing::error!(cause = %error, "the certificate for the origin is not read again: the one before is shown");
                }
            }
        }
    }
}

fn shown(certificate: &Path, key: &Path) -> Result<Shown, CertificateError> {
    let pair = pair(certificate, key)?;
    Ok(Shown { pair: pair.key, ends_s: pair.expires_s })
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.load().pair.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
