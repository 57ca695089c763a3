//! SQLite's preupdate hook, by its raw calls
//!
//! The binding's own feature for this hook generates its declarations at build
//! time and needs libclang for it. The shipped declarations have the calls too,
//! and the compile flag alone switches them on (.cargo/config.toml).
#![allow(unsafe_code)]

use crate::value::Value;
use rusqlite::{Connection, ffi, types::ValueRef};
use std::{
    ffi::{CStr, c_char, c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What SQLite is about to do to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A row comes.
    Insert,
    /// A row changes.
    Update,
    /// A row goes.
    Delete,
}

/// One call of the hook, valid while it runs.
pub struct Touch<'a> {
    db: *mut ffi::sqlite3,
    /// What is about to happen.
    pub action: Action,
    /// Name of the table in UTF-8.
    pub table: &'a [u8],
}

impl Touch<'_> {
    /// 0 for a statement of the caller, more inside a trigger.
    pub fn depth(&self) -> i32 {
        // SAFETY: `db` is the handle that SQLite passed to the running hook.
        unsafe { ffi::sqlite3_preupdate_depth(self.db) }
    }

    /// Columns of the row.
    pub fn columns(&self) -> usize {
        // SAFETY: as above.
        usize::try_from(unsafe { ffi::sqlite3_preupdate_count(self.db) }).unwrap_or(0)
    }

    /// A column as it was; None for an insert, an odd column or a float.
    pub fn before(&self, column: usize) -> Option<Value> {
        self.read(column, ffi::sqlite3_preupdate_old)
    }

    /// A column as it will be; None for a delete, an odd column or a float.
    #[inline]
    pub fn after(&self, column: usize) -> Option<Value> {
        self.read(column, ffi::sqlite3_preupdate_new)
    }

    #[inline]
    fn read(
        &self,
        column: usize,
        call: unsafe extern "C" fn(*mut ffi::sqlite3, c_int, *mut *mut ffi::sqlite3_value) -> c_int,
    ) -> Option<Value> {
        let mut raw = std::ptr::null_mut();
        let column = c_int::try_from(column).ok()?;
        // SAFETY: SQLite checks action and column and says MISUSE or RANGE for a wrong one.
        let code = unsafe { call(self.db, column, &raw mut raw) };
        if code != ffi::SQLITE_OK || raw.is_null() {
            return None;
        }
        // SAFETY: a value handed out by SQLite stays valid until the hook returns; it is copied here.
        unsafe { copy(raw) }
    }
}

/// # Safety
/// `raw` is a live sqlite3_value.
#[inline]
unsafe fn copy(raw: *mut ffi::sqlite3_value) -> Option<Value> {
    // SAFETY: the caller vouches for `raw`; text and blob pointers are valid for the stated length.
    unsafe {
        match ffi::sqlite3_value_type(raw) {
            ffi::SQLITE_INTEGER => Some(Value::Int(ffi::sqlite3_value_int64(raw))),
            ffi::SQLITE_NULL => Some(Value::Null),
            ffi::SQLITE_TEXT => {
                let text = ffi::sqlite3_value_text(raw);
                Value::read(ValueRef::Text(slice(text, ffi::sqlite3_value_bytes(raw))))
            }
            ffi::SQLITE_BLOB => {
                let blob = ffi::sqlite3_value_blob(raw).cast::<u8>();
                Value::read(ValueRef::Blob(slice(blob, ffi::sqlite3_value_bytes(raw))))
            }
            _ => None,
        }
    }
}

/// # Safety
/// `start` is null or points to `length` bytes that outlive the answer.
unsafe fn slice<'a>(start: *const u8, length: c_int) -> &'a [u8] {
    match usize::try_from(length) {
        // SAFETY: the caller vouches for pointer and length.
        Ok(length) if !start.is_null() => unsafe { std::slice::from_raw_parts(start, length) },
        _ => &[],
    }
}

type Heard = Box<dyn FnMut(&Touch<'_>) + Send>;

/// Keeps the hook alive; must be dropped before the connection is closed.
pub struct Hook {
    heard: *mut Heard,
    db: *mut ffi::sqlite3,
}

// SAFETY: the closure is Send, and the handle is used only by whoever owns the connection beside it.
unsafe impl Send for Hook {}

/// Calls `heard` before each change of a row on this connection. A panic in it aborts nothing: the
/// caller must have marked its write as poisoned before it did anything that can fail.
pub fn listen(db: &Connection, heard: impl FnMut(&Touch<'_>) + Send + 'static) -> Hook {
    let boxed: Heard = Box::new(heard);
    let heard = Box::into_raw(Box::new(boxed));
    // SAFETY: the handle belongs to `db`, which outlives the hook by the contract of `Hook`.
    let handle = unsafe { db.handle() };
    // SAFETY: `heard` stays alive until `Hook` is dropped, which unsets the hook first.
    unsafe { ffi::sqlite3_preupdate_hook(handle, Some(trampoline), heard.cast::<c_void>()) };
    Hook { heard, db: handle }
}

impl Hook {
    /// Hears nothing while the answer lives, and costs nothing then.
    ///
    /// SQLite looks for the hook when a row changes, not when a statement is prepared: what was
    /// prepared before or meanwhile is heard afterwards. The exceptions are a `DELETE` without `WHERE`
    /// and an `ANALYZE` that are prepared meanwhile; whoever calls this prepares neither.
    pub fn deaf(&self) -> Deaf<'_> {
        // SAFETY: the connection is open while the hook lives; no closure is freed here.
        unsafe { ffi::sqlite3_preupdate_hook(self.db, None, std::ptr::null_mut()) };
        Deaf(self)
    }
}

/// While it lives, the hook hears nothing.
pub struct Deaf<'a>(&'a Hook);

impl Drop for Deaf<'_> {
    fn drop(&mut self) {
        let context = self.0.heard.cast::<c_void>();
        // SAFETY: as in `listen`; `heard` is still alive, the hook is borrowed.
        unsafe { ffi::sqlite3_preupdate_hook(self.0.db, Some(trampoline), context) };
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        // SAFETY: the connection is still open; after this call SQLite does not use `heard` any more.
        unsafe {
            ffi::sqlite3_preupdate_hook(self.db, None, std::ptr::null_mut());
            drop(Box::from_raw(self.heard));
        }
    }
}

unsafe extern "C" fn trampoline(
    context: *mut c_void,
    db: *mut ffi::sqlite3,
    action: c_int,
    _database: *const c_char,
    table: *const c_char,
    _old_rowid: i64,
    _new_rowid: i64,
) {
    let action = match action {
        ffi::SQLITE_INSERT => Action::Insert,
        ffi::SQLITE_UPDATE => Action::Update,
        _ => Action::Delete,
    };
    // SAFETY: SQLite passes the context that `listen` gave it and a C string as the table's name.
    let (heard, table) =
        unsafe { (&mut *context.cast::<Heard>(), CStr::from_ptr(table).to_bytes()) };
    // A panic must not unwind into C; the write is poisoned and will be rolled back.
    let _poisoned = catch_unwind(AssertUnwindSafe(|| heard(&Touch { db, action, table })));
}
