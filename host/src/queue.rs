//! Who may render now: a place for each who does, and a short queue before the places.
//!
//! Cores are what renders need, and how many there are is known, so nothing is probed for: so many renders a core run at once.
//! One that waits for something else - the origin, a clock - stands aside meanwhile, and one that goes on and on does not keep
//! others waiting. What is measured is how long the queue stands. A short rush is waited out. When for a while more have waited
//! than are made in a moment, more comes than can be made: then a few wait, so that no place is ever empty, the newest of them go
//! first, whose visitors are surely still there, and everybody else is told to come again, at once. So what is made is made
//! quickly, and the cores do nothing in vain.
//!
//! Who waits is work to be done in a place, and not a task: it begins on the thread that gives its place up, which most often
//! renders, and to refuse it wakes nobody but who asked.

mod line;
mod places;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use line::Tell;
use nearside_protocol::{class::Class, limits, status::QueueStatus};
use places::{Arrived, Places};
use tokio::{sync::oneshot, time::Instant};

use crate::{engine::TICK, shed::Shed};

/// What a node allows itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    pub cores: usize,
    /// Off only to see what it is good for: then renders wait for one of so many places, for as long as their deadline.
    pub sheds: bool,
    /// Renders one client's address may ask for.
    pub renders_per_client_s: Option<f64>,
}

impl Default for Load {
    fn default() -> Load {
        let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get());
        Load { cores, sheds: true, renders_per_client_s: None }
    }
}

pub struct Queue {
    places: Mutex<Places>,
    /// Renders on threads that answer sockets, and how many there may be.
    here: AtomicUsize,
    most_here: usize,
}

impl Queue {
    pub fn new(load: &Load) -> Arc<Queue> {
        let most_here = if load.sheds { load.cores } else { 0 };
        Arc::new(Queue { places: Mutex::new(Places::new(load, Instant::now())), here: AtomicUsize::new(0), most_here })
    }

    /// Does something with the places, and then what was decided meanwhile.
    fn with<T>(&self, what: impl FnOnce(&mut Places) -> T) -> T {
        let mut places = self.places();
        let done = what(&mut places);
        let decided = places.decided();
        drop(places);
        decided.into_iter().for_each(|(tell, outcome)| tell(outcome));
        done
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().expect("BUG: nothing panics while holding the places")
    }

    /// Has `work` done in a place, at once or after a short wait, for so long at most; or it is told why there is none. To be
    /// quick, it begins whatever takes long elsewhere. Nothing if it does not wait.
    pub fn ask(
        self: &Arc<Queue>,
        class: Class,
        patience: Duration,
        work: impl FnOnce(Result<Arc<Place>, Shed>) + Send + 'static,
    ) -> Option<Waits> {
        let since = Instant::now();
        let mut work = Some(work);
        let mut taken = || work.take().expect("BUG: it is done once");
        let (arrived, number) = self.with(|places| {
            let arrived = places.arrive(class, since);
            let number = (arrived == Arrived::MayWait).then(|| {
                let (queue, work) = (self.clone(), taken());
                let tell: Tell = Box::new(move |outcome| work(outcome.map(|()| Place::new(&queue, class))));
                places.wait(class, tell, since)
            });
            (arrived, number)
        });
        match arrived {
            Arrived::In => taken()(Ok(Place::new(self, class))),
            Arrived::Refused(shed) => taken()(Err(shed)),
            Arrived::MayWait => {}
        }
        let number = number?;
        Some(Waits { queue: self.clone(), class, number, since, latest: since + patience })
    }

    /// A place at once, or after a short wait, for so long at most; or why there is none. Whoever is dropped while it waits has
    /// left the queue.
    pub async fn place(self: &Arc<Queue>, class: Class, patience: Duration) -> Result<Arc<Place>, Shed> {
        let (tell, told) = oneshot::channel();
        let waits = self.ask(class, patience, move |place| drop(tell.send(place)));
        Waits::until(waits, told).await.unwrap_or(Err(Shed::Delay(class)))
    }

