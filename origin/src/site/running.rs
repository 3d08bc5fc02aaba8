//! The parts of an app that work while it has a version, and what passes between them.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use nearside_protocol::{release::Manifest, wire::Pushed};
use tokio::{sync::watch, task::AbortHandle};

use super::{
    PushError, SiteError,
    aside::{self, Aside},
    blocking,
};
use crate::{
    app_version::{AppVersion, VersionError},
    hold::Hold,
    projector::{Projected, Projector},
    publisher::{Published, Publisher, TriedRows},
    task_runner::TaskRunner,
    trim::Trim,
    writer::Writer,
};

/// The parts that work while the app has a version.
pub struct Running {
    pub writer: Writer,
    pub(super) projector: Projector,
    pub(super) publisher: Publisher,
    pub(super) tasks: Mutex<Option<TaskRunner>>,
    pub(super) forwarding: AbortHandle,
    pub(super) trim: Arc<Trim>,
    /// The read database of what is tried out, where that makes its own.
    pub(super) aside: Mutex<Option<Aside>>,
}

impl Running {
    pub(crate) fn head(&self) -> Option<Manifest> {
        self.publisher.head()
    }

    pub(crate) fn hold(&self) -> Option<Hold> {
        self.publisher.hold()
    }

    /// Whether nodes serve something else than what the read database holds.
    pub(crate) fn is_held(&self) -> bool {
        self.hold().is_some()
    }

    pub(crate) fn projected(&self) -> watch::Receiver<Projected> {
        self.projector.projected()
    }

    pub fn version(&self) -> Arc<AppVersion> {
        self.projector.projected().borrow().version.clone()
    }

    pub(super) async fn publish(&self) -> Result<Pushed, PushError> {
        self.projector.update().await.map_err(PushError::Unreleased)?;
        let Published { release, cost, .. } = self.publisher.publish().await.map_err(PushError::Unreleased)?;
        Ok(Pushed { release: Some(release), report: Vec::new(), cost })
    }

    /// Makes the store ready for a version that is to be tried out: runs its migrations. The version that runs goes on; a
    /// migration that takes from it what it mirrors is refused.
    pub(super) async fn prepare_for(&self, tried: &AppVersion) -> Result<Vec<String>, PushError> {
        Ok(prepare(&self.writer, &self.version(), tried).await?)
    }

    /// Whose database this is tried out on; one of its own is made and followed from here on.
    pub(super) async fn rows_for(&self, tried: &Arc<AppVersion>, folder: &Path) -> Result<TriedRows, PushError> {
        if tried.shape == self.version().shape {
            return Ok(TriedRows::Same);
        }
        aside::remove(folder)?;
        self.trim.begin_aside();
        let aside = Aside::start(folder, tried.clone(), self.trim.clone()).await;
        let mut aside = aside.inspect_err(|_| self.trim.end_aside())?;
        aside.follow(&self.writer, &self.publisher);
        let rows = TriedRows::Own(aside.capturer());
        *self.aside() = Some(aside);
        Ok(rows)
    }

    /// Nothing is tried out any more.
    pub(super) async fn end_aside(&self, folder: &Path) -> Result<(), SiteError> {
        let Some(aside) = self.aside().take() else { return Ok(()) };
        let (trim, folder) = (self.trim.clone(), folder.to_owned());
        let end = move || {
            drop(aside);
            trim.end_aside();
            aside::remove(&folder)
        };
        blocking(end).await?;
        // What is noted for nobody costs every write.
        let now = self.version();
        self.writer.install(now.archive.clone(), now.environment()).await?;
        Ok(())
    }

    fn aside(&self) -> MutexGuard<'_, Option<Aside>> {
        self.aside.lock().expect("BUG: nothing panics while holding the second read database")
    }

    /// Goes over to another version; back to the one before if its read database cannot be made.
    pub(super) async fn adopt(&self, version: Arc<AppVersion>) -> Result<Vec<String>, PushError> {
        let before = self.version();
        let install = |version: &AppVersion| self.writer.install(version.archive.clone(), version.environment());
        let report = install(&version).await.map_err(SiteError::from)?;
        match self.projector.adopt(version).await {
            Ok(_) => Ok(report),
            Err(why) => {
                // Rare: it went well on the copy a moment ago.
                install(&before).await.map_err(SiteError::from)?;
                Err(PushError::Unreleased(why))
            }
        }
    }
}

/// Runs the migrations of what is tried out beside a version, and has the change log note what both mirror.
pub(super) async fn prepare(writer: &Writer, now: &AppVersion, tried: &AppVersion) -> Result<Vec<String>, SiteError> {
    let migrations = tried.archive.migrations().map_err(VersionError::from)?;
    let mirror = aside::both(&now.archive.app.mirror, &tried.archive.app.mirror);
    Ok(writer.install_beside(now.archive.clone(), now.environment(), migrations, mirror).await?)
}

impl Drop for Running {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

/// Carries news from one part to the next: commits to the projector, what it has reached to the publisher.
pub(super) fn forward(writer: &Writer, projector: &Projector, publisher: &Publisher) -> AbortHandle {
    let (mut commits, mut projected) = (writer.commits(), projector.projected());
    let (wake_projector, wake_publisher) = (projector.waker(), publisher.waker());
    // What was committed, or projected, before anyone listened.
    wake_projector();
    wake_publisher();
    let forwarding = tokio::spawn(async move {
        loop {
            tokio::select! {
                moved = commits.changed() => match moved { Ok(()) => wake_projector(), Err(_) => return },
                moved = projected.changed() => match moved { Ok(()) => wake_publisher(), Err(_) => return },
            }
        }
    });
    forwarding.abort_handle()
}
