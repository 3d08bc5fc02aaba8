//! Every bound of the system in one place, with its unit in its name.

use std::time::Duration;

// --- An app's files -------------------------------------------------------------------------------------------------

/// A packed app, compressed, as pushed.
pub const APP_ARCHIVE_BYTES: usize = 64 << 20;
/// The same, unpacked: what a small archive may grow to.
pub const APP_UNPACKED_BYTES: usize = 256 << 20;
pub const APP_FILES: usize = 4_096;
/// Entries of a packed app: its files, and the two encoded forms each static one may have.
pub const APP_ENTRIES: usize = APP_FILES * 3;
/// What is smaller travels in one packet as it is: it is not compressed, be it a static file or a stored response.
pub const ENCODED_FROM_BYTES: usize = 1 << 10;
pub const ROUTES: usize = 512;
/// The secrets of one app, together.
pub const SECRETS_BYTES: usize = 64 << 10;
pub const REDIRECTS: usize = 1_024;

// --- Requests at a node ---------------------------------------------------------------------------------------------

pub const REQUEST_HEADERS: usize = 100;
/// hyper's read buffer: a request head larger than this is answered 431.
pub const REQUEST_HEAD_BYTES: usize = 32 << 10;
pub const REQUEST_TARGET_BYTES: usize = 8 << 10;
pub const REQUEST_BODY_BYTES: usize = 1 << 20;
/// What a route may raise its own bound to, by `body_kib`.
pub const REQUEST_BODY_KIB_MOST: u64 = 16 << 10;
pub const REQUEST_HEAD_WAIT: Duration = Duration::from_secs(10);
pub const REQUEST_BODY_WAIT: Duration = Duration::from_secs(10);
/// Bodies being received and worked on at once: what requests can hold in memory, in units of REQUEST_BODY_BYTES. A
/// larger body takes another one with each that it has filled, and has REQUEST_BODY_WAIT for each.
pub const REQUEST_BODIES_AT_ONCE: usize = 512;
pub const CONNECTIONS: usize = 20_000;
/// Of these, of one client that is not this machine; the newest are closed.
pub const CONNECTIONS_A_CLIENT: usize = CONNECTIONS / 4;
/// A connection over which nobody asks for anything for so long is told to end. HTTP/1 has [`REQUEST_HEAD_WAIT`] for that.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(60);
/// How often it is looked whether it is time, and whether its client takes what it asked for: so much in [`STREAM_IDLE`].
pub const CONNECTION_LOOK: Duration = Duration::from_secs(5);
pub const TAKEN_LEAST_BYTES: u64 = 1 << 10;
/// An app's own page for an error; a longer one gives way to the host's plain page.
pub const ERROR_PAGE_BYTES: usize = 256 << 10;

// --- Rendering ------------------------------------------------------------------------------------------------------

pub const ROUTE_DEADLINE_MS: u64 = 2_000;
pub const ROUTE_DEADLINE_MS_MOST: u64 = 60_000;
pub const ROUTE_DEADLINE_MOST: Duration = Duration::from_millis(ROUTE_DEADLINE_MS_MOST);
pub const GUEST_MEMORY_MIB: u64 = 64;
pub const GUEST_MEMORY_MIB_MOST: u64 = 256;
pub const GUEST_TABLE_ELEMENTS: usize = 100_000;
pub const GUEST_RESOURCES: usize = 4_096;
/// What a guest may write of a body at once; two such pieces wait in each body that nobody reads.
pub const GUEST_BODY_PIECE_BYTES: usize = 64 << 10;
/// Lists and strings a guest may make the host copy in one call.
pub const GUEST_HOSTCALL_BYTES: usize = 32 << 20;
pub const GUEST_HEADER_BYTES: usize = 64 << 10;
/// Log output of one request; the rest is dropped and said so.
pub const GUEST_LOG_BYTES: usize = 16 << 10;
/// What is told of the end of its stderr when a guest fails.
pub const GUEST_LAST_WORDS_LINES: usize = 6;
pub const GUEST_LAST_WORDS_LINE_BYTES: usize = 400;
/// Renders under way at once on a node, whatever they wait for; and of them, those of each class.
pub const RENDERS_AT_ONCE: usize = 64;
pub const COMMANDS_AT_ONCE: usize = 48;
pub const PAGES_AT_ONCE: usize = 56;
pub const SEARCHES_AT_ONCE: usize = 32;
pub const REFRESHES_AT_ONCE: usize = 16;
/// Of those under way, the ones that use a core now rather than wait for the origin or a clock: so many for each core, one
/// more for commands alone, and besides them those that have had a core for so long that others do not wait for them.
pub const RENDERS_A_CORE: usize = 2;
pub const COMMANDS_A_CORE: usize = 1;
pub const LONG_RENDERS_A_CORE: usize = 4;
pub const LONG_RENDER: Duration = Duration::from_millis(10);
/// A page that takes less of a core is made by the threads that answer sockets, at most one a core.
pub const QUICK_RENDER_US: u32 = 500;
/// And while what comes to the sockets waits for less than this, so that who asks for a stored page does.
pub const SOCKETS_WAIT: Duration = Duration::from_millis(5);
/// Where a route has its instances reused: how many requests one serves, how many wait for one, and for how long.
pub const REUSED_REQUESTS: u32 = 10_000;
pub const REUSED_IDLE_A_ROUTE: usize = 8;
pub const REUSED_IDLE_AT_ONCE: usize = 64;
pub const REUSED_IDLE: Duration = Duration::from_secs(10);
/// For so long a thread that answers sockets runs before others get their turn, and so soon it gets its own.
pub const SOCKETS_SLICE: Duration = Duration::from_micros(100);
/// A thread that has refused somebody looks at its sockets again after this time.
pub const REFUSAL_PAUSE: Duration = Duration::from_millis(1);
/// By so much renders are nicer to the machine's scheduler than what answers sockets. With as many threads that render as there
/// are, who asks for a stored page would else wait for a core behind them, and so would who is to be told that there is none: of
/// one full core three threads leave it three quarters. (Nicer by 4 they leave it less than a half, and when three times as much
/// is asked for as can be made, requests are then read more slowly than they come.)
pub const RENDERS_NICE: i32 = 10;
/// By so much what no visitor waits for is nicer: releases that are published, pulled and switched to. More than renders, and
/// not so much that a node with renders on every core would stay behind: some sixth of what sockets leave is left for it then.
pub const BESIDE_NICE: i32 = 12;
/// By so much tasks are nicer. On a machine with nodes beside the origin, one thread that makes thumbnails leaves three quarters of
/// a core to one that renders for a visitor.
pub const TASKS_NICE: i32 = 15;
/// How much of that is done at once; what a pull waits for on the network, it waits for on one of these, too.
pub const BESIDE_THREADS: usize = 64;
/// Renders of one class that wait for their turn.
pub const RENDERS_WAITING: usize = 512;
/// A queue of renders in which for RENDERS_STAND more wait than are made in RENDER_WAIT is too long: nobody waits longer than
/// that in it. In a shorter rush nobody waits longer than RENDERS_STAND. A push is such a rush, where few cores do everything.
pub const RENDER_WAIT: Duration = Duration::from_millis(20);
pub const RENDERS_STAND: Duration = Duration::from_millis(250);
/// While it stands, one waits for so many that are made in RENDER_WAIT.
pub const WAITING_OF_MADE: usize = 4;
/// How many are made and refused is counted in whiles of so long.
pub const RENDERS_OF_LATE: Duration = Duration::from_millis(100);
/// For each place so many may always wait, if so many were made in the last one to two RENDERS_OF_LATE; for that long at most.
pub const WAITING_A_PLACE: usize = 4;
/// As long as more than one is refused for so many that are made, the queue stands.
pub const REFUSED_FEW: usize = 4;
/// When whoever got no place may come again: after one second to so many, each another.
pub const RETRY_AFTER_MOST_S: u32 = 4;
/// Clients whose renders are counted, where they are limited; and how many seconds' worth one may ask for at once.
pub const CLIENTS_COUNTED: usize = 65_536;
pub const CLIENT_BURST_S: f64 = 2.0;
pub const CLIENT_RENDERS_PER_S_MOST: f64 = 100_000.0;
/// Responses that stream at once. They leave their place among the renders: a client that reads slowly must not keep
/// pages from being made.
pub const STREAMS_AT_ONCE: usize = 128;
pub const INCLUDE_DEPTH: usize = 4;
/// Guests there can be at once: of renders and the pages they include, of streams, and those that wait for another request.
pub const GUESTS_AT_ONCE: usize = RENDERS_AT_ONCE * (INCLUDE_DEPTH + 1) + STREAMS_AT_ONCE + REUSED_IDLE_AT_ONCE;
/// Of one guest.
pub const GUEST_MEMORIES: usize = 2;
/// An interpreter may come as dozens of modules that are linked when it starts.
pub const GUEST_MODULES: usize = 256;
pub const GUEST_TABLES: usize = 256;
pub const GUEST_MEMORIES_AT_ONCE: usize = GUESTS_AT_ONCE * GUEST_MEMORIES;
/// Time between two pieces of a streamed body before it is cut.
pub const STREAM_IDLE: Duration = Duration::from_secs(10);

