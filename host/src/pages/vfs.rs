//! SQLite reading a table: a VFS whose files are tables, given out page by page as pointers into the mapped slots. One of
//! the two places of unsafe code in the page store; `mapping.rs` is the other.
//!
//! A database's file name is the number of a [`Shelf`] entry. Everything that is not such a file - a sorter's temporary
//! file, the time, randomness, sleeping - is passed on to the VFS that was SQLite's own before. The time is noted on the
//! way: that is how a date function's `now` is heard of wherever it came from.
#![allow(unsafe_code)]

use std::{
    cell::Cell,
    collections::HashMap,
    ffi::{CStr, c_char, c_int, c_void},
    mem::size_of,
    ptr,
    sync::{Arc, LazyLock, Mutex},
};

use nearside_protocol::limits::PAGE_BYTES;
use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use super::{PagesError, table::Table};

pub const NAME: &CStr = c"nearside-pages";

thread_local! {
    static CLOCK_READS: Cell<u64> = const { Cell::new(0) };
}

/// How often SQLite has asked for the time on this thread, of databases that are read through this VFS.
pub fn clock_reads() -> u64 {
    CLOCK_READS.get()
}

/// The tables that can be opened, by the number that is their file's name.
static SHELF: LazyLock<Mutex<HashMap<u64, Arc<Table>>>> = LazyLock::new(Mutex::default);
static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

/// A table that SQLite can open as long as this lives; what is open stays readable after that.
pub struct Shelf(u64);

impl Shelf {
    pub fn put(table: Arc<Table>) -> Result<Shelf, rusqlite::Error> {
        registered()?;
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        SHELF.lock().expect("BUG: nothing panics while holding the shelf").insert(number, table);
        Ok(Shelf(number))
    }

    /// What to open, with [`NAME`] as the VFS. No one ever writes to it, so SQLite need not lock or look for journals.
    pub fn uri(&self) -> String {
        format!("file:/{}?immutable=1", self.0)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        SHELF.lock().expect("BUG: nothing panics while holding the shelf").remove(&self.0);
    }
}

/// The VFS below ours.
struct Below(*mut sqlite3_vfs);

// SAFETY: SQLite's own VFS object is made for all threads, never changes after its registration and is never freed.
unsafe impl Send for Below {}
unsafe impl Sync for Below {}

static BELOW: LazyLock<Result<Below, c_int>> = LazyLock::new(register);

fn registered() -> Result<(), rusqlite::Error> {
    match &*BELOW {
        Ok(_) => Ok(()),
        Err(code) => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(*code), Some("its VFS is not there".into()))),
    }
}

fn register() -> Result<Below, c_int> {
    // SAFETY: plain calls of SQLite's C interface. `sqlite3_vfs_find` initialises the library and gives a VFS that lives
    // as long as the process, of which the fields are read. Ours is leaked, so that it lives as long, too.
    unsafe {
        let below = ffi::sqlite3_vfs_find(ptr::null());
        if below.is_null() {
            return Err(ffi::SQLITE_ERROR);
        }
        let ours = Box::leak(Box::new(sqlite3_vfs {
            iVersion: 2,
            szOsFile: (*below).szOsFile.max(size_of::<File>() as c_int),
            mxPathname: (*below).mxPathname,
            pNext: ptr::null_mut(),
            zName: NAME.as_ptr(),
            pAppData: below.cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: None,
            xCurrentTimeInt64: Some(current_time_int64),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        }));
        match ffi::sqlite3_vfs_register(ours, 0) {
            ffi::SQLITE_OK => Ok(Below(below)),
            code => Err(code),
        }
    }
}

