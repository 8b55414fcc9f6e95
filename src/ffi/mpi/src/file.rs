//! Files by MPI-IO, with return codes and counts checked. As in `raw.rs`, all handles are ours.

use crate::raw::{Comm, PIECE, address, collective, count, file, is_running};
use fieldpress::{Error, ErrorKind, Result};
use mpi::ffi;
use std::ffi::{CString, c_int, c_void};
use std::mem::MaybeUninit;
use std::path::Path;

/// Hints for MPI-IO.
struct Info(ffi::MPI_Info);

impl Info {
    fn new(hints: &[(String, String)]) -> Result<Self> {
        let text =
            |text: &str| CString::new(text).map_err(|_| Error::invalid(format!("the hint {text:?} holds a zero")));
        // SAFETY: a constant of MPI.
        let mut info = Self(unsafe { ffi::RSMPI_INFO_NULL });
        if hints.is_empty() {
            return Ok(info);
        }
        // SAFETY: MPI stores a handle.
        file("MPI_Info_create", unsafe { ffi::MPI_Info_create(&mut info.0) })?;
        for (key, value) in hints {
            let (key, value) = (text(key)?, text(value)?);
            // SAFETY: an info of ours, and texts that end in zero.
            file("MPI_Info_set", unsafe { ffi::MPI_Info_set(info.0, key.as_ptr(), value.as_ptr()) })?;
        }
        Ok(info)
    }
}

impl Drop for Info {
    fn drop(&mut self) {
        // SAFETY: a constant of MPI, or an info of ours that nobody uses afterwards; freeing is local.
        unsafe {
            if self.0 != ffi::RSMPI_INFO_NULL {
                ffi::MPI_Info_free(&mut self.0);
            }
        }
    }
}

/// What MPI says of a write that succeeded.
struct Status(ffi::MPI_Status);

impl Status {
    /// Of a write of nothing, should MPI leave it as it is.
    fn new() -> Self {
        // SAFETY: a plain struct of integers.
        Self(unsafe { MaybeUninit::zeroed().assume_init() })
    }

    /// How many bytes were written: for Open MPI, fewer than were given are a success.
    fn bytes(&self) -> Result<usize> {
        let mut bytes = 0;
        // SAFETY: a status that a write of bytes has filled in, and a local.
        file("MPI_Get_count", unsafe { ffi::MPI_Get_count(&self.0, ffi::RSMPI_UINT8_T, &mut bytes) })?;
        Ok(usize::try_from(bytes).unwrap_or(0))
    }
}

/// The error of a write that ended early; MPI does not say why.
fn short(call: &str, done: usize, all: usize) -> Error {
    let why = "is the disk full, or a quota or the limit of file sizes (RLIMIT_FSIZE) reached?";
    Error::new(ErrorKind::Io, format!("{call}: wrote {done} of {all} bytes; {why}"))
}

/// A file that all ranks of a communicator have open. The handles of files return errors unless told otherwise.
#[derive(Debug)]
pub(crate) struct File {
    raw: ffi::MPI_File,
    comm: ffi::MPI_Comm,
}