// --- Renders handed to siblings -------------------------------------------------------------------------------------

/// Renders of a node that may be out at siblings, for each core it has; and at one of them, for each core that one has.
pub const HANDED_OUT_A_CORE: usize = 64;
pub const HANDED_OUT_AT_ONE_A_CORE: usize = 32;
/// Renders for siblings that are under way at once, for each core; one begins only while fewer of any kind use so many cores:
/// the other half of RENDERS_A_CORE is always left to a node's own visitors.
pub const HANDED_A_CORE: usize = 2;
pub const HANDED_RUNNING_A_CORE: usize = 1;
/// For so long after it has refused a visitor of its own, a node makes nothing for siblings, and says so; and nothing is made by
/// the threads that answer sockets.
pub const HOT_FOR: Duration = Duration::from_millis(500);
/// How long one waits for its place where it came to, if a sibling could be asked;
pub const HANDED_AFTER: Duration = Duration::from_millis(100);
/// how long there,
pub const HANDED_WAIT: Duration = Duration::from_millis(100);
/// and how much longer than its route's deadline who asked waits for the answer, of all who are asked.
pub const HANDED_GRACE: Duration = Duration::from_millis(500);
/// Near ones are reached in a moment, or are away.
pub const HANDED_CONNECT: Duration = Duration::from_millis(250);
/// Siblings that are asked for one page, one after another.
pub const HANDED_TRIES: usize = 2;
/// One that did not answer, or does not serve what is asked for, is left alone for so long, twice as long each time.
pub const HANDED_REST_FIRST: Duration = Duration::from_millis(100);
pub const HANDED_REST_MOST: Duration = Duration::from_secs(5);
/// A question, and how long it may take to come.
pub const HANDED_QUESTION_BYTES: usize = 64 << 10;
pub const HANDED_QUESTION_WAIT: Duration = Duration::from_secs(2);
/// An answer: the page, and what it was computed from.
pub const HANDED_ANSWER_BYTES: usize = STORED_BODY_BYTES + (512 << 10);

// --- The response cache ---------------------------------------------------------------------------------------------

