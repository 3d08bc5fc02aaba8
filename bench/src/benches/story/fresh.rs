//! How long until others see what one visitor wrote: while a turn goes on, a review is posted now and then, and its page
//! asked for at the place farthest from it until it is there.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::{sleep, timeout};

use super::contenders::Contender;
use super::traffic::Traffic;
use crate::connection::{Connection, fetch};
use crate::limits::{STORY_LOOK_EVERY, STORY_LOOK_MOST, STORY_LOOK_PAUSE};
use crate::request::Request;
use crate::response::Response;

#[derive(Debug, Default)]
pub(super) struct Seen {
    /// From sending each review to the first page elsewhere that shows it. What was not seen in time counts as that time.
    pub(super) after_ms: Vec<f64>,
    /// Reviews that were acknowledged.
    pub(super) posted: u64,
    pub(super) requests: u64,
}

/// Until the turn is over.
pub(super) async fn look(contender: &Contender, traffic: &Traffic, name: u64, until: Instant) -> Result<Seen> {
    let mut seen = Seen::default();
    for number in 0.. {
        sleep(STORY_LOOK_PAUSE).await;
        if Instant::now() + STORY_LOOK_PAUSE > until {
            break;
        }
        let (form, page) = traffic.probe(name, number)?;
        let sent = Instant::now();
        let (posted, (after, requests)) = tokio::join!(post(contender, &form), shown(contender, &page, &form, sent));
        seen.requests += 1 + requests;
        if posted {
            seen.posted += 1;
            seen.after_ms.push(after.unwrap_or(STORY_LOOK_MOST).as_secs_f64() * 1e3);
        }
    }
    Ok(seen)
}

/// At the first place; whether it was taken.
async fn post(contender: &Contender, form: &Request) -> bool {
    let answered = fetch(contender.addresses[0], form).await;
    answered.is_ok_and(|response| response.status == form.status || response.status == 202)
}

/// At the last place; when, and after how many requests.
async fn shown(contender: &Contender, page: &Request, form: &Request, sent: Instant) -> (Option<Duration>, u64) {
    let words = form.shows.as_deref().unwrap_or_default();
    let address = contender.addresses[contender.addresses.len() - 1];
    let mut requests = 0;
    let looking = async {
        let mut connection = Connection::open(address, Response::keeping()).await.ok()?;
        loop {
            requests += 1;
            connection.exchange(page).await.ok()?;
            if String::from_utf8_lossy(connection.response.body()).contains(words) {
                return Some(sent.elapsed());
            }
            sleep(STORY_LOOK_EVERY).await;
        }
    };
    let found = timeout(STORY_LOOK_MOST, looking).await.ok().flatten();
    (found, requests)
}
