//! A disk in memory that forgets at a power cut (SQLite VFS)
//!
//! The real SQLite runs on it: what is tested is what ships. A path is `/disk/file`; disks belong to the thread that
//! mounted them.
//!
//! SQLite draws its random numbers from the default VFS and keeps one generator per process. Therefore this VFS is
//! registered as the default one, and a process runs one simulation at a time.

// A VFS is a table of C functions. This is the only file of the package that may touch raw pointers; what a disk
// remembers stands in `platter.rs`, its locks in `drive.rs`, both in safe code.
#![allow(unsafe_code)]

use crate::dice::Dice;
use crate::drive::{self, FileLocks, Held, SHARED_LOCKS, Spindle};
use crate::platter::{FileId, Refusal};
use rusqlite::ffi;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::rc::Rc;
use std::sync::Once;

/// The name that SQLite knows this VFS by.
pub const VFS: &str = "simulated";

/// Milliseconds from the beginning of the Julian day count to 1970, as SQLite counts time.
const JULIAN_1970_MS: i64 = 210_866_760_000_000;

thread_local! {
    static WALL_MS: Cell<i64> = const { Cell::new(0) };
    static DICE: RefCell<Option<Dice>> = const { RefCell::new(None) };
}

/// Registers the VFS and starts SQLite's random numbers anew from these dice.
pub fn seed(dice: Dice) {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(register);
    DICE.with_borrow_mut(|kept| *kept = Some(dice));
    // SAFETY: no bytes into a null buffer is SQLite's documented way to forget its generator.
    unsafe { ffi::sqlite3_randomness(0, std::ptr::null_mut()) };
}

/// What SQLite's own clock shows from now on.
pub fn set_wall_ms(ms: i64) {
    WALL_MS.set(ms);
}

/// What SQLite allocates for each open file: its table of methods, then ours.
#[repr(C)]
struct Handle {
    methods: ffi::sqlite3_file,
    open: *mut Open,
}

/// An open file.
struct Open {
    medium: Medium,
    /// The first sync of a new journal or WAL also syncs the directory, as SQLite does on Unix.
    names_unsynced: bool,
    delete_on_close: Option<String>,
}

enum Medium {
    /// A file of a disk, and this connection's share of its locks.
    Disk { spindle: Rc<RefCell<Spindle>>, file: FileId, opened: u64, held: Held },
    /// A temporary file: nobody expects it to survive.
    Memory(Vec<u8>),
}

/// # Safety
/// `file` was opened by `open` and is not closed yet.
unsafe fn open_of<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Open {
    // SAFETY: SQLite hands back the handle that `open` filled, and uses it from one thread at a time.
    unsafe { &mut *(*file.cast::<Handle>()).open }
}

/// # Safety
/// `name` is null or a string that ends with a zero.
unsafe fn text<'a>(name: *const c_char) -> Option<&'a str> {
    // SAFETY: SQLite passes file names as strings that end with a zero.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }).and_then(|name| name.to_str().ok())
}

fn code(done: Result<(), Refusal>, io: c_int) -> c_int {
    match done {
        Ok(()) => ffi::SQLITE_OK,
        Err(Refusal::Io) => io,
        Err(Refusal::Full) => ffi::SQLITE_FULL,
        Err(Refusal::Absent) => ffi::SQLITE_IOERR_DELETE_NOENT,
    }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives `szOsFile` bytes at `file`; without methods it will not call `close`.
    unsafe { (*file).pMethods = std::ptr::null() };
    // SAFETY: see `text`.
    let open = match unsafe { text(name) } {
        None => Open {
            medium: Medium::Memory(Vec::new()),
            names_unsynced: false,
            delete_on_close: None,
        },
        Some(path) => match open_on_disk(path, flags) {
            Some(open) => open,
            None => return ffi::SQLITE_CANTOPEN,
        },
    };
    let handle = Handle {
        methods: ffi::sqlite3_file { pMethods: &METHODS },
        open: Box::into_raw(Box::new(open)),
    };
    // SAFETY: as above; the box is given back in `close`.
    unsafe {
        file.cast::<Handle>().write(handle);
        if !flags_out.is_null() {
            *flags_out = flags;
        }
    }
    ffi::SQLITE_OK
}

