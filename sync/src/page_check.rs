//! A layer under SQLite that serves no page that has rotted
//!
//! It lies over another file layer: SQLite's own on a device, the disk in memory in the simulator. What goes to a
//! database file gets its sum, what comes from there or from a log must hold it; else the read fails, and whoever asked
//! hears of it (`is_rot`). What must add up to what stands in `page_sum.rs`, in safe code.

// A VFS is a table of C functions. Each method here hands its arguments on to the layer below.
#![allow(unsafe_code)]

use crate::page_sum::{self, LogWatch, PAGE_BYTES, RESERVED_BYTES};
use crate::planted::{self, Fault};
use rusqlite::{Connection, ffi};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::{Mutex, PoisonError};

/// How the names of these layers begin; behind it stands the name of the layer below.
const PREFIX: &str = "checked-";

/// Whether an error says that what was read is not what was written.
pub fn is_rot(cause: &rusqlite::Error) -> bool {
    match cause {
        rusqlite::Error::SqliteFailure(failure, _) => {
            let plain = failure.extended_code & 0xff;
            failure.extended_code == ffi::SQLITE_IOERR_DATA
                || plain == ffi::SQLITE_CORRUPT
                || plain == ffi::SQLITE_NOTADB
        }
        _ => false,
    }
}

/// How the names begin of layers that let a log end where it is broken, whoever has broken it.
const LENIENT: &str = "lenient-";

/// Whether an error says that a page cannot be had: it has rotted, or the disk does not give it.
pub fn is_illegible(cause: &rusqlite::Error) -> bool {
    let unread = |failure: &ffi::Error| failure.extended_code == ffi::SQLITE_IOERR_READ;
    is_rot(cause) || matches!(cause, rusqlite::Error::SqliteFailure(failure, _) if unread(failure))
}

/// The name of the checking layer over a layer, or over SQLite's own; None where there is no such layer.
pub fn over(below: Option<&str>) -> Option<String> {
    layer(below, PREFIX)
}

/// As `over`, for reading what a rotten database still gives: its log may end too early.
pub fn lenient_over(below: Option<&str>) -> Option<String> {
    layer(below, LENIENT)
}

fn layer(below: Option<&str>, prefix: &str) -> Option<String> {
    static REGISTERING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = REGISTERING.lock().unwrap_or_else(PoisonError::into_inner);
    let below = below.map(CString::new).transpose().ok()?;
    let asked = below.as_ref().map_or(std::ptr::null(), |name| name.as_ptr());
    // SAFETY: a null or a string that ends with a zero; SQLite answers with a layer that lives on, or null.
    let below = unsafe { ffi::sqlite3_vfs_find(asked) };
    if below.is_null() {
        return None;
    }
    // SAFETY: a registered layer has a name that ends with a zero.
    let name = unsafe { CStr::from_ptr((*below).zName) }.to_str().ok()?.to_owned();
    if name.starts_with(PREFIX) || name.starts_with(LENIENT) {
        return Some(name);
    }
    let name = format!("{prefix}{name}");
    let text = CString::new(name.clone()).ok()?;
    // SAFETY: as above.
    if unsafe { ffi::sqlite3_vfs_find(text.as_ptr()) }.is_null() {
        register(below, text, prefix == LENIENT);
    }
    Some(name)
}

/// Asks for the eight bytes at the end of each page. Only a file without pages takes them.
pub fn reserve(db: &Connection) -> bool {
    let mut bytes = RESERVED_BYTES as c_int;
    // SAFETY: the handle is open, and `bytes` is the one number that this control reads and writes.
    let done = unsafe {
        ffi::sqlite3_file_control(
            db.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_RESERVE_BYTES,
            (&raw mut bytes).cast(),
        )
    };
    done == ffi::SQLITE_OK
}

/// What a look at one page of a database file has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageState {
    /// It is what was written.
    Whole,
    /// It is not, or it does not read.
    Rotten,
    /// The file ends before it.
    Absent,
}

/// Looks at a page on the disk, past all that SQLite remembers of it.
pub fn look(db: &Connection, number: u32) -> PageState {
    let Some(file) = file_of(db, ffi::SQLITE_FCNTL_FILE_POINTER) else { return PageState::Absent };
    let (mut page, mut length) = ([0; PAGE_BYTES], 0);
    let at = (i64::from(number) - 1) * PAGE_BYTES as i64;
    // SAFETY: the file is open and was filled by `open`; `length` is one writable number.
    let known = unsafe { file_size(file, &raw mut length) } == ffi::SQLITE_OK;
    if known && length <= at {
        return PageState::Absent;
    }
    let whole = read_below(file, &mut page, at) == ffi::SQLITE_OK && page_sum::holds(&page, number);
    if whole || page_sum::is_unused(number.into()) { PageState::Whole } else { PageState::Rotten }
}

