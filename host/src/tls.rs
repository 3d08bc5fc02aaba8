//! TLS at a listener, and whom a client believes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use nearside_protocol::limits;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, pem::PemObject},
    server::NoServerSessionStorage,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    certificates::{CertificateError, Certificates, provider},
    client_authorities::ClientAuthorities,
    client_certificate::ClientCertificate,
};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    #[error("{0}: no certificate of an authority in PEM: {1}")]
    Roots(PathBuf, String),
    #[error("{0}: its authorities cannot be asked: {1}")]
    Verifier(PathBuf, String),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// TLS 1.2 and 1.3 as a listener speaks it, with HTTP/2 for who asks for it.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
}

impl Tls {
    /// With `clients`, who comes in shows a certificate of one of these authorities, or the handshake fails.
    pub fn showing(certificates: Arc<Certificates>, clients: Option<Arc<ClientAuthorities>>) -> Result<Tls, TlsError> {
        let config = ServerConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions()?;
        let takes_anybody = clients.is_none();
        let config = match clients {
            Some(clients) => config.with_client_cert_verifier(clients),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_cert_resolver(certificates);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if takes_anybody {
            // Who comes back need not shake hands in full.
            config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        } else {
            // Who comes back is asked again: the certificate may have ended since, or its authority be believed no more.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Shakes hands, for as long as a request's head may take.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let shaken = tokio::time::timeout(limits::REQUEST_HEAD_WAIT, self.acceptor.accept(stream)).await;
        shaken.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the handshake takes too long"))?
    }
}

/// What a client believes of servers, and shows to those that ask for it.
#[derive(Clone, Default)]
pub struct Believes {
    /// Those in the file and no others; without one, the authorities everybody believes.
    pub authorities: Option<PathBuf>,
    pub certificate: Option<Arc<ClientCertificate>>,
}

pub fn believing(believes: &Believes) -> Result<ClientConfig, TlsError> {
    let roots = match &believes.authorities {
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Some(file) => roots(file)?,
    };
    let config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(match &believes.certificate {
        Some(certificate) => config.with_client_cert_resolver(certificate.clone()),
        None => config.with_no_client_auth(),
    })
}

/// The authorities in a file.
pub(crate) fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let text = fs::read(file).map_err(|error| TlsError::Io(file.to_owned(), error))?;
    let unreadable = |why: String| TlsError::Roots(file.to_owned(), why);
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&text) {
        let root = root.map_err(|error| unreadable(error.to_string()))?;
        roots.add(root).map_err(|error| unreadable(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(unreadable("there is none".into())),
        false => Ok(roots),
    }
}
