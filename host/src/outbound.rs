//! HTTP out of a guest: to the hosts its manifest lists, and to private addresses only where the operator says so.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioTimer},
};
use nearside_protocol::{limits, trace_context};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::{
    between_bytes::BetweenBytes,
    connect_wait::{self, ConnectWait},
    spans::{Kind, Span, Traced, method_name},
};

/// Where a guest may send requests.
#[derive(Clone, Default)]
pub struct Outbound {
    allowed: Option<Arc<Allowed>>,
    /// Where the spans of its requests go, if the guest is sampled.
    traced: Option<Traced>,
    /// Requests that went out so far.
    sent: u32,
}

struct Allowed {
    /// `host` or `host:port`, lower case.
    hosts: Vec<String>,
    /// Of these, the ones that may lie at private addresses.
    private: Vec<String>,
}

type HttpClient = Client<ConnectWait<HttpsConnector<HttpConnector<Resolver>>>, WasiBody>;

/// Connections are shared by all guests; what a guest may reach is decided before a request gets here.
static PUBLIC: LazyLock<HttpClient> = LazyLock::new(|| client(Resolver::PublicOnly));
static ANYWHERE: LazyLock<HttpClient> = LazyLock::new(|| client(Resolver::Anywhere));

impl Outbound {
    /// No request goes out.
    pub fn nowhere() -> Outbound {
        Outbound::default()
    }

    /// `hosts` from the app's manifest; `private` from the operator's configuration.
    pub fn to(hosts: Vec<String>, private: Vec<String>) -> Outbound {
        Outbound { allowed: Some(Arc::new(Allowed { hosts, private })), traced: None, sent: 0 }
    }

    /// The same for a guest that is sampled: whom it asks is told.
    pub fn traced(self, traced: Option<Traced>) -> Outbound {
        Outbound { traced, ..self }
    }

    /// Begins the span of a request, and has it tell whose trace it goes on with, unless the guest has said so itself.
    fn begin_span(&self, request: &mut Request<WasiBody>) -> Option<Span> {
        let method = method_name(request.method());
        let span = self.traced.as_ref()?.span(Kind::Client, method).with("http.request.method", method);
        let span = span.with("server.address", request.uri().host().unwrap_or_default().to_owned());
        let span = match request.uri().port_u16() {
            Some(port) => span.with("server.port", port),
            None => span,
        };
        request.headers_mut().entry(trace_context::HEADER).or_insert_with(|| span.traced().header());
        Some(span)
    }

    /// Whether another request may go out.
    fn count(&mut self) -> Result<(), Error> {
        if self.sent >= limits::TASK_REQUESTS {
            tracing::debug!(most = limits::TASK_REQUESTS, "a guest sends more requests than it may");
            return Err(Error::ConnectionLimitReached);
        }
        self.sent += 1;
        Ok(())
    }

    fn client_for(&self, uri: &Uri) -> Result<&'static HttpClient, Error> {
        let allowed = self.allowed.as_ref().ok_or(Error::HttpRequestDenied)?;
        let (Some(host), Some(authority)) = (uri.host(), uri.authority()) else {
            return Err(Error::HttpRequestUriInvalid);
        };
        let names = |list: &[String]| {
            list.iter().any(|entry| entry.eq_ignore_ascii_case(host) || entry.eq_ignore_ascii_case(authority.as_str()))
        };
        if !names(&allowed.hosts) {
            return Err(Error::HttpRequestDenied);
        }
        if names(&allowed.private) {
            return Ok(&ANYWHERE);
        }
        // An address written out is never resolved, so the resolver would not see it.
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if !is_public(address) => Err(Error::DestinationIpProhibited),
            _ => Ok(&PUBLIC),
        }
    }
}

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Outbound {
    /// What a body that nobody has taken yet holds is not the guest's memory but the host's.
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        limits::GUEST_BODY_PIECE_BYTES
    }

    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let client = self.client_for(request.uri()).and_then(|client| self.count().map(|()| client));
        let mut span = client.as_ref().ok().and_then(|_| self.begin_span(&mut request));
        let Waits { connect, first_byte, between_bytes } = Waits::of(options);
        Box::new(async move {
            let response = tokio::time::timeout(first_byte, connect_wait::within(connect, client?.request(request)))
                .await
                .map_err(|_| Error::ConnectionReadTimeout)?
                .map_err(|error| {
                    tracing::debug!(cause = %error, "a guest's request failed");
                    match error.is_connect() {
                        true if connect_wait::is_late(&error) => Error::ConnectionTimeout,
                        true => Error::ConnectionRefused,
                        false => Error::ConnectionTerminated,
                    }
                })?;
            if let Some(span) = &mut span {
                span.set("http.response.status_code", response.status().as_u16());
            }
            let body = |incoming| {
                let limited = Limited::new(incoming, limits::OUTBOUND_RESPONSE_BYTES)
                    .map_err(|_| Error::HttpResponseBodySize(Some(limits::OUTBOUND_RESPONSE_BYTES as u64)));
                BetweenBytes::of(limited, between_bytes).boxed_unsync()
            };
            let nothing_left: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async { Ok(()) });
            Ok((response.map(body), nothing_left))
        })
    }
}

