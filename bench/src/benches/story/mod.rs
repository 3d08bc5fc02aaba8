//! The story: one site, built in three ways, under the same visitors, while there are more and more of them. As a service
//! that does everything inside the request, as the same behind nginx with a cache of a second, and as Nearside.

mod climb;
mod contenders;
mod fresh;
mod picture;
mod traffic;
mod turn;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Measured;
use super::stage::{HOST, slower_disk};
use crate::args::Run;
use crate::columns::Kind;
use crate::connection::fetch;
use crate::cores::Cores;
use crate::limits::{STORY_CHECKED, STORY_CLIMBS, STORY_FAILED_SHARE, STORY_P99_MS, STORY_WEBHOOK, STORY_WORK_LEFT_S};
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::request::Request;
use crate::sweep::sweep;
use crate::table::number;
use crate::value::Metric;
use climb::{Bend, bend, rates};
use contenders::{Cast, Contender};
use traffic::Traffic;
use turn::Turn;

pub(super) const ABOUT: &str = "The package directory in three ways under the same rising load of visitors who browse, search \
                                and write: one service that does everything inside the request, the same behind a cache of \
                                a second, and an origin with two nodes.";

pub(super) const PLAIN: &str = "plain";
pub(super) const NGINX: &str = "nginx";
pub(super) const NEARSIDE: &str = "nearside";

const BENDS: &str = "bends";
const KNEE: &str = "knee";
const AT_ONCE: &str = "knee, webhooks answered at once";

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let cores = Cores::apart()?;
    let cast = contenders::start(args, &cores, ABOUT).await?;
    let traffic = Traffic::new(HOST, &cast.catalogue)?;
    let pages = warm(&cast, &traffic).await?;
    let mut story = Story { cast, traffic, settings, turns: 0, samples: Vec::new() };
    let climbs = story.climb().await?;
    let knee_rps = climbs.knee_rps()?;
    eprintln!("  the plain service bends at {} requests a second", number(knee_rps));
    for round in 1..=settings.rounds {
        story.all(KNEE, round, knee_rps).await?;
    }
    story.webhooks_after(Duration::ZERO);
    story.all(AT_ONCE, 1, knee_rps).await?;
    cores.be_free()?;
    let about = About { cores: cores.about(), pages, connections: settings.connections, seconds: settings.seconds };
    Ok(story.told(&climbs, knee_rps, &about))
}

struct Story<'a> {
    cast: Cast,
    traffic: Traffic,
    settings: &'a Settings,
    turns: u64,
    samples: Vec<Sample>,
}

/// What all climbs came to.
#[derive(Default)]
struct Climbs {
    /// The rate each contender first did not bear, and why, climb after climb.
    bent: BTreeMap<&'static str, Vec<(f64, Bend)>>,
}

/// What is said of the whole run.
struct About {
    cores: String,
    pages: String,
    connections: usize,
    seconds: f64,
}

