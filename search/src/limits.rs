//! Every bound of the index in one place, with its unit in its name.

/// A list row of one page: what a leaf of 4,096 bytes holds beside its own header.
pub const CHUNK_BYTES: usize = 4_040;
/// Terms are written in groups of so many bytes; a row of a table WITHOUT ROWID spills at about 1,000.
pub const GROUP_BYTES: usize = 480;
/// A list up to this size stays with its term.
pub const INLINE_BYTES: usize = 640;
pub const BLOCK_POSTINGS: usize = 128;
pub const CHUNK_BLOCKS: usize = 64;
pub const LIST_CHUNKS: usize = (1 << 14) - 1;
pub const SEGMENT_LISTS: u32 = (1 << 20) - 1;
pub const SEGMENT_IDS: u32 = 1 << 22;
/// Rows that a segment's documents may take.
pub const DOCUMENT_ROWS: u32 = 1 << 20;
/// Segments are small, middling or large, each with two lanes: while those of one are merged, new ones go to the other.
pub const TIERS: u32 = 3;
pub const LANES: u32 = 2 * TIERS;
/// The best postings of a term, kept in the head of its list.
pub const CHAMPIONS: usize = 32;
/// No list is longer than this, whatever its head says.
pub const LIST_POSTINGS: usize = 1 << 28;

pub const COLUMNS: usize = 16;
pub const COLUMN_WEIGHT_MOST: f32 = 1_000.0;
/// What is longer is cut at a character's end, in documents and queries alike.
pub const TERM_BYTES: usize = 128;
pub const DOCUMENT_TOKENS: u32 = 1 << 22;
pub const ROWID_MOST: i64 = u32::MAX as i64 - 1;

/// Documents of one page of the table of documents in memory.
pub const RANGE_DOCUMENTS: usize = 4_096;
/// Ranges of rowids in use: together they bound that table's memory at 20 KiB each.
pub const RANGES: usize = 1 << 14;
/// Bytes of all that the connections of one database remember of its indexes: some 50 million documents. Looked at when an
/// index has been read, which its ranges bound.
pub const MEMORY_BYTES: usize = 256 << 20;
/// Releases for which an index is remembered that is not asked any more.
pub const RELEASES_UNASKED: u32 = 8;
/// Indexes of one database that are remembered for all its connections; of others, each connection remembers for itself.
pub const INDEXES_IN_MEMORY: usize = 256;

pub const QUERY_BYTES: usize = 4 << 10;
pub const QUERY_TERMS: usize = 128;
pub const QUERY_DEPTH: usize = 32;
/// Terms that one prefix may stand for in one segment.
pub const PREFIX_TERMS: usize = 1 << 16;
/// Terms that all prefixes and ranges of a query may stand for in all segments together.
pub const QUERY_SPELLINGS: usize = 1 << 18;
/// Postings of a segment that a query may have gathered out of many short lists at once: as many as an index has documents.
pub const QUERY_GATHERED: usize = RANGES * RANGE_DOCUMENTS;

/// Changed rows waiting for the end of their transaction before they become a change of their own in its middle.
pub const PENDING_DOCUMENTS: i64 = 8_192;
/// What a rebuild gathers in memory before it writes a segment.
pub const BATCH_BYTES: usize = 512 << 20;
/// A row of the log: of one page.
pub const SLOT_BYTES: usize = 4_040;
/// Rows of the log that wait before they become a segment: as many as the index is large, between these two. A node reads
/// them when it begins, and of later releases only what is new.
pub const LOG_SLOTS_LEAST: u32 = 8;
pub const LOG_SLOTS: u32 = 384;
/// Words of an index for each row of its log.
pub const LOG_SLOT_TOKENS: u64 = 3_072;
/// What the log can have when large changes come faster than slices of merges.
pub const LOG_SLOTS_MOST: u32 = 1_024;
/// A change that takes more becomes a segment at once.
pub const RECORD_BYTES: usize = 512 << 10;
/// Documents, terms and postings of a change that is for the log, before it is coded.
pub const RECORD_BATCH_BYTES: usize = 16 << 20;
/// What a change can be in memory, whatever its bytes say.
pub const RECORD_READ_BYTES: usize = 128 << 20;

/// Segments of one tier before they are merged into one of the next.
pub const FANOUT: usize = 16;
/// Segments may tell of so many times the documents there are, and some more, before all of them become one.
pub const TOLD_TIMES: u64 = 3;
pub const TOLD_MORE: u64 = 4_096;
/// Over this, a commit merges until it is under it, whatever that costs.
pub const SEGMENTS: usize = 48;
/// What a commit may write for merges beside its own change, at the least and at the most.
pub const MERGE_BYTES_LEAST: u64 = 24 * 4_096;
pub const MERGE_BYTES_MOST: u64 = 128 * 4_096;
/// What it may write for both, if it does not need more for its own change.
pub const COMMIT_BYTES: u64 = 140 * 4_096;

/// Up to so many documents of a query are found first, and then put in the order of a column.
pub const SORTED_FEW: usize = 1_024;
/// Of a range with more, narrower ones are looked at first.
pub const SORTED_EXPANDED: usize = 4_096;

/// Documents of a query whose values are counted; of more, these stand for all.
pub const FACET_DOCUMENTS: usize = 10_000;
/// Values of a column that are counted each.
pub const FACET_VALUES: usize = 1 << 16;
/// Unknown words of one text that others are looked for, and words that are compared with each, in a segment.
pub const SPELLED_WORDS: usize = 8;
pub const SPELLED_TERMS: usize = 200_000;

pub const SNIPPET_TOKENS_MOST: usize = 256;
