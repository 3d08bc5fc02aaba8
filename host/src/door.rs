//! Where clients come in: a listening socket, and whether it speaks TLS.

use std::sync::Arc;

use nearside_protocol::limits;
use tokio::net::TcpListener;

use crate::{
    certificates::Certificates,
    client_authorities::ClientAuthorities,
    tls::{Tls, TlsError},
};

pub struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Tls>,
    /// Connections of one client.
    pub(crate) most_a_client: usize,
}

impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Door {
        Door { listener, tls: None, most_a_client: limits::CONNECTIONS_A_CLIENT }
    }
}

impl Door {
    /// With certificates, who comes in speaks TLS.
    pub fn showing(listener: TcpListener, certificates: Option<&Arc<Certificates>>) -> Result<Door, TlsError> {
        Door::asking(listener, certificates, None)
    }

    /// And with authorities of clients, shows a certificate of theirs.
    pub fn asking(
        listener: TcpListener,
        certificates: Option<&Arc<Certificates>>,
        clients: Option<&Arc<ClientAuthorities>>,
    ) -> Result<Door, TlsError> {
        let tls = certificates.map(|certificates| Tls::showing(certificates.clone(), clients.cloned())).transpose()?;
        Ok(Door { tls, ..Door::from(listener) })
    }

    /// Where balancers in front speak for many, another bound than [`limits::CONNECTIONS_A_CLIENT`].
    pub fn with_most_a_client(self, most_a_client: usize) -> Door {
        Door { most_a_client, ..self }
    }
}