    /// A place on the very thread that asks for it, while nobody waits for one and few are on such threads.
    pub fn place_here(self: &Arc<Queue>, class: Class) -> Option<Arc<Place>> {
        let is_free = self.here.load(Ordering::Relaxed) < self.most_here;
        let place =
            (is_free && self.with(|places| places.at_once(class, Instant::now()))).then(|| Place::new(self, class))?;
        place.comes_here().then_some(place)
    }

    /// A place for what nobody waits for, while nobody else needs it.
    pub fn spare(self: &Arc<Queue>) -> Option<Arc<Place>> {
        self.with(Places::spare).then(|| Place::new(self, Class::Refresh))
    }

    /// Why there is no place for one who comes now, and none soon; it is counted as refused.
    pub fn turns_away(&self, class: Class) -> Option<Shed> {
        self.with(|places| {
            let now = Instant::now();
            places.look(now);
            places.turn_away(class, now)
        })
    }

    /// Somebody was refused before the queue.
    pub fn count(&self, shed: Shed) {
        self.places().count(shed);
    }

    /// Whether this node's own visitors are more than it can make pages for.
    pub fn is_hot(&self) -> bool {
        self.places().is_hot(Instant::now())
    }

    pub fn status(&self) -> QueueStatus {
        self.places().status()
    }

    /// Refused so far, by class and reason.
    pub fn shed(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        self.places().shed()
    }
}

/// Work that waits; leaves the queue when it is dropped.
pub struct Waits {
    queue: Arc<Queue>,
    class: Class,
    number: u64,
    since: Instant,
    latest: Instant,
}

impl Waits {
    /// It waits for so long at most from when it came, whatever it may do.
    pub fn at_most(mut self, wait: Duration) -> Waits {
        self.latest = self.latest.min(self.since + wait);
        self
    }

    /// Waits for what comes of the work, and as long as that is in the queue, looks after it.
    pub async fn until<T>(waits: Option<Waits>, mut told: oneshot::Receiver<T>) -> Option<T> {
        if let Some(waits) = waits {
            while let Some(due) = waits.due() {
                tokio::select! {
                    // In this order: who was told in the last moment was told.
                    biased;
                    told = &mut told => return told.ok(),
                    () = tokio::time::sleep_until(due) => waits.look(),
                }
            }
        }
        told.await.ok()
    }

    fn due(&self) -> Option<Instant> {
        let due = self.queue.places().due(self.class, self.number, Instant::now());
        due.map(|due| due.min(self.latest))
    }

    fn look(&self) {
        let now = Instant::now();
        self.queue.with(|places| {
            if now >= self.latest {
                places.give_up(self.class, self.number);
            } else {
                places.look(now);
            }
        });
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        // Outside of the places: it may hold one.
        drop(self.queue.with(|places| places.hang_up(self.class, self.number, Instant::now())));
    }
}

/// The right to render, until it is dropped or given back.
pub struct Place {
    queue: Arc<Queue>,
    class: Class,
    /// Who uses a core in it: its guest, unless that waits, and pages that are made for its guest.
    users: AtomicU32,
    /// How often the guest was interrupted to let others run.
    ticks: AtomicU32,
    /// Since it was last interrupted, it has not gone on.
    ticked: AtomicBool,
    is_aside: AtomicBool,
    is_long: AtomicBool,
    is_over: AtomicBool,
    /// It is used on a thread that answers sockets.
    is_here: AtomicBool,
}

const LONG_TICKS: u32 = limits::LONG_RENDER.as_millis().div_ceil(TICK.as_millis()) as u32;

impl Place {
    fn new(queue: &Arc<Queue>, class: Class) -> Arc<Place> {
        Arc::new(Place {
            queue: queue.clone(),
            class,
            users: AtomicU32::new(1),
            ticks: AtomicU32::new(0),
            ticked: AtomicBool::new(false),
            is_aside: AtomicBool::new(false),
            is_long: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            is_here: AtomicBool::new(false),
        })
    }

