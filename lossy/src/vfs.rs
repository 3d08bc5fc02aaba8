//! The VFS before SQLite's own: each call is passed on, and what changes a watched file is noted once it was done. The only
//! unsafe code of this crate.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, OsStr, c_char, c_int, c_void},
    mem::size_of,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr,
    sync::{Arc, LazyLock, Mutex},
};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use crate::{Watch, step::Step};

static WATCHES: Mutex<Vec<Arc<Watch>>> = Mutex::new(Vec::new());

pub(crate) fn watch(watch: Arc<Watch>) {
    LazyLock::force(&BELOW);
    WATCHES.lock().expect("BUG: nothing panics while holding the watches").push(watch);
}

pub(crate) fn unwatch(watch: &Arc<Watch>) {
    WATCHES.lock().expect("BUG: nothing panics while holding the watches").retain(|other| !Arc::ptr_eq(other, watch));
}

fn watch_of(path: &Path) -> Option<Arc<Watch>> {
    let watches = WATCHES.lock().expect("BUG: nothing panics while holding the watches");
    watches.iter().find(|watch| path.starts_with(&watch.folder)).cloned()
}

/// SQLite's own.
struct Below(*mut sqlite3_vfs);

// SAFETY: SQLite's own VFS object is made for all threads, never changes after its registration and is never freed.
unsafe impl Send for Below {}
unsafe impl Sync for Below {}

static BELOW: LazyLock<Below> = LazyLock::new(|| {
    // SAFETY: plain calls of SQLite's C interface; the VFS found lives as long as the process, and is copied, so that all
    // that is not replaced here (time, randomness, sleep) is called as it was. Ours is leaked and lives as long.
    unsafe {
        let below = ffi::sqlite3_vfs_find(ptr::null());
        assert!(!below.is_null(), "SQLite has no VFS");
        let ours = Box::leak(Box::new(*below));
        ours.zName = c"lossy".as_ptr();
        ours.pNext = ptr::null_mut();
        ours.szOsFile = (size_of::<File>() as c_int) + (*below).szOsFile;
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        assert_eq!(ffi::sqlite3_vfs_register(ours, 1), ffi::SQLITE_OK);
        Below(below)
    }
});

/// An open file as SQLite holds it: ours, then the one below, in one piece of memory of `szOsFile` bytes.
#[repr(C)]
struct File {
    methods: *const sqlite3_io_methods,
    /// From `Box::into_raw`, freed by `close`; null for a file nobody watches.
    watched: *mut WatchedFile,
}

struct WatchedFile {
    path: PathBuf,
    watch: Arc<Watch>,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // Without memory maps: what is written through them is not seen.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The file below, which follows ours in memory.
///
/// # Safety
/// `file` points to memory of our `szOsFile` bytes.
unsafe fn below(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: by the contract there are that many bytes; `File` is two pointers, so what follows is aligned for pointers.
    unsafe { file.cast::<u8>().add(size_of::<File>()).cast() }
}

/// Calls a method of the file below.
macro_rules! pass {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: SQLite calls with a file that `open` filled in and `close` has not had yet, and with the arguments the
        // method is declared for; they are passed on as they are. The methods below are set, because it opened.
        unsafe {
            let below = below($file);
            match (*(*below).pMethods).$method {
                Some(method) => method(below $(, $argument)*),
                None => ffi::SQLITE_IOERR,
            }
        }
    }};
}

