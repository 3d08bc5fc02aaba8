//! What every guest of a component begins with, before it has done anything: refused where it is loaded - at a push already - and
//! not in front of each visitor.

use nearside_protocol::limits;
use wasmtime::component::Component;

/// More than any guest may have.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("it begins with {has} {what}; a guest may have {most}")]
pub struct TooMuch {
    what: &'static str,
    has: u64,
    most: u64,
}

const WASM_PAGE_BYTES: u64 = 64 << 10;
const MEMORY_PAGES_MOST: u64 = (limits::GUEST_MEMORY_MIB_MOST << 20) / WASM_PAGE_BYTES;

pub(super) fn within_bounds(component: &Component) -> Result<(), TooMuch> {
    // None where it imports core modules, which nothing here gives it.
    let Some(needs) = component.resources_required() else { return Ok(()) };
    let bounds = [
        ("memories", needs.num_memories.into(), limits::GUEST_MEMORIES as u64),
        ("pages of memory", needs.max_initial_memory_size.unwrap_or_default(), MEMORY_PAGES_MOST),
        ("tables", needs.num_tables.into(), limits::GUEST_TABLES as u64),
        ("elements of a table", needs.max_initial_table_size.unwrap_or_default(), limits::GUEST_TABLE_ELEMENTS as u64),
    ];
    let too_much = bounds.into_iter().find(|(_, has, most)| has > most);
    too_much.map_or(Ok(()), |(what, has, most)| Err(TooMuch { what, has, most }))
}

#[cfg(test)]
mod tests {
    use super::{super::light, *};

    fn refused(module: &str, instances: usize) -> Option<String> {
        let engine = wasmtime::Engine::new(&light()).unwrap();
        let instances = "(core instance (instantiate $m))".repeat(instances);
        let text = format!("(component (core module $m {module}) {instances})");
        let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        within_bounds(&component).err().map(|too_much| too_much.to_string())
    }

    #[test]
    fn what_no_guest_may_have_is_refused_by_name() {
        assert_eq!(refused("(memory 4096) (memory 1) (table 100000 funcref)", 1), None);
        for (module, instances, told) in [
            ("(memory 1)", 3, "it begins with 3 memories; a guest may have 2"),
            ("(memory 4097)", 1, "it begins with 4097 pages of memory; a guest may have 4096"),
            ("(table 100001 funcref)", 1, "it begins with 100001 elements of a table; a guest may have 100000"),
            ("(table 1 funcref)", 257, "it begins with 257 tables; a guest may have 256"),
        ] {
            assert_eq!(refused(module, instances).as_deref(), Some(told));
        }
    }
}