fn open_on_disk(path: &str, flags: c_int) -> Option<Open> {
    let spindle = drive::of(path)?;
    let (file, opened) = {
        let mut spindle = spindle.borrow_mut();
        if spindle.platter.is_dark() {
            return None;
        }
        let file = match spindle.platter.find(path) {
            Some(file) => file,
            None if flags & ffi::SQLITE_OPEN_CREATE == 0 => return None,
            None => spindle.platter.create(path).ok()?,
        };
        (file, spindle.next_opened())
    };
    let journals =
        ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
    let names_unsynced = flags & journals != 0 && flags & ffi::SQLITE_OPEN_CREATE != 0;
    let delete_on_close = (flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0).then(|| path.to_owned());
    let medium = Medium::Disk { spindle, file, opened, held: Held::default() };
    Some(Open { medium, names_unsynced, delete_on_close })
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: made by `open` with `Box::into_raw`, and closed once.
    let mut open = unsafe { Box::from_raw((*file.cast::<Handle>()).open) };
    release_shared(&mut open);
    if let Medium::Disk { spindle, file, opened, .. } = &open.medium {
        let mut spindle = spindle.borrow_mut();
        if let Some(locks) = spindle.locks.get_mut(file) {
            locks.forget(*opened);
        }
        if let Some(path) = &open.delete_on_close {
            // A dark disk cannot delete; the name then goes the way of the power cut.
            let _ = spindle.platter.delete(path);
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    out: *mut c_void,
    length: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite gives `length` writable bytes, and a handle made by `open`.
    let (out, open) = unsafe {
        (std::slice::from_raw_parts_mut(out.cast::<u8>(), length as usize), open_of(file))
    };
    let found = match &open.medium {
        Medium::Memory(bytes) => {
            let found = bytes.len().saturating_sub(at as usize).min(out.len());
            out[..found].copy_from_slice(&bytes[bytes.len().min(at as usize)..][..found]);
            found
        }
        Medium::Disk { spindle, file, .. } => {
            match spindle.borrow().platter.read(*file, at as usize, out) {
                Ok(found) => found,
                Err(_) => return ffi::SQLITE_IOERR_READ,
            }
        }
    };
    out[found..].fill(0);
    if found < out.len() { ffi::SQLITE_IOERR_SHORT_READ } else { ffi::SQLITE_OK }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite gives `length` readable bytes, and a handle made by `open`.
    let (bytes, open) =
        unsafe { (std::slice::from_raw_parts(from.cast::<u8>(), length as usize), open_of(file)) };
    match &mut open.medium {
        Medium::Memory(kept) => {
            let end = at as usize + bytes.len();
            if kept.len() < end {
                kept.resize(end, 0);
            }
            kept[at as usize..end].copy_from_slice(bytes);
            ffi::SQLITE_OK
        }
        Medium::Disk { spindle, file, .. } => code(
            spindle.borrow_mut().platter.write(*file, at as usize, bytes),
            ffi::SQLITE_IOERR_WRITE,
        ),
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: see `open_of`.
    match &mut unsafe { open_of(file) }.medium {
        Medium::Memory(kept) => {
            kept.truncate(length as usize);
            ffi::SQLITE_OK
        }
        Medium::Disk { spindle, file, .. } => code(
            spindle.borrow_mut().platter.truncate(*file, length as usize),
            ffi::SQLITE_IOERR_TRUNCATE,
        ),
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: see `open_of`.
    let open = unsafe { open_of(file) };
    let Medium::Disk { spindle, file, .. } = &open.medium else { return ffi::SQLITE_OK };
    let mut spindle = spindle.borrow_mut();
    let done = spindle.platter.sync(*file);
    if done.is_ok() && std::mem::take(&mut open.names_unsynced) {
        spindle.platter.sync_names();
    }
    code(done, ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: see `open_of`; `out` is one writable number.
    unsafe {
        *out = match &open_of(file).medium {
            Medium::Memory(kept) => kept.len() as i64,
            Medium::Disk { spindle, file, .. } => spindle.borrow().platter.length(*file) as i64,
        };
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, wanted: c_int) -> c_int {
    // SAFETY: see `open_of`.
    let granted = match &unsafe { open_of(file) }.medium {
        Medium::Memory(_) => true,
        Medium::Disk { spindle, file, opened, .. } => {
            spindle.borrow_mut().locks.entry(*file).or_default().raise(*opened, wanted)
        }
    };
    if granted { ffi::SQLITE_OK } else { ffi::SQLITE_BUSY }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `open_of`.
    if let Medium::Disk { spindle, file, opened, .. } = &unsafe { open_of(file) }.medium {
        spindle.borrow_mut().locks.entry(*file).or_default().lower(*opened, level);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: see `open_of`; `out` is one writable number.
    unsafe {
        *out = match &open_of(file).medium {
            Medium::Memory(_) => 0,
            Medium::Disk { spindle, file, .. } => {
                spindle.borrow().locks.get(file).is_some_and(FileLocks::is_reserved) as c_int
            }
        };
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    4_096
}

unsafe extern "C" fn characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shared_map(
    file: *mut ffi::sqlite3_file,
    number: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: see `open_of`; `out` is one writable pointer.
    let (open, out) = unsafe { (open_of(file), &mut *out) };
    *out = std::ptr::null_mut();
    let Medium::Disk { spindle, file, .. } = &open.medium else { return ffi::SQLITE_IOERR_SHMMAP };
    let mut spindle = spindle.borrow_mut();
    let shared = spindle.shared.entry(*file).or_default();
    if let Some(region) = shared.region(number as usize, bytes as usize, extend != 0) {
        *out = region.as_mut_ptr().cast();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shared_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: see `open_of`.
    let Medium::Disk { spindle, file, held, .. } = &mut unsafe { open_of(file) }.medium else {
        return ffi::SQLITE_IOERR_SHMLOCK;
    };
    let mut spindle = spindle.borrow_mut();
    let shared = spindle.shared.entry(*file).or_default();
    let slots = first as usize..(first + count) as usize;
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        shared.release(held, slots);
        return ffi::SQLITE_OK;
    }
    let alone = flags & ffi::SQLITE_SHM_EXCLUSIVE != 0;
    if shared.take(held, slots, alone) { ffi::SQLITE_OK } else { ffi::SQLITE_BUSY }
}

fn release_shared(open: &mut Open) {
    if let Medium::Disk { spindle, file, held, .. } = &mut open.medium
        && let Some(shared) = spindle.borrow_mut().shared.get_mut(file)
    {
        shared.release(held, 0..SHARED_LOCKS);
    }
}

unsafe extern "C" fn shared_barrier(_: *mut ffi::sqlite3_file) {}

unsafe extern "C" fn shared_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: see `open_of`.
    let open = unsafe { open_of(file) };
    release_shared(open);
    if let Medium::Disk { spindle, file, .. } = &open.medium
        && delete != 0
    {
        spindle.borrow_mut().shared.remove(file);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_names: c_int,
) -> c_int {
    // SAFETY: see `text`.
    let Some((path, spindle)) =
        unsafe { text(name) }.and_then(|path| Some((path, drive::of(path)?)))
    else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    let mut spindle = spindle.borrow_mut();
    let done = spindle.platter.delete(path);
    if done.is_ok() && sync_names != 0 {
        spindle.platter.sync_names();
    }
    code(done, ffi::SQLITE_IOERR_DELETE)
}

unsafe extern "C" fn access(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: see `text`; `out` is one writable number. As on Unix, an empty file does not count.
    unsafe {
        *out = text(name).and_then(|path| Some((path, drive::of(path)?))).is_some_and(
            |(path, spindle)| {
                let platter = &spindle.borrow().platter;
                platter.find(path).is_some_and(|file| platter.length(file) > 0)
            },
        ) as c_int;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_path(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: `name` ends with a zero, and `room` bytes are writable at `out`.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > room as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(
    _: *mut ffi::sqlite3_vfs,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives `length` writable bytes.
    let out = unsafe { std::slice::from_raw_parts_mut(out.cast::<u8>(), length as usize) };
    DICE.with_borrow_mut(|dice| dice.get_or_insert_with(|| Dice::new(0)).fill(out));
    length
}

unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}

unsafe extern "C" fn current_time(_: *mut ffi::sqlite3_vfs, out: *mut i64) -> c_int {
    // SAFETY: `out` is one writable number.
    unsafe { *out = JULIAN_1970_MS + WALL_MS.get() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
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

fn register() {
    let vfs = ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<Handle>() as c_int,
        mxPathname: 256,
        pNext: std::ptr::null_mut(),
        zName: c"simulated".as_ptr(),
        pAppData: std::ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_path),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: None,
        xGetLastError: Some(last_error),
        xCurrentTimeInt64: Some(current_time),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    };
    // SAFETY: the table is leaked, so it lives as long as SQLite may use it.
    let done = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1) };
    assert_eq!(done, ffi::SQLITE_OK, "SQLite takes a VFS whose name is new");
}