impl Story<'_> {
    /// Each contender from low to high, until it bends. The first climb finds out where; the others begin shortly below.
    async fn climb(&mut self) -> Result<Climbs> {
        let (rates, mut climbs) = (rates(), Climbs::default());
        for round in 1..=STORY_CLIMBS.min(self.settings.rounds) {
            for at in 0..self.cast.contenders.len() {
                let name = self.cast.contenders[at].name;
                let last = climbs.bent.get(name).and_then(|bent| bent.last());
                let first = last.and_then(|(rate, _)| rates.iter().position(|of| of == rate)).unwrap_or(0);
                for (step, rate_rps) in rates.iter().enumerate().skip(first.saturating_sub(2)) {
                    let values = self.turn(at, step as u64 + 1, *rate_rps).await?;
                    let bent = bend(&values);
                    self.keep(&step_name(*rate_rps), at, round, values);
                    if let Some(why) = bent {
                        eprintln!("  {name} bends at {}: {why}", number(*rate_rps));
                        climbs.bent.entry(name).or_default().push((*rate_rps, why));
                        let bends = BTreeMap::from([(Metric::BendsAt, *rate_rps)]);
                        self.keep(BENDS, at, round, bends);
                        break;
                    }
                }
            }
        }
        Ok(climbs)
    }

    /// Every contender once; whoever is first in one round is last in another.
    async fn all(&mut self, case: &str, round: usize, rate_rps: f64) -> Result<()> {
        let count = self.cast.contenders.len();
        for turn in 0..count {
            let at = (round + turn) % count;
            let values = self.turn(at, 1_000 + round as u64, rate_rps).await?;
            self.keep(case, at, round, values);
        }
        Ok(())
    }

    /// `number` is the same where contenders are compared, so that all have the same visitors.
    async fn turn(&mut self, at: usize, number: u64, rate_rps: f64) -> Result<BTreeMap<Metric, f64>> {
        self.turns += 1;
        self.cast.still_running()?;
        let contender = &self.cast.contenders[at];
        // No review of one turn is like one of another, whichever traffic it repeats.
        let turn = Turn { traffic: &self.traffic, settings: self.settings, number, repeat: self.turns, rate_rps };
        let values = turn.of(contender).await;
        let values = values.with_context(|| format!("{}, {rate_rps} requests a second", contender.name))?;
        progress(contender.name, rate_rps, &values);
        Ok(values)
    }

    fn keep(&mut self, case: &str, at: usize, round: usize, values: BTreeMap<Metric, f64>) {
        let (case, contender) = (case.to_owned(), self.cast.contenders[at].name.to_owned());
        self.samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
    }

    fn webhooks_after(&self, delay: Duration) {
        self.cast.contenders.iter().for_each(|contender| contender.receiver.answer_after(delay));
    }

    fn told(mut self, climbs: &Climbs, knee_rps: f64, about: &About) -> Measured {
        let mut cases = vec![
            self.case(KNEE, Kind::Visited, self.about_the_knee(knee_rps, about)),
            self.case(BENDS, Kind::Bends, about_bending(climbs)),
        ];
        for rate_rps in rates() {
            let name = step_name(rate_rps);
            if self.samples.iter().any(|sample| sample.case == name) {
                cases.push(self.case(&name, Kind::Step, format!("{} requests a second.", number(rate_rps))));
            }
        }
        let about =
            "The same with webhooks that are answered at once: what is left when nobody waits for others. One round.";
        cases.push(self.case(AT_ONCE, Kind::Visited, about.to_owned()));
        let place = |sample: &Sample| {
            let contender = self.cast.contenders.iter().position(|contender| contender.name == sample.contender);
            (cases.iter().position(|case| case.name == sample.case), contender, sample.round)
        };
        self.samples.sort_by_key(place);
        (cases, self.samples)
    }

    fn case(&self, name: &str, kind: Kind, about: String) -> CaseReport {
        let describe = |contender: &Contender| {
            let measured = |sample: &Sample| sample.case == name && sample.contender == contender.name;
            let why = if kind == Kind::Bends { "it bore every rate there is" } else { "it had bent before" };
            let missing = (!self.samples.iter().any(measured)).then(|| why.to_owned());
            Described { name: contender.name.to_owned(), about: contender.about.clone(), missing }
        };
        let contenders = self.cast.contenders.iter().map(describe).collect();
        CaseReport { name: name.to_owned(), about, kind, limit: PLAIN.to_owned(), contenders, load: None }
    }

    fn about_the_knee(&self, knee_rps: f64, about: &About) -> String {
        format!(
            "{} requests a second, where the plain service no longer keeps up, in turns of {} s over {} connections. {}. \
             {}. Each review is announced to a webhook that takes {} ms to answer. {}.{}",
            number(knee_rps),
            about.seconds,
            about.connections,
            self.traffic.about(),
            about.pages,
            STORY_WEBHOOK.as_millis(),
            capital(&about.cores),
            slower_disk(),
        )
    }
}

impl Climbs {
    /// The rate at which the plain service bends, of several climbs the middle one.
    fn knee_rps(&self) -> Result<f64> {
        let bent =
            self.bent.get(PLAIN).context("the plain service bore every rate there is: raise STORY_STEPS_MOST")?;
        let mut rates: Vec<f64> = bent.iter().map(|(rate, _)| *rate).collect();
        rates.sort_by(f64::total_cmp);
        Ok(rates[rates.len() / 2])
    }
}