/// A larger response streams and is not stored.
pub const STORED_BODY_BYTES: usize = 1 << 20;
pub const CACHE_MIB: u64 = 256;
/// Encoded forms of stored responses that are made at once, each on a thread,
pub const FORMS_AT_ONCE: usize = 1;
/// and those that are being made or wait: when there are more, one is made at a later request for it.
pub const FORMS_WAITING: usize = 64;
/// What must be saved by keeping a response, for each KiB it takes: one that renders faster is rendered again.
pub const CACHE_LEAST_US_A_KIB: u64 = 1;
/// Entries that are passed over, because they were asked for, before one has to go whatever was asked.
pub const CACHE_CHANCES: usize = 1_024;
/// Requests that may wait for one render of one key.
pub const FLIGHT_WAITERS: usize = 4_096;
/// Pages a stored response may depend on before any change counts as one of its own.
pub const READ_SET_PAGES: usize = 4_096;
/// Queries, and bytes of them, that are asked again to see whether a response still stands.
pub const QUESTIONS: usize = 64;
pub const QUESTION_BYTES: usize = 16 << 10;
/// Pages up to which it is kept for each query apart what it read, so that only those are asked again whose pages have changed.
pub const QUESTION_PAGES: usize = 64;
/// Asking them again may take so long, or as long as the response took to make.
pub const QUESTIONS_TIME: Duration = Duration::from_millis(5);
/// What a route may ask for by `stale_ms`.
pub const ROUTE_STALE_MS_MOST: u64 = 60_000;
/// However long a handler says that its answer is good for.
pub const KEPT_AT_MOST: Duration = Duration::from_secs(365 * 24 * 3_600);
/// Switches back to which an entry is judged page by page; those before count as one.
pub const STEPS_BACK: usize = 64;
/// What is made for a release before it is served: for so long; so many at once; and so many of an app's entries.
pub const CARRY_TIME: Duration = Duration::from_millis(400);
pub const CARRY_AT_ONCE: usize = 4;
/// Of that, for looking which entries are to be carried at all, the hottest first.
pub const CARRY_JUDGE_TIME: Duration = Duration::from_millis(200);
pub const CARRY_ENTRIES: usize = 16_384;
/// What it may cost, before a switch and after: as much as a render for so many requests, and one part in so many of a core
/// when nobody asks; both together one part in so many.
pub const CARRY_REQUESTS_A_RENDER: u32 = 2;
pub const CARRY_SHARE_IDLE: u32 = 200;
pub const CARRY_SHARE: u32 = 4;
/// What nobody has asked for lately is made when the release has been served for so long.
pub const CARRY_COLD_AFTER: Duration = Duration::from_secs(2);
/// What is left is made after the switch: after so much work, so many times as long a rest; when it may cost nothing more,
/// a longer one.
pub const CARRY_AFTERWARDS_WORK: Duration = Duration::from_millis(2);
pub const CARRY_AFTERWARDS_REST: u32 = 3;
pub const CARRY_AFTERWARDS_WAIT: Duration = Duration::from_millis(50);
/// What `nearside cache` lists, and what unless it is told; entries explained at once, and pages named of each; its answer.
pub const CACHE_LISTED: usize = 1_000;
pub const CACHE_LISTED_UNASKED: usize = 20;
pub const CACHE_EXPLAINED: usize = 16;
pub const CACHE_EXPLAINED_PAGES: usize = 64;
pub const CACHE_REPORT_BYTES: usize = 16 << 20;
/// What is remembered of keys known not to be storable, so that their requests do not queue behind one another. Besides the budget.
pub const UNSTORABLE_BYTES: u64 = 4 << 20;

// --- SQL, at nodes and in commands ----------------------------------------------------------------------------------

pub const SQL_QUERY_MS: u64 = 1_000;
pub const SQL_ROWS: usize = 10_000;
pub const SQL_RESULT_BYTES: usize = 4 << 20;
/// The largest string or blob SQLite may make.
pub const SQL_VALUE_BYTES: i32 = 4 << 20;
pub const SQL_TEXT_BYTES: i32 = 64 << 10;
pub const SQL_PARAMETERS: usize = 64;
/// Page cache of one connection; sorts beyond it go to a temporary file.
pub const SQL_CACHE_KIB: i64 = 2_048;
/// Idle read connections kept for one release.
pub const SQL_IDLE_CONNECTIONS: usize = 64;
/// All but one of them are closed when nobody has needed them for so long; that is looked at this often.
pub const SQL_IDLE: Duration = Duration::from_secs(30);
pub const SQL_IDLE_EVERY: Duration = Duration::from_secs(10);

// --- Writes ---------------------------------------------------------------------------------------------------------

pub const COMMAND_PAYLOAD_BYTES: usize = 256 << 10;
pub const COMMAND_REPLY_BYTES: usize = 64 << 10;
pub const COMMAND_MESSAGE_BYTES: usize = 4 << 10;
pub const COMMAND_CPU_MS: u64 = 1_000;
pub const COMMAND_WALL_MS: u64 = 2_000;
/// Commands that share one commit, at most.
pub const COMMIT_GROUP: usize = 128;
/// Work after which a group is committed though more is waiting: slow commands do not hold up the answers of quick ones.
pub const COMMIT_GROUP_WORK: Duration = Duration::from_millis(50);
/// The migrations of one push, and the merge of one pushed file: nothing else is written meanwhile.
pub const MIGRATIONS_WORK: Duration = Duration::from_secs(120);
pub const MERGE_WORK: Duration = Duration::from_secs(120);
/// Commands waiting for the writer before the origin answers 503.
pub const WRITER_QUEUE: usize = 1_024;
pub const IDEMPOTENCY_KEY_BYTES: usize = 128;
/// How long the origin remembers a client's idempotency key.
pub const DEDUPE_KEPT: Duration = Duration::from_secs(72 * 3600);
/// What is kept no longer goes in small pieces, with the commits of others.
pub const PURGE_EVERY: Duration = Duration::from_secs(60);
pub const PURGE_ROWS: usize = 5_000;
/// How long a node waits for the origin to answer a command.
pub const SUBMIT_WAIT: Duration = Duration::from_millis(1_500);
/// Commands of one node in flight at the origin.
pub const SUBMITS_AT_ONCE: usize = 256;
/// Pages a node has the origin render at once, for visitors whose own writes it does not hold yet.
pub const ORIGIN_RENDERS_AT_ONCE: usize = 64;
/// A node that has asked its origin so often in twice this time, and more than so many times as often as it was taken, does not
/// send all it would ask; this share of it always, so that it notices when the origin takes more again.
pub const ORIGIN_ASKED_LEAST: u64 = 64;
pub const ORIGIN_HEARD: Duration = Duration::from_secs(2);
pub const ORIGIN_ASKED_TIMES: f64 = 2.0;
pub const ORIGIN_ASKED_SHARE_LEAST: f64 = 0.1;
/// How long a read with a receipt waits for the release that holds it before it asks the origin for the page, and waits for both.
pub const RECEIPT_HEAD_START: Duration = Duration::from_millis(10);
/// How long it waits for that release where the origin does not give the page.
pub const RECEIPT_WAIT: Duration = Duration::from_millis(150);
/// The same for a route that sees everything, whose pages the origin does not make: a release that begins to wait for company
/// when the write is committed is there by then.
pub const RECEIPT_WAIT_ALONE: Duration = Duration::from_millis(500);
/// Receipts of which the origin has just said that it made no such commit: anybody can write one. For so long it is not asked for
/// them again.
pub const RECEIPTS_REFUSED: usize = 1_024;
pub const RECEIPT_REFUSED_FOR: Duration = Duration::from_secs(1);
/// How long the origin waits for its read database to reach that receipt.
pub const RECEIPT_PROJECTED_WAIT: Duration = Duration::from_millis(1_000);
pub const RECEIPT_COOKIE_SECONDS: u64 = 3_600;

