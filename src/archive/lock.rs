//! One writer at a time: a lock beside the archive, for as long as a writer has it open.
//!
//! It is on a file `NAME.lock`, not on the archive itself: on some file systems (NFS) MPI-IO locks what it writes, and
//! would wait for ever for a lock that its own process holds. It belongs to the open file and not to the process, so
//! that two writers of one process meet it, and it ends with the process, however that ends. The file's text says who
//! holds it.

use super::files;
use crate::error::{Error, ErrorKind, Result};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The first line of a lock's text.
const TITLE: &str = "fieldpress archive writer\n";
/// Bytes of a lock's text, at most.
const TEXT_BYTES: usize = 512;
/// How often another one's removal of the file is met before it is given up.
const TRIES: usize = 100;

/// The lock, held until dropped.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    /// A child that a process forks has a copy, and must not remove its parent's file.
    process: u32,
}

impl Lock {
    /// Takes the lock of an archive. `None` where the file system has no locks, or none in this folder, which `tracing`
    /// warns of.
    ///
    /// # Errors
    /// `Io` that names the host and process that hold it; where something else lies in its place.
    pub(super) fn take(archive: &Path) -> Result<Option<Self>> {
        let path = files::lock(archive);
        for _ in 0..TRIES {
            let existed = path.symlink_metadata().is_ok();
            let file = match open(&path) {
                Ok(file) => file,
                // An archive that may be written in a folder that may not.
                Err(error) if !existed && archive.exists() && is_refusal(&error) => {
                    tracing::warn!(%error, path = %path.display(), "no lock keeps other writers away");
                    return Ok(None);
                }
                Err(error) => return Err(Error::at_path(&path, error)),
            };
            let what = file.metadata()?;
            let text = read_text(&file);
            if !what.is_file() || what.nlink() > 1 || !(text.is_empty() || text.starts_with(TITLE)) {
                return Err(Error::new(
                    ErrorKind::Io,
                    format!("{} is no lock of an archive, but lies in the place of one; move it away", path.display()),
                ));
            }
            match set(&file, libc::F_WRLCK) {
                Ok(true) => {}
                Ok(false) => return Err(held(archive, &path, &text)),
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "the file system has no locks");
                    if !existed {
                        // It would only be in the way of a folder's owner.
                        let _ = fs::remove_file(&path);
                    }
                    return Ok(None);
                }
            }
            // Whoever held it before may have removed the file in between: a lock on it would lock nobody out.
            let named = path.symlink_metadata().is_ok_and(|named| files::same(&named, &what));
            if named {
                // Without its text it is still a lock.
                let _ = file.set_len(0).and_then(|()| file.write_all_at(own_text().as_bytes(), 0));
                return Ok(Some(Self { file, path, process: std::process::id() }));
            }
        }
        Err(Error::new(ErrorKind::Io, format!("{} comes and goes; are many writers being opened?", path.display())))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // What stays of it is in nobody's way. Unlocked last: who locks it then finds that it has no name.
            let _ = fs::remove_file(&self.path);
            let _ = set(&self.file, libc::F_UNLCK);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    // A pipe must not wait for its other end.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).custom_flags(flags).open(path)
}

fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

/// Sets or lifts the lock of an open file; `false` where another one holds it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set(file: &File, kind: i32) -> io::Result<bool> {
    use std::os::fd::AsRawFd;
    // SAFETY: a plain struct of integers, which may all be 0.
    let mut whole: libc::flock = unsafe { std::mem::zeroed() };
    // From 0 (l_start) to the end (an l_len of 0); l_pid must be 0.
    whole.l_type = kind as libc::c_short;
    whole.l_whence = libc::SEEK_SET as libc::c_short;
    loop {
        // SAFETY: a descriptor that is open as long as `file` is, and a struct that the call only reads.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const whole) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => return Ok(false),
            Some(libc::EINTR) => {}
            _ => return Err(error),
        }
    }
}

/// Sets or lifts the lock of an open file; `false` where another one holds it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set(file: &File, kind: i32) -> io::Result<bool> {
    if i32::from(libc::F_UNLCK) == kind.into() {
        return file.unlock().map(|()| true);
    }
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

fn own_text() -> String {
    let name = rustix::system::uname();
    let host = name.nodename().to_string_lossy();
    format!("{TITLE}process {}\nhost {host}\n", std::process::id())
}

fn read_text(file: &File) -> String {
    let mut bytes = [0; TEXT_BYTES];
    let n = file.read_at(&mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..n]).into_owned()
}

fn held(archive: &Path, path: &Path, text: &str) -> Error {
    let line = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key))?;
        let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        (plain && !value.is_empty()).then(|| value.to_owned())
    };
    let who = match (line("process "), line("host ")) {
        (Some(process), Some(host)) => format!("process {process} on host {host}"),
        _ => "a process that could not be named".to_owned(),
    };
    let message = format!(
        "{} is open in another writer, {who}; wait until that has closed it (its lock is {})",
        archive.display(),
        path.display()
    );
    Error::new(ErrorKind::Io, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_one_and_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.fpa");
        let first = Lock::take(&archive).unwrap().expect("this file system has locks");
        let error = Lock::take(&archive).map(drop).unwrap_err();
        assert!(error.message().contains(&format!("process {} on host", std::process::id())), "{error}");
        // Nothing of a text that another one could have put there reaches a terminal.
        fs::write(files::lock(&archive), format!("{TITLE}process 7\nhost \x1b[2J\n")).unwrap();
        let error = Lock::take(&archive).map(drop).unwrap_err();
        assert!(error.message().contains("could not be named"), "{error}");
        drop(first);
        assert!(!files::lock(&archive).exists());
        // A file that a killed writer left.
        fs::write(files::lock(&archive), own_text()).unwrap();
        drop(Lock::take(&archive).unwrap().expect("nobody holds it"));
    }

    /// Whoever waits for the file that is removed must not get a lock on nothing.
    #[test]
    fn of_many_threads_one_holds_it_at_a_time() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.fpa");
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if let Ok(lock) = Lock::take(&archive) {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            taken.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(taken.into_inner() > 10);
    }
}
