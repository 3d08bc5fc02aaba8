//! A Nearside node, as a library: [`host::Host`] and what a request meets on its way through it.
//!
//! | module | what it holds |
//! |---|---|
//! | **a request** | |
//! | [`serve`], `stall`, [`admin`] | sockets, for visitors and for the operator |
//! | [`handler`] | the life of a request, top to bottom |
//! | `way`, [`target`], [`inputs`], [`accept`] | which app and route; what the handler sees, and the key made of it |
//! | [`cache`], [`policy`], [`freshness`] | stored responses; what may be stored; whose own writes must show |
//! | [`render`], `fragment`, [`reply`], [`refusal`] | making a response, sending it, refusing to |
//! | **a guest** | |
//! | [`engine`], [`guest`], [`senses`], [`budget`] | WebAssembly, one instance's bounds, what time looks like to it |
//! | [`bindings`], [`visit`], [`writes`], [`upstream`], [`outbound`] | what it can call |
//! | [`sql`], [`database`], [`schemas`] | SQL under limits, snapshots, payloads |
//! | **a release** | |
//! | [`release`], [`code`], [`archive`], [`static_files`] | an app version on a snapshot, loaded |
//! | [`follow`], [`origin_client`] | hearing of releases and pulling them |
//! | [`replica`], [`disk`] | the node's own disk |
//! | **what is told** | |
//! | [`speaker`], `log`, `missed` | what is told of a guest, what it prints, which inputs it looked for in vain |
//! | [`logbook`], [`logs`] | the last things logged, to be asked for and followed |

pub mod accept;
pub mod admin;
pub mod archive;
pub mod bindings;
pub mod budget;
pub mod cache;
pub mod code;
pub mod database;
pub mod disk;
pub mod engine;
pub mod follow;
mod fragment;
pub mod freshness;
pub mod guest;
pub mod handler;
pub mod host;
pub mod inputs;
mod log;
pub mod logbook;
pub mod logs;
mod missed;
pub mod origin_client;
pub mod outbound;
pub mod policy;
pub mod refusal;
pub mod release;
pub mod render;
pub mod replica;
pub mod reply;
pub mod schemas;
pub mod senses;
pub mod serve;
pub mod speaker;
pub mod sql;
mod stall;
pub mod static_files;
pub mod target;
pub mod trace;
pub mod upstream;
pub mod visit;
mod way;
pub mod writes;