// --- Deferred writes ------------------------------------------------------------------------------------------------

/// Of one node's outbox: what waits, and of one app's part in it.
pub const OUTBOX_BYTES: u64 = 256 << 20;
pub const OUTBOX_WRITES: u64 = 100_000;
pub const OUTBOX_APP_BYTES: u64 = OUTBOX_BYTES / 2;
pub const OUTBOX_APP_WRITES: u64 = OUTBOX_WRITES / 2;
/// Waiting for the outbox's thread.
pub const OUTBOX_QUEUE: usize = 1_024;
/// How long the outcome of a deferred write can be asked for.
pub const OUTBOX_SETTLED_KEPT: Duration = Duration::from_secs(72 * 3600);
/// In one delivery.
pub const DELIVERY_WRITES: usize = 64;
pub const DELIVERY_BYTES: usize = 4 << 20;
pub const DELIVERY_WAIT: Duration = Duration::from_secs(30);
/// Between deliveries that fail.
pub const DELIVERY_AGAIN_FIRST: Duration = Duration::from_millis(200);
pub const DELIVERY_AGAIN_MOST: Duration = Duration::from_secs(5);
/// What an operator is shown of an outbox at once: so many, so many bytes of payload, and the whole answer.
pub const OUTBOX_LISTED: usize = 1_000;
pub const OUTBOX_LISTED_BYTES: usize = 2 << 20;
pub const OUTBOX_PAGE_BYTES: usize = 16 << 20;
/// Of one node: writes that were sent and not answered, and one app's part in them.
pub const UNSURE_WRITES: u64 = 10_000;
pub const UNSURE_APP_WRITES: u64 = UNSURE_WRITES / 2;
pub const UNSURE_BYTES: u64 = 64 << 20;
pub const UNSURE_APP_BYTES: u64 = UNSURE_BYTES / 2;
/// A write that the origin never got is applied this long after it was sent, when it is asked what became of it.
/// Later it is closed: nobody counts on it any more.
pub const UNSURE_APPLIED: Duration = Duration::from_secs(10 * 60);
/// Of them, asked for at once.
pub const UNSURE_AT_ONCE: usize = 16;
pub const UNSURE_WAIT: Duration = Duration::from_secs(5);
/// When to ask again what became of a deferred write.
pub const DEFERRED_RETRY_AFTER_S: u64 = 5;

// --- Blobs ----------------------------------------------------------------------------------------------------------

pub const BLOB_BYTES: usize = 8 << 20;
/// All blobs of one app at the origin.
pub const BLOB_APP_BYTES: u64 = 8 << 30;
/// What the smallest blob counts for: many tiny files fill a disk as well as few large ones.
pub const BLOB_LEAST_BYTES: u64 = 4 << 10;
/// What a node keeps of them on its disk.
pub const BLOB_CACHE_BYTES: u64 = 1 << 30;
/// Blobs a node sends to the origin at once, and the origin takes at once.
pub const BLOB_PUTS_AT_ONCE: usize = 16;
pub const BLOB_PUT_WAIT: Duration = Duration::from_secs(10);
/// Blobs a node pulls at once; those who ask for more wait, so many at most.
pub const BLOB_PULLS_AT_ONCE: usize = 16;
pub const BLOB_PULLS_WAITING: usize = 256;
/// How long whoever asks for a blob waits for all of it to arrive.
pub const BLOB_PULL_WAIT: Duration = Duration::from_secs(10);
/// Blobs that the origin has just said it has not: for so long, or until a release comes, a node does not ask for them again.
pub const BLOBS_MISSING: usize = 4_096;
pub const BLOB_MISSING_FOR: Duration = Duration::from_secs(2);
/// What of a blob is in memory for each who is being sent it.
pub const BLOB_PIECE_BYTES: usize = 64 << 10;

// --- Tasks ----------------------------------------------------------------------------------------------------------

