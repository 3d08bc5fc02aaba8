//! The Nearside origin: one write store per app, the commands and tasks that change it, and the releases nodes pull.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | what the operator writes |
//! | `secrets` | the first token, the signing key |
//! | `tokens` | who may ask for what |
//! | [`origin`] | [`Origin`]: all apps, and how they start and stop |
//! | [`site`] | one app: its parts, and what a push does |
//! | `metrics` | what monitoring watches |
//! | `trail`, `api_span` | traced writes, from their requests to the release that carries them |
//! | `gathered`, `trial` | what queries cost at the nodes; which index would help |
//! | `fleet` | the nodes, as their heartbeats tell |
//! | [`canary`] | a candidate that some nodes try out, and what is made of how they fare |
//! | `operate`, `actions` | what operators do, and the log of it |
//! | `page` | the fleet page |
//! | [`backup`], [`restore`] | the data folder's copy, and its return in a new epoch |
//! | `api`, `api_error`, [`body`], `render` | the HTTP interface |
//! | [`check`], [`rehearsal`] | what is wrong with an app, found before it is installed |
//! | **writing** | |
//! | [`store`] | the write store's file and reserved tables |
//! | [`writer`], `job`, `group`, `entry`, `kept` | the thread that owns it: jobs in, one commit for all that queued; statements that stay prepared |
//! | [`command`], `dedupe`, `deferred` | a command's component in its transaction, exactly once; what nodes had to defer |
//! | [`install`], [`migrate`], `script` | an app version taking over; SQL files |
//! | [`change_log`] | which mirrored rows each commit touched |
//! | [`merge`], [`keyed`] | data pushed from outside, row by row |
//! | [`seed`] | rows from an SQL file, in development and tests |
//! | `tasks`, [`task_runner`], [`task_guest`], `task_diary` | work after the answer |
//! | **releases** | |
//! | `app_version`, `app_secrets` | an app's archive with the operator's variables and secrets |
//! | `read_database`, `carry` | mirrored rows and what `snapshot.sql` derives from them |
//! | `wal`, `moved` | which of its pages moved, told from its write-ahead log |
//! | `projector`, `trim` | the thread that follows every commit; how far the change log is needed |
//! | [`compare`], [`recipe`], [`audit`] | whether that ends where making it anew does: two databases, random histories, every night |
//! | [`publisher`], `pace`, [`hold`] | the thread that makes releases, when, and when not |
//! | [`host_names`] | which app answers for which host |
//! | `state_file` | what an app is at, in small files |
//! | [`out`] | which releases are out, and for whom |
//! | [`press`], [`encode`] | how one is made: pages, objects, record, manifest |
//! | [`pushed_file`], `snapshot` | a database that is simply the file that was pushed |
//! | [`bucket`], [`objects`], `made` | where nodes find them: a folder or S3; the app's part; what is made for who asks |
//! | [`blobs`] | what visitors sent |

mod actions;
mod api;
mod api_error;
mod api_span;
mod app_secrets;
pub mod app_version;
pub mod audit;
pub mod backup;
pub mod blobs;
pub mod body;
pub mod bucket;
pub mod canary;
mod carry;
pub mod change_log;
pub mod check;
pub mod command;
pub mod compare;
pub mod config;
mod dedupe;
mod deferred;
pub mod encode;
mod entry;
mod fleet;
mod gathered;
mod group;
pub mod hold;
pub mod host_names;
pub mod install;
mod job;
mod kept;
pub mod keyed;
mod made;
pub mod merge;
mod metrics;
pub mod migrate;
pub mod moved;
pub mod objects;
mod operate;
pub mod origin;
pub mod out;
mod pace;
mod page;
pub mod press;
pub mod projector;
pub mod publisher;
pub mod pushed_file;
pub mod read_database;
pub mod recipe;
pub mod rehearsal;
mod render;
pub mod restore;
pub mod script;
pub mod secrets;
pub mod seed;
pub mod site;
pub mod snapshot;
mod stage;
mod state_file;
pub mod store;
mod task_diary;
pub mod task_guest;
pub mod task_runner;
mod task_threads;
mod tasks;
mod tokens;
mod trail;
mod trial;
mod trim;
pub mod vouchers;
pub mod wal;
pub mod writer;

pub use origin::{Origin, OriginError};
