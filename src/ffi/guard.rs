//! The guard between Rust and C at every entry: errors become a status and a message of the calling thread, panics
//! become `FIELDPRESS_INTERNAL` without a word on stderr. The shells of other hosts use the same for panics.

use super::types::fieldpress_status;
use crate::error::{Error, Result};
use crate::fork_lock::ForkOnce;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Calls in progress on all threads.
static CALLS: AtomicUsize = AtomicUsize::new(0);

struct InCall;

impl InCall {
    fn enter() -> Self {
        CALLS.fetch_add(1, Ordering::Relaxed);
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self
    }
}

impl Drop for InCall {
    fn drop(&mut self) {
        CALLS.fetch_sub(1, Ordering::Relaxed);
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Whether a panic here, now, will be caught by [`guard`]: on the calling thread, or on a worker that hands its panic
/// to it.
fn is_caught_by_guard() -> bool {
    let on_caller = DEPTH.try_with(|depth| depth.get() > 0).unwrap_or(false);
    on_caller || (CALLS.load(Ordering::Relaxed) > 0 && rayon::current_thread_index().is_some())
}

/// The standard hook prints; a library inside a simulation must not. Panics of others go to the hook that was there
/// before.
fn silence_own_panics() {
    static INSTALLED: ForkOnce<()> = ForkOnce::new();
    // In a child that was forked in the middle of this, panics are printed: there is no harm in it.
    let _ = INSTALLED.get_or_init(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !is_caught_by_guard() {
                others(info);
            }
        }));
    });
}

/// Runs a function for another language: a panic becomes an `Internal` error, and is not printed.
///
/// # Errors
/// As `body`.
pub fn caught<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // Whatever a panic left half-done is a handle's caches behind their own locks; nothing else is shared with the
    // caller.
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        silence_own_panics();
        let _in_call = InCall::enter();
        body()
    }));
    outcome.unwrap_or_else(|payload| {
        let error = Error::internal(format!("fieldpress panicked: {}", text_of(payload.as_ref())));
        // A payload's destructor may panic in turn, which must not reach C either.
        std::mem::forget(payload);
        Err(error)
    })
}

/// Runs the body of an entry point.
pub fn guard(body: impl FnOnce() -> Result<()>) -> fieldpress_status {
    match caught(body) {
        Ok(()) => fieldpress_status::FIELDPRESS_OK,
        Err(error) => fail(&error),
    }
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn fail(error: &Error) -> fieldpress_status {
    let bytes: Vec<u8> = error.message().bytes().filter(|&byte| byte != 0).collect();
    if let Ok(message) = CString::new(bytes) {
        // Without effect where the thread is being taken down and its storage is gone.
        let _ = LAST_ERROR.try_with(|last| last.replace(message));
    }
    error.kind().into()
}

/// The calling thread's last message, valid until its next failing call.
pub(super) fn last_error() -> *const c_char {
    LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn message() -> String {
        // SAFETY: `last_error` gives a C string that lives until this thread's next failing call.
        unsafe { CStr::from_ptr(last_error()) }.to_string_lossy().into_owned()
    }

    #[test]
    fn errors_become_a_status_and_a_message() {
        let status = guard(|| Err(Error::corrupt("a\0b")));
        assert_eq!(status, fieldpress_status::FIELDPRESS_CORRUPT);
        assert_eq!(message(), "ab");
        assert_eq!(guard(|| Ok(())), fieldpress_status::FIELDPRESS_OK);
        assert_eq!(message(), "ab", "success leaves the message alone");
    }

    #[test]
    fn panics_become_internal_errors() {
        let status = guard(|| panic!("number {}", 7));
        assert_eq!(status, fieldpress_status::FIELDPRESS_INTERNAL);
        assert!(message().contains("number 7"));
        assert!(!is_caught_by_guard());
    }

    #[test]
    fn messages_belong_to_their_thread() {
        guard(|| Err(Error::invalid("mine")));
        std::thread::spawn(|| assert_eq!(message(), "")).join().unwrap();
        assert_eq!(message(), "mine");
    }
}