pub const TASK_ATTEMPTS: u32 = 8;
pub const TASK_ATTEMPTS_MOST: u32 = 100;
pub const TASK_BACKOFF_FIRST_MS: u64 = 500;
pub const TASK_BACKOFF_FIRST_MS_MOST: u64 = 3_600_000;
pub const TASK_BACKOFF_MOST_MS: u64 = 15 * 60 * 1_000;
pub const TASK_BACKOFF_MOST_MS_MOST: u64 = 24 * 3_600_000;
pub const TASK_TIMEOUT_MS: u64 = 30_000;
pub const TASK_TIMEOUT_MS_MOST: u64 = 600_000;
pub const TASK_LEASE_MS: u64 = 60_000;
pub const TASK_LEASE_MS_LEAST: u64 = 3_000;
pub const TASK_LEASE_MS_MOST: u64 = 600_000;
/// Of one kind, where its declaration says nothing.
pub const TASK_CONCURRENCY: usize = 4;
/// Of one app, besides one of each kind.
pub const TASKS_AT_ONCE: usize = 32;
/// Of all apps together: what is left of guests and their memories is for commands and renders.
pub const TASK_GUESTS_AT_ONCE: usize = 128;
pub const TASK_RATE_PER_S_LEAST: f64 = 0.001;
pub const TASK_RATE_PER_S_MOST: f64 = 10_000.0;
/// A rate may be exceeded by what it allows in this time, so that a fast one need not be met to the millisecond.
pub const TASK_RATE_BURST_MS: u64 = 100;
pub const TASK_PRIORITY_MOST: i64 = 100;
pub const TASK_DELAY_MS_MOST: u64 = 30 * 24 * 3_600_000;
pub const TASK_UNIQUE_FIELDS: usize = 8;
/// A longer key is kept as its digest.
pub const TASK_UNIQUE_KEY_BYTES: usize = 256;
pub const TASK_KINDS: usize = 64;
pub const CRONS: usize = 64;
pub const CRON_EVERY_MS_MOST: u64 = 366 * 24 * 3_600_000;
pub const TASKS_PER_COMMAND: usize = 32;
/// Tasks due or running, of one app.
pub const TASKS_WAITING: usize = 100_000;
/// How long a task that is done can be seen, and how many of them; the oldest go.
pub const TASK_DONE_KEPT: Duration = Duration::from_secs(24 * 3600);
pub const TASKS_DONE_KEPT: usize = 100_000;
/// Dead letters of one app; the oldest go.
pub const TASKS_DEAD_KEPT: usize = 100_000;
/// The newest attempts of a task are remembered.
pub const TASK_HISTORY_ATTEMPTS: usize = 200;
pub const TASK_MESSAGE_BYTES: usize = 4 << 10;
pub const TASK_PROGRESS_BYTES: usize = 1 << 10;
/// The newest lines of an attempt are kept with it.
pub const TASK_LOG_LINES: usize = 100;
pub const TASK_LOG_BYTES: usize = 16 << 10;
/// How often what an attempt has told is written down while it runs.
pub const TASK_NOTES_EVERY: Duration = Duration::from_secs(1);
/// Named steps of one task: how many, and how long their names, each result and all results are.
pub const TASK_STEPS: usize = 256;
pub const TASK_STEP_NAME_BYTES: usize = 128;
pub const TASK_STEP_RESULT_BYTES: usize = 64 << 10;
pub const TASK_STEPS_BYTES: usize = 256 << 10;
pub const TASKS_LISTED: usize = 1_000;
pub const TASKS_LISTED_UNASKED: usize = 50;
pub const TASK_REPORT_BYTES: usize = 64 << 20;
/// Tasks that one order of an operator's changes in one transaction; who orders repeats it until none is left.
pub const TASKS_STEERED: usize = 1_000;
pub const OUTBOUND_RESPONSE_BYTES: usize = 4 << 20;
pub const OUTBOUND_CONNECT: Duration = Duration::from_secs(5);
/// Until an answer begins, and between two of its pieces. A task may say less of these three, and not more.
pub const OUTBOUND_FIRST_BYTE: Duration = Duration::from_secs(60);
pub const OUTBOUND_BETWEEN_BYTES: Duration = Duration::from_secs(60);
/// HTTP requests of one attempt at a task.
pub const TASK_REQUESTS: u32 = 1_000;

// --- TLS ------------------------------------------------------------------------------------------------------------

/// Certificates in a listener's folder, and bytes of a file there.
pub const CERTIFICATES: usize = 4_096;
pub const CERTIFICATE_FILE_BYTES: u64 = 1 << 20;
/// How often the folder is looked at.
pub const CERTIFICATES_EVERY: Duration = Duration::from_secs(5);
/// A connection to the origin that carries many requests is asked for a sign of life this often while it does, and given up
/// without one.
pub const ORIGIN_PING_EVERY: Duration = Duration::from_secs(5);
pub const ORIGIN_PING_WAIT: Duration = Duration::from_secs(5);

// --- Releases -------------------------------------------------------------------------------------------------------

