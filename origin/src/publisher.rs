//! The publisher: a thread of each app that makes releases of what the projector has reached, or of the file that was
//! pushed. What a release is made of, and in which order, is in `press.rs`.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Instant,
};

use nearside_host::{
    pages::{Draft, Kept, PagesError},
    priority,
};
use nearside_protocol::{
    app::DatabaseSource,
    canary::Candidacy,
    fleet::Candidate,
    limits,
    release::{Manifest, ReleaseId},
    unix_time::now_ms,
};
use tokio::sync::{oneshot, watch};

use crate::{
    app_version::AppVersion,
    bucket::Name,
    hold::Hold,
    moved::Since,
    out::Out,
    press::{Again, Content, Cost, Made, Press, PressError, manifest_of, newest_of},
    projector::{Captured, Capturer, NotCaptured, Projected},
    pushed_file::{FileId, PushedError, PushedFile},
    read_database::Position,
};

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Press(#[from] PressError),
    #[error(transparent)]
    NotCaptured(#[from] NotCaptured),
    #[error(transparent)]
    Pushed(#[from] PushedError),
    #[error("no database has been pushed yet: `nearside push FILE.db --app …`")]
    NothingPushed,
    #[error(
        "releases are held since the rollback to {}: `nearside resume` publishes what has come since, and lets go on",
        .0.rolled_back_to
    )]
    Held(Hold),
    #[error("{0}")]
    Rollback(String),
    #[error("{path}: {error}", path = path.display())]
    Hold { path: PathBuf, error: io::Error },
}

impl From<PagesError> for PublishError {
    fn from(error: PagesError) -> PublishError {
        PublishError::Press(error.into())
    }
}

impl From<crate::bucket::BucketError> for PublishError {
    fn from(error: crate::bucket::BucketError) -> PublishError {
        PublishError::Press(error.into())
    }
}

/// What publishing came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub release: ReleaseId,
    /// What some nodes try out.
    pub candidate: Option<ReleaseId>,
    /// What was chosen and what it cost; nothing when there was nothing new.
    pub cost: Option<String>,
}

enum Job {
    /// There is something new to publish, when it suits.
    Wake,
    /// Now.
    Publish(Answer),
    /// The content of a release again, or of the one before the current content; and nothing by itself from then on.
    Rollback(Option<ReleaseId>, Answer),
    /// What has come since, and go on.
    Resume(Answer),
    /// A candidate beside what is for everyone; or none any more.
    Try(Option<Trying>, Answer),
    Stop,
}

/// Told what is new before it is given to anyone: of the release for everyone also its manifest, and what it cost if it was made
/// just now.
pub type OnReleased = Box<dyn Fn(Out, &Manifest, Option<Cost>) + Send>;

type Answer = oneshot::Sender<Result<Published, String>>;

/// What some nodes are to try out, with each release that is for everyone.
#[derive(Clone)]
pub struct Trying {
    pub canary: Candidacy,
    pub version: Arc<AppVersion>,
    pub rows: TriedRows,
}

/// Whose database something is tried out on.
#[derive(Clone)]
pub enum TriedRows {
    /// That of everyone.
    Same,
    /// The file that was pushed to be tried out.
    File,
    /// One of its own, which is made another way of the same rows.
    Own(Capturer),
}

pub struct Publisher {
    jobs: SyncSender<Job>,
    head: watch::Receiver<Option<Manifest>>,
    candidate: watch::Receiver<Option<ReleaseId>>,
    error: watch::Receiver<Option<String>>,
    hold: watch::Receiver<Option<Hold>>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    /// Starts the thread. `released` is called from it after each release.
    pub fn start(
        press: Press,
        capturer: Capturer,
        projected: watch::Receiver<Projected>,
        trying: Option<Trying>,
        released: OnReleased,
    ) -> io::Result<Publisher> {
        let (jobs, queue) = sync_channel(limits::ORIGIN_QUEUE);
        let (head_out, head) = watch::channel(press.newest().map(|(_, manifest)| manifest));
        let newest_tried = trying.as_ref().and_then(|trying| newest_of(&press.pages, &trying.canary));
        let (candidate_out, candidate) = watch::channel(newest_tried.map(|(kept, _)| kept.release));
        let (error_out, error) = watch::channel(None);
        let (hold_out, hold) = watch::channel(Hold::load(press.objects.folder())?);
        let worker = Worker {
            press,
            capturer,
            projected,
            last: None,
            since: Since::Unknown,
            trying,
            tried: None,
            tried_since: Since::Unknown,
            head: head_out,
            candidate: candidate_out,
            error: error_out,
            hold: hold_out,
            released,
        };
        let thread = std::thread::Builder::new().name("nearside-publisher".into()).spawn(move || {
            priority::is_patient();
            worker.run(queue)
        })?;
        Ok(Publisher { jobs, head, candidate, error, hold, thread: Some(thread) })
    }

