//! The files of an archive: their names, and the room that the operating system must grant before data is written.

use super::layout::MAGIC;
use crate::error::{Error, ErrorKind, Result};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The name under which an archive lies until its first commit.
pub(super) fn temporary(path: &Path) -> PathBuf {
    with_suffix(path, ".partial")
}

/// The folder of an archive's further data files.
pub(super) fn parts(path: &Path) -> PathBuf {
    with_suffix(path, ".parts")
}

/// The file whose lock keeps other writers away.
pub(super) fn lock(path: &Path) -> PathBuf {
    with_suffix(path, ".lock")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Where an archive lies that a writer is told the name of: one that is appended to may be named through symbolic
/// links; one that is made takes the place of a link.
pub(super) fn place(path: &Path, appends: bool) -> PathBuf {
    if appends && let Ok(real) = path.canonicalize() {
        return real;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Whether two names or handles are of one file.
pub(super) fn same(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// A new file, which no link can lead elsewhere.
///
/// # Errors
/// `AlreadyExists`, whatever lies there.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// The new file under an archive's temporary name. `alone`: a lock keeps other writers away, so that what lies there is
/// left of one that was killed, and goes.
///
/// # Errors
/// `Io`, also where something lies there that no writer left.
pub(super) fn create_temporary(name: &Path, alone: bool) -> Result<File> {
    let made = match create(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && alone && is_left_over(name) => {
            fs::remove_file(name).and_then(|()| create(name))
        }
        made => made,
    };
    made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists if alone => Error::new(
            ErrorKind::Io,
            format!("{} is no unfinished archive, but lies in the place of one; move it away", name.display()),
        ),
        io::ErrorKind::AlreadyExists => Error::new(
            ErrorKind::Io,
            format!(
                "{} exists: another writer may be at work on it, and there are no locks that would tell; remove it \
                 where none is",
                name.display()
            ),
        ),
        _ => Error::at_path(name, error),
    })
}

/// Whether a file of this name is an archive's beginning, or empty.
fn is_left_over(name: &Path) -> bool {
    let Ok(what) = name.symlink_metadata() else { return false };
    let begins = || {
        let mut magic = [0; 4];
        File::open(name).and_then(|file| file.read_exact_at(&mut magic, 0)).is_ok_and(|()| magic == *MAGIC)
    };
    what.is_file() && (what.len() == 0 || begins())
}

/// Whether a name from an index stays in its folder.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The folder of a file, opened: syncing it makes the names in it durable.
pub(super) fn open_folder(path: &Path) -> Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).map_err(|error| Error::from(error).context(format!("the folder {}", folder.display())))
}

/// Makes the names in a file's folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    Ok(open_folder(path)?.sync_all()?)
}

/// Whether this process may write a file up to byte `end`. Asked before writing, so that the limit shows before
/// anything is written.
///
/// # Errors
/// `Io` that names the limit.
pub(super) fn check_file_size_limit(end: u64) -> Result<()> {
    use rustix::process::{Resource, getrlimit};
    match getrlimit(Resource::Fsize).current {
        Some(limit) if end > limit => Err(Error::new(
            ErrorKind::Io,
            format!(
                "the archive would grow to {end} bytes, but this process may write files of {limit} (RLIMIT_FSIZE)"
            ),
        )),
        _ => Ok(()),
    }
}

/// Reserves bytes `from..end` of a file, so that a full disk or quota shows here and not in the middle of writing. File
/// systems that cannot reserve are passed over.
///
/// # Errors
/// `Io`.
pub(super) fn reserve(file: &File, from: u64, end: u64) -> Result<()> {
    #[cfg(target_os = "linux")]
    if end > from {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        loop {
            match fallocate(file, FallocateFlags::empty(), from, end - from) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => break,
                Err(Errno::INTR) => {}
                Err(error) => {
                    let error = Error::from(io::Error::from(error));
                    return Err(error.context(format!("{} bytes cannot be reserved", end - from)));
                }
            }
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, from, end);
    Ok(())
}

/// A file that has the wanted name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// It is replaced.
    Replace,
    /// It stays, and taking its name is an error.
    Keep,
}

/// Gives a file its name.
///
/// # Errors
/// `Io`, also where the name is taken by a file that must stay.
pub(super) fn take_name(from: &Path, to: &Path, existing: Existing) -> Result<()> {
    if existing == Existing::Replace {
        return Ok(fs::rename(from, to)?);
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Not every file system knows the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            other => return other.map_err(|error| std::io::Error::from(error).into()),
        }
    }
    // A second name is never given to two; where there are none, nothing better is left than to look.
    match fs::hard_link(from, to) {
        Ok(()) => return Ok(fs::remove_file(from)?),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error.into()),
        Err(_) => {}
    }
    if to.symlink_metadata().is_ok() {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
    }
    Ok(fs::rename(from, to)?)
}