pub const PAGE_BYTES: usize = 4_096;
/// A write waits this long for company before it is published,
pub const PUBLISH_COMPANY: Duration = Duration::from_millis(250);
/// and releases come no closer after one another than this: who wrote meanwhile waits for that, and for nothing else.
pub const PUBLISH_APART: Duration = Duration::from_millis(1_000);
/// Pages that moved since the last release, as far as they are listed; above that, all pages are compared.
pub const MOVED_PAGES: usize = 1 << 18;
/// Frames of the read database's log that are moved into its file at once, though it is busy: 64 MiB.
pub const READ_LOG_FRAMES: u32 = 16 << 10;
/// Releases the origin keeps: the newest; of those before as many whose number is a multiple of the first of these, and of
/// those before as many of the second: a minute, an hour and three days where there is one a second.
pub const RELEASES_KEPT_ORIGIN: usize = 64;
pub const RELEASES_KEPT_STRIDES: [u64; 2] = [64, 4_096];
/// What their pages may take on the origin's disk, of each app; the newest release stays whatever it takes.
pub const RELEASES_ORIGIN_BYTES: u64 = 96 << 30;
/// How long an origin that starts waits for its object store to show that it creates things once.
pub const OBJECT_STORE_PROOF: Duration = Duration::from_secs(5);
/// How far back the deltas besides the one from the release before reach: from the 8th, whenever the number is a multiple
/// of 8, and from the 64th.
pub const SKIP_DELTAS: [u64; 2] = [8, 64];
/// Windows of each old page by which pages that moved are found again: the most, unless the index over them takes more than
/// this; and the least, which is 32 bytes a page.
pub const SIMILAR_WINDOWS_MOST: usize = 32;
pub const SIMILAR_INDEX_BYTES: usize = 64 << 20;
pub const SIMILAR_WINDOWS_LEAST: usize = 4;
/// Records made each way there is, to choose one for all; a small object has one of eight, or all of so few.
pub const ENCODE_SAMPLE_RECORDS: usize = 64;
pub const ENCODE_SAMPLE_RECORDS_LEAST: usize = 8;
/// Threads that make the records of one object; each takes some 64 MiB.
pub const ENCODE_THREADS: usize = 4;
/// Records each of them is ahead of the one that is written, of 1 MiB at most.
pub const ENCODE_RECORDS_AHEAD: usize = 4;
/// Objects that were made because somebody asked, and are kept for who asks next, of each app.
pub const MADE_OBJECTS_BYTES: u64 = 4 << 30;
/// Pages in one answer to a repair.
pub const REPAIR_PAGES: usize = 256;
/// The object that names the newest release.
pub const HEAD_BYTES: u64 = 64;
/// How long an object store has to begin its answer.
pub const OBJECT_STORE_WAIT: Duration = Duration::from_secs(30);
/// Releases nodes keep on disk.
pub const RELEASES_KEPT_NODE: usize = 2;
/// Releases a node keeps are let go from the oldest on when all pages take more than this; the newest always stays.
pub const RELEASES_KEPT_NODE_BYTES: u64 = 64 << 30;
pub const MANIFEST_BYTES: usize = 64 << 10;
/// Deltas one manifest may offer.
pub const DELTA_OFFERS: usize = 32;
/// Vouchers for the code of one app that the origin keeps.
pub const VOUCHERS_KEPT: usize = 256;
pub const DATABASE_BYTES: u64 = 64 << 30;
/// How long the origin waits for news before it says that there are none. It bounds how old the word of an idle node is, for
/// one small signed answer a node each time.
pub const LONG_POLL: Duration = Duration::from_secs(2);
/// How much longer a node waits for that answer.
pub const LONG_POLL_GRACE: Duration = Duration::from_secs(3);
/// All pages a page store holds, of all releases it keeps.
pub const SLOTS_BYTES: u64 = 128 << 30;
/// A node asks no more often than this while there is nothing new.
pub const HEADS_EVERY: Duration = Duration::from_millis(500);
/// Apps whose releases a node pulls and compiles at once.
pub const PULLS_AT_ONCE: usize = 4;
pub const PULL_RETRY_FIRST: Duration = Duration::from_millis(200);
pub const PULL_RETRY_MOST: Duration = Duration::from_secs(5);
/// Apps of one origin, and so of one node.
pub const APPS: usize = 2_048;
/// Manifests before the newest that a node asks for, to find a way of deltas from what it has.
pub const MANIFESTS_BACK: usize = 64;
/// How long the origin may take to begin sending an object: it may have to make it.
pub const OBJECT_WAIT: Duration = Duration::from_secs(30);
/// How long a sibling may, and how long one that did not answer is left alone.
pub const SIBLING_WAIT: Duration = Duration::from_secs(2);
pub const SIBLING_REST: Duration = Duration::from_secs(10);
pub const SIBLINGS: usize = 16;
/// A smaller delta comes from the origin: asking around for it costs more.
pub const SIBLING_DELTA_BYTES: u64 = 32 << 10;
/// How long a sibling holds a question for a delta that is on its way to it, how often it may be asked again, and how many questions
/// it holds,
pub const SIBLING_HOLD: Duration = Duration::from_secs(2);
pub const SIBLING_COMES: Duration = Duration::from_secs(30);
pub const PEER_HELD: usize = 64;
/// and for how long, until it has heard of the release.
pub const SIBLING_HEARS: Duration = Duration::from_millis(250);
/// A larger delta is not kept in memory as it came: siblings are made one.
pub const PASSED_ON_BYTES: u64 = 16 << 20;
/// Connections that may break one after another before a pull is given up,
pub const PULL_TRIES: u32 = 6;
/// unless so much came in between.
pub const PULL_PROGRESS_BYTES: u64 = 1 << 20;
/// Who sends more slowly than this, over a while, keeps a pull from ending.
pub const PULL_LEAST_BYTES_PER_S: u64 = 4 << 10;
pub const PULL_PACE_OVER: Duration = Duration::from_secs(20);
/// Pieces of a download between the socket and the disk.
pub const PULL_PIECES: usize = 4;
/// Content that is not what was signed may have been damaged on its way: it is asked for again after this.
pub const PULL_RETRY_DAMAGED: Duration = Duration::from_secs(60);
/// What a sibling's object may be larger than the origin's: one part in so many, and this. Another version may have packed
/// it.
pub const SIBLING_SLACK_PART: u64 = 4;
pub const SIBLING_SLACK_BYTES: u64 = 64 << 10;
/// Deltas a node makes for siblings: changed pages of one, how many bytes of them it remembers, how many it makes at once.
pub const PEER_DELTA_PAGES: usize = 16 << 10;
pub const PEER_DELTAS_BYTES: u64 = 64 << 20;
pub const PEER_DELTAS_AT_ONCE: usize = 2;
/// Whole copies a node sends to siblings at once.
pub const PEER_BASES_AT_ONCE: usize = 1;
/// Connections opened on a release before visitors are sent to it.
pub const WARM_CONNECTIONS: usize = 4;
/// Reading every row of a smaller table is not held against a query.
pub const SCAN_ROWS: i64 = 1_000;
/// A response says by how much it may be behind from here on: a node that hears the origin all the time is below.
pub const BEHIND_SHOWN: Duration = Duration::from_secs(4);
/// How fast kept pages are hashed again, in the background.
pub const SCRUB_BYTES_PER_S: u64 = 8 << 20;
/// Between two rounds of it.
pub const SCRUB_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// Damaged pages waiting for their repair.
pub const REPAIRS_WAITING: usize = 4_096;
pub const REPAIR_RETRY: Duration = Duration::from_secs(5);
/// Jobs waiting for an app's projector or publisher.
pub const ORIGIN_QUEUE: usize = 64;
/// A release that could not be made is tried again after this.
pub const RELEASE_RETRY: Duration = Duration::from_secs(5);

/// An audit's work, what it copies and compares, and the time between two of an app.
pub const AUDIT_WORK: Duration = Duration::from_secs(3600);
pub const AUDIT_BYTES: u64 = 16 << 30;
pub const AUDIT_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How often it is looked whether one is due; the first time so long after a start.
pub const AUDIT_LOOK: Duration = Duration::from_secs(600);
/// Epochs that restores have ended, remembered by a store.
pub const EPOCHS_REMEMBERED: usize = 256;

// --- The origin's HTTP interface ------------------------------------------------------------------------------------