/// Whether this connection was ever refused a page or a frame of the log because of its sum.
pub fn has_met_rot(db: &Connection) -> bool {
    [ffi::SQLITE_FCNTL_FILE_POINTER, ffi::SQLITE_FCNTL_JOURNAL_POINTER].into_iter().any(|which| {
        // SAFETY: `file_of` has made sure that `open` has filled it.
        file_of(db, which).is_some_and(|file| unsafe { open_of(file).has_met_rot })
    })
}

/// Whether a connection that has read writes to a write-ahead log, whatever it says of itself.
pub fn keeps_log(db: &Connection) -> bool {
    // SAFETY: `file_of` has made sure that `open` has filled it.
    file_of(db, ffi::SQLITE_FCNTL_JOURNAL_POINTER)
        .is_some_and(|file| matches!(unsafe { open_of(file) }.what, What::Log(_)))
}

/// The database file of a connection, or its log, if it lies on this layer.
fn file_of(db: &Connection, which: c_int) -> Option<*mut ffi::sqlite3_file> {
    let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
    // SAFETY: the handle is open, and this control writes one pointer.
    let done = unsafe {
        ffi::sqlite3_file_control(db.handle(), c"main".as_ptr(), which, (&raw mut file).cast())
    };
    // SAFETY: SQLite hands out a file that it keeps open, though perhaps one that has never been opened.
    let ours = done == ffi::SQLITE_OK
        && !file.is_null()
        && std::ptr::eq(unsafe { (*file).pMethods }, &METHODS);
    ours.then_some(file)
}

fn register(below: *mut ffi::sqlite3_vfs, name: CString, lenient: bool) {
    // SAFETY: a registered layer stays where it is.
    let under = unsafe { &*below };
    let layer = ffi::sqlite3_vfs {
        iVersion: under.iVersion.min(2),
        szOsFile: (size_of::<Handle>() as c_int) + under.szOsFile,
        pNext: std::ptr::null_mut(),
        zName: name.into_raw(),
        pAppData: below.cast(),
        xOpen: Some(if lenient { open_lenient } else { open }),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_path),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: under.xCurrentTime.map(|_| current_day as _),
        xGetLastError: Some(last_error),
        xCurrentTimeInt64: under.xCurrentTimeInt64.map(|_| current_time as _),
        ..*under
    };
    // SAFETY: table and name are leaked, so they live as long as SQLite may use them.
    let done = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(layer)), 0) };
    assert_eq!(done, ffi::SQLITE_OK, "SQLite takes a layer whose name is new");
}

/// What SQLite allocates for each open file: its table of methods, then ours, then the handle of the layer below.
#[repr(C)]
struct Handle {
    methods: ffi::sqlite3_file,
    open: *mut Open,
}

/// What is kept about an open file.
struct Open {
    what: What,
    has_met_rot: bool,
}

enum What {
    /// A database: every page is checked.
    Pages(Box<[u8; PAGE_BYTES]>),
    /// A write-ahead log: every frame is checked.
    Log(LogWatch),
    /// Anything else goes through as it is.
    Other,
}

/// # Safety
/// `file` was filled by `open`.
unsafe fn open_of<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Open {
    // SAFETY: SQLite hands back the handle that `open` filled, and uses it from one thread at a time.
    unsafe { &mut *(*file.cast::<Handle>()).open }
}

/// The handle of the layer below.
///
/// # Safety
/// `file` has the `szOsFile` bytes that `register` asked for.
unsafe fn below(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: the bytes behind our own handle belong to the layer below; a handle's size keeps their alignment.
    unsafe { file.cast::<Handle>().add(1).cast() }
}

/// Calls a method of the layer below.
macro_rules! pass {
    ($file:ident . $method:ident ( $($argument:expr),* ) else $missing:expr) => {{
        // SAFETY: `open` has opened the file below, and SQLite's arguments are handed on as they came.
        unsafe {
            let file = below($file);
            match (*(*file).pMethods).$method {
                Some(call) => call(file, $($argument),*),
                None => $missing,
            }
        }
    }};
}

/// The layer below.
///
/// # Safety
/// `layer` was registered by `register`.
unsafe fn under<'a>(layer: *mut ffi::sqlite3_vfs) -> &'a mut ffi::sqlite3_vfs {
    // SAFETY: `register` keeps it there, and it stays registered.
    unsafe { &mut *(*layer).pAppData.cast() }
}

