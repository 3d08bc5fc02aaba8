//! Benchmarks of Nearside beside its peers and its limits.
//!
//! A bench is a list of cases, a case a list of contenders: server processes that answer the same requests. They run
//! alternately in one run ([`run`]), each round closed-loop for the peak ([`load`]) and then open-loop at a fixed
//! arrival rate for the latency, with the server's CPU time beside both ([`cpu`]). What was measured becomes a
//! [`report`], and the report becomes a [`table`] and a [`chart`], whose [`columns`] depend on the kind of case.
//!
//! Some benches measure other things than contenders under load: how a change of a large database travels
//! (`benches/snapshots`), what visitors notice of one that changes all the time (`benches/pushes.rs`), what a change
//! leaves of the cache (`benches/carried.rs`), what a flood of other requests does (`benches/flood.rs`), a crowd that
//! asks for one page (`benches/crowd.rs`), many nodes in regions ([`line`], `benches/fleet`), tasks that wait in the
//! store (`benches/tasks.rs`), what cores cost each other ([`kernel_counts`], `benches/scaling.rs`), one site in three
//! ways under rising load (`benches/story`), and search indexes as libraries ([`library`], `benches/index.rs`).

pub mod args;
pub mod benches;
pub mod catalogue;
pub mod chart;
pub mod columns;
pub mod connection;
pub mod contender;
pub mod cores;
pub mod cpu;
pub mod curves;
pub mod documents;
pub mod hot;
pub mod kernel_counts;
pub mod library;
pub mod limits;
pub mod line;
pub mod load;
pub mod machine;
pub mod many;
pub mod nearside;
pub mod nginx;
pub mod one_off;
pub mod origin;
pub mod page_files;
pub mod peer_cache;
pub mod percentile;
pub mod ports;
pub mod process;
pub mod queries;
pub mod quota;
pub mod random;
pub mod receiver;
pub mod report;
pub mod request;
pub mod resident;
pub mod response;
pub mod run;
pub mod runtime;
pub mod serve;
pub mod steps;
pub mod sweep;
pub mod table;
pub mod targets;
pub mod told;
pub mod topics;
pub mod value;
pub mod varnish;
