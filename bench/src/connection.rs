//! One kept connection to a contender: write a request, read its response, again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::limits::{EXCHANGE_TIMEOUT, READ_BUFFER_BYTES};
use crate::request::Request;
use crate::response::Response;

#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    pub response: Response,
    /// When the newest answer began to arrive.
    pub began_at: Option<Instant>,
}

impl Connection {
    pub async fn open(address: SocketAddr, response: Response) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        Ok(Self { stream, buffer: vec![0; READ_BUFFER_BYTES], response, began_at: None })
    }

    /// Sends the request and reads its response into `self.response`. No timeout: a phase has one for all of them.
    pub async fn exchange(&mut self, request: &Request) -> Result<()> {
        self.response.reset();
        self.began_at = None;
        self.stream
            .write_all(&request.bytes)
            .await
            .with_context(|| format!("sending {} {}", request.method, request.target))?;
        loop {
            let read = self.stream.read(&mut self.buffer).await;
            let (method, target) = (request.method, &request.target);
            let read = read.with_context(|| format!("reading the answer to {method} {target}"))?;
            ensure!(read > 0, "the connection closed before the answer to {method} {target} was complete");
            self.began_at.get_or_insert_with(Instant::now);
            let complete = self.response.feed(&self.buffer[..read]);
            if complete.with_context(|| format!("in the answer to {method} {target}"))? {
                return Ok(());
            }
        }
    }
}

/// One exchange on a connection of its own, kept to be looked at; any status.
pub async fn fetch(address: SocketAddr, request: &Request) -> Result<Response> {
    fetch_into(Response::keeping(), address, request, EXCHANGE_TIMEOUT).await
}

/// The same into any response, and for as long as it may take.
pub async fn fetch_into(
    response: Response,
    address: SocketAddr,
    request: &Request,
    within: Duration,
) -> Result<Response> {
    let exchange = async {
        let mut connection = Connection::open(address, response).await?;
        connection.exchange(request).await?;
        Ok(connection.response)
    };
    let (method, target) = (request.method, &request.target);
    timeout(within, exchange).await.with_context(|| format!("{method} {target} got no answer within {within:?}"))?
}
