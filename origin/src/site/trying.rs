//! A candidate that some nodes of an app try out: how it begins, and how it ends.
//!
//! A decision is written down before anything of it is done, so that a start finishes it. The release that follows from it the
//! publisher makes by itself: what is for everyone comes after a candidate that nobody tries out any more.

use std::{
    sync::{Arc, MutexGuard},
    time::{Duration, Instant},
};

use nearside_protocol::{
    canary::{Canary, Candidacy, Halted, Promoted, Stands, Waits},
    digest::Digest,
    fleet::Candidate,
    limits,
    release::ReleaseId,
    unix_time::now_ms,
    wire::Pushed,
    words,
};

use super::{PushError, Running, Site, SiteError, aside, blocking};
use crate::{
    app_version::AppVersion,
    canary::{
        NotTried, Wanted,
        judge::{Refused, Seen, Verdict, judge},
        record::{Decided, Outcome, Record},
        tally::{Tally, Told},
    },
    fleet::HeardOf,
    press::{manifest_of, newest_of},
    publisher::{Published, TriedRows, Trying},
    pushed_file::PushedFile,
};

/// The canary that runs, or the last one.
#[derive(Default)]
pub(super) struct Standing {
    record: Option<Record>,
    /// What its nodes are given, while it runs.
    trying: Option<Trying>,
    /// The newest candidate of one that is over.
    last: Option<ReleaseId>,
    tally: Tally,
    waits: Option<Waits>,
    /// What was decided did not go through: not before then again.
    again_at: Option<Instant>,
}

