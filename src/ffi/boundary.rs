//! The border with C: every pointer cast of the library is in this file, and every entry goes through [`guard`].
//!
//! What an exported function does is: guard, convert its arguments, call one function, hand out the result.

use super::status::qaio_status;
use crate::engine::{Access, can_map};
use crate::error::{Error, ErrorKind, Result, fail};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

// ---- entry ----

thread_local! {
    /// NUL-terminated message of the last call that failed on this thread; one NUL if it did not.
    static LAST_ERROR: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Whether this thread's last call found no memory to work in, not even for its message.
    static NO_MEMORY: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread is inside one of our entries.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Memory that must be free at the start of a call. The small allocations of a call, a few megabytes at most, end the
/// process if they fail; the large ones are checked one by one.
const HEADROOM: usize = 16 << 20;

/// Runs the body of an exported function: nothing unwinds out of it, a forked child is turned away, so is a call without
/// memory to work in, and an error's message is kept for `qaio_last_error`.
pub(crate) fn guard(body: impl FnOnce() -> Result<()>) -> qaio_status {
    if !can_map(HEADROOM, Access::ReadWrite) {
        // Not even this thread's message may be touched: its first use takes memory.
        NO_MEMORY.set(true);
        return qaio_status::OutOfMemory;
    }
    guard_light(body)
}

/// As [`guard`], for a body that takes no memory.
pub(crate) fn guard_light(body: impl FnOnce() -> Result<()>) -> qaio_status {
    let outcome = if is_forked() { Err(forked()) } else { caught(body) };
    match outcome {
        Ok(()) => {
            remember("");
            qaio_status::Ok
        }
        Err(error) => {
            remember(&error.to_string());
            error.kind().into()
        }
    }
}

/// Runs the body of an exported function that cannot fail, such as a getter; `fallback` is its answer to a panic or a
/// bad handle.
pub(crate) fn guard_value<T>(fallback: T, body: impl FnOnce() -> Result<T>) -> T {
    caught(body).unwrap_or(fallback)
}

/// The message of this thread's last call.
pub(crate) fn last_error() -> *const c_char {
    if NO_MEMORY.get() {
        return c"no memory to work in; free memory, or raise the process's limit".as_ptr();
    }
    let message = LAST_ERROR.try_with(|message| {
        message.try_borrow().ok().filter(|message| !message.is_empty()).map(|message| message.as_ptr().cast())
    });
    message.ok().flatten().unwrap_or(c"".as_ptr())
}

fn remember(message: &str) {
    NO_MEMORY.set(false);
    // Fails only while the thread is being torn down; then there is nobody left to read it.
    let _ = LAST_ERROR.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            last.clear();
            if last.try_reserve(message.len() + 1).is_ok() {
                last.extend(message.bytes().filter(|&byte| byte != 0));
                last.push(0);
            } else {
                NO_MEMORY.set(true);
            }
        }
    });
}

/// Turns a panic inside `body` into an error that has its text.
fn caught<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    silence_own_panics();
    let outer = INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(true);
    let outcome = catch_unwind(AssertUnwindSafe(body));
    let _ = INSIDE.try_with(|inside| inside.set(outer));
    outcome.unwrap_or_else(|payload| {
        let message = format!("internal error: {}; this is a bug in qaio, please report it", panic_text(&*payload));
        // A payload whose own drop panics must not get the better of us.
        std::mem::forget(payload);
        Err(Error::new(ErrorKind::Internal, message))
    })
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("panic without a text")
}

/// Panics of our entries and threads are reported as statuses, so nothing is printed for them. Those of other Rust code
/// in the process go to the hook that was there before.
fn silence_own_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let inside = INSIDE.try_with(Cell::get).unwrap_or(false);
            let worker = std::thread::current().name().is_some_and(|name| name.starts_with("qaio-"));
            if !inside && !worker {
                previous(info);
            }
        }));
    });
}

/// Whether this process is a fork of the one that first called us: its threads are gone, so waiting for them would hang.
pub(crate) fn is_forked() -> bool {
    static PROCESS: AtomicU32 = AtomicU32::new(0);
    let current = std::process::id();
    match PROCESS.compare_exchange(0, current, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => false,
        Err(first) => first != current,
    }
}

fn forked() -> Error {
    let message = "this process is a fork of one that used qaio, and its threads did not survive that; call exec, or load \
                   the model after the fork only";
    Error::new(ErrorKind::Forked, message)
}

// ---- handles ----

/// An opaque type that C holds by pointer and owns until it frees it. It is only a name: the pointer leads to a
/// [`Tagged`] value.
pub(crate) trait Handle: Sized {
    /// What a handle of this type holds.
    type Value;
    /// The name in C.
    const NAME: &'static str;
    /// A number that no other type has.
    const TAG: u32;
}

