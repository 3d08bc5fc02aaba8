//! Tells another service of each review, before the visitor has the answer: who does everything inside the request does
//! this, too.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::store::Review;
use crate::limits::{SITE_WEBHOOK_BODY_BYTES, SITE_WEBHOOK_TIMEOUT};

pub(super) struct Webhook {
    client: Client<HttpConnector, Full<Bytes>>,
    url: http::Uri,
}

impl Webhook {
    pub(super) fn new(url: &str) -> Result<Self> {
        let url = url.parse().with_context(|| format!("the webhook's address {url:?}"))?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self { client, url })
    }

    /// Fails when it takes too long: the visitor is waiting.
    pub(super) async fn tell(&self, review: &Review, id: i64) -> Result<()> {
        let Review { package, author, rating, .. } = review;
        let body = serde_json::json!({"package": package, "author": author, "rating": rating, "review_id": id});
        let request = Request::post(self.url.clone())
            .header("content-type", "application/json")
            .header("idempotency-key", format!("announce-review-{id}"))
            .body(Full::new(Bytes::from(body.to_string())))
            .context("building a webhook's request")?;
        let answered = async {
            let answer = self.client.request(request).await.context("telling the webhook")?;
            let status = answer.status();
            // Read to its end, so that the connection can be used again.
            Limited::new(answer.into_body(), SITE_WEBHOOK_BODY_BYTES)
                .collect()
                .await
                .map_err(|error| anyhow::anyhow!("reading the webhook's answer: {error}"))?;
            ensure!(status.is_success(), "the webhook answered {status}");
            Ok(())
        };
        let told = timeout(SITE_WEBHOOK_TIMEOUT, answered).await;
        told.with_context(|| format!("the webhook did not answer within {SITE_WEBHOOK_TIMEOUT:?}"))?
    }
}