/// Who watches an open file.
///
/// # Safety
/// `file` is one that `open` filled in and `close` has not had yet.
unsafe fn watched<'a>(file: *mut sqlite3_file) -> Option<&'a WatchedFile> {
    // SAFETY: by the contract it is a `File`, whose pointer is null or owned by it until `close`.
    unsafe { (*file.cast::<File>()).watched.as_ref() }
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls with a buffer of `szOsFile` bytes and a name that is null or a C string. `methods` is null first,
    // as it must be for a file that is not opened; the file below opens in its own part of the buffer.
    unsafe {
        file.cast::<File>().write(File { methods: ptr::null(), watched: ptr::null_mut() });
        let path = (!name.is_null()).then(|| PathBuf::from(OsStr::from_bytes(CStr::from_ptr(name).to_bytes())));
        let durable = ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL;
        let path = path.filter(|_| flags & durable != 0);
        let watched = path.and_then(|path| Some(WatchedFile { watch: watch_of(&path)?, path }));
        let is_new = watched.as_ref().is_some_and(|watched| !watched.path.exists());
        let Some(open_below) = (*BELOW.0).xOpen else { return ffi::SQLITE_CANTOPEN };
        let code = open_below(BELOW.0, name, below(file), flags, out_flags);
        if code != ffi::SQLITE_OK {
            return code;
        }
        if let Some(watched) = &watched
            && is_new
        {
            let is_database = flags & ffi::SQLITE_OPEN_MAIN_DB != 0;
            watched.watch.note(Step::Create { path: watched.path.clone(), is_database });
        }
        let watched = watched.map_or(ptr::null_mut(), |watched| Box::into_raw(Box::new(watched)));
        file.cast::<File>().write(File { methods: &METHODS, watched });
        code
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let code = pass!(file, xClose);
    // SAFETY: SQLite closes a file once; the pointer is null or came from `Box::into_raw` in `open`.
    unsafe {
        let watched = (*file.cast::<File>()).watched;
        if !watched.is_null() {
            drop(Box::from_raw(watched));
        }
    }
    code
}

unsafe extern "C" fn read(file: *mut sqlite3_file, buffer: *mut c_void, amount: c_int, offset: sqlite3_int64) -> c_int {
    pass!(file, xRead, buffer, amount, offset)
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: `file` is open.
    let watched = unsafe { watched(file) };
    if let Some(WatchedFile { watch, .. }) = watched {
        let mut size = 0;
        let code = pass!(file, xFileSize, &mut size);
        if code == ffi::SQLITE_OK && !watch.may_grow(offset + i64::from(amount) - size) {
            return ffi::SQLITE_FULL;
        }
    }
    let code = pass!(file, xWrite, buffer, amount, offset);
    if let (Some(WatchedFile { watch, path }), ffi::SQLITE_OK) = (watched, code) {
        // SAFETY: SQLite's buffer is `amount` bytes long.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), usize::try_from(amount).unwrap_or(0)) };
        watch.note(Step::Write { path: path.clone(), at: offset as u64, bytes: bytes.to_vec() });
    }
    code
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    let code = pass!(file, xTruncate, size);
    // SAFETY: `file` is open.
    if let (Some(WatchedFile { watch, path }), ffi::SQLITE_OK) = (unsafe { watched(file) }, code) {
        watch.note(Step::Truncate { path: path.clone(), size: size as u64 });
    }
    code
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: `file` is open.
    let watched = unsafe { watched(file) };
    if watched.is_some_and(|watched| !watched.watch.may_sync()) {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    let code = pass!(file, xSync, flags);
    if let (Some(WatchedFile { watch, path }), ffi::SQLITE_OK) = (watched, code) {
        watch.note(Step::Sync { path: path.clone() });
    }
    code
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    pass!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    pass!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    pass!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    pass!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, code: c_int, argument: *mut c_void) -> c_int {
    pass!(file, xFileControl, code, argument)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    pass!(file, xSectorSize)
}

unsafe extern "C" fn characteristics(file: *mut sqlite3_file) -> c_int {
    pass!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    pass!(file, xShmMap, page, size, extend, out)
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    pass!(file, xShmLock, offset, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: as for the others; this one gives nothing back.
    unsafe {
        let below = below(file);
        if let Some(barrier) = (*(*below).pMethods).xShmBarrier {
            barrier(below);
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, remove: c_int) -> c_int {
    pass!(file, xShmUnmap, remove)
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: `name` is a C string; SQLite's own arguments, passed on.
    unsafe {
        let Some(delete_below) = (*BELOW.0).xDelete else { return ffi::SQLITE_IOERR_DELETE };
        let path = PathBuf::from(OsStr::from_bytes(CStr::from_ptr(name).to_bytes()));
        let code = delete_below(BELOW.0, name, sync);
        if let (ffi::SQLITE_OK, Some(watch)) = (code, watch_of(&path)) {
            watch.note(Step::Delete { path, is_synced: sync != 0 });
        }
        code
    }
}