/// Calls a function of the layer below.
macro_rules! hand_down {
    ($layer:ident . $function:ident ( $($argument:expr),* ) else $missing:expr) => {{
        // SAFETY: SQLite passes the layer that was registered, and its arguments are handed on as they came.
        unsafe {
            let layer = under($layer);
            match layer.$function {
                Some(call) => call(layer, $($argument),*),
                None => $missing,
            }
        }
    }};
}

unsafe extern "C" fn open_lenient(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: the arguments are handed on as they came; a file that has opened is ours.
    unsafe {
        let done = open(layer, name, file, flags, flags_out);
        if done == ffi::SQLITE_OK
            && let What::Log(watch) = &mut open_of(file).what
        {
            watch.be_lenient();
        }
        done
    }
}

unsafe extern "C" fn open(
    layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives `szOsFile` bytes at `file`; without methods it will not call `close`.
    let lower = unsafe {
        (*file).pMethods = std::ptr::null();
        let lower = below(file);
        (*lower).pMethods = std::ptr::null();
        lower
    };
    let done = hand_down!(layer.xOpen(name, lower, flags, flags_out) else ffi::SQLITE_CANTOPEN);
    // SAFETY: the layer below has set or left its methods.
    let methods = unsafe { (*lower).pMethods };
    if done != ffi::SQLITE_OK {
        if !methods.is_null() {
            // SAFETY: a file with methods wants to be closed, even one that did not open.
            unsafe { (*methods).xClose.map(|close| close(lower)) };
        }
        return done;
    }
    let what = if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
        What::Pages(Box::new([0; PAGE_BYTES]))
    } else if flags & ffi::SQLITE_OPEN_WAL != 0 {
        What::Log(LogWatch::default())
    } else {
        What::Other
    };
    let open = Open { what, has_met_rot: false };
    let handle = Handle {
        methods: ffi::sqlite3_file { pMethods: &METHODS },
        open: Box::into_raw(Box::new(open)),
    };
    // SAFETY: our part of the bytes; the box is given back in `close`.
    unsafe { file.cast::<Handle>().write(handle) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: made by `open` with `Box::into_raw`, and closed once.
    drop(unsafe { Box::from_raw((*file.cast::<Handle>()).open) });
    pass!(file.xClose() else ffi::SQLITE_OK)
}

fn read_below(file: *mut ffi::sqlite3_file, out: &mut [u8], at: i64) -> c_int {
    let (start, length) = (out.as_mut_ptr().cast(), out.len() as c_int);
    pass!(file.xRead(start, length, at) else ffi::SQLITE_IOERR_READ)
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    out: *mut c_void,
    length: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite gives `length` writable bytes, and a handle that `open` has filled.
    let (out, open) = unsafe {
        (std::slice::from_raw_parts_mut(out.cast::<u8>(), length as usize), open_of(file))
    };
    let done = read_below(file, out, at);
    let holds = match &open.what {
        What::Other => return done,
        What::Pages(_) => match done {
            ffi::SQLITE_OK => page_holds(out, at.cast_unsigned()),
            // A page that is asked for whole was once written: a file that ends before it has lost its end.
            ffi::SQLITE_IOERR_SHORT_READ => out.len() < PAGE_BYTES,
            _ => return done,
        },
        What::Log(watch) if done == ffi::SQLITE_OK => {
            let more =
                |at: u64, out: &mut [u8]| read_below(file, out, at.cast_signed()) == ffi::SQLITE_OK;
            watch.holds(at.cast_unsigned(), out, &more)
        }
        What::Log(_) => return done,
    };
    if holds || planted::is(Fault::RotServed) {
        return done;
    }
    open.has_met_rot = true;
    ffi::SQLITE_IOERR_DATA
}

