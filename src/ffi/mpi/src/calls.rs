//! The C ABI's call that needs MPI.
#![allow(non_camel_case_types)]

use crate::communicator::MpiCommunicator;
use fieldpress::archive::Writer;
use fieldpress::ffi::guard::guard;
use fieldpress::ffi::{fieldpress_archive, fieldpress_status, pointers};
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
/// `comm` is a communicator or `MPI_COMM_NULL`; `path` and `options` are null or zero-terminated strings; `archive` is null or
/// valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_open(
    comm: MPI_Comm,
    path: *const c_char,
    options: *const c_char,
    archive: *mut *mut fieldpress_archive,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        unsafe { pointers::store(archive, "archive", std::ptr::null_mut()) }?;
        let comm = Box::new(MpiCommunicator::of_raw(comm)?);
        // SAFETY: this function's contract.
        let path = unsafe { pointers::text(path, "path") };
        // SAFETY: this function's contract.
        let options = unsafe { pointers::text(options, "options") }.and_then(str::parse);
        // What is wrong on one rank is told to all.
        let writer = match (path, options) {
            (Ok(path), Ok(options)) => Writer::open(comm, Path::new(path), options)?,
            (path, options) => return Err(Writer::refuse_to_open(comm, path.and(options.map(drop)).unwrap_err())),
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
    let running = guard(crate::raw::check_running);
    if running != fieldpress_status::FIELDPRESS_OK {
        return running;
    }
    // SAFETY: MPI runs; that the handle is one is the caller's promise.
    let comm = unsafe { RSMPI_Comm_f2c(comm) };
    // SAFETY: this function's contract.
    unsafe { fieldpress_archive_open(comm, path, options, archive) }
}
