use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    sync::atomic::AtomicUsize,
    thread,
};

use http::HeaderMap;
use nearside_protocol::route::Declared;
use proptest::prelude::*;

use super::*;
use crate::{inputs::Seen, target::Target};

/// Weighs what it is told to.
#[derive(Debug)]
struct Page {
    made_in: u64,
    took: Duration,
    bytes: AtomicUsize,
}

impl Kept for Page {
    fn made_in(&self) -> u64 {
        self.made_in
    }

    fn took(&self) -> Duration {
        self.took
    }

    fn weight_bytes(&self, key_bytes: usize) -> usize {
        self.bytes.load(Ordering::Relaxed) + key_bytes
    }
}

const PAGE_BYTES: usize = 4_096;
const PAGE_TOOK: Duration = Duration::from_micros(100);

fn page(bytes: usize, took: Duration) -> Arc<Page> {
    Arc::new(Page { made_in: 1, took, bytes: AtomicUsize::new(bytes) })
}

fn usual() -> Arc<Page> {
    page(PAGE_BYTES, PAGE_TOOK)
}

fn key(app: &str, path: impl std::fmt::Display) -> Key {
    let target = Target::parse(&format!("/{path}"), None).unwrap();
    Seen::new(&Declared::default(), target, &HeaderMap::new(), None).key(app)
}

/// The same numbers each time.
struct Chance(u64);

impl Chance {
    /// At least 0 and below 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl<S: BuildHasher> Store<Page, S> {
    /// Counts everything again.
    fn audit(&self) {
        let shares = self.shares();
        let mut counted: BTreeMap<String, (usize, u64, u64, u64)> = BTreeMap::new();
        for shard in &self.shards {
            for slot in shard.0.read().unwrap().iter() {
                let of_app = counted.entry(slot.key.app().to_owned()).or_default();
                of_app.0 += 1;
                of_app.1 += if slot.line == Line::Small { slot.weight.bytes } else { 0 };
                of_app.2 += slot.weight.took_us;
                of_app.3 += slot.entry.weight_bytes(slot.key.as_bytes().len()) as u64;
            }
        }
        let bytes: u64 = counted.values().map(|of_app| of_app.3).sum();
        assert_eq!(shares.bytes, bytes);
        assert!(bytes <= self.budget_bytes, "{bytes} bytes of {}", self.budget_bytes);
        for (name, share) in shares.all() {
            let (entries, small_bytes, took_us, bytes) = counted.remove(name).unwrap_or_default();
            assert_eq!(share.counted(), (entries, small_bytes, took_us), "of {name}");
            assert_eq!((share.entries, share.bytes()), (entries as u64, bytes), "of {name}");
        }
        assert!(counted.is_empty(), "{counted:?}");
    }
}

// --- The flood -------------------------------------------------------------------------------------------------------

/// What is to be held against each other: is it there, and if not, keep it.
trait Keeps {
    fn has(&mut self, path: u64) -> bool;
    fn keep(&mut self, path: u64);
}

impl Keeps for Store<Page> {
    fn has(&mut self, path: u64) -> bool {
        self.get(key("app", path).as_bytes()).is_some()
    }

    fn keep(&mut self, path: u64) {
        // Even a flood of what is dear to make.
        let took = if path < HOT_PATHS as u64 { PAGE_TOOK } else { PAGE_TOOK * 20 };
        self.store(key("app", path), page(PAGE_BYTES, took)).unwrap();
    }
}

/// The plain ways: whatever has been there longest, or was not asked for longest, goes.
struct Plain {
    most: usize,
    is_lru: bool,
    there: HashMap<u64, u64>,
    in_order: VecDeque<(u64, u64)>,
    now: u64,
}

impl Plain {
    fn new(most: usize, is_lru: bool) -> Plain {
        Plain { most, is_lru, there: HashMap::new(), in_order: VecDeque::new(), now: 0 }
    }

    fn note(&mut self, path: u64) {
        self.now += 1;
        self.there.insert(path, self.now);
        self.in_order.push_back((path, self.now));
    }
}

impl Keeps for Plain {
    fn has(&mut self, path: u64) -> bool {
        let has = self.there.contains_key(&path);
        if has && self.is_lru {
            self.note(path);
        }
        has
    }

    fn keep(&mut self, path: u64) {
        self.note(path);
        while self.there.len() > self.most {
            let (path, at) = self.in_order.pop_front().unwrap();
            if self.there.get(&path) == Some(&at) {
                self.there.remove(&path);
            }
        }
    }
}