impl Site {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().expect("BUG: nothing panics while holding the canary")
    }

    /// The canary that runs.
    fn running_canary(&self) -> Option<Record> {
        self.standing().record.clone().filter(Record::is_running)
    }

    pub(super) fn assert_untried(&self) -> Result<(), NotTried> {
        match self.running_canary() {
            Some(record) => Err(NotTried::Running { nodes: record.canary.nodes.join(", ") }),
            None => Ok(()),
        }
    }

    /// Whether one runs.
    pub(crate) fn is_tried(&self) -> bool {
        self.running_canary().is_some()
    }

    /// What some nodes are given instead of what is for everyone.
    pub(crate) fn candidate(&self) -> Option<Candidate> {
        let record = self.running_canary()?;
        Some(Candidate { release: self.newest_candidate(&record.canary)?, nodes: record.canary.nodes })
    }

    /// The same, and when the canary began: Unix time, milliseconds.
    pub(crate) fn candidate_since(&self) -> Option<(Candidate, u64)> {
        let since_ms = self.running_canary()?.canary.since_ms;
        Some((self.candidate()?, since_ms))
    }

    /// The version of this code, if some nodes try it out on the rows of all, and their release.
    pub(crate) fn tried_version(&self, code: &Digest) -> Option<(Arc<AppVersion>, ReleaseId)> {
        let trying = self.standing().trying.clone()?;
        let is_it = matches!(trying.rows, TriedRows::Same) && trying.version.digest == *code;
        is_it.then_some((trying.version, self.running()?.publisher.candidate()?))
    }

    pub(super) fn version_tried(&self) -> Option<Arc<AppVersion>> {
        Some(self.standing().trying.as_ref()?.version.clone())
    }

    fn newest_candidate(&self, canary: &Candidacy) -> Option<ReleaseId> {
        match self.running() {
            Some(running) => running.publisher.candidate(),
            None => newest_of(&self.pages, canary).map(|(kept, _)| kept.release),
        }
    }

    /// The canary that runs, or the last one, for operators.
    pub(crate) fn canary(&self) -> Option<Canary> {
        let standing = self.standing();
        let record = standing.record.clone()?;
        let (canaries, rest) = (standing.tally.canaries(), standing.tally.rest(&record.canary));
        let (waits, last) = (standing.waits.clone(), standing.last);
        drop(standing);
        let of = record.canary.nodes.len() as u64;
        let release = if record.is_running() { self.newest_candidate(&record.canary) } else { last };
        let stands = match record.decided {
            None => Stands::Running { waits: waits.unwrap_or(Waits::Arrival { have: 0, of }) },
            Some(Decided { outcome: Outcome::Promoted(why), at_ms, .. }) => Stands::Promoted { why, at_ms },
            Some(Decided { outcome: Outcome::Halted(why), at_ms, .. }) => Stands::Halted { why, at_ms },
        };
        Some(Canary {
            release,
            app_digest: record.app_digest,
            is_data: record.is_data,
            since_ms: record.canary.since_ms,
            nodes: record.canary.nodes,
            rules: record.rules,
            canaries,
            rest,
            stands,
        })
    }

    /// After a start: knows what was under way, and does what was decided and may not have been done.
    pub(super) fn load_canary(&self) -> Result<(), SiteError> {
        let Some(mut record) = Record::load(&self.folder).map_err(|error| self.io(error))? else { return Ok(()) };
        if record.decided.as_ref().is_some_and(|decided| !decided.is_done) {
            self.carry_out(&record)?;
            record = self.done(record)?;
        }
        if !record.is_running() {
            aside::remove(&self.folder)?;
        }
        let last = newest_of(&self.pages, &record.canary).map(|(kept, _)| kept.release);
        *self.standing() = Standing { record: Some(record), last, ..Standing::default() };
        Ok(())
    }

    /// What is to be tried out beside the version that runs, after a start; on the database of everyone, as far as is known here.
    /// One that cannot be read is halted.
    pub(super) async fn trying_beside(&self, version: &Arc<AppVersion>) -> Result<Option<Trying>, SiteError> {
        let Some(record) = self.running_canary() else { return Ok(None) };
        let (objects, settings, of) = (self.objects.clone(), self.settings.clone(), record.version());
        let version = match record.is_data {
            true => Ok(version.clone()),
            false => {
                blocking(move || Ok::<_, SiteError>(Arc::new(AppVersion::stored(&objects, &of, &settings)?))).await
            }
        };
        match version {
            Ok(version) => {
                let rows = if record.is_data { TriedRows::File } else { TriedRows::Same };
                let trying = Trying { canary: record.canary, version, rows };
                self.standing().trying = Some(trying.clone());
                Ok(Some(trying))
            }
            Err(error) => {
                self.halt_at_start(&error)?;
                Ok(None)
            }
        }
    }

    /// What is tried out cannot go on, and must not keep from working what is for everyone.
    pub(super) fn halt_at_start(&self, error: &SiteError) -> Result<(), SiteError> {
        tracing::error!(app = self.name, cause = %error, "what some nodes try out cannot go on: halted");
        let (node, reason, words) = ("the origin".into(), "unusable_app".into(), error.to_string());
        let outcome = Outcome::Halted(Halted::Refused { node, reason, words });
        let decided = Some(Decided { outcome, at_ms: now_ms(), is_done: true });
        self.standing().trying = None;
        self.change(|record| Some(Record { decided, ..record })).map(drop)
    }

    /// Has these nodes try it out from now on.
    pub(super) async fn try_out(
        &self,
        running: &Running,
        version: Arc<AppVersion>,
        is_data: bool,
        wanted: Wanted,
        mut report: Vec<String>,
    ) -> Result<Pushed, PushError> {
        let Wanted { nodes, rules } = wanted;
        let canary = Candidacy { since_ms: now_ms(), nodes };
        let rows = match is_data {
            true => TriedRows::File,
            false => running.rows_for(&version, &self.folder).await?,
        };
        let record = Record {
            canary: canary.clone(),
            app_digest: version.digest,
            app_archive_bytes: version.archive_bytes,
            is_data,
            rules,
            served_since_ms: None,
            decided: None,
        };
        if let Err(error) = record.store(&self.folder, self.objects.disk()) {
            running.end_aside(&self.folder).await?;
            return Err(self.io(error).into());
        }
        let trying = Trying { canary: canary.clone(), version, rows };
        *self.standing() = Standing { record: Some(record), trying: Some(trying.clone()), ..Standing::default() };
        running.projector.update().await.map_err(PushError::Unreleased)?;
        let published = running.publisher.try_out(Some(trying)).await.map_err(PushError::Unreleased)?;
        let Published { candidate, cost, .. } = published;
        report.push(format!(
            "tried out at {}; promoted when nothing is wrong with it after {} and {}, else halted",
            canary.nodes.join(", "),
            words::lasting(rules.for_s * 1_000),
            words::count(rules.requests, "request", "requests")
        ));
        Ok(Pushed { release: candidate, report, cost })
    }

    /// Makes what is tried out the release of all. `canary_ms` is when the canary began that is meant, where another may have begun
    /// since somebody looked.
    pub(crate) async fn promote(&self, why: Promoted, canary_ms: Option<u64>) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let running = self.running().ok_or(PushError::NoApp)?;
        let trying = self.standing().trying.clone();
        let record = self.decide(Outcome::Promoted(why.clone()), canary_ms)?;
        let taken = match trying {
            Some(trying) if !record.is_data => running.adopt(trying.version).await,
            _ => Ok(Vec::new()),
        };
        let carried_out = taken.and_then(|report| self.carry_out(&record).map(|()| report).map_err(PushError::from));
        let mut report = match carried_out {
            Ok(report) => report,
            Err(error) => {
                // It is tried out further.
                self.keep(Record { decided: None, ..record })?;
                return Err(error);
            }
        };
        report.push(format!("promoted: {why}"));
        self.ended(&running, record, report).await
    }

    /// Has the nodes that try something out go on to what all have.
    pub(crate) async fn halt(&self, why: Halted, canary_ms: Option<u64>) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let running = self.running().ok_or(PushError::NoApp)?;
        let record = self.decide(Outcome::Halted(why.clone()), canary_ms)?;
        let mut report = vec![format!("halted: {why}")];
        if !record.is_data {
            report.push("migrations that came with it stay: they only go forward".to_owned());
        }
        self.ended(&running, record, report).await
    }

    /// Publishes what is for everyone by now, after the last candidate.
    async fn ended(&self, running: &Running, record: Record, report: Vec<String>) -> Result<Pushed, PushError> {
        let last = running.publisher.candidate();
        {
            let mut standing = self.standing();
            standing.trying = None;
            standing.last = last.or(standing.last);
        }
        // Should it fail, the publisher tries again by itself.
        let published = running.publisher.try_out(None).await;
        running.end_aside(&self.folder).await?;
        self.carry_out(&record)?;
        self.done(record)?;
        self.hold_host_names();
        let Published { release, cost, .. } = published.map_err(PushError::Unreleased)?;
        Ok(Pushed { release: Some(release), report, cost })
    }

    /// Writes down what becomes of the canary that runs.
    fn decide(&self, outcome: Outcome, canary_ms: Option<u64>) -> Result<Record, PushError> {
        let is_meant = |record: &Record| canary_ms.is_none_or(|canary_ms| record.canary.since_ms == canary_ms);
        let decided = Some(Decided { outcome, at_ms: now_ms(), is_done: false });
        let changed = self.change(|record| is_meant(&record).then_some(Record { decided, ..record }))?;
        changed.ok_or_else(|| NotTried::None.into())
    }

    /// Changes the record of the canary that runs, unless `change` would not: durably, and by one at a time.
    fn change(&self, change: impl FnOnce(Record) -> Option<Record>) -> Result<Option<Record>, SiteError> {
        let mut standing = self.standing();
        let Some(changed) = standing.record.clone().filter(Record::is_running).and_then(change) else {
            return Ok(None);
        };
        changed.store(&self.folder, self.objects.disk()).map_err(|error| self.io(error))?;
        standing.record = Some(changed.clone());
        Ok(Some(changed))
    }

    /// What follows from a decision besides the release; doing it again changes nothing.
    fn carry_out(&self, record: &Record) -> Result<(), SiteError> {
        let Some(Decided { outcome, .. }) = &record.decided else { return Ok(()) };
        match (outcome, record.is_data) {
            (Outcome::Promoted(_), true) => Ok(PushedFile::promote(&self.folder, self.objects.disk())?),
            (Outcome::Halted(_), true) => Ok(PushedFile::forget_tried(&self.folder)?),
            (Outcome::Promoted(_), false) => {
                record.version().store(&self.folder, self.objects.disk()).map_err(|error| self.io(error))
            }
            (Outcome::Halted(_), false) => Ok(()),
        }
    }

    fn done(&self, record: Record) -> Result<Record, SiteError> {
        let decided = record.decided.map(|decided| Decided { is_done: true, ..decided });
        self.keep(Record { decided, ..record })
    }

    fn keep(&self, record: Record) -> Result<Record, SiteError> {
        record.store(&self.folder, self.objects.disk()).map_err(|error| self.io(error))?;
        self.standing().record = Some(record.clone());
        Ok(record)
    }

    /// What to do about the canary that runs, by what its nodes and the others told last. Blocks for a moment.
    pub(crate) fn look_at_canary(&self, heard: Vec<HeardOf>, now: Instant) -> Option<(u64, Verdict)> {
        let record = self.running_canary()?;
        let own: Vec<&HeardOf> = heard.iter().filter(|of| record.canary.is_for(&of.node) && !of.is_silent).collect();
        let (own_heard, serving) = (own.len(), own.iter().filter(|of| of.tries(&record.canary)).count());
        let refused = own.iter().find_map(|of| self.refused(of, &record.canary));
        let record = match record.served_since_ms {
            None if serving > 0 && serving == own_heard => {
                let arrived = |record| Some(Record { served_since_ms: Some(now_ms()), ..record });
                self.change(arrived).ok().flatten()?
            }
            _ => record,
        };
        let mut standing = self.standing();
        if standing.again_at.is_some_and(|again_at| now < again_at) {
            return None;
        }
        for HeardOf { node, process, app, .. } in heard {
            if let Some(beat) = app.and_then(|app| app.served) {
                standing.tally.hear(Told { node, process, beat }, &record.canary);
            }
        }
        let served_for = record.served_since_ms.map_or(0, |since_ms| now_ms().saturating_sub(since_ms));
        let verdict = judge(&Seen {
            rules: record.rules,
            nodes: record.canary.nodes.len() as u64,
            heard: own_heard as u64,
            serving: serving as u64,
            served_for: Duration::from_millis(served_for),
            refused,
            canaries: standing.tally.canaries(),
            rest: standing.tally.rest(&record.canary),
        });
        if let Verdict::Wait(waits) = &verdict {
            standing.waits = Some(waits.clone());
        }
        Some((record.canary.since_ms, verdict))
    }

    /// What was decided did not go through: it is tried again in a while.
    pub(crate) fn canary_again_later(&self, now: Instant) {
        self.standing().again_at = Some(now + limits::RELEASE_RETRY);
    }

    /// Whether a node refuses to serve a candidate of this canary.
    fn refused(&self, of: &HeardOf, canary: &Candidacy) -> Option<Refused> {
        let app = of.app.as_ref()?;
        let refusal = app.refusal.as_ref()?;
        let kept = self.pages.kept().into_iter().find(|kept| kept.release == refusal.release)?;
        let is_candidate = manifest_of(&kept)?.candidate.as_ref() == Some(canary);
        let words = app.refused.clone().unwrap_or_else(|| refusal.reason.clone());
        is_candidate.then(|| Refused { node: of.node.clone(), reason: refusal.reason.clone(), words })
    }
}
