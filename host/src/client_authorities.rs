//! Whose certificates a listener asks its clients for. The file is looked at again now and then, as those of a listener's own are.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use nearside_protocol::limits;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use crate::{
    certificates::{provider, stamp},
    tls::{TlsError, roots},
};

pub struct ClientAuthorities {
    file: PathBuf,
    /// What the file was like before it was first read.
    read_at: Option<(u64, u64)>,
    verifier: ArcSwap<Arc<dyn ClientCertVerifier>>,
}

impl fmt::Debug for ClientAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuthorities").field("file", &self.file).finish_non_exhaustive()
    }
}

impl ClientAuthorities {
    /// All that are in a PEM file.
    pub fn read(file: &Path) -> Result<Arc<ClientAuthorities>, TlsError> {
        let read_at = stamp(file);
        let verifier = ArcSwap::from_pointee(verifier(file)?);
        Ok(Arc::new(ClientAuthorities { file: file.to_owned(), read_at, verifier }))
    }

    /// Asks for what is in the file now. Nothing changes when it cannot be used. Connections that stand are not ended.
    pub fn read_again(&self) -> Result<(), TlsError> {
        self.verifier.store(Arc::new(verifier(&self.file)?));
        Ok(())
    }

    /// Looks at the file for as long as this runs.
    pub async fn follow(self: Arc<ClientAuthorities>) {
        let mut seen = self.read_at;
        loop {
            tokio::time::sleep(limits::CERTIFICATES_EVERY).await;
            let now = stamp(&self.file);
            if now == seen {
                continue;
            }
            match self.read_again() {
                Ok(()) => {
                    tracing::info!(file = %self.file.display(), "clients' authorities are read again");
                    seen = now;
                }
                Err(error) => {
                    tracing::error!(cause = %error, "clients' authorities are not read again: those before are believed");
                }
            }
        }
    }
}

fn verifier(file: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(file)?), Arc::new(provider())).build();
    verifier.map_err(|error| TlsError::Verifier(file.to_owned(), error.to_string()))
}

impl ClientCertVerifier for ClientAuthorities {
    /// None are named: they may be others in a moment, and a client has one certificate for its origin.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verifier.load().verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.load().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.load().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.load().supported_verify_schemes()
    }
}
