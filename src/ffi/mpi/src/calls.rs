//! The C ABI's calls that need MPI.
#![allow(non_camel_case_types)]

use crate::communicator::MpiCommunicator;
use fieldpress::Result;
use fieldpress::archive::{Communicator, Reader, Writer};
use fieldpress::ffi::guard::guard;
use fieldpress::ffi::{fieldpress_archive, fieldpress_reader, fieldpress_status, pointers};
use mpi::ffi::{MPI_Comm, RSMPI_Comm_f2c, RSMPI_Fint};
use std::ffi::c_char;
use std::path::Path;

/// Creates an archive that all ranks of a communicator write, or opens it for appending; collective.
///
/// comm: the ranks that write. It is duplicated; the caller's is not used afterwards.
/// path: the file, on a file system that all ranks see.
/// options: as for fieldpress_archive_open_serial, the same on all ranks (threads and device may differ).
/// archive: where the new handle is stored; null is stored on failure. It belongs to fieldpress_archive_close, before
///   MPI_Finalize.
///
/// # Safety
/// `comm` is a communicator or `MPI_COMM_NULL`; `path` and `options` are null or zero-terminated strings; `archive` is
/// null or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_open(
    comm: MPI_Comm,
    path: *const c_char,
    options: *const c_char,
    archive: *mut *mut fieldpress_archive,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let stored = unsafe { pointers::store(archive, "archive", std::ptr::null_mut()) };
        let comm = Box::new(MpiCommunicator::of_raw(comm)?);
        // SAFETY: this function's contract.
        let path = unsafe { pointers::text(path, "path") };
        // SAFETY: this function's contract.
        let options = unsafe { pointers::text(options, "options") }.and_then(str::parse);
        // What is wrong on one rank is told to all.
        let writer = match stored.and_then(|()| Ok((path?, options?))) {
            Ok((path, options)) => Writer::open(comm, Path::new(path), options)?,
            Err(error) => return Err(Writer::refuse_to_open(comm, error)),
        };
        // SAFETY: this function's contract.
        unsafe { pointers::store(archive, "archive", fieldpress_archive::new(writer)) }
    })
}

/// As fieldpress_archive_open, with a Fortran handle (MPI_Fint) of a communicator.
///
/// comm: the handle: an integer, or the member MPI_VAL of a type(MPI_Comm).
/// path, options, archive: as for fieldpress_archive_open.
///
/// # Safety
/// As `fieldpress_archive_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_open_fortran(
    comm: RSMPI_Fint,
    path: *const c_char,
    options: *const c_char,
    archive: *mut *mut fieldpress_archive,
) -> fieldpress_status {
    // SAFETY: this function's contract; null also where MPI does not run.
    let _ = unsafe { pointers::store(archive, "archive", std::ptr::null_mut()) };
    // SAFETY: this function's contract.
    from_fortran(comm, |comm| unsafe { fieldpress_archive_open(comm, path, options, archive) })
}

/// Opens an archive for reading on all ranks of a communicator; collective. Rank 0 finds out what is in it and tells
/// the others, so that the file system is not asked by all ranks at once; all see the same steps. Everything after is
/// as with fieldpress_reader_open, which any number of processes may use without MPI.
///
/// comm: the ranks that read. Used during the call only.
/// path: the file, on a file system that all ranks see.
/// options: as for fieldpress_create; null or "" for the defaults. Ranks may have different ones.
/// reader: where the new handle is stored; null is stored on failure. It belongs to fieldpress_reader_close, which is
///   not collective.
///
/// # Safety
/// `comm` is a communicator or `MPI_COMM_NULL`; `path` and `options` are null or zero-terminated strings; `reader` is
/// null or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_open_shared(
    comm: MPI_Comm,
    path: *const c_char,
    options: *const c_char,
    reader: *mut *mut fieldpress_reader,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let stored = unsafe { pointers::store(reader, "reader", std::ptr::null_mut()) };
        // SAFETY: this function's contract.
        let path = unsafe { pointers::text(path, "path") };
        // SAFETY: this function's contract.
        let options = unsafe { pointers::text(options, "options") }.and_then(str::parse);
        let new = together(comm, |comm| match stored.and_then(|()| Ok((path?, options?))) {
            Ok((path, options)) => Reader::open_shared(comm, Path::new(path), options),
            Err(error) => Err(Reader::refuse_to_share(comm, error)),
        })?;
        // SAFETY: this function's contract.
        unsafe { pointers::store(reader, "reader", fieldpress_reader::new(new)) }
    })
}

/// As fieldpress_reader_open_shared, with a Fortran handle (MPI_Fint) of a communicator.
///
/// comm: the handle: an integer, or the member MPI_VAL of a type(MPI_Comm).
/// path, options, reader: as for fieldpress_reader_open_shared.
///
/// # Safety
/// As `fieldpress_reader_open_shared`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_open_shared_fortran(
    comm: RSMPI_Fint,
    path: *const c_char,
    options: *const c_char,
    reader: *mut *mut fieldpress_reader,
) -> fieldpress_status {
    // SAFETY: this function's contract; null also where MPI does not run.
    let _ = unsafe { pointers::store(reader, "reader", std::ptr::null_mut()) };
    // SAFETY: this function's contract.
    from_fortran(comm, |comm| unsafe { fieldpress_reader_open_shared(comm, path, options, reader) })
}

/// Reads the index of a step on rank 0 and hands it to all ranks; collective. Reading from that step (and those
/// committed with it) then takes from the file only the chunks that a rank touches. Without this call each rank reads
/// the index by itself.
///
/// comm: the ranks that opened the archive with fieldpress_reader_open_shared.
/// reader: from there.
/// step: its number, from 0; the same on all ranks.
///
/// # Safety
/// `comm` is a communicator or `MPI_COMM_NULL`; `reader` is null or an open reader.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_share_index(
    comm: MPI_Comm,
    reader: *const fieldpress_reader,
    step: u64,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let reader = unsafe { pointers::reference(reader, "reader") };
        together(comm, |comm| match reader {
            Ok(reader) => reader.get().share_index(comm, step),
            Err(error) => Err(Reader::refuse_to_share(comm, error)),
        })
    })
}

/// As fieldpress_reader_share_index, with a Fortran handle (MPI_Fint) of a communicator.
///
/// comm: the handle: an integer, or the member MPI_VAL of a type(MPI_Comm).
/// reader, step: as for fieldpress_reader_share_index.
///
/// # Safety
/// As `fieldpress_reader_share_index`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_share_index_fortran(
    comm: RSMPI_Fint,
    reader: *const fieldpress_reader,
    step: u64,
) -> fieldpress_status {
    // SAFETY: this function's contract.
    from_fortran(comm, |comm| unsafe { fieldpress_reader_share_index(comm, reader, step) })
}

/// Does something with a duplicate of the caller's communicator, which is given back.
fn together<O>(comm: MPI_Comm, work: impl FnOnce(&MpiCommunicator) -> Result<O>) -> Result<O> {
    let comm = Box::new(MpiCommunicator::of_raw(comm)?);
    let done = work(&comm);
    let freed = comm.free();
    let done = done?;
    freed.map(|()| done)
}

/// Makes a call with the communicator of a Fortran handle.
fn from_fortran(comm: RSMPI_Fint, call: impl FnOnce(MPI_Comm) -> fieldpress_status) -> fieldpress_status {
    let running = guard(crate::raw::check_running);
    if running != fieldpress_status::FIELDPRESS_OK {
        return running;
    }
    // SAFETY: MPI runs; that the handle is one is the caller's promise.
    call(unsafe { RSMPI_Comm_f2c(comm) })
}