/// `handle!(name, b"four", Value)` makes `name` a [`Handle`] to a `Value`.
macro_rules! handle {
    ($type:ident, $tag:literal, $value:ty) => {
        impl $crate::ffi::boundary::Handle for $type {
            type Value = $value;
            const NAME: &'static str = stringify!($type);
            const TAG: u32 = u32::from_be_bytes(*$tag);
        }
    };
}
pub(crate) use handle;

/// What a handle points to. The tag comes first, whatever the value: it tells a live handle from a freed one or one of
/// another type, as far as that can be told by looking.
#[repr(C)]
struct Tagged<T> {
    tag: AtomicU32,
    value: T,
}

impl<T> Drop for Tagged<T> {
    fn drop(&mut self) {
        self.tag.store(0, Ordering::Release);
    }
}

/// Gives a handle to C, which owns it from here on.
pub(crate) fn give<T: Handle>(value: T::Value) -> *mut T {
    Box::into_raw(Box::new(Tagged { tag: AtomicU32::new(T::TAG), value })).cast()
}

/// Takes a handle back and drops it. NULL, and anything that does not look like a live handle, is left alone; so is
/// everything in a forked child.
///
/// # Safety
/// `handle` is NULL or came from [`give`] and was not freed.
pub(crate) unsafe fn free<T: Handle>(handle: *mut T) {
    if handle.is_null() || is_forked() {
        return;
    }
    guard_value((), || {
        // SAFETY: as promised by the caller; `borrow` has looked at the tag.
        unsafe {
            borrow(handle.cast_const(), T::NAME)?;
            drop(Box::from_raw(handle.cast::<Tagged<T::Value>>()));
        }
        Ok(())
    });
}

/// The value of a handle given by C.
///
/// # Safety
/// `handle` is NULL or points to readable memory; if it is a live `T`, it stays so for `'a`.
pub(crate) unsafe fn borrow<'a, T: Handle>(handle: *const T, name: &str) -> Result<&'a T::Value> {
    if handle.is_null() {
        fail!(InvalidArgument, "{name} is NULL; pass a live {}", T::NAME);
    }
    let tagged = handle.cast::<Tagged<T::Value>>();
    // SAFETY: readable, as promised; aligned, as checked first.
    let live = tagged.is_aligned() && unsafe { *tagged.cast::<u32>() } == T::TAG;
    if !live {
        fail!(InvalidArgument, "{name} is not a live {}; it was freed, or is a handle of another type", T::NAME);
    }
    // SAFETY: it has the tag of a live `T`.
    Ok(unsafe { &(*tagged).value })
}

/// As [`borrow`], where NULL means none.
///
/// # Safety
/// As [`borrow`].
pub(crate) unsafe fn borrow_optional<'a, T: Handle>(handle: *const T, name: &str) -> Result<Option<&'a T::Value>> {
    if handle.is_null() {
        return Ok(None);
    }
    // SAFETY: as promised by the caller.
    unsafe { borrow(handle, name) }.map(Some)
}

// ---- values in ----

/// Text given as pointer and length.
///
/// # Safety
/// `text` is NULL or points to `len` readable bytes that stay as they are for `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char, len: usize, name: &str) -> Result<&'a str> {
    // SAFETY: as promised by the caller.
    let bytes = unsafe { bytes(text.cast(), len, name) }?;
    std::str::from_utf8(bytes).map_err(|error| invalid_utf8(name, error))
}

/// Bytes given as pointer and length; NULL is fine for none.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn bytes<'a>(data: *const u8, len: usize, name: &str) -> Result<&'a [u8]> {
    // SAFETY: as promised by the caller.
    unsafe { slice(data, len, name) }
}

/// An array given as pointer and length; NULL is fine for none.
///
/// # Safety
/// `data` is NULL or points to `len` readable elements that stay as they are for `'a`.
pub(crate) unsafe fn slice<'a, T>(data: *const T, len: usize, name: &str) -> Result<&'a [T]> {
    match (data.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => {
            fail!(InvalidArgument, "{name} is NULL, but its length is {len}; pass a pointer to that many elements")
        }
        (false, _) if len.saturating_mul(size_of::<T>().max(1)) > isize::MAX as usize => {
            fail!(InvalidArgument, "the length of {name} is {len}, more than memory can hold; was it negative?")
        }
        (false, _) if !data.is_aligned() => {
            fail!(InvalidArgument, "{name} is not aligned; pass an array of its type")
        }
        // SAFETY: not NULL, of possible length, aligned, and readable as promised by the caller.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(data, len) }),
    }
}

/// A NUL-terminated string; NULL means none.
///
/// # Safety
/// `string` is NULL or points to a NUL-terminated string that stays as it is for `'a`.
pub(crate) unsafe fn string<'a>(string: *const c_char, name: &str) -> Result<Option<&'a str>> {
    if string.is_null() {
        return Ok(None);
    }
    // SAFETY: NUL-terminated, as promised by the caller.
    let string = unsafe { CStr::from_ptr(string) };
    string.to_str().map(Some).map_err(|error| invalid_utf8(name, error))
}

