//! The stacks that guests run on, used by one after another. No guest can read its stack, so they are not cleared.

use std::{
    io,
    ops::Range,
    sync::{Arc, Mutex, Weak},
};

use nearside_protocol::limits;
use wasmtime::{StackCreator, StackMemory};

use super::{kept::PAGE_BYTES, memories::no_room, slot::Slot};

/// Below a stack, never used: who runs over its end is stopped.
const GUARD_BYTES: usize = 16 * PAGE_BYTES;

pub(super) struct Stacks {
    me: Weak<Stacks>,
    waiting: Mutex<Vec<Slot>>,
}

impl Stacks {
    pub(super) fn new() -> Arc<Stacks> {
        Arc::new_cyclic(|me| Stacks { me: me.clone(), waiting: Mutex::default() })
    }

    fn take(&self, bytes: usize) -> Option<Slot> {
        let slot = self.waiting.lock().expect("BUG: nothing panics while holding stacks").pop()?;
        // All stacks of an engine are of one size.
        (slot.reserved_bytes() == bytes).then_some(slot)
    }
}

// SAFETY: a slot belongs to one stack until that is dropped, is page aligned, and what lies before it is never open.
#[allow(unsafe_code)]
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, bytes: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let bytes = bytes.checked_next_multiple_of(PAGE_BYTES).unwrap_or(usize::MAX);
        let waiting = if zeroed { None } else { self.take(bytes) };
        let slot = match waiting {
            Some(slot) => slot,
            None => opened(bytes).map_err(|cause| wasmtime::Error::msg(no_room(&cause)))?,
        };
        Ok(Box::new(Stack { slot: Some(slot), stacks: self.me.clone() }))
    }
}

fn opened(bytes: usize) -> io::Result<Slot> {
    let mut slot = Slot::new(GUARD_BYTES, bytes)?;
    slot.open(bytes)?;
    Ok(slot)
}

struct Stack {
    /// None only while it is dropped.
    slot: Option<Slot>,
    stacks: Weak<Stacks>,
}

impl Stack {
    fn start(&self) -> *mut u8 {
        self.slot.as_ref().expect("BUG: a stack has its slot until it is dropped").start()
    }

    fn bytes(&self) -> usize {
        self.slot.as_ref().map_or(0, Slot::reserved_bytes)
    }
}

// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.start().wrapping_add(self.bytes())
    }

    fn range(&self) -> Range<usize> {
        self.start().addr()..self.top().addr()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.start().wrapping_sub(GUARD_BYTES)..self.start()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let (Some(slot), Some(stacks)) = (self.slot.take(), self.stacks.upgrade()) else { return };
        let mut waiting = stacks.waiting.lock().expect("BUG: nothing panics while holding stacks");
        if waiting.len() < limits::RENDERS_AT_ONCE {
            waiting.push(slot);
            return;
        }
        drop(waiting);
        drop(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::NO_ROOM, *};

    #[test]
    fn a_stack_that_cannot_be_had_is_no_room_as_a_memory_is() {
        let refused = Stacks::new().new_stack(usize::MAX, false).err().unwrap();
        assert_eq!(refused.root_cause().to_string(), NO_ROOM);
    }
}