const HOT_PATHS: usize = 10_000;

/// Pages of which the n-th is asked for one n-th as often as the first.
struct Zipf {
    chance: Chance,
    up_to: Vec<f64>,
}

impl Zipf {
    fn new(seed: u64) -> Zipf {
        let mut sum = 0.0;
        let up_to = (1..=HOT_PATHS).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Zipf { up_to: up_to.collect(), chance: Chance(seed) }
    }

    fn next(&mut self) -> u64 {
        let at = self.chance.next() * self.up_to[HOT_PATHS - 1];
        self.up_to.partition_point(|up_to| *up_to <= at) as u64
    }
}

fn asked(cache: &mut impl Keeps, path: u64) -> bool {
    let has = cache.has(path);
    if !has {
        cache.keep(path);
    }
    has
}

/// Warms a cache with hot pages; then tells how often those are found while, if so, a flood of twice the cache's size goes
/// by, one beside each.
fn hits(cache: &mut impl Keeps, room_for: usize, seed: u64, floods: bool) -> usize {
    let mut zipf = Zipf::new(seed);
    for _ in 0..HOT_PATHS * 20 {
        asked(cache, zipf.next());
    }
    let finds = |once: &usize| {
        if floods {
            asked(cache, (HOT_PATHS + once) as u64);
        }
        asked(cache, zipf.next())
    };
    (0..room_for * 2).filter(finds).count()
}

/// By how many points the hit ratio of the very same requests is lower beside the flood.
fn points_lost<C: Keeps>(new: impl Fn() -> C, room_for: usize, seed: u64) -> f64 {
    let [calm, flooded] = [false, true].map(|floods| hits(&mut new(), room_for, seed, floods) as f64);
    (calm - flooded) * 100.0 / (room_for * 2) as f64
}

#[test]
fn a_flood_of_keys_asked_for_once_leaves_the_hot_set() {
    const BYTES: u64 = 16 << 20;
    let room_for = BYTES as usize / (PAGE_BYTES + key("app", 10_000).as_bytes().len());
    for seed in [1, 2, 3] {
        let lost = points_lost(|| Store::<Page>::new(BYTES), room_for, seed);
        assert!(lost < 2.0, "{lost} points lost, seed {seed}");
        // The same is too much for the plain ways: the test can fail.
        for is_lru in [true, false] {
            let plain = points_lost(|| Plain::new(room_for, is_lru), room_for, seed);
            println!("seed {seed}: {lost:.2} points lost; plain, least recent {is_lru}: {plain:.2}");
            assert!(plain > 2.0, "{plain} points lost, seed {seed}, least recent {is_lru}");
        }
    }
}

// --- Shares ----------------------------------------------------------------------------------------------------------

#[test]
fn an_app_that_is_flooded_takes_nothing_of_anothers_part() {
    let store: Store<Page> = Store::new(1 << 20);
    // A bit less than half, asked for once and never again.
    let quiet: Vec<Key> = (0..120).map(|path| key("quiet", path)).collect();
    for key in &quiet {
        store.store(key.clone(), usual()).unwrap();
    }
    for path in 0..10_000 {
        store.store(key("flooded", path), usual()).unwrap();
        store.get(key("flooded", path / 2).as_bytes());
    }
    store.audit();
    assert!(quiet.iter().all(|key| store.get(key.as_bytes()).is_some()));
    let apps = store.apps();
    assert_eq!((apps["quiet"].entries, apps["quiet"].evictions), (120, 0));
    assert!(apps["flooded"].evictions > 9_000);
    // All the rest is lent to the one that wants it.
    assert!(store.bytes() > (1 << 20) - 2 * PAGE_BYTES as u64);
    assert!(apps["flooded"].bytes > 1 << 19);

    // Who comes later gets its part of what is lent.
    for path in 0..1_000 {
        store.store(key("late", path), usual()).unwrap();
    }
    store.audit();
    let apps = store.apps();
    let third = (1 << 20) / 3 - 2 * PAGE_BYTES as u64;
    assert!(apps.values().all(|app| app.bytes > third), "{apps:?}");
}