/// Pushes whose bodies are taken at once, of all apps.
pub const PUSHES_AT_ONCE: usize = 2;
/// What is sent to the origin comes at so many bytes a second at least, over this time: who drips bytes holds up what others push.
pub const SENT_LEAST_BYTES_PER_S: u64 = 4 << 10;
pub const SENT_PACE_OVER: Duration = Duration::from_secs(20);
/// What a node says it has, and what it is told there is: a line for each app, be their names as long as they may.
pub const HEADS_BYTES: usize = 512 << 10;

// --- What is told -----------------------------------------------------------------------------------------------------

/// What a process remembers of its log, to be asked for and followed: whichever of the two is reached first.
pub const LOGBOOK_ENTRIES: usize = 4_096;
pub const LOGBOOK_BYTES: usize = 8 << 20;
/// One message, which may be a backtrace.
pub const LOGBOOK_MESSAGE_BYTES: usize = 16 << 10;
pub const LOGBOOK_FIELD_BYTES: usize = 4 << 10;
/// One entry as JSON, and all of a logbook.
pub const LOGBOOK_LINE_BYTES: usize = 1 << 20;
pub const LOGBOOK_ANSWER_BYTES: usize = 64 << 20;
/// Who may follow a logbook at once.
pub const LOGBOOK_FOLLOWERS: usize = 32;
/// Silence after which a follower is sent an empty line, so that one who is gone is noticed.
pub const LOGBOOK_HEARTBEAT: Duration = Duration::from_secs(15);
/// Undeclared inputs told of one app version.
pub const MISSED_INPUTS: usize = 256;
pub const MISSED_INPUT_NAME_BYTES: usize = 256;

// --- Traces -----------------------------------------------------------------------------------------------------------

/// Spans that have ended and wait to be sent: what comes when there are more is dropped, and counted.
pub const SPANS_WAITING: usize = 4_096;
/// Spans in one message to the collector, and how long the first of them waits for the others.
pub const SPANS_SENT_AT_ONCE: usize = 512;
pub const SPANS_SENT_EVERY: Duration = Duration::from_secs(1);
/// How long the collector has to answer, unless it is said otherwise; how often one message is sent; and the pause before it
/// is sent again, twice as long each time.
pub const COLLECTOR_WAIT: Duration = Duration::from_secs(10);
pub const COLLECTOR_WAIT_MOST: Duration = Duration::from_secs(60);
pub const COLLECTOR_TRIES: u32 = 3;
pub const COLLECTOR_AGAIN_FIRST: Duration = Duration::from_millis(500);
/// What of its answer is read.
pub const COLLECTOR_ANSWER_BYTES: usize = 64 << 10;
/// What a process that stops still sends: for so long.
pub const SPANS_LAST: Duration = Duration::from_secs(2);
/// Of one span: a text in it, and the spans it is linked to.
pub const SPAN_TEXT_BYTES: usize = 1 << 10;
pub const SPAN_LINKS: usize = 32;
/// Of one render or command: the statements that have a span; the others are only counted.
pub const SPANS_OF_SQL: u32 = 64;
/// Traced commits of one app that wait for the release that carries them, and releases nodes are told the trace of. The oldest
/// go.
pub const TRACED_COMMITS: usize = 256;
pub const TRACED_RELEASES: usize = 64;
/// First renders of pages that a traced release has changed.
pub const TRACED_FIRST_RENDERS: u32 = 16;
/// Of requests that come without a decision: how many are traced where a collector is given and nothing else is said.
pub const TRACE_RATIO: f64 = 0.01;
/// What an operator adds to what is sent: attributes of the process, and headers of the message.
pub const TRACE_EXTRAS: usize = 64;

// --- Access patterns --------------------------------------------------------------------------------------------------

/// Named queries of one app that are counted, by name; and versions of it, the newest.
pub const QUERIES_COUNTED: usize = 256;
pub const VERSIONS_COUNTED: usize = 2;
/// Runs are counted by their time in microseconds, in powers of two.
pub const QUERY_TIME_BUCKETS: usize = 24;
/// Parameters that are remembered of a query: of so many runs, each of so many bytes; the first runs are all looked at.
pub const QUERY_SAMPLES: usize = 4;
pub const QUERY_SAMPLE_BYTES: usize = 1 << 10;
pub const QUERY_SAMPLED_FIRST: u32 = 64;
/// How often a node tells the origin what it has counted, how often though nothing is new, and how long that may be.
pub const QUERIES_REPORT_EVERY: Duration = Duration::from_secs(5);
pub const QUERIES_REPORT_IDLE: Duration = Duration::from_secs(60);
pub const QUERIES_REPORT_BYTES: usize = 4 << 20;
/// What operators are answered.
pub const QUERIES_SHOWN_BYTES: usize = 64 << 20;
/// Processes of nodes the origin remembers the counts of, of each app; the longest silent goes.
pub const QUERY_PROCESSES: usize = 64;
/// The last hour, in parts.
pub const QUERY_SLOT: Duration = Duration::from_secs(600);
pub const QUERY_SLOTS: usize = 6;
/// Trying indexes: databases of this size at most, for so long, so many a query, so many queries unless one is named, and
/// the operator's wait for all of it.
pub const ADVICE_DATABASE_BYTES: u64 = 16 << 30;
pub const ADVICE_WORK: Duration = Duration::from_secs(300);
pub const ADVICE_INDEXES: usize = 8;
pub const ADVICE_QUERIES: usize = 8;
pub const ADVICE_WAIT: Duration = Duration::from_secs(330);
/// Runs of a query with one set of parameters: so many, or as many as fit the time.
pub const ADVICE_RUNS: usize = 7;
pub const ADVICE_RUNS_TIME: Duration = Duration::from_secs(2);
/// A query that reads fewer pages a run is not looked at unless it is named.
pub const ADVICE_PAGES_LEAST: u64 = 16;

// --- The fleet --------------------------------------------------------------------------------------------------------

