//! A Nearside node, as a library: [`host::Host`] and what a request meets on its way through it.
//!
//! | module | what it holds |
//! |---|---|
//! | **a request** | |
//! | [`serve`], [`admin`] | sockets, for visitors and for the operator |
//! | `greeting`, `stall`, `activity`, `quiet`, `seats` | which connections are not waited for any more; how many one client has |
//! | [`door`], [`certificates`], [`tls`], [`redirect`] | encrypted sockets: what is shown for which name; whom a client believes |
//! | [`client_authorities`], [`client_certificate`] | certificates of clients: asked for, and shown to an origin that asks |
//! | [`credential`], [`gate`], [`sibling_keys`] | tokens that are shown; whom the operator's listener answers; by what nodes know each other |
//! | [`agent`], [`leaving`] | what a balancer in front is told |
//! | [`handler`], `at_once`, `request_body` | the life of a request, top to bottom; its short way; what it carries |
//! | `way`, [`target`], [`inputs`], [`accept`] | which app and route; what the handler sees, and the key made of it |
//! | [`conditional`], [`encoding`], `cors` | what a client has already or wants a part of; how it takes it; other sites |
//! | [`evidence`], [`past`], `again` | what a response was computed from; whether it stands on a later release |
//! | `carry`, `ahead`, `credit`, `stale` | what is made for a release before it is served, and may cost; what may be shown until it is made |
//! | [`cache`], [`forms`], [`policy`], [`freshness`] | stored responses; compressed; what may be stored; whose own writes must show |
//! | [`cache_status`] | what the cache did, and why |
//! | [`render`], `fragment`, [`reply`], `reply_body` | making a response, and sending it |
//! | [`refusal`], `error_page`, `error_files`, `plain_page` | refusing to, and how that looks |
//! | [`outbox`], [`running_keys`] | writes taken while the origin is away, or did not answer; keys being worked on |
//! | [`working_clock`] | how long that is remembered |
//! | [`queue`], `clients`, [`shed`], [`pause`] | who may render now; what single clients ask for; telling those who may not, and a pause after it |
//! | [`hand_over`], `leading` | renders there is no place for, made by a sibling; a leader's page, made at either |
//! | [`blobs`], `least_recent`, [`file_pieces`], [`media_type`] | what visitors sent, and what may be shown of it |
//! | **a guest** | |
//! | [`engine`], [`guest`], [`senses`], [`budget`] | WebAssembly, one instance's bounds, what time looks like to it |
//! | [`bindings`], [`visit`], [`writes`], [`upstream`] | what it can call |
//! | [`outbound`], `connect_wait`, `between_bytes` | requests it sends elsewhere, and how long it waits |
//! | [`sql`], [`database`], [`schemas`] | SQL under limits, snapshots, payloads |
//! | **a release** | |
//! | [`release`], [`code`], [`archive`] | an app version on a snapshot, loaded |
//! | [`static_files`], `encoded` | its files, and their compressed forms |
//! | [`follow`], [`pull`], [`switch`], [`plans`] | hearing of releases, pulling them, and serving them |
//! | [`beside`], [`priority`] | threads for what no visitor waits for; how the scheduler is to see each kind of thread |
//! | [`origin_client`], `throttle`, `in_vain`, [`peer`], `deltas` | asking the origin and siblings, and when not; being asked by them |
//! | [`verified`], [`refusals`] | by how much a release may be behind; what was not taken, and why |
//! | [`repair`], [`scrub`] | damaged pages made whole; looking for them |
//! | [`replica`], [`trusted`], [`disk`] | the node's own disk; whose signatures count; how it is written |
//! | **what is told** | |
//! | [`speaker`], `log`, `missed` | what is told of a guest, what it prints, which inputs it looked for in vain |
//! | `inspect` | what is kept in the cache, why, and taking it away |
//! | [`logbook`], [`logs`] | the last things logged, to be asked for and followed |
//! | [`counters`], [`counts`] | what becomes of requests; what they lead to, and what each named query costs |
//! | [`in_fleet`], `heartbeat` | what the origin is told of this node all the time, and tells it of its siblings |
//! | [`spans`], `visitor_span`, `shown` | what a sampled request led to, step by step, sent to a collector |
//! | `metrics`, [`trace`] | counts as Prometheus reads them; which request an answer and its log lines belong to |

pub mod accept;
mod activity;
pub mod admin;
mod again;
pub mod agent;
mod ahead;
pub mod archive;
mod at_once;
pub mod beside;
mod between_bytes;
pub mod bindings;
pub mod blobs;
pub mod budget;
pub mod cache;
pub mod cache_status;
pub mod carry;
pub mod certificates;
pub mod client_authorities;
pub mod client_certificate;
mod clients;
pub mod code;
pub mod conditional;
mod connect_wait;
mod cors;
pub mod counters;
pub mod counts;
pub mod credential;
mod credit;
pub mod database;
mod deltas;
pub mod disk;
pub mod door;
mod encoded;
pub mod encoding;
pub mod engine;
mod error_files;
mod error_page;
pub mod evidence;
pub mod file_pieces;
pub mod follow;
pub mod forms;
mod fragment;
pub mod freshness;
pub mod gate;
mod greeting;
pub mod guest;
pub mod hand_over;
pub mod handler;
mod head_timer;
mod heartbeat;
pub mod host;
pub mod in_fleet;
mod in_vain;
pub mod inputs;
mod inspect;
mod lag;
mod leading;
mod least_recent;
pub mod leaving;
mod log;
pub mod logbook;
pub mod logs;
mod making;
pub mod media_type;
mod metrics;
mod missed;
pub mod origin_client;
pub mod outbound;
pub mod outbox;
mod own_cpu;
pub mod pages;
pub mod past;
pub mod pause;
pub mod peer;
mod plain_page;
pub mod plans;
pub mod policy;
pub mod priority;
pub mod pull;
pub mod queue;
mod quick;
mod quiet;
pub mod redirect;
pub mod refusal;
pub mod refusals;
pub mod release;
pub mod render;
pub mod repair;
pub mod replica;
pub mod reply;
mod reply_body;
mod request_body;
mod reuse;
mod rows;
pub mod running_keys;
pub mod schemas;
pub mod scrub;
mod seats;
pub mod senses;
pub mod serve;
pub mod served;
pub mod shed;
mod shown;
pub mod sibling_keys;
pub mod spans;
pub mod speaker;
pub mod sql;
mod stale;
mod stall;
pub mod static_files;
pub mod switch;
pub mod target;
mod thread_cpu;
mod throttle;
pub mod tls;
pub mod trace;
pub mod trusted;
pub mod upstream;
pub mod verified;
pub mod visit;
mod visitor_span;
mod way;
pub mod working_clock;
pub mod writes;