/// How long a guest waits: for as long as it says, but for no longer than there is.
struct Waits {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Waits {
    fn of(options: Option<RequestOptions>) -> Waits {
        let said = options.unwrap_or_default();
        let at_most = |said: Option<Duration>, most: Duration| said.map_or(most, |said| said.min(most));
        Waits {
            connect: at_most(said.connect_timeout, limits::OUTBOUND_CONNECT),
            first_byte: at_most(said.first_byte_timeout, limits::OUTBOUND_FIRST_BYTE),
            between_bytes: at_most(said.between_bytes_timeout, limits::OUTBOUND_BETWEEN_BYTES),
        }
    }
}

const IDLE_PER_HOST: usize = 8;
const IDLE_KEPT: Duration = Duration::from_secs(30);

fn client(resolver: Resolver) -> HttpClient {
    let mut http = HttpConnector::new_with_resolver(resolver);
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(limits::OUTBOUND_CONNECT));
    let https = hyper_rustls::HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(http);
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_KEPT)
        .pool_timer(TokioTimer::new())
        .build(ConnectWait(https))
}

/// Resolves names, and drops the addresses that a guest must not reach: a public name can point anywhere.
#[derive(Clone, Copy)]
enum Resolver {
    PublicOnly,
    Anywhere,
}

impl tower_service::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = *self;
        Box::pin(async move {
            let resolve = move || (name.as_str(), 0).to_socket_addrs();
            let addresses = tokio::task::spawn_blocking(resolve).await.map_err(io::Error::other)??;
            let usable: Vec<_> =
                addresses.filter(|address| matches!(resolver, Resolver::Anywhere) || is_public(address.ip())).collect();
            if usable.is_empty() {
                return Err(io::Error::other("the name has no public address"));
            }
            Ok(usable.into_iter())
        })
    }
}

/// Whether an address belongs to the public internet: not this machine, not its network, not a provider's metadata.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || a >= 224
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && (c == 0 || c == 2))
        || (a == 198 && (b == 18 || b == 19 || (b == 51 && c == 100)))
        || (a == 203 && b == 0 && c == 113))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let embedded =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::new((high >> 8) as u8, high as u8, (low >> 8) as u8, low as u8));
    match s {
        // Mapped and translated IPv4 addresses are judged as what they reach.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        [0x2001, 0xdb8, ..] | [0x2001, 0, ..] => false,
        // Of all there is, only 2000::/3 is given out as global unicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn only_listed_hosts_are_reached_and_private_ones_only_when_granted() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        let list = |hosts: &[&str], private: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|host| host.to_string()).collect();
            Outbound::to(owned(hosts), owned(private))
        };
        assert!(Outbound::nowhere().client_for(&uri("https://a.example/")).is_err());
        assert!(list(&["a.example"], &[]).client_for(&uri("https://a.example/x")).is_ok());
        assert!(list(&["a.example"], &[]).client_for(&uri("https://b.example/")).is_err());
        assert!(list(&["a.example:81"], &[]).client_for(&uri("http://a.example/")).is_err());
        assert!(list(&["127.0.0.1:90"], &[]).client_for(&uri("http://127.0.0.1:90/")).is_err());
        assert!(list(&["[::1]:90"], &[]).client_for(&uri("http://[::1]:90/")).is_err());
        assert!(list(&["127.0.0.1:90"], &["127.0.0.1:90"]).client_for(&uri("http://127.0.0.1:90/")).is_ok());
    }

    /// An answer of which this much comes, and then nothing more.
    async fn half_an_answer() -> SocketAddr {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1_024]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        });
        address
    }

    async fn send(outbound: &mut Outbound, address: SocketAddr, options: RequestOptions) -> Result<WasiBody, Error> {
        let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = Request::builder().uri(format!("http://{address}/")).body(body).unwrap();
        let sent = outbound.send_request(request, Some(options), Box::new(async { Ok(()) }));
        let (response, _) = Box::into_pin(sent).await?;
        Ok(response.into_body())
    }

    #[tokio::test]
    async fn a_guest_waits_between_bytes_as_long_as_it_says() {
        let address = half_an_answer().await;
        let hosts = || vec![address.to_string()];
        let mut outbound = Outbound::to(hosts(), hosts());
        let options =
            RequestOptions { between_bytes_timeout: Some(Duration::from_millis(50)), ..RequestOptions::default() };
        let body = send(&mut outbound, address, options).await.unwrap();
        let whole = tokio::time::timeout(Duration::from_secs(20), body.collect()).await.expect("it breaks off");
        assert!(matches!(whole, Err(Error::ConnectionReadTimeout)));
    }

    #[test]
    fn what_a_guest_says_is_capped() {
        let said = |wait: Duration| {
            let waits = Some(wait);
            let options =
                RequestOptions { connect_timeout: waits, first_byte_timeout: waits, between_bytes_timeout: waits };
            let Waits { connect, first_byte, between_bytes } = Waits::of(Some(options));
            [connect, first_byte, between_bytes]
        };
        let short = Duration::from_millis(3);
        assert_eq!(said(short), [short; 3]);
        let most = [limits::OUTBOUND_CONNECT, limits::OUTBOUND_FIRST_BYTE, limits::OUTBOUND_BETWEEN_BYTES];
        assert_eq!(said(Duration::MAX), most);
        let Waits { connect, first_byte, between_bytes } = Waits::of(None);
        assert_eq!([connect, first_byte, between_bytes], most);
    }

    #[tokio::test]
    async fn so_many_requests_go_out_and_no_more() {
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let hosts = || vec![address.to_string()];
        let mut outbound = Outbound::to(hosts(), hosts());
        outbound.sent = limits::TASK_REQUESTS - 1;
        let refused = send(&mut outbound, address, RequestOptions::default()).await.err();
        assert!(matches!(refused, Some(Error::ConnectionRefused)), "{refused:?}");
        let refused = send(&mut outbound, address, RequestOptions::default()).await.err();
        assert!(matches!(refused, Some(Error::ConnectionLimitReached)), "{refused:?}");
    }
}