    pub fn head(&self) -> Option<Manifest> {
        self.head.borrow().clone()
    }

    /// The newest candidate, while there is something to try out.
    pub fn candidate(&self) -> Option<ReleaseId> {
        *self.candidate.borrow()
    }

    pub fn error(&self) -> Option<String> {
        self.error.borrow().clone()
    }

    /// Why nothing is published by itself, when that is so.
    pub fn hold(&self) -> Option<Hold> {
        *self.hold.borrow()
    }

    /// Something new can be published. Never waits: when the queue is full, a job in it will find it.
    pub fn waker(&self) -> impl Fn() + Send + use<> {
        let jobs = self.jobs.clone();
        move || {
            let _ = jobs.try_send(Job::Wake);
        }
    }

    /// Publishes what the projector has reached by now; gives the release that holds it.
    pub async fn publish(&self) -> Result<Published, String> {
        self.ask(Job::Publish).await
    }

    /// Publishes the content of a kept release again, and holds what would be published by itself.
    pub async fn rollback(&self, to: Option<ReleaseId>) -> Result<Published, String> {
        self.ask(|answer| Job::Rollback(to, answer)).await
    }

    /// Ends the hold, and publishes what has come since.
    pub async fn resume(&self) -> Result<Published, String> {
        self.ask(Job::Resume).await
    }

    /// Publishes this to be tried out, now and with each release from then on. Without any, what is for everyone is published
    /// again, so that whoever tried something out goes on to that.
    pub async fn try_out(&self, trying: Option<Trying>) -> Result<Published, String> {
        self.ask(|answer| Job::Try(trying, answer)).await
    }

