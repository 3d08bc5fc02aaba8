//! The memories of guests: a slot for each, and slots that have been cleared for those who come next.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use nearside_protocol::limits;
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use super::slot::Slot;

/// Why there is none. Known by these words, for wasmtime takes nothing else.
pub(crate) const NO_ROOM: &str = "there is no room for another memory just now";

/// What memories need is not the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    /// Open at first.
    first_bytes: usize,
    /// To grow into.
    reserved_bytes: usize,
    /// Never to be used, before and behind.
    guard_bytes: usize,
}

pub(super) struct Memories {
    me: Weak<Memories>,
    waiting: Mutex<Waiting>,
    in_use: AtomicUsize,
}

/// Slots that wait, by shape: one that had a guest of the same size is as the next one needs it, and knows what that writes.
#[derive(Default)]
struct Waiting {
    slots: BTreeMap<Shape, Vec<Slot>>,
    count: usize,
}

impl Memories {
    pub(super) fn new() -> Arc<Memories> {
        Arc::new_cyclic(|me| Memories { me: me.clone(), waiting: Mutex::default(), in_use: AtomicUsize::new(0) })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("BUG: nothing panics while holding slots")
    }
}

impl Waiting {
    /// The latest first: it is the warmest.
    fn take(&mut self, shape: &Shape) -> Option<Slot> {
        let slots = self.slots.get_mut(shape)?;
        let slot = slots.pop()?;
        if slots.is_empty() {
            self.slots.remove(shape);
        }
        self.count -= 1;
        Some(slot)
    }

    /// Gives what is too much: one of the shape of which most wait.
    fn put(&mut self, shape: Shape, slot: Slot) -> Option<Slot> {
        self.slots.entry(shape).or_default().push(slot);
        self.count += 1;
        if self.count <= limits::RENDERS_AT_ONCE {
            return None;
        }
        let most = *self.slots.iter().max_by_key(|(_, slots)| slots.len()).map(|(shape, _)| shape)?;
        self.take(&most)
    }
}

// SAFETY: a slot is zero when it is given to a guest, belongs to nobody else until its `Memory` is dropped, never moves, and can
// be used only as far as it is open; what is asked for as guard lies before and behind it, and is never open.
#[allow(unsafe_code)]
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _: MemoryType,
        bytes: usize,
        _: Option<usize>,
        reserved_bytes: Option<usize>,
        guard_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if bytes > MEMORY_BYTES_MOST {
            return Err(NO_ROOM.to_owned());
        }
        let place = InUse::new(self.me.upgrade().ok_or(NO_ROOM)?).ok_or(NO_ROOM)?;
        let reserved_bytes = reserved_bytes.unwrap_or(bytes).max(bytes);
        let shape = Shape { first_bytes: bytes, reserved_bytes, guard_bytes };
        let waiting = self.waiting().take(&shape);
        let slot = match waiting {
            Some(slot) => Ok(slot),
            None => Slot::new(guard_bytes, reserved_bytes),
        };
        let mut slot = slot.map_err(|cause| no_room(&cause))?;
        slot.open(bytes).map_err(|cause| no_room(&cause))?;
        Ok(Box::new(Memory { slot: Some(slot), bytes, shape, place }))
    }
}

/// Whatever a guest's own bounds say.
const MEMORY_BYTES_MOST: usize = (limits::GUEST_MEMORY_MIB_MOST as usize) << 20;

pub(super) fn no_room(cause: &std::io::Error) -> String {
    tracing::warn!(%cause, "a guest gets no memory");
    NO_ROOM.to_owned()
}

/// One of so many memories.
struct InUse(Arc<Memories>);

impl InUse {
    fn new(memories: Arc<Memories>) -> Option<InUse> {
        let before = memories.in_use.fetch_add(1, Ordering::Relaxed);
        let place = InUse(memories);
        (before < limits::GUEST_MEMORIES_AT_ONCE).then_some(place)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A guest's, until it goes.
struct Memory {
    /// None only while it is dropped.
    slot: Option<Slot>,
    bytes: usize,
    shape: Shape,
    place: InUse,
}

impl Memory {
    fn slot(&self) -> &Slot {
        self.slot.as_ref().expect("BUG: a memory has its slot until it is dropped")
    }
}

// SAFETY: as above. It grows in place or not at all.
#[allow(unsafe_code)]
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.bytes
    }

    fn byte_capacity(&self) -> usize {
        self.slot().reserved_bytes()
    }

    fn grow_to(&mut self, bytes: usize) -> wasmtime::Result<()> {
        if bytes > MEMORY_BYTES_MOST {
            return Err(wasmtime::Error::msg(NO_ROOM));
        }
        let slot = self.slot.as_mut().expect("BUG: a memory has its slot until it is dropped");
        slot.open(bytes)?;
        self.bytes = bytes;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.slot().start()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let Some(mut slot) = self.slot.take() else { return };
        if let Err(cause) = slot.clear() {
            tracing::warn!(%cause, "a guest's memory is not used again");
            return;
        }
        let put_out = self.place.0.waiting().put(self.shape, slot);
        // It is unmapped when nobody waits for the lock any more.
        drop(put_out);
    }
}