/// An open table, as SQLite holds it: it gives us `szOsFile` bytes, and calls us with a pointer to them.
#[repr(C)]
struct File {
    methods: *const sqlite3_io_methods,
    /// From `Arc::into_raw`; given back by `close`.
    table: *const Table,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(lock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};

/// The table of an open file.
///
/// # Safety
/// `file` is one that `open` filled in and `close` has not had yet.
unsafe fn table<'a>(file: *mut sqlite3_file) -> &'a Table {
    // SAFETY: by the contract it is a `File` whose `table` holds a reference count until `close`; SQLite never calls a
    // method during or after that.
    unsafe { &*(*file.cast::<File>()).table }
}

/// The page, counted from 0, that this offset is in, and where in it.
fn place(offset: sqlite3_int64) -> Option<(u32, usize)> {
    let offset = u64::try_from(offset).ok()?;
    Some((u32::try_from(offset / PAGE_BYTES as u64).ok()?, (offset % PAGE_BYTES as u64) as usize))
}

fn code_of(error: &PagesError) -> c_int {
    match error {
        PagesError::Damaged { .. } => ffi::SQLITE_IOERR_DATA,
        _ => ffi::SQLITE_IOERR_READ,
    }
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let Ok(Below(below)) = &*BELOW else { return ffi::SQLITE_ERROR };
    // SAFETY: SQLite calls this with a buffer of `szOsFile` bytes, which is enough for either kind of file, and with a
    // name that is null or a C string. `methods` is set to null first, as it must be for a file that is not opened. What
    // is not a main database goes to the VFS below with the same arguments; it sets its own methods, and is then called
    // directly.
    unsafe {
        (*file.cast::<File>()).methods = ptr::null();
        if flags & ffi::SQLITE_OPEN_MAIN_DB == 0 {
            return match (**below).xOpen {
                Some(open_below) => open_below(*below, name, file, flags, out_flags),
                None => ffi::SQLITE_CANTOPEN,
            };
        }
        let number = (!name.is_null()).then(|| CStr::from_ptr(name).to_str().ok()?.strip_prefix('/')?.parse().ok());
        let Some(number) = number.flatten() else { return ffi::SQLITE_CANTOPEN };
        let found = SHELF.lock().expect("BUG: nothing panics while holding the shelf").get::<u64>(&number).cloned();
        let Some(found) = found else { return ffi::SQLITE_CANTOPEN };
        file.cast::<File>().write(File { methods: &METHODS, table: Arc::into_raw(found) });
        if !out_flags.is_null() {
            *out_flags = ffi::SQLITE_OPEN_READONLY | ffi::SQLITE_OPEN_MAIN_DB;
        }
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once; the pointer came from `Arc::into_raw` in `open`.
    unsafe { drop(Arc::from_raw((*file.cast::<File>()).table)) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut sqlite3_file, buffer: *mut c_void, amount: c_int, offset: sqlite3_int64) -> c_int {
    // SAFETY: SQLite's buffer is `amount` bytes long, and `file` is open.
    let (table, out) = unsafe {
        (table(file), std::slice::from_raw_parts_mut(buffer.cast::<u8>(), usize::try_from(amount).unwrap_or(0)))
    };
    let mut done = 0;
    while done < out.len() {
        let Some((number, within)) = place(offset + done as sqlite3_int64) else { return ffi::SQLITE_IOERR_READ };
        if number >= table.pages() {
            // SQLite wants the rest filled with zeroes.
            out[done..].fill(0);
            return ffi::SQLITE_IOERR_SHORT_READ;
        }
        match table.page(number) {
            Ok(page) => {
                let taken = (out.len() - done).min(PAGE_BYTES - within);
                out[done..done + taken].copy_from_slice(&page[within..within + taken]);
                done += taken;
            }
            Err(error) => return code_of(&error),
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn fetch(
    file: *mut sqlite3_file,
    offset: sqlite3_int64,
    amount: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: `out` is SQLite's, and `file` is open. The pointer given out is into a mapped slot, which stays as it is for
    // as long as a table refers to it, and this file holds its table; SQLite never writes through it, because the file
    // is read-only. Some bytes after the page are memory as well (`mapping.rs`).
    unsafe {
        *out = ptr::null_mut();
        let Some((number, within)) = place(offset) else { return ffi::SQLITE_OK };
        let table = table(file);
        let fits = usize::try_from(amount).is_ok_and(|amount| within + amount <= PAGE_BYTES);
        if !fits || number >= table.pages() {
            return ffi::SQLITE_OK;
        }
        match table.page(number) {
            Ok(page) => {
                *out = page.as_ptr().add(within).cast_mut().cast();
                ffi::SQLITE_OK
            }
            Err(error) => code_of(&error),
        }
    }
}

unsafe extern "C" fn unfetch(_: *mut sqlite3_file, _: sqlite3_int64, _: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn write(_: *mut sqlite3_file, _: *const c_void, _: c_int, _: sqlite3_int64) -> c_int {
    ffi::SQLITE_READONLY
}

unsafe extern "C" fn truncate(_: *mut sqlite3_file, _: sqlite3_int64) -> c_int {
    ffi::SQLITE_READONLY
}

unsafe extern "C" fn sync(_: *mut sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    // SAFETY: `file` is open and `size` is SQLite's.
    unsafe { *size = i64::from(table(file).pages()) * PAGE_BYTES as i64 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(_: *mut sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(_: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: `out` is SQLite's.
    unsafe { *out = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut sqlite3_file) -> c_int {
    PAGE_BYTES as c_int
}

unsafe extern "C" fn characteristics(_: *mut sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_IMMUTABLE
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite's own arguments, passed on.
    below(|below| unsafe { (*below).xDelete.map(|delete| delete(below, name, sync)) })
}

unsafe extern "C" fn access(_: *mut sqlite3_vfs, _: *const c_char, _: c_int, out: *mut c_int) -> c_int {
    // Journals are asked for here, and there are none.
    // SAFETY: `out` is SQLite's.
    unsafe { *out = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(_: *mut sqlite3_vfs, name: *const c_char, length: c_int, out: *mut c_char) -> c_int {
    // SAFETY: `name` is a C string, `out` a buffer of `length` bytes.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes_with_nul();
        if name.len() > usize::try_from(length).unwrap_or(0) {
            return ffi::SQLITE_CANTOPEN;
        }
        ptr::copy_nonoverlapping(name.as_ptr().cast(), out, name.len());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(_: *mut sqlite3_vfs, length: c_int, out: *mut c_char) -> c_int {
    // SAFETY: SQLite's own arguments, passed on.
    below(|below| unsafe { (*below).xRandomness.map(|random| random(below, length, out)) })
}

unsafe extern "C" fn sleep(_: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    // SAFETY: SQLite's own arguments, passed on.
    below(|below| unsafe { (*below).xSleep.map(|sleep| sleep(below, microseconds)) })
}

unsafe extern "C" fn current_time(_: *mut sqlite3_vfs, out: *mut f64) -> c_int {
    CLOCK_READS.set(CLOCK_READS.get() + 1);
    // SAFETY: SQLite's own arguments, passed on.
    below(|below| unsafe { (*below).xCurrentTime.map(|time| time(below, out)) })
}

unsafe extern "C" fn current_time_int64(_: *mut sqlite3_vfs, out: *mut sqlite3_int64) -> c_int {
    CLOCK_READS.set(CLOCK_READS.get() + 1);
    // SAFETY: SQLite's own arguments, passed on.
    below(|below| unsafe { (*below).xCurrentTimeInt64.map(|time| time(below, out)) })
}

fn below(call: impl FnOnce(*mut sqlite3_vfs) -> Option<c_int>) -> c_int {
    match &*BELOW {
        Ok(Below(below)) => call(*below).unwrap_or(ffi::SQLITE_ERROR),
        Err(code) => *code,
    }
}
