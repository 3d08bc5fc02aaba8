//! TLS at a listener, and whom a client believes.

use std::{fs, io, path::Path, sync::Arc};

use nearside_protocol::limits;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::certificates::{Certificates, provider};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
    #[error("{0}: {1}")]
    Io(std::path::PathBuf, io::Error),
    #[error("{0}: no certificate of an authority in PEM: {1}")]
    Roots(std::path::PathBuf, String),
}

/// TLS 1.2 and 1.3 as a listener speaks it, with HTTP/2 for who asks for it.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
}

impl Tls {
    pub fn showing(certificates: Arc<Certificates>) -> Result<Tls, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Who comes back need not shake hands in full.
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Shakes hands, for as long as a request's head may take.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let shaken = tokio::time::timeout(limits::REQUEST_HEAD_WAIT, self.acceptor.accept(stream)).await;
        shaken.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the handshake takes too long"))?
    }
}

/// What a client believes of servers: the authorities everybody does, or those in a file and no others.
pub fn believing(authorities: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let text = fs::read(file).map_err(|error| TlsError::Io(file.to_owned(), error))?;
            let unreadable = |why: String| TlsError::Roots(file.to_owned(), why);
            for root in CertificateDer::pem_slice_iter(&text) {
                let root = root.map_err(|error| unreadable(error.to_string()))?;
                roots.add(root).map_err(|error| unreadable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unreadable("there is none".into()));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