/// Options given as JSON, or their defaults for NULL.
///
/// # Safety
/// As [`string`].
pub(crate) unsafe fn parsed<T: Default>(json: *const c_char, parse: fn(&str) -> Result<T>) -> Result<T> {
    // SAFETY: as promised by the caller.
    match unsafe { string(json, "options") }? {
        None => Ok(T::default()),
        Some(json) => parse(json),
    }
}

fn invalid_utf8(name: &str, error: std::str::Utf8Error) -> Error {
    let offset = error.valid_up_to();
    Error::new(
        ErrorKind::InvalidUtf8,
        format!("{name} is not UTF-8: the byte at offset {offset} begins no valid character; convert it first"),
    )
}

// ---- values out ----

/// A place that C gave for a result. Checked before the work, written after it.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `place` is NULL or writable until the call ends.
    pub(crate) unsafe fn new(place: *mut T, name: &str) -> Result<Self> {
        // SAFETY: as promised by the caller.
        match unsafe { Self::optional(place, name)? } {
            Some(out) => Ok(out),
            None => fail!(InvalidArgument, "{name} is NULL; pass a place for the result"),
        }
    }

    /// As [`new`](Self::new), where NULL means that the result is not wanted.
    ///
    /// # Safety
    /// As [`new`](Self::new).
    pub(crate) unsafe fn optional(place: *mut T, name: &str) -> Result<Option<Self>> {
        if place.is_null() {
            return Ok(None);
        }
        if !place.is_aligned() {
            fail!(InvalidArgument, "{name} is not aligned; pass the address of a variable of its type");
        }
        Ok(Some(Self(place)))
    }

    /// Hands the result out.
    pub(crate) fn set(self, value: T) {
        // SAFETY: not NULL and aligned, as checked in `optional`; writable, as its caller promised.
        unsafe { self.0.write(value) }
    }
}

/// Text that a handle owns and C reads: UTF-8 with a NUL after it.
pub(crate) struct OwnedText(Vec<u8>);

impl OwnedText {
    pub(crate) fn new(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        Self(bytes)
    }

    /// The pointer for C, and the length without the NUL into `len` if that is wanted.
    ///
    /// # Safety
    /// As [`Out::optional`].
    pub(crate) unsafe fn give(&self, len: *mut usize) -> Result<*const c_char> {
        // SAFETY: as promised by the caller.
        if let Some(len) = unsafe { Out::optional(len, "len")? } {
            len.set(self.0.len() - 1);
        }
        Ok(self.0.as_ptr().cast())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn message() -> String {
        // SAFETY: the library's own NUL-terminated text.
        unsafe { CStr::from_ptr(last_error()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_panic_inside_comes_back_as_a_status_with_its_text() {
        let value = 42;
        assert_eq!(guard(|| panic!("the answer is {value}")), qaio_status::Internal);
        assert!(message().contains("the answer is 42"), "{}", message());
        assert_eq!(guard(|| panic!("plain")), qaio_status::Internal);
        assert!(message().contains("plain"));
        assert_eq!(guard(|| std::panic::panic_any(7)), qaio_status::Internal);
        assert_eq!(guard(|| Ok(())), qaio_status::Ok);
        assert_eq!(message(), "");
        assert_eq!(guard_value(5, || panic!("hidden")), 5);
    }

    #[test]
    fn a_panic_in_the_pool_comes_back_too() {
        let status = guard(|| {
            let on_a_worker = || -> qaio_status { panic!("from a worker") };
            let worker = std::thread::Builder::new().name("qaio-1".to_owned()).spawn(on_a_worker).unwrap();
            match worker.join() {
                Ok(status) => unreachable!("{status:?}"),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        });
        assert_eq!(status, qaio_status::Internal);
        assert!(message().contains("from a worker"));
    }

    /// Run as a process of its own by the test below.
    #[test]
    fn silent_child() {
        if std::env::var_os("QAIO_TEST_SILENT_CHILD").is_some() {
            a_panic_inside_comes_back_as_a_status_with_its_text();
            a_panic_in_the_pool_comes_back_too();
        }
    }

    #[test]
    fn panics_inside_print_nothing() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ffi::boundary::tests::silent_child", "--nocapture", "--test-threads=1"])
            .env("QAIO_TEST_SILENT_CHILD", "1")
            .output()
            .unwrap();
        assert!(child.status.success());
        let printed = [child.stdout, child.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert!(printed.contains("1 passed"), "{printed}");
        for text in ["panicked", "the answer", "plain", "from a worker"] {
            assert!(!printed.contains(text), "{printed}");
        }
    }

    #[test]
    fn a_nul_in_a_message_does_not_cut_it() {
        guard(|| fail!(InvalidOption, "key \"a\0b\" is odd"));
        assert_eq!(message(), "key \"ab\" is odd");
    }
}
