//! Memory that SQLite does not get
//!
//! SQLite asks the program for memory through a table of C functions. This one hands on to the system, and at one chosen
//! call says that there is none. It must be in place before SQLite is used for the first time in a process.

// The functions are called by C with raw memory. What they hand out is the system's own, with its length in front.
#![allow(unsafe_code)]

use rusqlite::ffi;
use std::alloc::{Layout, alloc, dealloc, realloc};
use std::cell::Cell;
use std::ffi::{c_int, c_void};

/// Bytes in front of each piece, in which its length stands; they keep the alignment that C expects.
const FRONT: usize = 16;

thread_local! {
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    static FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Lets the call after this many fail, once, on this thread; None lets all succeed.
pub fn fail_after(calls: Option<u64>) {
    LEFT.set(calls);
    if calls.is_some() {
        FAILED.set(false);
    }
}

/// Whether a call has failed since that was asked for.
pub fn has_failed() -> bool {
    FAILED.get()
}

/// Puts the table in its place; false if SQLite was used before.
pub fn install() -> bool {
    let methods = ffi::sqlite3_mem_methods {
        xMalloc: Some(take),
        xFree: Some(give_back),
        xRealloc: Some(resize),
        xSize: Some(size),
        xRoundup: Some(round_up),
        xInit: Some(begin),
        xShutdown: Some(end),
        pAppData: std::ptr::null_mut(),
    };
    let table = Box::leak(Box::new(methods));
    // SAFETY: the table is leaked; SQLite refuses the call once it has begun. Without lookaside every wish comes to us.
    unsafe {
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, std::ptr::from_mut(table)) == ffi::SQLITE_OK
            && ffi::sqlite3_config(ffi::SQLITE_CONFIG_LOOKASIDE, 0 as c_int, 0 as c_int)
                == ffi::SQLITE_OK
    }
}

fn is_refused() -> bool {
    let left = LEFT.get();
    LEFT.set(left.and_then(|left| left.checked_sub(1)));
    let refused = left == Some(0);
    if refused {
        FAILED.set(true);
    }
    refused
}

fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.checked_add(FRONT)?, FRONT).ok()
}

/// # Safety
/// `start` is null or what `alloc` gave for `bytes` and the front.
unsafe fn with_length(start: *mut u8, bytes: usize) -> *mut c_void {
    if start.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: the front has room for a length.
    unsafe {
        start.cast::<usize>().write(bytes);
        start.add(FRONT).cast()
    }
}

/// # Safety
/// `piece` came from `take` or `resize`.
unsafe fn length(piece: *mut c_void) -> usize {
    // SAFETY: its length stands in front of it.
    unsafe { piece.cast::<u8>().sub(FRONT).cast::<usize>().read() }
}

unsafe extern "C" fn take(bytes: c_int) -> *mut c_void {
    let bytes = bytes as usize;
    match layout(bytes) {
        // SAFETY: the layout has a size above 0.
        Some(layout) if !is_refused() => unsafe { with_length(alloc(layout), bytes) },
        _ => std::ptr::null_mut(),
    }
}

unsafe extern "C" fn give_back(piece: *mut c_void) {
    if piece.is_null() {
        return;
    }
    // SAFETY: SQLite gives back what it was given, once.
    unsafe {
        if let Some(layout) = layout(length(piece)) {
            dealloc(piece.cast::<u8>().sub(FRONT), layout);
        }
    }
}

unsafe extern "C" fn resize(piece: *mut c_void, bytes: c_int) -> *mut c_void {
    let bytes = bytes as usize;
    // SAFETY: SQLite resizes what it was given; what is refused stays as it was.
    unsafe {
        match (layout(length(piece)), layout(bytes)) {
            (Some(old), Some(new)) if !is_refused() => {
                with_length(realloc(piece.cast::<u8>().sub(FRONT), old, new.size()), bytes)
            }
            _ => std::ptr::null_mut(),
        }
    }
}

unsafe extern "C" fn size(piece: *mut c_void) -> c_int {
    // SAFETY: as above; SQLite does not ask for null.
    unsafe { length(piece) as c_int }
}

unsafe extern "C" fn round_up(bytes: c_int) -> c_int {
    (bytes + 7) & !7
}

unsafe extern "C" fn begin(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn end(_: *mut c_void) {}
