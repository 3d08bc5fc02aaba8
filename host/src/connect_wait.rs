//! A connector that waits as long as who asks is willing to: connections are shared by all who ask, and their patience is not.

use std::{future::Future, io, pin::Pin, task::Context, task::Poll, time::Duration};

use http::Uri;
use tower_service::Service;

tokio::task_local! {
    static WAIT: Duration;
}

#[derive(Clone)]
pub(crate) struct ConnectWait<C>(pub(crate) C);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Has what is connected to in this future wait for so long.
pub(crate) async fn within<T>(wait: Duration, work: impl Future<Output = T>) -> T {
    WAIT.scope(wait, work).await
}

impl<C: Service<Uri>> Service<Uri> for ConnectWait<C>
where
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // Called by whoever asks; what it gives may be driven to its end by somebody else.
        let wait = WAIT.try_with(|wait| *wait).ok();
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let Some(wait) = wait else { return connecting.await.map_err(Into::into) };
            match tokio::time::timeout(wait, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    }
}

/// Whether this is what became of a connector whose time was over.
pub(crate) fn is_late(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::pending};

    use super::*;

    struct Nowhere;

    impl Service<Uri> for Nowhere {
        type Response = ();
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<(), Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Uri) -> Self::Future {
            Box::pin(pending())
        }
    }

    #[tokio::test]
    async fn a_connection_is_waited_for_as_long_as_is_said() {
        let mut connector = ConnectWait(Nowhere);
        let connected = within(Duration::from_millis(20), async { connector.call(Uri::from_static("/")).await });
        let error = tokio::time::timeout(Duration::from_secs(10), connected).await.expect("it is over by then");
        assert!(is_late(&*error.unwrap_err()));
    }
}