#[test]
fn an_entry_larger_than_its_apps_part_is_not_stored() {
    let store: Store<Page> = Store::new(1 << 20);
    let slow = Duration::from_secs(1);
    let half = (1 << 19) - 100;
    assert_eq!(store.store(key("a", "large"), page(1 << 20, slow)), Err(NotStored::LargerThanShare));
    store.store(key("a", "half"), page(half, slow)).unwrap();
    store.store(key("b", "half"), page(half, slow)).unwrap();
    assert_eq!(store.store(key("c", "half"), page(half, slow)), Err(NotStored::LargerThanShare));
    // What grows beyond it goes, and nothing else.
    let grown = store.get(key("a", "half").as_bytes()).unwrap();
    grown.bytes.store(1 << 19, Ordering::Relaxed);
    store.weigh_again(&key("a", "half"), &grown);
    assert!(store.get(key("a", "half").as_bytes()).is_none());
    assert!(store.get(key("b", "half").as_bytes()).is_some());
    store.audit();
}

// --- What it costs ---------------------------------------------------------------------------------------------------

#[test]
fn what_is_cheaper_to_render_than_to_keep_is_not_kept() {
    let store: Store<Page> = Store::new(64 << 20);
    for (kib, us, expected) in [
        (0, 20, Ok(())),
        (4, 50, Ok(())),
        (8, 100, Ok(())),
        (64, 300, Ok(())),
        (1_024, 2_000, Ok(())),
        (256, 100, Err(NotStored::CheaperToRender)),
        (1_024, 500, Err(NotStored::CheaperToRender)),
    ] {
        let stored = store.store(key("app", format!("{kib}-{us}")), page(kib << 10, Duration::from_micros(us)));
        assert_eq!(stored, expected, "{kib} KiB in {us} us");
    }
    // What it would have replaced is of an earlier release, and goes.
    assert!(store.store(key("app", "4-50"), page(1 << 20, Duration::from_micros(1))).is_err());
    assert!(store.get(key("app", "4-50").as_bytes()).is_none());
    store.audit();
}

/// What is spent on rendering pages of which every other takes 20 times as long, when the store is told, or is told that
/// all are alike.
fn spent(is_told: bool) -> Duration {
    let store: Store<Page> = Store::new(8 << 20);
    let mut zipf = Zipf::new(7);
    let mut spent = Duration::ZERO;
    for _ in 0..HOT_PATHS * 20 {
        let path = zipf.next();
        let key = key("app", path);
        if store.get(key.as_bytes()).is_none() {
            let took = PAGE_TOOK * [1, 20][path as usize % 2];
            spent += took;
            store.store(key, page(PAGE_BYTES, if is_told { took } else { PAGE_TOOK })).unwrap();
        }
    }
    store.audit();
    spent
}

#[test]
fn what_was_dear_to_make_stays_longer() {
    let [blindly, knowing] = [false, true].map(spent);
    println!("rendering took {knowing:?}, and {blindly:?} when all counts alike");
    assert!(knowing < blindly * 95 / 100, "{knowing:?} and {blindly:?}");
}

// --- One key ---------------------------------------------------------------------------------------------------------

#[test]
fn the_newer_entry_stays() {
    let store: Store<Page> = Store::new(1 << 20);
    let made_in = |made_in| Arc::new(Page { made_in, took: PAGE_TOOK, bytes: AtomicUsize::new(10) });
    let at = key("app", "a");
    store.store(at.clone(), made_in(2)).unwrap();
    assert_eq!(store.store(at.clone(), made_in(1)), Err(NotStored::Overtaken));
    let old = store.get(at.as_bytes()).unwrap();
    assert_eq!(old.made_in, 2);
    store.store(at.clone(), made_in(3)).unwrap();
    assert_eq!((store.get(at.as_bytes()).unwrap().made_in, store.count()), (3, 1));
    // One that is gone changes nothing by growing.
    old.bytes.store(1_000, Ordering::Relaxed);
    store.weigh_again(&at, &old);
    assert!(store.bytes() < 100);
    let all = store.of_app("app");
    assert!(all.len() == 1 && all[0].0 == at && all[0].1.made_in == 3);
    assert!(store.of_app("ap").is_empty());
    store.remove(&at);
    store.remove(&at);
    assert_eq!((store.bytes(), store.count()), (0, 0));
    store.audit();
}

#[test]
fn places_of_what_was_removed_are_swept() {
    let store: Store<Page> = Store::new(1 << 20);
    store.store(key("app", "stays"), usual()).unwrap();
    for path in 0..10_000 {
        store.store(key("app", path), usual()).unwrap();
        store.remove(&key("app", path));
    }
    store.audit();
    let counted = store.shares().of("app").places();
    assert!(counted < 100, "{counted} places for one entry");
}

// --- Anything, in any order ------------------------------------------------------------------------------------------

/// Sends all keys to three hashes.
#[derive(Default)]
struct Collides(u64);

