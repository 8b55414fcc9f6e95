//! The files of an archive: their names, and the room that the operating system must grant before data is written.

use crate::error::{Error, ErrorKind, Result};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The name under which an archive lies until its first commit.
pub(super) fn temporary(path: &Path) -> PathBuf {
    with_suffix(path, ".partial")
}

/// The folder of an archive's further data files.
pub(super) fn parts(path: &Path) -> PathBuf {
    with_suffix(path, ".parts")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
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
    if to.exists() {
        return Err(std::io::Error::from(std::io::ErrorKind::AlreadyExists).into());
    }
    Ok(fs::rename(from, to)?)
}
