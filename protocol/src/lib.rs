//! What Nearside's nodes and origin say to each other: formats, ids and limits. No I/O happens here.
//!
//! | module | what it holds |
//! |---|---|
//! | [`app`] | `nearside.toml`, parsed into a type that cannot be wrong |
//! | [`route`] | what a route declares: pattern, methods, inputs, limits |
//! | [`class`] | what kind of work a request is, and what gives way first
//! | [`cors`], [`redirect`], [`error_pages`] | what the host answers by itself, as the manifest says |
//! | [`queries`] | `queries.sql`, split into named statements |
//! | [`release`] | release numbers and the signed manifest |
//! | [`page_object`] | snapshots as they will travel: bases and deltas, as `SNAPSHOT.md` has them; nothing sends them yet |
//! | [`digest`] | BLAKE3 digests and the page tree |
//! | [`heads`] | which releases are the newest, asked with a nonce and signed |
//! | [`canary`] | a release that some nodes try out before all take it |
//! | [`key`] | ed25519 keys and their ids |
//! | [`trust`] | roles of keys, and why something signed is not believed |
//! | [`voucher`] | who vouches for an app's code |
//! | [`schedule`] | when something is due again and again |
//! | [`secrets`] | what only the operator and the app's components know |
//! | [`write`] | commands, receipts, outcomes |
//! | [`wire`] | the origin's HTTP interface: paths, headers, bodies |
//! | [`watermark`] | which commits a store has, and which a backup |
//! | [`status`] | what nodes and origin report about themselves |
//! | [`task_report`] | what the origin reports about an app's tasks |
//! | [`query_report`] | what named queries cost at nodes, and indexes that would help |
//! | [`times`] | how long things took, counted in buckets |
//! | [`heartbeat`], [`fleet`] | what a node tells of itself all the time; what the origin makes of that |
//! | [`hand_over`] | a page that one node has another make |
//! | [`action`] | what operators did |
//! | [`token`] | who may ask the origin for what |
//! | [`cache_report`] | what a node reports about its stored responses |
//! | [`problem`] | RFC 9457 problem details |
//! | [`words`] | numbers and times as a person reads them |
//! | [`limits`] | every bound, with its unit |
//! | [`trace_context`] | which trace something belongs to, as W3C writes it |
//! | [`unix_time`] | the time of day, as files and messages have it |

pub mod action;
pub mod app;
pub mod cache_report;
pub mod canary;
pub mod class;
pub mod cors;
pub mod digest;
pub mod error_pages;
pub mod fleet;
pub mod hand_over;
pub mod heads;
pub mod heartbeat;
pub mod key;
pub mod limits;
pub mod page_object;
pub mod problem;
pub mod queries;
pub mod query_report;
pub mod redirect;
pub mod release;
pub mod route;
pub mod schedule;
pub mod secrets;
pub mod status;
pub mod task_report;
pub mod times;
pub mod token;
pub mod trace_context;
pub mod trust;
pub mod unix_time;
pub mod voucher;
pub mod watermark;
pub mod wire;
pub mod words;
pub mod write;
