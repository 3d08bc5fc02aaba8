//! `nearside promote` and `nearside halt`: what becomes of a canary, by hand; and waiting until it is decided.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::bail;
use clap::Args;
use nearside_host::origin_client::{ClientError, OriginClient};
use nearside_protocol::{
    canary::{Canary, Served, Stands, Whom},
    limits, words,
};

use super::rollback::post;
use crate::places::OriginAccess;

/// Makes the canary's content the release of all nodes
///
/// Ends a canary that `nearside push --canary` began, whatever it waits for: the nodes that have it change nothing, the others
/// take it. The commands and tasks of its version run at the origin from then on.
#[derive(Args)]
#[command(after_help = "Example:\n  nearside promote --app packages --token-file origin-data/token")]
pub struct PromoteArgs {
    /// The app
    #[arg(long)]
    pub app: String,
    #[command(flatten)]
    pub origin: OriginAccess,
}

/// Halts the canary: its nodes go on to what all others have
///
/// Ends a canary that `nearside push --canary` began. The content of all others is published once more, under the next number,
/// because nodes never go to a lower one. Migrations that came with it have run, and stay.
#[derive(Args)]
#[command(after_help = "Example:\n  nearside halt --app packages --token-file origin-data/token")]
pub struct HaltArgs {
    /// The app
    #[arg(long)]
    pub app: String,
    #[command(flatten)]
    pub origin: OriginAccess,
}

/// How something is tried out first.
#[derive(Args)]
pub struct CanaryArgs {
    /// Have these nodes try it out first: a share of those that are heard, or names
    #[arg(long, value_name = "10%|NODE,NODE", conflicts_with = "resume")]
    pub canary: Option<Whom>,
    /// Requests for pages it must have answered before it is promoted by itself
    #[arg(long, value_name = "N", requires = "canary", default_value_t = limits::CANARY_REQUESTS)]
    pub canary_requests: u64,
    /// How long its nodes must have served it before that
    #[arg(long, value_name = "SECONDS", requires = "canary", default_value_t = limits::CANARY_FOR.as_secs())]
    pub canary_for: u64,
    /// Halt a canary that runs, and push this instead
    #[arg(long)]
    pub replace: bool,
    /// Wait until the canary is decided; end with 0 when it was promoted, with 1 when it was halted
    #[arg(long, requires = "canary")]
    pub wait: bool,
}

impl CanaryArgs {
    /// What a push's address says of it.
    pub fn said(&self) -> Vec<(&'static str, String)> {
        let mut said = Vec::new();
        if let Some(whom) = &self.canary {
            said.push(("canary", whom.to_string()));
            said.push(("requests", self.canary_requests.to_string()));
            said.push(("for_s", self.canary_for.to_string()));
        }
        if self.replace {
            said.push(("replace", "true".to_owned()));
        }
        said
    }
}

pub async fn promote(args: PromoteArgs) -> anyhow::Result<ExitCode> {
    post(&args.origin, &format!("/v1/apps/{}/promote", args.app), Vec::new()).await
}

pub async fn halt(args: HaltArgs) -> anyhow::Result<ExitCode> {
    post(&args.origin, &format!("/v1/apps/{}/halt", args.app), Vec::new()).await
}

/// How often it is asked, and how long the origin may be away meanwhile.
const ASK_EVERY: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_secs(120);

/// Says what it waits for, whenever that is something else, until it is decided.
pub async fn wait(origin: &OriginClient, app: &str) -> anyhow::Result<ExitCode> {
    let mut said = String::new();
    let mut heard = Instant::now();
    loop {
        let asked: Result<Canary, ClientError> = origin.get_json(&format!("/v1/apps/{app}/canary")).await;
        let canary = match asked {
            Ok(canary) => canary,
            // It decides all the same, and will tell of it.
            Err(_) if heard.elapsed() < AWAY => {
                tokio::time::sleep(ASK_EVERY).await;
                continue;
            }
            Err(error) => bail!("the origin does not say any more how the canary stands: {error}"),
        };
        heard = Instant::now();
        let stands = without_seconds(&canary);
        if said != stands {
            println!("{}", canary.stands);
            said = stands;
        }
        match canary.stands {
            Stands::Running { .. } => tokio::time::sleep(ASK_EVERY).await,
            Stands::Promoted { .. } => return Ok(ExitCode::SUCCESS),
            Stands::Halted { .. } => return Ok(ExitCode::FAILURE),
        }
    }
}

/// Seconds that go by are not worth a line each.
fn without_seconds(canary: &Canary) -> String {
    let (state, why) = canary.stands.names();
    format!("{state} {why}")
}

/// A canary in a few lines, for `status` and `releases`.
pub fn lines(canary: &Canary) -> Vec<String> {
    let release = canary.release.map_or("not out yet".to_owned(), |release| format!("release {release}"));
    let what = if canary.is_data { "data" } else { "app" };
    let head = format!("canary of {what} {}, {release}, at {}", canary.app_digest.short(), canary.nodes.join(", "));
    let served = |who: &str, served: &Served| {
        let us = |part| served.time_us(part).map_or("–".to_owned(), words::micros);
        format!(
            "  {who}: {}, {} of them server errors; pages made in {} (half of them), {} (nine of ten)",
            words::count(served.requests, "request", "requests"),
            served.server_errors,
            us(0.5),
            us(0.9)
        )
    };
    let mut lines = vec![head, format!("  {}", canary.stands)];
    if canary.is_running() {
        lines.push(served("it", &canary.canaries));
        lines.push(served("the rest", &canary.rest));
    }
    lines
}

#[cfg(test)]
mod tests {
    use nearside_protocol::{
        canary::{Halted, Rules, Waits},
        digest::Digest,
        release::ReleaseId,
    };

    use super::*;

    #[test]
    fn a_canary_is_told_in_a_few_lines() {
        let canary = Canary {
            release: Some(ReleaseId { epoch: 1, seq: 7 }),
            app_digest: Digest::of(b"app"),
            is_data: false,
            since_ms: 1,
            nodes: vec!["a".into(), "b".into()],
            rules: Rules::default(),
            canaries: Served { requests: 12, server_errors: 1, times: vec![0, 0, 10] },
            rest: Served::default(),
            stands: Stands::Running { waits: Waits::Requests { have: 12, of: 200 } },
        };
        let told = lines(&canary);
        assert!(told[0].ends_with("release 1.7, at a, b") && told.len() == 4, "{told:#?}");
        assert_eq!(told[1], "  running: 12 of 200 requests have come: it waits for more, or for a hand");
        assert!(told[2].starts_with("  it: 12 requests, 1 of them server errors; pages made in"), "{told:#?}");
        let halted = Canary { stands: Stands::Halted { why: Halted::ByHand, at_ms: 1 }, ..canary };
        assert_eq!(lines(&halted)[1..], ["  halted: by hand"]);
    }
}
