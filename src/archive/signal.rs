//! The signal of a file that would grow beyond the process's limit (SIGXFSZ), kept from ending the process while an
//! archive is written, without a change of what signals do in the process: it is blocked in the thread that writes, and
//! what of it comes up meanwhile is taken back. The write itself then fails with `EFBIG`, as an error that all ranks
//! hear of.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// Blocks the signal in the calling thread until dropped, in the same thread.
pub(super) struct Blocked {
    /// Whether it was not blocked before, so that what comes up is ours.
    ours: bool,
    /// A thread's mask is its own.
    _thread: PhantomData<*mut ()>,
}

fn set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set, and the signal's number is valid.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGXFSZ);
        set.assume_init()
    }
}

impl Blocked {
    pub(super) fn new() -> Self {
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: a set that is initialised, and room for the old one, which is initialised where the call succeeds.
        let ours = unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &set(), before.as_mut_ptr()) == 0
                && libc::sigismember(before.as_ptr(), libc::SIGXFSZ) == 0
        };
        Self { ours, _thread: PhantomData }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        // SAFETY: sets that are initialised; no information is asked for, and the wait is over at once.
        unsafe {
            #[cfg(target_os = "linux")]
            {
                let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
                while libc::sigtimedwait(&set(), null_mut(), &now) == libc::SIGXFSZ {}
            }
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &set(), null_mut());
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Seek, SeekFrom, Write};

    #[test]
    fn a_write_beyond_the_limit_is_an_error_and_no_more() {
        use rustix::process::{Resource, getrlimit, setrlimit};
        // The limit is the whole process's: a child, so that no other test's files meet it.
        if std::env::var_os("FIELDPRESS_TEST_LIMIT").is_none() {
            let name = "archive::signal::tests::a_write_beyond_the_limit_is_an_error_and_no_more";
            let mut child = std::process::Command::new(std::env::current_exe().unwrap());
            let output = child.args(["--exact", name]).env("FIELDPRESS_TEST_LIMIT", "1").output().unwrap();
            assert!(output.status.success(), "{output:?}");
            return;
        }
        let mut file = tempfile::tempfile().unwrap();
        let mut limit = getrlimit(Resource::Fsize);
        limit.current = Some(1 << 30);
        setrlimit(Resource::Fsize, limit).unwrap();
        file.seek(SeekFrom::Start(1 << 30)).unwrap();
        {
            let _outer = Blocked::new();
            {
                let _inner = Blocked::new();
                assert_eq!(file.write_all(b"x").unwrap_err().kind(), ErrorKind::FileTooLarge);
            }
            assert_eq!(file.write_all(b"x").unwrap_err().kind(), ErrorKind::FileTooLarge);
        }
        // Nothing is left that would come up now.
        std::thread::yield_now();
    }
}