    /// Whether it may be used on a thread that answers sockets: few are, and those threads have nobody to refuse, which they do
    /// quickly only where they do nothing else. From then on it is one of them.
    pub fn comes_here(&self) -> bool {
        if self.queue.is_hot() {
            return false;
        }
        let comes = self.queue.here.fetch_add(1, Ordering::Relaxed) < self.queue.most_here;
        if !comes {
            self.queue.here.fetch_sub(1, Ordering::Relaxed);
        }
        self.is_here.store(comes, Ordering::Relaxed);
        comes
    }

    /// It is not used on a thread that answers sockets any more.
    pub fn leaves_here(&self) {
        if self.is_here.swap(false, Ordering::Relaxed) {
            self.queue.here.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The guest was interrupted: it has had a core for another while.
    pub fn tick(&self) {
        self.ticked.store(true, Ordering::Relaxed);
        let ticks = self.ticks.fetch_add(1, Ordering::Relaxed) + 1;
        if ticks < LONG_TICKS || self.is_long.load(Ordering::Relaxed) {
            return;
        }
        self.queue.with(|places| {
            if !self.is_over.load(Ordering::Relaxed) && places.becomes_long(Instant::now()) {
                self.is_long.store(true, Ordering::Relaxed);
            }
        });
    }

    /// The guest can go no further now. If it was only interrupted, it will go on when its turn comes; else it waits.
    pub fn pauses(&self) {
        if !self.ticked.swap(false, Ordering::Relaxed) {
            self.is_aside.store(true, Ordering::Relaxed);
            self.ends();
        }
    }

    /// The guest goes on, whether or not there is a core for it: it has waited already.
    pub fn goes_on(&self) {
        if self.is_aside.swap(false, Ordering::Relaxed) {
            self.begins();
        }
    }

    /// Until what it gives is dropped, something is made in this place that its guest waits for.
    pub fn shared(self: &Arc<Place>) -> Shared {
        self.begins();
        Shared(self.clone())
    }

    fn begins(&self) {
        self.queue.with(|places| {
            if self.users.fetch_add(1, Ordering::Relaxed) == 0 && !self.is_over.load(Ordering::Relaxed) {
                places.begin(self.is_long.load(Ordering::Relaxed), Instant::now());
            }
        });
    }

    fn ends(&self) {
        self.queue.with(|places| {
            if self.users.fetch_sub(1, Ordering::Relaxed) == 1 && !self.is_over.load(Ordering::Relaxed) {
                places.end(self.is_long.load(Ordering::Relaxed), Instant::now());
            }
        });
    }

    /// Given back, whoever still holds it.
    pub fn give_back(&self) {
        // First, so that whoever is next may be where this one was.
        self.leaves_here();
        self.queue.with(|places| {
            if self.is_over.swap(true, Ordering::Relaxed) {
                return;
            }
            let uses_core = self.users.load(Ordering::Relaxed) > 0;
            places.leave_as(self.class, uses_core.then(|| self.is_long.load(Ordering::Relaxed)), Instant::now());
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Something that is made in a place for its guest.
pub struct Shared(Arc<Place>);

impl Drop for Shared {
    fn drop(&mut self) {
        self.0.ends();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(cores: usize) -> Arc<Queue> {
        Queue::new(&Load { cores, ..Load::default() })
    }

    fn running(queue: &Queue) -> (u64, u64) {
        let status = queue.status();
        (status.running, status.under_way)
    }

    fn filled(queue: &Arc<Queue>) -> Vec<Arc<Place>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let now = Duration::ZERO;
        std::iter::from_fn(|| runtime.block_on(queue.place(Class::Page, now)).ok()).collect()
    }

    #[test]
    fn there_are_so_many_places_a_core_and_each_comes_back() {
        let queue = queue(2);
        let places = filled(&queue);
        assert_eq!(places.len(), 2 * limits::RENDERS_A_CORE);
        assert_eq!(queue.shed()["page"]["delay"], 1);
        drop(places);
        assert_eq!(running(&queue), (0, 0));
    }

    #[test]
    fn one_that_waits_for_something_else_stands_aside() {
        let queue = queue(1);
        let mut places = filled(&queue);
        places[0].pauses();
        assert_eq!(running(&queue), (1, 2));
        places.extend(filled(&queue));
        assert_eq!(running(&queue), (2, 3));
        // It has waited already, and is not made to wait again.
        places[0].goes_on();
        assert_eq!(running(&queue), (3, 3));
        assert!(filled(&queue).is_empty());
        // Only interrupted.
        places[0].tick();
        places[0].pauses();
        assert_eq!(running(&queue), (3, 3));
        // A page that is made for it runs in its place, and does so while it waits.
        let shared = places[0].shared();
        places[0].pauses();
        assert_eq!(running(&queue), (3, 3));
        drop(shared);
        assert_eq!(running(&queue), (2, 3));
        places[0].give_back();
        drop(places);
        assert_eq!(running(&queue), (0, 0));
    }

    #[test]
    fn one_that_goes_on_and_on_does_not_keep_others_waiting() {
        let queue = queue(1);
        let mut places = filled(&queue);
        let most = limits::LONG_RENDERS_A_CORE;
        for at in 0..most + 2 {
            assert_eq!(places.len(), 2 + at.min(most));
            (0..LONG_TICKS).for_each(|_| places[at].tick());
            places.extend(filled(&queue));
        }
        assert_eq!(running(&queue), ((most + 2) as u64, (most + 2) as u64));
        // The first time it was interrupted; then it waits. Others did not wait for its core anyway.
        places[0].pauses();
        places[0].pauses();
        assert_eq!(running(&queue), ((most + 1) as u64, (most + 2) as u64));
        assert!(filled(&queue).is_empty());
        places[0].goes_on();
        drop(places);
        assert_eq!(running(&queue), (0, 0));
    }

    #[test]
    fn few_are_on_threads_that_answer_sockets_and_who_is_next_may_be_where_one_was() {
        let queue = queue(1);
        let first = queue.place_here(Class::Page).unwrap();
        assert!(queue.place_here(Class::Page).is_none());
        let others = filled(&queue);
        assert_eq!(others.len(), limits::RENDERS_A_CORE - 1);
        assert!(!others[0].comes_here());
        let may_be_here = Arc::new(Mutex::new(None));
        let told = may_be_here.clone();
        let waits = queue.ask(Class::Page, Duration::from_secs(60), move |place| {
            let place = place.unwrap();
            *told.lock().unwrap() = Some((place.comes_here(), place));
        });
        assert!(may_be_here.lock().unwrap().is_none());
        first.give_back();
        let (comes_here, next) = may_be_here.lock().unwrap().take().unwrap();
        assert!(comes_here);
        // One that has to wait goes on elsewhere, and one that is gone is not counted twice.
        next.leaves_here();
        drop((first, waits));
        assert!(others[0].comes_here() && !next.comes_here());
        drop((next, others));
        assert!(queue.place_here(Class::Page).is_some());
        assert_eq!(running(&queue), (0, 0));
    }

    #[test]
    fn nobody_is_on_threads_that_answer_sockets_while_those_refuse() {
        let queue = queue(1);
        let places = filled(&queue);
        assert!(places[0].comes_here());
        places[0].leaves_here();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let refused = runtime.block_on(queue.place(Class::Page, Duration::from_secs(60)));
        assert_eq!(refused.err(), Some(Shed::Delay(Class::Page)));
        assert!(!places[0].comes_here());
        drop(places);
        assert!(queue.place_here(Class::Page).is_none());
    }

    #[test]
    fn whoever_hangs_up_has_left_the_queue() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let queue = queue(1);
        let mut places = filled(&queue);
        runtime.block_on(async {
            let long = Duration::from_secs(60);
            let mut first = Box::pin(queue.place(Class::Page, long));
            let mut second = Box::pin(queue.place(Class::Page, long));
            assert!(futures_poll(&mut first).is_none() && futures_poll(&mut second).is_none());
            assert_eq!(queue.status().waiting["page"], 2);
            drop(first);
            assert_eq!(queue.status().waiting["page"], 1);
            places.pop();
            // It was given the place, and is gone before it takes it.
            assert_eq!(running(&queue), (2, 2));
            drop(second);
            assert_eq!(running(&queue), (1, 1));
            let third = queue.place(Class::Page, long).await;
            assert!(third.is_ok());
        });
    }

    /// What it comes to at once.
    fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