impl Hasher for Collides {
    fn write(&mut self, bytes: &[u8]) {
        self.0 += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }

    fn finish(&self) -> u64 {
        (self.0 % 3) << 40
    }
}

#[derive(Clone, Debug)]
enum Act {
    Store { path: u8, app: bool, kib: usize, took_us: u64, made_in: u64 },
    Get { path: u8, app: bool },
    Remove { path: u8, app: bool },
    Grow { path: u8, app: bool, kib: usize },
}

fn act() -> impl Strategy<Value = Act> {
    let path = 0..40u8;
    prop_oneof![
        (path.clone(), any::<bool>(), 0..40usize, 10..5_000u64, 0..3u64)
            .prop_map(|(path, app, kib, took_us, made_in)| Act::Store { path, app, kib, took_us, made_in }),
        (path.clone(), any::<bool>()).prop_map(|(path, app)| Act::Get { path, app }),
        (path.clone(), any::<bool>()).prop_map(|(path, app)| Act::Remove { path, app }),
        (path, any::<bool>(), 0..80usize).prop_map(|(path, app, kib)| Act::Grow { path, app, kib }),
    ]
}

/// The store never has anything but the last that was stored under a key, and counts right.
fn agrees_with_a_model<S: BuildHasher>(store: &Store<Page, S>, acts: &[Act]) {
    let mut model: HashMap<Key, Arc<Page>> = HashMap::new();
    let at = |path: &u8, app: &bool| key(if *app { "one" } else { "two" }, path);
    for act in acts {
        match act {
            Act::Store { path, app, kib, took_us, made_in } => {
                let took = Duration::from_micros(*took_us);
                let page = Page { made_in: *made_in, took, bytes: AtomicUsize::new(kib << 10) };
                let (at, page) = (at(path, app), Arc::new(page));
                let before = store.get(at.as_bytes());
                match store.store(at.clone(), page.clone()) {
                    Ok(()) => drop(model.insert(at, page)),
                    Err(NotStored::Overtaken) => assert!(before.unwrap().made_in > *made_in),
                    Err(_) => drop(model.remove(&at)),
                }
            }
            Act::Get { path, app } => drop(store.get(at(path, app).as_bytes())),
            Act::Remove { path, app } => {
                store.remove(&at(path, app));
                model.remove(&at(path, app));
            }
            Act::Grow { path, app, kib } => {
                if let Some(page) = store.get(at(path, app).as_bytes()) {
                    page.bytes.fetch_add(kib << 10, Ordering::Relaxed);
                    store.weigh_again(&at(path, app), &page);
                }
            }
        }
        store.audit();
        for path in 0..40 {
            for app in [true, false] {
                let at = at(&path, &app);
                if let Some(there) = store.get(at.as_bytes()) {
                    assert!(
                        model.get(&at).is_some_and(|last| Arc::ptr_eq(last, &there)),
                        "another key's, or an old one"
                    );
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_done_it_counts_right(acts in prop::collection::vec(act(), 1..120)) {
        agrees_with_a_model(&Store::<Page>::new(300 << 10), &acts);
    }

    #[test]
    fn keys_whose_hashes_collide_are_told_apart(acts in prop::collection::vec(act(), 1..120)) {
        let hasher = BuildHasherDefault::<Collides>::default();
        agrees_with_a_model(&Store::with_hasher(300 << 10, hasher), &acts);
    }
}

#[test]
fn many_at_once_leave_it_counted_right() {
    let store: Store<Page> = Store::new(1 << 20);
    thread::scope(|scope| {
        for seed in 0..8 {
            let store = &store;
            scope.spawn(move || {
                let mut chance = Chance(seed);
                for _ in 0..20_000 {
                    let app = if chance.next() < 0.5 { "one" } else { "two" };
                    let key = key(app, (chance.next() * 600.0) as u64);
                    let Some(there) = store.get(key.as_bytes()) else {
                        store.store(key, usual()).unwrap();
                        continue;
                    };
                    match chance.next() {
                        ..0.05 => store.remove(&key),
                        0.05..0.10 => {
                            // Whoever makes an entry larger says so: of two, the later one counts.
                            there.bytes.fetch_add(100, Ordering::Relaxed);
                            store.weigh_again(&key, &there);
                        }
                        0.10..0.15 => store.store(key, usual()).unwrap(),
                        0.15..0.151 => assert!(store.of_app(app).iter().all(|(key, _)| key.app() == app)),
                        _ => {}
                    }
                }
            });
        }
    });
    store.audit();
}