fn about_bending(climbs: &Climbs) -> String {
    let mut about = format!(
        "The first rate that a contender does not bear, in requests a second: p99 of all first bytes above {} ms, or more \
         than {} % failed, or work put off that is not done {} s after the last request.",
        STORY_P99_MS,
        100.0 * STORY_FAILED_SHARE,
        STORY_WORK_LEFT_S,
    );
    for (name, bent) in &climbs.bent {
        let whys: Vec<String> = bent.iter().map(|(rate, why)| format!("{} ({why})", number(*rate))).collect();
        about += &format!(" {name}: {}.", whys.join(", "));
    }
    about
}

fn step_name(rate_rps: f64) -> String {
    format!("{} a second", number(rate_rps))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Has everyone answer every address once, and looks whether they answer alike. What is said of it.
async fn warm(cast: &Cast, traffic: &Traffic) -> Result<String> {
    alike(cast, traffic).await?;
    let requests = std::sync::Arc::new(traffic.pages.clone());
    let mut means = Vec::new();
    for contender in &cast.contenders {
        let mut bytes = 0;
        for address in &contender.addresses {
            let (_, swept) = sweep(*address, &requests).await.with_context(|| format!("asking {}", contender.name))?;
            bytes = swept;
        }
        means.push(bytes as f64 / requests.len() as f64);
    }
    let [plain, .., nearside] = means.as_slice() else { return Ok(String::new()) };
    ensure!((0.8..1.25).contains(&(plain / nearside)), "pages of {plain} and {nearside} bytes are not the same site's");
    Ok(format!(
        "Before the first turn everyone was asked for each address once: pages of {} bytes on average ({} and {})",
        number(plain.midpoint(*nearside)),
        number(*plain),
        number(*nearside),
    ))
}

/// Their pages differ in markup. What is in them is the same to the byte, which programs are told as JSON.
async fn alike(cast: &Cast, traffic: &Traffic) -> Result<()> {
    let (first, others) = (&cast.contenders[0], &cast.contenders[1..]);
    let programs = |target: &&str| target.starts_with("/package/") || target.starts_with("/search");
    let targets = traffic.pages.iter().map(|page| page.target.as_str()).filter(programs).take(STORY_CHECKED);
    for target in targets {
        let request = Request::get(HOST, target, &[("Accept", "application/json")]);
        let expected = fetch(first.addresses[0], &request).await?;
        request.verify(&expected)?;
        // nginx keeps one answer for an address, whatever is accepted.
        for other in others.iter().filter(|other| other.name != NGINX) {
            let found = fetch(other.addresses[0], &request).await?;
            let same = found.body() == expected.body();
            ensure!(same, "{} and {} answer GET {target} differently", first.name, other.name);
        }
    }
    Ok(())
}

fn progress(contender: &str, rate_rps: f64, values: &BTreeMap<Metric, f64>) {
    let value = |metric| values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {rate_rps:>6} {contender:<9} first byte p50 {:>7.2} p99 {:>8.2} ms  pages p99 {:>8.2}  forms p50 {:>7.1}  {:>3.0} \
         failed  {:>5.0} us CPU  {:>5.2} queries  seen {:>5.0} ms  own {:>5.1} %  hits {:>5.1} %  left {:>4.1} s  not told \
         {:.0}  (generator {:>2.0} %, others {:>2.0} %)",
        value(Metric::FirstByteP50),
        value(Metric::FirstByteP99),
        value(Metric::PagesP99),
        value(Metric::FormsP50),
        value(Metric::Failed),
        value(Metric::CpuOpen),
        value(Metric::QueriesRequest),
        value(Metric::SeenP50),
        value(Metric::OwnShown),
        value(Metric::Hits),
        value(Metric::WorkLeft),
        value(Metric::NotTold),
        value(Metric::GeneratorCpu),
        100.0 * value(Metric::OthersCpu),
    );
}