/// How often a node tells the origin how it is, give or take a fifth, so that a thousand of them do not come at once.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);
/// and never more often than this, when there is news.
pub const HEARTBEAT_LEAST: Duration = Duration::from_millis(250);
pub const HEARTBEAT_WAIT: Duration = Duration::from_secs(5);
pub const HEARTBEAT_BYTES: usize = 2 << 20;
/// A node that says nothing for so long is silent: four heartbeats.
pub const SILENT_AFTER: Duration = Duration::from_secs(8);
/// A silent node is forgotten after this,
pub const SILENT_FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);
/// and so is the longest silent one when there are more than this.
pub const FLEET_NODES: usize = 128;
/// How long a release may be out before a node that does not serve it is behind.
pub const BEHIND_AFTER: Duration = Duration::from_secs(10);
/// A node's name, place and addresses, and each reason it gives.
pub const NODE_NAME_BYTES: usize = 128;
pub const NODE_WORDS_BYTES: usize = 512;
/// Names of results that are counted apart, of the whole fleet.
pub const FLEET_RESULTS: usize = 128;
/// The last hour of each node, in parts.
pub const FLEET_SLOT: Duration = Duration::from_secs(10);
pub const FLEET_SLOTS: usize = 360;
/// How many of its siblings a node is told of, the nearest first.
pub const SIBLINGS_TOLD: usize = 32;
/// What the origin answers a heartbeat.
pub const SIBLINGS_BYTES: usize = 4 << 20;
/// What it answers about the fleet.
pub const FLEET_REPORT_BYTES: usize = 16 << 20;
/// How often the list of nodes is written down though only what was heard last has changed.
pub const FLEET_NOTED_EVERY: Duration = Duration::from_secs(60);

/// Nodes that try out one candidate.
pub const CANARY_NODES: usize = 64;
/// When one is promoted that nothing is wrong with: after so many requests, and so long; and what an operator may ask for.
pub const CANARY_REQUESTS: u64 = 200;
pub const CANARY_REQUESTS_MOST: u64 = 1_000_000_000;
pub const CANARY_FOR: Duration = Duration::from_secs(300);
pub const CANARY_FOR_MOST: Duration = Duration::from_secs(7 * 24 * 3600);
/// One is halted for its server errors from so many on, out of so many answers at least, when they are so much more of all
/// answers than the rest's are, and so many times as much.
pub const CANARY_ERRORS_LEAST: u64 = 5;
pub const CANARY_ANSWERS_LEAST: u64 = 20;
pub const CANARY_ERRORS_MORE: f64 = 0.01;
pub const CANARY_ERRORS_TIMES: f64 = 2.0;
/// And for being slow when nine of ten pages, of so many at least, take so many times as long as the rest's, and so much longer.
/// Times are counted in powers of two, so what lies close by on both sides of one seems to be twice as long.
pub const CANARY_PAGES_LEAST: u64 = 20;
pub const CANARY_SLOW_TIMES: f64 = 2.5;
pub const CANARY_SLOW_MORE: Duration = Duration::from_millis(25);
/// How often canaries are looked at.
pub const CANARY_LOOK: Duration = Duration::from_millis(500);

/// What operators did: lines that are kept, lines that are shown at once, and how long what was done may be.
pub const ACTIONS_KEPT: usize = 10_000;
pub const ACTIONS_SHOWN: usize = 1_000;
pub const ACTIONS_SHOWN_UNASKED: usize = 50;
pub const ACTION_WHO_BYTES: usize = 64;
pub const ACTION_WORDS_BYTES: usize = 1 << 10;

/// Tokens that are kept, besides the first one; what adding one may take, and for how many days it may be good.
pub const TOKENS: usize = 256;
pub const TOKEN_ADDING_BYTES: usize = 4 << 10;
pub const TOKEN_DAYS_MOST: u64 = 3_650;
/// A file with a token, and how often it is looked at: it may have been exchanged for another.
pub const TOKEN_FILE_BYTES: u64 = 4 << 10;
pub const TOKEN_FILE_EVERY: Duration = Duration::from_secs(1);
/// What nodes know each other by, which the origin makes: how long one lasts, how long the one before is still taken by who has
/// heard of another, and how long who starts waits for the first.
pub const SIBLING_SECRET_LASTS: Duration = Duration::from_secs(3600);
pub const SIBLING_SECRET_GRACE: Duration = Duration::from_secs(10);
pub const SIBLING_SECRET_WAIT: Duration = Duration::from_secs(2);

/// The fleet page: how long who signed in is let in, and a form that is sent to it.
pub const SESSION: Duration = Duration::from_secs(12 * 3600);
pub const FORM_BYTES: usize = 8 << 10;
/// Pages that follow at once, how often they are told what has changed, and silence after which a sign of life is sent.
pub const FLEET_WATCHERS: usize = 32;
pub const FLEET_PAGE_EVERY: Duration = Duration::from_secs(1);
pub const FLEET_PAGE_HEARTBEAT: Duration = Duration::from_secs(15);
/// How often it is looked which queries are slow: it takes plans to be made.
pub const FLEET_QUERIES_EVERY: Duration = Duration::from_secs(15);
/// What of each app is on the page.
pub const FLEET_PAGE_RELEASES: usize = 8;
pub const FLEET_PAGE_DEAD: usize = 10;
pub const FLEET_PAGE_QUERIES: usize = 5;
pub const FLEET_PAGE_ACTIONS: usize = 30;

// --- Shutting down --------------------------------------------------------------------------------------------------

pub const DRAIN: Duration = Duration::from_secs(10);
/// When a new program takes over. Visitors wait meanwhile, so what streams on is cut sooner.
pub const HAND_OVER_DRAIN: Duration = Duration::from_secs(2);
/// A connection that was accepted in the last moment may say its first word.
pub const LAST_WORD: Duration = Duration::from_millis(100);
/// How long a node says that it is leaving before it leaves, at most.
pub const UNREADY_MS_MOST: u64 = 600_000;
/// A new process waits so long for the one before to leave the data folder.
pub const DATA_LOCK_WAIT: Duration = Duration::from_secs(15);
/// What a balancer's agent check is told: made anew so often, and the least share of visitors a node that works asks for.
pub const AGENT_LOOK: Duration = Duration::from_millis(100);
pub const AGENT_PERCENT_LEAST: u32 = 10;