impl File {
    /// Opens a file that exists, for writing; collective.
    pub(crate) fn open(comm: &Comm, path: &Path, hints: &[(String, String)]) -> Result<Self> {
        let name = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| Error::invalid(format!("the path {} holds a zero", path.display())));
        let info = Info::new(hints);
        // Not before all ranks are here with what they need: opening is collective.
        let mut bad = [u64::from(name.is_err() || info.is_err())];
        comm.reduce(&mut bad, &mut [])?;
        let (name, info) = (name?, info?);
        if bad[0] > 0 {
            return Err(Error::invalid("another rank's path or hints are not valid"));
        }
        Self::open_on(comm.raw, path, &name, &info)
    }

    /// Opens a file that exists, for writing by this rank alone; not collective.
    pub(crate) fn open_alone(path: &Path, hints: &[(String, String)]) -> Result<Self> {
        let name = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| Error::invalid(format!("the path {} holds a zero", path.display())))?;
        // SAFETY: a constant of MPI.
        Self::open_on(unsafe { ffi::RSMPI_COMM_SELF }, path, &name, &Info::new(hints)?)
    }

    fn open_on(comm: ffi::MPI_Comm, path: &Path, name: &CString, info: &Info) -> Result<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: a communicator of ours or this rank alone, texts that end in zero; MPI stores a handle where it
        // succeeds.
        let raw = unsafe {
            let mode = (ffi::MPI_MODE_WRONLY) as c_int;
            file("MPI_File_open", ffi::MPI_File_open(comm, name.as_ptr(), mode, info.0, raw.as_mut_ptr()))
                .map_err(|error| error.context(path.display()))?;
            raw.assume_init()
        };
        Ok(Self { raw, comm })
    }

    /// Writes this rank's bytes at an offset; collective. In rounds, as many as the rank with most bytes needs.
    pub(crate) fn write_at_all(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let own = bytes.len().div_ceil(PIECE) as u64;
        let mut rounds = 0u64;
        // SAFETY: one element each, of the type that is said.
        collective("MPI_Allreduce", unsafe {
            ffi::MPI_Allreduce(
                (&raw const own).cast::<c_void>(),
                (&raw mut rounds).cast::<c_void>(),
                1,
                ffi::RSMPI_UINT64_T,
                ffi::RSMPI_MAX,
                self.comm,
            )
        })?;
        let mut outcome = Ok(());
        let mut done = 0;
        for round in 0..rounds as usize {
            let piece = bytes.chunks(PIECE).nth(round).unwrap_or(&[]);
            let at = offset + (round * PIECE) as u64;
            let mut status = Status::new();
            // SAFETY: a file of ours, `piece`'s bytes, and a local.
            let written = file("MPI_File_write_at_all", unsafe {
                ffi::MPI_File_write_at_all(
                    self.raw,
                    at as ffi::MPI_Offset,
                    address(piece),
                    count(piece.len())?,
                    ffi::RSMPI_UINT8_T,
                    &mut status.0,
                )
            });
            let counted = written.and_then(|()| status.bytes()).map(|bytes| done += bytes);
            outcome = outcome.and(counted);
        }
        outcome?;
        if done == bytes.len() { Ok(()) } else { Err(short("MPI_File_write_at_all", done, bytes.len())) }
    }

    /// Writes bytes at an offset; not collective, so that a write that fails keeps nobody waiting.
    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &bytes[done..];
            let piece = &rest[..rest.len().min(PIECE)];
            let mut status = Status::new();
            // SAFETY: a file of ours, `piece`'s bytes, and a local.
            let written = file("MPI_File_write_at", unsafe {
                ffi::MPI_File_write_at(
                    self.raw,
                    (offset + done as u64) as ffi::MPI_Offset,
                    address(piece),
                    count(piece.len())?,
                    ffi::RSMPI_UINT8_T,
                    &mut status.0,
                )
            });
            let written = written
                .and_then(|()| status.bytes())
                .map_err(|error| error.context(format!("wrote {done} of {} bytes", bytes.len())))?;
            if written == 0 {
                return Err(short("MPI_File_write_at", done, bytes.len()));
            }
            done += written.min(piece.len());
        }
        Ok(())
    }

    /// Waits until all is on stable storage; collective among those that opened the file together.
    pub(crate) fn sync(&mut self) -> Result<()> {
        // SAFETY: a file of ours.
        file("MPI_File_sync", unsafe { ffi::MPI_File_sync(self.raw) })
    }

    /// Closes the file; collective among those that opened it together.
    pub(crate) fn close(mut self) -> Result<()> {
        if !is_running() {
            return Err(Error::invalid("the archive is closed after MPI_Finalize"));
        }
        // SAFETY: a file of ours, which nobody uses afterwards.
        file("MPI_File_close", unsafe { ffi::MPI_File_close(&mut self.raw) })
    }
}