/// SQLite reads less than a page only to look at the head of a file, and then reads that page whole.
fn page_holds(bytes: &[u8], at: u64) -> bool {
    match page_sum::page_at(at, bytes.len()) {
        Some(number) => page_sum::holds(bytes, number),
        None => bytes.len() <= 100,
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite gives `length` readable bytes, and a handle that `open` has filled.
    let (bytes, open) =
        unsafe { (std::slice::from_raw_parts(from.cast::<u8>(), length as usize), open_of(file)) };
    match &mut open.what {
        What::Other => pass!(file.xWrite(from, length, at) else ffi::SQLITE_IOERR_WRITE),
        What::Log(watch) => {
            watch.wrote(at.cast_unsigned(), bytes.len());
            pass!(file.xWrite(from, length, at) else ffi::SQLITE_IOERR_WRITE)
        }
        What::Pages(page) => {
            // Where the eight bytes are not reserved, a sum would stand on what SQLite keeps there.
            let Some(number) = page_sum::page_at(at.cast_unsigned(), bytes.len())
                .filter(|number| *number > 1 || page_sum::reserves(bytes))
            else {
                return ffi::SQLITE_IOERR_WRITE;
            };
            page.copy_from_slice(bytes);
            page_sum::seal(&mut page[..], number);
            let from = page.as_ptr().cast();
            pass!(file.xWrite(from, length, at) else ffi::SQLITE_IOERR_WRITE)
        }
    }
}

/// Methods that go through as they are.
macro_rules! passed {
    ($($name:ident = $method:ident ( $($argument:ident : $type:ty),* ) else $missing:ident;)*) => {$(
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file, $($argument: $type),*) -> c_int {
            pass!(file.$method($($argument),*) else ffi::$missing)
        }
    )*};
}

passed! {
    truncate = xTruncate(length: i64) else SQLITE_IOERR_TRUNCATE;
    sync = xSync(flags: c_int) else SQLITE_IOERR_FSYNC;
    file_size = xFileSize(out: *mut i64) else SQLITE_IOERR_FSTAT;
    lock = xLock(wanted: c_int) else SQLITE_IOERR_LOCK;
    unlock = xUnlock(level: c_int) else SQLITE_IOERR_UNLOCK;
    check_reserved = xCheckReservedLock(out: *mut c_int) else SQLITE_IOERR_CHECKRESERVEDLOCK;
    sector_size = xSectorSize() else SQLITE_OK;
    shared_map = xShmMap(number: c_int, bytes: c_int, extend: c_int, out: *mut *mut c_void)
        else SQLITE_IOERR_SHMMAP;
    shared_lock = xShmLock(first: c_int, count: c_int, flags: c_int) else SQLITE_IOERR_SHMLOCK;
    shared_unmap = xShmUnmap(delete: c_int) else SQLITE_OK;
}

unsafe extern "C" fn control(
    file: *mut ffi::sqlite3_file,
    wish: c_int,
    argument: *mut c_void,
) -> c_int {
    // Room made in advance would be pages of zeros, which have no sum.
    if matches!(wish, ffi::SQLITE_FCNTL_SIZE_HINT | ffi::SQLITE_FCNTL_CHUNK_SIZE) {
        return ffi::SQLITE_OK;
    }
    pass!(file.xFileControl(wish, argument) else ffi::SQLITE_NOTFOUND)
}

unsafe extern "C" fn characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // A part of a page cannot be checked.
    pass!(file.xDeviceCharacteristics() else 0) & !ffi::SQLITE_IOCAP_SUBPAGE_READ
}

unsafe extern "C" fn shared_barrier(file: *mut ffi::sqlite3_file) {
    pass!(file.xShmBarrier() else ())
}

/// Functions of the layer that go through as they are.
macro_rules! handed_down {
    ($($name:ident = $function:ident ( $($argument:ident : $type:ty),* ) else $missing:ident;)*) => {$(
        unsafe extern "C" fn $name(layer: *mut ffi::sqlite3_vfs, $($argument: $type),*) -> c_int {
            hand_down!(layer.$function($($argument),*) else ffi::$missing)
        }
    )*};
}

handed_down! {
    delete = xDelete(name: *const c_char, sync_names: c_int) else SQLITE_IOERR_DELETE;
    access = xAccess(name: *const c_char, what: c_int, out: *mut c_int) else SQLITE_IOERR_ACCESS;
    full_path = xFullPathname(name: *const c_char, room: c_int, out: *mut c_char)
        else SQLITE_CANTOPEN;
    randomness = xRandomness(length: c_int, out: *mut c_char) else SQLITE_OK;
    sleep = xSleep(microseconds: c_int) else SQLITE_OK;
    current_day = xCurrentTime(out: *mut f64) else SQLITE_ERROR;
    current_time = xCurrentTimeInt64(out: *mut i64) else SQLITE_ERROR;
    last_error = xGetLastError(room: c_int, out: *mut c_char) else SQLITE_OK;
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // The second version has no memory mapping: what is mapped is read without us.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shared_map),
    xShmLock: Some(shared_lock),
    xShmBarrier: Some(shared_barrier),
    xShmUnmap: Some(shared_unmap),
    xFetch: None,
    xUnfetch: None,
};
