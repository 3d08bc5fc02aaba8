//! The allocator of a guest: a pointer that moves on, and everything is given back when the instance goes.
//!
//! An instance serves one request, so looking for free space costs more than it saves. The first block is part of
//! the module's own memory: a page that fits in it never asks the host to grow. Only the newest allocation can be
//! resized or given back in place, which is what a growing `String` needs; and when nothing is left allocated, as
//! between the requests of a reused instance, the pointer returns to the start.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, UnsafeCell};
use core::ptr::null_mut;

/// Rendering a page of some 20 KB stays inside it, and it ends, with all that lies behind it, inside what a host clears.
const FIRST_BLOCK_BYTES: usize = 96 * 1024;

/// What is asked of the host at least, once the first block is full.
const NEXT_BLOCK_BYTES: usize = 1024 * 1024;

/// `memory.grow` counts in these.
const WASM_PAGE_BYTES: usize = 64 * 1024;

/// The global allocator that `handler!`, `command!` and `task!` install.
///
/// In this order: a host clears the beginning of an instance's memory for the next one, and what is written beyond that costs it
/// pages given back and taken again. Behind the block, these four alone would be such a page for every request.
#[repr(C)]
pub struct Arena {
    /// The block in use, as addresses; all zero before the first allocation.
    start: Cell<usize>,
    next: Cell<usize>,
    end: Cell<usize>,
    live: Cell<usize>,
    first: UnsafeCell<[u8; FIRST_BLOCK_BYTES]>,
}

// SAFETY: a wasm32-wasip2 guest has one thread; the macros install the arena on no other target.
unsafe impl Sync for Arena {}

impl Arena {
    /// An arena that has handed out nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            start: Cell::new(0),
            next: Cell::new(0),
            end: Cell::new(0),
            live: Cell::new(0),
            first: UnsafeCell::new([0; FIRST_BLOCK_BYTES]),
        }
    }

    /// Makes room for `bytes` more, in a block of its own or at the end of the present one.
    #[cold]
    fn grow(&self, bytes: usize) -> bool {
        if self.end.get() == 0 {
            let first = self.first.get() as usize;
            self.start.set(first);
            self.next.set(first);
            self.end.set(first + FIRST_BLOCK_BYTES);
            return true;
        }
        let Some(wanted) = bytes.max(NEXT_BLOCK_BYTES).checked_add(WASM_PAGE_BYTES - 1) else { return false };
        let pages = wanted / WASM_PAGE_BYTES;
        let Some(block) = grow_memory(pages) else { return false };
        if block != self.end.get() {
            self.start.set(block);
            self.next.set(block);
        }
        self.end.set(block + pages * WASM_PAGE_BYTES);
        true
    }

    /// Whether the present block goes as far as `after`; if not, more memory may come right behind it.
    fn reaches(&self, after: usize) -> bool {
        let (start, end) = (self.start.get(), self.end.get());
        after <= end || (self.grow(after - end) && self.start.get() == start)
    }

    fn is_newest(&self, pointer: *mut u8, size: usize) -> bool {
        pointer as usize + size == self.next.get()
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: blocks lie inside the first block or memory fresh from `memory.grow`, which nobody else uses, and `next`
// only moves back over an allocation that was given back; so no two live allocations overlap.
unsafe impl GlobalAlloc for Arena {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        loop {
            let at = self.next.get().next_multiple_of(layout.align());
            if let Some(after) = at.checked_add(layout.size())
                && after <= self.end.get()
                && at != 0
            {
                self.next.set(after);
                self.live.set(self.live.get() + 1);
                return at as *mut u8;
            }
            let Some(bytes) = layout.size().checked_add(layout.align()) else { return null_mut() };
            if !self.grow(bytes) {
                return null_mut();
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let live = self.live.get() - 1;
        self.live.set(live);
        if live == 0 {
            self.next.set(self.start.get());
        } else if self.is_newest(pointer, layout.size()) {
            self.next.set(pointer as usize);
        }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if self.is_newest(pointer, layout.size())
            && let Some(after) = (pointer as usize).checked_add(new_size)
            && self.reaches(after)
        {
            self.next.set(after);
            return pointer;
        }
        if new_size <= layout.size() {
            return pointer;
        }
        // SAFETY: the caller vouches that `new_size`, rounded up to the alignment, does not overflow.
        let fresh = unsafe { self.alloc(Layout::from_size_align_unchecked(new_size, layout.align())) };
        if !fresh.is_null() {
            // SAFETY: the old allocation is live and `fresh` is new, so they do not overlap; both hold `size` bytes.
            unsafe {
                core::ptr::copy_nonoverlapping(pointer, fresh, layout.size());
                self.dealloc(pointer, layout);
            }
        }
        fresh
    }
}

/// The address of `pages` new wasm pages, or none when the host refuses.
#[cfg(target_arch = "wasm32")]
fn grow_memory(pages: usize) -> Option<usize> {
    let before = core::arch::wasm32::memory_grow::<0>(pages);
    (before != usize::MAX).then_some(before * WASM_PAGE_BYTES)
}

#[cfg(not(target_arch = "wasm32"))]
fn grow_memory(_pages: usize) -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn the_newest_allocation_grows_in_place_and_an_older_one_moves() {
        let arena = Box::new(Arena::new());
        // SAFETY: each pointer comes from this arena with the layout given back.
        unsafe {
            let old = arena.alloc(layout(16));
            old.write(7);
            let new = arena.alloc(layout(16));
            assert_eq!(arena.realloc(new, layout(16), 64), new);
            let moved = arena.realloc(old, layout(16), 32);
            assert_ne!(moved, old);
            assert_eq!(moved.read(), 7);
        }
    }

    #[test]
    fn an_empty_arena_starts_over() {
        let arena = Box::new(Arena::new());
        // SAFETY: as above.
        unsafe {
            let first = arena.alloc(layout(16));
            let second = arena.alloc(layout(16));
            arena.dealloc(first, layout(16));
            arena.dealloc(second, layout(16));
            assert_eq!(arena.alloc(layout(16)), first);
        }
    }

    #[test]
    fn alignment_is_kept_and_a_full_arena_says_so() {
        let arena = Box::new(Arena::new());
        // SAFETY: as above.
        unsafe {
            arena.alloc(Layout::from_size_align(1, 1).unwrap());
            let aligned = arena.alloc(Layout::from_size_align(8, 64).unwrap());
            assert_eq!(aligned as usize % 64, 0);
            assert!(arena.alloc(layout(FIRST_BLOCK_BYTES)).is_null());
        }
    }
}