    async fn ask(&self, job: impl FnOnce(Answer) -> Job) -> Result<Published, String> {
        let (answer, reply) = oneshot::channel();
        match self.jobs.try_send(job(answer)) {
            Ok(()) => reply.await.unwrap_or_else(|_| Err("the publisher has stopped".into())),
            Err(TrySendError::Full(_)) => Err("too many releases are waiting to be made; try again".into()),
            Err(TrySendError::Disconnected(_)) => Err("the publisher has stopped".into()),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where the newest release's pages came from.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    ReadDatabase,
    File(FileId),
}

struct Worker {
    press: Press,
    capturer: Capturer,
    projected: watch::Receiver<Projected>,
    /// What the last capture was of.
    last: Option<Source>,
    /// What the newest release's pages are, seen from there.
    since: Since,
    trying: Option<Trying>,
    /// The file that the newest candidate's pages are of.
    tried: Option<FileId>,
    /// What its pages are, seen from the last capture of its own database.
    tried_since: Since,
    head: watch::Sender<Option<Manifest>>,
    candidate: watch::Sender<Option<ReleaseId>>,
    error: watch::Sender<Option<String>>,
    hold: watch::Sender<Option<Hold>>,
    released: OnReleased,
}

impl Worker {
    fn run(mut self, queue: Receiver<Job>) {
        // Since when something waits to be published, and when that was last done without being asked for.
        let (mut waits_since, mut last): (Option<Instant>, Option<Instant>) = (None, None);
        let mut retry_at: Option<Instant> = None;
        loop {
            let next = waits_since.map(|since| due(since, last)).into_iter().chain(retry_at).min();
            let job = match next {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(next) => queue.recv_timeout(next.saturating_duration_since(Instant::now())),
            };
            let is_asked_for = !matches!(job, Ok(Job::Wake) | Err(RecvTimeoutError::Timeout));
            let published = match job {
                Ok(Job::Wake) => {
                    let since = *waits_since.get_or_insert_with(Instant::now);
                    // Wakes that keep coming must not keep the release from being made.
                    if due(since, last) > Instant::now() {
                        continue;
                    }
                    self.by_itself()
                }
                Err(RecvTimeoutError::Timeout) => self.by_itself(),
                Ok(Job::Publish(answer)) => self.answered(Worker::publish, answer),
                Ok(Job::Rollback(to, answer)) => self.answered(|worker| worker.rollback(to), answer),
                Ok(Job::Resume(answer)) => self.answered(Worker::resume, answer),
                Ok(Job::Try(trying, answer)) => {
                    self.trying = trying;
                    self.tried_since = Since::Unknown;
                    self.answered(Worker::publish, answer)
                }
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            };
            waits_since = None;
            if !is_asked_for {
                last = Some(Instant::now());
            }
            retry_at = (published == Outcome::Again).then(|| Instant::now() + limits::RELEASE_RETRY);
        }
    }

    fn answered(
        &mut self,
        work: impl FnOnce(&mut Worker) -> Result<Published, PublishError>,
        answer: Answer,
    ) -> Outcome {
        let result = work(self);
        let outcome = self.tell(&result);
        let _ = answer.send(result.map_err(|error| error.to_string()));
        outcome
    }

    fn by_itself(&mut self) -> Outcome {
        // What a crash left of a release is finished though releases may be held.
        let finished = self.press.finish().map_err(PublishError::from);
        let result = finished.and_then(|()| self.publish());
        self.tell(&result)
    }

    /// Notes what went wrong, for `status`; says whether to try again.
    fn tell(&self, result: &Result<Published, PublishError>) -> Outcome {
        match result {
            Ok(_) => {
                self.error.send_if_modified(|error| error.take().is_some());
                Outcome::Done
            }
            // That is as it was asked for.
            Err(PublishError::Held(_) | PublishError::NothingPushed | PublishError::Rollback(_)) => Outcome::Done,
            Err(error) => {
                let error = error.to_string();
                tracing::error!(app = self.press.app, cause = error, "no release could be made");
                self.error.send_replace(Some(error));
                Outcome::Again
            }
        }
    }

    fn publish(&mut self) -> Result<Published, PublishError> {
        if let Some(hold) = *self.hold.borrow() {
            return Err(PublishError::Held(hold));
        }
        let version = self.projected.borrow().version.clone();
        let Rows { draft, version, position, schema } = match version.archive.app.database {
            DatabaseSource::Mirrored => self.captured()?,
            DatabaseSource::Pushed => self.pushed()?,
        };
        // Once it is what everyone has, there is nothing to try out.
        let trying = self
            .trying
            .clone()
            .filter(|trying| matches!(trying.rows, TriedRows::File) || trying.version.digest != version.digest);
        let again = if trying.is_some() { Again::Never } else { Again::AfterACandidate };
        let made = self.press.publish(draft, Content::of(&position, &version, &schema), again)?;
        self.since = Since::LastCapture;
        let tried = match trying {
            Some(trying) => Some(self.publish_candidate(&trying, position, schema)?),
            None => None,
        };
        self.announced(made, tried)
    }

    /// What is to be tried out, on the rows of what was just published; or on the database that is.
    fn publish_candidate(
        &mut self,
        trying: &Trying,
        position: Position,
        schema: String,
    ) -> Result<Tried, PublishError> {
        let before = newest_of(&self.press.pages, &trying.canary).map(|(kept, _)| kept.table);
        let (draft, position, schema) = match &trying.rows {
            TriedRows::Same => (self.draft(), position, schema),
            TriedRows::Own(capturer) => {
                let since = if before.is_some() { self.tried_since } else { Since::Unknown };
                // Until it is kept.
                self.tried_since = if since == Since::Unknown { Since::Unknown } else { Since::BeforeLastCapture };
                let draft = before.map_or_else(|| self.draft(), |table| self.press.pages.draft(Some(&table)));
                let Captured { draft, projected, schema } = capturer.capture(since, draft)?;
                (draft, projected.position, schema)
            }
            TriedRows::File => {
                let file = PushedFile::to_be_tried(self.press.objects.folder())?.ok_or(PublishError::NothingPushed)?;
                let draft = match before.filter(|_| self.tried == Some(file.id())) {
                    Some(table) => self.press.pages.draft(Some(&table)),
                    None => {
                        let mut draft = self.draft();
                        draft.resize(file.pages());
                        file.each(|number, page| draft.put(number, page).map(drop).map_err(PublishError::from))?;
                        draft
                    }
                };
                self.tried = Some(file.id());
                (draft, position, file.schema()?)
            }
        };
        let content = Content::of(&position, &trying.version, &schema);
        let content = Content { candidate: Some(trying.canary.clone()), ..content };
        let made = self.press.publish(draft, content, Again::Never)?;
        self.tried_since = Since::LastCapture;
        let newest = newest_of(&self.press.pages, &trying.canary);
        let (kept, _) = newest.expect("BUG: a candidate that is not published is there");
        Ok(Tried { candidate: Candidate { release: kept.release, nodes: trying.canary.nodes.clone() }, made })
    }

    /// What the projector has reached, over the newest release's pages.
    fn captured(&mut self) -> Result<Rows, PublishError> {
        let since = if self.last == Some(Source::ReadDatabase) { self.since } else { Since::Unknown };
        self.last = Some(Source::ReadDatabase);
        // Until it is kept.
        self.since = if since == Since::Unknown { Since::Unknown } else { Since::BeforeLastCapture };
        let draft = self.draft();
        let Captured { draft, projected, schema } = self.capturer.capture(since, draft)?;
        Ok(Rows { draft, version: projected.version, position: projected.position, schema })
    }

    /// The pushed file, over the newest release's pages.
    fn pushed(&mut self) -> Result<Rows, PublishError> {
        let file = PushedFile::in_folder(self.press.objects.folder())?.ok_or(PublishError::NothingPushed)?;
        let Projected { version, position, .. } = self.projected.borrow().clone();
        let mut draft = self.draft();
        let source = Source::File(file.id());
        if self.last.as_ref() != Some(&source) || self.since != Since::LastCapture {
            self.last = None;
            draft.resize(file.pages());
            file.each(|number, page| draft.put(number, page).map(drop).map_err(PublishError::from))?;
            self.last = Some(source);
        }
        self.since = Since::Unknown;
        let schema = file.schema()?;
        Ok(Rows { draft, version, position, schema })
    }

    fn draft(&self) -> Draft {
        let newest = self.press.newest();
        self.press.pages.draft(newest.as_ref().map(|(kept, _)| &kept.table))
    }

    fn rollback(&mut self, to: Option<ReleaseId>) -> Result<Published, PublishError> {
        self.press.finish()?;
        let (_, head) = self.press.newest().ok_or_else(|| PublishError::Rollback("there is no release yet".into()))?;
        let (target, old) = self.target(&head, to)?;
        let content = Content::again(&old, head.release.epoch);
        self.assert_whole(&old)?;

        // Held first: a crash in between publishes nothing that nobody asked for.
        let held_before = *self.hold.borrow();
        self.hold(Some(Hold { rolled_back_to: content.rolled_back_to.unwrap_or(old.release), since_ms: now_ms() }))?;
        let draft = self.press.pages.draft(Some(&target.table));
        self.since = Since::Unknown;
        match self.press.publish(draft, content, Again::AfterACandidate) {
            Ok(made) => self.announced(made, None),
            Err(error) => {
                // Once it is in the page store it will be finished, and stays.
                if self.press.newest().is_some_and(|(kept, _)| kept.release == head.release) {
                    self.hold(held_before)?;
                }
                Err(error.into())
            }
        }
    }

    /// The release to go back to: the one that was named, or the newest before the current content.
    fn target(&self, head: &Manifest, to: Option<ReleaseId>) -> Result<(Kept, Manifest), PublishError> {
        let refused = |why: String| Err(PublishError::Rollback(why));
        let kept = self.press.pages.kept();
        let all = kept.into_iter().filter_map(|kept| manifest_of(&kept).map(|manifest| (kept, manifest)));
        // What some tried out was never for everyone; if it was, that is another release.
        let all: Vec<(Kept, Manifest)> = all.filter(|(_, manifest)| manifest.candidate.is_none()).collect();
        let current = head.rolled_back_to.unwrap_or(head.release);
        let found = match to {
            Some(to) => all.iter().find(|(kept, _)| kept.release == to),
            None => all.iter().rev().find(|(kept, old)| kept.release < current && !is_same_content(old, head)),
        };
        match (found, to) {
            (Some((_, old)), Some(to)) if is_same_content(old, head) => {
                refused(format!("release {to} has the content that is published already, as {}", head.release))
            }
            (Some(found), _) => Ok(found.clone()),
            (None, Some(to)) => {
                let oldest = all.first().map_or(head.release, |(kept, _)| kept.release);
                refused(format!("release {to} is not kept: {oldest} to {} are", head.release))
            }
            (None, None) => refused("no release with other content is kept".into()),
        }
    }

    /// What an old release needs besides its pages must still be there.
    fn assert_whole(&self, old: &Manifest) -> Result<(), PublishError> {
        let objects = &self.press.objects;
        let archive = Name::Archive(old.app_digest);
        if objects.bucket.wait(objects.bucket.length(archive))? != Some(old.app_archive_bytes) {
            return Err(PublishError::Rollback(format!(
                "release {}: the object store lacks its {archive}",
                old.release
            )));
        }
        if old.secrets.is_some_and(|digest| !objects.secrets_path(&digest).exists()) {
            return Err(PublishError::Rollback(format!("release {}: its secrets are gone", old.release)));
        }
        Ok(())
    }

    fn resume(&mut self) -> Result<Published, PublishError> {
        self.hold(None)?;
        self.publish()
    }

    fn hold(&self, hold: Option<Hold>) -> Result<(), PublishError> {
        let (folder, disk): (&Path, _) = (self.press.objects.folder(), self.press.objects.disk());
        let stored = match &hold {
            Some(hold) => hold.store(folder, disk),
            None => Hold::remove(folder, disk),
        };
        stored.map_err(|error| PublishError::Hold { path: folder.to_owned(), error })?;
        self.hold.send_replace(hold);
        Ok(())
    }

    /// Tells of the newest release, when that is news.
    fn announced(&self, made: Option<Made>, tried: Option<Tried>) -> Result<Published, PublishError> {
        let (_, newest) = self.press.newest().expect("BUG: without a release, everything is one");
        let Manifest { release, applied_commit, .. } = newest;
        let candidate = tried.as_ref().map(|tried| tried.candidate.clone());
        let candidate_release = candidate.as_ref().map(|candidate| candidate.release);
        let was = (self.head.borrow().as_ref().map(|head| head.release), *self.candidate.borrow());
        if was != (Some(release), candidate_release) {
            self.head.send_replace(Some(newest.clone()));
            self.candidate.send_replace(candidate_release);
            (self.released)(Out { stable: release, candidate }, &newest, made.as_ref().map(|made| made.cost));
        }
        let made_candidate = tried.and_then(|tried| tried.made);
        for (made, what) in [(&made, "released"), (&made_candidate, "released to be tried out")] {
            if let Some(Made { manifest, cost }) = made {
                tracing::info!(
                    app = self.press.app,
                    release = %manifest.release,
                    applied_commit,
                    pages = cost.pages,
                    of_pages = cost.page_count,
                    bytes = cost.bytes,
                    ms = cost.ms,
                    "{what} as {}",
                    cost.chosen.name()
                );
            }
        }
        let cost = made_candidate.or(made).map(|made| made.cost.to_string());
        Ok(Published { release, candidate: candidate_release, cost })
    }
}

/// One moment of a database, and the version of the app that is for everyone then.
struct Rows {
    draft: Draft,
    version: Arc<AppVersion>,
    position: Position,
    /// What a response depends on and no page tells.
    schema: String,
}

/// A candidate that is out.
struct Tried {
    candidate: Candidate,
    /// Nothing when it was out already.
    made: Option<Made>,
}

/// When what has waited since then is published, after the release that was made last.
fn due(waits_since: Instant, last: Option<Instant>) -> Instant {
    let with_company = waits_since + limits::PUBLISH_COMPANY;
    last.map_or(with_company, |last| with_company.max(last + limits::PUBLISH_APART))
}

/// Whether a try is to be repeated by itself.
#[derive(PartialEq)]
enum Outcome {
    Done,
    Again,
}

fn is_same_content(one: &Manifest, other: &Manifest) -> bool {
    one.root == other.root
        && one.app_digest == other.app_digest
        && one.variables == other.variables
        && one.secrets == other.secrets
}

#[cfg(test)]
mod losing_power_tests;
#[cfg(test)]
mod tests;
