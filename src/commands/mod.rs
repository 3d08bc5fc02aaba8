//! One file a subcommand.

pub mod audit;
pub mod backup;
pub mod build;
pub mod cache;
pub mod canary;
pub mod check;
mod check_recipe;
pub mod dev;
pub mod health;
pub mod host;
pub mod key;
pub mod logs;
pub mod new;
pub mod origin;
pub mod outbox;
pub mod push;
pub mod queries;
pub mod releases;
pub mod restore;
pub mod rollback;
pub mod snapshot;
pub mod status;
pub mod tasks;
pub mod test;
pub mod token;
pub mod top;

use std::{future::Future, path::Path};

use nearside_host::{
    credential::{self, Credential},
    origin_client::OriginClient,
    tls::Believes,
};
use nearside_protocol::wire::Pushed;

use crate::{
    places::{NodeAccess, OriginAccess},
    settings::origin_tls,
};

/// What a push, or what is like one, came to.
fn print_pushed(pushed: &Pushed) {
    pushed.report.iter().chain(&pushed.cost).for_each(|line| println!("{line}"));
    match pushed.release {
        Some(release) => println!("release {release}"),
        None => println!("no release yet"),
    }
}

/// A client for the origin the command line names.
fn origin_client(access: &OriginAccess) -> anyhow::Result<OriginClient> {
    let tls = origin_tls(&access.tls)?;
    let credential = credential(access.token_file.as_deref())?;
    Ok(OriginClient::by(&access.origin, credential, &tls)?.as_operator(&operator()))
}

/// A client for a node's admin address.
fn node_client(url: &str, access: &NodeAccess) -> anyhow::Result<OriginClient> {
    Ok(OriginClient::by(url, credential(access.admin_token_file.as_deref())?, &Believes::default())?)
}

fn credential(token_file: Option<&Path>) -> anyhow::Result<Credential> {
    let token = token_file.map(credential::read).transpose()?;
    Ok(token.as_deref().map(Credential::of).unwrap_or_default())
}

/// Whoever runs this, as the origin's log of operators is told: NEARSIDE_OPERATOR, or the user and the machine.
fn operator() -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    set("NEARSIDE_OPERATOR").unwrap_or_else(|| {
        let user = set("USER").or_else(|| set("LOGNAME")).unwrap_or_else(|| "somebody".into());
        match std::fs::read_to_string("/proc/sys/kernel/hostname") {
            Ok(machine) => format!("{user}@{}", machine.trim()),
            Err(_) => user,
        }
    })
}

/// Resolves at SIGINT or SIGTERM, for all who wait for it.
fn shutdown() -> anyhow::Result<impl Fn() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (tell, told) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        tell.send_replace(true);
        // A second signal means now.
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(move || {
        let mut told = told.clone();
        Box::pin(async move {
            let _ = told.wait_for(|stop| *stop).await;
        }) as std::pin::Pin<Box<dyn Future<Output = ()> + Send>>
    })
}
