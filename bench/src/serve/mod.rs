//! The contenders of our own: as little around the work as hyper allows.

mod frame;
mod markup;
pub mod native;
pub mod package;
pub mod raw;
pub mod search;
pub mod site;
pub mod wait;
pub mod write;

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::args::Listen;

pub type Answer = Response<Full<Bytes>>;

/// Serves until killed, on one multi-threaded runtime. `answer` runs on the thread that read the request: handing it to
/// another would cost more than it does.
pub fn serve(listen: &Listen, answer: impl Fn(Request<Incoming>) -> Answer + Send + Sync + 'static) -> Result<()> {
    serve_async(listen, move |request| std::future::ready(answer(request)))
}

/// The same for answers that have to wait.
pub fn serve_async<F>(listen: &Listen, answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static) -> Result<()>
where
    F: Future<Output = Answer> + Send + 'static,
{
    if listen.exit_with_stdin {
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting a runtime")?;
    runtime.block_on(accept(listen.port, Arc::new(answer)))
}

async fn accept<F>(port: u16, answer: Arc<impl Fn(Request<Incoming>) -> F + Send + Sync + 'static>) -> Result<()>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.with_context(|| format!("port {port}"))?;
    let mut output = std::io::stdout();
    writeln!(output, "listening {}", listener.local_addr()?).and_then(|()| output.flush()).context("saying where")?;
    loop {
        let (stream, _) = listener.accept().await.context("accepting")?;
        tokio::spawn(connection(stream, answer.clone()));
    }
}

async fn connection<F>(stream: TcpStream, answer: Arc<impl Fn(Request<Incoming>) -> F + Send + Sync>)
where
    F: Future<Output = Answer> + Send,
{
    // Without it the last part of a response waits for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let answer = answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    // A client that goes away is the client's affair; one that was still waiting notices by itself.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
