//! The origin, as its operator speaks to it.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::connection::{fetch, fetch_into};
use crate::limits::{EXPORT_TIMEOUT, TOOL_TIMEOUT};
use crate::request::Request;
use crate::response::Response;

#[derive(Debug, Clone)]
pub struct Origin {
    pub address: SocketAddr,
    pub token: String,
    pub app: String,
}

impl Origin {
    /// Applies a command; its reply. `key` is one no other write of this run has.
    pub async fn command(&self, name: &str, payload: &Value, key: &str) -> Result<Value> {
        let request = self.submission(name, payload, key);
        let response = fetch(self.address, &request).await?;
        request.verify(&response)?;
        let outcome: Value = serde_json::from_slice(response.body()).context("reading a command's outcome")?;
        match outcome["reply"].as_str() {
            Some(reply) => serde_json::from_str(reply).context("reading a command's reply"),
            None => bail!("the command {name} was not applied: {outcome}"),
        }
    }

    /// What a node sends for a command.
    pub fn submission(&self, name: &str, payload: &Value, key: &str) -> Request {
        let authorization = self.authorization();
        let headers =
            [("Authorization", authorization.as_str()), ("Idempotency-Key", key), ("Content-Type", "application/json")];
        let target = self.target(&format!("commands/{name}"));
        Request::with_body("POST", &self.address.to_string(), &target, &headers, payload.to_string().as_bytes())
    }

    /// Queues a task once for this key.
    pub async fn queue_task(&self, kind: &str, key: &str) -> Result<()> {
        let authorization = self.authorization();
        let headers = [("Authorization", authorization.as_str()), ("Idempotency-Key", key)];
        let target = self.target(&format!("tasks/{kind}"));
        let request = Request::with_body("POST", &self.address.to_string(), &target, &headers, b"{}");
        request.verify(&fetch(self.address, &request).await?)
    }

    /// Pauses or resumes a kind of task.
    pub async fn steer_tasks(&self, kind: &str, order: &str) -> Result<()> {
        let authorization = self.authorization();
        let headers = [("Authorization", authorization.as_str())];
        let target = self.target(&format!("tasks/{kind}/{order}"));
        let request = Request::with_body("POST", &self.address.to_string(), &target, &headers, b"");
        request.verify(&fetch(self.address, &request).await?)
    }

    /// What the origin says of the app's tasks.
    pub async fn tasks(&self) -> Result<Value> {
        let request = self.get("tasks?limit=0");
        let response = fetch(self.address, &request).await?;
        request.verify(&response)?;
        serde_json::from_slice(response.body()).context("reading what the origin says of tasks")
    }

    /// How often its writer has waited for the disk since it started.
    pub async fn transactions(&self) -> Result<u64> {
        let authorization = self.authorization();
        let request = Request::get(&self.address.to_string(), "/v1/status", &[("Authorization", &authorization)]);
        let response = fetch(self.address, &request).await?;
        request.verify(&response)?;
        let status: Value = serde_json::from_slice(response.body()).context("reading the origin's status")?;
        status["apps"][&self.app]["transactions"].as_u64().context("the origin does not count its transactions")
    }

    /// Pushes a SQLite file of data; it is in a release when this returns.
    pub async fn push_data(&self, file: &[u8]) -> Result<()> {
        let authorization = self.authorization();
        let headers = [("Authorization", authorization.as_str())];
        let request = Request::with_body("PUT", &self.address.to_string(), &self.target("data"), &headers, file);
        let response = fetch_into(Response::keeping(), self.address, &request, TOOL_TIMEOUT).await?;
        request.verify(&response)
    }

    /// The root of a release's snapshot.
    pub async fn root(&self, release: &str) -> Result<String> {
        let request = self.get(&format!("releases/{release}"));
        let response = fetch(self.address, &request).await?;
        request.verify(&response)?;
        let signed: Value = serde_json::from_slice(response.body()).context("reading a signed manifest")?;
        let manifest = signed["manifest"].as_str().context("a signed manifest without its text")?;
        let manifest: Value = serde_json::from_str(manifest).context("reading a manifest")?;
        Ok(manifest["root"].as_str().context("a manifest without a root")?.to_owned())
    }

    /// Saves the release's snapshot, a SQLite file.
    pub async fn export(&self, release: &str, to: &Path) -> Result<()> {
        let root = self.root(release).await?;
        let file = File::create(to).with_context(|| format!("creating {}", to.display()))?;
        let request = self.get(&format!("snapshots/{root}"));
        let response = fetch_into(Response::saving(file), self.address, &request, EXPORT_TIMEOUT).await?;
        request.verify(&response)
    }

    fn get(&self, what: &str) -> Request {
        let authorization = self.authorization();
        Request::get(&self.address.to_string(), &self.target(what), &[("Authorization", &authorization)])
    }

    fn target(&self, what: &str) -> String {
        format!("/v1/apps/{}/{what}", self.app)
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }
}
