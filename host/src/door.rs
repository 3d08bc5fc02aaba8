//! Where clients come in: a listening socket, and whether it speaks TLS.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::{
    certificates::Certificates,
    tls::{Tls, TlsError},
};

pub struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Tls>,
}

impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Door {
        Door { listener, tls: None }
    }
}

impl Door {
    /// With certificates, who comes in speaks TLS.
    pub fn showing(listener: TcpListener, certificates: Option<&Arc<Certificates>>) -> Result<Door, TlsError> {
        let tls = certificates.cloned().map(Tls::showing).transpose()?;
        Ok(Door { listener, tls })
    }
}
