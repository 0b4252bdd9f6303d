//! Memory for static binaries, by the C library's two plainest functions. With its others, which
//! make blocks longer in place, align them far or have them empty, musl costs a router twice as
//! many bytes, and a server that grows a list now and then gains nothing by them.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;

#[global_allocator]
static MEMORY: Memory = Memory;

struct Memory;

// SAFETY: malloc(3) gives blocks of at least that many bytes, which nobody else has until they are
// given back, aligned for every type of C; for what has to be aligned farther there is none.
unsafe impl GlobalAlloc for Memory {
    // SAFETY: nothing is demanded of whoever calls it.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGN_MAX {
            return ptr::null_mut();
        }
        // SAFETY: takes a number.
        unsafe { libc::malloc(layout.size()).cast() }
    }

    // SAFETY: what is demanded is that the block comes from `alloc`.
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: whoever calls this has it from `alloc`, which has it from malloc(3).
        unsafe { libc::free(block.cast()) };
    }
}

/// musl aligns every block so far.
const ALIGN_MAX: usize = 16;
