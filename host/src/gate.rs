//! Whom the operator's listener answers: whoever is on this machine, and whoever shows a token. How well the node is, anybody may
//! ask: balancers do. What siblings ask for has locks of its own.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, Method, StatusCode};
use nearside_protocol::{hand_over, token::Refused};

use crate::credential::{Credential, bearer};

#[derive(Default)]
pub struct Gate {
    /// An operator's, and the node's own.
    tokens: Vec<Credential>,
    refused: [AtomicU64; Refused::ALL.len()],
}

/// Why somebody is not answered.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum NotLetIn {
    #[error(
        "from another machine this takes a token, and this node was given none to compare with: --admin-token-file"
    )]
    NoneGiven,
    #[error("from another machine this takes the token that the node was given: Authorization: Bearer <token>")]
    NoneShown,
    #[error("the token that was shown is not one that this node was given")]
    Other,
}

impl NotLetIn {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            NotLetIn::NoneGiven => StatusCode::FORBIDDEN,
            NotLetIn::NoneShown | NotLetIn::Other => StatusCode::UNAUTHORIZED,
        }
    }
}

impl Gate {
    /// For those elsewhere who show one of these.
    pub fn opened_by(tokens: impl IntoIterator<Item = Credential>) -> Gate {
        Gate { tokens: tokens.into_iter().collect(), refused: Default::default() }
    }

    pub(crate) fn lets_in(
        &self,
        method: &Method,
        path: &str,
        client: IpAddr,
        headers: &HeaderMap,
    ) -> Result<(), NotLetIn> {
        let is_health = matches!(path, "/livez" | "/readyz");
        let has_its_own_lock = path.starts_with("/v1/") && (*method == Method::GET || path == hand_over::PATH);
        // An address of version 4 may be written as one of version 6.
        let is_here = client.to_canonical().is_loopback();
        if is_health || has_its_own_lock || is_here || self.tokens.iter().any(|token| token.is_shown_by(headers)) {
            return Ok(());
        }
        let (refused, why) = match bearer(headers) {
            _ if !self.tokens.iter().any(Credential::is_some) => (Refused::NoToken, NotLetIn::NoneGiven),
            None => (Refused::NoToken, NotLetIn::NoneShown),
            Some(_) => (Refused::UnknownToken, NotLetIn::Other),
        };
        self.refused[refused as usize].fetch_add(1, Ordering::Relaxed);
        Err(why)
    }

    /// Calls that were refused since the start, by why.
    pub(crate) fn refused(&self) -> BTreeMap<String, u64> {
        let count = |why: Refused| (why.name().to_owned(), self.refused[why as usize].load(Ordering::Relaxed));
        [Refused::NoToken, Refused::UnknownToken].map(count).into()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    #[test]
    fn who_is_let_in() {
        let gate = Gate::opened_by([Credential::of("operators"), Credential::of("own"), Credential::default()]);
        let ask = |gate: &Gate, method: Method, path: &str, client: &str, shown: &str| {
            let mut headers = HeaderMap::new();
            if !shown.is_empty() {
                headers.insert(header::AUTHORIZATION, HeaderValue::from_str(shown).unwrap());
            }
            gate.lets_in(&method, path, client.parse().unwrap(), &headers)
        };
        let (here, there) =
            (["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"], ["10.0.0.7", "::ffff:10.0.0.7", "fd00::2"]);
        for path in ["/status", "/metrics", "/logs", "/cache", "/outbox", "/nothing"] {
            for client in here {
                assert_eq!(ask(&gate, Method::GET, path, client, ""), Ok(()), "{client}");
            }
            for client in there {
                assert_eq!(ask(&gate, Method::GET, path, client, ""), Err(NotLetIn::NoneShown), "{client}");
                assert_eq!(ask(&gate, Method::GET, path, client, "Bearer another"), Err(NotLetIn::Other));
                assert_eq!(ask(&gate, Method::GET, path, client, "Bearer operators"), Ok(()));
                assert_eq!(ask(&gate, Method::GET, path, client, "Bearer own"), Ok(()));
                assert_eq!(ask(&Gate::default(), Method::GET, path, client, "Bearer own"), Err(NotLetIn::NoneGiven));
            }
        }
        let from = |method, path| ask(&gate, method, path, "10.0.0.7", "");
        assert!(from(Method::GET, "/livez").is_ok() && from(Method::GET, "/readyz").is_ok());
        assert!(from(Method::POST, hand_over::PATH).is_ok() && from(Method::GET, "/v1/apps/shop/releases/1.1").is_ok());
        for (method, path) in [
            (Method::DELETE, "/cache"),
            (Method::POST, "/outbox/retry"),
            (Method::POST, "/v1/anything"),
            (Method::GET, "/livez/../status"),
            (Method::GET, "/readyz2"),
        ] {
            assert_eq!(from(method, path), Err(NotLetIn::NoneShown), "{path}");
        }
        assert_eq!(gate.refused()["unknown_token"], 18);
    }
}
