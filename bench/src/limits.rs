//! Every bound and every default of the harness, in one place.

use std::time::Duration;

/// Fewer rounds than this and a median says little; design.md asks for at least five.
pub const ROUNDS_MIN: usize = 5;
pub const CONNECTIONS_DEFAULT: usize = 32;
pub const SECONDS_DEFAULT: f64 = 3.0;
/// How long the first, discarded round lasts that warms every contender and establishes the arrival rate.
pub const CALIBRATION_SECONDS: f64 = 1.5;
/// The open-loop rate is this share of the slowest contender's peak.
pub const ARRIVAL_SHARE_OF_PEAK: f64 = 0.5;
/// A phase that is this much late has met a server that hangs.
pub const PHASE_GRACE: Duration = Duration::from_secs(20);
/// Setting up one bench: building a catalogue, pushing it, starting every server, checking every answer.
pub const SETUP_TIMEOUT: Duration = Duration::from_secs(600);
/// From spawning a server of ours to its first line.
pub const LISTENING_TIMEOUT: Duration = Duration::from_secs(20);
/// From spawning a node to 200 on `/readyz`.
pub const READY_TIMEOUT: Duration = Duration::from_secs(120);
/// One import, one small push, one peer's tool.
pub const TOOL_TIMEOUT: Duration = Duration::from_secs(300);
/// One push, also of a database above 1 GiB.
pub const PUSH_TIMEOUT: Duration = Duration::from_secs(900);
/// Inventing a database of that size.
pub const DOCUMENTS_TIMEOUT: Duration = Duration::from_secs(900);
/// Saving one snapshot of that size.
pub const EXPORT_TIMEOUT: Duration = Duration::from_secs(300);
/// From an answered write until a node must show it.
pub const SHOWN_TIMEOUT: Duration = Duration::from_secs(600);
/// How often a node is asked whether it shows a write.
pub const SHOWN_POLL: Duration = Duration::from_millis(1);
/// How long servers are left alone before what they wrote is read off: records and old slots are seen to by then.
pub const SETTLE: Duration = Duration::from_millis(500);
/// One exchange outside a measured phase.
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);
/// The memory of a peer that caches, where its size is not what is measured.
pub const PEER_CACHE_MIB: u64 = 256;
/// The cached page of `hit` is the one nearest to this among so many.
pub const HIT_PAGE_BYTES: u64 = 8 << 10;
pub const HIT_PAGES_LOOKED_AT: usize = 300;
/// Until a node has compressed a page, if it does.
pub const ENCODED_TIMEOUT: Duration = Duration::from_secs(5);
pub const READ_BUFFER_BYTES: usize = 64 * 1024;
pub const RESPONSE_HEAD_MAX_BYTES: usize = 64 * 1024;
/// A response longer than this is a mistake in the bench, not something to measure.
pub const RESPONSE_BODY_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// How much of a child's error output is repeated when it fails.
pub const CHILD_LOG_TAIL_BYTES: usize = 2_000;
/// Above 1 GiB, where SQLite has its lock byte and leaves out a page.
pub const SNAPSHOTS_MIB: u64 = 1_100;
/// Rows of the larger edits.
pub const EDITED_ROWS: usize = 200;
/// How often at most a rebuilt file is pushed: it takes minutes.
pub const REBUILDS: usize = 3;
pub const DOCUMENTS_SEED: u64 = 1;
/// The database beside which pushes go on.
pub const PUSHES_MIB: u64 = 64;
pub const PUSH_EVERY: Duration = Duration::from_millis(200);
/// One turn: five with pushes are a minute.
pub const PUSHES_SECONDS: f64 = 12.0;
/// The rate is this share of the peak without pushes: the origin and the pushes need room, too.
pub const PUSHES_SHARE_OF_PEAK: f64 = 0.25;
/// Tasks a round, and how many of as many a worker gets that does them one by one.
pub const TASKS: usize = 20_000;
pub const TASKS_ALONE_SHARE: f64 = 0.1;
pub const TASKS_QUEUED_AT_ONCE: usize = 64;
pub const TASKS_TIMEOUT: Duration = Duration::from_secs(300);
/// How long the page of `crowd` takes, and how often it is asked for alone to know what it takes in all.
pub const CROWD_MS: u64 = 100;
pub const CROWD_ALONE: usize = 3;
/// nginx's lock lets one at a time to a page that cannot be kept: 500 of them take a minute.
pub const CROWD_TIMEOUT: Duration = Duration::from_secs(120);
/// The addresses that are asked for all the time, how many draws of them are made before they come again, and how many
/// a second.
pub const HOT_ADDRESSES: usize = 10_000;
pub const HOT_DRAWS: usize = 200_000;
pub const HOT_RATE: f64 = 1_000.0;
pub const HOT_SEED: u64 = 1;
pub const HOT_SECONDS: f64 = 10.0;
pub const SWEEP_CONNECTIONS: usize = 4;
pub const SWEEP_TIMEOUT: Duration = Duration::from_secs(300);
/// As large as the real catalogue.
pub const CARRIED_PACKAGES: u32 = 63_000;
/// Room for all addresses.
pub const CARRIED_CACHE_MIB: u32 = 512;
/// How many packages change at a push.
pub const CARRIED_PUSHED: [usize; 2] = [20, 600];
/// How long the load goes on before the push.
pub const CARRIED_BEFORE: Duration = Duration::from_secs(2);
pub const REVIEWS_AT_ONCE: usize = 16;
/// The cache that is flooded, how much of it the hot set takes, and how often the flood would fill it.
pub const FLOOD_CACHE_MIB: u32 = 16;
pub const HOT_SHARE_OF_CACHE: f64 = 0.5;
pub const FLOOD_TIMES: f64 = 2.0;
pub const FLOOD_ADDRESSES_MOST: usize = 5_000;
pub const FLOOD_CONNECTIONS: usize = 8;
/// Searches that are looked at to know how large they are.
pub const FLOOD_SAMPLED: usize = 200;
/// How long more renders are asked for than can be made, and how long each of the other phases is of that.
pub const OVERLOAD_SECONDS: f64 = 60.0;
pub const OVERLOAD_PHASE_SHARE: f64 = 1.0 / 6.0;
pub const OVERLOAD_AFTER: Duration = Duration::from_secs(5);
pub const OVERLOAD_TIMES: f64 = 3.0;
pub const OVERLOAD_USUAL_SHARE: f64 = 0.8;
/// Few enough that nobody waits for long while the peak is found, and more than have an answer under way at any time later.
pub const OVERLOAD_PEAK_CONNECTIONS: usize = 8;
pub const OVERLOAD_CONNECTIONS: usize = 768;
/// No contender finds more in one second.
pub const OVERLOAD_PEAK_MOST_RPS: f64 = 20_000.0;
pub const OVERLOAD_HITS_RPS: f64 = 200.0;
pub const OVERLOAD_HIT_CONNECTIONS: usize = 8;
pub const OVERLOAD_IN_TIME_MS: f64 = 1_000.0;
/// By so much the generator of too much is nicer than that of what is asked for beside it.
pub const OVERLOAD_NICE: i32 = 10;
/// How long a visitor waits for somebody to take a request.
pub const OVERLOAD_PATIENCE: Duration = Duration::from_secs(2);
/// What a node may use of a core beside its siblings, and in what pieces it is given out, as for containers.
pub const SIBLINGS_CORES: f64 = 0.4;
pub const QUOTA_PERIOD: Duration = Duration::from_millis(100);
pub const QUOTA_REMOVAL_TRIES: u32 = 50;
pub const QUOTA_REMOVAL_WAIT: Duration = Duration::from_millis(20);
/// How long visitors come to three siblings, how unevenly, and how many in terms of what one of them can make.
pub const SIBLINGS_SECONDS: f64 = 10.0;
pub const SIBLINGS_SHARES: [f64; 3] = [0.8, 0.1, 0.1];
pub const SIBLINGS_TIMES: [(&str, f64); 2] = [("1.5x", 1.5), ("2.5x", 2.5)];
/// To each of them.
pub const SIBLINGS_CONNECTIONS: usize = 256;
/// Until they know of each other: two heartbeats, and a little.
pub const SIBLINGS_HEARD: Duration = Duration::from_secs(5);
/// Of that, until a sibling is killed.
pub const SIBLINGS_KILLED_AFTER: f64 = 0.5;
/// How many clients write at once, and how long those may take that are under way when the time is over.
pub const WRITE_CLIENTS: [usize; 4] = [1, 8, 64, 256];
pub const WRITE_PHASE_GRACE: Duration = Duration::from_secs(30);
/// What is appended before each bare sync: a page.
pub const WRITE_BYTES: usize = 4_096;
pub const WRITE_BODY_BYTES: usize = 64 << 10;
/// The invented catalogue, when none is given.
pub const CATALOGUE_PACKAGES: u32 = 20_000;
pub const CATALOGUE_SEED: u32 = 1;
/// Distinct pages in the render sweep, and distinct searches in each mix. Every one is checked before the run.
pub const RENDER_PAGES: usize = 5_000;
pub const SEARCH_QUERIES: usize = 500;
/// The memory map of the native contenders: the whole file, for any file a bench uses.
pub const NATIVE_MMAP_BYTES: i64 = 1 << 30;
/// Named statements a native contender keeps prepared: all an app has.
pub const NATIVE_STATEMENTS: usize = 64;
/// What the plain site reads with at once, and how long a request waits for one of them before it is refused.
pub const SITE_READERS: usize = 8;
pub const SITE_READER_WAIT: Duration = Duration::from_secs(5);
/// How long SQLite waits for a lock.
pub const SITE_BUSY_WAIT: Duration = Duration::from_secs(5);
pub const SITE_FORM_BYTES: usize = 8 << 20;
pub const SITE_WEBHOOK_TIMEOUT: Duration = Duration::from_secs(2);
pub const SITE_WEBHOOK_BODY_BYTES: usize = 64 << 10;
/// A webhook's body.
pub const RECEIVER_BODY_BYTES: usize = 64 << 10;
/// How long the webhook's receiver takes for its answer.
pub const STORY_WEBHOOK: Duration = Duration::from_millis(100);
/// What visitors write: the share of requests that post a review, and the share of these that bring a picture.
pub const STORY_WRITES_SHARE: f64 = 0.02;
pub const STORY_PICTURES_SHARE: f64 = 0.1;
/// That picture: what messengers make of a photograph.
pub const STORY_PICTURE_PX: [u32; 2] = [1_440, 1_080];
pub const STORY_PICTURE_QUALITY: u8 = 82;
pub const STORY_SEED: u64 = 7;
/// One turn at one rate.
pub const STORY_SECONDS: f64 = 6.0;
pub const STORY_CONNECTIONS: usize = 128;
/// The first rate, how many times each is the one before, and how many there are at most.
pub const STORY_FIRST_RPS: f64 = 200.0;
pub const STORY_STEP: f64 = 1.5;
pub const STORY_STEPS_MOST: i32 = 14;
/// How often each contender climbs.
pub const STORY_CLIMBS: usize = 3;
/// A contender bends where p99 of all first bytes is above this, or a larger share fails, or what it put off is not done
/// so long after the last request.
pub const STORY_P99_MS: f64 = 500.0;
pub const STORY_FAILED_SHARE: f64 = 0.001;
pub const STORY_WORK_LEFT_S: f64 = 3.0;
/// How much of its core the generator may take before it, and not a contender, is what is measured.
pub const STORY_GENERATOR_PERCENT: f64 = 85.0;
/// When all work that was put off must be done, and how often that is asked.
pub const STORY_DONE_TIMEOUT: Duration = Duration::from_secs(120);
pub const STORY_DONE_POLL: Duration = Duration::from_millis(50);
/// Until nodes have what was done last.
pub const STORY_SETTLE: Duration = Duration::from_secs(1);
/// Between reviews that are looked for elsewhere, how often they are, and for how long.
pub const STORY_LOOK_PAUSE: Duration = Duration::from_millis(300);
pub const STORY_LOOK_EVERY: Duration = Duration::from_millis(20);
pub const STORY_LOOK_MOST: Duration = Duration::from_secs(10);
/// Addresses whose content is compared before the first turn.
pub const STORY_CHECKED: usize = 300;
/// Nodes of `fleet`, what each keeps in memory of pages, and how large the database is that all of them have.
pub const FLEET_NODES: usize = 30;
pub const FLEET_CACHE_MIB: u32 = 8;
pub const FLEET_MIB: u64 = 16;
/// How far its regions are from the origin, there and back; and a visitor from the nearest node.
pub const FLEET_REGIONS_MS: [u64; 3] = [20, 80, 160];
pub const FLEET_LAST_MILE_MS: u64 = 5;
/// Whom a node asks before the origin.
pub const FLEET_SIBLINGS: usize = 3;
/// Documents that one command adds.
pub const FLEET_ADDED: u64 = 1_000;
/// How often each node is asked whether it shows something.
pub const FLEET_POLL: Duration = Duration::from_millis(10);
/// How long one node is cut off, and the pause between pushes meanwhile.
pub const FLEET_CUT_SECONDS: u64 = 60;
pub const FLEET_CUT_PUSHES_EVERY: Duration = Duration::from_millis(1_500);
pub const FLEET_VISITS: usize = 60;
pub const FLEET_NEW_VISITS: usize = 12;
/// All of it, at most.
pub const FLEET_TIMEOUT: Duration = Duration::from_secs(1_800);
/// What of a line's connection is read at once, and how much may be under way on it.
pub const LINE_CHUNK_BYTES: usize = 16 << 10;
pub const LINE_CHUNKS: usize = 256;
/// Documents of the benches of search indexes.
pub const INDEX_DOCUMENTS: u64 = 1_000_000;
/// Queries of a class; an index that is slow on them is asked fewer, in the time below.
pub const INDEX_QUERIES: usize = 1_000;
pub const INDEX_WARM: usize = 50;
/// Of how many queries of a class all must have found as much.
pub const INDEX_CHECKED: usize = 50;
pub const INDEX_CLASS_SECONDS: f64 = 8.0;
pub const INDEX_BUILD_TIMEOUT: Duration = Duration::from_secs(1_800);
pub const INDEX_ASK_TIMEOUT: Duration = Duration::from_secs(900);
/// Documents edited in a commit, and how many commits there are.
pub const EDITED: [u64; 3] = [1, 20, 600];
pub const EDIT_COMMITS: u64 = 300;
pub const EDITS_SEED: u64 = 9;
/// A class of queries is of so many at the least, for a percentile of them to mean something.
pub const INDEX_PERCENTILE_QUERIES: usize = 100;
/// Apps of `density`, how long nobody asks for any, how many are asked for the first time a second, and then at all.
pub const DENSITY_APPS: usize = 1_000;
pub const DENSITY_IDLE: Duration = Duration::from_secs(5);
pub const DENSITY_FIRST_RPS: f64 = 200.0;
pub const DENSITY_RPS: f64 = 500.0;
pub const DENSITY_SECONDS: f64 = 8.0;
pub const DENSITY_SEED: u64 = 3;
/// Until a node serves them all: at first it has to pull each.
pub const MANY_TIMEOUT: Duration = Duration::from_secs(180);
/// Apps of `cold`, how long nobody asks for any, and versions of one of them in a round.
pub const COLD_APPS: usize = 64;
pub const COLD_IDLE: Duration = Duration::from_secs(3);
pub const COLD_VERSIONS: usize = 5;
/// Requests a second of `mix`, the pages that are hits, and the connections of renders and of searches.
pub const MIX_RPS: f64 = 1_000.0;
pub const MIX_HOT_PAGES: usize = 200;
pub const MIX_OTHERS_CONNECTIONS: usize = 16;
pub const MIX_SECONDS: f64 = 10.0;
